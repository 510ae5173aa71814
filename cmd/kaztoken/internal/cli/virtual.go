//go:build !minimal

package cli

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/vpcd"
	"kaztoken/usb/usbip"
)

const (
	// usbipPort is the port that the usbip tool takes by default.
	usbipPort = "3240"
	// maxTokens bounds --tokens. A kernel may have fewer ports for them.
	maxTokens = 16
	// firstID is the id of the first token, the one of the user guide. The others
	// count on from it.
	firstID = 0x32D18A58
)

// virtualOptions are the flags of the command.
type virtualOptions struct {
	usbip, vpcd string
	profile     string
	tokens      int

	state                    string // file of the first card, "" for none
	factory, vendorFormatted bool
}

func (a *app) virtualCommand() *cobra.Command {
	var o virtualOptions
	c := &cobra.Command{
		Use:   "virtual (--usbip ADDR | --vpcd HOST:PORT)",
		Short: "Serve virtual tokens over USB/IP or to pcscd",
		Long: `Serve tokens in software: over USB/IP, or to pcscd through vpcd, or both.

Over USB/IP, a Linux kernel with the module vhci-hcd that attaches a token sees a
USB device like any other, down to its endpoints. ADDR is HOST:PORT; without a
port it is ` + usbipPort + `. Each token has a bus id of its own.

vpcd is the virtual reader of the vsmartcard project, a driver of pcscd (package
vsmartcard-vpcd): it listens on HOST:PORT, ` + fmt.Sprint(vpcd.Port) + ` without a port, and every
application that uses pcscd finds the card in it. The first card goes to PORT,
the next to PORT+1 and so on; the package of Debian has two readers. Start pcscd
before or after: a reader that is not there, or leaves, is waited for.

Both give one token to two readers: a command through one takes it from the
other, as if it had been pulled out there, and whoever had logged in is logged
out. Neither has protection of its own: serve on a network only what anybody on
it may use.

A virtual token leaves the factory with user PIN 12345678, administrator PIN
87654321 and the id 32D18A58, from which the ids of further tokens count on. A
profile of two slots has a card in each.

--state keeps what is on the card in FILE, for the next time, and what is on
further cards in FILE.2, FILE.3 and so on. A file that is not there is made.
--factory starts over: what the files hold is lost. --vendor-formatted makes a
new token as the vendor's software formats it, not as OpenSC does; that is for
a token that is made now, so with a file that is there it needs --factory.
Without --state every start is a new token, which ends with the command. The
token of --backend virtual is this one:
  --state "${XDG_STATE_HOME:-$HOME/.local/state}/kaztoken/virtual.state"

--json prints an object, once the tokens can be reached, with the keys
  profile, and of the first token usb (as in list), address, bus_id;
  tokens, an array of one object per card: id, usb, bus_id, slot, vpcd, state
address and bus_id are empty without --usbip, vpcd without --vpcd, and state
without --state.

Profiles: ` + strings.Join(profileNames(), ", ") + `.`,
		Example: `  kaztoken virtual --usbip 127.0.0.1
  kaztoken virtual --usbip 127.0.0.1:3240 --profile extended --tokens 3
  kaztoken virtual --vpcd localhost --state ~/token
  kaztoken virtual --vpcd localhost --state ~/token --factory --vendor-formatted`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.virtual(cmd.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.usbip, "usbip", "", "`ADDR` to serve USB/IP on")
	f.StringVar(&o.vpcd, "vpcd", "", "`HOST:PORT` of the virtual reader to put the card into")
	f.StringVar(&o.profile, "profile", ccidsim.KAZTOKEN.Name, "`NAME` of the kind of device")
	f.IntVar(&o.tokens, "tokens", 1, fmt.Sprintf("`N` tokens at once, 1 to %d", maxTokens))
	f.StringVar(&o.state, "state", "", "`FILE` that keeps the first token; FILE.2, FILE.3 … keep the others")
	f.BoolVar(&o.factory, "factory", false, "start over: what is in the files of --state is lost")
	f.BoolVar(&o.vendorFormatted, "vendor-formatted", false, "make new tokens as the vendor's software formats them")
	must(c.RegisterFlagCompletionFunc("profile", cobra.FixedCompletions(profileNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

func (a *app) virtual(ctx context.Context, o virtualOptions) (err error) {
	if a.options.VirtualState != "" {
		return &usageError{errors.New("--virtual-state is for --backend virtual; here it is --state")}
	}
	t, err := o.make(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	var roads []road
	if t.listener != nil {
		roads = append(roads, t.serve)
	}
	// Readers come and go on goroutines of their own.
	var mu sync.Mutex
	tell := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(a.Err, format+"\n", args...)
	}
	for _, c := range t.cards {
		if c.vpcd != "" {
			roads = append(roads, c.enter(tell))
		}
	}
	if err := a.announce(t); err != nil {
		return err
	}
	return travel(ctx, roads)
}

// road serves tokens until its context ends. An error means that it cannot go
// on.
type road func(context.Context) error

// travel runs roads until ctx ends, which is the normal end, or until one
// fails.
func travel(ctx context.Context, roads []road) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	for _, r := range roads {
		go func() { ended <- r(inner) }()
	}
	var failure error
	for range roads {
		err := <-ended
		if inner.Err() == nil {
			failure = err // those that follow end because of it
		}
		cancel()
	}
	return failure
}

// virtualTokens are the tokens of one run: devices, and all their cards.
type virtualTokens struct {
	devices []*ccidsim.Device
	cards   []*virtualCard

	server   usbip.Server
	listener net.Listener // nil without USB/IP
	busIDs   []string     // of the devices; "" each without USB/IP
}

// virtualCard is one card and the places it can be in.
type virtualCard struct {
	id     uint64
	device int // index
	slot   int
	vpcd   string // HOST:PORT, "" for none
	state  string // file, "" for none

	mu   sync.Mutex // guards the following
	card *emu.Card
	in   *place // the reader that used it last
}

// make makes the tokens that the flags ask for and plugs them in, if over USB/IP.
func (o virtualOptions) make(ctx context.Context) (_ *virtualTokens, err error) {
	profile, err := profileNamed(o.profile)
	if err != nil {
		return nil, &usageError{err}
	}
	if o.usbip == "" && o.vpcd == "" {
		return nil, &usageError{errors.New("--usbip ADDR or --vpcd HOST:PORT is missing")}
	}
	if o.tokens < 1 || o.tokens > maxTokens {
		return nil, &usageError{fmt.Errorf("--tokens %d: want 1 to %d", o.tokens, maxTokens)}
	}
	slots := profile.Interface.Reader.Slots()
	readers, err := readerAddresses(o.vpcd, o.tokens*slots)
	if err != nil {
		return nil, &usageError{err}
	}
	states, err := o.stateFiles(o.tokens * slots)
	if err != nil {
		return nil, err
	}
	t := new(virtualTokens)
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close())
		}
	}()
	// Before a file is touched it is clear that the tokens can be served.
	if o.usbip != "" {
		var lc net.ListenConfig
		if t.listener, err = lc.Listen(ctx, "tcp", withPort(o.usbip, usbipPort)); err != nil {
			return nil, err
		}
	}
	for i := range o.tokens {
		var cards []ccidsim.Card
		for slot := range slots {
			n := len(t.cards)
			c := &virtualCard{id: firstID + uint64(n), device: i, slot: slot, vpcd: readers[n], state: states[n]}
			if err := c.open(profile.ATR, o); err != nil {
				return nil, err
			}
			t.cards = append(t.cards, c)
			cards = append(cards, &place{card: c})
		}
		p := profile
		if i > 0 && p.Serial != "" {
			p.Serial = fmt.Sprintf("%s-%d", p.Serial, i+1) // no two alike
		}
		d, busID := ccidsim.New(p, cards...), ""
		if t.listener != nil {
			if busID, err = t.server.Add(d); err != nil {
				return nil, err
			}
		}
		t.devices, t.busIDs = append(t.devices, d), append(t.busIDs, busID)
	}
	return t, nil
}

// withPort adds a port to an address without one.
func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err != nil {
		return net.JoinHostPort(strings.Trim(address, "[]"), port)
	}
	return address
}

// stateFiles gives n cards their files. Files that are there are in the way of
// what is asked only of a new token.
func (o virtualOptions) stateFiles(n int) ([]string, error) {
	all := make([]string, n)
	if o.state == "" {
		return all, nil
	}
	for i := range all {
		all[i] = o.state
		if i > 0 {
			all[i] = fmt.Sprintf("%s.%d", o.state, i+1)
		}
		if !o.vendorFormatted || o.factory {
			continue
		}
		switch _, err := os.Lstat(all[i]); {
		case err == nil:
			return nil, &usageError{fmt.Errorf("--vendor-formatted is for a new token, and %s is there: with --factory too, what it holds is lost", all[i])}
		case !errors.Is(err, fs.ErrNotExist):
			return nil, err
		}
	}
	return all, nil
}

// open makes the card, or takes it out of its file.
func (c *virtualCard) open(atr []byte, o virtualOptions) (err error) {
	opts := []emu.Option{emu.WithATR(atr), emu.WithTokenID([8]byte(binary.BigEndian.AppendUint64(nil, c.id)))}
	if o.vendorFormatted {
		opts = append(opts, emu.WithVendorFormat())
	}
	if o.factory {
		opts = append(opts, emu.WithNewState())
	}
	if c.state == "" {
		c.card = emu.New(opts...)
		return nil
	}
	if c.card, err = emu.Open(c.state, opts...); err != nil {
		return host.ExplainState(c.state, err)
	}
	// What was in the file may have an id of its own.
	answer, err := c.card.Transmit(context.Background(), nil, []byte{0x00, 0xCA, 0x01, 0x81, 0x08})
	if err != nil {
		return errors.Join(err, c.card.Close())
	}
	if r, err := iso7816.ParseResponse(answer); err == nil && r.SW == iso7816.SWOK && len(r.Data) == 8 {
		c.id = binary.BigEndian.Uint64(r.Data)
	}
	return nil
}

// serve is the road of all devices to whoever attaches them.
func (t *virtualTokens) serve(ctx context.Context) error {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		t.server.Close() // it has nothing to report
	})
	err := t.server.Serve(t.listener)
	if !stop() {
		<-closed
	}
	return err
}

// close ends the listening, takes the cards out of their readers, which
// waits for commands under way, and gives their files free.
func (t *virtualTokens) close() error {
	if t.listener != nil {
		t.listener.Close() // again, if it was served: that is an error of no interest
	}
	t.server.Close() // it has nothing to report
	for _, d := range t.devices {
		d.Unplug()
	}
	var errs []error
	for _, c := range t.cards {
		errs = append(errs, c.card.Close())
	}
	return errors.Join(errs...)
}

// enter is the road of a card to its reader at vpcd.
func (c *virtualCard) enter(tell func(format string, args ...any)) road {
	client := vpcd.Client{Addr: c.vpcd, Card: &place{card: c}, Notify: func(inside bool, why error) {
		switch {
		case inside:
			tell("token %08X is in the reader at %s", c.id, c.vpcd)
		case why != nil:
			tell("token %08X waits for the reader at %s: %v", c.id, c.vpcd, why)
		default:
			tell("token %08X waits for the reader at %s to come back", c.id, c.vpcd)
		}
	}}
	return client.Run
}

// place is one of the readers that a card can be in. A card is in one at a time:
// a command in another pulls it out and puts it in there, so that nobody uses
// what somebody else has unlocked. Power and resets of a reader that the card is
// not in do nothing.
type place struct{ card *virtualCard }

func (p *place) ATR() []byte { return p.card.card.ATR() }

// What some readers ask of a card beside that; the answers depend on the command
// alone.
func (p *place) Incoming(cla, ins byte) bool        { return p.card.card.Incoming(cla, ins) }
func (p *place) Duration(apdu []byte) time.Duration { return p.card.card.Duration(apdu) }

func (p *place) Reset(cold bool) {
	c := p.card
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in == nil || c.in == p {
		c.card.Reset(cold)
	}
}

func (p *place) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	c := p.card
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in != p {
		c.card.Reset(true)
		c.in = p
	}
	return c.card.Transmit(ctx, dst, apdu)
}

// readerAddresses gives n cards their readers, on ports that follow each other
// from that of address on. An empty address means no readers.
func readerAddresses(address string, n int) ([]string, error) {
	all := make([]string, n)
	if address == "" {
		return all, nil
	}
	name, port, err := net.SplitHostPort(withPort(address, fmt.Sprint(vpcd.Port)))
	if err != nil {
		return nil, fmt.Errorf("--vpcd %q: want HOST:PORT: %w", address, err)
	}
	first, err := strconv.ParseUint(port, 10, 16)
	if err != nil || first == 0 || name == "" {
		return nil, fmt.Errorf("--vpcd %q: want HOST:PORT", address)
	}
	if last := first + uint64(n) - 1; last > 65535 {
		return nil, fmt.Errorf("--vpcd %q: %d cards need ports up to %d", address, n, last)
	}
	for i := range all {
		all[i] = net.JoinHostPort(name, fmt.Sprint(first+uint64(i)))
	}
	return all, nil
}

// servedJSON is the output of virtual --json, printed when the tokens can be
// reached.
type servedJSON struct {
	Profile string            `json:"profile"`
	USB     usbJSON           `json:"usb"`     // of the first token, as what follows
	Address string            `json:"address"` // "" without USB/IP
	BusID   string            `json:"bus_id"`  // "" without USB/IP
	Tokens  []servedTokenJSON `json:"tokens"`
}

// servedTokenJSON is one card.
type servedTokenJSON struct {
	ID    string  `json:"id"`
	USB   usbJSON `json:"usb"`
	BusID string  `json:"bus_id"` // "" without USB/IP
	Slot  int     `json:"slot"`
	VPCD  string  `json:"vpcd"`  // HOST:PORT of its reader, "" without
	State string  `json:"state"` // file, "" without
}

// announce says which tokens there are and how to attach them.
func (a *app) announce(t *virtualTokens) error {
	info := t.devices[0].Info()
	address := ""
	if t.listener != nil {
		address = t.listener.Addr().String()
	}
	if a.json {
		j := servedJSON{Profile: t.devices[0].Profile().Name, USB: usbOf(info), Address: address, BusID: t.busIDs[0]}
		for _, c := range t.cards {
			j.Tokens = append(j.Tokens, servedTokenJSON{
				ID: fmt.Sprintf("%08X", c.id), USB: usbOf(t.devices[c.device].Info()), BusID: t.busIDs[c.device],
				Slot: c.slot, VPCD: c.vpcd, State: c.state,
			})
		}
		return a.printJSON(j, "")
	}
	what, them := "a virtual", "it"
	if n := len(t.devices); n > 1 {
		what, them = fmt.Sprintf("%d virtual", n), "them"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "serving %s %s %s (%v); Ctrl-C ends\n", what, info.Manufacturer, info.ProductName, info.ID())
	if address != "" {
		name, port, err := net.SplitHostPort(address)
		if err != nil {
			return err
		}
		tool := "usbip"
		if port != usbipPort {
			tool += " --tcp-port " + port
		}
		fmt.Fprintf(&b, "attach %s, as root, with:\n  modprobe vhci-hcd\n", them)
		for _, id := range t.busIDs {
			fmt.Fprintf(&b, "  %s attach -r %s -b %s\n", tool, name, id)
		}
	}
	_, err := io.WriteString(a.Err, b.String())
	return err
}

func profileNamed(name string) (ccidsim.Profile, error) {
	for _, p := range ccidsim.Profiles() {
		if p.Name == name {
			return p, nil
		}
	}
	return ccidsim.Profile{}, fmt.Errorf("profile %q: want one of %s", name, strings.Join(profileNames(), ", "))
}

func profileNames() []string {
	var names []string
	for _, p := range ccidsim.Profiles() {
		names = append(names, p.Name)
	}
	return names
}

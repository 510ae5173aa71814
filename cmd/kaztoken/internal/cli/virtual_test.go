package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb/usbip"
)

// serving is a run of kaztoken virtual that goes on.
type serving struct {
	servedJSON
	line string // the announcement
	errs *talk
	stop func() result // Ctrl-C
}

// talk is a standard error that several goroutines write and a test reads.
type talk struct {
	mu   sync.Mutex
	text strings.Builder
	said chan struct{} // capacity 1: there is more to read
}

func (w *talk) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case w.said <- struct{}{}:
	default:
	}
	return w.text.Write(p)
}

func (w *talk) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// wait waits until a text was written.
func (w *talk) wait(text string) {
	for !strings.Contains(w.String(), text) {
		<-w.said
	}
}

// serve runs kaztoken virtual --json with more arguments until the test ends or
// stops it.
func serve(t *testing.T, args ...string) *serving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := lines{make(chan string, 1)}
	s := &serving{errs: &talk{said: make(chan struct{}, 1)}}
	done := make(chan result, 1)
	go func() {
		done <- run(t, ctx, nil, func(e *Env) { e.Out, e.Err = out, s.errs }, append([]string{"virtual", "--json"}, args...)...)
	}()
	s.stop = sync.OnceValue(func() result {
		cancel()
		r := <-done
		r.err = s.errs.String()
		return r
	})
	t.Cleanup(func() {
		if r := s.stop(); r.code != exitOK {
			t.Errorf("interrupted: exit code %d, %s", r.code, r.err)
		}
	})
	select {
	case s.line = <-out.c:
		if err := json.Unmarshal([]byte(s.line), &s.servedJSON); err != nil {
			t.Fatal(err)
		}
	case r := <-done:
		done <- r
		t.Fatalf("exit code %d: %s", r.code, s.errs)
	}
	return s
}

// gadget is a device that a test attached over USB/IP, as a kernel would.
type gadget struct {
	t    *testing.T
	conn net.Conn
	id   uint32
	seq  uint32
}

// attach imports a device.
func attach(t *testing.T, address, busID string) *gadget {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	e, err := usbip.Import(conn, busID)
	if err != nil {
		t.Fatal(err)
	}
	return &gadget{t: t, conn: conn, id: e.DevID()}
}

// submit runs a bulk transfer of endpoint 1, out, or 2, in (Linux
// Documentation/usb/usbip_protocol.rst, USBIP_CMD_SUBMIT and USBIP_RET_SUBMIT).
func (g *gadget) submit(endpoint uint32, data []byte, length int) []byte {
	g.t.Helper()
	g.seq++
	b := make([]byte, 0, 48+len(data))
	for _, v := range []uint32{1, g.seq, g.id, endpoint - 1, endpoint, 0, uint32(length), 0, 0xFFFFFFFF, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	if _, err := g.conn.Write(append(b, data...)); err != nil {
		g.t.Fatal(err)
	}
	b = b[:48]
	if _, err := io.ReadFull(g.conn, b); err != nil {
		g.t.Fatal(err)
	}
	if code, status := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[20:]); code != 3 || status != 0 {
		g.t.Fatalf("reply %d, status %d", code, int32(status))
	}
	if data != nil {
		return nil
	}
	reply := make([]byte, binary.BigEndian.Uint32(b[24:]))
	if _, err := io.ReadFull(g.conn, reply); err != nil {
		g.t.Fatal(err)
	}
	return reply
}

// message sends a CCID message and gives the data of its answer (CCID rev 1.10
// §6.1).
func (g *gadget) message(kind, parameter byte, data []byte) []byte {
	g.t.Helper()
	msg := binary.LittleEndian.AppendUint32([]byte{kind}, uint32(len(data)))
	msg = append(append(msg, 0, byte(g.seq), parameter, 0, 0), data...)
	g.submit(1, msg, len(msg))
	reply := g.submit(2, nil, 271)
	if len(reply) < 10 || reply[0] != 0x80 || reply[7] != 0 {
		g.t.Fatalf("CCID answer % X", reply)
	}
	return reply[10:]
}

func (g *gadget) powerOn() []byte             { g.t.Helper(); return g.message(0x62, 1, nil) }
func (g *gadget) transmit(apdu []byte) []byte { g.t.Helper(); return g.message(0x6F, 0, apdu) }

// reader is a vpcd that a test is.
type reader struct {
	t *testing.T
	net.Listener
	conn net.Conn
}

// listen makes n readers on ports that follow each other.
func listen(t *testing.T, n int) (address string, all []*reader) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address, all = l.Addr().String(), []*reader{{t: t, Listener: l}}
		port := l.Addr().(*net.TCPAddr).Port
		for i := 1; i < n; i++ {
			l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port+i))
			if err != nil {
				break
			}
			all = append(all, &reader{t: t, Listener: l})
		}
		if len(all) == n {
			t.Cleanup(func() {
				for _, r := range all {
					r.Close()
				}
			})
			return address, all
		}
		for _, r := range all {
			r.Close()
		}
	}
	t.Fatalf("no %d ports in a row are free", n)
	return "", nil
}

// card takes the next card that is put in.
func (r *reader) card() {
	r.t.Helper()
	var err error
	if r.conn, err = r.Accept(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { r.conn.Close() })
	r.say(0x01)
	if atr := r.ask(0x04); !bytes.Equal(atr, ccidsim.KAZTOKEN.ATR) {
		r.t.Fatalf("ATR % X", atr)
	}
}

func (r *reader) say(msg ...byte) {
	r.t.Helper()
	if _, err := r.conn.Write(append([]byte{byte(len(msg) >> 8), byte(len(msg))}, msg...)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reader) ask(msg ...byte) []byte {
	r.t.Helper()
	r.say(msg...)
	var head [2]byte
	if _, err := io.ReadFull(r.conn, head[:]); err != nil {
		r.t.Fatal(err)
	}
	answer := make([]byte, binary.BigEndian.Uint16(head[:]))
	if _, err := io.ReadFull(r.conn, answer); err != nil {
		r.t.Fatal(err)
	}
	return answer
}

// APDUs of token.md 3 and 4.
var (
	getTokenID    = []byte{0x00, 0xCA, 0x01, 0x81, 0x08}
	verifyUser    = []byte{0x00, 0x20, 0x00, 0x02, 0x08, '1', '2', '3', '4', '5', '6', '7', '8'}
	userTriesLeft = []byte{0x00, 0x20, 0x00, 0x02}
	success       = []byte{0x90, 0x00}
)

// idAnswer is the answer to getTokenID of the nth token.
func idAnswer(n byte) []byte {
	return []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58 + n, 0x90, 0x00}
}

func TestVirtual(t *testing.T) {
	for _, p := range ccidsim.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			s := serve(t, "--usbip", "127.0.0.1:0", "--profile", p.Name)
			golden(t, "keys-virtual", keys(t, s.line))
			slots := p.Interface.Reader.Slots()
			if s.Profile != p.Name || s.BusID != "1-1" || len(s.Tokens) != slots || s.Tokens[0].ID != "32D18A58" {
				t.Errorf("serves %+v", s.servedJSON)
			}
			c, err := net.Dial("tcp", s.Address)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			list, err := usbip.List(c)
			if err != nil || len(list) != 1 || list[0].Vendor != p.Vendor || list[0].Product != p.Product {
				t.Errorf("device list %+v, %v", list, err)
			}
			if r := s.stop(); r.code != exitOK || r.err != "" {
				t.Errorf("interrupted: exit code %d, %q", r.code, r.err)
			}
		})
	}
}

// TestVirtualSeveral has three tokens on one bus, of which one comes and goes.
func TestVirtualSeveral(t *testing.T) {
	s := serve(t, "--usbip", "127.0.0.1:0", "--tokens", "3")
	c, err := net.Dial("tcp", s.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	list, err := usbip.List(c)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, e := range list {
		ids = append(ids, e.BusID)
	}
	if diff := cmp.Diff([]string{"1-1", "1-2", "1-3"}, ids); diff != "" {
		t.Errorf("bus ids (-want +got):\n%s", diff)
	}
	var gadgets []*gadget
	for i, token := range s.Tokens {
		if want := fmt.Sprintf("32D18A%X", 0x58+i); token.ID != want || token.BusID != ids[i] || token.VPCD != "" {
			t.Errorf("token %d is %+v, want %s at %s", i, token, want, ids[i])
		}
		g := attach(t, s.Address, token.BusID)
		g.powerOn()
		gadgets = append(gadgets, g)
	}
	for i, g := range gadgets {
		if got := g.transmit(getTokenID); !bytes.Equal(got, idAnswer(byte(i))) {
			t.Errorf("token %d answers % X", i, got)
		}
		if got := g.transmit(verifyUser); !bytes.Equal(got, success) {
			t.Errorf("token %d: log-in answered % X", i, got)
		}
	}
	gadgets[1].conn.Close()
	for _, i := range []int{0, 2} {
		if got := gadgets[i].transmit(userTriesLeft); !bytes.Equal(got, success) {
			t.Errorf("token %d is logged out by the unplugging of another: % X", i, got)
		}
	}
	// The one that left comes back; who attaches it too early is refused.
	var again *gadget
	for again == nil {
		conn, err := net.Dial("tcp", s.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if e, err := usbip.Import(conn, "1-2"); err == nil {
			again = &gadget{t: t, conn: conn, id: e.DevID()}
		} else if !strings.Contains(err.Error(), "imported by another") {
			t.Fatal(err)
		}
	}
	again.powerOn()
	if got := again.transmit(getTokenID); !bytes.Equal(got, idAnswer(1)) {
		t.Errorf("the second token answers % X when it is back", got)
	}
}

// TestVirtualSerials: tokens of a kind that has USB serial numbers differ in them.
func TestVirtualSerials(t *testing.T) {
	s := serve(t, "--usbip", "127.0.0.1:0", "--tokens", "2", "--profile", "two-slots")
	var got []string
	for _, c := range s.Tokens {
		got = append(got, fmt.Sprintf("%s %s %s slot %d", c.ID, c.USB.Serial, c.BusID, c.Slot))
	}
	want := []string{"32D18A58 0004 1-1 slot 0", "32D18A59 0004 1-1 slot 1", "32D18A5A 0004-2 1-2 slot 0", "32D18A5B 0004-2 1-2 slot 1"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestVirtualVPCD has two readers, one of which is restarted.
func TestVirtualVPCD(t *testing.T) {
	address, readers := listen(t, 2)
	s := serve(t, "--vpcd", address, "--tokens", "2")
	if s.Address != "" || s.BusID != "" || s.Tokens[0].VPCD != address || s.Tokens[1].VPCD != readers[1].Addr().String() {
		t.Errorf("serves %+v", s.servedJSON)
	}
	for i, r := range readers {
		r.card()
		if got := r.ask(getTokenID...); !bytes.Equal(got, idAnswer(byte(i))) {
			t.Errorf("token %d answers % X", i, got)
		}
		if got := r.ask(verifyUser...); !bytes.Equal(got, success) {
			t.Errorf("token %d: log-in answered % X", i, got)
		}
		s.errs.wait("token " + s.Tokens[i].ID + " is in the reader at " + s.Tokens[i].VPCD + "\n")
	}
	readers[0].conn.Close()
	s.errs.wait("token 32D18A58 waits for the reader at " + address + " to come back\n")
	if got := readers[1].ask(userTriesLeft...); !bytes.Equal(got, success) {
		t.Errorf("the other token is logged out: % X", got)
	}
	readers[0].card()
	if got := readers[0].ask(userTriesLeft...); bytes.Equal(got, success) {
		t.Error("a token that was pulled out is still logged in")
	}
	// Power off is a log-out too, and a card in no reader is waited for.
	readers[1].say(0x00)
	if got := readers[1].ask(userTriesLeft...); bytes.Equal(got, success) {
		t.Error("a token without power is still logged in")
	}
	for _, r := range readers {
		r.Close()
		r.conn.Close()
	}
	s.errs.wait("token 32D18A59 waits for the reader at " + s.Tokens[1].VPCD + " to come back\n")
	if r := s.stop(); r.code != exitOK {
		t.Errorf("interrupted: exit code %d, %s", r.code, r.err)
	}
}

// TestVirtualBoth has one token in two readers: what one unlocked is not for
// the other.
func TestVirtualBoth(t *testing.T) {
	address, readers := listen(t, 1)
	s := serve(t, "--vpcd", address, "--usbip", "127.0.0.1:0")
	r := readers[0]
	r.card()
	g := attach(t, s.Address, s.BusID)
	g.powerOn()
	if got := g.transmit(verifyUser); !bytes.Equal(got, success) {
		t.Fatalf("log-in answered % X", got)
	}
	// pcscd looks at its reader, and switches off what nobody uses.
	r.ask(0x04)
	r.say(0x00)
	r.ask(0x04)
	if got := g.transmit(userTriesLeft); !bytes.Equal(got, success) {
		t.Errorf("a look at the other reader logged out: % X", got)
	}
	if got := r.ask(userTriesLeft...); bytes.Equal(got, success) {
		t.Error("logged in through the other reader")
	}
	if got := g.transmit(userTriesLeft); bytes.Equal(got, success) {
		t.Error("still logged in after the token was in the other reader")
	}
	if got := r.ask(getTokenID...); !bytes.Equal(got, idAnswer(0)) {
		t.Errorf("answers % X", got)
	}
}

func TestVirtualTells(t *testing.T) {
	for _, c := range []struct {
		args []string
		want []string
		not  string
	}{
		{args: []string{"--usbip", "127.0.0.1:0"}, want: []string{"a virtual DigiFlow LLP. KAZTOKEN (0a89:0035); Ctrl-C", "attach it", "attach -r 127.0.0.1 -b 1-1\n"}},
		{args: []string{"--usbip", "127.0.0.1:0", "--tokens", "2"}, want: []string{"2 virtual", "attach them", "-b 1-1\n", "-b 1-2\n"}},
		{args: []string{"--vpcd", "127.0.0.1:1"}, want: []string{"a virtual DigiFlow", "token 32D18A58 waits for the reader at 127.0.0.1:1: ", "refused"}, not: "usbip"},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		errs := &talk{said: make(chan struct{}, 1)}
		done := make(chan result, 1)
		go func() {
			done <- run(t, ctx, nil, func(e *Env) { e.Err = errs }, append([]string{"virtual"}, c.args...)...)
		}()
		for _, want := range c.want {
			errs.wait(want)
		}
		cancel()
		if r := <-done; r.code != exitOK || r.out != "" {
			t.Errorf("%v: exit code %d, standard output %q", c.args, r.code, r.out)
		}
		if c.not != "" && strings.Contains(errs.String(), c.not) {
			t.Errorf("%v: %q", c.args, errs)
		}
	}
	for address, want := range map[string]string{
		"127.0.0.1:3240":  "usbip attach -r 127.0.0.1 -b 1-1",
		"127.0.0.1:34567": "usbip --tcp-port 34567 attach -r 127.0.0.1 -b 1-1",
		"[::1]:3240":      "usbip attach -r ::1 -b 1-1",
	} {
		var out bytes.Buffer
		a := &app{Env: Env{Err: &out}}
		tokens := &virtualTokens{devices: []*ccidsim.Device{ccidsim.New(ccidsim.ExtendedAPDU)}, busIDs: []string{"1-1"}, listener: listenerAt(address)}
		if err := a.announce(tokens); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %q, %v, want %q", address, out.String(), err, want)
		}
	}
}

// listenerAt is a listener as far as its address is concerned.
type listenerAt string

func (l listenerAt) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l listenerAt) Close() error              { return nil }
func (l listenerAt) Addr() net.Addr            { return l }
func (l listenerAt) Network() string           { return "tcp" }
func (l listenerAt) String() string            { return string(l) }

func TestVirtualRefuses(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		text string
	}{
		{[]string{"--usbip", "256.0.0.1:1"}, exitFailed, "256.0.0.1"},
		{[]string{"--usbip", "127.0.0.1:0", "--tokens", "0"}, exitUsage, "1 to 16"},
		{[]string{"--usbip", "127.0.0.1:0", "--tokens", "17"}, exitUsage, "1 to 16"},
		{[]string{"--usbip", "127.0.0.1:0", "--tokens", "many"}, exitUsage, "many"},
		{[]string{"--vpcd", "localhost:0"}, exitUsage, "HOST:PORT"},
		{[]string{"--vpcd", "localhost:vpcd"}, exitUsage, "HOST:PORT"},
		{[]string{"--vpcd", ":35963"}, exitUsage, "HOST:PORT"},
		{[]string{"--vpcd", "localhost:65535", "--tokens", "2"}, exitUsage, "ports up to 65536"},
		{[]string{"--vpcd", "no such host"}, exitFailed, "no such host"},
		// One road that fails ends the other.
		{[]string{"--vpcd", "no such host", "--usbip", "127.0.0.1:0"}, exitFailed, "no such host"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			run(t, t.Context(), nil, nil, append([]string{"virtual"}, c.args...)...).want(t, c.code, c.text)
		})
	}
}

// broke is a standard output that is closed.
type broke struct{}

var errBroken = errors.New("broken pipe")

func (broke) Write([]byte) (int, error) { return 0, errBroken }

// TestVirtualUnannounced: tokens that nobody can be told of are not served.
func TestVirtualUnannounced(t *testing.T) {
	for _, args := range [][]string{{"--usbip", "127.0.0.1:0"}, {"--vpcd", "127.0.0.1:1"}} {
		run(t, t.Context(), nil, func(e *Env) { e.Out = broke{} }, append([]string{"virtual", "--json"}, args...)...).want(t, exitFailed, "broken pipe")
	}
}

// TestVirtualState: the virtual token stays what it is from run to run, in the
// file that is named, and is nobody else's while a run has it.
func TestVirtualState(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	state := []string{"--virtual-state", file, "apdu"}
	virtual(t, "00200002 08 3030303030303030\n", state...).want(t, exitOK)
	for path, left := range map[string]string{file: "63C9", filepath.Join(t.TempDir(), "other"): "63CA"} {
		r := virtual(t, "00200002\n", "--virtual-state", path, "apdu")
		r.want(t, exitOK)
		if !strings.Contains(r.out, "< "+left) {
			t.Errorf("answers %q, want %s", r.out, left)
		}
	}
	card, err := emu.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	virtual(t, "", append(state, "00CA018100")...).want(t, exitOutOfReach, file, "another file")
	virtual(t, "", "--virtual-state", file, "list").want(t, exitOK) // it opens nothing
	if err := card.Close(); err != nil {
		t.Fatal(err)
	}
	virtual(t, "", append(state, "00CA018100")...).want(t, exitOK)
}

// TestVirtualKept: with --state the next run has the tokens that the one before
// left, and --factory starts over.
func TestVirtualKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	efDir := []byte{0x00, 0xA4, 0x00, 0x00, 0x02, 0x2F, 0x00, 0x00}
	verifyWrong := append(append([]byte{}, userTriesLeft...), 8, '0', '0', '0', '0', '0', '0', '0', '0')
	for _, step := range []struct {
		name      string
		args      []string
		left      [2]byte // tries of both tokens, as the card says it
		formatted bool    // as OpenSC does
	}{
		{"new", nil, [2]byte{10, 10}, true},
		{"again", nil, [2]byte{9, 10}, true},
		{"once more", nil, [2]byte{8, 10}, true},
		{"start over", []string{"--factory"}, [2]byte{10, 10}, true},
		{"after that", nil, [2]byte{9, 10}, true},
		{"start over in another state", []string{"--factory", "--vendor-formatted"}, [2]byte{10, 10}, false},
		{"which stays", nil, [2]byte{9, 10}, false},
	} {
		address, readers := listen(t, 2)
		s := serve(t, append([]string{"--vpcd", address, "--tokens", "2", "--state", file}, step.args...)...)
		for i, r := range readers {
			if want := file + []string{"", ".2"}[i]; s.Tokens[i].State != want {
				t.Errorf("%s: token %d is kept in %s, want %s", step.name, i, s.Tokens[i].State, want)
			}
			r.card()
			if got := r.ask(getTokenID...); !bytes.Equal(got, idAnswer(byte(i))) {
				t.Errorf("%s: token %d answers % X", step.name, i, got)
			}
			if got := r.ask(userTriesLeft...); !bytes.Equal(got, []byte{0x63, 0xC0 | step.left[i]}) {
				t.Errorf("%s: token %d answers % X, want %d tries left", step.name, i, got, step.left[i])
			}
			if got := r.ask(efDir...); bytes.HasSuffix(got, success) != step.formatted {
				t.Errorf("%s: token %d answers SELECT EF(DIR) with % X", step.name, i, got)
			}
		}
		readers[0].ask(verifyWrong...)
		if r := s.stop(); r.code != exitOK {
			t.Errorf("%s: exit code %d, %s", step.name, r.code, r.err)
		}
		for _, r := range readers {
			r.Close()
		}
	}
	// A file keeps its token, id included, whatever its place.
	address, readers := listen(t, 1)
	s := serve(t, "--vpcd", address, "--state", file+".2")
	readers[0].card()
	if got := readers[0].ask(getTokenID...); s.Tokens[0].ID != "32D18A59" || !bytes.Equal(got, idAnswer(1)) {
		t.Errorf("the second token alone is %s and answers % X", s.Tokens[0].ID, got)
	}

	// The run above has it.
	for _, c := range []struct {
		args []string
		code int
		text []string
	}{
		{[]string{"--state", file + ".2"}, exitOutOfReach, []string{file + ".2", "another file"}},
		{[]string{"--state", file + ".2", "--factory"}, exitOutOfReach, []string{file + ".2", "another file"}},
		{[]string{"--state", file, "--tokens", "2"}, exitOutOfReach, []string{file + ".2"}},
		{[]string{"--state", file, "--vendor-formatted"}, exitUsage, []string{file, "--factory"}},
		{[]string{"--state", filepath.Join(file, "below"), "--vendor-formatted"}, exitFailed, []string{"below"}},
		{[]string{"--state", filepath.Join(t.TempDir(), "none", "state")}, exitFailed, []string{"none"}},
		{[]string{"--virtual-state", file}, exitUsage, []string{"--state"}},
	} {
		run(t, t.Context(), nil, nil, append([]string{"virtual", "--usbip", "127.0.0.1:0"}, c.args...)...).want(t, c.code, c.text...)
	}
	if got := readers[0].ask(userTriesLeft...); !bytes.Equal(got, []byte{0x63, 0xCA}) {
		t.Errorf("the token that is served answers % X after others wanted it", got)
	}
	// What cannot be served is not started over.
	run(t, t.Context(), nil, nil, "virtual", "--usbip", "256.0.0.1:1", "--state", file, "--factory").want(t, exitFailed, "256.0.0.1")
	if r := virtual(t, "00200002\n", "--virtual-state", file, "apdu"); !strings.Contains(r.out, "< 63C8") {
		t.Errorf("a token that could not be served was changed: %q", r.out)
	}

	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, t.Context(), nil, nil, "virtual", "--usbip", "127.0.0.1:0", "--state", bad).want(t, exitFailed, bad, "remove it")
}

func TestReaderAddresses(t *testing.T) {
	for _, c := range []struct {
		address string
		n       int
		want    string
	}{
		{"", 2, " "},
		{"localhost", 1, "localhost:35963"},
		{"localhost:1", 3, "localhost:1 localhost:2 localhost:3"},
		{"::1", 1, "[::1]:35963"},
		{"[::1]", 1, "[::1]:35963"},
		{"[::1]:65534", 2, "[::1]:65534 [::1]:65535"},
	} {
		got, err := readerAddresses(c.address, c.n)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q, %d: %v, %v, want %s", c.address, c.n, got, err, c.want)
		}
	}
}

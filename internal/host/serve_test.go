package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// station is a service that runs for one test. Nothing may be left of it.
type station struct {
	*Service
	t       testing.TB
	stop    context.CancelFunc
	ended   chan error // of Serve
	stopped bool
}

// startService opens a service and serves until the end of the test, or stop.
func startService(t testing.TB, o ServiceOptions) *station {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	if o.Socket == "" && o.Passed == nil {
		o.Socket = filepath.Join(shortDir(t), "s")
	}
	s, err := OpenService(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	st := &station{Service: s, t: t, stop: cancel, ended: make(chan error, 1)}
	go func() { st.ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		st.end()
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
		eventually(t, "descriptors are closed", func() bool { return openFiles() <= files })
	})
	return st
}

// end stops the service as SIGTERM does.
func (s *station) end() {
	s.t.Helper()
	if s.stopped {
		return
	}
	s.stopped = true
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Errorf("Serve: %v", err)
	}
	if err := s.Close(); err != nil {
		s.t.Errorf("Close: %v", err)
	}
	if _, err := os.Lstat(statusPath(s.options.Socket)); !errors.Is(err, fs.ErrNotExist) {
		s.t.Errorf("the socket for status: %v", err)
	}
}

// shortDir is a folder with a short name: that of a socket has 108 bytes.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kaz")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd") // none where there is no such folder
	return len(entries)
}

// eventually waits until something is so that cannot be waited for otherwise.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			buf := make([]byte, 1<<20)
			t.Fatalf("never: %s\n%s", what, buf[:runtime.Stack(buf, true)])
		}
	}
}

// program is a client of the service that speaks bytes.
type program struct {
	t testing.TB
	c net.Conn
}

// message is one of package wire.
type message interface{ AppendTo([]byte) []byte }

type nothing struct{}

func (nothing) AppendTo(b []byte) []byte { return b }

// connectProgram connects and speaks protocol 4:4.
func connectProgram(t testing.TB, socket string) *program {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	p := &program{t, c}
	p.say(wire.CmdVersion, wire.Version{Major: 4, Minor: 4})
	if v := hear(p, wire.VersionSize, wire.ParseVersion); v != (wire.Version{Major: 4, Minor: 4}) {
		t.Fatalf("version %+v", v)
	}
	return p
}

func (p *program) say(c wire.Command, m message, data ...byte) {
	p.t.Helper()
	body := m.AppendTo(nil)
	b := append(wire.Header{Size: uint32(len(body)), Command: c}.AppendTo(nil), body...)
	if _, err := p.c.Write(append(b, data...)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *program) read(n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	p.c.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(p.c, b); err != nil {
		p.t.Fatal(err)
	}
	return b
}

func hear[M any](p *program, size int, parse func([]byte) (M, error)) M {
	p.t.Helper()
	m, err := parse(p.read(size))
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *program) establish() wire.Context {
	p.t.Helper()
	p.say(wire.CmdEstablishContext, wire.Establish{Scope: wire.ScopeSystem})
	e := hear(p, wire.EstablishSize, wire.ParseEstablish)
	if e.Result != wire.Success || e.Context == 0 {
		p.t.Fatalf("establish: %+v", e)
	}
	return e.Context
}

// array reads the records of all readers that there are.
func (p *program) array() (readers []wire.Reader) {
	p.t.Helper()
	all := p.read(wire.LegacyReaders * wire.ReaderSize)
	for len(all) > 0 {
		r, err := wire.ParseReader(all[:wire.ReaderSize])
		if err != nil {
			p.t.Fatal(err)
		}
		if len(r.Name.Bytes()) > 0 {
			readers = append(readers, r)
		}
		all = all[wire.ReaderSize:]
	}
	return readers
}

func (p *program) readers() []wire.Reader {
	p.t.Helper()
	p.say(wire.CmdGetReadersState, nothing{})
	return p.array()
}

// wait registers for a change, of which changed hears.
func (p *program) wait() []wire.Reader {
	p.t.Helper()
	p.say(wire.CmdWaitReaderStateChange, nothing{})
	return p.array()
}

func (p *program) changed() wire.Result {
	p.t.Helper()
	return hear(p, wire.EventSize, wire.ParseEvent).Result
}

func (p *program) connect(c wire.Context, name string) (wire.Handle, wire.Result) {
	p.t.Helper()
	field, err := wire.NameOf(name)
	if err != nil {
		p.t.Fatal(err)
	}
	p.say(wire.CmdConnect, &wire.Connect{Context: c, Reader: field, Share: wire.ShareShared, Preferred: wire.ProtocolT0 | wire.ProtocolT1})
	m := hear(p, wire.ConnectSize, wire.ParseConnect)
	return m.Handle, m.Result
}

func (p *program) transmit(h wire.Handle, apdu []byte) ([]byte, wire.Result) {
	p.t.Helper()
	p.say(wire.CmdTransmit, &wire.Transmit{
		Handle: h, SendProtocol: wire.ProtocolT1, SendPCILength: 16, SendLength: uint32(len(apdu)), RecvProtocol: 2, RecvPCILength: 16,
		RecvLength: wire.MaxData,
	}, apdu...)
	m := hear(p, wire.TransmitSize, wire.ParseTransmit)
	if m.Result != wire.Success {
		return nil, m.Result
	}
	return p.read(int(m.RecvLength)), m.Result
}

const tokenName = "DigiFlow LLP. KAZTOKEN 00 00"

func TestServeVirtual(t *testing.T) {
	s := startService(t, ServiceOptions{Virtual: true, Program: "kaztoken v1.2.3"})
	<-s.Ready()
	p := connectProgram(t, s.options.Socket)
	context := p.establish()
	rs := p.readers()
	if len(rs) != 1 || rs[0].Name.String() != tokenName || rs[0].State != wire.CardReady || !bytes.Equal(rs[0].ATRBytes(), ccidsim.KAZTOKEN.ATR) {
		t.Fatalf("readers %+v", rs)
	}
	h, result := p.connect(context, tokenName)
	if result != wire.Success {
		t.Fatal(result)
	}
	if resp, result := p.transmit(h, challenge); result != wire.Success || len(resp) != 10 || !bytes.HasSuffix(resp, []byte{0x90, 0x00}) {
		t.Errorf("transmit: % X, %v", resp, result)
	}

	r, err := AskStatus(t.Context(), s.options.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Whole || r.Program != "kaztoken v1.2.3" || r.PID != os.Getpid() || r.Socket != s.options.Socket || len(r.Readers) != 1 || len(r.Clients) != 1 {
		t.Fatalf("report %+v", r)
	}
	if h := r.Readers[0].Handles; len(h) != 1 || h[0].PID != os.Getpid() || h[0].Program != programOf(os.Getpid()) || h[0].UID != uint32(os.Getuid()) || h[0].Share != "shared" {
		t.Errorf("handles %+v", h)
	}

	p.say(wire.CmdDisconnect, wire.Disconnect{Handle: h})
	if d := hear(p, wire.DisconnectSize, wire.ParseDisconnect); d.Result != wire.Success {
		t.Errorf("disconnect: %v", d.Result)
	}
	p.say(wire.CmdReleaseContext, wire.Release{Context: context})
	if r := hear(p, wire.ReleaseSize, wire.ParseRelease); r.Result != wire.Success {
		t.Errorf("release: %v", r.Result)
	}

	// A second service does not take the socket.
	_, err = OpenService(t.Context(), ServiceOptions{Virtual: true, Socket: s.options.Socket})
	var served *ServedError
	if !errors.As(err, &served) || served.Version != (wire.Version{Major: 4, Minor: 4}) || Hint(err) == "" {
		t.Errorf("a second service: %v", err)
	}
	if runtime.GOOS == "linux" && served.Holder.PID != os.Getpid() {
		t.Errorf("the holder is %v", served.Holder)
	}

	// A client that waits is told of the end.
	p.establish()
	if rs := p.wait(); len(rs) != 1 {
		t.Errorf("%d readers", len(rs))
	}
	s.end()
	if got := p.changed(); got == wire.Success {
		t.Errorf("the end is told as %v", got)
	}
	for _, path := range []string{s.options.Socket, PIDFile(s.options.Socket)} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// TestServeActivated serves the socket of a service manager, which keeps it.
func TestServeActivated(t *testing.T) {
	path := filepath.Join(shortDir(t), "pcscd.comm")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for range 2 { // the manager starts it again
		passed, err := net.FileListener(f)
		if err != nil {
			t.Fatal(err)
		}
		early := make(chan *program, 1)
		early <- connectAsync(t, path) // the one that had it started
		s := startService(t, ServiceOptions{Virtual: true, Passed: passed.(*net.UnixListener), Socket: path})
		p := <-early
		p.say(wire.CmdVersion, wire.Version{Major: 4, Minor: 4})
		hear(p, wire.VersionSize, wire.ParseVersion)
		if rs := p.readers(); len(rs) != 1 || rs[0].State != wire.CardReady {
			t.Errorf("the first client sees %+v", rs)
		}
		p.c.Close()
		s.end()
		if _, err := os.Lstat(path); err != nil {
			t.Fatalf("the manager's socket: %v", err)
		}
	}
}

func connectAsync(t *testing.T, socket string) *program {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &program{t, c}
}

// plugs is a machine whose USB devices are simulated: a Source, and a driver
// that opens them.
type plugs struct {
	*bus
	devices map[address]*ccidsim.Device
}

func newPlugs() *plugs {
	b := newBus()
	b.reports = make(chan report, 8*noticeQueue)
	return &plugs{b, make(map[address]*ccidsim.Device)}
}

// at is what the machine knows of a device at an address.
func (p *plugs) at(d *ccidsim.Device, busNo, addr int) usb.Info {
	info := d.Info()
	info.Bus, info.Addr, info.Port = busNo, addr, fmt.Sprintf("%d-1", busNo)
	return info
}

// there plugs a device in before anybody looks.
func (p *plugs) there(d *ccidsim.Device, busNo, addr int) {
	info := p.at(d, busNo, addr)
	p.bus.plug(info)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.devices[addressOf(info)] = d
}

func (p *plugs) insert(d *ccidsim.Device, busNo, addr int) {
	p.there(d, busNo, addr)
	p.say(Added, p.at(d, busNo, addr))
}

func (p *plugs) pull(d *ccidsim.Device, busNo, addr int) {
	info := p.at(d, busNo, addr)
	d.Unplug()
	p.bus.unplug(info)
	p.say(Gone, info)
}

func (p *plugs) follow(o Options) (*Supervisor, error) {
	filter, err := filterNamed(o.Devices)
	if err != nil {
		return nil, err
	}
	return Supervise(Config{Source: p.bus, Filter: filter, Log: o.Log, Driver: Driver{"test", func(_ context.Context, dev usb.Info, _ usb.Interface) (usb.Pipe, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		d := p.devices[addressOf(dev)]
		if d == nil {
			return nil, usb.ErrGone
		}
		return d.Pipe(), nil
	}}})
}

// TestServeHotPlug goes the whole way: plug, event, connect, transmit, unplug
// while one program waits and another is at the card.
func TestServeHotPlug(t *testing.T) {
	m := newPlugs()
	s := startService(t, ServiceOptions{follow: m.follow})
	<-s.Ready()
	waiter, user := connectProgram(t, s.options.Socket), connectProgram(t, s.options.Socket)
	waiter.establish()
	if rs := waiter.wait(); len(rs) != 0 {
		t.Fatalf("readers before the plug: %+v", rs)
	}
	context := user.establish()
	for i := range 5 {
		d := kaztokenDevice()
		m.insert(d, 1, 4+i)
		if got := waiter.changed(); got != wire.Success {
			t.Fatal(got)
		}
		// The ATR comes with the card.
		rs := waiter.wait()
		if len(rs) != 1 || rs[0].Name.String() != tokenName || rs[0].State != wire.CardReady || !bytes.Equal(rs[0].ATRBytes(), ccidsim.KAZTOKEN.ATR) {
			t.Fatalf("readers after the plug: %+v", rs)
		}
		h, result := user.connect(context, tokenName)
		if result != wire.Success {
			t.Fatal(result)
		}
		if got := waiter.changed(); got != wire.Success { // somebody has the card
			t.Fatal(got)
		}
		waiter.wait()
		if resp, result := user.transmit(h, challenge); result != wire.Success || len(resp) != 10 {
			t.Errorf("transmit: % X, %v", resp, result)
		}
		m.pull(d, 1, 4+i)
		if got := waiter.changed(); got != wire.Success {
			t.Fatal(got)
		}
		if rs := waiter.wait(); len(rs) != 0 {
			t.Fatalf("readers after the unplug: %+v", rs)
		}
		if _, result := user.transmit(h, challenge); result == wire.Success {
			t.Error("a card that is gone answers")
		}
		user.say(wire.CmdDisconnect, wire.Disconnect{Handle: h})
		if got := hear(user, wire.DisconnectSize, wire.ParseDisconnect); got.Result != wire.Success {
			t.Errorf("disconnect from a reader that is gone: %v", got.Result)
		}
	}
}

// TestServeBehindReader serves the token in software down to its endpoints.
func TestServeBehindReader(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	s := startService(t, ServiceOptions{Options: Options{Backend: "virtual", VirtualState: state}})
	p := connectProgram(t, s.options.Socket)
	context := p.establish()
	if rs := p.readers(); len(rs) != 1 || rs[0].Name.String() != tokenName {
		t.Fatalf("readers %+v", rs)
	}
	h, result := p.connect(context, tokenName)
	if result != wire.Success {
		t.Fatal(result)
	}
	if resp, result := p.transmit(h, challenge); result != wire.Success || len(resp) != 10 {
		t.Errorf("transmit: % X, %v", resp, result)
	}
	if err := s.Apply(Choices{Readers: "all"}); err != nil { // it has no choice
		t.Error(err)
	}
}

// TestServeUnpluggedInside pulls the token out while the card is at a command.
func TestServeUnpluggedInside(t *testing.T) {
	m := newPlugs()
	d := kaztokenDevice()
	m.there(d, 1, 4)
	s := startService(t, ServiceOptions{follow: m.follow})
	p := connectProgram(t, s.options.Socket)
	context := p.establish()
	if rs := p.readers(); len(rs) != 1 { // waits for the reader of the start
		t.Fatalf("readers %+v", rs)
	}
	h, result := p.connect(context, tokenName)
	if result != wire.Success {
		t.Fatal(result)
	}
	begun := make(chan struct{}, 1)
	d.SetTrace(func(w ccidsim.Where, msg []byte) {
		if w == ccidsim.Out && msg[0] == 0x6F { // XfrBlock
			begun <- struct{}{}
		}
	})
	d.Inject(ccidsim.Fault{Where: ccidsim.In, Kind: ccidsim.Silence})
	go func() {
		<-begun
		m.pull(d, 1, 4)
	}()
	if _, result := p.transmit(h, challenge); result != wire.ReaderUnavailable {
		t.Errorf("the command ends with %v, want %v", result, wire.ReaderUnavailable)
	}
}

// TestServeSlots has a card in the second slot of a reader come and go.
func TestServeSlots(t *testing.T) {
	m := newPlugs()
	card := func() ccidsim.Card { return emu.New(emu.WithATR(ccidsim.TwoSlots.ATR)) }
	d := ccidsim.New(ccidsim.TwoSlots, card(), nil)
	m.there(d, 1, 4)
	s := startService(t, ServiceOptions{follow: m.follow, Choices: Choices{Readers: "all"}})
	p := connectProgram(t, s.options.Socket)
	p.establish()
	state := func(rs []wire.Reader) (states []wire.ReaderState) {
		slices.SortFunc(rs, func(a, b wire.Reader) int { return bytes.Compare(a.Name[:], b.Name[:]) })
		for _, r := range rs {
			states = append(states, r.State)
		}
		return states
	}
	if got := state(p.readers()); !cmp.Equal(got, []wire.ReaderState{wire.CardReady, wire.NoCard}) {
		t.Fatalf("states at the start: %v", got)
	}
	p.wait()
	d.InsertCard(1, card())
	if got := p.changed(); got != wire.Success {
		t.Fatal(got)
	}
	rs := p.wait()
	if got := state(rs); !cmp.Equal(got, []wire.ReaderState{wire.CardReady, wire.CardReady}) || rs[1].ATRLength == 0 {
		t.Fatalf("states after the insertion: %v", got)
	}
	d.RemoveCard(0)
	if got := p.changed(); got != wire.Success {
		t.Fatal(got)
	}
	if got := state(p.readers()); !cmp.Equal(got, []wire.ReaderState{wire.NoCard, wire.CardReady}) {
		t.Fatalf("states after the removal: %v", got)
	}
}

// TestServeReload changes which readers are served.
func TestServeReload(t *testing.T) {
	m := newPlugs()
	m.there(kaztokenDevice(), 1, 4)
	ecp := ccidsim.New(ccidsim.RutokenECP, emu.New(emu.WithATR(ccidsim.RutokenECP.ATR)))
	m.there(ecp, 1, 5)
	s := startService(t, ServiceOptions{follow: m.follow})
	p := connectProgram(t, s.options.Socket)
	p.establish()
	if rs := p.wait(); len(rs) != 1 {
		t.Fatalf("%d readers, want the KAZTOKEN", len(rs))
	}
	if err := s.Apply(Choices{Readers: "rutoken", Users: []string{"0"}}); err != nil {
		t.Fatal(err)
	}
	if got := p.changed(); got != wire.Success {
		t.Fatal(got)
	}
	if rs := p.wait(); len(rs) != 2 {
		t.Fatalf("%d readers, want both", len(rs))
	}
	for _, c := range []Choices{{Readers: "some"}, {Users: []string{"nobody of this name"}}, {Groups: []string{"no such group"}}} {
		if err := s.Apply(c); err == nil {
			t.Errorf("%+v was taken over", c)
		}
	}
	if err := s.Apply(Choices{}); err != nil {
		t.Fatal(err)
	}
	if got := p.changed(); got != wire.Success {
		t.Fatal(got)
	}
	if rs := p.readers(); len(rs) != 1 || rs[0].Name.String() != tokenName {
		t.Errorf("readers %+v", rs)
	}
}

func TestServeWhatIsNotThere(t *testing.T) {
	socket := filepath.Join(shortDir(t), "s")
	var option *OptionError
	for name, o := range map[string]ServiceOptions{
		"backend": {Options: Options{Backend: "pcsc"}},
		"readers": {Choices: Choices{Readers: "some"}},
		"slots":   {LegacySlots: maxLegacySlots + 1},
	} {
		o.Socket = socket
		if _, err := OpenService(t.Context(), o); !errors.As(err, &option) {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing := errors.New("no USB")
	for name, o := range map[string]ServiceOptions{
		"supervisor": {follow: func(Options) (*Supervisor, error) { return nil, failing }},
		"user":       {Choices: Choices{Users: []string{"nobody of this name"}}},
		"state":      {Virtual: true, Options: Options{VirtualState: filepath.Join(socket, "no", "folder")}},
	} {
		o.Socket = socket
		if _, err := OpenService(t.Context(), o); err == nil {
			t.Errorf("%s: no error", name)
		}
		if left, err := filepath.Glob(socket + "*"); err != nil || len(left) > 0 {
			t.Errorf("%s: left %v, %v", name, left, err)
		}
	}
}

func TestAccess(t *testing.T) {
	p, err := Choices{Users: []string{"4000001"}, Groups: []string{"4000002"}}.access()
	if err != nil {
		t.Fatal(err)
	}
	for peer, want := range map[*bridge.Peer]bool{
		{UID: 0}: true, {UID: uint32(os.Geteuid())}: true, {UID: 4000001, GID: 1}: true,
		{UID: 4000003, GID: 4000002}: true, {UID: 4000003, GID: 1, Groups: []uint32{7, 4000002}}: true, {UID: 4000003, GID: 4000001}: false,
	} {
		if got := p.Allow(*peer); got != want {
			t.Errorf("%+v is allowed: %v", *peer, got)
		}
	}
}

func TestUnused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards n and changed
		n, changed := 0, make(chan struct{})
		set := func(to int) {
			mu.Lock()
			n = to
			close(changed)
			changed = make(chan struct{})
			mu.Unlock()
			synctest.Wait()
		}
		clients := func() (int, <-chan struct{}) {
			mu.Lock()
			defer mu.Unlock()
			return n, changed
		}
		began := time.Now()
		done := make(chan time.Duration, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		run := func() {
			if unused(ctx, time.Minute, clients) {
				done <- time.Since(began)
			} else {
				done <- -1
			}
		}
		go run()
		time.Sleep(59 * time.Second)
		set(1)
		time.Sleep(time.Hour)
		set(2)
		set(0)
		time.Sleep(30 * time.Second)
		set(1)
		set(0)
		if got, want := <-done, 59*time.Second+time.Hour+30*time.Second+time.Minute; got != want {
			t.Errorf("ended after %v, want %v", got, want)
		}
		began = time.Now()
		go run()
		if got := <-done; got != time.Minute {
			t.Errorf("without any client it ended after %v", got)
		}
		set(1)
		go run()
		cancel()
		if got := <-done; got != -1 {
			t.Errorf("cancelled, it ended after %v", got)
		}
	})
}

// TestServeIdleExit ends with the last client.
func TestServeIdleExit(t *testing.T) {
	s := startService(t, ServiceOptions{Virtual: true, IdleExit: time.Nanosecond})
	if err := <-s.ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	s.ended <- nil // for end
}

// TestServeLogs runs a log-in at trace level: neither PIN nor key may be seen.
func TestServeLogs(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	log.SetLevel(logrus.TraceLevel)
	m := newPlugs()
	m.there(kaztokenDevice(), 1, 4)
	s := startService(t, ServiceOptions{Options: Options{Log: log}, follow: m.follow})
	p := connectProgram(t, s.options.Socket)
	context := p.establish()
	p.readers()
	h, result := p.connect(context, tokenName)
	if result != wire.Success {
		t.Fatal(result)
	}
	const pin = "12345678"
	if resp, result := p.transmit(h, append([]byte{0x00, 0x20, 0x00, 0x02, byte(len(pin))}, pin...)); result != wire.Success || !bytes.Equal(resp, []byte{0x90, 0x00}) {
		t.Fatalf("log-in: % X, %v", resp, result)
	}
	s.end()
	text := out.String()
	for _, secret := range []string{pin, "3132333435363738", "31 32 33 34", "49 50 51", "49, 50, 51"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	for _, want := range []string{"service: connected", "service: attached", "service: request", "command=Transmit", "ins=20", "sw=9000", "pid=" + fmt.Sprint(os.Getpid())} {
		if !strings.Contains(text, want) {
			t.Errorf("the log lacks %q in\n%s", want, text)
			break
		}
	}
}

// BenchmarkServeTransmit is one APDU from a program's socket to the card and
// back: to a card in software, and to one behind a simulated reader.
func BenchmarkServeTransmit(b *testing.B) {
	for name, o := range map[string]func(testing.TB) ServiceOptions{
		"card": func(testing.TB) ServiceOptions { return ServiceOptions{Virtual: true} },
		"reader": func(testing.TB) ServiceOptions {
			m := newPlugs()
			m.there(kaztokenDevice(), 1, 4)
			return ServiceOptions{follow: m.follow}
		},
	} {
		b.Run(name, func(b *testing.B) {
			s := startService(b, o(b))
			p := connectProgram(b, s.options.Socket)
			context := p.establish()
			p.readers()
			h, result := p.connect(context, tokenName)
			if result != wire.Success {
				b.Fatal(result)
			}
			for _, n := range []int{5, 64, 250} {
				// ECHO of n bytes (package emu)
				echo := append(append([]byte{0x80, 0xEE, 0x00, 0x00, byte(n)}, make([]byte, n)...), byte(n))
				ask := wire.Transmit{
					Handle: h, SendProtocol: wire.ProtocolT1, SendPCILength: 16, SendLength: uint32(len(echo)), RecvProtocol: 2, RecvPCILength: 16, RecvLength: wire.MaxData,
				}
				out := ask.AppendTo(wire.Header{Size: wire.TransmitSize, Command: wire.CmdTransmit}.AppendTo(nil))
				out = append(out, echo...)
				in := make([]byte, wire.TransmitSize+n+2)
				b.Run(fmt.Sprint(n), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if _, err := p.c.Write(out); err != nil {
							b.Fatal(err)
						}
						if _, err := io.ReadFull(p.c, in); err != nil {
							b.Fatal(err)
						}
					}
					if !bytes.HasSuffix(in, []byte{0x90, 0x00}) {
						b.Errorf("answer % X", in[wire.TransmitSize:])
					}
				})
			}
		})
	}
}

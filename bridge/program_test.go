package bridge_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
)

const readerName = "DigiFlow LLP. KAZTOKEN (32D18A58) 00 00"

// station is a running service with a socket.
type station struct {
	t       testing.TB
	service *bridge.Service
	dial    func() net.Conn
}

// stations is how many services of begin there are. No test runs beside another.
var stations int

// begin starts a service on a unix socket. At the end of the test it is closed,
// and nothing may be left of it.
func begin(t testing.TB, cfg bridge.Config, slots ...*bridgetest.Slot) *station {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	dir, err := os.MkdirTemp("", "bridge") // a short name: a socket's has 108 bytes
	if err != nil {
		t.Fatal(err)
	}
	stations++
	alone := stations == 1
	t.Cleanup(func() { // after all others
		stations--
		os.RemoveAll(dir)
		eventually(t, "goroutines end", func() bool { return runtime.NumGoroutine() <= goroutines })
		if alone { // a connection that falls silent takes a descriptor more
			eventually(t, "descriptors are closed", func() bool { return openFiles() <= files })
		}
	})
	path := filepath.Join(dir, "pcscd.comm")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, cfg, ln, slots...)
	s.dial = func() net.Conn {
		nc, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	return s
}

// serve starts a service on a listener.
func serve(t testing.TB, cfg bridge.Config, ln net.Listener, slots ...*bridgetest.Slot) *station {
	t.Helper()
	if cfg.Policy == nil {
		cfg.Policy = bridge.PolicyFunc(func(bridge.Peer) bool { return true })
	}
	s := &station{t: t, service: bridge.New(cfg)}
	for _, slot := range slots {
		s.attach(slot)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.service.Serve(context.Background(), ln); !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	t.Cleanup(func() {
		if err := s.service.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		wg.Wait()
		if n, _ := s.service.Clients(); n != 0 {
			t.Errorf("%d connections after Close", n)
		}
	})
	return s
}

// attach attaches a slot, and looks at the end whether it was treated well.
func (s *station) attach(slot *bridgetest.Slot) (detach func()) {
	s.t.Helper()
	away, err := s.service.Attach(slot)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		for _, f := range slot.Faults() {
			s.t.Errorf("%s: %s", slot.Name(), f)
		}
	})
	return func() {
		away()
		slot.Detached()
	}
}

// openFiles counts the descriptors of the process, 0 where that is not possible.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// eventually waits until something is so that cannot be waited for otherwise.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !so(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// reader is the first reader of the service.
func (s *station) reader() bridge.ReaderStatus {
	s.t.Helper()
	snap := s.service.Snapshot()
	if len(snap.Readers) == 0 {
		s.t.Fatal("no reader")
	}
	return snap.Readers[0]
}

// program is a client that says what it likes.
type program struct {
	t       testing.TB
	nc      net.Conn
	context wire.Context
	handle  wire.Handle
}

// program connects without a word.
func (s *station) program() *program {
	s.t.Helper()
	return &program{t: s.t, nc: s.dial()}
}

// established connects and has a context.
func (s *station) established(minor int32) *program {
	s.t.Helper()
	p := s.program()
	p.speak(minor)
	p.establish()
	return p
}

// connected has a handle on the first reader too.
func (s *station) connected() *program {
	s.t.Helper()
	p := s.established(4)
	if m := p.connect(wire.ShareShared); m.Result != wire.Success {
		s.t.Fatalf("connect: %v", m.Result)
	}
	return p
}

// frame is a request.
func frame(cmd wire.Command, body []byte, data ...byte) []byte {
	b := wire.Header{Size: uint32(len(body)), Command: cmd}.AppendTo(nil)
	return append(append(b, body...), data...)
}

func (p *program) send(cmd wire.Command, body []byte, data ...byte) {
	p.t.Helper()
	if _, err := p.nc.Write(frame(cmd, body, data...)); err != nil {
		p.t.Fatalf("%v: %v", cmd, err)
	}
}

func (p *program) receive(n int) []byte {
	p.t.Helper()
	b := make([]byte, n)
	if _, err := io.ReadFull(p.nc, b); err != nil {
		p.t.Fatalf("reading %d bytes: %v", n, err)
	}
	return b
}

// closed waits for the end of the connection, and that nothing comes before it.
func (p *program) closed() {
	p.t.Helper()
	if n, err := p.nc.Read(make([]byte, 1)); n != 0 || err == nil {
		p.t.Error("the connection goes on")
	}
}

// parse reads a message whose size is that of what it answers.
func parse[M any](p *program, size int, f func([]byte) (M, error)) M {
	p.t.Helper()
	m, err := f(p.receive(size))
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func (p *program) speak(minor int32) wire.Version {
	p.t.Helper()
	p.send(wire.CmdVersion, wire.Version{Major: wire.Major, Minor: minor}.AppendTo(nil))
	return parse(p, wire.VersionSize, wire.ParseVersion)
}

func (p *program) establish() {
	p.t.Helper()
	p.send(wire.CmdEstablishContext, wire.Establish{Scope: wire.ScopeSystem}.AppendTo(nil))
	m := parse(p, wire.EstablishSize, wire.ParseEstablish)
	if m.Result != wire.Success {
		p.t.Fatalf("establish: %v", m.Result)
	}
	p.context = m.Context
}

func (p *program) connectBody(share wire.ShareMode) []byte {
	p.t.Helper()
	name, err := wire.NameOf(readerName)
	if err != nil {
		p.t.Fatal(err)
	}
	return (&wire.Connect{Context: p.context, Reader: name, Share: share, Preferred: wire.ProtocolT0 | wire.ProtocolT1}).AppendTo(nil)
}

func (p *program) connect(share wire.ShareMode) wire.Connect {
	p.t.Helper()
	p.send(wire.CmdConnect, p.connectBody(share))
	return p.connectAnswer()
}

func (p *program) connectAnswer() wire.Connect {
	p.t.Helper()
	m := parse(p, wire.ConnectSize, wire.ParseConnect)
	if m.Handle != 0 {
		p.handle = m.Handle
	}
	if (m.Handle == 0) != (m.Result != wire.Success) {
		p.t.Errorf("connect: handle %#x with %v", m.Handle, m.Result)
	}
	return m
}

func (p *program) reconnect(init wire.Disposition) wire.Result {
	p.t.Helper()
	p.send(wire.CmdReconnect, wire.Reconnect{Handle: p.handle, Share: wire.ShareShared, Preferred: wire.ProtocolT0 | wire.ProtocolT1, Initialization: init}.AppendTo(nil))
	return parse(p, wire.ReconnectSize, wire.ParseReconnect).Result
}

func (p *program) disconnect(d wire.Disposition) wire.Result {
	p.t.Helper()
	p.send(wire.CmdDisconnect, wire.Disconnect{Handle: p.handle, Disposition: d}.AppendTo(nil))
	return parse(p, wire.DisconnectSize, wire.ParseDisconnect).Result
}

func (p *program) begin() wire.Result {
	p.t.Helper()
	p.send(wire.CmdBeginTransaction, wire.BeginTransaction{Handle: p.handle}.AppendTo(nil))
	return parse(p, wire.BeginTransactionSize, wire.ParseBeginTransaction).Result
}

func (p *program) end(d wire.Disposition) wire.Result {
	p.t.Helper()
	p.send(wire.CmdEndTransaction, wire.EndTransaction{Handle: p.handle, Disposition: d}.AppendTo(nil))
	return parse(p, wire.EndTransactionSize, wire.ParseEndTransaction).Result
}

func (p *program) status() wire.Result {
	p.t.Helper()
	p.send(wire.CmdStatus, wire.Status{Handle: p.handle}.AppendTo(nil))
	return parse(p, wire.StatusSize, wire.ParseStatus).Result
}

// transmitBody is that of an APDU of n bytes.
func (p *program) transmitBody(n int, room uint32) []byte {
	return (&wire.Transmit{Handle: p.handle, SendProtocol: wire.ProtocolT1, SendPCILength: 16, SendLength: uint32(n), RecvProtocol: 3, RecvPCILength: 16, RecvLength: room}).AppendTo(nil)
}

func (p *program) transmit(apdu ...byte) ([]byte, wire.Result) {
	p.t.Helper()
	p.send(wire.CmdTransmit, p.transmitBody(len(apdu), wire.MaxData), apdu...)
	return p.transmitAnswer()
}

func (p *program) transmitAnswer() ([]byte, wire.Result) {
	p.t.Helper()
	m := parse(p, wire.TransmitSize, wire.ParseTransmit)
	if m.Result != wire.Success {
		return nil, m.Result
	}
	return p.receive(int(m.RecvLength)), m.Result
}

func (p *program) control(code wire.ControlCode, room uint32, in ...byte) ([]byte, wire.Control) {
	p.t.Helper()
	p.send(wire.CmdControl, wire.Control{Handle: p.handle, Code: code, SendLength: uint32(len(in)), RecvLength: room}.AppendTo(nil), in...)
	m := parse(p, wire.ControlSize, wire.ParseControl)
	if m.Result != wire.Success {
		return nil, m
	}
	return p.receive(int(m.Returned)), m
}

func (p *program) attribute(cmd wire.Command, id wire.AttributeID, length uint32) wire.Attribute {
	p.t.Helper()
	p.send(cmd, (&wire.Attribute{Handle: p.handle, ID: id, Length: length, Result: wire.NoService}).AppendTo(nil))
	return parse(p, wire.AttributeSize, wire.ParseAttribute)
}

// records reads n records of readers, up to the first that is not used.
func (p *program) records(n int) []wire.Reader {
	p.t.Helper()
	var all []wire.Reader
	for range n {
		r := parse(p, wire.ReaderSize, wire.ParseReader)
		if len(r.Name.Bytes()) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// wait registers a client of 4:4 for an event.
func (p *program) wait() []wire.Reader {
	p.t.Helper()
	p.send(wire.CmdWaitReaderStateChange, nil)
	return p.records(wire.LegacyReaders)
}

func (p *program) event() wire.Event {
	p.t.Helper()
	return parse(p, wire.EventSize, wire.ParseEvent)
}

func (p *program) want(what string, got, want wire.Result) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: %v, want %v", what, got.String(), want.String())
	}
}

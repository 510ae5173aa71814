package bridge_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
)

// alive checks that a program that does nothing wrong is served.
func (s *station) alive(p *program) {
	s.t.Helper()
	resp, result := p.transmit(0, 0xEE, 0, 0, 1, 2, 3)
	if result != wire.Success || len(resp) != 5 {
		s.t.Errorf("the honest program gets % x, %v", resp, result.String())
	}
}

// TestWrongSizes: a message of another size than its command has ends the
// connection, without an answer, and harms nobody.
func TestWrongSizes(t *testing.T) {
	s := begin(t, bridge.Config{}, echo())
	honest := s.connected()
	tried := 0
	for _, minor := range []int32{3, 4, 5, 6} {
		dialect, _ := wire.DialectOf(minor)
		for cmd := range wire.Command(0x1A) {
			size, known := cmd.BodySize(dialect)
			for _, n := range []int64{0, 4, 7, 8, 9, 12, 24, 32, 152, 280, 281, int64(size) - 1, int64(size) + 1, 1 << 20, 0x7FFFFFFF, 0xFFFFFFFF} {
				if known && n == int64(size) || n < 0 {
					continue
				}
				p := s.program()
				p.speak(minor)
				// As many bytes as it says, if that is not too much to say.
				b := append(wire.Header{Size: uint32(n), Command: cmd}.AppendTo(nil), make([]byte, min(n, 300))...)
				if _, err := p.nc.Write(b); err != nil {
					t.Fatal(err)
				}
				p.closed()
				tried++
			}
		}
	}
	if tried < 1000 {
		t.Errorf("%d messages tried", tried)
	}
	for _, cmd := range []wire.Command{0, wire.CmdListReaders, wire.CmdGetStatusChange, wire.CmdCancelTransaction, 0x99, 0xFFFFFFFF} {
		p := s.program()
		p.send(cmd, nil)
		p.closed()
	}
	s.alive(honest)
}

// TestTooMuch: lengths that no message has end the connection before anything is
// read or allocated for them.
func TestTooMuch(t *testing.T) {
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	honest := s.connected()
	for _, n := range []uint32{wire.MaxData + 1, 70000, 0x7FFFFFFF, 0xFFFFFFFF} {
		p := s.connected()
		p.send(wire.CmdTransmit, (&wire.Transmit{Handle: p.handle, SendProtocol: wire.ProtocolT1, SendLength: n, RecvLength: 258}).AppendTo(nil))
		p.closed()
		p = s.connected()
		p.send(wire.CmdControl, wire.Control{Handle: p.handle, Code: wire.CtlEscape, SendLength: n, RecvLength: 258}.AppendTo(nil))
		p.closed()
	}
	for _, cmd := range []wire.Command{wire.CmdGetAttribute, wire.CmdSetAttribute} {
		for _, n := range []uint32{265, 0xFFFFFFFF} {
			p := s.connected()
			p.send(cmd, (&wire.Attribute{Handle: p.handle, ID: wire.AttrATRString, Length: n}).AppendTo(nil))
			p.closed()
		}
	}
	s.alive(honest)
	if got := slot.Calls(bridgetest.Transmit); got != 1 {
		t.Errorf("the card got %d commands", got)
	}
}

// withHandle are the commands about a handle.
var withHandle = map[wire.Command]func(h wire.Handle) []byte{
	wire.CmdReconnect: func(h wire.Handle) []byte {
		return wire.Reconnect{Handle: h, Share: wire.ShareShared, Preferred: wire.ProtocolT1, Initialization: wire.ResetCard}.AppendTo(nil)
	},
	wire.CmdDisconnect:       func(h wire.Handle) []byte { return wire.Disconnect{Handle: h}.AppendTo(nil) },
	wire.CmdBeginTransaction: func(h wire.Handle) []byte { return wire.BeginTransaction{Handle: h}.AppendTo(nil) },
	wire.CmdEndTransaction:   func(h wire.Handle) []byte { return wire.EndTransaction{Handle: h}.AppendTo(nil) },
	wire.CmdTransmit: func(h wire.Handle) []byte {
		return (&wire.Transmit{Handle: h, SendProtocol: wire.ProtocolT1, RecvLength: 258}).AppendTo(nil)
	},
	wire.CmdControl: func(h wire.Handle) []byte {
		return wire.Control{Handle: h, Code: wire.CtlEscape}.AppendTo(nil)
	},
	wire.CmdStatus:       func(h wire.Handle) []byte { return wire.Status{Handle: h}.AppendTo(nil) },
	wire.CmdGetAttribute: func(h wire.Handle) []byte { return (&wire.Attribute{Handle: h, ID: wire.AttrATRString}).AppendTo(nil) },
	wire.CmdSetAttribute: func(h wire.Handle) []byte { return (&wire.Attribute{Handle: h, ID: wire.AttrATRString}).AppendTo(nil) },
}

// TestForeignHandles: a handle of another connection, or one that is over, is
// none, and who uses it is no client of pcsc-lite.
func TestForeignHandles(t *testing.T) {
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	honest := s.connected()
	for cmd, body := range withHandle {
		p := s.connected()
		p.send(cmd, body(honest.handle))
		p.closed()
		for _, h := range []wire.Handle{0, 1, 0xFFFFFFFF} {
			p := s.connected()
			p.send(cmd, body(h))
			p.closed()
		}
		p = s.connected()
		p.send(wire.CmdReleaseContext, wire.Release{Context: p.context}.AppendTo(nil))
		p.want("release", parse(p, wire.ReleaseSize, wire.ParseRelease).Result, wire.Success)
		p.send(cmd, body(p.handle))
		p.closed()
		p = s.connected()
		p.want("disconnect", p.disconnect(wire.LeaveCard), wire.Success)
		p.send(cmd, body(p.handle))
		p.closed()
		p = s.program() // one who has nothing at all
		p.send(cmd, body(honest.handle))
		p.closed()
	}
	s.alive(honest)
	if got := slot.Calls(bridgetest.WarmReset); got != 0 {
		t.Errorf("%d resets", got)
	}
	if st := s.reader(); st.Sharing != 1 {
		t.Errorf("sharing %d", st.Sharing)
	}
}

// TestKilled: programs that die in the middle of things.
func TestKilled(t *testing.T) {
	for _, c := range []struct {
		name  string
		dies  func(s *station, p *program) // p has a handle and ends
		reset bool                         // the card is reset
	}{
		{"while idle", func(*station, *program) {}, false},
		{"inside a transaction", func(_ *station, p *program) { p.begin() }, true},
		{"inside a header", func(_ *station, p *program) { p.nc.Write([]byte{0x20, 0, 0}) }, false},
		{"inside a structure, in a transaction", func(_ *station, p *program) {
			p.begin()
			p.nc.Write(frame(wire.CmdTransmit, p.transmitBody(5, 258))[:20])
		}, true},
		{"while sending 64 KiB", func(_ *station, p *program) {
			p.send(wire.CmdTransmit, p.transmitBody(1<<16, 258), make([]byte, 60000)...)
		}, false},
		{"before it has read 64 KiB", func(s *station, p *program) {
			p.send(wire.CmdTransmit, p.transmitBody(4, wire.MaxData), 0, 0xB0, 0xFF, 0xF0)
		}, false},
		{"waiting for an event", func(s *station, p *program) { p.wait() }, false},
		{"in the middle of everything", func(s *station, p *program) {
			for range 100 { // and reads nothing
				p.nc.Write(frame(wire.CmdGetReadersState, nil))
			}
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			slot := echo()
			s := begin(t, bridge.Config{}, slot)
			honest := s.connected()
			p := s.connected()
			p.t = t
			c.dies(s, p)
			p.nc.Close()
			eventually(t, "the dead is forgotten", func() bool { n, _ := s.service.Clients(); return n == 1 })
			eventually(t, "the card is reset", func() bool { return (slot.Calls(bridgetest.WarmReset) > 0) == c.reset })
			if c.reset {
				honest.want("status", honest.status(), wire.CardReset)
				honest.want("reconnect", honest.reconnect(wire.LeaveCard), wire.Success)
			}
			honest.want("begin", honest.begin(), wire.Success)
			s.alive(honest)
			if st := s.reader(); st.Sharing != 1 || st.Waiting != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// TestKilledWaiting: who dies while it waits is noticed at once, also if it had
// sent more before.
func TestKilledWaiting(t *testing.T) {
	for _, more := range [][]byte{nil, {1}, frame(wire.CmdGetReadersState, nil), make([]byte, 5000)} {
		for _, c := range []struct {
			name string
			wait func(p *program) []byte
		}{
			{"connect", func(p *program) []byte { return frame(wire.CmdConnect, p.connectBody(wire.ShareShared)) }},
			{"disconnect", func(p *program) []byte {
				p.connect(wire.ShareShared)
				return frame(wire.CmdDisconnect, wire.Disconnect{Handle: p.handle, Disposition: wire.ResetCard}.AppendTo(nil))
			}},
		} {
			t.Run(fmt.Sprintf("%s and %d bytes", c.name, len(more)), func(t *testing.T) {
				slot := echo()
				s := begin(t, bridge.Config{}, slot)
				holder, p := s.connected(), s.established(4)
				b := c.wait(p)
				holder.want("begin", holder.begin(), wire.Success)
				if _, err := p.nc.Write(append(b, more...)); err != nil {
					t.Fatal(err)
				}
				eventually(t, "it waits", func() bool { return s.reader().Waiting == 1 })
				p.nc.Close()
				eventually(t, "it is forgotten", func() bool { n, _ := s.service.Clients(); return n == 1 && s.reader().Waiting == 0 })
				s.alive(holder)
				holder.want("end", holder.end(wire.LeaveCard), wire.Success)
				if got := slot.Calls(bridgetest.WarmReset); got != 0 {
					t.Errorf("%d resets", got)
				}
			})
		}
	}
}

// TestKilledInTurn: a program dies while it waits for its turn at the card, and
// one whose command the card is at.
func TestKilledInTurn(t *testing.T) {
	slot := echo()
	working := make(chan struct{}, 1)
	finish := make(chan struct{})
	slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
		if call == bridgetest.Transmit {
			working <- struct{}{}
			<-finish
		}
		return nil
	})
	s := begin(t, bridge.Config{}, slot)
	first, second, honest := s.connected(), s.connected(), s.connected()
	first.send(wire.CmdTransmit, first.transmitBody(4, 258), 0, 0x20, 0, 0)
	<-working
	second.send(wire.CmdTransmit, second.transmitBody(4, 258), 0, 0x20, 0, 0)
	eventually(t, "the second waits", func() bool { return s.reader().Waiting == 1 })
	second.nc.Close()
	eventually(t, "the second is forgotten", func() bool { return s.reader().Waiting == 0 })
	first.nc.Close()
	honest.want("status", honest.status(), wire.Success) // what needs no card needs no turn
	finish <- struct{}{}
	eventually(t, "the first is forgotten", func() bool { n, _ := s.service.Clients(); return n == 1 })
	close(finish)
	s.alive(honest)
	if got := slot.Calls(bridgetest.Transmit); got != 2 {
		t.Errorf("the card got %d commands", got)
	}
}

// TestDeathDropsLogin is what the reset is for.
func TestDeathDropsLogin(t *testing.T) {
	s := begin(t, bridge.Config{}, echo())
	a, b := s.connected(), s.connected()
	loggedIn := func(p *program) byte {
		t.Helper()
		resp, result := p.transmit(0, 0xCA, 0, 0)
		if result != wire.Success || len(resp) != 3 {
			t.Fatalf("% x, %v", resp, result.String())
		}
		return resp[0]
	}
	a.want("begin", a.begin(), wire.Success)
	a.transmit(0, 0x20, 0, 0)
	if loggedIn(a) != 1 {
		t.Fatal("the card does not log in")
	}
	var wg sync.WaitGroup
	wg.Go(func() { // it has been asking all the time
		for b.status() == wire.SharingViolation {
		}
		b.want("transmit", second(b.transmit(0, 0xCA, 0, 0)), wire.CardReset)
	})
	a.nc.Close()
	wg.Wait()
	b.want("reconnect", b.reconnect(wire.LeaveCard), wire.Success)
	if loggedIn(b) != 0 {
		t.Error("the next program has the log-in of the one that died")
	}
}

func second[A, B any](_ A, b B) B { return b }

func TestManyConnections(t *testing.T) {
	var refused atomic.Int32
	s := begin(t, bridge.Config{Trace: func(e bridge.Event) {
		if e.Kind == bridge.EventRefused {
			refused.Add(1)
		}
	}}, echo())
	honest := s.connected()
	var conns []net.Conn
	for range 500 {
		nc := s.dial()
		nc.Write(frame(wire.CmdVersion, wire.Version{Major: 4, Minor: 4}.AppendTo(nil)))
		conns = append(conns, nc)
	}
	served := 0
	for _, nc := range conns {
		if _, err := io.ReadFull(nc, make([]byte, wire.VersionSize)); err == nil {
			served++
		}
	}
	if served != 63 || refused.Load() != 437 {
		t.Errorf("%d served, %d refused; want 64 of one user", served, refused.Load())
	}
	s.alive(honest)
	for _, nc := range conns {
		nc.Close()
	}
	eventually(t, "all are forgotten", func() bool { n, _ := s.service.Clients(); return n == 1 })
	s.alive(s.connected())
}

// TestLimits: the number of all and the number of one user.
func TestLimits(t *testing.T) {
	var uid atomic.Uint32
	cfg := bridge.Config{Limits: bridge.Limits{Connections: 5, ConnectionsPerUser: 3}}
	cfg.SetPeer(func(net.Conn) (bridge.Peer, error) { return bridge.Peer{UID: uid.Load()}, nil })
	s := begin(t, cfg, echo())
	connect := func(as uint32, want bool) *program {
		t.Helper()
		uid.Store(as)
		p := s.program()
		if want {
			p.establish()
		} else {
			p.closed()
		}
		return p
	}
	a := connect(1, true)
	connect(1, true)
	connect(1, true)
	connect(1, false)
	connect(2, true)
	connect(2, true)
	connect(3, false)
	a.nc.Close()
	eventually(t, "one has left", func() bool { n, _ := s.service.Clients(); return n == 4 })
	connect(3, true)
}

// TestClients: the number is told.
func TestClients(t *testing.T) {
	s := begin(t, bridge.Config{})
	n, changed := s.service.Clients()
	if n != 0 {
		t.Fatalf("%d clients", n)
	}
	p := s.program()
	<-changed
	n, changed = s.service.Clients()
	if n != 1 {
		t.Fatalf("%d clients", n)
	}
	p.nc.Close()
	<-changed
	if n, _ = s.service.Clients(); n != 0 {
		t.Fatalf("%d clients", n)
	}
}

// TestPanic: a panic below a connection ends that connection, and no other has
// to do with a card that nobody knows.
func TestPanic(t *testing.T) {
	slot := echo()
	slot.Hook(func(_ context.Context, call bridgetest.Call) error {
		if call == bridgetest.Control {
			panic("of a slot")
		}
		return nil
	})
	var panics atomic.Int32
	s := begin(t, bridge.Config{Trace: func(e bridge.Event) {
		if e.Kind == bridge.EventPanic {
			panics.Add(1)
			if len(e.Stack) == 0 || e.Err == nil {
				t.Errorf("%+v", e)
			}
		}
	}}, slot)
	honest := s.connected()
	p := s.connected()
	p.send(wire.CmdControl, wire.Control{Handle: p.handle, Code: wire.CtlEscape}.AppendTo(nil))
	p.closed()
	if panics.Load() != 1 {
		t.Errorf("%d panics", panics.Load())
	}
	honest.want("status", honest.status(), wire.CardReset)
	slot.Hook(nil)
	honest.want("reconnect", honest.reconnect(wire.LeaveCard), wire.Success)
	s.alive(honest)
}

// TestPanicInside: a panic while the service holds its lock ends one connection
// too.
func TestPanicInside(t *testing.T) {
	var n atomic.Uint32
	cfg := bridge.Config{}
	cfg.SetRandom(func() uint32 {
		if n.Add(1) == 3 {
			panic("of a source of numbers")
		}
		return n.Load()
	})
	s := begin(t, cfg, echo())
	honest := s.connected() // has two numbers
	p := s.program()
	p.send(wire.CmdEstablishContext, wire.Establish{}.AppendTo(nil))
	p.closed()
	s.alive(honest)
	s.alive(s.connected())
}

// brittle is a connection whose next write panics once it is armed.
type brittle struct {
	net.Conn
	armed *atomic.Bool
}

func (b brittle) Write(p []byte) (int, error) {
	if b.armed.CompareAndSwap(true, false) {
		panic("of a connection")
	}
	return b.Conn.Write(p)
}

// TestPanicOfEvent: a panic while an event is sent, of which no request knows,
// ends one connection too.
func TestPanicOfEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var panics atomic.Int32
		var armed atomic.Bool
		m := &memory{}
		slot := echo()
		s := onListener(t, bridge.Config{Trace: func(e bridge.Event) {
			if e.Kind == bridge.EventPanic {
				panics.Add(1)
				if len(e.Stack) == 0 || e.Err == nil {
					t.Errorf("%+v", e)
				}
			}
		}}, m, slot)
		honest := s.connected()
		plain := s.dial
		s.dial = func() net.Conn {
			here, there := net.Pipe()
			m.conns <- brittle{there, &armed}
			t.Cleanup(func() { here.Close() })
			return here
		}
		p := s.established(4)
		s.dial = plain
		p.wait()
		armed.Store(true)
		slot.Remove()
		p.closed()
		synctest.Wait()
		if panics.Load() != 1 {
			t.Errorf("%d panics", panics.Load())
		}
		honest.want("status", honest.status(), wire.CardRemoved)
		if n, _ := s.service.Clients(); n != 1 {
			t.Errorf("%d clients", n)
		}
	})
}

// TestPanicOfKeeper: a slot that panics when its card is powered up has a mute
// card.
func TestPanicOfKeeper(t *testing.T) {
	slot := echo()
	slot.Hook(func(context.Context, bridgetest.Call) error { panic("of a slot") })
	s := begin(t, bridge.Config{}, slot)
	eventually(t, "the reader is there", func() bool { return s.reader().Visible })
	if st := s.reader(); st.State != wire.CardMute.String() {
		t.Errorf("state %s", st.State)
	}
	slot.Hook(nil)
	s.alive(s.connected())
}

// broken is a slot whose state cannot be asked for once it is armed.
type broken struct {
	*bridgetest.Slot
	armed atomic.Bool
}

func (b *broken) State() bridge.SlotState {
	if b.armed.Load() {
		panic("of a slot")
	}
	return b.Slot.State()
}

// TestPanicOfState: a slot that panics when it is looked at loses its reader, and no
// other one does.
func TestPanicOfState(t *testing.T) {
	var panics atomic.Int32
	s := begin(t, bridge.Config{Trace: func(e bridge.Event) {
		if e.Kind == bridge.EventPanic {
			panics.Add(1)
		}
	}}, echo())
	honest := s.connected()
	b := &broken{Slot: bridgetest.NewSlot("Broken", nil)}
	detach, err := s.service.Attach(b)
	if err != nil {
		t.Fatal(err)
	}
	readers := func(n int) func() bool { return func() bool { return len(s.service.Snapshot().Readers) == n } }
	eventually(t, "both readers are there", readers(2))
	b.armed.Store(true)
	b.Remove()
	eventually(t, "one reader is gone", readers(1))
	detach() // which changes nothing
	if panics.Load() != 1 {
		t.Errorf("%d panics", panics.Load())
	}
	s.alive(honest)
}

// TestPolicyPanics: even that harms one connection only.
func TestPolicyPanics(t *testing.T) {
	var n atomic.Int32
	s := begin(t, bridge.Config{Policy: bridge.PolicyFunc(func(bridge.Peer) bool {
		if n.Add(1) == 1 {
			panic("of a policy")
		}
		return true
	})}, echo())
	s.program().closed()
	s.alive(s.connected())
}

// FuzzConnection: whatever a program sends, the service lives, and an honest
// program beside it is served. What the card has to do is bounded by the input.
func FuzzConnection(f *testing.F) {
	version := frame(wire.CmdVersion, wire.Version{Major: 4, Minor: 4}.AppendTo(nil))
	f.Add(version)
	f.Add(append(version, frame(wire.CmdWaitReaderStateChange, nil)...))
	f.Add(frame(wire.CmdEstablishContext, wire.Establish{}.AppendTo(nil)))
	f.Add(append(frame(wire.CmdEstablishContext, wire.Establish{}.AppendTo(nil)), frame(wire.CmdConnect, make([]byte, wire.ConnectSize))...))
	f.Add(frame(wire.CmdTransmit, make([]byte, wire.TransmitSize), 1, 2, 3))
	f.Add(frame(wire.CmdCancel, wire.Cancel{Context: 1}.AppendTo(nil)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := begin(t, bridge.Config{}, echo())
		p := s.program()
		done := make(chan struct{})
		go func() {
			defer close(done)
			io.Copy(io.Discard, p.nc)
		}()
		p.nc.Write(b)
		if nc, ok := p.nc.(*net.UnixConn); ok {
			nc.CloseWrite()
		}
		<-done
		s.alive(s.connected())
	})
}

package bridge_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
)

// memory is a listener without a system, whose time can be that of a test.
type memory struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
	fails  int // so often Accept fails in a way that passes
}

type passing struct{ error }

func (passing) Temporary() bool { return true }

func (m *memory) Accept() (net.Conn, error) {
	if m.fails > 0 {
		m.fails--
		return nil, passing{errors.New("too many open files")}
	}
	select {
	case nc := <-m.conns:
		return nc, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

func (m *memory) Addr() net.Addr { return &net.UnixAddr{} }

// inMemory starts a service in a bubble of time.
func inMemory(t *testing.T, cfg bridge.Config, slots ...*bridgetest.Slot) *station {
	t.Helper()
	return onListener(t, cfg, &memory{}, slots...)
}

func onListener(t *testing.T, cfg bridge.Config, m *memory, slots ...*bridgetest.Slot) *station {
	t.Helper()
	m.conns, m.closed = make(chan net.Conn), make(chan struct{})
	cfg.SetPeer(func(net.Conn) (bridge.Peer, error) { return bridge.Peer{PID: 42, UID: 1000}, nil })
	s := serve(t, cfg, m, slots...)
	s.dial = func() net.Conn {
		here, there := net.Pipe()
		m.conns <- there
		t.Cleanup(func() { here.Close() })
		return here
	}
	synctest.Wait()
	return s
}

// took compares how long something took with how long it should.
func took(t *testing.T, what string, want time.Duration, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if got := time.Since(began); got != want {
		t.Errorf("%s took %v, want %v", what, got, want)
	}
}

func echo() *bridgetest.Slot { return bridgetest.NewSlot(readerName, bridgetest.NewEcho()) }

func TestBeginIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, bridge.Config{}, echo())
		a, b, c := s.connected(), s.connected(), s.connected()
		took(t, "begin", 0, func() { a.want("begin", a.begin(), wire.Success) })
		took(t, "begin while locked", 100*time.Millisecond, func() { b.want("begin", b.begin(), wire.SharingViolation) })
		// It asks again, and is served the moment the lock is free.
		var wg sync.WaitGroup
		wg.Go(func() {
			took(t, "begin again", 40*time.Millisecond, func() { b.want("begin", b.begin(), wire.Success) })
		})
		time.Sleep(40 * time.Millisecond)
		a.want("end", a.end(wire.LeaveCard), wire.Success)
		wg.Wait()
		took(t, "status while locked", 0, func() { c.want("status", c.status(), wire.SharingViolation) })
	})
}

func TestConnectWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, bridge.Config{}, echo())
		a, b := s.connected(), s.established(4)
		a.want("begin", a.begin(), wire.Success)
		var wg sync.WaitGroup
		wg.Go(func() {
			took(t, "connect", time.Hour, func() { b.want("connect", b.connect(wire.ShareShared).Result, wire.Success) })
		})
		time.Sleep(time.Hour)
		a.want("end", a.end(wire.LeaveCard), wire.Success)
		wg.Wait()
	})
}

func TestOneWhoOnlyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		s := inMemory(t, bridge.Config{}, slot)
		a, b := s.established(6), s.established(6)
		a.send(wire.CmdWaitReaderStateChange, nil)
		b.send(wire.CmdWaitReaderStateChange, nil)
		synctest.Wait()
		slot.Remove()
		time.Sleep(249 * time.Millisecond)
		b.send(wire.CmdGetReadersStateSize, nil)
		if got := parse(b, wire.ReadersSizeSize, wire.ParseReadersSize); got != 16 {
			t.Errorf("an event came for a size: %d", got)
		}
		took(t, "the event for the one who only waits", time.Millisecond, func() { a.want("event", a.event().Result, wire.Success) })
		time.Sleep(time.Hour)
		slot.Insert(bridgetest.NewEcho())
		synctest.Wait()
		b.send(wire.CmdGetReadersStateArray, nil)
		if got := b.records(16); len(got) != 1 || got[0].Counter != 2 {
			t.Errorf("array %+v", got)
		}
		slot.Remove()
		b.want("event", b.event().Result, wire.Success)
	})
}

func TestOneWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		s := inMemory(t, bridge.Config{}, slot)
		deaf, asleep, other := s.established(4), s.established(4), s.connected()
		deaf.send(wire.CmdGetReadersState, nil) // and reads nothing of it
		asleep.wait()
		slot.Remove() // an event, which it does not read either
		synctest.Wait()
		took(t, "serving another", 0, func() { other.want("status", other.status(), wire.CardRemoved) })
		time.Sleep(10*time.Second - time.Nanosecond)
		synctest.Wait()
		if n, _ := s.service.Clients(); n != 3 {
			t.Errorf("%d clients before the time is over", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n, _ := s.service.Clients(); n != 1 {
			t.Errorf("%d clients when the time is over", n)
		}
		other.want("status", other.status(), wire.CardRemoved)
	})
}

func TestHalfMessages(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
	}{
		{"half a header", frame(wire.CmdVersion, wire.Version{}.AppendTo(nil))[:4]},
		{"a header alone", frame(wire.CmdVersion, wire.Version{}.AppendTo(nil))[:8]},
		{"half a structure", frame(wire.CmdVersion, wire.Version{}.AppendTo(nil))[:15]},
		{"half an APDU", append(frame(wire.CmdTransmit, (&wire.Transmit{SendLength: 5}).AppendTo(nil)), 0, 0xA4)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := inMemory(t, bridge.Config{}, echo())
				idle, p := s.established(4), s.program()
				time.Sleep(24 * time.Hour) // one who says nothing is nobody's trouble
				if _, err := p.nc.Write(c.bytes); err != nil {
					t.Fatal(err)
				}
				took(t, "giving up", 10*time.Second, p.closed)
				idle.send(wire.CmdGetReaderEvents, nil)
				if got := parse(idle, wire.ReaderEventsSize, wire.ParseReaderEvents); got.Count != 2 {
					t.Errorf("the idle one gets %+v", got)
				}
			})
		})
	}
}

// TestSlowMessage: a message may come in pieces with pauses, within the time.
func TestSlowMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := inMemory(t, bridge.Config{}, echo())
		p := s.connected()
		for range 3 {
			for _, b := range frame(wire.CmdTransmit, p.transmitBody(5, 258), 0, 0xEE, 0, 0, 7) {
				time.Sleep(200 * time.Millisecond)
				if _, err := p.nc.Write([]byte{b}); err != nil {
					t.Fatal(err)
				}
			}
			resp, result := p.transmitAnswer()
			if result != wire.Success || len(resp) != 3 || resp[0] != 7 {
				t.Errorf("% x, %v", resp, result)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestIdlePowerOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		s := inMemory(t, bridge.Config{}, slot)
		after := func(d time.Duration, want bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if slot.Powered() != want {
				t.Errorf("power %v, want %v", slot.Powered(), want)
			}
			if st := s.reader(); st.State != wire.CardReady.String() || st.ATR == "" || st.Power != want {
				t.Errorf("the record shows it: %+v", st)
			}
		}
		after(5*time.Second-time.Nanosecond, true)
		after(time.Nanosecond, false)
		p := s.connected()
		after(time.Hour, true)
		p.want("disconnect", p.disconnect(wire.LeaveCard), wire.Success)
		after(5*time.Second-time.Nanosecond, true)
		p.connect(wire.ShareShared)
		after(time.Minute, true)
		p.want("disconnect", p.disconnect(wire.LeaveCard), wire.Success)
		after(3*time.Second, true)
		p.connect(wire.ShareShared)
		after(time.Second, true)
		p.want("disconnect", p.disconnect(wire.LeaveCard), wire.Success)
		// One who talks to the reader alone, again and again, does not use the card.
		for range 4 {
			time.Sleep(time.Second)
			p.connect(wire.ShareDirect)
			p.want("disconnect", p.disconnect(wire.LeaveCard), wire.Success)
		}
		after(time.Second, false)
		if got := slot.Calls(bridgetest.ColdReset); got != 2 {
			t.Errorf("powered up %d times, want 2", got)
		}
		if got := slot.Calls(bridgetest.PowerOff); got != 2 {
			t.Errorf("switched off %d times, want 2", got)
		}
		// The log-in is gone with the power, and nobody is told: that is its purpose.
		if _, counts := s.reader(), s.reader().Cards; counts != 0 {
			t.Errorf("%d events", counts)
		}
	})
}

func TestIdleTime(t *testing.T) {
	for _, c := range []struct {
		name string
		idle time.Duration
		want time.Duration // 0 is never
	}{
		{"longer", time.Minute, time.Minute}, {"never", -1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slot := echo()
				inMemory(t, bridge.Config{IdleTime: c.idle}, slot)
				time.Sleep(max(c.want, 1) - 1)
				synctest.Wait()
				if !slot.Powered() {
					t.Error("off too soon")
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if slot.Powered() != (c.want == 0) {
					t.Errorf("power %v", slot.Powered())
				}
			})
		})
	}
}

// TestFirstClient: who comes while the service starts gets a whole answer.
func TestFirstClient(t *testing.T) {
	slow := func(d time.Duration) *bridgetest.Slot {
		slot := echo()
		slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
			if call != bridgetest.ColdReset {
				return nil
			}
			timer := time.NewTimer(d)
			defer timer.Stop()
			select {
			case <-timer.C:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		return slot
	}
	for _, c := range []struct {
		name  string
		ready time.Duration // after which Ready is closed; -1 never
		power time.Duration // how long the card takes
		want  time.Duration // until the answer
		state wire.ReaderState
	}{
		{"all is there", 0, 0, 0, wire.CardReady},
		{"readers take a while", 2 * time.Second, 0, 2 * time.Second, wire.CardReady},
		{"readers never come", -1, 0, 5 * time.Second, wire.CardReady},
		{"the card takes a while", 0, 3 * time.Second, 3 * time.Second, wire.CardReady},
		{"both", 2 * time.Second, 3 * time.Second, 3 * time.Second, wire.CardReady},
		{"a card without end", 0, time.Hour, 5 * time.Second, wire.CardMute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ready := make(chan struct{})
				if c.ready >= 0 {
					time.AfterFunc(c.ready, func() { close(ready) })
				}
				s := inMemory(t, bridge.Config{Ready: ready}, slow(c.power))
				p, q := s.established(6), s.established(4)
				p.send(wire.CmdGetReadersStateSize, nil)
				took(t, "the size", c.want, func() { parse(p, wire.ReadersSizeSize, wire.ParseReadersSize) })
				got := q.wait()
				if len(got) != 1 || got[0].State != c.state || (got[0].ATRLength > 0) != (c.state == wire.CardReady) {
					t.Errorf("%+v, want %v", got, c.state)
				}
				if c.state == wire.CardMute {
					took(t, "the event", time.Hour-5*time.Second, func() { q.want("event", q.event().Result, wire.Success) })
				}
			})
		})
	}
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
			if call == bridgetest.Transmit {
				time.Sleep(time.Second) // it is not to be interrupted
			}
			return nil
		})
		s := inMemory(t, bridge.Config{}, slot)
		busy, locked, joins, waits, idle := s.connected(), s.connected(), s.established(4), s.established(4), s.program()
		waits.wait()
		var wg sync.WaitGroup
		wg.Go(func() {
			resp, result := busy.transmit(0, 0xEE, 0, 0, 1)
			if result != wire.Success || len(resp) != 3 {
				t.Errorf("the command under way: % x, %v", resp, result)
			}
			busy.closed()
		})
		synctest.Wait()
		locked.want("begin", locked.begin(), wire.Success)
		wg.Go(func() {
			joins.want("connect", joins.connect(wire.ShareShared).Result, wire.ServiceStopped)
			joins.closed()
		})
		wg.Go(func() {
			if e := waits.event(); e.Result != wire.ServiceStopped {
				t.Errorf("event %v", e.Result.String())
			}
			waits.closed()
		})
		synctest.Wait()
		took(t, "Close", time.Second, func() { s.service.Close() })
		wg.Wait()
		locked.closed()
		idle.closed()
		if slot.Powered() {
			t.Error("the card has power")
		}
		if _, err := s.service.Attach(echo()); !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("Attach: %v", err)
		}
		if err := s.service.Serve(t.Context(), &memory{closed: make(chan struct{})}); !errors.Is(err, bridge.ErrClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
}

func TestCloseDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
			if call == bridgetest.Transmit {
				<-ctx.Done()
			}
			return nil
		})
		s := inMemory(t, bridge.Config{}, slot)
		p := s.connected()
		p.send(wire.CmdTransmit, p.transmitBody(4, 258), 0, 0xEE, 0, 0)
		synctest.Wait()
		took(t, "Close", 2*time.Second, func() { s.service.Close() })
		if _, err := io.ReadAll(p.nc); err != nil {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestDetachWaitsForCall: a slot is not let go of while a call of it is under
// way, even if that does not end at once.
func TestDetachWaitsForCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		let := make(chan struct{})
		slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
			if call == bridgetest.Transmit {
				<-ctx.Done()
				<-let
			}
			return nil
		})
		s := inMemory(t, bridge.Config{})
		detach := s.attach(slot)
		synctest.Wait()
		p := s.connected()
		p.send(wire.CmdTransmit, p.transmitBody(4, 258), 0, 0xEE, 0, 0)
		synctest.Wait()
		detached := false
		go func() {
			detach()
			detached = true
		}()
		synctest.Wait()
		if detached || len(s.service.Snapshot().Readers) != 0 {
			t.Errorf("detached %v, %d readers", detached, len(s.service.Snapshot().Readers))
		}
		close(let)
		p.want("transmit", second(p.transmitAnswer()), wire.ReaderUnavailable)
		synctest.Wait()
		if !detached {
			t.Error("detach does not return")
		}
	})
}

// TestNothingIsKept: what went through a connection is not left in memory.
func TestNothingIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slot := echo()
		slot.OnControl(func(_ wire.ControlCode, dst, in []byte) ([]byte, error) { return append(dst, in...), nil })
		s := inMemory(t, bridge.Config{}, slot)
		p := s.connected()
		pin := []byte("31415926")
		for _, fill := range []int{0, 300, 3000, 60000} {
			apdu := append(append([]byte{0, 0xEE, 0, 0}, make([]byte, fill)...), pin...)
			resp, result := p.transmit(apdu...)
			if result != wire.Success || !bytes.Contains(resp, pin) {
				t.Fatalf("%d bytes, %v", len(resp), result.String())
			}
			// In pieces, so that it has to be moved.
			b := frame(wire.CmdTransmit, p.transmitBody(len(apdu), wire.MaxData), apdu...)
			for part := range slices.Chunk(b, 900) {
				if _, err := p.nc.Write(part); err != nil {
					t.Fatal(err)
				}
			}
			p.transmitAnswer()
			if resp, _ := p.control(wire.CtlEscape, 1000, pin...); !bytes.Equal(resp, pin) {
				t.Fatalf("% x", resp)
			}
			synctest.Wait()
			for _, room := range s.service.Rooms() {
				if bytes.Contains(room, pin) {
					t.Errorf("%d bytes: there it is", len(apdu))
				}
			}
		}
	})
}

func TestAcceptGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failed sync.WaitGroup
		failed.Add(3)
		cfg := bridge.Config{Trace: func(e bridge.Event) {
			if e.Kind == bridge.EventAcceptFailed {
				failed.Done()
			}
		}}
		s := onListener(t, cfg, &memory{fails: 3}, echo())
		took(t, "the first connection", 35*time.Millisecond, func() { s.established(4) })
		failed.Wait()
	})
}

// TestServeEnds: the end of its context ends Serve, and not the connections.
func TestServeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := bridge.New(bridge.Config{})
		ln := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := s.Serve(ctx, ln); !errors.Is(err, context.Canceled) {
				t.Errorf("Serve: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
		broken := errors.New("listener is broken")
		if err := s.Serve(t.Context(), breaking{broken}); !errors.Is(err, broken) {
			t.Errorf("Serve: %v", err)
		}
		s.Close()
	})
}

type breaking struct{ err error }

func (b breaking) Accept() (net.Conn, error) { return nil, b.err }
func (breaking) Close() error                { return nil }
func (breaking) Addr() net.Addr              { return &net.UnixAddr{} }

package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/usb"
)

func TestPresentAtStart(t *testing.T) {
	b := newBus()
	b.plug(token(1, 4))
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		ev := expect(t, sub, Arrived, time.Second)
		if !ev.Reported.IsZero() {
			t.Errorf("Reported = %v for a reader that was there", ev.Reported)
		}
		if got, want := ev.Reader.Name(0), "DigiFlow LLP. KAZTOKEN 00 00"; got != want {
			t.Errorf("name %q, want %q", got, want)
		}
		late := s.Subscribe()
		defer late.Close()
		if ev := expect(t, late, Arrived, 0); ev.Reader != s.Readers()[0] {
			t.Error("a late subscriber got another reader")
		}
	})
}

// TestListedBeforeReported has the list see a device before its report is read.
func TestListedBeforeReported(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		b.plug(dev)
		b.say(Changed, token(3, 9))
		time.Sleep(2 * debounce)
		b.say(Added, dev)
		expect(t, sub, Arrived, 0)
		quiet(t, sub, time.Minute)
	})
}

func TestThousandCycles(t *testing.T) {
	b := newBus()
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		for i := range 1000 {
			dev := token(1, 2+i%120)
			b.plug(dev)
			plugged := time.Now()
			b.say(Added, dev)
			b.say(Changed, dev)
			ev := expect(t, sub, Arrived, time.Second)
			if ev.Reader.Index != 0 {
				t.Fatalf("cycle %d: reader number %d, want 0", i, ev.Reader.Index)
			}
			if !ev.Reported.Equal(plugged) {
				t.Fatalf("cycle %d: Reported = %v, want %v", i, ev.Reported, plugged)
			}
			if took := ev.Time.Sub(plugged); took > 2*debounce {
				t.Fatalf("cycle %d: arrived after %v", i, took)
			}
			// Both signs of a removal, in either order, are one event.
			unplugged := time.Now()
			if i%2 == 0 {
				b.unplug(dev)
				synctest.Wait()
				b.say(Gone, dev)
			} else {
				b.say(Gone, dev)
				synctest.Wait()
				b.unplug(dev)
			}
			ev = expect(t, sub, Removed, time.Second)
			if !errors.Is(ev.Err, usb.ErrGone) {
				t.Fatalf("cycle %d: removed with %v, want ErrGone", i, ev.Err)
			}
			if took := ev.Time.Sub(unplugged); took != 0 {
				t.Fatalf("cycle %d: removed after %v, want at once", i, took)
			}
			if n := len(s.Readers()); n != 0 {
				t.Fatalf("cycle %d: %d readers after the removal", i, n)
			}
			time.Sleep(2 * debounce) // until the list that follows is over
		}
		quiet(t, sub, time.Minute)
	})
}

func TestSameAddressReplug(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		b.plug(dev)
		b.say(Added, dev)
		first := expect(t, sub, Arrived, time.Second).Reader

		// The whole replug is over before the first report of it is read.
		b.unplug(dev)
		b.plug(dev)
		b.say(Gone, dev)
		b.say(Added, dev)
		if ev := expect(t, sub, Removed, time.Second); ev.Reader != first {
			t.Error("another reader was removed")
		}
		second := expect(t, sub, Arrived, time.Second).Reader
		if second == first {
			t.Error("the replugged device is the reader of before")
		}

		// The report of the leave is lost: an arrival at an address ends what had it.
		b.unplug(dev)
		b.plug(dev)
		b.say(Added, dev)
		expect(t, sub, Removed, time.Second)
		expect(t, sub, Arrived, time.Second)

		// The report of the leave comes after that of the arrival: the list brings the device back.
		b.say(Gone, dev)
		expect(t, sub, Removed, time.Second)
		expect(t, sub, Arrived, time.Second)
		quiet(t, sub, time.Minute)
	})
}

// TestLeaveBeforeArrive plugs into another address before the old one is
// reported gone, and reports a device that is gone already.
func TestLeaveBeforeArrive(t *testing.T) {
	b := newBus()
	old, young := token(1, 4), token(1, 5)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		b.plug(old)
		b.say(Added, old)
		first := expect(t, sub, Arrived, time.Second).Reader
		b.plug(young)
		b.say(Added, young)
		second := expect(t, sub, Arrived, time.Second).Reader
		if first.Index != 0 || second.Index != 1 {
			t.Errorf("reader numbers %d and %d, want 0 and 1", first.Index, second.Index)
		}
		b.say(Gone, old)
		b.unplug(old)
		if ev := expect(t, sub, Removed, time.Second); ev.Reader != first {
			t.Error("the leave of the old address ended the new one")
		}
		ghost := token(1, 6)
		b.say(Gone, ghost)
		b.say(Added, ghost)
		quiet(t, sub, time.Minute)
	})
}

func TestDebounce(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		for range 5 { // a loose contact, over before anybody looks
			b.plug(dev)
			b.say(Added, dev)
			time.Sleep(debounce / 4)
			b.unplug(dev)
			b.say(Gone, dev)
			time.Sleep(debounce / 4)
		}
		quiet(t, sub, time.Second)

		// Reports without a pause about something else do not put a token off.
		b.plug(dev)
		b.say(Added, dev)
		other := token(3, 9)
		began := time.Now()
		for range 40 {
			time.Sleep(debounce / 2)
			b.say(Changed, other)
		}
		if ev := expect(t, sub, Arrived, 0); ev.Time.Sub(began) > debounceMax+2*debounce {
			t.Errorf("arrived after %v", ev.Time.Sub(began))
		}
	})
}

// TestConfigured looks at a device as soon as the kernel has configured it.
func TestConfigured(t *testing.T) {
	b := newBus()
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		dev := token(1, 4)
		b.plug(dev)
		b.say(Added, dev)
		time.Sleep(debounce / 4)
		b.say(Changed, dev)
		expect(t, sub, Arrived, 0)
	})
}

func TestConfiguredLate(t *testing.T) {
	b := newBus()
	bare := token(1, 4)
	bare.Configuration = 0
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		g := b.plug(bare)
		b.say(Added, bare)
		quiet(t, sub, 50*time.Millisecond)
		b.mu.Lock()
		g.info.Configuration = 1
		b.mu.Unlock()
		b.say(Changed, bare)
		expect(t, sub, Arrived, 2*debounce)

		never := token(1, 5)
		never.Configuration = 0
		b.plug(never)
		b.say(Added, never)
		plugged := time.Now()
		ev := expect(t, sub, Arrived, time.Second)
		if took := ev.Time.Sub(plugged); took < settle {
			t.Errorf("an unconfigured device was opened after %v", took)
		}
	})
}

func TestRemovedDuringOpen(t *testing.T) {
	for _, during := range []string{"open", "power up"} {
		t.Run(during, func(t *testing.T) {
			b := newBus()
			dev := token(1, 4)
			hang := func(ctx context.Context, g *gadget, try int) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-g.gone:
					return usb.ErrGone
				}
			}
			if during == "open" {
				b.open = hang
			} else {
				b.power = hang
			}
			supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
				for _, first := range []string{"report", "transfer error"} {
					b.plug(dev)
					b.say(Added, dev)
					time.Sleep(time.Second)
					if first == "report" {
						b.say(Gone, dev)
						synctest.Wait()
						b.unplug(dev)
					} else {
						b.unplug(dev)
						synctest.Wait()
						b.say(Gone, dev)
					}
					// It never arrived, so nobody is told.
					quiet(t, sub, time.Minute)
				}
			})
		})
	}
}

// TestIgnorantDriver has a driver whose Open does not see its context: a
// replug at the same address waits until it has let go.
func TestIgnorantDriver(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	b.open = func(ctx context.Context, g *gadget, try int) error {
		time.Sleep(300 * time.Millisecond)
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		b.plug(dev)
		b.say(Added, dev)
		time.Sleep(100 * time.Millisecond)
		b.unplug(dev)
		b.plug(dev)
		b.say(Gone, dev)
		b.say(Added, dev)
		expect(t, sub, Arrived, time.Second)
		quiet(t, sub, time.Minute)
		if b.opened != 2 || b.closed != 1 {
			t.Errorf("%d pipes opened, %d closed, want 2 and 1", b.opened, b.closed)
		}
	})
}

func TestPermissionLate(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	var tries []time.Duration
	var plugged time.Time
	b.open = func(ctx context.Context, g *gadget, try int) error {
		tries = append(tries, time.Since(plugged)-debounce)
		if time.Since(plugged) < time.Second {
			return fmt.Errorf("open: %w", usb.ErrAccess)
		}
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		time.Sleep(time.Second)
		plugged = time.Now()
		b.plug(dev)
		b.say(Added, dev)
		expect(t, sub, Arrived, 3*time.Second)
	})
	want := []time.Duration{0, 50, 150, 350, 750, 1550}
	if len(tries) != len(want) {
		t.Fatalf("tries at %v, want %v ms", tries, want)
	}
	for i, at := range tries {
		if at.Round(time.Millisecond) != want[i]*time.Millisecond {
			t.Errorf("try %d after %v, want %v ms", i, at, int64(want[i]))
		}
	}
}

func TestPermissionNever(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	var allowed atomic.Bool
	b.open = func(ctx context.Context, g *gadget, try int) error {
		if !allowed.Load() {
			return fmt.Errorf("open: %w", usb.ErrAccess)
		}
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		time.Sleep(time.Second)
		b.plug(dev)
		b.say(Added, dev)
		ev := expect(t, sub, Failed, 3*time.Second)
		if took := ev.Time.Sub(ev.Reported); took < accessMax || took > accessMax+2*debounce {
			t.Errorf("gave up after %v, want %v", took, accessMax)
		}
		if !errors.Is(ev.Err, usb.ErrAccess) || !strings.Contains(Hint(ev.Err), "udev-rules") || !strings.Contains(ev.Err.Error(), "0a89:0035") {
			t.Errorf("error %v, hint %q", ev.Err, Hint(ev.Err))
		}
		quiet(t, sub, time.Minute) // said once
		late := s.Subscribe()
		if ev := expect(t, late, Failed, 0); !errors.Is(ev.Err, usb.ErrAccess) {
			t.Errorf("a late subscriber is told %v", ev.Err)
		}
		late.Close()
		// The rule was installed and udevadm trigger ran: no waiting.
		allowed.Store(true)
		b.say(Changed, dev)
		expect(t, sub, Arrived, 0)
	})
	// A device that was there before us has its permissions already.
	b = newBus()
	b.plug(dev)
	b.open = func(ctx context.Context, g *gadget, try int) error { return usb.ErrAccess }
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		expect(t, sub, Failed, time.Millisecond)
	})
}

func TestBusy(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	b.plug(dev)
	var log bytes.Buffer
	b.log = logrus.New()
	b.log.SetOutput(&log)
	var free atomic.Bool
	b.open = func(ctx context.Context, g *gadget, try int) error {
		if !free.Load() {
			return usb.ErrBusy
		}
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		ev := expect(t, sub, Failed, time.Second)
		if !errors.Is(ev.Err, usb.ErrBusy) || !strings.Contains(ev.Err.Error(), "pcscd (pid 42)") || !strings.Contains(Hint(ev.Err), "systemctl stop") {
			t.Errorf("error %v, hint %q", ev.Err, Hint(ev.Err))
		}
		free.Store(true)
		b.say(Changed, dev) // the other program let the interface go
		expect(t, sub, Arrived, 0)
	})
	if said := log.String(); !strings.Contains(said, "held by pcscd (pid 42)") || !strings.Contains(said, "systemctl stop") {
		t.Errorf("the log says %s", said)
	}
}

// TestFaulty has a device that cannot be powered up: it is tried again after
// 1, 2, 4 … 30 s, and its own comings and goings on the bus, which are
// reported as changes, do not make that faster.
func TestFaulty(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	b.plug(dev)
	mute := errors.New("card is mute")
	var tries []time.Time
	b.power = func(ctx context.Context, g *gadget, try int) error {
		tries = append(tries, time.Now())
		b.say(Changed, dev)
		if len(tries) < 9 {
			return mute
		}
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		if ev := expect(t, sub, Failed, time.Second); !errors.Is(ev.Err, mute) {
			t.Errorf("error %v, want %v", ev.Err, mute)
		}
		expect(t, sub, Arrived, 10*time.Minute)
		if len(tries) != 9 {
			t.Fatalf("%d tries, want 9", len(tries))
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30} {
			if got := tries[i+1].Sub(tries[i]); got != want*time.Second {
				t.Errorf("wait %d: %v, want %ds", i, got, want)
			}
		}
		if b.opened != 9 || b.closed != 8 {
			t.Errorf("%d pipes opened, %d closed, want 9 and 8", b.opened, b.closed)
		}
	})
}

// TestReaderDies has a reader that fails while its device stays: it is
// reported removed, with the cause, and tried again.
func TestReaderDies(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	b.plug(dev)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		r := expect(t, sub, Arrived, time.Second).Reader
		dead := errors.New("resynchronisation failed")
		r.unit.(*busReader).fail(dead)
		if ev := expect(t, sub, Removed, 0); ev.Err != dead || ev.Reader != r {
			t.Errorf("removed with %v, want %v", ev.Err, dead)
		}
		quiet(t, sub, backoffMin-time.Millisecond)
		ev := expect(t, sub, Arrived, 2*time.Millisecond)
		if ev.Reader == r || !ev.Reported.IsZero() {
			t.Error("the second life is not a new reader without a report")
		}
		// The handle says gone while the device is still listed, as after a suspend.
		ev.Reader.unit.(*busReader).fail(usb.ErrGone)
		expect(t, sub, Removed, 0)
		expect(t, sub, Arrived, 2*backoffMin+time.Millisecond)
	})
}

func TestOverrunOfReports(t *testing.T) {
	b := newBus()
	stays, leaves, comes := token(1, 4), token(2, 4), token(3, 4)
	b.plug(stays)
	b.plug(leaves)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		expect(t, sub, Arrived, time.Second)
		expect(t, sub, Arrived, time.Second)
		// Neither change is reported; the handle of the one that left was never used.
		b.mu.Lock()
		delete(b.devices, addressOf(leaves))
		b.mu.Unlock()
		b.plug(comes)
		b.reports <- report{err: fmt.Errorf("read: %w", ErrOverrun)}
		got := map[Kind]int{}
		for range 2 {
			ev, err := sub.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			got[ev.Kind] = ev.Device.Bus
		}
		if got[Removed] != leaves.Bus || got[Arrived] != comes.Bus {
			t.Errorf("events %v", got)
		}
		quiet(t, sub, time.Minute)
	})
}

func TestWatchFails(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		b.mu.Lock()
		b.watchErr = errors.New("no netlink")
		b.mu.Unlock()
		b.reports <- report{err: errors.New("socket died")}
		time.Sleep(500 * time.Millisecond)
		b.plug(dev) // nobody says so
		time.Sleep(time.Second)
		b.mu.Lock()
		b.watchErr = nil
		b.mu.Unlock()
		expect(t, sub, Arrived, 5*time.Second)
	})
	b.watchErr = errors.New("no netlink")
	if _, err := Supervise(Config{Source: b}); err != b.watchErr {
		t.Errorf("Supervise: %v, want %v", err, b.watchErr)
	}
}

func TestListFails(t *testing.T) {
	b := newBus()
	b.plug(token(1, 4))
	b.listErr = errors.New("sysfs is not there")
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		quiet(t, sub, 2*time.Second)
		b.mu.Lock()
		b.listErr = nil
		b.mu.Unlock()
		expect(t, sub, Arrived, 4*time.Second)

		// A list that may miss something adds, but takes nothing away.
		b.mu.Lock()
		b.listErr, b.readable = errors.New("one device cannot be read"), 2
		b.mu.Unlock()
		b.plug(token(2, 7))
		b.say(Added, token(2, 7))
		expect(t, sub, Arrived, time.Second)
		quiet(t, sub, time.Minute)
	})
}

// TestSlowSubscriber floods a subscriber that does not take: its queue stays
// bounded, and what it gets in the end is what is there.
func TestSlowSubscriber(t *testing.T) {
	b := newBus()
	dev := token(1, 4)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		slow := s.Subscribe()
		const cycles = queueLimit
		for range cycles {
			b.plug(dev)
			b.say(Added, dev)
			expect(t, sub, Arrived, time.Second)
			b.unplug(dev)
			b.say(Gone, dev)
			expect(t, sub, Removed, time.Second)
		}
		b.plug(dev)
		b.say(Added, dev)
		expect(t, sub, Arrived, time.Second)
		synctest.Wait()
		slow.mu.Lock()
		n := len(slow.queue)
		slow.mu.Unlock()
		if n > queueLimit {
			t.Fatalf("%d events wait, limit %d", n, queueLimit)
		}
		expect(t, slow, Overrun, 0)
		var there *Reader
		for {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			ev, err := slow.Next(ctx)
			cancel()
			if err != nil {
				break
			}
			switch ev.Kind {
			case Arrived:
				there = ev.Reader
			case Removed:
				there = nil
			}
		}
		if there == nil || there != s.Readers()[0] {
			t.Error("the slow subscriber does not know the reader that is there")
		}
		slow.Close()
		if _, err := slow.Next(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("Next after Close: %v", err)
		}
	})
}

// TestCloseAnytime closes the supervisor at every stage of an arrival.
func TestCloseAnytime(t *testing.T) {
	for at := time.Duration(0); at <= 60*time.Millisecond; at += 5 * time.Millisecond {
		b := newBus()
		step := func(ctx context.Context, g *gadget, try int) error {
			if !sleep(ctx, nil, 20*time.Millisecond) {
				return ctx.Err()
			}
			return nil
		}
		b.open, b.power = step, step
		supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
			b.plug(token(1, 4))
			b.say(Added, token(1, 4))
			time.Sleep(at)
		})
	}
}

func TestComparedSource(t *testing.T) {
	for _, name := range []string{"timer", "signal", "signal not supported"} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, func(t *testing.T) { comparedSource(t, name) }) })
	}
}

func comparedSource(t *testing.T, name string) {
	b := newBus()
	b.plug(token(1, 3))
	poke := make(chan struct{})
	var signal func(context.Context, chan<- struct{}) error
	switch name {
	case "signal":
		signal = func(ctx context.Context, changed chan<- struct{}) error {
			for {
				select {
				case <-poke:
					changed <- struct{}{}
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
	case "signal not supported":
		signal = func(context.Context, chan<- struct{}) error { return errors.ErrUnsupported }
	}
	w, err := Compared(b.Devices, signal, time.Second).Watch()
	if err != nil {
		t.Fatal(err)
	}
	next := func(a Action, addr int) {
		t.Helper()
		n, err := w.Next(t.Context())
		if err != nil || n.Action != a || n.Addr != addr {
			t.Fatalf("notice %v %d, %v; want %v %d", n.Action, n.Addr, err, a, addr)
		}
	}
	began := time.Now()
	tell := func() {
		if name == "signal" {
			poke <- struct{}{}
		}
	}
	next(Added, 3)
	b.plug(token(1, 4))
	tell()
	next(Added, 4)
	b.unplug(token(1, 3))
	tell()
	next(Gone, 3)
	// Another device at the same address between two lists.
	other := token(1, 4)
	other.Serial = "0002"
	b.plug(other)
	tell()
	next(Gone, 4)
	next(Added, 4)
	if took := time.Since(began); (took == 0) != (name == "signal") {
		t.Errorf("three changes took %v", took)
	}
	ended := make(chan error)
	go func() { _, err := w.Next(t.Context()); ended <- err }()
	synctest.Wait()
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, errWatchClosed) {
		t.Errorf("Next after Close: %v", err)
	}
}

// TestComparedSourceFails: a signal that breaks ends the watch, so that the
// supervisor opens it again.
func TestComparedSourceFails(t *testing.T) {
	broken := errors.New("libusb broke")
	w, err := Compared(newBus().Devices, func(context.Context, chan<- struct{}) error { return broken }, time.Hour).Watch()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); err != broken {
		t.Errorf("Next: %v, want %v", err, broken)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

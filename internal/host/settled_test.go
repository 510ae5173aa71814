package host

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/usb"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSettled(t *testing.T) {
	t.Run("empty", func(t *testing.T) {
		supervise(t, newBus(), func(t *testing.T, s *Supervisor, sub *Subscription) {
			if !isClosed(s.Settled()) {
				t.Error("a machine without tokens does not settle")
			}
		})
	})
	t.Run("no list", func(t *testing.T) {
		b := newBus()
		b.listErr = errors.New("no USB")
		supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
			if !isClosed(s.Settled()) {
				t.Error("a machine that cannot list does not settle")
			}
		})
	})
	t.Run("one slow, one failing, one leaving", func(t *testing.T) {
		b := newBus()
		slow, failing, leaving := token(1, 4), token(2, 4), token(3, 4)
		b.plug(slow)
		b.plug(failing)
		b.plug(leaving)
		b.power = func(ctx context.Context, g *gadget, try int) error {
			switch g.info.Bus {
			case 1:
				time.Sleep(2 * time.Second)
			case 2:
				time.Sleep(time.Second)
				return errors.New("mute")
			case 3:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}
		supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
			expect(t, sub, Failed, 1500*time.Millisecond)
			expect(t, sub, Arrived, 2*time.Second)
			synctest.Wait()
			if isClosed(s.Settled()) {
				t.Error("settled while a reader powers up")
			}
			b.unplug(leaving)
			b.say(Gone, leaving)
			synctest.Wait()
			if !isClosed(s.Settled()) {
				t.Error("not settled after the last reader left")
			}
			b.plug(leaving) // a second arrival is not counted
			b.say(Added, leaving)
			time.Sleep(time.Second)
		})
	})
}

// TestSettledAfterEvents has a subscriber find everything in its queue.
func TestSettledAfterEvents(t *testing.T) {
	b := newBus()
	for i := range 8 {
		b.plug(token(1, 2+i))
	}
	b.power = func(ctx context.Context, g *gadget, try int) error {
		time.Sleep(time.Duration(g.info.Addr) * time.Millisecond)
		return nil
	}
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		<-s.Settled()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for i := range 8 {
			if ev, err := sub.Next(ended); err != nil || ev.Kind != Arrived {
				t.Fatalf("event %d: %v, %v", i, ev.Kind, err)
			}
		}
	})
}

func TestSetFilter(t *testing.T) {
	b := newBus()
	kaz, ecp := token(1, 4), token(1, 5)
	ecp.Product = 0x0030
	b.plug(kaz)
	b.plug(ecp)
	supervise(t, b, func(t *testing.T, s *Supervisor, sub *Subscription) {
		first := expect(t, sub, Arrived, time.Second).Reader
		s.SetFilter(Rutoken)
		ev := expect(t, sub, Arrived, time.Second)
		if ev.Device.Product != 0x0030 {
			t.Errorf("%v arrived", ev.Device.ID())
		}
		s.SetFilter(Rutoken)
		quiet(t, sub, time.Minute)
		s.SetFilter(nil)
		if gone := expect(t, sub, Removed, time.Second); gone.Reader != ev.Reader || !errors.Is(gone.Err, usb.ErrGone) {
			t.Errorf("removed %v with %v", gone.Name, gone.Err)
		}
		quiet(t, sub, time.Minute)
		if now := s.Readers(); len(now) != 1 || now[0] != first {
			t.Error("the reader that passes both filters is not the one of before")
		}
		// What is plugged in later meets the new filter.
		late := token(1, 6)
		late.Product = 0x0030
		b.plug(late)
		b.say(Added, late)
		quiet(t, sub, time.Minute)
	})
}

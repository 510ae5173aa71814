package host

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// signals counts the calls of a function that Changes calls.
type signals struct {
	mu sync.Mutex
	n  int
}

func (s *signals) signal() { s.mu.Lock(); defer s.mu.Unlock(); s.n++ }

// taken gives how many there were since the last call.
func (s *signals) taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.n
	s.n = 0
	return n
}

func TestChangesOfASource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBus()
		b.reports = make(chan report)
		var (
			s  signals
			wg sync.WaitGroup
		)
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() { watchSource(ctx, b, s.signal, silent()) })
		synctest.Wait()
		if s.taken() == 0 {
			t.Error("what there is at the start is not told")
		}
		time.Sleep(time.Hour)
		s.taken()
		time.Sleep(time.Hour)
		if n := s.taken(); n != 0 {
			t.Errorf("%d signals without a change", n)
		}
		b.plug(token(1, 5))
		b.say(Added, token(1, 5))
		synctest.Wait()
		if s.taken() == 0 {
			t.Error("a token that comes is not told")
		}
		time.Sleep(time.Minute)
		if s.taken() == 0 {
			t.Error("nor once it may be opened")
		}
		b.say(Gone, token(1, 5))
		synctest.Wait()
		if s.taken() == 0 {
			t.Error("a token that goes is not told")
		}
		cancel()
		wg.Wait()
	})
}

func TestChangesOfAService(t *testing.T) {
	service := serviceHere(t)
	told := make(chan struct{}, 100)
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	wg.Go(func() { Changes(ctx, Options{Backend: "pcsc"}, func() { told <- struct{}{} }) })
	defer wg.Wait()
	defer cancel()
	<-told // at the beginning
	<-told // the service has answered
	plugReader(service, "Aktiv Rutoken ECP 00 00")
	select {
	case <-told:
	case <-time.After(20 * time.Second):
		t.Error("a reader that comes is not told")
	}
}

func TestChangesOfTheVirtualToken(t *testing.T) {
	var s signals
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Changes(ctx, Options{Backend: "virtual"}, s.signal); !errors.Is(err, context.Canceled) || s.taken() == 0 {
		t.Errorf("%v", err)
	}
	var option *OptionError
	if err := Changes(t.Context(), Options{Backend: "none"}, s.signal); !errors.As(err, &option) {
		t.Errorf("%v", err)
	}
}

func TestAttached(t *testing.T) {
	one := Candidate{Backend: "usb", Name: "K 00 00", Device: token(1, 5)}
	moved := one
	moved.Name, moved.Index = "K 01 00", 1 // another token came before it in the list
	replugged := one
	replugged.Device.Addr = 6
	if one.Attached() != moved.Attached() || one.Attached() == replugged.Attached() {
		t.Errorf("%q, %q, %q", one.Attached(), moved.Attached(), replugged.Attached())
	}
	served := Candidate{Backend: "pcsc", Name: "K 00 00"}
	if served.Attached() == one.Attached() {
		t.Error("roads are mixed up")
	}
}

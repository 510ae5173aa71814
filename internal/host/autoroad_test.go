//go:build !darwin || !cgo

package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/client"
	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/udev"
	"kaztoken/usb"
)

// auto is a road to the service at its usual place and to software devices, a
// KAZTOKEN and another reader.
func auto(filter string, ours bool) *autoRoad {
	direct := simRoad(ccidsim.New(ccidsim.KAZTOKEN, cardsFor(ccidsim.KAZTOKEN)...), ccidsim.New(ccidsim.RutokenECP, cardsFor(ccidsim.RutokenECP)...))
	direct.backend = "usb"
	direct.filter, _ = filterNamed(filter)
	return &autoRoad{service: newServiceRoad(filter), direct: direct, ours: func(context.Context) bool { return ours }, log: silent()}
}

// TestAuto: what the service shows is reached through it, and the rest over USB.
func TestAuto(t *testing.T) {
	const kaztoken, rutoken = "DigiFlow LLP. KAZTOKEN 00 00", "Aktiv Rutoken ECP 01 00"
	for _, c := range []struct {
		name   string
		filter string
		plug   []string // readers of the service; nil for no service
		refuse bool
		want   string // backend and name of each
	}{
		{"no service", "kaztoken", nil, false, "usb DigiFlow LLP. KAZTOKEN 00 00"},
		{"service without it", "kaztoken", []string{"Other 00 00"}, false, "usb DigiFlow LLP. KAZTOKEN 00 00"},
		{"service with it", "kaztoken", []string{kaztoken}, false, "pcsc DigiFlow LLP. KAZTOKEN 00 00"},
		{"service with another one", "kaztoken", []string{rutoken}, false, "usb DigiFlow LLP. KAZTOKEN 00 00"},
		{"another one counts, too", "rutoken", []string{rutoken}, false, "pcsc Aktiv Rutoken ECP 01 00, usb DigiFlow LLP. KAZTOKEN 00 00"},
		{"service with both", "all", []string{kaztoken, rutoken}, false, "pcsc DigiFlow LLP. KAZTOKEN 00 00, pcsc Aktiv Rutoken ECP 01 00"},
		{"service denies", "kaztoken", []string{kaztoken}, true, "usb DigiFlow LLP. KAZTOKEN 00 00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(client.PathVariable, filepath.Join(t.TempDir(), "comm"))
			if c.plug != nil {
				s := serviceHere(t)
				for _, name := range c.plug {
					reader := pcscsim.Reader{Name: name}
					switch name {
					case kaztoken:
						reader.Card = emu.New(emu.WithATR(ccidsim.KAZTOKEN.ATR))
					case rutoken:
						reader.Card = emu.New(emu.WithATR(rutokenATR))
					}
					s.Plug(reader)
				}
				s.Refuse(c.refuse)
			}
			r := auto(c.filter, false)
			all, err := r.find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, one := range all {
				got = append(got, one.Backend+" "+one.Name)
				if one.Index != i {
					t.Errorf("%s has index %d, want %d", one.Name, one.Index, i)
				}
				tok, err := r.open(t.Context(), one, silent())
				if err != nil {
					t.Fatal(err)
				}
				if (tok.CCID() == nil) != (one.Backend == "pcsc") {
					t.Errorf("%s was not opened through %s", one.Name, one.Backend)
				}
				if _, err := tok.PowerOn(t.Context()); err != nil {
					t.Error(err)
				}
				if err := tok.Close(); err != nil {
					t.Error(err)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// TestAutoWaitsForOurs: our own service is given time to show a token, so that
// it is not taken from under it. Another one may never show it.
func TestAutoWaitsForOurs(t *testing.T) {
	const name = "DigiFlow LLP. KAZTOKEN 00 00"
	for _, c := range []struct {
		name    string
		ours    bool
		after   time.Duration // until the service shows it
		backend string
		took    time.Duration
	}{
		{"ours, soon", true, time.Second, "pcsc", time.Second},
		{"ours, never", true, time.Hour, "usb", oursWaits},
		{"another", false, time.Second, "usb", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				shown := func() bool { return time.Since(began) >= c.after }
				r := auto("kaztoken", c.ours)
				r.service.dial = func(context.Context) (smartcards, error) {
					return &fakeService{
						readers: func(ctx context.Context) (all []client.Reader, err error) {
							if shown() {
								all = append(all, client.Reader{Name: name})
							}
							return all, ctx.Err()
						},
						wait: func(ctx context.Context) error {
							sleep(ctx, nil, c.after-time.Since(began))
							return ctx.Err()
						},
					}, nil
				}
				all, err := r.find(t.Context())
				if err != nil || len(all) != 1 || all[0].Backend != c.backend || time.Since(began) != c.took {
					t.Errorf("%+v, %v after %v; want %s after %v", all, err, time.Since(began), c.backend, c.took)
				}
			})
		})
	}
}

// TestAutoHidden: a service that has the device and does not show it is named,
// with the way out.
func TestAutoHidden(t *testing.T) {
	dev := usb.Info{Bus: 1, Addr: 4, Vendor: 0x0a89, Product: 0x0035}
	for _, c := range []struct {
		holder udev.Holder
		hint   string
	}{
		{udev.Holder{PID: 812, Name: "pcscd"}, "does not show it; stop it: sudo systemctl stop pcscd.socket pcscd.service"},
		{udev.Holder{PID: 9, Name: "scdaemon"}, "stop it: gpgconf"},
		{udev.Holder{PID: 9, Name: "qemu"}, "end that program"},
	} {
		holders := []udev.Holder{c.holder}
		err := explain(usb.ErrBusy, dev, func(usb.Info) []udev.Holder { return holders })
		err = hiddenBy(err, holders)
		if !errors.Is(err, usb.ErrBusy) || !strings.Contains(err.Error(), c.holder.String()) || !strings.Contains(Hint(err), c.hint) {
			t.Errorf("%v, hint %q, want %q", err, Hint(err), c.hint)
		}
	}
	if err := hiddenBy(usb.ErrBusy, nil); err != usb.ErrBusy {
		t.Errorf("%v was changed", err)
	}
}

// next is the next event within a minute.
func next(t *testing.T, sub *Subscription) Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ev, err := sub.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// TestFollowService: the readers of a service come and go as events.
func TestFollowService(t *testing.T) {
	for _, backend := range []string{"pcsc", "auto"} {
		t.Run(backend, func(t *testing.T) {
			s := serviceHere(t)
			plugReader(s, kaztokenReader)
			var sup *Supervisor
			var err error
			if backend == "auto" {
				sup, err = auto("kaztoken", false).follow(silent())
			} else {
				sup, err = Follow(Options{Backend: backend})
			}
			if err != nil {
				t.Fatal(err)
			}
			defer sup.Close()
			sub := sup.Subscribe()
			for range 3 {
				ev := next(t, sub)
				if ev.Kind != Arrived || ev.Name != kaztokenReader || ev.Device.Serial != "32D18A58" || ev.Reader.CCID() != nil {
					t.Fatalf("%+v, want an arrival", ev)
				}
				slots := ev.Reader.Slots()
				if len(slots) != 1 || slots[0].Slot != 1 || slots[0].State != "active" || slots[0].ATR.IsZero() {
					t.Errorf("slots %+v", slots)
				}
				<-sup.Settled()
				if all := sup.Readers(); len(all) != 1 || all[0] != ev.Reader {
					t.Errorf("readers %v", all)
				}
				sup.SetFilter(AnyReader) // of no effect, and no harm
				s.Plug(pcscsim.Reader{Name: "Other 00 00"})
				s.Unplug(kaztokenReader)
				if ev = next(t, sub); ev.Kind != Removed || !errors.Is(ev.Err, usb.ErrGone) {
					t.Fatalf("%+v, want a removal", ev)
				}
				<-ev.Reader.unit.Done()
				if err := ev.Reader.unit.Err(); !errors.Is(err, usb.ErrGone) {
					t.Errorf("the reader ended with %v", err)
				}
				s.Unplug("Other 00 00")
				plugReader(s, kaztokenReader)
			}
			if err := sup.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("no service", func(t *testing.T) {
		t.Setenv(client.PathVariable, filepath.Join(t.TempDir(), "comm"))
		if _, err := Follow(Options{Backend: "pcsc"}); !errors.Is(err, ErrService) {
			t.Errorf("%v, want ErrService", err)
		}
	})
}

// TestFollowServiceAgain: readers go with their service and come back with it.
func TestFollowServiceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			ended = make(chan struct{})
			tries int
		)
		r := newServiceRoad("kaztoken")
		r.dial = func(context.Context) (smartcards, error) {
			if tries++; tries > 1 && tries < 4 {
				return nil, &client.Error{Op: "connect", Code: wire.NoService, Err: fmt.Errorf("try %d", tries)}
			}
			return &fakeService{
				readers: func(context.Context) ([]client.Reader, error) {
					return []client.Reader{{Name: kaztokenReader}}, nil
				},
				wait: func(ctx context.Context) error {
					select {
					case <-ended:
						return &client.Error{Op: "wait", Code: wire.CommError, Err: errors.New("EOF")}
					case <-ctx.Done():
						return ctx.Err()
					}
				},
			}, nil
		}
		s, err := r.follow(silent())
		if err != nil {
			t.Fatal(err)
		}
		sub := s.Subscribe()
		expect(t, sub, Arrived, time.Second)
		ended <- struct{}{}
		if ev := expect(t, sub, Removed, time.Second); !errors.Is(ev.Err, ErrService) {
			t.Errorf("removed because of %v, want ErrService", ev.Err)
		}
		// Tried after 1, 2 and 4 seconds.
		quiet(t, sub, 6*time.Second)
		expect(t, sub, Arrived, 2*time.Second)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestAutoFollow: over USB, unless the service shows a token or is ours.
func TestAutoFollow(t *testing.T) {
	for _, c := range []struct {
		name    string
		readers []client.Reader
		ours    bool
		service bool // followed
	}{
		{"nothing there", nil, false, false},
		{"shows another reader", []client.Reader{{Name: "Other 00 00"}}, false, false},
		{"shows the token", []client.Reader{{Name: kaztokenReader}}, false, true},
		{"is ours", nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := auto("kaztoken", c.ours)
				dials := 0
				r.service.dial = func(context.Context) (smartcards, error) {
					dials++
					return &fakeService{
						readers: func(ctx context.Context) ([]client.Reader, error) { return c.readers, ctx.Err() },
						wait: func(ctx context.Context) error {
							<-ctx.Done()
							return ctx.Err()
						},
					}, nil
				}
				s, err := r.follow(silent())
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if got := s.cfg.Source == nil; got != c.service {
					t.Errorf("the service is followed: %v, want %v", got, c.service)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

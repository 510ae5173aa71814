package host

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
)

// TestAwait waits for USB devices, for readers of a service and for its end, and
// not at all if there was a change before.
func TestAwait(t *testing.T) {
	unchanged := func(do func()) func() bool { return func() bool { do(); return true } }
	for _, c := range []struct {
		name    string
		service bool
		run     func(t *testing.T, ctx context.Context, cancel func(), b *bus, plug, end func(), r road) error
		want    error
	}{
		{"changed before", false, func(t *testing.T, ctx context.Context, _ func(), _ *bus, _, _ func(), r road) error {
			return await(ctx, r, func() bool { return false })
		}, nil},
		{"a device", false, func(t *testing.T, ctx context.Context, _ func(), b *bus, _, _ func(), r road) error {
			return await(ctx, r, unchanged(func() { go b.say(Added, token(1, 4)) }))
		}, nil},
		{"lost reports", true, func(t *testing.T, ctx context.Context, _ func(), b *bus, _, _ func(), r road) error {
			return await(ctx, r, unchanged(func() { go func() { b.reports <- report{err: ErrOverrun} }() }))
		}, nil},
		{"a reader", true, func(t *testing.T, ctx context.Context, _ func(), _ *bus, plug, _ func(), r road) error {
			return await(ctx, r, unchanged(plug))
		}, nil},
		{"the end of the service", true, func(t *testing.T, ctx context.Context, _ func(), _ *bus, _, end func(), r road) error {
			return await(ctx, r, unchanged(end))
		}, nil},
		{"in vain", true, func(t *testing.T, ctx context.Context, cancel func(), _ *bus, _, _ func(), r road) error {
			return await(ctx, r, unchanged(cancel))
		}, context.Canceled},
		{"nothing to watch", false, func(t *testing.T, ctx context.Context, cancel func(), b *bus, _, _ func(), r road) error {
			b.watchErr = errors.New("no netlink")
			return await(ctx, r, unchanged(cancel))
		}, context.Canceled},
		{"a token in software", false, func(t *testing.T, ctx context.Context, cancel func(), _ *bus, _, _ func(), _ road) error {
			return Await(ctx, Options{Backend: "virtual"}, unchanged(cancel))
		}, context.Canceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(client.PathVariable, filepath.Join(t.TempDir(), "comm"))
			b := newBus()
			b.reports = make(chan report)
			r := &autoRoad{service: newServiceRoad(""), direct: &usbRoad{backend: "usb", source: b}, log: silent()}
			plug, end := func() {}, func() {}
			if c.service {
				s := serviceHere(t)
				plug = func() { plugReader(s, kaztokenReader) }
				end = func() { s.Close() }
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if err := c.run(t, ctx, cancel, b, plug, end, r); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if b.watches != b.ended {
				t.Errorf("%d watches, %d of them closed", b.watches, b.ended)
			}
		})
	}
	var option *OptionError
	if err := Await(t.Context(), Options{Backend: "air"}, nil); !errors.As(err, &option) {
		t.Errorf("no such road: %v", err)
	}
}

// TestAwaitServiceStart waits where there is no service until there is one.
func TestAwaitServiceStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newServiceRoad("")
		starts := time.Now().Add(10 * time.Second)
		r.dial = func(context.Context) (smartcards, error) {
			if time.Now().Before(starts) {
				return nil, &client.Error{Op: "connect", Code: wire.NoService}
			}
			return &fakeService{readers: func(context.Context) ([]client.Reader, error) { return nil, nil }}, nil
		}
		if err := await(t.Context(), r, func() bool { return true }); err != nil {
			t.Error(err)
		}
		if late := time.Since(starts); late < 0 || late > 10*time.Second {
			t.Errorf("noticed after %v", late)
		}
	})
}

// TestAwaitServiceHangs notices a device also beside a service that says nothing.
func TestAwaitServiceHangs(t *testing.T) {
	for _, backend := range []string{"dials", "lists"} {
		t.Run(backend, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBus()
				b.reports = make(chan report)
				service := newServiceRoad("")
				hang := func(ctx context.Context) ([]client.Reader, error) {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				service.dial = func(ctx context.Context) (smartcards, error) {
					if backend == "dials" {
						_, err := hang(ctx)
						return nil, err
					}
					return &fakeService{readers: hang}, nil
				}
				r := &autoRoad{service: service, direct: &usbRoad{backend: "usb", source: b}, log: silent()}
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				asked := false
				err := await(ctx, r, func() bool {
					asked = true
					go b.say(Added, token(1, 4))
					return true
				})
				if took := time.Since(began); err != nil || !asked || took > 2*serviceAnswer {
					t.Errorf("asked %t, %v after %v", asked, err, took)
				}
			})
		})
	}
}

// TestLeaveOpen lets a card go on which another program goes on with the log-in.
func TestLeaveOpen(t *testing.T) {
	for _, c := range []struct {
		name  string
		again bool // a PIN is verified afterwards
		want  wire.Disposition
	}{{"left", false, wire.LeaveCard}, {"verified again", true, wire.ResetCard}} {
		t.Run(c.name, func(t *testing.T) {
			s := serviceHere(t)
			plugReader(s, kaztokenReader)
			tok := powered(t)
			verify := func() {
				for _, apdu := range [][]byte{logOut, verifyPIN("12345678")} {
					if _, err := tok.Transmit(t.Context(), nil, apdu); err != nil {
						t.Fatal(err)
					}
				}
			}
			verify()
			tok.LeaveOpen()
			if c.again {
				verify()
			}
			if err := tok.Close(); err != nil {
				t.Error(err)
			}
			said := s.Said()
			for len(said) > 0 && said[len(said)-1].Command != wire.CmdDisconnect {
				said = said[:len(said)-1]
			}
			if len(said) == 0 || said[len(said)-1].Disposition != c.want {
				t.Errorf("let go with %v, want %v", said, c.want)
			}
		})
	}
}

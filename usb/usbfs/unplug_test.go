//go:build linux

package usbfs

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"kaztoken/usb"
)

func TestUnplug(t *testing.T) {
	calls := map[string]func(ctx context.Context, p *pipe) error{
		"bulk OUT": func(ctx context.Context, p *pipe) error { return p.WriteBulk(ctx, []byte{1}) },
		"bulk IN": func(ctx context.Context, p *pipe) error {
			_, err := p.ReadBulk(ctx, make([]byte, 64))
			return err
		},
		"interrupt IN": func(ctx context.Context, p *pipe) error {
			_, err := p.ReadInterrupt(ctx, make([]byte, 8))
			return err
		},
		"control": func(ctx context.Context, p *pipe) error {
			_, err := p.Control(ctx, usb.Setup{RequestType: 0xA1}, make([]byte, 8))
			return err
		},
		"recover": func(ctx context.Context, p *pipe) error { return p.Recover(ctx) },
	}
	for name, call := range calls {
		for _, back := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, URBs back %t", name, back), func(t *testing.T) {
				bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
					begin := time.Now()
					var pending []<-chan result
					if name != "interrupt IN" {
						pending = append(pending, readInterrupt(t.Context(), p))
						k.inFlight(1)
					}
					pending = append(pending, start(func() result { return result{err: call(t.Context(), p)} }))
					if name != "bulk IN" && name != "recover" {
						pending = append(pending, read(t.Context(), p))
					}
					settle()
					k.unplug(back)
					for i, r := range pending {
						if r := <-r; !errors.Is(r.err, usb.ErrGone) {
							t.Errorf("call %d: got %v", i, r.err)
						}
					}
					if d := time.Since(begin); d != 0 {
						t.Errorf("took %v", d)
					}
					if err := call(t.Context(), p); !errors.Is(err, usb.ErrGone) {
						t.Errorf("afterwards: got %v", err)
					}
				})
			})
		}
		t.Run(name+", idle", func(t *testing.T) {
			bubble(t, silent, func(t *testing.T, k *fakeKernel, p *pipe) {
				k.unplug(true)
				if err := call(t.Context(), p); !errors.Is(err, usb.ErrGone) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// What arrived before the unplug is delivered.
func TestUnplugAfterAnAnswer(t *testing.T) {
	both(t, silent, func(t *testing.T, k *fakeKernel, p *pipe, others int) {
		k.device = func(f *flight) {
			f.complete(0, []byte{1, 2})
			k.unplug(true)
		}
		if r := <-read(t.Context(), p); r.err != nil || r.n != 2 {
			t.Errorf("got %+v", r)
		}
	})
}

// The unplug is met by the nth request, for every n of a session.
func TestUnplugAtEveryRequest(t *testing.T) {
	for n := 1; ; n++ {
		through := false
		bubble(t, echo(), func(t *testing.T, k *fakeKernel, p *pipe) {
			requests := 0
			k.fail = func(uintptr) syscall.Errno {
				if requests++; requests == n {
					k.unplug(true)
				}
				return 0
			}
			err := session(t.Context(), p)
			if through = requests < n; through {
				if err != nil {
					t.Errorf("nothing happened: %v", err)
				}
			} else if err != nil && !errors.Is(err, usb.ErrGone) {
				t.Errorf("request %d: got %v", n, err)
			}
		})
		if through {
			if n < 10 {
				t.Errorf("the session has only %d requests", n-1)
			}
			return
		}
	}
}

func session(ctx context.Context, p *pipe) error {
	for range 2 {
		if err := p.WriteBulk(ctx, []byte{1, 2, 3}); err != nil {
			return err
		}
		if _, err := p.ReadBulk(ctx, make([]byte, 64)); err != nil {
			return err
		}
	}
	if err := p.Recover(ctx); err != nil {
		return err
	}
	_, err := p.Control(ctx, usb.Setup{RequestType: 0xA1, Request: 2}, make([]byte, 4))
	return err
}

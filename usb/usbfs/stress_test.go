//go:build linux

package usbfs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"kaztoken/usb"
)

// Random readers, writers, deadlines and cancellations over a device that
// answers late, twice over every endpoint: bytes come to whom they belong, no
// URB and no goroutine is left.
func TestStress(t *testing.T) {
	rounds := 400
	bubble(t, nil, func(t *testing.T, k *fakeKernel, p *pipe) {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(1, 2))
		random := func(n int) int {
			mu.Lock()
			defer mu.Unlock()
			return rng.IntN(n)
		}
		k.device = func(f *flight) {
			data := []byte{f.ep, f.ep, f.ep, f.ep}
			if !f.in() {
				data = f.data
			}
			switch d := time.Duration(random(40)) * time.Millisecond; {
			case d == 0:
				f.complete(0, data)
			default:
				time.AfterFunc(d, func() { f.complete(0, data) })
			}
		}
		var group sync.WaitGroup
		for which := range 4 {
			group.Go(func() {
				for range rounds {
					ctx, cancel := context.WithCancel(context.Background())
					limit := time.Duration(1+random(40)) * time.Millisecond
					switch random(4) {
					case 0:
						ctx, cancel = context.WithTimeout(ctx, limit)
					case 1:
						ctx = onlyDeadline{first(context.WithTimeout(ctx, limit))}
					case 2:
						time.AfterFunc(limit, cancel)
					}
					_, err := transferOn(ctx, p, which, random)
					cancel()
					if err != nil && !errors.Is(err, usb.ErrTimeout) && !errors.Is(err, context.Canceled) {
						t.Errorf("endpoint %d: %v", which, err)
						return
					}
				}
			})
		}
		group.Wait()
		p.takeBack(p.in) // the last message may have been read ahead for
		k.inFlight(0)
	})
}

// The same without a clock: everything happens as fast as it can, in an order
// that nobody chose.
func TestStressUnpaced(t *testing.T) {
	k := newFakeKernel(t)
	k.device = func(f *flight) {
		data := []byte{f.ep, f.ep, f.ep, f.ep}
		if !f.in() {
			data = f.data
		}
		switch rand.IntN(4) {
		case 0:
			f.complete(0, data)
		case 1: // until it is cancelled
			if f.ep == 0x83 {
				return
			}
			fallthrough
		default:
			go f.complete(0, data)
		}
	}
	p := k.pipe()
	var group sync.WaitGroup
	for which := range 4 {
		group.Go(func() {
			for i := range 2000 {
				ctx, cancel := context.WithCancel(context.Background())
				if i%3 == 0 || which == 2 {
					go cancel()
				}
				_, err := transferOn(ctx, p, which, rand.IntN)
				cancel()
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("endpoint %d: %v", which, err)
					return
				}
			}
		})
	}
	group.Wait()
	p.takeBack(p.in)
	if len(k.submitted) > 0 || p.flying != 0 || p.leader != nil {
		t.Errorf("left behind: %d URBs, %d transfers, leader %v", len(k.submitted), p.flying, p.leader)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// transferOn makes one transfer on an endpoint and checks what came.
func transferOn(ctx context.Context, p *pipe, which int, random func(int) int) (n int, err error) {
	buf := make([]byte, 64)
	ep := byte(0)
	switch which {
	case 0:
		return 0, p.WriteBulk(ctx, buf[:1+random(64)])
	case 1:
		ep = 0x82
		n, err = p.ReadBulk(ctx, buf)
	case 2:
		ep = 0x83
		n, err = p.ReadInterrupt(ctx, buf[:8])
	case 3:
		n, err = p.Control(ctx, usb.Setup{RequestType: 0xA1}, buf[:4])
	}
	if err == nil && (n != 4 || !bytes.Equal(buf[:4], []byte{ep, ep, ep, ep})) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func first[A, B any](a A, _ B) A { return a }

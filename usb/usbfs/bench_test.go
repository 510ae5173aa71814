//go:build linux

package usbfs

import (
	"context"
	"testing"
	"time"
)

// instant is a kernel whose device answers before the submission returns.
func instant(t testing.TB) *pipe {
	k := newFakeKernel(t)
	k.recycle = true
	answer := make([]byte, 64)
	k.device = func(f *flight) {
		if f.in() {
			f.complete(0, answer)
		} else {
			f.complete(0, f.data)
		}
	}
	p := k.pipe()
	t.Cleanup(func() { p.Close() })
	return p
}

// later is a context of which the deadline moves, as the driver's does.
type later struct {
	context.Context
	deadline time.Time
}

func (c *later) Deadline() (time.Time, bool) { return c.deadline, true }

func TestNoAllocations(t *testing.T) {
	for name, parent := range map[string]context.Context{"no channel": context.Background(), "channel": t.Context()} {
		p := instant(t)
		ctx := &later{Context: parent}
		msg, buf := make([]byte, 20), make([]byte, 320)
		pair := func() {
			ctx.deadline = time.Now().Add(time.Hour)
			if err := p.WriteBulk(ctx, msg); err != nil {
				t.Fatal(err)
			}
			if n, err := p.ReadBulk(ctx, buf); n != 64 || err != nil {
				t.Fatal(n, err)
			}
		}
		pair()
		if n := testing.AllocsPerRun(100, pair); n != 0 {
			t.Errorf("%s: %v allocations per pair of transfers", name, n)
		}
	}
}

// What a pair of transfers costs without the kernel.
func BenchmarkPair(b *testing.B) {
	p := instant(b)
	ctx := &later{Context: b.Context()}
	msg, buf := make([]byte, 20), make([]byte, 320)
	b.ReportAllocs()
	for b.Loop() {
		ctx.deadline = time.Now().Add(time.Hour)
		p.WriteBulk(ctx, msg)
		p.ReadBulk(ctx, buf)
	}
}

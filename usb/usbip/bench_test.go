package usbip

import (
	"context"
	"io"
	"testing"
)

// loop is a device that gives back what it got, without a goroutine or an
// allocation of its own.
type loop struct {
	*fakeDevice
	messages chan int
}

func (d *loop) Out(_ context.Context, _ byte, data []byte) error {
	d.messages <- len(data)
	return nil
}

func (d *loop) In(ctx context.Context, _ byte, buf []byte) (int, error) {
	select {
	case n := <-d.messages:
		return n, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// pair makes a function that runs one bulk pair of n bytes each way.
func pair(tb testing.TB, n int) func() {
	_, c := dial(tb, &loop{newFakeDevice(), make(chan int, 1)})
	out := (&submit{seq: 1, devID: c.dev, ep: 1, length: uint32(n)}).appendTo(nil)
	out = append(out, make([]byte, n)...)
	in := (&submit{seq: 2, devID: c.dev, in: true, ep: 2, length: uint32(n)}).appendTo(nil)
	b := make([]byte, 2*headerSize+n)
	return func() {
		if _, err := c.conn.Write(out); err != nil {
			tb.Fatal(err)
		}
		if _, err := c.conn.Write(in); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(c.conn, b); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkBulkPair(b *testing.B) {
	run := pair(b, 271)
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
}

// TestNoAllocation: after warm-up a transfer costs no allocation, the fake
// client's included.
func TestNoAllocation(t *testing.T) {
	run := pair(t, 271)
	for range 10 {
		run()
	}
	if n := testing.AllocsPerRun(200, run); n != 0 {
		t.Errorf("%v allocations per bulk pair", n)
	}
}

var _ Device = (*fakeDevice)(nil)

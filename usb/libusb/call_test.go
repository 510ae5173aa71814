//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/usb"
)

// deadlineOnly is a context with a deadline whose Done never closes, as
// usb.Pipe allows.
type deadlineOnly struct {
	context.Context
	at time.Time
}

func (d deadlineOnly) Deadline() (time.Time, bool) { return d.at, true }

func within(d time.Duration) context.Context {
	return deadlineOnly{context.Background(), time.Now().Add(d)}
}

// wait is what gousb does: it waits for the end of a call.
func wait(c *call) { <-c.Done() }

func TestCallEnds(t *testing.T) {
	for _, tc := range []struct {
		name  string
		ctx   func() (context.Context, context.CancelFunc)
		end   func(*call, context.CancelFunc)
		after time.Duration
		want  error
	}{
		{"deadline without Done", func() (context.Context, context.CancelFunc) { return within(time.Second), nil }, nil, time.Second, usb.ErrTimeout},
		{"deadline with Done", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Second)
		}, nil, time.Second, usb.ErrTimeout},
		{"deadline, parent cancelled first", func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), time.Second)
		}, func(_ *call, cancel context.CancelFunc) { cancel() }, 0, context.Canceled},
		{"cancelled", func() (context.Context, context.CancelFunc) { return context.WithCancel(context.Background()) },
			func(_ *call, cancel context.CancelFunc) { cancel() }, 0, context.Canceled},
		{"terminated", func() (context.Context, context.CancelFunc) { return context.Background(), nil },
			func(c *call, _ context.CancelFunc) { c.terminate(usb.ErrGone) }, 0, usb.ErrGone},
		{"held", func() (context.Context, context.CancelFunc) { return context.Background(), nil },
			func(c *call, _ context.CancelFunc) { c.hold(errPaused) }, 0, errPaused},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := tc.ctx()
				if cancel != nil {
					defer cancel()
				}
				var c call
				start := time.Now()
				if err := c.begin(ctx); err != nil {
					t.Fatal(err)
				}
				if tc.end != nil {
					go tc.end(&c, cancel)
				}
				wait(&c)
				if d := time.Since(start); d != tc.after {
					t.Errorf("ended after %v, want %v", d, tc.after)
				}
				if !errors.Is(c.Err(), tc.want) {
					t.Errorf("Err: got %v, want %v", c.Err(), tc.want)
				}
				if err := c.end(); !errors.Is(err, tc.want) {
					t.Errorf("end: got %v, want %v", err, tc.want)
				}
			})
		})
	}
}

func TestCallDoesNotBegin(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	expired, cancel := context.WithDeadline(context.Background(), time.Unix(0, 0))
	defer cancel()
	var c call
	for _, tc := range []struct {
		name string
		ctx  context.Context
		want error
	}{
		{"cancelled", cancelled, context.Canceled},
		{"expired", expired, usb.ErrTimeout},
		{"expired without Done", within(-time.Second), usb.ErrTimeout},
	} {
		if err := c.begin(tc.ctx); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
	c.hold(errPaused)
	if err := c.begin(context.Background()); !errors.Is(err, errPaused) {
		t.Errorf("held: %v", err)
	}
	c.resume()
	if err := c.begin(context.Background()); err != nil {
		t.Errorf("resumed: %v", err)
	}
	c.end()
	c.terminate(usb.ErrGone)
	c.terminate(usb.ErrClosed)
	if err := c.begin(context.Background()); !errors.Is(err, usb.ErrGone) {
		t.Errorf("terminated: %v", err)
	}
}

// TestCallsDoNotHitEachOther: what was to end one call does not end the next,
// though it comes late.
func TestCallsDoNotHitEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c call
		begin := func(ctx context.Context) {
			t.Helper()
			if err := c.begin(ctx); err != nil {
				t.Fatal(err)
			}
		}
		parent, cancel := context.WithCancel(context.Background())
		begin(parent)
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
		begin(within(time.Second))
		first := c.Done()
		cancel() // of the call before
		c.expire()
		synctest.Wait()
		if c.Err() != nil {
			t.Fatalf("ended by its predecessor: %v", c.Err())
		}
		if err := c.end(); err != nil {
			t.Fatal(err)
		}
		begin(context.Background())
		time.Sleep(time.Minute)
		c.expire()
		if c.Done() != first {
			t.Error("a channel that was not closed was thrown away")
		}
		if err := c.end(); err != nil {
			t.Errorf("a call without a deadline: %v", err)
		}
		begin(within(time.Second))
		wait(&c)
		c.end()
		begin(context.Background())
		if c.Done() == first || c.Err() != nil {
			t.Error("a closed channel was kept")
		}
	})
}

func TestCallAllocatesNothing(t *testing.T) {
	var c call
	var ctx context.Context = deadlineOnly{context.Background(), time.Now().Add(time.Hour)}
	if n := testing.AllocsPerRun(100, func() {
		if err := c.begin(ctx); err != nil {
			t.Fatal(err)
		}
		c.end()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCall(b *testing.B) {
	parent, cancel := context.WithCancel(context.Background())
	defer cancel()
	for name, ctx := range map[string]context.Context{
		"deadline":    deadlineOnly{context.Background(), time.Now().Add(time.Hour)},
		"cancellable": deadlineOnly{parent, time.Now().Add(time.Hour)},
	} {
		b.Run(name, func(b *testing.B) {
			var c call
			b.ReportAllocs()
			for b.Loop() {
				if err := c.begin(ctx); err != nil {
					b.Fatal(err)
				}
				c.end()
			}
		})
	}
}

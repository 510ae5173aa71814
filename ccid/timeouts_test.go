package ccid

import (
	"context"
	"errors"
	"testing"
	"time"

	"kaztoken/internal/iso7816"
)

// The values were worked out by hand from the formulas of ISO 7816-3.
func TestWaitingTimes(t *testing.T) {
	const µs = time.Microsecond
	slow, fast := defaultTiming(3580), defaultTiming(4000)
	for _, tt := range []struct {
		name       string
		got, want  time.Duration
		resolution time.Duration
	}{
		{"etu 3580", slow.etus(1), 103900 * time.Nanosecond, 100 * time.Nanosecond},
		{"etu 4000", fast.etus(1), 93 * µs, 100 * time.Nanosecond},
		{"EGT 3580", slow.egt(1, iso7816.T1), 1247 * µs, µs},
		{"EGT 4000", fast.egt(1, iso7816.T0), 1116 * µs, µs},
		{"CWT 3580", slow.cwt(1), 852400 * µs, 100 * µs},
		{"CWT 4000", fast.cwt(1), 762900 * µs, 100 * µs},
		{"BWT 3580", slow.bwt(), 1597200 * µs, 100 * µs},
		{"BWT 4000", fast.bwt(), 1429500 * µs, 100 * µs},
		{"WWT 3580", slow.wwt(), 997500 * µs, 100 * µs},
		{"WWT 4000", fast.wwt(), 892800 * µs, 100 * µs},
		{"BGT 3580", slow.etus(22), 2290 * µs, 10 * µs},
		{"BGT 4000", fast.etus(22), 2050 * µs, 10 * µs},
		{"T=1 worst 3580", slow.worst(iso7816.T1), 224540 * time.Millisecond, time.Millisecond},
		{"T=1 worst 4000", fast.worst(iso7816.T1), 201068 * time.Millisecond, time.Millisecond},
		{"T=0 in 3580", slow.worstT0In(), 6311 * time.Millisecond, time.Millisecond},
		{"T=0 in 4000", fast.worstT0In(), 5648 * time.Millisecond, time.Millisecond},
		{"T=0 out 3580", slow.worstT0Out(), 259367 * time.Millisecond, time.Millisecond},
		{"T=0 out 4000", fast.worstT0Out(), 232134 * time.Millisecond, time.Millisecond},
		{"TA1=95 BWI 4 CWI 5", timing{fidi: 0x95, clock: 4000, bwi: 4, cwi: 5}.worst(iso7816.T1), 2540 * time.Millisecond, 10 * time.Millisecond},
		{"CWI 15", timing{fidi: 0x11, clock: 4000, bwi: 4, cwi: 15}.worst(iso7816.T1), 795 * time.Second, time.Second},
		{"clock unknown", defaultTiming(0).worst(iso7816.T1), time.Minute, time.Nanosecond},
		{"N=FF, T=0", timing{fidi: 0x11, clock: 3720, guard: 0xFF}.egt(1, iso7816.T0), 1200 * µs, µs},
		{"N=FF, T=1", timing{fidi: 0x11, clock: 3720, guard: 0xFF}.egt(1, iso7816.T1), 1100 * µs, µs},
		{"N=10", timing{fidi: 0x11, clock: 3720, guard: 10}.egt(1, iso7816.T1), 2200 * µs, µs},
		{"soft T=1", slow.soft(iso7816.T1), 4194400 * µs, 500 * µs},
		{"soft T=0", fast.soft(iso7816.T0), 2785600 * µs, 100 * µs},
		{"extension x3", slow.extended(3), 10583 * time.Millisecond, time.Millisecond},
		{"extension x0 is x1", fast.extended(0), 5 * time.Second, time.Nanosecond},
		{"extension x255", fast.extended(255), 730047 * time.Millisecond, time.Millisecond},
		{"S(WTX) 1", fast.waitingTime(1), 5 * time.Second, time.Nanosecond},
		{"S(WTX) 5", slow.waitingTime(5), 9986 * time.Millisecond, time.Millisecond},
	} {
		if off := (tt.got - tt.want).Abs(); off > tt.resolution {
			t.Errorf("%s: got %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	lim := Timeouts{}.withDefaults()
	for _, tt := range []struct {
		name string
		t    timing
		p    iso7816.Protocol
		want time.Duration
	}{
		{"T=1", fast, iso7816.T1, 201068 * time.Millisecond},
		{"at most", timing{fidi: 0x11, clock: 4000, bwi: 4, cwi: 15}, iso7816.T1, 240 * time.Second},
		{"T=0 at most", slow, iso7816.T0, 240 * time.Second},
		{"at least", timing{fidi: 0x95, clock: 4000, bwi: 4, cwi: 5}, iso7816.T1, 5 * time.Second},
		{"clock unknown", defaultTiming(0), iso7816.T0, 60 * time.Second},
	} {
		if got := tt.t.hard(tt.p, &lim); (got - tt.want).Abs() > time.Millisecond {
			t.Errorf("hard limit %s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	if lim.BulkOut != 5*time.Second || lim.Control != time.Second || lim.Command != 3*time.Second ||
		lim.PowerOn != time.Minute || lim.Escape != 30*time.Second || lim.Secure != 90*time.Second ||
		lim.Abort != 2*time.Second || lim.Total != 10*time.Minute {
		t.Errorf("defaults %+v", lim)
	}
}

func TestLimitOfCall(t *testing.T) {
	if got := limitOf(t.Context(), time.Second); got != time.Second {
		t.Errorf("got %v", got)
	}
	if got := limitOf(WithLimit(t.Context(), time.Hour), time.Second); got != time.Hour {
		t.Errorf("got %v", got)
	}
}

func TestBoundedContext(t *testing.T) {
	var c boundedContext
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Minute))
	defer cancel()
	near, far := time.Now().Add(time.Second), time.Now().Add(time.Hour)
	if d, _ := c.until(ctx, near).Deadline(); !d.Equal(near) {
		t.Errorf("got %v, want its own", d)
	}
	theirs, _ := ctx.Deadline()
	if d, _ := c.until(ctx, far).Deadline(); !d.Equal(theirs) {
		t.Errorf("got %v, want the caller's", d)
	}
	if expired(ctx) != nil {
		t.Error("expired too soon")
	}
	past, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	if err := expired(past); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = c.until(ctx, near) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

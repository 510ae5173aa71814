package ccid

import (
	"context"
	"time"

	"kaztoken/internal/iso7816"
)

// Timeouts are the limits of single waits. A zero field takes the default.
type Timeouts struct {
	BulkOut time.Duration // until the reader took a message; 5 s
	Control time.Duration // one control transfer; 1 s
	Command time.Duration // GetSlotStatus, IccPowerOff, the Parameters commands and what else is quick; 3 s
	PowerOn time.Duration // IccPowerOn: the longest ATR lasts 29.5 s; 60 s
	Escape  time.Duration // vendor command; 30 s
	Secure  time.Duration // PIN entry: this or the reader's own time-out and 10 s, the larger; 90 s
	Abort   time.Duration // until the reader confirms an abort; 2 s, and never less than 5 s for a PIN entry

	// An exchange with the card waits as long as its parameters allow in the
	// worst case, but at least ExchangeMin (5 s) and at most ExchangeMax (240 s).
	ExchangeMin, ExchangeMax time.Duration

	// Total bounds one command with all its time extensions; 10 min. Negative
	// is no bound but the caller's context.
	Total time.Duration
}

func (t Timeouts) withDefaults() Timeouts {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.BulkOut, 5 * time.Second},
		{&t.Control, time.Second},
		{&t.Command, 3 * time.Second},
		{&t.PowerOn, 60 * time.Second},
		{&t.Escape, 30 * time.Second},
		{&t.Secure, 90 * time.Second},
		{&t.Abort, 2 * time.Second},
		{&t.ExchangeMin, 5 * time.Second},
		{&t.ExchangeMax, 240 * time.Second},
		{&t.Total, 10 * time.Minute},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	return t
}

// Limits that nobody has reason to change.
const (
	drainOpen     = 20 * time.Millisecond  // stale data at open
	drainResync   = 50 * time.Millisecond  // stale data before a resynchronisation
	probeTimeout  = 300 * time.Millisecond // GetSlotStatus of a resynchronisation
	listTimeout   = 500 * time.Millisecond // lists of clocks and rates
	abortPINEntry = 5 * time.Second
	closeTimeout  = time.Second           // power off and abort when closing
	closeGrace    = 50 * time.Millisecond // for a command that ends by itself
	peekInterval  = time.Second           // how long a message may lie in an unfinished transfer
)

type limitKey struct{}

// WithLimit returns a context in which one exchange with the card may last up
// to d, whatever Timeouts say: for commands known to be long, such as the
// generation of a key. The deadline of ctx holds all the same.
func WithLimit(ctx context.Context, d time.Duration) context.Context {
	return context.WithValue(ctx, limitKey{}, d)
}

func limitOf(ctx context.Context, otherwise time.Duration) time.Duration {
	if d, ok := ctx.Value(limitKey{}).(time.Duration); ok {
		return d
	}
	return otherwise
}

// timing is what the waiting times of ISO 7816-3 are computed from.
type timing struct {
	fidi  byte   // in force
	clock uint32 // f, kHz
	guard byte   // N of TC1
	wi    byte   // T=0
	bwi   byte   // T=1
	cwi   byte   // T=1
}

// defaultTiming holds before anything is known of the card.
func defaultTiming(clock uint32) timing {
	return timing{fidi: iso7816.DefaultFiDi, clock: clock, wi: 10, bwi: 4, cwi: 13}
}

func timingOf(atr iso7816.ATR, fidi byte, clock uint32) timing {
	return timing{
		fidi: fidi, clock: clock, guard: atr.ExtraGuardTime(),
		wi: atr.WI(), bwi: atr.BWI(), cwi: atr.CWI(),
	}
}

// etus is the time of n elementary time units of F/(D·f).
func (t timing) etus(n uint32) time.Duration {
	return time.Duration(iso7816.Nanoseconds(n, t.fidi, t.clock))
}

// egt is the time of n characters with their guard time, for protocol p.
func (t timing) egt(n uint32, p iso7816.Protocol) time.Duration {
	per := 12 + uint32(t.guard)
	if t.guard == 0xFF { // the least: ISO 7816-3:2006 §8.3
		per = 12
		if p == iso7816.T1 {
			per = 11
		}
	}
	return t.etus(n * per)
}

// cwt is n character waiting times of T=1 (ISO 7816-3:2006 §11.4.3).
func (t timing) cwt(n uint32) time.Duration { return t.etus(n * (11 + 1<<(t.cwi&0xF))) }

// bwt is the block waiting time of T=1 (ISO 7816-3:2006 §11.4.3). Its second
// part does not depend on the speed in force.
func (t timing) bwt() time.Duration {
	base := t
	base.fidi = iso7816.DefaultFiDi
	return t.etus(11) + base.etus(960<<min(t.bwi, 9))
}

// wwt is the waiting time of T=0 (ISO 7816-3:2006 §10.2), for F alone.
func (t timing) wwt() time.Duration {
	slow := t
	slow.fidi = t.fidi&0xF0 | 1
	return slow.etus(960 * uint32(t.wi))
}

// worst is how long an exchange can last at the most with a card that uses up
// every waiting time. A clock that is not known gives 60 s.
func (t timing) worst(p iso7816.Protocol) time.Duration {
	switch {
	case t.clock == 0:
		return 60 * time.Second
	case p == iso7816.T1:
		return t.egt(260, p) + t.bwt() + t.cwt(260) + time.Second
	}
	return max(t.worstT0In(), t.worstT0Out(), 3*time.Second)
}

func (t timing) worstT0In() time.Duration  { return t.egt(261, iso7816.T0) + 6*t.wwt() }
func (t timing) worstT0Out() time.Duration { return t.egt(5, iso7816.T0) + 260*t.wwt() }

// soft is how long an answer should take at the most; more is worth a note.
func (t timing) soft(p iso7816.Protocol) time.Duration {
	if p == iso7816.T1 {
		return 2*t.bwt() + time.Second
	}
	return 2*t.wwt() + time.Second
}

// hard is the limit of one XfrBlock.
func (t timing) hard(p iso7816.Protocol, lim *Timeouts) time.Duration {
	return min(max(t.worst(p), lim.ExchangeMin), lim.ExchangeMax)
}

// extended is how long to wait after a time extension with multiplier m. It
// never builds on an earlier extension.
func (t timing) extended(m byte) time.Duration {
	return max(5*time.Second, 2*time.Duration(max(m, 1))*max(t.bwt(), t.wwt())+time.Second)
}

// waitingTime is the limit of the block that follows S(WTX) n at TPDU or
// character level.
func (t timing) waitingTime(n byte) time.Duration {
	return max(5*time.Second, time.Duration(n)*t.bwt()+2*time.Second)
}

// boundedContext is a context with a deadline of its own, for transports that
// read Deadline themselves as [usb.Pipe] demands. Its Done channel is that of
// the context within. It is used again and again, so that a deadline costs no
// timer and no allocation; only one call may use it at a time.
type boundedContext struct {
	context.Context
	at time.Time
}

// until sets the deadline, or that of the context within if it is earlier.
func (c *boundedContext) until(ctx context.Context, at time.Time) context.Context {
	if d, ok := ctx.Deadline(); ok && d.Before(at) {
		at = d
	}
	c.Context, c.at = ctx, at
	return c
}

// Deadline is the deadline last set.
func (c *boundedContext) Deadline() (time.Time, bool) { return c.at, true }

// expired gives the context's own error if its time is over, even if its
// timer is late.
func expired(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return nil
}

// sleep waits for d, or less if ctx ends or the reader is done.
func (r *Reader) sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return r.Err()
	}
}

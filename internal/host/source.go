package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/usb"
)

// Source tells which USB devices there are and which come and go.
type Source interface {
	// Devices lists what is attached now, without any traffic to it. A machine
	// with no USB at all has an empty list. An error beside a list says that
	// something may be missing in it.
	Devices(ctx context.Context) ([]usb.Info, error)

	// Watch starts to report changes. What changes between the return of Watch
	// and a later call of Devices is in the list, in the reports, or in both:
	// nothing falls between them.
	Watch() (Watch, error)
}

// Watch is one stream of reports. One goroutine calls Next; Close may come
// from any other and ends it.
type Watch interface {
	// Next waits for the next report. [ErrOverrun] says that reports were lost
	// and that the devices should be listed again; the watch goes on. Any other
	// error ends the watch.
	Next(ctx context.Context) (Notice, error)
	Close() error
}

// ErrOverrun: the system dropped reports because they were not read fast
// enough.
var ErrOverrun = errors.New("hot-plug reports were lost")

// Notice is one report about one device. It says that something happened to
// the device at an address, not that the device is still there.
type Notice struct {
	Action    Action
	Bus, Addr int
	Time      time.Time // when the system said so
}

// Action is what a [Notice] reports.
type Action byte

// The actions. Changed stands for all that happens to a device that stays:
// it was configured, its node got other permissions, its driver was unbound.
const (
	Added Action = iota
	Changed
	Gone
)

func (a Action) String() string {
	switch a {
	case Added:
		return "added"
	case Changed:
		return "changed"
	case Gone:
		return "gone"
	}
	return fmt.Sprintf("Action(%#02x)", byte(a))
}

// address names a device for as long as it is attached. It is used again after
// an unplug, so it is never an identity by itself: see [Supervisor].
type address struct{ bus, addr int }

func addressOf(dev usb.Info) address { return address{dev.Bus, dev.Addr} }

// Compared makes a Source out of a list function, for systems that do not say
// which device changed: Watch lists the devices again and reports the
// differences. It does so whenever signal puts a value into its channel, which
// it may do until its context ends; if signal is nil or gives an error that is
// [errors.ErrUnsupported], every interval instead.
func Compared(list func(context.Context) ([]usb.Info, error), signal func(context.Context, chan<- struct{}) error, interval time.Duration) Source {
	return compared{list, signal, interval}
}

type compared struct {
	list     func(context.Context) ([]usb.Info, error)
	signal   func(context.Context, chan<- struct{}) error
	interval time.Duration
}

func (c compared) Devices(ctx context.Context) ([]usb.Info, error) { return c.list(ctx) }

func (c compared) Watch() (Watch, error) {
	w := &comparedWatch{compared: c, changed: make(chan struct{}, 1), ended: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if c.signal == nil {
		w.err = errors.ErrUnsupported
		close(w.ended)
		return w, nil
	}
	go func() {
		defer close(w.ended)
		w.err = c.signal(w.ctx, w.changed)
	}()
	return w, nil
}

type comparedWatch struct {
	compared
	known map[address]usb.Info // nil before the first list
	queue []Notice

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	changed chan struct{}
	ended   chan struct{} // closed when signal has returned
	err     error         // of signal
}

func (w *comparedWatch) Next(ctx context.Context) (Notice, error) {
	for len(w.queue) == 0 {
		if w.known != nil {
			if err := w.wait(ctx); err != nil {
				return Notice{}, err
			}
		}
		devs, err := w.list(ctx)
		if err != nil && len(devs) == 0 {
			return Notice{}, err
		}
		w.compare(devs, time.Now())
	}
	n := w.queue[0]
	w.queue = w.queue[1:]
	return n, nil
}

// wait waits until the devices should be listed again.
func (w *comparedWatch) wait(ctx context.Context) error {
	var tick <-chan time.Time
	ended := w.ended
	for {
		select {
		case <-w.changed:
			return nil
		case <-tick:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-w.ctx.Done():
			return errWatchClosed
		case <-ended:
			if w.ctx.Err() != nil {
				return errWatchClosed
			}
			if !errors.Is(w.err, errors.ErrUnsupported) {
				return w.err
			}
			ended = nil
			t := time.NewTimer(w.interval)
			defer t.Stop()
			tick = t.C
		}
	}
}

func (w *comparedWatch) Close() error {
	w.cancel()
	<-w.ended
	return nil
}

// compare queues what distinguishes devs from the list before it. The first
// list is reported whole: Watch promises that nothing falls between the two.
func (w *comparedWatch) compare(devs []usb.Info, now time.Time) {
	next := make(map[address]usb.Info, len(devs))
	for _, d := range devs {
		next[addressOf(d)] = d
	}
	for a, d := range w.known {
		if n, ok := next[a]; !ok || !sameDevice(d, n) {
			w.queue = append(w.queue, Notice{Gone, a.bus, a.addr, now})
		}
	}
	for a, d := range next {
		if o, ok := w.known[a]; !ok || !sameDevice(d, o) {
			w.queue = append(w.queue, Notice{Added, a.bus, a.addr, now})
		}
	}
	w.known = next
}

var errWatchClosed = errors.New("hot-plug watch is closed")

// sameDevice reports whether two lists talk of the same plugged device, as far
// as a list can tell: a quick replug at the same address looks the same here
// and shows by its transfer errors or by its own notices.
func sameDevice(a, b usb.Info) bool {
	return a.Bus == b.Bus && a.Addr == b.Addr && a.Port == b.Port &&
		a.Vendor == b.Vendor && a.Product == b.Product && a.Release == b.Release && a.Serial == b.Serial
}

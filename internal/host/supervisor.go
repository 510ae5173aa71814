package host

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/udev"
	"kaztoken/usb"
)

const (
	// debounce is how long a device must be left alone by reports before it is
	// looked at: one plug is reported several times within a few milliseconds,
	// and a loose contact many times. The report that follows that of the arrival
	// ends it: the kernel has configured the device then.
	debounce = 10 * time.Millisecond
	// debounceMax bounds how long reports without a pause put that off.
	debounceMax = 100 * time.Millisecond
	// settle is how long a device may stay without a configuration before it is
	// opened all the same. The kernel reports a device first and configures it
	// then; a device that it leaves unconfigured is configured by the driver.
	settle = 500 * time.Millisecond
	// noticeQueue bounds the reports that wait for the supervisor. When it is
	// full the watch is not read, and the system says so with an overrun.
	noticeQueue = 64
)

// Config says what a [Supervisor] works with.
type Config struct {
	Source Source
	Driver Driver
	Filter Filter // nil takes [Kaztoken]
	// Log takes one line for each thing that happens; nil drops them.
	Log *logrus.Logger

	// bring turns a claimed interface into a powered reader, which owns the
	// pipe, also if it fails; nil is bringCCID.
	bring func(ctx context.Context, p usb.Pipe, dev usb.Info, ifc usb.Interface, log *logrus.Entry, opts ...ccid.Option) (unit, error)
	// holders names who has a device that is busy; nil is holdersOf.
	holders func(usb.Info) []udev.Holder
}

// Supervisor keeps every reader that is plugged in open and powered up. It
// owns the readers: they end when the device does, or with Close.
//
// What is attached is decided by the list of the [Source] alone; a [Notice]
// only says when to look, and that the device which had an address before has
// ended. So a notice that is late, doubled or about a device that has left
// again does no harm, and a replug at the same address is a new device.
//
// All methods are safe for concurrent use.
type Supervisor struct {
	cfg    Config
	log    *logrus.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // every goroutine of the supervisor
	look   chan struct{}  // capacity 1: the list should be looked at

	filters chan Filter   // for the goroutine of run, which owns cfg.Filter
	settled chan struct{} // closed as Settled says

	mu      sync.Mutex // guards all following fields; no I/O while held
	devices map[address]*device
	letting map[address]<-chan struct{} // done of a device that ended and still lets go
	taken   []bool                      // reader numbers in use
	subs    []*Subscription
	closed  bool
	listed  bool // the first list was looked at
	awaited int  // claims of that list which Settled waits for
}

// Supervise starts a supervisor. It returns when the watch is open; the
// readers arrive as events. The error is that of [Source.Watch].
func Supervise(cfg Config) (*Supervisor, error) {
	if cfg.Filter == nil {
		cfg.Filter = Kaztoken
	}
	if cfg.Log == nil {
		cfg.Log = silent()
	}
	if cfg.bring == nil {
		cfg.bring = bringCCID
	}
	if cfg.holders == nil {
		cfg.holders = holdersOf
	}
	watch, err := cfg.Source.Watch()
	if err != nil {
		return nil, err
	}
	s := newSupervisor(cfg)
	notices := make(chan Notice, noticeQueue)
	s.wg.Go(func() { s.watch(watch, notices) })
	s.wg.Go(func() { s.run(notices) })
	return s, nil
}

func newSupervisor(cfg Config) *Supervisor {
	s := &Supervisor{
		cfg: cfg, log: cfg.Log, look: make(chan struct{}, 1), filters: make(chan Filter), settled: make(chan struct{}),
		devices: make(map[address]*device), letting: make(map[address]<-chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// silent is a logger that drops everything.
func silent() *logrus.Logger {
	l := logrus.New()
	l.SetOutput(io.Discard)
	l.SetLevel(logrus.PanicLevel)
	return l
}

// Subscribe begins a queue of events with an Arrived for each reader that is
// there now and a Failed for each that cannot be used.
func (s *Supervisor) Subscribe() *Subscription {
	sub := &Subscription{wake: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		sub.closed = true
		return sub
	}
	sub.queue = s.present()
	s.subs = append(s.subs, sub)
	return sub
}

// Readers lists the readers that are there now, by their index.
func (s *Supervisor) Readers() []*Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	var rs []*Reader
	for _, ev := range s.present() {
		if ev.Kind == Arrived {
			rs = append(rs, ev.Reader)
		}
	}
	return rs
}

// Close ends every reader and every subscription, and returns when no
// goroutine, reader or claim is left. Readers that end so have no Removed
// event; events that wait can still be taken.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subs {
		sub.end(false)
	}
	s.subs = nil
	clear(s.devices)
	return nil
}

// present makes the events that tell what is there, in the order of the
// readers' numbers. The caller holds mu.
func (s *Supervisor) present() []Event {
	var claims []*claim
	for _, d := range s.devices {
		claims = append(claims, d.claims...)
	}
	slices.SortFunc(claims, func(a, b *claim) int { return a.index - b.index })
	var evs []Event
	for _, c := range claims {
		switch {
		case c.reader != nil:
			evs = append(evs, Event{Kind: Arrived, Name: c.name, Device: c.info, Reader: c.reader, Time: time.Now()})
		case c.failure != nil:
			evs = append(evs, Event{Kind: Failed, Name: c.name, Device: c.info, Err: c.failure, Time: time.Now()})
		}
	}
	return evs
}

// post hands an event to every subscriber. The caller holds mu.
func (s *Supervisor) post(ev Event) {
	ev.Time = time.Now()
	s.subs = slices.DeleteFunc(s.subs, func(sub *Subscription) bool { return !sub.post(ev, s.present) })
}

// watch passes notices on until the supervisor closes. A watch that fails is
// opened again.
func (s *Supervisor) watch(w Watch, to chan<- Notice) {
	defer func() { w.Close() }()
	for delay := backoffMin; ; {
		n, err := w.Next(s.ctx)
		switch {
		case s.ctx.Err() != nil:
			return
		case err == nil:
			delay = backoffMin
			select {
			case to <- n:
			case <-s.ctx.Done():
				return
			}
			continue
		case errors.Is(err, ErrOverrun):
			s.log.Warn("hot-plug reports were lost, listing the devices again")
			s.lookAgain()
			continue
		}
		s.log.WithError(err).WithField("retry", delay).Error("hot-plug watch failed")
		w.Close()
		for {
			if !sleep(s.ctx, nil, delay) {
				return
			}
			delay = min(2*delay, backoffMax)
			next, err := s.cfg.Source.Watch()
			if err != nil {
				continue
			}
			w = next
			s.lookAgain()
			break
		}
	}
}

// lookAgain asks for a fresh list.
func (s *Supervisor) lookAgain() {
	select {
	case s.look <- struct{}{}:
	default:
	}
}

// run decides when to list the devices and what follows from a list. It never
// does I/O itself: a list is made by a goroutine, one at a time.
func (s *Supervisor) run(notices <-chan Notice) {
	type list struct {
		devs []usb.Info
		err  error
	}
	var (
		reported  = make(map[address]time.Time) // first report of what has not been looked at
		touched   = make(map[address]bool)      // reported since the list in work began
		bare      = make(map[address]time.Time) // without configuration, since
		listed    = make(chan list, 1)
		listing   bool
		wanted    = true // list when the timer fires, or at once if there is none
		backoff   = backoffMin
		since     = time.Now() // when the list was first wanted
		timer     = time.NewTimer(0)
		listAfter = func(d time.Duration) {
			if !wanted {
				wanted, since = true, time.Now()
			} else if time.Since(since) > debounceMax {
				return
			}
			timer.Reset(d)
		}
	)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case n := <-notices:
			a := address{n.Bus, n.Addr}
			pause := debounce
			touched[a] = true
			s.log.WithFields(logrus.Fields{"bus": n.Bus, "addr": n.Addr, "action": n.Action}).Debug("hot-plug report")
			switch n.Action {
			case Added:
				if s.adopt(a, n.Time) {
					s.nudge(a)
					break
				}
				s.end(a, n.Time)
				reported[a] = n.Time
				delete(bare, a)
			case Changed:
				s.nudge(a)
				switch _, ok := reported[a]; {
				case ok:
					pause = 0
				case !s.has(a):
					reported[a] = n.Time
				}
			case Gone:
				s.end(a, n.Time)
				delete(reported, a)
				delete(bare, a)
			}
			listAfter(pause)
		case <-s.look:
			listAfter(debounce)
		case f := <-s.filters:
			s.refilter(f)
			listAfter(0)
		case <-timer.C:
			if !wanted || listing {
				break // the end of the list in work comes back here
			}
			wanted, listing = false, true
			clear(touched)
			s.wg.Go(func() {
				devs, err := s.cfg.Source.Devices(s.ctx)
				listed <- list{devs, err}
			})
		case l := <-listed:
			listing = false
			if s.ctx.Err() != nil {
				return
			}
			if l.err != nil && len(l.devs) == 0 {
				s.log.WithError(l.err).WithField("retry", backoff).Error("cannot list USB devices")
				listAfter(backoff)
				backoff = min(2*backoff, backoffMax)
				s.await()
				break
			}
			if l.err != nil {
				s.log.WithError(l.err).Warn("cannot list every USB device")
			}
			backoff = backoffMin
			again := s.reconcile(l.devs, l.err == nil, reported, touched, bare)
			s.await()
			switch {
			case wanted:
				timer.Reset(debounce) // it may have fired while the list was made
			case again > 0:
				listAfter(again)
			}
		}
	}
}

// reconcile makes the supervisor's devices those of a list; what is missing in
// one that is not whole may be there all the same. An address that was reported
// while the list was made is left to the next one. It returns after how long
// another list is needed, 0 for none.
func (s *Supervisor) reconcile(devs []usb.Info, whole bool, reported map[address]time.Time, touched map[address]bool, bare map[address]time.Time) (again time.Duration) {
	now := time.Now()
	there := make(map[address]bool, len(devs))
	for _, d := range devs {
		a := addressOf(d)
		there[a] = true
		if touched[a] {
			continue
		}
		if d.Configuration == 0 {
			since, ok := bare[a]
			if !ok {
				since = now
				bare[a] = now
			}
			if left := settle - now.Sub(since); left > 0 && !s.has(a) {
				if again == 0 || left < again {
					again = left
				}
				continue
			}
		} else {
			delete(bare, a)
		}
		s.begin(d, reported[a])
		delete(reported, a)
	}
	for a := range reported {
		if !there[a] && !touched[a] {
			delete(reported, a) // it has left again
		}
	}
	for a := range bare {
		if !there[a] {
			delete(bare, a)
		}
	}
	if whole {
		for _, a := range s.missing(there, touched) {
			s.end(a, time.Time{})
		}
	}
	return again
}

// sleep waits for d. It ends early with true when kick has something, and with
// false when ctx ends. A nil kick never has.
func sleep(ctx context.Context, kick <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-kick:
		return true
	case <-ctx.Done():
		return false
	}
}

package ccid

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/usb"
)

// notificationType is bMessageType of an interrupt message (CCID rev 1.10 §6.3).
type notificationType byte

const (
	notifySlotChange   notificationType = 0x50
	notifyHardwareFail notificationType = 0x51
)

// notification is what one interrupt message says about one slot.
type notification struct {
	kind    notificationType
	slot    int
	present bool // slot change: there is a card now
	changed bool // slot change: there was a change since the last message
	seq     byte // hardware error: bSeq of the command in progress
	code    byte // hardware error: 01 over-current
}

// parseNotifications reads what one transfer of the interrupt endpoint brought,
// which may be several messages, and calls f for every slot of them. The number
// of slots says how long a message of slot changes is; one that is cut short
// is read as far as it goes. The error is ErrProtocol and comes after what
// could be read.
func parseNotifications(b []byte, slots int, f func(notification)) error {
	for len(b) > 0 {
		switch kind := notificationType(b[0]); kind {
		case notifySlotChange:
			bits := b[1:min(len(b), 1+(slots+3)/4)]
			if len(bits) == 0 {
				return fmt.Errorf("notification of %d bytes: %w", len(b), ErrProtocol)
			}
			for i := range min(slots, 4*len(bits)) {
				state := bits[i/4] >> (i % 4 * 2)
				f(notification{kind: kind, slot: i, present: state&1 != 0, changed: state&2 != 0})
			}
			b = b[1+len(bits):]
		case notifyHardwareFail:
			if len(b) < 4 {
				return fmt.Errorf("notification of %d bytes: %w", len(b), ErrProtocol)
			}
			if int(b[1]) < slots {
				f(notification{kind: kind, slot: int(b[1]), seq: b[2], code: b[3]})
			}
			b = b[4:]
		default:
			return fmt.Errorf("notification of type %02X: %w", byte(kind), ErrProtocol)
		}
	}
	return nil
}

// watcher keeps the state of idle slots up to date. A notification is a hint:
// it has the slot asked, and only the answer counts, for readers miss some
// notifications and repeat others.
type watcher struct {
	r      *Reader
	opened time.Time
	wake   chan struct{} // capacity 1: hints were noted

	mu    sync.Mutex // guards the following fields
	heard bool       // a message came
	hints []hint     // by slot
	poll  bool       // the interrupt endpoint does not work
}

type hint struct {
	ask     bool
	changed bool // the card may be another one
	fault   bool // hardware error
}

// Messages this soon after opening tell of the time before, and the first one
// even later: it may have waited in the device since the card was found, for as
// long as a busy machine took to ask for it.
const (
	notifySettle = 100 * time.Millisecond
	notifyFirst  = time.Second
)

const maxInterruptStalls = 3

// startWatch starts what is needed to learn of card movements, which may be
// nothing: a fixed card leaves with the device.
func (r *Reader) startWatch(opened time.Time) {
	interrupt := r.ifc.Interrupt.Address != 0
	if !interrupt && (r.cardFixed() || r.config.poll <= 0) {
		return
	}
	w := &watcher{
		r: r, opened: opened, wake: make(chan struct{}, 1),
		hints: make([]hint, len(r.slots)), poll: !interrupt,
	}
	ctx, cancel := context.WithCancel(context.Background())
	if interrupt {
		r.wg.Go(func() {
			defer r.contained()
			w.listen(ctx)
		})
	}
	r.wg.Go(func() {
		defer cancel()
		defer r.contained()
		w.run(ctx)
	})
}

// contained ends the reader instead of the process after a panic, if that is
// asked for.
func (r *Reader) contained() {
	if r.config.contain == nil {
		return
	}
	if p := recover(); p != nil {
		r.config.contain(p)
		r.end(usb.ErrGone)
	}
}

// listen keeps one interrupt transfer pending all the time.
func (w *watcher) listen(ctx context.Context) {
	mps := max(1, w.r.ifc.Interrupt.MaxPacketSize)
	buf := make([]byte, roundUp(1+(len(w.r.slots)+3)/4, mps))
	var bound boundedContext
	for stalls := 0; ; {
		// As good as no deadline, and no transport takes it for one that is
		// missing.
		n, err := w.r.pipe.ReadInterrupt(bound.until(ctx, time.Now().Add(24*time.Hour)), buf)
		switch {
		case ctx.Err() != nil:
			return
		case n > 0:
			stalls = 0
			w.note(buf[:n])
		}
		switch {
		case err == nil, errors.Is(err, usb.ErrTimeout):
		case final(err):
			w.r.end(err)
			return
		default:
			if stalls++; stalls > maxInterruptStalls || errors.Is(err, usb.ErrNoEndpoint) {
				w.fallBack(err)
				return
			}
			if w.r.sleep(ctx, 50*time.Millisecond) != nil {
				return
			}
		}
	}
}

// note turns messages into hints.
func (w *watcher) note(b []byte) {
	age := time.Since(w.opened)
	w.mu.Lock()
	early := age < notifySettle || !w.heard && age < notifyFirst
	w.heard = true
	err := parseNotifications(b, len(w.r.slots), func(n notification) {
		h := &w.hints[n.slot]
		switch {
		case early, n.kind == notifySlotChange && !n.changed:
			h.ask = true
		case n.kind == notifySlotChange:
			h.ask, h.changed = true, true
		default:
			h.ask, h.fault = true, true
		}
	})
	w.mu.Unlock()
	if w.r.hook != nil {
		w.r.hook(Event{Kind: EventNotify, Slot: -1, Data: b, Err: err})
	}
	w.knock()
}

// fallBack has the slots polled from now on.
func (w *watcher) fallBack(err error) {
	w.r.trace(Event{Kind: EventFault, Slot: -1, Err: fmt.Errorf("interrupt endpoint: %w", err)})
	w.mu.Lock()
	w.poll = !w.r.cardFixed() && w.r.config.poll > 0
	w.mu.Unlock()
	w.knock()
}

func (w *watcher) knock() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run follows the hints, and polls if it has to.
func (w *watcher) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		w.mu.Lock()
		polling := w.poll
		w.mu.Unlock()
		timer.Stop()
		if polling {
			timer.Reset(w.r.config.poll)
		}
		select {
		case <-w.r.quit:
			return
		case <-w.r.done:
			return
		case <-w.wake:
			if early := notifySettle - time.Since(w.opened); early > 0 && w.r.sleep(ctx, early) != nil {
				return
			}
			for i, s := range w.r.slots {
				w.mu.Lock()
				h := w.hints[i]
				w.hints[i] = hint{}
				w.mu.Unlock()
				if h.ask {
					w.follow(ctx, s, h)
				}
			}
		case <-timer.C:
			for _, s := range w.r.slots {
				w.ask(ctx, s)
			}
		}
	}
}

// follow asks a slot for its card, when it is its turn.
func (w *watcher) follow(ctx context.Context, s *Slot, h hint) {
	if s.enter(ctx) != nil {
		return
	}
	defer s.leave()
	if h.fault {
		w.r.trace(Event{Kind: EventFault, Slot: int(s.index), Err: fmt.Errorf("hardware error: %w", ErrCardReset)})
		s.set(CardPresent)
		s.powerOff(ctx)
	}
	before := s.Insertions()
	a, err := s.status(ctx, w.r.timeouts.Command)
	if err != nil || !h.changed || s.Insertions() != before {
		return // the answer tells of the change, or there is none
	}
	// A card that is still active did not lose its power, so it is the same
	// one and the notification was late; unless the reader activates cards
	// on its own.
	if a.Status().ICC() != ICCActive || w.r.desc.Features.Has(usb.AutoActivation) {
		s.mu.Lock()
		s.arrive(s.afterChange())
		s.mu.Unlock()
	}
}

// afterChange is the state after a change that left no trace in the status.
// The caller holds mu.
func (s *Slot) afterChange() CardState {
	if s.state == CardAbsent {
		return CardAbsent
	}
	return CardPresent
}

// ask polls a slot that is idle.
func (w *watcher) ask(ctx context.Context, s *Slot) {
	select {
	case s.gate <- struct{}{}:
	default:
		return // busy: the answer to its command says how the card is
	}
	defer s.leave()
	s.status(ctx, w.r.timeouts.Command)
}

package bridge

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// keeper looks after one slot: it watches its state, powers up cards that come,
// resets one whose user died, and switches off one that nobody uses.
type keeper struct {
	s      *Service
	slot   Slot
	info   Info
	reader *sharing.Reader
	ctx    context.Context // of calls of the slot; ends with detach
	cancel context.CancelFunc
	kick   chan struct{} // capacity 1: the reader has work or began to be idle
	done   chan struct{} // closed when run has ended

	calls     sync.WaitGroup // calls of the slot by connections
	published chan struct{}  // closed when clients see the reader
	powered   bool           // when it was detached
}

// Attach adds a slot, and clients are told of the reader: at once if nothing has
// to be asked of its card, else when that was tried, after 5 s in any case.
// Detach takes it away again; it returns when no call of the slot is under way
// and may be called more than once. It must not be called by the slot itself.
// A slot that says that it is gone is detached, and only detach waits.
//
// The error is [ErrClosed], or wraps [sharing.ErrName] or
// [sharing.ErrDuplicate].
func (s *Service) Attach(slot Slot) (detach func(), err error) {
	name := slot.Name()
	k := &keeper{
		s: s, slot: slot, info: slot.Info(),
		kick: make(chan struct{}, 1), done: make(chan struct{}), published: make(chan struct{}),
	}
	k.ctx, k.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	if s.shutdown {
		err = ErrClosed
	} else if k.reader, err = s.machine.AddReader(name); err == nil {
		s.keepers[k.reader] = k
	}
	s.mu.Unlock()
	if err != nil {
		k.cancel()
		return nil, fmt.Errorf("attach: %w", err)
	}
	s.trace(Event{Kind: EventAttached, Reader: name})
	go k.run()
	return k.detach, nil
}

// detach takes the reader away and waits for the slot to be left alone.
func (k *keeper) detach() {
	k.remove()
	<-k.done
	k.calls.Wait()
}

// remove takes the reader away from clients and ends calls of the slot.
func (k *keeper) remove() {
	s := k.s
	s.mu.Lock()
	first := !k.reader.Gone()
	if first {
		k.powered = k.reader.Powered()
		delete(s.keepers, k.reader)
		s.stamp()
		s.machine.RemoveReader(k.reader)
		s.settle()
	}
	s.mu.Unlock()
	k.cancel()
	if first {
		s.trace(Event{Kind: EventDetached, Reader: k.reader.Name()})
	}
}

// switchOff takes the power from a card that was left with it.
func (k *keeper) switchOff() {
	if !k.powered {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	k.guard(func() (iso7816.ATR, error) { return iso7816.ATR{}, k.slot.PowerOff(ctx) })
}

// run looks after the slot until it is detached or gone.
func (k *keeper) run() {
	defer close(k.done)
	late := time.AfterFunc(startWait, func() { k.apart(k.publishAnyway) })
	defer late.Stop()
	k.apart(k.watch)
}

// apart does what no client has asked for: a panic takes the reader away, and leaves
// the others. What f locks, it gives back by defer.
func (k *keeper) apart(f func()) {
	defer func() {
		if p := recover(); p != nil {
			k.s.trace(Event{Kind: EventPanic, Reader: k.reader.Name(), Err: fmt.Errorf("%w: %v", errPanic, p), Stack: debug.Stack()})
			k.remove()
		}
	}()
	f()
}

func (k *keeper) publishAnyway() {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	k.s.machine.PublishAnyway(k.reader)
	k.settle()
}

// watch is run without what surrounds it.
func (k *keeper) watch() {
	idle := time.NewTimer(time.Hour)
	idle.Stop()
	defer idle.Stop()
	var waiting uint64 // for the end of which idle period; 0 for none
	for {
		changed := k.slot.Changed()
		state := k.slot.State()
		if state.Gone {
			k.remove()
			return
		}
		k.observe(state)
		k.work()
		switch number, ok := k.idle(); {
		case !ok && waiting != 0:
			idle.Stop()
			waiting = 0
		case ok && number != waiting && k.s.cfg.IdleTime > 0:
			idle.Reset(k.s.cfg.IdleTime)
			waiting = number
		}
		select {
		case <-changed:
		case <-k.kick:
		case <-idle.C:
			k.idleOver(waiting)
		case <-k.ctx.Done():
			return
		}
	}
}

// settle is that of the service; it notes when clients see the reader. The
// caller holds mu.
func (k *keeper) settle() {
	if k.reader.Published() {
		select {
		case <-k.published:
		default:
			close(k.published)
		}
	}
	k.s.settle()
}

func (k *keeper) observe(state SlotState) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	k.s.stamp()
	k.s.machine.Observe(k.reader, sharing.Seen{
		Failing: state.Failing, Present: state.Present, Insertions: state.Insertions, ATR: state.ATR,
	})
	k.settle()
}

func (k *keeper) idle() (uint64, bool) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	return k.reader.Idle()
}

func (k *keeper) idleOver(number uint64) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	k.s.machine.IdleOver(k.reader, number)
	k.settle()
}

// work does what the reader has to do by itself.
func (k *keeper) work() {
	for {
		k.s.mu.Lock()
		own := k.reader.Own()
		work, working := own.Work(), own.State() == sharing.Working
		k.s.mu.Unlock()
		if !working {
			return
		}
		k.worked(own, k.power(work))
	}
}

func (k *keeper) worked(own *sharing.Op, out sharing.Outcome) {
	k.s.mu.Lock()
	defer k.s.mu.Unlock()
	k.s.stamp()
	k.s.machine.Done(own, out)
	k.settle()
}

// power does work on the power or the protocol of the card.
func (k *keeper) power(work sharing.Work) sharing.Outcome {
	began := k.s.clock()
	atr, err := k.guard(func() (iso7816.ATR, error) {
		switch work.Kind {
		case sharing.PowerUp:
			return k.slot.Reset(k.ctx, true)
		case sharing.WarmReset:
			return k.slot.Reset(k.ctx, false)
		case sharing.PowerDown:
			return iso7816.ATR{}, k.slot.PowerOff(k.ctx)
		case sharing.ProtocolWork:
			return iso7816.ATR{}, k.slot.SetProtocol(k.ctx, work.Protocol)
		}
		return iso7816.ATR{}, fmt.Errorf("%v is no work on the power", work.Kind)
	})
	reset := work.Kind == sharing.PowerUp || work.Kind == sharing.WarmReset
	if err == nil && reset && atr.IsZero() {
		err = errNoATR
	}
	out := sharing.Outcome{Result: resultOf(err), ATR: atr}
	if err != nil && out.Result == wire.NotTransacted {
		out.Result = wire.UnresponsiveCard
	}
	k.s.trace(Event{Kind: EventCard, Reader: k.reader.Name(), Work: work.Kind, Err: err, Dur: k.s.since(began)})
	return out
}

var errNoATR = errors.New("reset without an answer")

// guard makes a call of the slot that does not end the program if it panics.
func (k *keeper) guard(f func() (iso7816.ATR, error)) (atr iso7816.ATR, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errPanic, p)
			k.s.trace(Event{Kind: EventPanic, Reader: k.reader.Name(), Err: err, Stack: debug.Stack()})
		}
	}()
	return f()
}

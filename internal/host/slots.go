package host

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge"
)

// startLimit bounds how long one token that does not come up keeps the service
// from being ready. Readers power up beside each other.
const startLimit = 5 * time.Second

// attacher is what slots are given to: a [bridge.Service].
type attacher interface {
	Attach(bridge.Slot) (detach func(), err error)
}

// slots keeps what a service has the same as what a supervisor has. Its methods
// belong to the goroutine of run.
type slots struct {
	service attacher
	log     *logrus.Logger
	readers map[*Reader][]attachedSlot
}

type attachedSlot struct {
	slot   *readerSlot
	detach func()
}

// run attaches the slots of each reader that arrives and detaches those of each
// that is removed, until ctx ends; what is attached then is detached. It closes
// ready when it has attached what the supervisor found at its start, or some of
// it has taken too long.
func (s *slots) run(ctx context.Context, sup *Supervisor, ready chan<- struct{}) {
	sub := sup.Subscribe()
	defer sub.Close()
	defer s.keep(nil)
	// Next gives what is in the queue before it looks at its context, so the first
	// time that its context has ended is when the queue of the start is empty.
	wait, settled := context.WithCancel(ctx)
	ended := make(chan struct{})
	defer func() { settled(); <-ended }()
	go func() {
		defer close(ended)
		timer := time.NewTimer(startLimit)
		defer timer.Stop()
		select {
		case <-timer.C:
			settled()
		case <-sup.Settled():
			settled()
		case <-wait.Done():
		}
	}()
	for {
		ev, err := sub.Next(wait)
		switch {
		case err == nil:
			s.follow(ev, sup)
		case ctx.Err() == nil && wait.Err() != nil && ready != nil:
			close(ready)
			wait, ready = ctx, nil
		default:
			return
		}
	}
}

// follow does what an event asks for.
func (s *slots) follow(ev Event, sup *Supervisor) {
	switch ev.Kind {
	case Arrived:
		s.attach(ev.Reader)
	case Removed:
		s.detach(ev.Reader)
	case Overrun:
		s.keep(sup.Readers()) // those that have arrived meanwhile are told again
	}
}

func (s *slots) attach(r *Reader) {
	if _, twice := s.readers[r]; twice {
		return
	}
	s.readers[r] = nil
	for i := range r.CCID().Slots() {
		slot := newReaderSlot(r, i)
		detach, err := s.service.Attach(slot)
		if err != nil {
			slot.close()
			s.log.WithError(err).WithField("reader", slot.Name()).Error("reader cannot be served")
			continue
		}
		s.readers[r] = append(s.readers[r], attachedSlot{slot, detach})
	}
}

func (s *slots) detach(r *Reader) {
	for _, a := range s.readers[r] {
		a.detach()
		a.slot.close()
	}
	delete(s.readers, r)
}

// keep detaches all but the readers of a list.
func (s *slots) keep(list []*Reader) {
	there := make(map[*Reader]bool, len(list))
	for _, r := range list {
		there[r] = true
	}
	for r := range s.readers {
		if !there[r] {
			s.detach(r)
		}
	}
}

package host

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// serviceUnit is a reader that a service has. Nothing is connected to it.
type serviceUnit struct {
	slot int
	gone chan struct{}

	mu     sync.Mutex // guards reader
	reader client.Reader
}

// last is what the service told last.
func (u *serviceUnit) last() client.Reader {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.reader
}

func (u *serviceUnit) tell(r client.Reader) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.reader = r
}

func (u *serviceUnit) Done() <-chan struct{} { return u.gone }
func (u *serviceUnit) Unplugged()            { close(u.gone) }
func (u *serviceUnit) Close() error          { return nil }

func (u *serviceUnit) Err() error {
	select {
	case <-u.gone:
		return usb.ErrGone
	default:
		return nil
	}
}

func (u *serviceUnit) slots() []SlotInfo {
	reader := u.last()
	i := SlotInfo{Slot: u.slot, State: cardState(reader.State).String()}
	if atr, err := iso7816.ParseATR(reader.ATR); err == nil {
		i.ATR = atr
	}
	switch reader.Protocol {
	case wire.ProtocolT0:
		i.Protocol = iso7816.T0.String()
	case wire.ProtocolT1:
		i.Protocol = iso7816.T1.String()
	}
	return []SlotInfo{i}
}

// cardState is what a service's state of a reader says of its card.
func cardState(s wire.ReaderState) ccid.CardState {
	switch {
	case s&wire.StateUnknown != 0:
		return ccid.CardUnknown
	case s&wire.StatePresent == 0:
		return ccid.CardAbsent
	case s&wire.StatePowered != 0:
		return ccid.CardActive
	}
	return ccid.CardPresent
}

// follow starts a supervisor that has its readers from the service: it opens
// none, and disturbs nobody. The error is that of the first connection; when the
// service ends later, its readers go, and come again with it.
func (r *serviceRoad) follow(log *logrus.Logger) (*Supervisor, error) {
	if log == nil {
		log = silent()
	}
	service, err := r.connect(context.Background())
	if err != nil {
		return nil, err
	}
	s := newSupervisor(Config{Log: log})
	s.wg.Go(func() { s.followService(r, service) })
	s.wg.Go(func() {
		for { // the filter is the road's
			select {
			case <-s.filters:
			case <-s.ctx.Done():
				return
			}
		}
	})
	return s, nil
}

// followService follows a service until the supervisor closes, and connects
// anew when the service has ended.
func (s *Supervisor) followService(r *serviceRoad, service smartcards) {
	for delay := backoffMin; ; delay = min(2*delay, backoffMax) {
		began := time.Now()
		err := s.readersOf(r, service)
		service.Close() // nothing is connected
		if s.ctx.Err() != nil {
			return
		}
		err = r.explainFor("")(err)
		s.keepServed(nil, err)
		s.log.WithError(err).Warn("smart-card service has ended")
		if time.Since(began) > backoffMax {
			delay = backoffMin
		}
		for {
			if !sleep(s.ctx, nil, delay) {
				return
			}
			if service, err = r.connect(s.ctx); err == nil {
				break
			}
			s.log.WithError(err).WithField("retry", delay).Debug("no smart-card service yet")
			delay = min(2*delay, backoffMax)
		}
	}
}

// readersOf makes the supervisor's readers those of the service, as they change.
func (s *Supervisor) readersOf(r *serviceRoad, service smartcards) error {
	known, err := service.Readers(s.ctx)
	for err == nil {
		s.keepServed(r.pass(known), usb.ErrGone)
		s.await()
		known, err = service.Wait(s.ctx, known)
	}
	return err
}

// keepServed reports the readers that came and went; cause is why they did. A
// reader that was replaced under its name has another card in it at least, which
// its counter shows.
func (s *Supervisor) keepServed(now []client.Reader, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	for a, d := range s.devices {
		c := d.claims[0]
		u := c.reader.unit.(*serviceUnit)
		if slices.ContainsFunc(now, func(r client.Reader) bool { return r.Name == u.last().Name && r.Counter >= u.last().Counter }) {
			continue
		}
		u.Unplugged()
		s.removed(c, cause, time.Time{})
		s.taken[c.index] = false
		delete(s.devices, a)
		c.log.WithField("cause", cause).Info("reader removed")
	}
	for _, r := range now {
		known := false
		for _, d := range s.devices {
			if u := d.claims[0].reader.unit.(*serviceUnit); u.last().Name == r.Name {
				known = true
				u.tell(r)
			}
		}
		if known {
			continue
		}
		index := s.take()
		candidate := readerCandidate(r, index)
		u := &serviceUnit{reader: r, slot: candidate.Slot, gone: make(chan struct{})}
		d := &device{info: candidate.Device, ctx: s.ctx, cancel: func() {}, done: make(chan struct{})}
		close(d.done)
		c := &claim{device: d, index: index, name: r.Name, log: s.log.WithField("reader", r.Name)}
		c.reader = &Reader{Device: d.info, Index: index, unit: u}
		d.claims = []*claim{c}
		s.devices[address{served, index}] = d
		s.post(Event{Kind: Arrived, Name: c.name, Device: d.info, Reader: c.reader})
		c.log.Info("reader arrived")
	}
}

// served stands for the bus in the address of a reader that a service has.
const served = -1

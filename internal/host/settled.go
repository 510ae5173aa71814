package host

import "time"

// Settled is closed when the readers that were plugged in when the supervisor
// started have arrived, or failed a first time, or left again: their events are
// in the queues of all subscribers by then. If the devices cannot be listed it is
// closed, too. It stays open if the supervisor closes before.
func (s *Supervisor) Settled() <-chan struct{} { return s.settled }

// await notes the claims of the first list, for Settled.
func (s *Supervisor) await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listed {
		return
	}
	s.listed = true
	for _, d := range s.devices {
		for _, c := range d.claims {
			if c.reader == nil && c.failure == nil {
				c.awaited = true
				s.awaited++
			}
		}
	}
	if s.awaited == 0 {
		close(s.settled)
	}
}

// answered notes that a claim had its first attempt. The caller holds mu.
func (s *Supervisor) answered(c *claim) {
	if !c.awaited {
		return
	}
	c.awaited = false
	if s.awaited--; s.awaited == 0 {
		close(s.settled)
	}
}

// SetFilter changes which readers are driven, nil to [Kaztoken]. Those that do
// not pass any more are removed as by an unplug, those that pass now arrive; a
// device with several readers of which only some change leaves and comes as a
// whole. The others are not touched. Readers that a smart-card service has are
// not filtered anew.
func (s *Supervisor) SetFilter(f Filter) {
	if f == nil {
		f = Kaztoken
	}
	select {
	case s.filters <- f:
	case <-s.ctx.Done():
	}
}

// refilter takes the new filter, and ends the devices of which it passes other
// interfaces than the one before it. The list brings back what passes.
func (s *Supervisor) refilter(f Filter) {
	old := s.cfg.Filter
	s.cfg.Filter = f
	var changed []address
	s.mu.Lock()
	for a, d := range s.devices {
		was, is := old.interfaces(d.info), f.interfaces(d.info)
		same := len(was) == len(is)
		for i := 0; same && i < len(was); i++ {
			same = was[i].Number == is[i].Number
		}
		if !same {
			changed = append(changed, a)
		}
	}
	s.mu.Unlock()
	for _, a := range changed {
		s.end(a, time.Time{})
	}
}

package ifd

import (
	"context"
	"errors"
	"time"

	"kaztoken/ccid"
)

const (
	// presenceLimit bounds the question for a card, which a reader is asked only
	// if nothing else tells.
	presenceLimit = 5 * time.Second
	// failingPoll is how often a host is sent to ask a reader that does not
	// respond. The driver itself leaves it alone for longer.
	failingPoll = time.Second
	// maxPoll bounds one poll.
	maxPoll = 10 * time.Minute
)

// ICCPresence is IFDHICCPresence: Success if there is a card, ICCNotPresent if
// not, also when the reader has left. CommunicationError says that the reader
// does not respond. A card that was out between two questions is not present the
// first time it is asked for. The reader itself is not asked: it tells.
func (h *Handler) ICCPresence(lun Lun) (r Response) {
	defer h.contain("presence", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return CommunicationError
	}
	if s.failing.Load() || s.State() == ccid.CardUnknown {
		ctx, cancel := context.WithTimeout(context.Background(), presenceLimit)
		defer cancel()
		if _, err := s.Status(ctx); err != nil && s.channel.reader.Err() == nil {
			s.failed(err)
			return CommunicationError
		}
		s.failing.Store(false)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, gone := s.look()
	if gone {
		s.told = true
	}
	if now.present && s.seen.present && now.cards != s.seen.cards {
		now.present = false
	}
	s.seen = now
	if !now.present {
		return ICCNotPresent
	}
	return Success
}

// look is what a host should see now.
func (s *slot) look() (now sight, gone bool) {
	if s.channel.reader.Err() != nil {
		return sight{cards: s.Cards()}, true
	}
	for { // a card that comes in between belongs to the next number
		now = sight{s.Cards(), s.occupied()}
		if s.Cards() == now.cards {
			return now, false
		}
	}
}

// occupied reports whether there is a card, as far as is known.
func (s *slot) occupied() bool { return s.State() > ccid.CardAbsent }

// news reports whether a host would see something that it has not been told.
func (s *slot) news() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, gone := s.look()
	if gone {
		return !s.told
	}
	return now != s.seen
}

// failed notes an error of the driver that says that the reader does not respond,
// and has the host look.
func (s *slot) failed(err error) {
	if errors.Is(err, ccid.ErrFaulty) && !s.failing.Swap(true) {
		s.stopPolling()
	}
}

// Poll is what the function behind TagPollingWithTimeout does: it returns when
// ICCPresence has something to say that it has not said before, when StopPolling
// is called, or when timeout is over. Of a reader that has left it tells once.
func (h *Handler) Poll(lun Lun, timeout time.Duration) (r Response) {
	defer h.contain("poll", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return CommunicationError
	}
	timeout = min(timeout, maxPoll)
	if s.failing.Load() {
		timeout = min(timeout, failingPoll)
	}
	timer := time.NewTimer(max(0, timeout))
	defer timer.Stop()
	for {
		changed := s.Changed()
		if s.news() {
			return Success
		}
		select {
		case <-changed:
		case <-s.stop:
			return Success
		case <-timer.C:
			return Success
		case <-s.channel.ended:
			return CommunicationError
		}
	}
}

// StopPolling is what the function behind TagStopPolling does: it ends the poll
// that is under way or else the next one, for the host's thread may be on its way
// into it.
func (h *Handler) StopPolling(lun Lun) (r Response) {
	defer h.contain("stop polling", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return CommunicationError
	}
	s.stopPolling()
	return Success
}

func (s *slot) stopPolling() {
	select {
	case s.stop <- struct{}{}:
	default:
	}
}

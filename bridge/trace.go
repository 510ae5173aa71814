package bridge

import (
	"fmt"
	"time"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// EventKind says what an [Event] tells.
type EventKind byte

// The kinds of events.
const (
	EventConnected    EventKind = iota // a program connected; Peer
	EventRefused                       // a connection was closed as soon as it was made; Peer, Err
	EventDisconnected                  // a connection ended; Peer, Err is nil if the program ended it
	EventRequest                       // a request was answered; Peer, Command, Result, Reader, Dur and, of an APDU, INS and SW
	EventAttached                      // a slot was attached; Reader
	EventDetached                      // a slot was detached, or is gone; Reader
	EventCard                          // the service powered, reset or set up a card; Reader, Work, Err, Dur
	EventAcceptFailed                  // no connection can be taken for the moment; Err
	EventPanic                         // a call panicked, which ends one connection at the most; Err, Stack, Peer or Reader
)

var eventKinds = [...]string{
	"connected", "refused", "disconnected", "request", "attached", "detached", "card", "accept failed", "panic",
}

func (k EventKind) String() string {
	if int(k) < len(eventKinds) {
		return eventKinds[k]
	}
	return fmt.Sprintf("EventKind(%d)", byte(k))
}

// Event is one thing that the service tells the hook of [Config]. Fields that do
// not belong to its kind are zero. It never carries what is in an APDU.
type Event struct {
	Kind    EventKind
	Peer    Peer
	Reader  string
	Command wire.Command
	Result  wire.Result
	Work    sharing.WorkKind
	INS     byte       // of an APDU of four bytes or more
	SW      iso7816.SW // 0 if there is no response
	Dur     time.Duration
	Err     error
	Stack   []byte
}

// SwitchedOff reports that a card was switched off. Most often it is one that
// nobody has used for a while.
func (e Event) SwitchedOff() bool {
	return e.Kind == EventCard && e.Work == sharing.PowerDown && e.Err == nil
}

// trace calls the hook, if there is one.
func (s *Service) trace(e Event) {
	if s.cfg.Trace != nil {
		s.cfg.Trace(e)
	}
}

// clock is the time for [Service.since], zero if nobody wants to know.
func (s *Service) clock() (t time.Time) {
	if s.cfg.Trace != nil {
		t = time.Now()
	}
	return t
}

func (s *Service) since(t time.Time) time.Duration {
	if t.IsZero() {
		return 0
	}
	return time.Since(t)
}

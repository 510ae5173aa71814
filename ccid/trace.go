package ccid

import (
	"fmt"
	"time"

	"kaztoken/internal/iso7816"
)

// EventKind says what an [Event] tells.
type EventKind byte

// The kinds of events.
const (
	EventCommand       EventKind = iota // a command goes to the reader
	EventAnswer                         // its answer came
	EventTimeExtension                  // the card asks for more time; Factor
	EventUserPresence                   // the token waits for its user to touch it
	EventSlow                           // the answer took longer than the card should need; Elapsed
	EventDropped                        // a message that nobody waits for was dropped
	EventJunk                           // bytes behind a message were dropped
	EventAbort                          // a command is being aborted; Err is the reason
	EventResync                         // the driver resynchronises with the reader; Err is the reason
	EventFault                          // resynchronisation failed, or a notification of a hardware error
	EventNotify                         // a notification came over the interrupt endpoint
	EventState                          // the state of a slot changed; State
)

var eventKinds = [...]string{
	"command", "answer", "time extension", "user presence", "slow", "dropped", "junk",
	"abort", "resync", "fault", "notify", "state",
}

func (k EventKind) String() string {
	if int(k) < len(eventKinds) {
		return eventKinds[k]
	}
	return fmt.Sprintf("EventKind(%d)", byte(k))
}

// Event is one thing that the driver tells the hook of [WithTrace]. Fields
// that do not belong to its kind are zero.
type Event struct {
	Kind EventKind
	Slot int // -1: the whole reader
	Seq  byte
	Type MessageType

	// Data is the message from its first byte on, as far as it may be shown: of
	// commands that carry a PIN (VERIFY, CHANGE REFERENCE DATA, RESET RETRY
	// COUNTER, the PIN pad's Secure) everything behind the header of the APDU
	// is missing, and of answers with what a key decrypted everything behind the
	// CCID header. It is valid during the call only.
	Data []byte
	// Hidden is the number of bytes that are missing behind Data.
	Hidden int

	Factor  byte // of a time extension
	Elapsed time.Duration
	State   CardState
	Err     error
}

// trace calls the hook. Callers check r.hook first, where building the event
// costs something.
func (r *Reader) trace(e Event) {
	if r.hook != nil {
		r.hook(e)
	}
}

// carriesPIN reports whether the body of an APDU must not be shown.
func carriesPIN(apdu []byte) bool {
	if len(apdu) < 2 {
		return true // no APDU to judge by
	}
	return iso7816.CarriesSecret(apdu[1])
}

// bringsPlain reports whether the answer to an APDU must not be shown; before is
// what it said of the APDU before.
func bringsPlain(apdu []byte, before bool) bool {
	if len(apdu) < 4 {
		return before
	}
	return iso7816.BringsSecret(apdu[1], apdu[2], before)
}

// traceCommand tells of message b going out. What it shows of a secret one is
// the CCID header, and of the first part of an APDU the header of that too.
func (s *Slot) traceCommand(b []byte) {
	e := Event{Kind: EventCommand, Slot: int(s.index), Seq: b[6], Type: MessageType(b[0]), Data: b}
	if s.secret != public {
		shown := headerLen
		if s.secret == secretHeader {
			shown += s.apduAt + 4
			s.secret = secretAll
		}
		shown = min(shown, len(b))
		e.Data, e.Hidden = b[:shown:shown], len(b)-shown
	}
	s.r.hook(e)
}

// traceAnswer tells of message b, which answers a command of type t.
func (s *Slot) traceAnswer(t MessageType, b []byte, elapsed time.Duration) {
	if t == msgXfrBlock && elapsed > s.soft {
		s.r.hook(Event{Kind: EventSlow, Slot: int(s.index), Seq: b[6], Type: t, Elapsed: elapsed})
	}
	e := Event{Kind: EventAnswer, Slot: int(s.index), Seq: b[6], Type: MessageType(b[0]), Data: b, Elapsed: elapsed}
	if s.secretAnswer {
		e.Data, e.Hidden = b[:headerLen:headerLen], len(b)-headerLen
	}
	s.r.hook(e)
}

// secrecy is how much of a slot's outgoing data a trace may show.
type secrecy byte

const (
	public       secrecy = iota
	secretHeader         // the header of the APDU, in the next block only
	secretAll            // nothing
)

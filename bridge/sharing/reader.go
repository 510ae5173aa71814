package sharing

import (
	"errors"
	"fmt"
	"slices"

	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

var (
	// ErrDuplicate: there is a reader of this name already.
	ErrDuplicate = errors.New("reader name is taken")
	// ErrName: no reader can have this name.
	ErrName = errors.New("reader name cannot be used")
)

// Reader is one slot as clients see it.
type Reader struct {
	name      wire.ReaderName
	text      string // of name
	place     int    // in the array, from the start
	published bool   // clients may see it
	gone      bool

	// What the record says.
	state    wire.ReaderState
	counter  uint16
	atr      iso7816.ATR
	protocol wire.Protocol

	// What is known of the card.
	present    bool // also before clients are told
	insertions uint64
	power      bool
	// epoch changes when a card goes: what work on it finds out then has no meaning.
	epoch uint64

	handles   []*Handle
	sharing   int // -1 exclusive, 0 nobody, else the number of handles
	lock      *Handle
	lockCount int
	lockSince int64
	waiters   []*Op // for the lock, by ticket

	busy      *Op   // has the turn
	queue     []*Op // for the turn
	unsettled int   // operations that are going to change power or protocol, or are at it
	due       due   // what the reader itself has to do
	own       Op    // and does with its own turn

	idle       bool
	idleNumber uint64
}

// AddReader adds a reader that clients do not see before something is known of
// its card: see [Machine.Observe]. Its place in the array is the lowest that is
// free now, so that the order is that of adding, whichever card is known of
// first. The error is [ErrDuplicate] or [ErrName].
func (m *Machine) AddReader(name string) (*Reader, error) {
	field, err := wire.NameOf(name)
	if err != nil || name == "" {
		return nil, fmt.Errorf("%w: %q", ErrName, name)
	}
	if slices.ContainsFunc(m.readers, func(r *Reader) bool { return r.name == field }) {
		return nil, fmt.Errorf("%w: %q", ErrDuplicate, name)
	}
	r := &Reader{name: field, text: name, state: wire.NoCard}
	r.own.reader = r
	m.readers = append(m.readers, r)
	if r.place = slices.Index(m.places, nil); r.place < 0 {
		r.place = len(m.places)
		m.places = append(m.places, nil)
	}
	m.places[r.place] = r
	return r, nil
}

// RemoveReader takes a reader away. Its handles stay, as numbers that lead
// nowhere: a reader of the same name is another one. Work that is being done is
// still to be reported.
func (m *Machine) RemoveReader(r *Reader) {
	if r.gone {
		return
	}
	r.gone = true
	m.readers = without(m.readers, r)
	m.dismiss(r, wire.ReaderUnavailable)
	r.lock, r.lockCount, r.due, r.idle = nil, 0, 0, false
	m.places[r.place] = nil
	if r.published {
		m.countReaders()
		m.signal()
	}
}

// publish shows a reader to clients.
func (m *Machine) publish(r *Reader) {
	r.published = true
	m.countReaders()
	m.signal()
}

// seen is the reader that clients see at a place, nil if there is none.
func (m *Machine) seen(place int) *Reader {
	if place >= len(m.places) || m.places[place] == nil || !m.places[place].published {
		return nil
	}
	return m.places[place]
}

// PublishAnyway shows a reader whose card takes long to be powered up. It is
// mute as long as it does.
func (m *Machine) PublishAnyway(r *Reader) {
	if r.gone || r.published {
		return
	}
	if r.present && r.state == wire.NoCard {
		r.state = wire.CardMute
	}
	m.publish(r)
}

// byName finds a reader that clients see.
func (m *Machine) byName(name wire.ReaderName) *Reader {
	for i := range m.places {
		r := m.seen(i)
		if r != nil && string(r.name.Bytes()) == string(name.Bytes()) {
			return r
		}
	}
	return nil
}

// Seen is what a slot says of itself.
type Seen struct {
	Failing bool // the reader does not work; nothing is known of a card
	Present bool
	// Insertions differs from what it was if the card may be another one.
	Insertions uint64
	// ATR is set if the card is powered up and fresh from a reset.
	ATR iso7816.ATR
}

// Observe takes over what a slot says. A card without ATR is powered up by work
// of the reader's own, and clients hear of it after that.
func (m *Machine) Observe(r *Reader, s Seen) {
	failed := r.failing()
	switch {
	case r.gone:
	case s.Failing:
		if !failed {
			m.fail(r)
		}
	case !s.Present:
		if r.present || failed {
			m.cardGone(r)
		}
		if !r.published {
			m.publish(r)
		}
	case r.present && s.Insertions == r.insertions && !failed:
	default:
		if r.present {
			m.cardGone(r)
		}
		r.present, r.insertions = true, s.Insertions
		if s.ATR.IsZero() {
			m.order(r, duePowerUp)
		} else {
			m.cardCame(r, wire.CardReady, s.ATR)
		}
	}
}

// fail notes that the reader does not work. Where its card stands is unknown,
// which is what the mark of a reset says.
func (m *Machine) fail(r *Reader) {
	r.epoch++
	r.present, r.power, r.idle = false, false, false
	r.setCard(wire.ReaderFailing, iso7816.ATR{})
	m.mark(r, CardWasReset)
	if !r.published {
		m.publish(r)
	} else {
		m.signal()
	}
}

func (r *Reader) failing() bool { return r.state&wire.StateUnknown != 0 }

// setCard sets what the record says of the card. The protocol is open then.
func (r *Reader) setCard(state wire.ReaderState, atr iso7816.ATR) {
	r.state, r.atr, r.protocol = state, atr, wire.ProtocolUndefined
}

// cardCame tells of a card whose power-up was tried.
func (m *Machine) cardCame(r *Reader, state wire.ReaderState, atr iso7816.ATR) {
	r.setCard(state, atr)
	r.power = state == wire.CardReady
	if !r.published {
		m.publish(r)
	} else {
		r.counter++
		m.signal()
	}
	m.rest(r)
}

// cardGone notes that the card is not there any more.
func (m *Machine) cardGone(r *Reader) {
	r.epoch++
	told := r.state != wire.NoCard
	r.present, r.power, r.idle = false, false, false
	r.setCard(wire.NoCard, iso7816.ATR{})
	if !told {
		return // nor did clients hear of its coming
	}
	m.mark(r, CardWasRemoved)
	r.lock, r.lockCount = nil, 0
	r.counter++
	if r.published {
		m.signal()
	}
	m.grant(r)
}

// countReaders moves the number of reader events, which is never 0.
func (m *Machine) countReaders() {
	if m.readerEvents++; m.readerEvents > 0x7FFF {
		m.readerEvents = 1
	}
}

// Name is the name of the reader.
func (r *Reader) Name() string { return r.text }

// Gone reports that the reader was removed.
func (r *Reader) Gone() bool { return r.gone }

// Published reports whether clients see the reader.
func (r *Reader) Published() bool { return r.published && !r.gone }

// State is the state that clients see.
func (r *Reader) State() wire.ReaderState { return r.state }

// ATR is the answer to reset that clients see.
func (r *Reader) ATR() iso7816.ATR { return r.atr }

// Protocol is the protocol in force, 0 before it is chosen.
func (r *Reader) Protocol() wire.Protocol { return r.protocol }

// Powered reports whether the card has power, which clients do not see.
func (r *Reader) Powered() bool { return r.power }

// Sharing is -1 if one handle has the reader for itself, else the number of
// handles.
func (r *Reader) Sharing() int { return r.sharing }

// Counter counts the cards that came and went, modulo 65536.
func (r *Reader) Counter() int { return int(r.counter) }

// Lock is the handle that has the card for itself, nil if none has, and the stamp
// of its locking.
func (r *Reader) Lock() (h *Handle, since int64) { return r.lock, r.lockSince }

// Handles are the handles on the reader, the oldest first. The slice is the
// machine's own.
func (r *Reader) Handles() []*Handle { return r.handles }

// Waiters is the number of operations that wait for the lock or their turn.
func (r *Reader) Waiters() int { return len(r.waiters) + len(r.queue) }

// Record is what clients see.
func (r *Reader) Record() wire.Reader {
	rec := wire.Reader{
		Name: r.name, Counter: uint32(r.counter), State: r.state,
		Sharing: int32(r.sharing), Protocol: r.protocol,
	}
	rec.SetATR(r.atr.Bytes())
	return rec
}

// Readers are the readers, also those that clients do not see yet, in the order
// in which they were added. The slice is the machine's own.
func (m *Machine) Readers() []*Reader { return m.readers }

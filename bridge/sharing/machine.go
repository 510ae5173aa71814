// Package sharing is the rules by which several programs use one card: contexts,
// handles, share modes, transactions, resets and their marks, the record of each
// reader, and who is told of a change. They are those of pcsc-lite's daemon,
// with the differences that the comments name.
//
// It is a state machine. It has no sockets, goroutines, clock or I/O, and is not
// safe for concurrent use: its caller holds a lock around every call. A request
// becomes an [Op], which is done at once, or waits for the lock of a card or for
// its turn at it, or asks for [Work] with the card:
//
//	op := m.Transmit(c, handle, protocol, room)
//	for op.State() == sharing.Working {
//		// let go of the lock, do op.Work() with the card, take the lock
//		m.Done(op, outcome)
//	}
//
// At one time one Op works with a card; the others wait, in the order in which
// they came. What a call does to others than the one who called is in [Effects].
package sharing

import (
	"kaztoken/bridge/wire"
)

// Config is what a [Machine] needs from outside.
type Config struct {
	// Random gives the numbers of contexts and handles; 31 bits are used. Nobody
	// may be able to guess them.
	Random func() uint32
	// LegacyRecords is the size of the array for protocols before 4:6, records; 0
	// takes 16.
	LegacyRecords int
	// ArrayRecords is the least size of the array of 4:6, records; 0 takes 16.
	ArrayRecords int
	Limits       Limits
}

// Limits bound what clients can hold. A zero field takes the default.
type Limits struct {
	HandlesPerContext int // 200
	HandlesPerReader  int // 200
	HandlesPerUser    int // of one uid on one reader; 128
	Waiters           int // for the lock of one reader; 128
	WaitersPerUser    int // 32
}

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		field *int
		value int
	}{
		{&l.HandlesPerContext, 200}, {&l.HandlesPerReader, 200}, {&l.HandlesPerUser, 128},
		{&l.Waiters, 128}, {&l.WaitersPerUser, 32},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return l
}

// arrayStep is the number of records by which the array of 4:6 grows.
const arrayStep = 16

// Machine is the state of the service. Make one with [New].
type Machine struct {
	// Stamp is the time of what happens next, in whatever unit the caller likes.
	// It is copied to what is made, and never looked at.
	Stamp int64

	cfg      Config
	readers  []*Reader // also those that no client sees yet
	places   []*Reader // the array, also with those that no client sees yet; nil is free
	contexts map[wire.Context]*Client
	handles  map[wire.Handle]*Handle
	watching []*Client // registered for a change, the longest first

	readerEvents uint32
	changes      uint64 // changes that are worth an event
	tickets      uint64
	arraySize    int // of 4:6, records; it never shrinks
	closed       bool

	effects Effects
}

// Effects is what calls did to others than the one who called.
type Effects struct {
	// Woken are operations that waited and now are working or done.
	Woken []*Op
	// Notices are messages for clients that watch the readers.
	Notices []Notice
	// Readers have work of their own, see [Reader.Own], or began to be idle, see
	// [Reader.Idle].
	Readers []*Reader
}

// Notice is one event message.
type Notice struct {
	Client *Client
	Event  wire.Event
}

// New makes a machine without readers and clients.
func New(cfg Config) *Machine {
	cfg.Limits = cfg.Limits.withDefaults()
	if cfg.LegacyRecords <= 0 {
		cfg.LegacyRecords = wire.LegacyReaders
	}
	if cfg.ArrayRecords <= 0 {
		cfg.ArrayRecords = wire.LegacyReaders
	}
	return &Machine{
		cfg:      cfg,
		contexts: make(map[wire.Context]*Client), handles: make(map[wire.Handle]*Handle),
		readerEvents: 1, arraySize: cfg.ArrayRecords,
	}
}

// Effects gives what has collected since the last call of it. The slices are
// valid until the next call of any method of m.
func (m *Machine) Effects() Effects {
	e := m.effects
	m.effects.Woken, m.effects.Notices, m.effects.Readers = e.Woken[:0], e.Notices[:0], e.Readers[:0]
	return e
}

// Quiet reports that [Machine.Effects] would be empty.
func (m *Machine) Quiet() bool {
	return len(m.effects.Woken)+len(m.effects.Notices)+len(m.effects.Readers) == 0
}

// Close ends the service: what waits ends with [wire.ServiceStopped], and so
// does everything that is asked from now on.
func (m *Machine) Close() {
	if m.closed {
		return
	}
	m.closed = true
	for _, r := range m.readers {
		m.dismiss(r, wire.ServiceStopped)
	}
	for len(m.watching) > 0 {
		m.tell(m.watching[0], wire.ServiceStopped)
	}
}

// number finds a number of 31 bits that is not 0 and not taken.
func (m *Machine) number(taken func(uint32) bool) uint32 {
	for {
		if n := m.cfg.Random() & 0x7FFFFFFF; n != 0 && !taken(n) {
			return n
		}
	}
}

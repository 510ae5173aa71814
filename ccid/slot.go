package ccid

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/ccid/t0"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// CardState is what the driver knows of the card in a slot.
type CardState byte

// The states of a card.
const (
	CardUnknown CardState = iota // the reader was not asked yet
	CardAbsent                   // no card
	CardPresent                  // a card without power
	CardActive                   // powered: its ATR is known
	CardReady                    // protocol and parameters are set: Transmit works
	CardLost                     // powered, but where it stands is unknown: only PowerOn and Reset work
)

var cardStates = [...]string{"unknown", "absent", "present", "active", "ready", "lost"}

func (s CardState) String() string {
	if int(s) < len(cardStates) {
		return cardStates[s]
	}
	return fmt.Sprintf("CardState(%d)", byte(s))
}

// Slot is one slot of a reader, and the way to the card in it.
type Slot struct {
	r      *Reader
	index  byte
	level  usb.Level // exchange level
	chains bool      // level ShortAPDU, but parts may be chained

	// gate is held by the one call that uses the card. It guards the fields up
	// to mu.
	gate chan struct{}

	tx    []byte // the command as it is sent
	rx    []byte // the answer; the bulk link swaps it with its own buffer
	wait  boundedContext
	timer *time.Timer
	mail  chan struct{} // the bulk link's knock at a waiter's door, capacity 1
	sent  bool          // the last command may have reached the card

	secret       secrecy // for the trace
	secretAnswer bool
	decrypted    bool // the last APDU brought what a key decrypted, and GET RESPONSE may bring more
	apduAt       int  // where in a block the APDU begins

	protocol iso7816.Protocol // in force
	timing   timing           // of the parameters in force
	soft     time.Duration    // after which an answer is slow
	hard     time.Duration    // limit of one XfrBlock
	t1       *t1.Host
	t0       *t0.Host
	t0chars  t0.Characters
	block    []byte // character level: what is being put together
	heard    []byte // character level, T=0: characters of one step

	mu         sync.Mutex // guards the following fields; no I/O while held
	state      CardState
	insertions uint64
	cards      uint64
	switching  bool // the power is being taken away by this program
	changed    chan struct{}
	atr        iso7816.ATR
	params     Parameters
}

func newSlot(r *Reader, index byte) *Slot {
	s := &Slot{
		r: r, index: index,
		gate:    make(chan struct{}, 1),
		mail:    make(chan struct{}, 1),
		changed: make(chan struct{}),
		timer:   time.NewTimer(time.Hour),
		t1:      t1.NewHost(t1.Params{}),
		t0:      t0.NewHost(t0.Options{AutoGetResponse: r.getResponse}),
	}
	s.timer.Stop()
	s.setTiming(iso7816.T0, defaultTiming(r.desc.DefaultClock))
	return s
}

// adoptLink decides the exchange level.
func (s *Slot) adoptLink() {
	s.level = s.r.desc.Features.Level()
	s.chains = s.level == usb.ExtendedAPDU || s.r.quirks.Chains
	if q, ok := s.r.quirks.SlotOverride[int(s.index)]; ok && q.Level != nil {
		s.level = *q.Level
		s.chains = s.level == usb.ExtendedAPDU
	}
	switch s.r.ifc.Kind {
	case usb.ICCDA:
		// Its requests carry T=0 commands, whatever level is declared.
		s.level, s.chains = usb.TPDU, false
	case usb.ICCDB:
		// The level codes are part of the request (ICCD rev 1.0 §8.2), so there
		// is no place for a number of characters.
		s.level = max(s.level, usb.TPDU)
		s.chains = s.level >= usb.ShortAPDU
	}
	s.tx = make([]byte, 0, headerLen+s.r.link.payload())
}

// Index is the slot's number, from 0.
func (s *Slot) Index() int { return int(s.index) }

// Level is the exchange level in use.
func (s *Slot) Level() usb.Level { return s.level }

// State is what the driver knows of the card, without asking. See Status.
func (s *Slot) State() CardState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Insertions counts how often a card came, went or lost its power. A number
// that is not what it was means that what was known of the card is void.
func (s *Slot) Insertions() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.insertions
}

// Cards is Insertions without the times that PowerOff and Reset took the power:
// a number that is not what it was means that another card may be there.
func (s *Slot) Cards() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cards
}

// Changed gives a channel that is closed at the next change of State or
// Insertions. To miss nothing, take it before reading them. The end of the
// reader is a change too.
func (s *Slot) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// ATR is the answer to reset of the powered card, else the zero ATR.
func (s *Slot) ATR() iso7816.ATR {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.atr
}

// Protocol is the protocol in force. It means something in state CardReady.
func (s *Slot) Protocol() iso7816.Protocol {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params.Protocol
}

// Parameters are the parameters in force as the driver knows them, without
// asking. They mean something in state CardReady.
func (s *Slot) Parameters() Parameters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.params
}

// MaxCommand is the longest APDU that Transmit takes, bytes.
func (s *Slot) MaxCommand() int {
	switch {
	case s.level == usb.ShortAPDU && !s.chains:
		return min(iso7816.MaxShortCommand, s.r.link.payload())
	case s.level >= usb.ShortAPDU, s.Protocol() == iso7816.T1:
		return iso7816.MaxExtendedCommand
	}
	return min(iso7816.MaxShortCommand, s.r.link.payload()+1) // a T=0 TPDU has no Le behind data
}

// setTiming sets the waiting times for a protocol. The caller holds the gate.
func (s *Slot) setTiming(p iso7816.Protocol, t timing) {
	s.protocol, s.timing = p, t
	s.soft, s.hard = t.soft(p), t.hard(p, &s.r.timeouts)
}

// enter takes the gate.
func (s *Slot) enter(ctx context.Context) error {
	select {
	case s.gate <- struct{}{}:
	default:
		select {
		case s.gate <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.r.quit:
			return s.r.refusal()
		case <-s.r.done:
			return s.r.Err()
		}
	}
	err := s.r.refusal()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		<-s.gate
	}
	return err
}

// enterBy takes the gate when closing, within d.
func (s *Slot) enterBy(ctx context.Context, d time.Duration) bool {
	select {
	case s.gate <- struct{}{}:
		return true
	default:
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case s.gate <- struct{}{}:
		return true
	case <-t.C:
	case <-ctx.Done():
	case <-s.r.done:
	}
	return false
}

func (s *Slot) leave() {
	s.secret, s.secretAnswer = public, false
	<-s.gate
}

// command runs one command: a round trip, repeated while the reader says that
// it is not ready to take it. What the answer says of the card is noted. The
// error of a failed command is a *SlotError, with the answer beside it. s.sent
// says afterwards whether the card may have got the command: it left the host
// and the reader did not refuse it. The caller holds the gate.
func (s *Slot) command(ctx context.Context, m Message, limit time.Duration) (Message, error) {
	if !s.r.knows(m.Type) {
		s.sent = false
		return Message{}, fmt.Errorf("slot %d: %v: %w", s.index, m.Type, ErrNotSupported)
	}
	for try := 0; ; try++ {
		if err := s.r.acquire(ctx); err != nil {
			s.sent = false
			return Message{}, err
		}
		a, err := s.r.link.roundTrip(ctx, s, m, limit)
		s.r.release()
		if err != nil {
			return Message{}, s.r.ended(err)
		}
		s.observe(m.Type, a)
		if !a.Status().Failed() {
			return a, nil
		}
		s.sent = s.sent && !a.Code().refused()
		failed := &SlotError{Command: m.Type, Slot: int(s.index), Code: a.Code(), Status: a.Status()}
		var pause time.Duration
		switch code := a.Code(); {
		case code == CodeSlotBusy && try < maxBusy:
			pause = 50 * time.Millisecond << try
		case code == CodeSlotBusy && try == maxBusy:
			s.r.link.abort(s, m.Type, failed)
		case code == CodeAutoSequence && try < maxAutoSequence:
			pause = 100 * time.Millisecond
		case code == CodeNotSupported:
			s.r.learn(m.Type)
		case code == CodeDeactivated:
			s.lose()
		}
		if pause == 0 {
			return a, failed
		}
		if err := s.r.sleep(ctx, pause); err != nil {
			return Message{}, errors.Join(err, failed)
		}
	}
}

// How often a command is repeated that the reader is not ready to take: for 1.5
// and for 3 seconds.
const (
	maxBusy         = 5
	maxAutoSequence = 30
)

// observe moves the state of the slot to where the answer to a command says
// that it is. A status that contradicts the state is an event of its own.
func (s *Slot) observe(command MessageType, a Message) {
	icc := a.Status().ICC()
	if command == msgGetSlotStatus && noCard(a) {
		icc = ICCAbsent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case icc == ICCAbsent && s.state != CardAbsent:
		s.arrive(CardAbsent)
	case icc == ICCInactive && s.state != CardPresent:
		s.arrive(CardPresent)
	case icc == ICCActive && (s.state == CardAbsent || s.state == CardUnknown):
		s.arrive(CardPresent)
	}
}

// arrive enters a state in which nothing is known of a card, and counts it.
// The caller holds mu.
func (s *Slot) arrive(state CardState) {
	s.insertions++
	if !s.switching || state != CardPresent {
		s.cards++
	}
	s.atr, s.params = iso7816.ATR{}, Parameters{}
	s.become(state)
}

// become enters a state and tells. The caller holds mu.
func (s *Slot) become(state CardState) {
	s.state = state
	close(s.changed)
	s.changed = make(chan struct{})
	s.r.trace(Event{Kind: EventState, Slot: int(s.index), State: state})
}

// set enters a state if it is new.
func (s *Slot) set(state CardState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != state {
		s.become(state)
	}
}

// lose notes that nobody knows where the card stands. It needs a reset.
func (s *Slot) lose() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == CardActive || s.state == CardReady {
		s.become(CardLost)
	}
}

// removed notes the end of the reader, which is the end of the card.
func (s *Slot) removed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.arrive(CardAbsent)
}

// powered reports whether the card has power, as far as is known.
func (s *Slot) powered() bool {
	switch s.State() {
	case CardActive, CardReady, CardLost:
		return true
	}
	return false
}

// usable says why the card cannot be talked to, nil if it can.
func (s *Slot) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.state {
	case CardReady:
		return nil
	case CardAbsent:
		return ErrNoCard
	}
	return ErrCardReset
}

// Status asks the reader for the card and gives the state that results. A slot
// without a card is no error.
func (s *Slot) Status(ctx context.Context) (CardState, error) {
	if err := s.enter(ctx); err != nil {
		return s.State(), s.wrap("status", err)
	}
	defer s.leave()
	_, err := s.status(ctx, s.r.timeouts.Command)
	return s.State(), s.wrap("status", err)
}

// Transmit sends one command APDU, exactly as given, and appends the response,
// status word included, to dst. apdu may not overlap the free part of dst.
// With an error dst comes back as it was.
//
// A card that is not ready gives ErrNoCard or ErrCardReset, and an APDU that
// the reader cannot carry ErrNotSupported, all without I/O. A failure after the
// last byte of the APDU left the host is ErrOutcomeUnknown and wraps the cause.
// Transmit does not allocate unless dst has to grow or an error occurs.
func (s *Slot) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return dst, s.wrap("transmit", err)
	}
	defer s.leave()
	if err := s.usable(); err != nil {
		return dst, s.wrap("transmit", err)
	}
	if s.r.hook != nil {
		if carriesPIN(apdu) {
			s.secret = secretHeader
		}
		s.decrypted = bringsPlain(apdu, s.decrypted)
		s.secretAnswer = s.decrypted
	}
	resp, err := s.exchange(ctx, dst, apdu)
	if err != nil {
		return dst, s.wrap("transmit", err)
	}
	return resp, nil
}

// wrap adds the slot and what was being done to an error.
func (s *Slot) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var se *SlotError // says the slot itself
	if errors.As(err, &se) && error(se) == err {
		return err
	}
	return fmt.Errorf("slot %d: %s: %w", s.index, doing, err)
}

// Package bridgetest is what tests of a PC/SC service need: a reader in software
// into which cards are put, and a card that answers in a way that can be
// foreseen.
package bridgetest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// Call is a call of a slot that may take time.
type Call string

// The calls.
const (
	ColdReset Call = "cold reset"
	WarmReset Call = "warm reset"
	PowerOff  Call = "power off"
	SetT0     Call = "T=0"
	SetT1     Call = "T=1"
	Transmit  Call = "transmit"
	Control   Call = "control"
)

// Slot is a [bridge.Slot] in software. It also watches whether the service keeps
// to its side of the contract: see [Slot.Faults]. All methods are safe for
// concurrent use.
type Slot struct {
	name string
	info bridge.Info
	gate chan struct{} // held by the call in progress

	mu         sync.Mutex // guards all following fields
	card       Card
	state      bridge.SlotState
	changed    chan struct{}
	powered    bool
	off        bool // by PowerOff
	hook       func(ctx context.Context, call Call) error
	calls      map[Call]int
	faults     []string
	detached   bool
	controlled func(code wire.ControlCode, dst, in []byte) ([]byte, error)
}

// Info is what a slot says of itself unless [Slot.SetInfo] changes it.
var Info = bridge.Info{
	Vendor: 0x0A89, Product: 0x0035, Release: 0x0100,
	Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN", Serial: "32D18A58",
	Bus: 1, Address: 4, Path: "1-1:1.0", MaxInput: 271,
	Protocols: []iso7816.Protocol{iso7816.T0, iso7816.T1},
}

// NewSlot makes a slot of a name with a card in it; nil is none.
func NewSlot(name string, card Card) *Slot {
	s := &Slot{
		name: name, info: Info, gate: make(chan struct{}, 1), changed: make(chan struct{}), calls: make(map[Call]int),
		controlled: func(_ wire.ControlCode, dst, _ []byte) ([]byte, error) { return dst, bridge.ErrNotSupported },
	}
	if card != nil {
		s.card = card
		s.state.Present = true
		s.state.Insertions = 1
	}
	return s
}

// change makes a change of the state and tells.
func (s *Slot) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// SetInfo changes what the slot says of itself. It has to come before Attach.
func (s *Slot) SetInfo(info bridge.Info) { s.info = info }

// Insert puts a card in, instead of the one that is there.
func (s *Slot) Insert(card Card) {
	s.change(func() {
		s.card, s.powered, s.off = card, false, false
		s.state.Present, s.state.ATR = true, iso7816.ATR{}
		s.state.Insertions++
	})
}

// InsertPowered puts a card in that is powered up already.
func (s *Slot) InsertPowered(card Card) {
	atr, err := iso7816.ParseATR(card.ATR())
	if err != nil {
		panic(err) // a card of the test
	}
	s.change(func() {
		s.card, s.powered, s.off = card, true, false
		s.state.Present, s.state.ATR = true, atr
		s.state.Insertions++
	})
}

// Remove takes the card out.
func (s *Slot) Remove() {
	s.change(func() {
		s.card, s.powered = nil, false
		s.state.Present, s.state.ATR = false, iso7816.ATR{}
		s.state.Insertions++
	})
}

// Fail has the reader fail, or work again.
func (s *Slot) Fail(failing bool) {
	s.change(func() {
		s.state.Failing, s.powered = failing, false
		s.state.Insertions++
	})
}

// Unplug has the reader leave for good.
func (s *Slot) Unplug() {
	s.change(func() {
		s.state.Gone = true
	})
}

// Hook has f called in each call that may take time, before anything is done. An
// error of f becomes that of the call.
func (s *Slot) Hook(f func(ctx context.Context, call Call) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = f
}

// OnControl has f answer Control.
func (s *Slot) OnControl(f func(code wire.ControlCode, dst, in []byte) ([]byte, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.controlled = f
}

// Calls is how often a call was made.
func (s *Slot) Calls(call Call) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[call]
}

// Powered reports whether the card has power.
func (s *Slot) Powered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.powered
}

// Detached notes that detach has returned: from now on a call is a fault.
func (s *Slot) Detached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.detached = true
	if len(s.gate) > 0 {
		s.fault("detach has returned during a call")
	}
}

// Faults says how the service broke the contract of [bridge.Slot]: two calls at
// a time, a call during or after Detached, a command to a card that it switched off, a
// protocol that the card does not offer.
func (s *Slot) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// fault notes a breach. The caller holds mu.
func (s *Slot) fault(format string, args ...any) {
	if len(s.faults) < 10 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

// Name is the name.
func (s *Slot) Name() string { return s.name }

// Info is what is known of the reader.
func (s *Slot) Info() bridge.Info { return s.info }

// State is what is known of the slot.
func (s *Slot) State() bridge.SlotState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Changed is closed at the next change.
func (s *Slot) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// enter begins a call; leave has to end it if there is no error.
func (s *Slot) enter(ctx context.Context, call Call) (Card, error) {
	select {
	case s.gate <- struct{}{}:
	default:
		s.mu.Lock()
		s.fault("%s during another call", call)
		s.mu.Unlock()
		s.gate <- struct{}{}
	}
	s.mu.Lock()
	s.calls[call]++
	if s.detached {
		s.fault("%s after detach", call)
	}
	hook := s.hook
	s.mu.Unlock()
	var err error
	if hook != nil {
		err = s.run(hook, ctx, call)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err != nil:
	case ctx.Err() != nil:
		err = ctx.Err()
	case s.state.Gone:
		err = bridge.ErrGone
	case s.state.Failing:
		err = fmt.Errorf("%s: reader does not respond", s.name)
	case s.card == nil && call != Control:
		err = bridge.ErrNoCard
	}
	if err != nil {
		s.leave()
	}
	return s.card, err
}

func (s *Slot) leave() { <-s.gate }

// run calls a hook. If it panics, the call is over.
func (s *Slot) run(hook func(context.Context, Call) error, ctx context.Context, call Call) (err error) {
	over := true
	defer func() {
		if over {
			s.leave()
		}
	}()
	err = hook(ctx, call)
	over = false
	return err
}

// Reset resets the card.
func (s *Slot) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	call := WarmReset
	if cold {
		call = ColdReset
	}
	card, err := s.enter(ctx, call)
	if err != nil {
		return iso7816.ATR{}, err
	}
	defer s.leave()
	card.Reset(cold)
	atr, err := iso7816.ParseATR(card.ATR())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.card == card { // no other was put in meanwhile
		s.powered, s.off = err == nil, false
	}
	return atr, err
}

// PowerOff takes the power from the card.
func (s *Slot) PowerOff(ctx context.Context) error {
	card, err := s.enter(ctx, PowerOff)
	if err == bridge.ErrNoCard {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.leave()
	card.Reset(true) // it forgets
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.card == card {
		s.powered, s.off = false, true
	}
	return nil
}

// SetProtocol selects a protocol that the reader has.
func (s *Slot) SetProtocol(ctx context.Context, p iso7816.Protocol) error {
	call := SetT0
	if p == iso7816.T1 {
		call = SetT1
	}
	card, err := s.enter(ctx, call)
	if err != nil {
		return err
	}
	defer s.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if atr, err := iso7816.ParseATR(card.ATR()); err != nil || !atr.Offers(p) {
		s.fault("%v for a card that does not offer it", p)
	}
	if err := s.power(call); err != nil {
		return err
	}
	if !slices.Contains(s.info.Protocols, p) {
		return bridge.ErrProtocolMismatch
	}
	return nil
}

// Transmit has the card answer. It allocates nothing of its own.
func (s *Slot) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	card, err := s.enter(ctx, Transmit)
	if err != nil {
		return dst, err
	}
	defer s.leave()
	s.mu.Lock()
	err = s.power(Transmit)
	s.mu.Unlock()
	if err != nil {
		return dst, err
	}
	return card.Transmit(ctx, dst, apdu)
}

// power is an error if the card has no power. That is the service's fault if it
// was the service that switched it off. The caller holds mu.
func (s *Slot) power(call Call) error {
	if s.powered {
		return nil
	}
	if s.off {
		s.fault("%s after power off", call)
	}
	return bridge.ErrCardReset
}

// Control has the function of OnControl answer.
func (s *Slot) Control(ctx context.Context, code wire.ControlCode, dst, in []byte) ([]byte, error) {
	if _, err := s.enter(ctx, Control); err != nil {
		return dst, err
	}
	defer s.leave()
	s.mu.Lock()
	f := s.controlled
	s.mu.Unlock()
	return f(code, dst, in)
}

//go:build !minimal

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"kaztoken/bridge"
	"kaztoken/bridge/descriptors"
	"kaztoken/bridge/wire"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
)

// cardSlot is a KAZTOKEN in software as the PC/SC service sees it, with no
// reader and no USB in between. What is not the card's is as if it were on USB.
type cardSlot struct {
	name string
	info bridge.Info
	atr  iso7816.ATR

	mu      sync.Mutex // guards the following fields
	card    *emu.Card
	powered bool
	fresh   bool // nobody has used the card yet
	gone    bool

	changed chan struct{} // closed by close
}

// newCardSlot makes a token that is kept in a file, or in memory for "". It is to
// be closed. The error is as [ExplainState] has it.
func newCardSlot(path string) (*cardSlot, error) {
	option := emu.WithATR(ccidsim.KAZTOKEN.ATR)
	card := emu.New(option)
	info := ccidsim.New(ccidsim.KAZTOKEN, card).Info()
	if path != "" {
		var err error
		if card, err = emu.Open(path, option); err != nil {
			return nil, ExplainState(path, err)
		}
	}
	atr, err := iso7816.ParseATR(card.ATR())
	if err != nil {
		return nil, errors.Join(err, card.Close())
	}
	s := &cardSlot{
		name: slotName(info, 0, 0), info: descriptors.Info(info, ccidsim.KAZTOKEN.Interface), atr: atr,
		card: card, powered: true, fresh: true, changed: make(chan struct{}),
	}
	s.info.Bus, s.info.Address, s.info.Path = 0, 0, ""
	return s, nil
}

// close takes the token away and gives its file free.
func (s *cardSlot) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return nil
	}
	s.gone = true
	close(s.changed)
	return s.card.Close()
}

// Name implements [bridge.Slot], as do the methods that follow.
func (s *cardSlot) Name() string { return s.name }

func (s *cardSlot) Info() bridge.Info { return s.info }

func (s *cardSlot) Changed() <-chan struct{} { return s.changed }

func (s *cardSlot) State() bridge.SlotState {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return bridge.SlotState{Gone: true}
	}
	state := bridge.SlotState{Present: true, Insertions: 1}
	if s.fresh {
		state.ATR = s.atr
	}
	return state
}

// enter begins a use of the card; the caller holds mu then, unless there is an
// error.
func (s *cardSlot) enter(ctx context.Context) error {
	s.mu.Lock()
	s.fresh = false
	err := ctx.Err()
	if s.gone {
		err = bridge.ErrGone
	}
	if err != nil {
		s.mu.Unlock()
	}
	return err
}

func (s *cardSlot) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	if err := s.enter(ctx); err != nil {
		return iso7816.ATR{}, err
	}
	defer s.mu.Unlock()
	s.card.Reset(cold || !s.powered)
	s.powered = true
	return s.atr, nil
}

func (s *cardSlot) PowerOff(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.powered = false
	s.card.Reset(true) // what it knew is gone with the power
	return nil
}

func (s *cardSlot) SetProtocol(ctx context.Context, p iso7816.Protocol) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	switch {
	case !s.powered:
		return bridge.ErrCardReset
	case !s.atr.Offers(p):
		return fmt.Errorf("%v: %w", p, bridge.ErrProtocolMismatch)
	}
	return nil
}

func (s *cardSlot) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if err := s.enter(ctx); err != nil {
		return dst, err
	}
	defer s.mu.Unlock()
	if !s.powered {
		return dst, bridge.ErrCardReset
	}
	dst, err := s.card.Transmit(ctx, dst, apdu)
	if errors.Is(err, os.ErrClosed) {
		err = bridge.ErrGone
	}
	return dst, err
}

func (s *cardSlot) Control(_ context.Context, code wire.ControlCode, dst, _ []byte) ([]byte, error) {
	return dst, fmt.Errorf("%s: %v: %w", s.name, code, bridge.ErrNotSupported)
}

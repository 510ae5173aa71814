package ccid

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Voltage is bPowerSelect of IccPowerOn (CCID rev 1.10 §6.1.1).
type Voltage byte

// The voltages of a card.
const (
	VoltageAuto Voltage = 0 // the reader selects
	Voltage5V   Voltage = 1
	Voltage3V   Voltage = 2
	Voltage1V8  Voltage = 3
)

func (v Voltage) String() string {
	switch v {
	case VoltageAuto:
		return "automatic"
	case Voltage5V:
		return "5 V"
	case Voltage3V:
		return "3 V"
	case Voltage1V8:
		return "1.8 V"
	}
	return fmt.Sprintf("Voltage(%d)", byte(v))
}

func iccPowerOn(v Voltage) Message {
	return Message{Type: msgIccPowerOn, Specific: [3]byte{byte(v)}}
}

func iccPowerOff() Message { return Message{Type: msgIccPowerOff} }

// voltages is the order in which to try them. A reader that selects the
// voltage is not told any.
func (r *Reader) voltages() []Voltage {
	if r.desc.Features&(usb.AutoVoltage|usb.AutoActivation) != 0 || r.desc.Voltages&7 == 0 {
		return []Voltage{VoltageAuto}
	}
	return append(r.explicitVoltages(), VoltageAuto)
}

func (r *Reader) explicitVoltages() []Voltage {
	if len(r.config.voltages) > 0 {
		return append([]Voltage(nil), r.config.voltages...)
	}
	var vs []Voltage
	for i, v := range []Voltage{Voltage5V, Voltage3V, Voltage1V8} {
		if r.desc.Voltages>>i&1 != 0 {
			vs = append(vs, v)
		}
	}
	return vs
}

// PowerOn powers the card up and brings it to where Transmit works: the ATR is
// read, protocol and parameters are negotiated. An active card is reset.
//
// Errors: ErrNoCard; ErrMute, wrapping the last *SlotError, for a card that no
// voltage brings to life; ErrProtocolMismatch; those of the transport.
func (s *Slot) PowerOn(ctx context.Context) (iso7816.ATR, error) {
	if err := s.enter(ctx); err != nil {
		return iso7816.ATR{}, s.wrap("power on", err)
	}
	defer s.leave()
	atr, err := s.bringUp(ctx, s.wish(), s.State() == CardLost)
	return atr, s.wrap("power on", err)
}

// Reset resets the card, cold (power off and on) or warm if the reader can
// tell the two apart, and negotiates anew. Errors are those of PowerOn. A card
// whose state is unknown, and one without power, gets a cold reset in any case.
func (s *Slot) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	if err := s.enter(ctx); err != nil {
		return iso7816.ATR{}, s.wrap("reset", err)
	}
	defer s.leave()
	atr, err := s.bringUp(ctx, s.wish(), cold || s.State() == CardLost)
	return atr, s.wrap("reset", err)
}

// PowerOff takes the power from the card. Without a card it does nothing.
func (s *Slot) PowerOff(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return s.wrap("power off", err)
	}
	defer s.leave()
	return s.wrap("power off", s.powerOff(ctx))
}

func (s *Slot) powerOff(ctx context.Context) error {
	s.switchOff(true)
	defer s.switchOff(false)
	_, err := s.command(ctx, iccPowerOff(), s.r.timeouts.Command)
	if errors.Is(err, ErrNoCard) {
		return nil
	}
	if err == nil && s.powered() { // whatever bmICCStatus says
		s.mu.Lock()
		s.arrive(CardPresent)
		s.mu.Unlock()
	}
	return err
}

// switchOff notes that the loss of power that follows, or the one that has
// happened, is of this program's making.
func (s *Slot) switchOff(now bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.switching = now && s.state != CardUnknown && s.state != CardAbsent
}

// activate powers the card up and reads its ATR, with whatever voltage it
// takes (CCID rev 1.10 §6.1.1, ISO 7816-3:2006 §6.2). The caller holds the
// gate.
func (s *Slot) activate(ctx context.Context, cold bool) (iso7816.ATR, error) {
	a, err := s.status(ctx, s.r.timeouts.Command)
	if err != nil {
		return iso7816.ATR{}, err
	}
	if s.State() == CardAbsent {
		return iso7816.ATR{}, ErrNoCard
	}
	wasActive := a.Status().ICC() == ICCActive
	if cold && wasActive {
		if err := s.powerOff(ctx); err != nil {
			return iso7816.ATR{}, err
		}
		wasActive = false
	}
	// Whatever was known of the card is void from here on.
	s.setTiming(iso7816.T0, defaultTiming(s.r.desc.DefaultClock))
	s.lose()
	last := error(ErrMute)
	for queue := s.r.voltages(); len(queue) > 0; {
		v := queue[0]
		atr, err := s.powerOn(ctx, v)
		if err == nil {
			return atr, nil
		}
		var failed *SlotError
		switch isSlot := errors.As(err, &failed); {
		case errors.Is(err, ErrNoCard):
			return iso7816.ATR{}, err
		case errors.Is(err, iso7816.ErrATR):
		case !isSlot:
			return iso7816.ATR{}, err
		}
		last = err
		switch {
		case wasActive:
			// A former owner may have left reader and card at different speeds:
			// the same voltage once more, from cold.
			wasActive = false
		case failed != nil && failed.Code == 7: // bPowerSelect refused
			queue = queue[1:]
			if v == VoltageAuto && len(queue) == 0 && s.r.desc.Features&(usb.AutoVoltage|usb.AutoActivation) != 0 {
				queue = s.r.explicitVoltages()
			}
			continue
		case failed == nil || failed.anotherVoltage():
			queue = queue[1:]
		default:
			queue = nil
		}
		if err := s.powerOff(ctx); err != nil {
			return iso7816.ATR{}, err
		}
		if err := s.r.sleep(ctx, 10*time.Millisecond); err != nil {
			return iso7816.ATR{}, err
		}
	}
	if errors.Is(last, ErrMute) {
		return iso7816.ATR{}, last
	}
	return iso7816.ATR{}, fmt.Errorf("%w: %w", ErrMute, last)
}

// anotherVoltage reports whether a failure of IccPowerOn may be one of the
// voltage.
func (e *SlotError) anotherVoltage() bool {
	switch e.Code {
	case CodeMute, CodeICCClass, CodeBadTS, CodeBadTCK, CodeParity:
		return true
	}
	return false
}

// powerOn is one attempt.
func (s *Slot) powerOn(ctx context.Context, v Voltage) (iso7816.ATR, error) {
	a, err := s.command(ctx, iccPowerOn(v), s.r.timeouts.PowerOn)
	if err != nil {
		return iso7816.ATR{}, err
	}
	atr, err := iso7816.ParseATR(a.Data)
	if err != nil {
		return iso7816.ATR{}, fmt.Errorf("%v: %d bytes: %w", msgIccPowerOn, len(a.Data), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atr, s.params = atr, Parameters{}
	s.become(CardActive)
	return atr, nil
}

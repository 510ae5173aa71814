package ccid

import (
	"context"
	"errors"
	"fmt"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// wish is the protocol that the caller wants, if it wants one.
type wish struct {
	protocol iso7816.Protocol
	firm     bool
}

func (s *Slot) wish() wish { return wish{s.r.config.protocol, s.r.protocolSet} }

// SetProtocol brings the card to protocol p. If it is there already, nothing
// happens; else the card is reset first, since a protocol is selected once and
// first thing (ISO 7816-3:2006 §9.1). A card or reader that cannot do it gives
// ErrProtocolMismatch, and the card needs PowerOn then.
func (s *Slot) SetProtocol(ctx context.Context, p iso7816.Protocol) error {
	const doing = "set protocol"
	if err := s.enter(ctx); err != nil {
		return s.wrap(doing, err)
	}
	defer s.leave()
	if s.usable() == nil && s.protocol == p {
		return nil
	}
	_, err := s.bringUp(ctx, wish{p, true}, true)
	return s.wrap(doing, err)
}

// bringUp powers the card up and makes it ready. If card or reader do not
// take what suits them best, there is one more attempt from a cold reset, at
// the speed that every card has to know. The caller holds the gate.
func (s *Slot) bringUp(ctx context.Context, w wish, cold bool) (iso7816.ATR, error) {
	for gentle := false; ; gentle = true {
		atr, err := s.activate(ctx, cold)
		if err != nil {
			return iso7816.ATR{}, err
		}
		err = s.negotiate(ctx, atr, w, gentle)
		if err == nil {
			return atr, nil
		}
		s.lose()
		var again *againError
		if gentle || !errors.As(err, &again) {
			return iso7816.ATR{}, err
		}
		if again.twice {
			if _, err := s.activate(ctx, true); err != nil {
				return iso7816.ATR{}, err
			}
		}
		cold = true
	}
}

// againError says that a cold reset and more modest parameters may help.
type againError struct {
	error
	twice bool // two resets, even
}

func (e *againError) Unwrap() error { return e.error }

// negotiate sets protocol and parameters for the card whose ATR was just read,
// as far as the reader leaves that to the host (CCID rev 1.10 §3.1.4, §5.1
// dwFeatures). Gentle means: at default speed, without PPS, and without
// SetParameters where that was refused.
func (s *Slot) negotiate(ctx context.Context, atr iso7816.ATR, w wish, gentle bool) error {
	f := s.r.desc.Features
	p, err := s.chooseProtocol(atr, w)
	if err != nil {
		return err
	}
	_, implicit, specific := atr.Specific()
	if implicit && f&(usb.AutoNegotiation|usb.AutoParameters|usb.ICCDRequests) == 0 {
		return fmt.Errorf("parameters known only to the maker of the card: %w", ErrProtocolMismatch)
	}
	params := parametersOf(atr, p, iso7816.DefaultFiDi)
	switch {
	case s.r.ifc.Kind != usb.CCID, f&(usb.AutoNegotiation|usb.ICCDRequests) != 0:
		params, err = s.negotiated(ctx, atr, params, w)
	case f.Has(usb.AutoPPS):
		params, err = s.readerPPS(ctx, atr, params, gentle)
	case specific:
		params.FiDi = atr.FiDi()
		if implicit { // the reader knows from the ATR what we do not
			params.FiDi = iso7816.DefaultFiDi
			break
		}
		if !suits(params.FiDi, true, &s.r.desc, s.rates()) && params.FiDi != iso7816.DefaultFiDi {
			return fmt.Errorf("card in specific mode at Fi/Di %02X: %w", params.FiDi, ErrProtocolMismatch)
		}
		if params, err = s.setParameters(ctx, params, true); err == nil {
			err = s.rate(ctx, params.FiDi)
		}
	default:
		params, err = s.hostPPS(ctx, atr, params, gentle)
	}
	if err != nil {
		return err
	}
	s.setTiming(params.Protocol, timingFor(atr, params, s.r.desc.DefaultClock))
	if s.level <= usb.TPDU && params.Protocol == iso7816.T1 {
		ifsc := atr.IFSC()
		if params.IFSC >= 1 && params.IFSC <= 254 {
			ifsc = int(params.IFSC)
		}
		if err := s.setUpT1(ctx, atr, ifsc); err != nil {
			return &againError{error: err}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.params = params
	s.become(CardReady)
	return nil
}

// timingFor takes the longer of what the ATR and the parameters in force say
// of the waiting times.
func timingFor(atr iso7816.ATR, p Parameters, clock uint32) timing {
	t := timingOf(atr, p.FiDi, clock)
	if q := p.timing(clock); q.worst(p.Protocol) > t.worst(p.Protocol) {
		return q
	}
	return t
}

// chooseProtocol is the protocol to use: the one that is wanted, else the
// card's first that the reader speaks.
func (s *Slot) chooseProtocol(atr iso7816.ATR, w wish) (iso7816.Protocol, error) {
	if w.firm {
		if !atr.Offers(w.protocol) || !s.r.offers(w.protocol) {
			return 0, fmt.Errorf("%v is not offered: %w", w.protocol, ErrProtocolMismatch)
		}
		return w.protocol, nil
	}
	for _, p := range atr.Protocols() {
		if s.r.offers(p) {
			return p, nil
		}
	}
	// At the APDU levels the protocol is the reader's business; it may have
	// lied about it.
	if p := atr.Default(); s.level >= usb.ShortAPDU && p <= iso7816.T1 {
		return p, nil
	}
	return 0, fmt.Errorf("card offers %v: %w", atr.Protocols(), ErrProtocolMismatch)
}

// negotiated finds out what a reader that does everything itself has done. A
// USB-ICC is not asked: it has but one way.
func (s *Slot) negotiated(ctx context.Context, atr iso7816.ATR, p Parameters, w wish) (Parameters, error) {
	switch {
	case s.r.ifc.Kind == usb.CCID && !s.r.desc.Features.Has(usb.ICCDRequests) && len(atr.Protocols()) > 1:
		a, err := s.command(ctx, getParameters(), s.r.timeouts.Command)
		var refused *SlotError
		if err != nil && !errors.As(err, &refused) {
			return p, err
		}
		if q, ok := a.parameters(); err == nil && ok {
			p = q
		} else {
			p.Protocol = atr.Default()
		}
	case len(atr.Protocols()) > 1:
		p.Protocol = atr.Default()
	}
	if w.firm && p.Protocol != w.protocol {
		return p, fmt.Errorf("reader chose %v: %w", p.Protocol, ErrProtocolMismatch)
	}
	return p, nil
}

// readerPPS has the reader run the PPS, for the parameters that it is given.
func (s *Slot) readerPPS(ctx context.Context, atr iso7816.ATR, p Parameters, gentle bool) (Parameters, error) {
	_, _, specific := atr.Specific()
	switch {
	case gentle && s.r.quirks.TwoResets:
		return p, nil
	case specific:
		p.FiDi = atr.FiDi()
	case !gentle:
		p.FiDi = chooseFiDi(atr.FiDi(), &s.r.desc, s.rates())
	}
	q, err := s.setParameters(ctx, p, false)
	var refused *SlotError
	if errors.As(err, &refused) && p.FiDi != iso7816.DefaultFiDi && !specific {
		if _, ok := refused.Code.Parameter(); ok && refused.Code != 7 {
			p.FiDi = iso7816.DefaultFiDi
			q, err = s.setParameters(ctx, p, false)
		}
	}
	if err == nil {
		err = s.rate(ctx, q.FiDi)
	}
	return q, err
}

// hostPPS agrees with the card itself and then tells the reader.
func (s *Slot) hostPPS(ctx context.Context, atr iso7816.ATR, p Parameters, gentle bool) (Parameters, error) {
	fidi := byte(iso7816.DefaultFiDi)
	if !gentle && !s.r.quirks.NoPPS {
		fidi = chooseFiDi(atr.FiDi(), &s.r.desc, s.rates())
	}
	change := p.Protocol != atr.Default() || fidi != iso7816.DefaultFiDi
	if change && (gentle || s.r.quirks.NoPPS || s.level > usb.TPDU) {
		if p.Protocol != atr.Default() {
			return p, fmt.Errorf("no way to change to %v: %w", p.Protocol, ErrProtocolMismatch)
		}
		change, fidi = false, iso7816.DefaultFiDi
	}
	if change {
		agreed, err := s.pps(ctx, p.Protocol, fidi)
		if err != nil {
			return p, &againError{error: err}
		}
		p.FiDi = agreed
	}
	if !change && s.r.desc.Features.Has(usb.AutoParameters) {
		return p, nil // the reader took them from the ATR
	}
	if gentle && s.r.quirks.TwoResets {
		return p, nil
	}
	p, err := s.setParameters(ctx, p, change)
	if err == nil {
		err = s.rate(ctx, p.FiDi)
	}
	return p, err
}

// rate is speedUp for a card that has changed its speed already, so that a
// failure needs a reset.
func (s *Slot) rate(ctx context.Context, fidi byte) error {
	if fidi == iso7816.DefaultFiDi {
		return nil
	}
	err := s.speedUp(ctx, fidi)
	var failed *SlotError
	switch {
	case err == nil, errors.Is(err, ErrNotSupported):
		return nil
	case errors.As(err, &failed):
		return &againError{error: err}
	}
	return err
}

// setParameters tells the reader the parameters and returns those in force.
// Changed means that the card is no longer in the state that a reset leaves.
func (s *Slot) setParameters(ctx context.Context, p Parameters, changed bool) (Parameters, error) {
	var space [7]byte
	a, err := s.command(ctx, setParameters(p, space[:0]), s.r.timeouts.Command)
	if err == nil {
		if q, ok := a.parameters(); ok && q.Protocol == p.Protocol && q.IFSC >= 1 && q.IFSC <= 254 {
			p.IFSC = q.IFSC
		}
		return p, nil
	}
	var refused *SlotError
	switch {
	case !s.r.knows(msgSetParameters):
		if changed && p.FiDi != iso7816.DefaultFiDi {
			return p, &againError{error: err}
		}
		return p, nil // what the reader does by default has to do
	case !errors.As(err, &refused):
		return p, err
	}
	switch code := refused.Code; {
	case code == 0x07:
		return p, fmt.Errorf("%w: %w", ErrProtocolMismatch, err)
	case code >= 0x0C && code <= 0x10:
		return s.adoptParameters(ctx, p)
	case code == 0x0A && changed, code == CodeMute && refused.Status.ICC() != ICCAbsent:
		return p, &againError{error: fmt.Errorf("%w: %w", ErrProtocolMismatch, err), twice: s.r.quirks.TwoResets}
	case s.r.quirks.TwoResets:
		return p, &againError{error: err, twice: true}
	}
	return p, err
}

// adoptParameters takes over what is fixed in the reader.
func (s *Slot) adoptParameters(ctx context.Context, p Parameters) (Parameters, error) {
	a, err := s.command(ctx, getParameters(), s.r.timeouts.Command)
	var refused *SlotError
	if err != nil && !errors.As(err, &refused) && !errors.Is(err, ErrNotSupported) {
		return p, err
	}
	if q, ok := a.parameters(); err == nil && ok && q.Protocol == p.Protocol {
		return q, nil
	}
	return p, nil
}

// rates is the list of rates for the slot.
func (s *Slot) rates() []uint32 {
	if q, ok := s.r.quirks.SlotOverride[int(s.index)]; ok && q.Rates != nil {
		return q.Rates
	}
	return s.r.rates
}

package ccid

import (
	"context"
	"fmt"

	"kaztoken/internal/iso7816"
)

// Parameters is the protocol data structure of the Parameters commands (CCID
// rev 1.10 §6.1.7, §6.2.3).
type Parameters struct {
	Protocol  iso7816.Protocol // bProtocolNum, 0 or 1
	FiDi      byte             // bmFindexDindex
	TCCKS     byte             // bmTCCKST0: bit 1 inverse; bmTCCKST1: 10, bit 0 CRC, bit 1 inverse
	GuardTime byte             // bGuardTimeT0, bGuardTimeT1: extra etu, FF for the least
	Waiting   byte             // bWaitingIntegerT0: WI; bmWaitingIntegersT1: BWI high nibble, CWI low
	ClockStop byte             // bClockStop: 0 no, 1 low, 2 high, 3 either
	IFSC      byte             // bIFSC; T=1 only
	NAD       byte             // bNadValue; T=1 only
}

// parametersOf is what the ATR asks for, at the speed fidi.
func parametersOf(atr iso7816.ATR, p iso7816.Protocol, fidi byte) Parameters {
	m := Parameters{Protocol: p, FiDi: fidi, GuardTime: atr.ExtraGuardTime(), ClockStop: byte(atr.ClockStop())}
	if atr.Inverse() {
		m.TCCKS = 0x02
	}
	if p != iso7816.T1 {
		m.Waiting = atr.WI()
		return m
	}
	m.TCCKS |= 0x10
	if atr.CRC() {
		m.TCCKS |= 0x01
	}
	m.Waiting = atr.BWI()<<4 | atr.CWI()
	m.IFSC = byte(atr.IFSC())
	return m
}

// AppendTo appends the structure, 5 bytes for T=0 and 7 for T=1, to dst.
func (p Parameters) AppendTo(dst []byte) []byte {
	dst = append(dst, p.FiDi, p.TCCKS, p.GuardTime, p.Waiting, p.ClockStop)
	if p.Protocol == iso7816.T1 {
		dst = append(dst, p.IFSC, p.NAD)
	}
	return dst
}

// ParseParameters reads the structure for bProtocolNum num. Protocols other
// than T=0 and T=1, and any other length, are ErrProtocol.
func ParseParameters(num byte, b []byte) (Parameters, error) {
	p := Parameters{Protocol: iso7816.Protocol(num)}
	switch {
	case num == byte(iso7816.T1) && len(b) == 7:
		p.IFSC, p.NAD = b[5], b[6]
	case num == byte(iso7816.T0) && len(b) == 5:
	default:
		return Parameters{}, fmt.Errorf("parameters of %d bytes for protocol %02X: %w", len(b), num, ErrProtocol)
	}
	p.FiDi, p.TCCKS, p.GuardTime, p.Waiting, p.ClockStop = b[0], b[1], b[2], b[3], b[4]
	return p, nil
}

// timing is what the parameters in force mean for the waiting times.
func (p Parameters) timing(clock uint32) timing {
	t := defaultTiming(clock)
	t.fidi, t.guard = p.FiDi, p.GuardTime
	if p.Protocol == iso7816.T1 {
		t.bwi, t.cwi = p.Waiting>>4, p.Waiting&0xF
	} else if p.Waiting != 0 {
		t.wi = p.Waiting
	}
	return t
}

// setParameters is at most headerLen+7 bytes; b is its scratch space.
func setParameters(p Parameters, b []byte) Message {
	return Message{Type: msgSetParameters, Specific: [3]byte{byte(p.Protocol)}, Data: p.AppendTo(b)}
}

func getParameters() Message   { return Message{Type: msgGetParameters} }
func resetParameters() Message { return Message{Type: msgResetParams} }

// parameters reads an answer of type Parameters. A reader may leave the
// structure out; then ok is false.
func (m Message) parameters() (p Parameters, ok bool) {
	p, err := ParseParameters(m.Specific[2], m.Data)
	return p, err == nil
}

// GetParameters asks the reader for the parameters in force.
func (s *Slot) GetParameters(ctx context.Context) (Parameters, error) {
	return s.askParameters(ctx, "get parameters", getParameters())
}

// ResetParameters puts the reader's defaults in force and returns them. The
// card is not told.
func (s *Slot) ResetParameters(ctx context.Context) (Parameters, error) {
	return s.askParameters(ctx, "reset parameters", resetParameters())
}

func (s *Slot) askParameters(ctx context.Context, doing string, m Message) (Parameters, error) {
	if err := s.enter(ctx); err != nil {
		return Parameters{}, s.wrap(doing, err)
	}
	defer s.leave()
	a, err := s.command(ctx, m, s.r.timeouts.Command)
	if err != nil {
		return Parameters{}, s.wrap(doing, err)
	}
	p, err := ParseParameters(a.Specific[2], a.Data)
	return p, s.wrap(doing, err)
}

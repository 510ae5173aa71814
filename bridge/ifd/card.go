package ifd

import (
	"context"

	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
)

// Action is what PowerICC is to do.
type Action uint64

// The actions.
const (
	PowerUp   Action = 500 // a cold reset
	PowerDown Action = 501
	Reset     Action = 502 // a warm reset, or a power-up if the card is off
)

// MaxATR is the longest answer to reset, bytes: what a host has room for.
const MaxATR = 33

// PowerICC is IFDHPowerICC. The answer to reset goes to the beginning of atr, of
// MaxATR bytes or more; PowerDown has none. Afterwards the card works in its first
// protocol.
func (h *Handler) PowerICC(lun Lun, action Action, atr []byte) (n int, r Response) {
	defer h.contain("power", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return 0, CommunicationError
	}
	var (
		answer iso7816.ATR
		err    error
	)
	ctx := context.Background() // the driver has limits of its own
	switch action {
	case PowerDown:
		err = s.PowerOff(ctx)
	case PowerUp, Reset:
		if atr == nil {
			return 0, CommunicationError
		}
		answer, err = s.Reset(ctx, action == PowerUp)
	default:
		return 0, NotSupported
	}
	if err != nil {
		return 0, h.problem(s, lun, "power", err, ErrorPowerAction)
	}
	return give(atr, answer.Bytes())
}

// problem logs an error of the driver and translates it.
func (h *Handler) problem(s *slot, lun Lun, doing string, err error, otherwise Response) Response {
	s.failed(err)
	r := responseTo(err, otherwise)
	p := Error
	switch r {
	case NoSuchDevice, ICCNotPresent, NotSupported, InsufficientBuffer:
		p = Debug // in the order of things
	}
	h.log(p, nil, "%v: %s: %v", lun, doing, err)
	return r
}

// SetProtocolParameters is IFDHSetProtocolParameters: it brings the card to a
// protocol, 1 for T=0 and 2 for T=1. ProtocolNotSupported says that another one
// may be tried. The driver negotiates the other parameters as suits card and
// reader: flags that ask for certain ones are ErrorNotSupported.
func (h *Handler) SetProtocolParameters(lun Lun, protocol uint64, flags byte) (r Response) {
	defer h.contain("set protocol", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return CommunicationError
	}
	for _, p := range []iso7816.Protocol{iso7816.T0, iso7816.T1} {
		if protocol != uint64(protocolBit(p)) {
			continue
		}
		if flags != 0 {
			return ErrorNotSupported
		}
		if err := s.SetProtocol(context.Background(), p); err != nil {
			return h.problem(s, lun, "set protocol", err, ErrorPTSFailure)
		}
		return Success
	}
	return ProtocolNotSupported
}

// rawPCI is what SendPci holds for an APDU of no protocol.
const rawPCI = 4

// TransmitToICC is IFDHTransmitToICC. protocol is that of SendPci: 0 for T=0, 1
// for T=1, 4 for whatever is in force. The response with its status word goes to
// the beginning of rx, which must not overlap tx; n is 0 with every response but
// Success. One that is longer than rx is InsufficientBuffer, and the card has
// executed the command then. 61xx and 6Cxx are left to the program.
//
// Nothing is allocated unless that fails.
func (h *Handler) TransmitToICC(lun Lun, protocol uint64, tx, rx []byte) (n int, r Response) {
	defer h.contain("transmit", lun, &r)
	s := h.slot(lun)
	if s == nil || tx == nil || rx == nil {
		return 0, CommunicationError
	}
	if len(tx) > wire.MaxData {
		return 0, NotSupported
	}
	if protocol != rawPCI && (protocol > uint64(iso7816.T1) || s.State() == ccid.CardReady && iso7816.Protocol(protocol) != s.Protocol()) {
		return 0, ProtocolNotSupported
	}
	// The capacity is cut, so that nothing behind rx is ever written to.
	answer, err := s.Transmit(context.Background(), rx[:0:len(rx)], tx)
	if err != nil {
		return 0, h.problem(s, lun, "transmit", err, CommunicationError)
	}
	if len(answer) > len(rx) {
		clear(answer) // a copy of what nobody is given
		return 0, InsufficientBuffer
	}
	return len(answer), Success
}

// Control is IFDHControl: PC/SC part 10, as the stock driver for CCID readers
// answers it. rx may be nil where nothing is answered. An unknown code is
// ErrorNotSupported.
func (h *Handler) Control(lun Lun, code wire.ControlCode, tx, rx []byte) (n int, r Response) {
	defer h.contain("control", lun, &r)
	s := h.slot(lun)
	if s == nil {
		return 0, CommunicationError
	}
	if len(tx) > wire.MaxData {
		return 0, NotSupported
	}
	var (
		answer []byte
		err    error
	)
	ctx := context.Background()
	switch code {
	case wire.CtlGetFeatureRequest, wire.CtlGetFeatureRequestWindows:
		answer = s.info.AppendFeatures(nil)
	case wire.CtlGetTLVProperties:
		answer = s.info.Properties
	case wire.CtlUSBPath:
		if s.info.Path == "" {
			return 0, ErrorNotSupported
		}
		answer = []byte(s.info.Path)
	case wire.CtlPINProperties:
		if len(s.info.Features) == 0 {
			return 0, ErrorNotSupported
		}
		answer = s.channel.reader.PINProperties()
	case wire.CtlVerifyPINDirect:
		answer, err = s.VerifyPIN(ctx, nil, tx)
	case wire.CtlModifyPINDirect:
		answer, err = s.ModifyPIN(ctx, nil, tx)
	default:
		return 0, ErrorNotSupported
	}
	if err != nil {
		return 0, h.problem(s, lun, "control", err, CommunicationError)
	}
	return give(rx, answer)
}

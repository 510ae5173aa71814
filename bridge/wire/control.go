package wire

import "fmt"

// Control talks to the reader (struct control_struct, 24 bytes). The command
// follows the message of a client, the response that of the daemon if Result is
// [Success].
type Control struct {
	Handle     Handle
	Code       ControlCode
	SendLength uint32 // cbSendLength: bytes that follow
	RecvLength uint32 // cbRecvLength: the room of the client, bytes
	Returned   uint32 // dwBytesReturned: bytes of the response, also if that does not fit
	Result     Result
}

// AppendTo appends the 24 bytes of the message to b.
func (m Control) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Handle), uint32(m.Code), m.SendLength, m.RecvLength, m.Returned, uint32(m.Result))
}

// ParseControl reads a [Control] without its data.
func ParseControl(b []byte) (Control, error) {
	if err := check("Control", b, ControlSize); err != nil {
		return Control{}, err
	}
	return Control{
		Handle: Handle(u32(b, 0)), Code: ControlCode(u32(b, 4)), SendLength: u32(b, 8), RecvLength: u32(b, 12),
		Returned: u32(b, 16), Result: Result(u32(b, 20)),
	}, nil
}

// ControlCode is dwControlCode of [Control]: SCARD_CTL_CODE, 0x42000000 and a
// number.
type ControlCode uint32

// The codes with a meaning that does not depend on the reader (PC/SC part 10,
// ccid_ifdhandler.h of libccid).
const (
	CtlEscape            ControlCode = 0x42000001 // IOCTL_SMARTCARD_VENDOR_IFD_EXCHANGE
	CtlGetFeatureRequest ControlCode = 0x42000D48 // CM_IOCTL_GET_FEATURE_REQUEST, 3400
	CtlUSBPath           ControlCode = 0x42000E11 // CM_IOCTL_GET_USB_PATH, 3601
	CtlVerifyPINDirect   ControlCode = 0x42330006
	CtlModifyPINDirect   ControlCode = 0x42330007
	CtlMCTReaderDirect   ControlCode = 0x42330008
	CtlPINProperties     ControlCode = 0x4233000A
	CtlGetTLVProperties  ControlCode = 0x42330012

	// CtlGetFeatureRequestWindows is what programs on Windows say, and may say
	// from there through a remote desktop.
	CtlGetFeatureRequestWindows ControlCode = 0x00313520
)

func (c ControlCode) String() string {
	switch c {
	case CtlEscape:
		return "Escape"
	case CtlGetFeatureRequest, CtlGetFeatureRequestWindows:
		return "GetFeatureRequest"
	case CtlUSBPath:
		return "USBPath"
	case CtlVerifyPINDirect:
		return "VerifyPINDirect"
	case CtlModifyPINDirect:
		return "ModifyPINDirect"
	case CtlMCTReaderDirect:
		return "MCTReaderDirect"
	case CtlPINProperties:
		return "PINProperties"
	case CtlGetTLVProperties:
		return "GetTLVProperties"
	}
	return fmt.Sprintf("ControlCode(%#08x)", uint32(c))
}

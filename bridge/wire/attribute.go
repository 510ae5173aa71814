package wire

import "fmt"

// Attribute reads or sets an attribute of a reader (struct getset_struct, 280
// bytes).
type Attribute struct {
	Handle Handle
	ID     AttributeID
	Value  [MaxAttribute]byte // pbAttr
	// Length is cbAttrLen: how much of Value is used, or may be. It comes from
	// the other side and may be more than Value has.
	Length uint32
	Result Result
}

// AppendTo appends the 280 bytes of the message to b.
func (m *Attribute) AppendTo(b []byte) []byte {
	b = put(b, uint32(m.Handle), uint32(m.ID))
	b = append(b, m.Value[:]...)
	return put(b, m.Length, uint32(m.Result))
}

// ParseAttribute reads an [Attribute].
func ParseAttribute(b []byte) (Attribute, error) {
	if err := check("Attribute", b, AttributeSize); err != nil {
		return Attribute{}, err
	}
	return Attribute{
		Handle: Handle(u32(b, 0)), ID: AttributeID(u32(b, 4)), Value: [MaxAttribute]byte(b[8:272]),
		Length: u32(b, 272), Result: Result(u32(b, 276)),
	}, nil
}

// AttributeID names an attribute: its class in the high half, its tag in the low
// one (PC/SC part 3 §3.1.2, reader.h of pcsc-lite).
type AttributeID uint32

// The attributes. Numbers in their values are in the byte order of the host.
const (
	AttrVendorName          AttributeID = 0x00010100 // text and a zero byte
	AttrVendorIFDType       AttributeID = 0x00010101 // text and a zero byte
	AttrVendorIFDVersion    AttributeID = 0x00010102 // 4 bytes
	AttrVendorIFDSerialNo   AttributeID = 0x00010103 // text and a zero byte
	AttrChannelID           AttributeID = 0x00020110 // 4 bytes: 0x0020 and bus and address of USB
	AttrAsyncProtocolTypes  AttributeID = 0x00030120 // 4 bytes: a set of Protocol
	AttrMaxInput            AttributeID = 0x0007A007 // 4 bytes
	AttrCurrentProtocolType AttributeID = 0x00080201 // 4 bytes: a Protocol
	AttrICCPresence         AttributeID = 0x00090300 // 1 byte: 0 none, 2 present
	AttrICCInterfaceStatus  AttributeID = 0x00090301 // 1 byte: 0 or 1
	AttrATRString           AttributeID = 0x00090303
	AttrDeviceFriendlyName  AttributeID = 0x7FFF0003 // text and a zero byte
	AttrDeviceSystemName    AttributeID = 0x7FFF0004 // text and a zero byte
)

func (a AttributeID) String() string {
	switch a {
	case AttrVendorName:
		return "VENDOR_NAME"
	case AttrVendorIFDType:
		return "VENDOR_IFD_TYPE"
	case AttrVendorIFDVersion:
		return "VENDOR_IFD_VERSION"
	case AttrVendorIFDSerialNo:
		return "VENDOR_IFD_SERIAL_NO"
	case AttrChannelID:
		return "CHANNEL_ID"
	case AttrAsyncProtocolTypes:
		return "ASYNC_PROTOCOL_TYPES"
	case AttrMaxInput:
		return "MAXINPUT"
	case AttrCurrentProtocolType:
		return "CURRENT_PROTOCOL_TYPE"
	case AttrICCPresence:
		return "ICC_PRESENCE"
	case AttrICCInterfaceStatus:
		return "ICC_INTERFACE_STATUS"
	case AttrATRString:
		return "ATR_STRING"
	case AttrDeviceFriendlyName:
		return "DEVICE_FRIENDLY_NAME"
	case AttrDeviceSystemName:
		return "DEVICE_SYSTEM_NAME"
	}
	return fmt.Sprintf("AttributeID(%#08x)", uint32(a))
}

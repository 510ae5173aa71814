package bridge

import (
	"encoding/binary"
	"errors"

	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// errLength: a slot answered what cannot be an answer.
var errLength = errors.New("response of an impossible length")

// text is an attribute that is text: with a zero byte, which its length counts.
func text(s string) []byte {
	return append([]byte(s[:min(len(s), wire.MaxAttribute-1)]), 0)
}

// number is an attribute that is a number, in the byte order of the host.
func number(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// attributeOf is the value of an attribute, 264 bytes at the most. It is false
// for one that the reader does not have.
func attributeOf(id wire.AttributeID, info Info, r *sharing.Reader) (value []byte, ok bool) {
	switch id {
	case wire.AttrCurrentProtocolType:
		return number(uint32(r.Protocol())), true
	case wire.AttrICCPresence:
		if r.State()&wire.StatePresent != 0 {
			return []byte{2}, true
		}
		return []byte{0}, true
	case wire.AttrICCInterfaceStatus:
		if r.State()&wire.StatePowered != 0 {
			return []byte{1}, true
		}
		return []byte{0}, true
	case wire.AttrATRString:
		return r.ATR().Bytes(), true
	case wire.AttrDeviceFriendlyName, wire.AttrDeviceSystemName:
		return text(r.Name()), true
	}
	return info.Attribute(id)
}

// Attribute is the value of an attribute that is always the same, 264 bytes at
// the most. It is false for one that the reader does not have, and for those
// that change.
func (i Info) Attribute(id wire.AttributeID) (value []byte, ok bool) {
	switch id {
	case wire.AttrVendorName:
		return text(i.Manufacturer), i.Manufacturer != ""
	case wire.AttrVendorIFDType:
		return text(i.ProductName), i.ProductName != ""
	case wire.AttrVendorIFDVersion:
		return number(uint32(i.Release) << 16), i.Release != 0
	case wire.AttrVendorIFDSerialNo:
		if i.Serial == "" {
			return nil, true // as libccid has it
		}
		return text(i.Serial), true
	case wire.AttrChannelID:
		return number(0x0020<<16 | uint32(i.Bus)<<8 | uint32(i.Address)), i.Bus != 0
	case wire.AttrAsyncProtocolTypes:
		var set wire.Protocol
		for _, p := range i.Protocols {
			set |= protocolBit(p)
		}
		return number(uint32(set)), set != 0
	case wire.AttrMaxInput:
		return number(uint32(i.MaxInput)), i.MaxInput > 0
	}
	return nil, false
}

// protocolBit is a protocol as messages write it.
func protocolBit(p iso7816.Protocol) wire.Protocol {
	switch p {
	case iso7816.T0:
		return wire.ProtocolT0
	case iso7816.T1:
		return wire.ProtocolT1
	}
	return wire.ProtocolUndefined
}

// Tags of the properties of a reader (PC/SC part 10 §2.6.14).
const (
	propertyLCDLayout      = 1
	propertyTimeOut2       = 3
	propertyPPDUSupport    = 9
	propertyMaxAPDUData    = 10
	propertyVendor         = 11
	propertyProduct        = 12
	maxAPDUDataOfExtended  = 0x10000
	maxAPDUDataOfShortOnly = 0
)

// ofReader gives what answers a command that the reader itself does not see, nil
// for all others. What it gives appends the answer to dst.
func ofReader(code wire.ControlCode) func(info Info, dst []byte) ([]byte, wire.Result) {
	switch code {
	case wire.CtlGetFeatureRequest, wire.CtlGetFeatureRequestWindows:
		return features
	case wire.CtlGetTLVProperties:
		return properties
	case wire.CtlUSBPath:
		return usbPath
	}
	return nil
}

func features(info Info, dst []byte) ([]byte, wire.Result) {
	return info.AppendFeatures(dst), wire.Success
}

// AppendFeatures appends to dst the list of what there is beside APDUs, the
// answer to [wire.CtlGetFeatureRequest]: tag, length 4 and the control code, high
// byte first (PC/SC part 10 §2.2).
func (i Info) AppendFeatures(dst []byte) []byte {
	add := func(f Feature) {
		dst = binary.BigEndian.AppendUint32(append(dst, f.Tag, 4), uint32(f.Code))
	}
	for _, f := range i.Features {
		add(f)
	}
	add(Feature{FeatureGetTLVProperties, wire.CtlGetTLVProperties})
	return dst
}

// properties is the list of properties: tag, length, value, low byte first.
// Programs take the longest APDU from it.
func properties(info Info, dst []byte) ([]byte, wire.Result) {
	if info.Properties != nil {
		return append(dst, info.Properties...), wire.Success
	}
	maxData := uint32(maxAPDUDataOfShortOnly)
	if info.Extended {
		maxData = maxAPDUDataOfExtended
	}
	dst = append(dst, propertyLCDLayout, 2, 0, 0, propertyTimeOut2, 1, 0, propertyPPDUSupport, 1, 0)
	dst = binary.LittleEndian.AppendUint32(append(dst, propertyMaxAPDUData, 4), maxData)
	dst = binary.LittleEndian.AppendUint16(append(dst, propertyVendor, 2), info.Vendor)
	return binary.LittleEndian.AppendUint16(append(dst, propertyProduct, 2), info.Product), wire.Success
}

func usbPath(info Info, dst []byte) ([]byte, wire.Result) {
	if info.Path == "" {
		return dst, wire.UnsupportedFeature
	}
	return append(dst, info.Path...), wire.Success
}

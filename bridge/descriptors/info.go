// Package descriptors says in the terms of package bridge what a reader on USB
// tells of itself: the answers to what programs ask of a reader and not of a
// card, whether they ask through our service or through an IFD handler.
package descriptors

import (
	"fmt"
	"strings"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Info is what is known of the reader interface ifc of dev, but for the
// properties: see [SetProperties]. Text of the device comes without control
// characters.
func Info(dev usb.Info, ifc usb.Interface) bridge.Info {
	const header = 10 // of a message (CCID rev 1.10 §6)
	i := bridge.Info{
		Vendor: dev.Vendor, Product: dev.Product, Release: dev.Release,
		Manufacturer: Printable(dev.Manufacturer), ProductName: Printable(dev.ProductName), Serial: Printable(dev.Serial),
		Bus: byte(dev.Bus), Address: byte(dev.Addr),
		MaxInput: max(0, int(ifc.Reader.MaxMessageLength)-header),
	}
	if dev.Port != "" {
		i.Path = fmt.Sprintf("%s:%d.%d", dev.Port, ifc.Configuration, ifc.Number)
	}
	for _, p := range []iso7816.Protocol{iso7816.T0, iso7816.T1} {
		if ifc.Reader.Protocols>>p&1 != 0 {
			i.Protocols = append(i.Protocols, p)
		}
	}
	// bPINSupport (CCID rev 1.10 §5.1)
	const verification, modification = 0x01, 0x02
	if ifc.Reader.PINSupport&verification != 0 {
		i.Features = append(i.Features, bridge.Feature{Tag: bridge.FeatureVerifyPINDirect, Code: wire.CtlVerifyPINDirect})
	}
	if ifc.Reader.PINSupport&modification != 0 {
		i.Features = append(i.Features, bridge.Feature{Tag: bridge.FeatureModifyPINDirect, Code: wire.CtlModifyPINDirect})
	}
	if len(i.Features) > 0 {
		i.Features = append(i.Features, bridge.Feature{Tag: bridge.FeaturePINProperties, Code: wire.CtlPINProperties})
	}
	return i
}

// Printable replaces the control characters of a device's own text by dots.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7F {
			return '.'
		}
		return r
	}, s)
}

// SetProperties completes i with the driver's list of properties of a slot, which
// it keeps.
func SetProperties(i *bridge.Info, list []byte) {
	i.Properties, i.Extended = list, extended(list)
}

// extended reads dwMaxAPDUDataSize in a list of properties (PC/SC part 10
// §2.6.14): it is 0 for short APDUs alone.
func extended(properties []byte) bool {
	const maxAPDUData = 10
	for p := properties; len(p) >= 2 && len(p) >= 2+int(p[1]); p = p[2+int(p[1]):] {
		if p[0] == maxAPDUData {
			for _, b := range p[2 : 2+int(p[1])] {
				if b != 0 {
					return true
				}
			}
		}
	}
	return false
}

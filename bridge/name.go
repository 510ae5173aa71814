package bridge

import (
	"fmt"
	"strings"
)

// ReaderName is the parts of a reader's name. Programs cut such names up, so the
// form is that of pcsc-lite byte for byte:
//
//	<base>[ [<interface>]][ (<serial>)] <index> <slot>
type ReaderName struct {
	Base      string // maker and product
	Interface string // iInterface, if the device has one
	Serial    string // iSerial, if the device has one
	Index     byte   // the lowest number that no other reader of the service has
	Slot      byte   // in the reader
}

// maxName is the longest name, bytes.
const maxName = 127

// String makes the name. The serial number is left out if the interface has it
// already, bytes of the interface that are not ASCII and zero bytes become dots,
// and what is before the numbers is cut so that the whole has 127 bytes at the
// most.
func (n ReaderName) String() string {
	name := []byte(n.Base)
	if n.Interface != "" {
		name = append(name, " ["...)
		for _, b := range []byte(n.Interface) {
			if b >= 0x80 {
				b = '.'
			}
			name = append(name, b)
		}
		name = append(name, ']')
	}
	if n.Serial != "" && !strings.Contains(n.Interface, n.Serial) {
		name = append(append(append(name, " ("...), n.Serial...), ')')
	}
	for i, b := range name {
		if b == 0 {
			name[i] = '.' // a name ends at a zero byte
		}
	}
	name = name[:min(len(name), maxName-len(" 00 00"))]
	return fmt.Sprintf("%s %02X %02X", name, n.Index, n.Slot)
}

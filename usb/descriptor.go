package usb

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// Descriptor types (USB 2.0 table 9-5, CCID rev 1.10 §5.1).
const (
	typeDevice        = 0x01
	typeConfiguration = 0x02
	typeInterface     = 0x04
	typeEndpoint      = 0x05
	typeFunctional    = 0x21
	typeVendor        = 0xFF
)

// Descriptor lengths (USB 2.0 §9.6).
const (
	deviceLen        = 18
	configurationLen = 9
	interfaceLen     = 9
	endpointLen      = 7
)

// DeviceDescriptor is the standard device descriptor (USB 2.0 §9.6.1).
type DeviceDescriptor struct {
	USB                       uint16 // bcdUSB
	Class, SubClass, Protocol byte
	MaxPacketSize0            byte // of endpoint 0, bytes
	Vendor, Product, Release  uint16

	// Indices of string descriptors; 0 is none.
	ManufacturerIndex, ProductIndex, SerialIndex byte

	NumConfigurations byte
}

// AppendTo appends the 18 bytes of d to dst.
func (d DeviceDescriptor) AppendTo(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, deviceLen, typeDevice)
	dst = le.AppendUint16(dst, d.USB)
	dst = append(dst, d.Class, d.SubClass, d.Protocol, d.MaxPacketSize0)
	dst = le.AppendUint16(dst, d.Vendor)
	dst = le.AppendUint16(dst, d.Product)
	dst = le.AppendUint16(dst, d.Release)
	return append(dst, d.ManufacturerIndex, d.ProductIndex, d.SerialIndex, d.NumConfigurations)
}

// ParseDeviceDescriptor reads the device descriptor at the start of b, which
// may go on after its 18 bytes. The error is ErrDescriptor.
func ParseDeviceDescriptor(b []byte) (DeviceDescriptor, error) {
	if len(b) < deviceLen || b[0] != deviceLen || b[1] != typeDevice {
		return DeviceDescriptor{}, fmt.Errorf("no device descriptor: %w", ErrDescriptor)
	}
	le := binary.LittleEndian
	return DeviceDescriptor{
		USB:   le.Uint16(b[2:]),
		Class: b[4], SubClass: b[5], Protocol: b[6],
		MaxPacketSize0: b[7],
		Vendor:         le.Uint16(b[8:]), Product: le.Uint16(b[10:]), Release: le.Uint16(b[12:]),
		ManufacturerIndex: b[14], ProductIndex: b[15], SerialIndex: b[16],
		NumConfigurations: b[17],
	}, nil
}

// Configuration is the standard configuration descriptor (USB 2.0 §9.6.3)
// without its two counts, which follow from what it encloses.
type Configuration struct {
	Value       byte // bConfigurationValue, not 0
	StringIndex byte // 0 is none
	Attributes  byte // bmAttributes; bit 7 has to be set
	MaxPower    byte // in units of 2 mA
}

// AppendTo appends c and the descriptors it encloses to dst. enclosed holds
// whole descriptors, as [Interface.AppendTo] makes them.
func (c Configuration) AppendTo(dst []byte, enclosed []byte) []byte {
	var seen [256]bool
	var interfaces byte
	for t, d := range chain(enclosed) {
		if t == typeInterface && len(d) >= interfaceLen && !seen[d[2]] {
			seen[d[2]] = true
			interfaces++
		}
	}
	dst = append(dst, configurationLen, typeConfiguration)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(configurationLen+len(enclosed)))
	dst = append(dst, interfaces, c.Value, c.StringIndex, c.Attributes, c.MaxPower)
	return append(dst, enclosed...)
}

// Endpoint is the standard endpoint descriptor (USB 2.0 §9.6.6). Address 0
// stands for an endpoint that is not there.
type Endpoint struct {
	Address       byte // bEndpointAddress: bit 7 set for IN
	Attributes    byte // bmAttributes: transfer type in bits 1..0
	MaxPacketSize int  // bytes, the low 11 bits of wMaxPacketSize
	Interval      byte // bInterval as declared; its unit depends on the speed
}

// In reports whether data runs from device to host.
func (e Endpoint) In() bool { return e.Address&0x80 != 0 }

// Transfer types in Endpoint.Attributes.
const (
	transferType = 0x03
	bulk         = 0x02
	interrupt    = 0x03
)

// AppendTo appends the 7 bytes of e to dst.
func (e Endpoint) AppendTo(dst []byte) []byte {
	dst = append(dst, endpointLen, typeEndpoint, e.Address, e.Attributes)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(e.MaxPacketSize))
	return append(dst, e.Interval)
}

// parseEndpoint reads d, of at least 7 bytes.
func parseEndpoint(d []byte) Endpoint {
	return Endpoint{
		Address:       d[2],
		Attributes:    d[3],
		MaxPacketSize: int(binary.LittleEndian.Uint16(d[4:]) & 0x07FF),
		Interval:      d[6],
	}
}

// chain walks b, descriptor by descriptor, and yields the type and all bytes
// of each. It ends before the first whose length cannot be true.
func chain(b []byte) iter.Seq2[byte, []byte] {
	return func(yield func(byte, []byte) bool) {
		for len(b) >= 2 {
			n := int(b[0])
			if n < 2 || n > len(b) || !yield(b[1], b[:n:n]) {
				return
			}
			b = b[n:]
		}
	}
}

// configuration is one configuration as it was found.
type configuration struct {
	value byte
	body  []byte // what it encloses
	short bool   // wTotalLength promised more than was there
}

// configurations splits what follows the device descriptor.
//
// Neither wTotalLength nor the chain can be trusted alone. Linux cuts a
// configuration at the first malformed descriptor but leaves wTotalLength as
// the device sent it, so in sysfs the next configuration starts early; the
// usbfs node keeps the distance and leaves a hole of zero bytes instead.
func configurations(b []byte) []configuration {
	var found []configuration
	for len(b) >= configurationLen && b[0] >= configurationLen && b[1] == typeConfiguration {
		c := configuration{value: b[5]}
		total := int(binary.LittleEndian.Uint16(b[2:]))
		next := max(configurationLen, min(total, len(b)))
		end := min(int(b[0]), next)
		c.body = b[end:end]
		for t, d := range chain(b[end:next]) {
			if t == typeConfiguration && len(d) >= configurationLen {
				next = end
				break
			}
			end += len(d)
			c.body = c.body[:len(c.body)+len(d)]
		}
		c.short = end < total
		found = append(found, c)
		b = b[next:]
	}
	return found
}

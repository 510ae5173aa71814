package usbip

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"kaztoken/usb"
)

// Descriptor types (USB 2.0 table 9-5).
const (
	typeDevice        = 1
	typeConfiguration = 2
	typeString        = 3
	typeInterface     = 4
	typeEndpoint      = 5
)

// descriptors is a device's descriptor set, taken apart once when the device
// is added.
type descriptors struct {
	device    []byte // 18 bytes
	configs   []configuration
	strings   map[byte][]byte // whole string descriptors by index, 0 the language table
	endpoints uint32          // one bit for each in any setting, see endpointIndex
}

type configuration struct {
	raw      []byte // with all that it encloses
	settings []setting
}

func (c *configuration) value() byte      { return c.raw[5] }
func (c *configuration) attributes() byte { return c.raw[7] }

// setting is one alternate setting of one interface.
type setting struct {
	number, alternate         byte
	class, subClass, protocol byte
	endpoints                 []byte // addresses
}

// parseDescriptors checks as much as serving needs: the kernel on the other
// side judges the rest, and a test may want to hand it nonsense.
func parseDescriptors(info usb.Info) (*descriptors, error) {
	b := info.Descriptors
	if len(b) < 18 || b[0] != 18 || b[1] != typeDevice {
		return nil, fmt.Errorf("no device descriptor at the head of %d bytes", len(b))
	}
	d := &descriptors{device: b[:18]}
	for b = b[18:]; len(b) > 0; {
		if len(b) < 9 || b[1] != typeConfiguration {
			return nil, fmt.Errorf("no configuration descriptor at the head of the last %d bytes", len(b))
		}
		total := int(binary.LittleEndian.Uint16(b[2:]))
		if total < 9 || total > len(b) {
			return nil, fmt.Errorf("configuration of %d bytes in %d", total, len(b))
		}
		d.configs = append(d.configs, configuration{raw: b[:total], settings: parseSettings(b[:total])})
		b = b[total:]
	}
	if len(d.configs) == 0 {
		return nil, fmt.Errorf("no configuration descriptor")
	}

	for _, c := range d.configs {
		for _, s := range c.settings {
			for _, e := range s.endpoints {
				d.endpoints |= 1 << endpointIndex(e)
			}
		}
	}
	d.strings = map[byte][]byte{}
	for i, s := range [...]string{info.Manufacturer, info.ProductName, info.Serial} {
		if index := d.device[14+i]; index != 0 && s != "" {
			d.strings[index] = stringDescriptor(s)
		}
	}
	if len(d.strings) > 0 {
		d.strings[0] = []byte{4, typeString, 0x09, 0x04} // English, United States
	}
	return d, nil
}

// parseSettings walks one configuration and stops at the first descriptor that
// cannot be walked over.
func parseSettings(b []byte) (all []setting) {
	for i := 0; i+2 <= len(b); {
		n := int(b[i])
		if n < 2 || i+n > len(b) {
			return all
		}
		switch e := b[i : i+n]; {
		case e[1] == typeInterface && n >= 9:
			all = append(all, setting{number: e[2], alternate: e[3], class: e[5], subClass: e[6], protocol: e[7]})
		case e[1] == typeEndpoint && n >= 7 && len(all) > 0:
			last := &all[len(all)-1]
			last.endpoints = append(last.endpoints, e[2])
		}
		i += n
	}
	return all
}

// stringDescriptor encodes s (USB 2.0 §9.6.7), cut to the 126 units that fit.
func stringDescriptor(s string) []byte {
	units := utf16.Encode([]rune(s))
	if len(units) > 126 {
		units = units[:126]
	}
	b := []byte{byte(2 + 2*len(units)), typeString}
	for _, u := range units {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// speed tells at which speed a kernel will believe the endpoints: only a high
// speed device has bulk packets of 512 bytes, only a super speed one of 1024
// (USB 2.0 §5.8.3, USB 3.2 §9.6.6).
func (d *descriptors) speed() Speed {
	speed := SpeedFull
	for _, c := range d.configs {
		for i := 0; i+7 <= len(c.raw) && c.raw[i] >= 2; i += int(c.raw[i]) {
			if c.raw[i+1] != typeEndpoint || c.raw[i+3]&3 != 2 {
				continue
			}
			switch size := binary.LittleEndian.Uint16(c.raw[i+4:]) & 0x07ff; {
			case size >= 1024:
				return SpeedSuper
			case size >= 512:
				speed = SpeedHigh
			}
		}
	}
	return speed
}

// exported describes the device the way both replies do.
func (d *descriptors) exported(info usb.Info, busID string, bus, dev uint32) Exported {
	e := Exported{
		Path: "/sys/devices/virtual/usb" + fmt.Sprint(bus) + "/" + busID, BusID: busID,
		BusNum: bus, DevNum: dev, Speed: d.speed(),
		Vendor:  binary.LittleEndian.Uint16(d.device[8:]),
		Product: binary.LittleEndian.Uint16(d.device[10:]),
		Release: binary.LittleEndian.Uint16(d.device[12:]),
		Class:   d.device[4], SubClass: d.device[5], Protocol: d.device[6],
		Configuration: info.Configuration, Configurations: d.device[17],
	}
	if e.Configuration == 0 {
		e.Configuration = d.configs[0].value()
	}
	for _, c := range d.configs {
		if c.value() != e.Configuration {
			continue
		}
		for _, s := range c.settings {
			if s.alternate == 0 {
				e.Interfaces = append(e.Interfaces, ExportedInterface{s.class, s.subClass, s.protocol})
			}
		}
		break
	}
	return e
}

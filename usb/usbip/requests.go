package usbip

import (
	"sync"

	"kaztoken/usb"
)

// Standard requests, recipients and features (USB 2.0 tables 9-4, 9-6).
const (
	reqGetStatus        = 0
	reqClearFeature     = 1
	reqSetFeature       = 3
	reqSetAddress       = 5
	reqGetDescriptor    = 6
	reqGetConfiguration = 8
	reqSetConfiguration = 9
	reqGetInterface     = 10
	reqSetInterface     = 11

	featureEndpointHalt = 0
	featureRemoteWakeup = 1

	attributeRemoteWakeup = 0x20
	attributeSelfPowered  = 0x40
)

// chapter9 answers the standard requests of one imported device and keeps the
// state they are about. A new import is a new one: unconfigured, nothing halted.
type chapter9 struct {
	desc *descriptors

	mu         sync.Mutex // guards the following; never held over a call to the device
	config     *configuration
	alternates map[byte]byte // alternate setting in force, of interfaces where it is not 0
	halted     uint32        // one bit per endpoint, see endpointIndex
	wakeup     bool
}

// endpointIndex numbers endpoint addresses 0 to 31.
func endpointIndex(address byte) int { return int(address&0x0f | address>>3&0x10) }

func (c *chapter9) isHalted(address byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.halted&(1<<endpointIndex(address)) != 0
}

func (c *chapter9) halt(address byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.halted |= 1 << endpointIndex(address)
}

// handle answers one standard request. Its answer is put into data, cut to its
// length as wLength asks. cleared lists the endpoints whose halt and toggle
// the device is to forget. ok is false when the request is refused: a stall.
func (c *chapter9) handle(s usb.Setup, data []byte) (n int, cleared []byte, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	low, high := byte(s.Value), byte(s.Value>>8)
	switch uint16(s.RequestType)<<8 | uint16(s.Request) {
	case 0x8000 | reqGetDescriptor:
		// Refused for want of the descriptor: device qualifier and other speed
		// (full speed only devices have none, §9.6.2), BOS, and what else is asked.
		d := c.descriptor(high, low)
		return copy(data, d), nil, d != nil

	case 0x0000 | reqSetAddress:
		return 0, nil, true // vhci-hcd keeps it to itself; others may not

	case 0x8000 | reqGetConfiguration:
		v := byte(0)
		if c.config != nil {
			v = c.config.value()
		}
		return copy(data, []byte{v}), nil, true

	case 0x0000 | reqSetConfiguration:
		var chosen *configuration
		for i := range c.desc.configs {
			if c.desc.configs[i].value() == low {
				chosen = &c.desc.configs[i]
			}
		}
		if chosen == nil && low != 0 {
			return 0, nil, false
		}
		c.config, c.halted = chosen, 0
		clear(c.alternates)
		if chosen != nil {
			for _, set := range chosen.settings {
				if set.alternate == 0 {
					cleared = append(cleared, set.endpoints...)
				}
			}
		}
		return 0, cleared, true

	case 0x8100 | reqGetInterface:
		number := byte(s.Index)
		if c.setting(number, 0) == nil {
			return 0, nil, false
		}
		return copy(data, []byte{c.alternates[number]}), nil, true

	case 0x0100 | reqSetInterface:
		set := c.setting(byte(s.Index), low)
		if set == nil {
			return 0, nil, false
		}
		if c.alternates == nil {
			c.alternates = map[byte]byte{}
		}
		c.alternates[set.number] = set.alternate
		for _, e := range set.endpoints {
			c.halted &^= 1 << endpointIndex(e)
		}
		return 0, set.endpoints, true

	case 0x8000 | reqGetStatus:
		v := byte(0)
		if c.attributes()&attributeSelfPowered != 0 {
			v |= 1
		}
		if c.wakeup {
			v |= 2
		}
		return copy(data, []byte{v, 0}), nil, true

	case 0x8100 | reqGetStatus:
		return copy(data, []byte{0, 0}), nil, c.setting(byte(s.Index), 0) != nil

	case 0x8200 | reqGetStatus:
		e := byte(s.Index)
		if !c.endpoint(e) {
			return 0, nil, false
		}
		v := byte(c.halted >> endpointIndex(e) & 1)
		return copy(data, []byte{v, 0}), nil, true

	case 0x0000 | reqClearFeature, 0x0000 | reqSetFeature:
		if s.Value != featureRemoteWakeup || c.attributes()&attributeRemoteWakeup == 0 {
			return 0, nil, false
		}
		c.wakeup = s.Request == reqSetFeature
		return 0, nil, true

	case 0x0200 | reqClearFeature:
		e := byte(s.Index)
		if s.Value != featureEndpointHalt || !c.endpoint(e) {
			return 0, nil, false
		}
		if e&0x0f == 0 {
			return 0, nil, true
		}
		c.halted &^= 1 << endpointIndex(e)
		return 0, []byte{e}, true

	case 0x0200 | reqSetFeature:
		e := byte(s.Index)
		if s.Value != featureEndpointHalt || e&0x0f == 0 || !c.endpoint(e) {
			return 0, nil, false
		}
		c.halted |= 1 << endpointIndex(e)
		return 0, nil, true
	}
	return 0, nil, false
}

// descriptor gives nil when there is none.
func (c *chapter9) descriptor(kind, index byte) []byte {
	switch kind {
	case typeDevice:
		return c.desc.device
	case typeConfiguration:
		if int(index) < len(c.desc.configs) {
			return c.desc.configs[index].raw
		}
	case typeString:
		return c.desc.strings[index]
	}
	return nil
}

// setting finds an alternate setting in the configuration in force.
func (c *chapter9) setting(number, alternate byte) *setting {
	if c.config == nil {
		return nil
	}
	for i := range c.config.settings {
		if s := &c.config.settings[i]; s.number == number && s.alternate == alternate {
			return s
		}
	}
	return nil
}

// endpoint reports whether the endpoint exists now; endpoint 0 always does.
func (c *chapter9) endpoint(address byte) bool {
	if address&0x0f == 0 {
		return true
	}
	if c.config == nil {
		return false
	}
	for _, s := range c.config.settings {
		if s.alternate != c.alternates[s.number] {
			continue
		}
		for _, e := range s.endpoints {
			if e == address {
				return true
			}
		}
	}
	return false
}

func (c *chapter9) attributes() byte {
	if c.config == nil {
		return c.desc.configs[0].attributes()
	}
	return c.config.attributes()
}

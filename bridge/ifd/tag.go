package ifd

import (
	"encoding/binary"
	"fmt"
	"unsafe"

	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
)

// Tag names a capability of a reader or of the handler. The attributes of PC/SC
// are tags too: see [wire.AttributeID].
type Tag uint32

// The tags that a host asks for by itself.
const (
	TagATR                Tag = 0x0303
	TagSlotThreadSafe     Tag = 0x0FAC // 1 byte
	TagThreadSafe         Tag = 0x0FAD // 1 byte
	TagSlotsNumber        Tag = 0x0FAE // 1 byte
	TagSimultaneousAccess Tag = 0x0FAF // 1 byte: how many readers at once
	TagPollingKillable    Tag = 0x0FB1 // 1 byte: the thread that polls may be cancelled
	TagStopPolling        Tag = 0x0FB2 // a pointer to a C function
	TagPollingWithTimeout Tag = 0x0FB3 // a pointer to a C function
	TagDeviceRemoved      Tag = 0x0FB4 // 1 byte; set to 1 when the system saw the device leave
)

// What some of them are answered with.
const (
	manyReaders     = 255 // as many as anybody has
	cardInside      = 2
	interfaceActive = 1
)

func (t Tag) String() string { return fmt.Sprintf("Tag(%#x)", uint32(t)) }

// GetCapabilities is IFDHGetCapabilities: it copies what a tag stands for to the
// beginning of value, which nil says is a null pointer. n is the length of it,
// also where value is too short (InsufficientBuffer). Numbers have the byte order
// of the machine.
func (h *Handler) GetCapabilities(lun Lun, tag Tag, value []byte) (n int, r Response) {
	defer h.contain("get capabilities", lun, &r)
	s := h.slot(lun)
	if s == nil || value == nil {
		return 0, CommunicationError
	}
	b, ok := h.capability(s, tag)
	if !ok {
		return 0, ErrorTag
	}
	return give(value, b)
}

// give copies an answer to where the caller wants it.
func give(to, answer []byte) (int, Response) {
	if len(answer) > len(to) {
		return len(answer), InsufficientBuffer
	}
	return copy(to, answer), Success
}

func (h *Handler) capability(s *slot, tag Tag) (value []byte, ok bool) {
	switch tag {
	case TagATR, Tag(wire.AttrATRString):
		return s.ATR().Bytes(), true
	case TagSlotsNumber:
		return []byte{byte(len(s.channel.slots))}, true
	case TagSimultaneousAccess:
		return []byte{manyReaders}, true
	case TagThreadSafe:
		return []byte{bit(h.cfg.ThreadSafe)}, true
	case TagSlotThreadSafe:
		return []byte{1}, true
	case TagPollingWithTimeout:
		return pointer(h.cfg.Poll)
	case TagStopPolling:
		return pointer(h.cfg.StopPolling)
	case TagPollingKillable:
		return []byte{0}, true // a thread in Go must not be cancelled
	case TagDeviceRemoved:
		return []byte{1}, true // we want to be told
	case Tag(wire.AttrICCPresence):
		return []byte{bit(s.occupied()) * cardInside}, true
	case Tag(wire.AttrICCInterfaceStatus):
		return []byte{bit(s.State() > ccid.CardPresent) * interfaceActive}, true
	case Tag(wire.AttrCurrentProtocolType):
		var p wire.Protocol
		if s.State() == ccid.CardReady {
			p = wire.Protocol(protocolBit(s.Protocol()))
		}
		return binary.NativeEndian.AppendUint32(nil, uint32(p)), true
	}
	return s.info.Attribute(wire.AttributeID(tag))
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// pointer is the address of a C function as memory holds it.
func pointer(address uintptr) ([]byte, bool) {
	if address == 0 {
		return nil, false
	}
	b := make([]byte, unsafe.Sizeof(address))
	if len(b) == 4 {
		binary.NativeEndian.PutUint32(b, uint32(address))
	} else {
		binary.NativeEndian.PutUint64(b, uint64(address))
	}
	return b, true
}

// SetCapabilities is IFDHSetCapabilities. What can be set is TagDeviceRemoved, to
// 1: everything that waits for the device ends then. The channel stays open.
func (h *Handler) SetCapabilities(lun Lun, tag Tag, value []byte) (r Response) {
	defer h.contain("set capabilities", lun, &r)
	s := h.slot(lun)
	switch {
	case s == nil:
		return CommunicationError
	case tag != TagDeviceRemoved:
		return ErrorTag
	case len(value) == 0:
		return CommunicationError
	case value[0] == 1:
		s.channel.reader.Unplugged()
	}
	return Success
}

// protocolBit is a protocol as the functions of a handler write it, but for PCI.
func protocolBit(p iso7816.Protocol) uint32 { return 1 << p }

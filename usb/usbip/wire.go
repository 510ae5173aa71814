package usbip

import (
	"encoding/binary"
	"fmt"
	"strings"

	"kaztoken/usb"
)

// Sizes and codes of the protocol, all big-endian on the wire except the setup
// packet, which travels as USB sends it (usbip_protocol.rst, "Message Format").
const (
	version = 0x0111 // 1.1.1

	opReqDevlist = 0x8005
	opRepDevlist = 0x0005
	opReqImport  = 0x8003
	opRepImport  = 0x0003

	opHeaderSize  = 8
	pathSize      = 256
	busIDSize     = 32
	deviceSize    = pathSize + busIDSize + 24 // one device in either reply, its interfaces not counted
	interfaceSize = 4

	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4

	headerSize = 48 // usbip_header: every URB message, without its payload
)

// Transfer flags (include/uapi/linux/usbip.h).
const flagShortNotOK = 0x0001

// Statuses are Linux errno values with their sign turned, as the importing
// kernel stores them into urb->status (Documentation/driver-api/usb/error-codes.rst).
// The numbers are those of asm-generic/errno.h: the protocol does not name a
// machine, and USB/IP between kernels sends what the sender's happens to have.
const (
	statusOK          int32 = 0
	statusNoEndpoint  int32 = -2   // ENOENT
	statusNoMemory    int32 = -12  // ENOMEM
	statusStall       int32 = -32  // EPIPE
	statusProtocol    int32 = -71  // EPROTO
	statusOverflow    int32 = -75  // EOVERFLOW
	statusConnReset   int32 = -104 // ECONNRESET
	statusShutdown    int32 = -108 // ESHUTDOWN
	statusTimedOut    int32 = -110 // ETIMEDOUT
	statusShortPacket int32 = -121 // EREMOTEIO
)

// Speed is enum usb_device_speed of the Linux kernel, as both replies and the
// attach file of vhci-hcd use it.
type Speed uint32

// The speeds a software device can have.
const (
	SpeedLow   Speed = 1
	SpeedFull  Speed = 2
	SpeedHigh  Speed = 3
	SpeedSuper Speed = 5
)

func (s Speed) String() string {
	switch s {
	case SpeedLow:
		return "low speed"
	case SpeedFull:
		return "full speed"
	case SpeedHigh:
		return "high speed"
	case SpeedSuper:
		return "super speed"
	}
	return fmt.Sprintf("Speed(%d)", uint32(s))
}

// Exported is what a server tells of one device it exports.
type Exported struct {
	Path           string // of the device in the server's sysfs, at most 255 bytes
	BusID          string // "1-1", at most 31 bytes
	BusNum, DevNum uint32
	Speed          Speed

	Vendor, Product, Release  uint16 // idVendor, idProduct, bcdDevice
	Class, SubClass, Protocol byte   // of the device descriptor
	Configuration             byte   // bConfigurationValue in force, 0 if none
	Configurations            byte   // bNumConfigurations
	Interfaces                []ExportedInterface
}

// ExportedInterface is one interface in a device list. A reply to an import
// gives their number only.
type ExportedInterface struct {
	Class, SubClass, Protocol byte
}

// DevID names the device inside one server: busnum<<16 | devnum.
func (e Exported) DevID() uint32 { return e.BusNum<<16 | e.DevNum }

// opHeader is what every message before the URB traffic begins with.
type opHeader struct {
	version uint16
	code    uint16
	status  uint32
}

func (h opHeader) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, h.version)
	b = binary.BigEndian.AppendUint16(b, h.code)
	return binary.BigEndian.AppendUint32(b, h.status)
}

func parseOpHeader(b []byte) (opHeader, error) {
	if len(b) != opHeaderSize {
		return opHeader{}, fmt.Errorf("USB/IP header of %d bytes, want %d", len(b), opHeaderSize)
	}
	h := opHeader{
		version: binary.BigEndian.Uint16(b),
		code:    binary.BigEndian.Uint16(b[2:]),
		status:  binary.BigEndian.Uint32(b[4:]),
	}
	if h.version != version {
		return opHeader{}, fmt.Errorf("USB/IP version %04x, want %04x", h.version, version)
	}
	return h, nil
}

// appendBusID appends the 32-byte field of OP_REQ_IMPORT.
func appendBusID(b []byte, id string) ([]byte, error) {
	return appendString(b, id, busIDSize)
}

func appendString(b []byte, s string, size int) ([]byte, error) {
	if len(s) >= size || strings.IndexByte(s, 0) >= 0 {
		return nil, fmt.Errorf("%q does not fit into a %d-byte field", s, size)
	}
	b = append(b, s...)
	return append(b, make([]byte, size-len(s))...), nil
}

// parseString reads a field closed with a zero byte. What is behind it is not
// looked at.
func parseString(b []byte) (string, error) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), nil
		}
	}
	return "", fmt.Errorf("string field of %d bytes is not closed", len(b))
}

// appendTo appends the device of a reply; its interfaces follow in a device
// list only.
func (e Exported) appendTo(b []byte, interfaces bool) ([]byte, error) {
	if len(e.Interfaces) > 255 {
		return nil, fmt.Errorf("%d interfaces", len(e.Interfaces))
	}
	b, err := appendString(b, e.Path, pathSize)
	if err != nil {
		return nil, err
	}
	if b, err = appendBusID(b, e.BusID); err != nil {
		return nil, err
	}
	b = binary.BigEndian.AppendUint32(b, e.BusNum)
	b = binary.BigEndian.AppendUint32(b, e.DevNum)
	b = binary.BigEndian.AppendUint32(b, uint32(e.Speed))
	b = binary.BigEndian.AppendUint16(b, e.Vendor)
	b = binary.BigEndian.AppendUint16(b, e.Product)
	b = binary.BigEndian.AppendUint16(b, e.Release)
	b = append(b, e.Class, e.SubClass, e.Protocol, e.Configuration, e.Configurations, byte(len(e.Interfaces)))
	if interfaces {
		for _, i := range e.Interfaces {
			b = append(b, i.Class, i.SubClass, i.Protocol, 0)
		}
	}
	return b, nil
}

// parseExported reads the fixed part of a device. Interfaces has the announced
// length and no content yet.
func parseExported(b []byte) (Exported, error) {
	if len(b) != deviceSize {
		return Exported{}, fmt.Errorf("USB/IP device of %d bytes, want %d", len(b), deviceSize)
	}
	path, err := parseString(b[:pathSize])
	if err != nil {
		return Exported{}, fmt.Errorf("path: %w", err)
	}
	id, err := parseString(b[pathSize : pathSize+busIDSize])
	if err != nil {
		return Exported{}, fmt.Errorf("bus id: %w", err)
	}
	n := b[pathSize+busIDSize:]
	return Exported{
		Path: path, BusID: id,
		BusNum:  binary.BigEndian.Uint32(n),
		DevNum:  binary.BigEndian.Uint32(n[4:]),
		Speed:   Speed(binary.BigEndian.Uint32(n[8:])),
		Vendor:  binary.BigEndian.Uint16(n[12:]),
		Product: binary.BigEndian.Uint16(n[14:]),
		Release: binary.BigEndian.Uint16(n[16:]),
		Class:   n[18], SubClass: n[19], Protocol: n[20],
		Configuration: n[21], Configurations: n[22],
		Interfaces: make([]ExportedInterface, n[23]),
	}, nil
}

// submit is USBIP_CMD_SUBMIT without its payload.
type submit struct {
	seq, devID uint32
	in         bool // USBIP_DIR_IN
	ep         byte // 0 to 15
	flags      uint32
	length     uint32 // transfer_buffer_length; chosen by the peer, not checked here
	startFrame uint32
	packets    uint32 // number_of_packets; 0 or 0xffffffff when not isochronous
	interval   uint32
	setup      [8]byte
}

// isochronous reports whether packet descriptors follow. Kernels send 0 in
// other transfers, the document asks for 0xffffffff.
func (m *submit) isochronous() bool { return m.packets != 0 && m.packets != 0xffffffff }

// payload is how many bytes follow the header.
func (m *submit) payload() uint32 {
	if m.in {
		return 0
	}
	return m.length
}

// address is the endpoint as descriptors write it.
func (m *submit) address() byte {
	if m.in {
		return m.ep | 0x80
	}
	return m.ep
}

// request is the setup packet, the only little-endian thing here (USB 2.0 §9.3).
func (m *submit) request() (s usb.Setup, length int) {
	return usb.Setup{
		RequestType: m.setup[0], Request: m.setup[1],
		Value: binary.LittleEndian.Uint16(m.setup[2:]),
		Index: binary.LittleEndian.Uint16(m.setup[4:]),
	}, int(binary.LittleEndian.Uint16(m.setup[6:]))
}

func (m *submit) appendTo(b []byte) []byte {
	direction := uint32(0)
	if m.in {
		direction = 1
	}
	for _, v := range [...]uint32{cmdSubmit, m.seq, m.devID, direction, uint32(m.ep),
		m.flags, m.length, m.startFrame, m.packets, m.interval} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, m.setup[:]...)
}

// unlink is USBIP_CMD_UNLINK.
type unlink struct {
	seq, devID uint32
	victim     uint32 // seqnum of the submit to withdraw
}

func (m *unlink) appendTo(b []byte) []byte {
	for _, v := range [...]uint32{cmdUnlink, m.seq, m.devID, 0, 0, m.victim} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, make([]byte, 24)...)
}

// command is what an importer sends: one of the two is filled.
type command struct {
	code   uint32 // cmdSubmit or cmdUnlink
	submit submit
	unlink unlink
}

// decode reads one 48-byte header. Padding is not looked at.
func (c *command) decode(b []byte) error {
	if len(b) != headerSize {
		return fmt.Errorf("USB/IP command of %d bytes, want %d", len(b), headerSize)
	}
	word := func(offset int) uint32 { return binary.BigEndian.Uint32(b[offset:]) }
	switch c.code = word(0); c.code {
	case cmdSubmit:
		direction, ep := word(0x0c), word(0x10)
		if direction > 1 || ep > 15 {
			return fmt.Errorf("USB/IP submit %d: direction %d, endpoint %d", word(4), direction, ep)
		}
		c.submit = submit{
			seq: word(4), devID: word(8), in: direction == 1, ep: byte(ep),
			flags: word(0x14), length: word(0x18), startFrame: word(0x1c),
			packets: word(0x20), interval: word(0x24), setup: [8]byte(b[0x28:0x30]),
		}
		if c.submit.isochronous() {
			return fmt.Errorf("USB/IP submit %d is isochronous", c.submit.seq)
		}
	case cmdUnlink:
		c.unlink = unlink{seq: word(4), devID: word(8), victim: word(0x14)}
	default:
		return fmt.Errorf("USB/IP command %08x", c.code)
	}
	return nil
}

// putRetSubmit writes USBIP_RET_SUBMIT into the 48 bytes of b. The frame and
// packet numbers are the request's own, as real servers send them.
func putRetSubmit(b []byte, m *submit, status int32, actual int) {
	clear(b[:headerSize])
	binary.BigEndian.PutUint32(b, retSubmit)
	binary.BigEndian.PutUint32(b[4:], m.seq)
	binary.BigEndian.PutUint32(b[0x14:], uint32(status))
	binary.BigEndian.PutUint32(b[0x18:], uint32(actual))
	binary.BigEndian.PutUint32(b[0x1c:], m.startFrame)
	binary.BigEndian.PutUint32(b[0x20:], m.packets)
}

// putRetUnlink writes USBIP_RET_UNLINK into the 48 bytes of b.
func putRetUnlink(b []byte, seq uint32, status int32) {
	clear(b[:headerSize])
	binary.BigEndian.PutUint32(b, retUnlink)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[0x14:], uint32(status))
}

package trace

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"kaztoken/internal/trace/pcapng"
	"kaztoken/usb"
)

// ErrRecording says that a file is no recording of USB, or is damaged.
var ErrRecording = errors.New("not a recording of USB")

// ErrCutOff says that a recording ends within a packet: the program that wrote
// it was killed, or the disk was full. Everything before it was good.
var ErrCutOff = errors.New("the recording is cut off")

// Bounds on what a file can make a Reader remember.
const (
	maxMessage   = 65556 // of CCID: see usb.ClassDescriptor
	maxDevices   = 4096
	maxTransfers = 256 // submitted and not completed, for each device
	maxSpans     = 64  // of one packet
)

// Kind says what an [Event] is.
type Kind byte

// The kinds of events.
const (
	Opened      Kind = iota // the descriptors of a device came by
	Sent                    // a CCID message of the host
	Answered                // a CCID message of the reader
	Requested               // a control request, with its data stage
	Interrupted             // a message on the interrupt endpoint
	Failed                  // a transfer came to nothing; Status
	Junk                    // bytes that are no message
)

var kinds = [...]string{"opened", "sent", "answered", "request", "interrupt", "failed", "junk"}

func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", byte(k))
}

// Event is something that happened on a reader interface.
type Event struct {
	Kind   Kind
	Packet int // number in the file, from 1, as Wireshark counts: the last one that belongs to it
	Time   time.Time
	Device *Device

	Endpoint byte      // of a transfer
	Setup    usb.Setup // of a request
	Length   int       // of a request: wLength
	Data     []byte    // whole message, or data stage
	Masked   []Span    // what of Data is not what went over the bus
	Status   int32     // 0, or a negative errno of Linux
	Invented bool      // was not on the bus, but stands for what the system knows
	Lost     uint64    // packets that were left out before it
}

// Device is a device of a recording from its descriptors on.
type Device struct {
	Info      usb.Info      // bus, address, ids, descriptors; ProductName is what the recording calls it
	Interface usb.Interface // the reader that the transfers are of
	Number    int           // counts the devices of a recording, from 0
}

// Reader reads a recording.
type Reader struct {
	blocks  *pcapng.Reader
	packet  int
	names   []string // of the interfaces of the section
	types   []uint16
	devices map[deviceKey]*tracked
	count   int
	queue   []Event
	err     error
}

type deviceKey struct {
	number uint32 // of the interface
	bus    uint16
	device byte
}

// tracked is what a Reader knows of one device.
type tracked struct {
	device  *Device // nil before the descriptors
	info    usb.Info
	open    map[uint64]pending // submitted transfers
	in      []byte             // the message that bulk IN is in the middle of
	inSpans []Span
}

type pending struct {
	setup    usb.Setup
	hasSetup bool
	length   int
	data     []byte
	masked   []Span
}

// NewReader reads a recording from r.
func NewReader(r io.Reader) *Reader {
	return &Reader{blocks: pcapng.NewReader(bufio.NewReader(r)), devices: make(map[deviceKey]*tracked)}
}

// Next gives the next event, which is the caller's. The error is [io.EOF] at the
// end, [ErrCutOff], [ErrRecording], or that of the reader beneath.
func (r *Reader) Next() (Event, error) {
	for len(r.queue) == 0 {
		if r.err == nil {
			r.err = r.read()
		}
		if r.err != nil {
			return Event{}, r.err
		}
	}
	e := r.queue[0]
	r.queue = r.queue[1:]
	return e, nil
}

// read takes one block.
func (r *Reader) read() error {
	block, err := r.blocks.Next()
	switch {
	case errors.Is(err, pcapng.ErrTruncated):
		return ErrCutOff
	case errors.Is(err, pcapng.ErrMalformed):
		return fmt.Errorf("%w: %w", ErrRecording, err)
	case err != nil:
		return err
	}
	switch b := block.(type) {
	case *pcapng.Section:
		r.names, r.types = r.names[:0], r.types[:0]
		clear(r.devices)
	case *pcapng.Interface:
		r.names = append(r.names, strings.Clone(pcapng.Text(b.Options, pcapng.OptDescription)))
		r.types = append(r.types, b.LinkType)
	case *pcapng.Packet:
		r.packet++
		if err := r.take(b); err != nil {
			return fmt.Errorf("packet %d: %w", r.packet, err)
		}
	}
	return nil
}

// take takes one packet.
func (r *Reader) take(p *pcapng.Packet) error {
	if t := r.types[p.Interface]; t != LinkType {
		return fmt.Errorf("%w: link type %d, want %d", ErrRecording, t, LinkType)
	}
	u, data, err := parseURB(p.Data)
	if err != nil {
		return err
	}
	key := deviceKey{p.Interface, u.Bus, u.Device}
	t := r.devices[key]
	if t == nil {
		if len(r.devices) == maxDevices {
			return fmt.Errorf("%w: more than %d devices", ErrRecording, maxDevices)
		}
		t = &tracked{open: make(map[uint64]pending)}
		t.info = usb.Info{Bus: int(u.Bus), Addr: int(u.Device), ProductName: r.names[p.Interface]}
		r.devices[key] = t
	}
	comment := pcapng.Text(p.Options, pcapng.OptComment)
	e := Event{
		Packet: r.packet, Time: p.Time, Device: t.device, Endpoint: u.Endpoint, Status: u.Status,
		Invented: strings.HasPrefix(comment, inventedPrefix), Lost: lost(p.Options),
	}
	masked := parseMasked(comment, len(data))
	if u.Event == submitted {
		return r.submitted(t, u, e, data, masked)
	}
	begun, known := t.open[u.ID]
	delete(t.open, u.ID)
	switch u.Type {
	case control:
		if !known || !begun.hasSetup {
			return nil // it began before the recording
		}
		e.Kind, e.Setup, e.Length, e.Data, e.Masked = Requested, begun.setup, begun.length, begun.data, begun.masked
		if begun.setup.In() {
			e.Data, e.Masked = append([]byte(nil), data...), masked
		}
		return r.requested(t, e)
	case bulk, interrupt:
		if t.device == nil {
			return nil
		}
		r.completed(t, u, e, data, masked)
	}
	return nil
}

// submitted takes the beginning of a transfer.
func (r *Reader) submitted(t *tracked, u urb, e Event, data []byte, masked []Span) error {
	if u.Type == bulk && t.device != nil && u.Endpoint == t.device.Interface.BulkOut.Address {
		e.Kind, e.Data, e.Masked, e.Status = Sent, append([]byte(nil), data...), masked, 0
		r.queue = append(r.queue, e)
		return nil
	}
	if u.Type != control {
		return nil
	}
	if len(t.open) >= maxTransfers {
		clear(t.open) // nobody completes them any more
	}
	t.open[u.ID] = pending{
		setup: parseSetup(u.Setup), hasSetup: u.HasSetup, length: int(binary.LittleEndian.Uint16(u.Setup[6:])),
		data: append([]byte(nil), data...), masked: masked,
	}
	return nil
}

// requested takes a control request that has ended. Descriptors tell what the
// device is.
func (r *Reader) requested(t *tracked, e Event) error {
	standard := e.Setup == usb.Setup{RequestType: 0x80, Request: getDescriptor, Value: e.Setup.Value}
	switch {
	case standard && e.Setup.Value == deviceDescriptor<<8 && len(e.Data) == deviceDescriptorLen:
		d, err := usb.ParseDeviceDescriptor(e.Data)
		if err != nil {
			return nil
		}
		t.info.Vendor, t.info.Product, t.info.Release = d.Vendor, d.Product, d.Release
		t.info.Descriptors = e.Data
		t.device = nil // another one, perhaps
		t.in, t.inSpans = nil, nil
		return nil
	case standard && e.Setup.Value == configDescriptor<<8 && len(t.info.Descriptors) == deviceDescriptorLen && t.device == nil:
		info := t.info
		info.Descriptors = append(append([]byte(nil), info.Descriptors...), e.Data...)
		all, err := info.Interfaces(usb.AllowAnyVendorClass())
		if err != nil {
			return nil // no reader, or only the head of its descriptors
		}
		t.device = &Device{Info: info, Interface: all[0], Number: r.count}
		r.count++
		e.Kind, e.Device = Opened, t.device
		r.queue = append(r.queue, e)
		return nil
	}
	if t.device != nil {
		r.queue = append(r.queue, e)
	}
	return nil
}

// completed takes the end of a transfer on another endpoint than 0.
func (r *Reader) completed(t *tracked, u urb, e Event, data []byte, masked []Span) {
	ifc := t.device.Interface
	switch u.Endpoint {
	case ifc.Interrupt.Address:
		if u.Type == interrupt && len(data) > 0 {
			e.Kind, e.Data, e.Masked = Interrupted, append([]byte(nil), data...), masked
			r.queue = append(r.queue, e)
			return
		}
	case ifc.BulkIn.Address:
		r.inbound(t, e, data, masked)
	case ifc.BulkOut.Address:
	default:
		return
	}
	if u.Status != statusOK {
		e.Kind = Failed
		r.queue = append(r.queue, e)
	}
}

// inbound puts messages of the reader together.
func (r *Reader) inbound(t *tracked, e Event, data []byte, masked []Span) {
	e.Status = 0
	at := len(t.in)
	t.in = append(t.in, data...)
	for _, s := range masked {
		t.inSpans = append(t.inSpans, Span{s.Offset + at, s.Length})
	}
	emit := func(kind Kind, n int) {
		e.Kind = kind
		e.Data = append([]byte(nil), t.in[:n]...)
		e.Masked = nil
		var rest []Span
		for _, s := range t.inSpans {
			if in := (Span{s.Offset, min(s.Length, n-s.Offset)}); in.Length > 0 {
				e.Masked = append(e.Masked, in)
			}
			if over := s.Offset + s.Length - max(n, s.Offset); over > 0 {
				rest = append(rest, Span{max(n, s.Offset) - n, over})
			}
		}
		t.in, t.inSpans = append(t.in[:0], t.in[n:]...), rest
		r.queue = append(r.queue, e)
	}
	n := uint64(headerLen)
	if len(t.in) >= headerLen {
		n += uint64(binary.LittleEndian.Uint32(t.in[1:]))
	}
	if len(t.in) >= headerLen && n <= uint64(len(t.in)) {
		emit(Answered, int(n))
		n = maxMessage + 1 // what is left has no message to belong to
	}
	// A short packet ends the transfer: nothing more will come.
	short := len(data)%max(t.device.Interface.BulkIn.MaxPacketSize, 1) != 0 || len(data) == 0
	if len(t.in) > 0 && (n > maxMessage || short) {
		emit(Junk, len(t.in))
	}
}

// lost reads epb_dropcount.
func lost(all []pcapng.Option) uint64 {
	for _, o := range all {
		if o.Code == pcapng.OptDropCount && len(o.Value) == 8 {
			return binary.LittleEndian.Uint64(o.Value)
		}
	}
	return 0
}

// parseMasked reads the comment of a packet with n bytes of data. What is no
// such comment masks nothing.
func parseMasked(comment string, n int) (spans []Span) {
	list, ok := strings.CutPrefix(comment, maskedPrefix)
	if !ok {
		return nil
	}
	for _, f := range strings.Fields(list) {
		from, length, _ := strings.Cut(f, "+")
		at, err := strconv.Atoi(from)
		l, err2 := strconv.Atoi(length)
		if err != nil || err2 != nil || at < 0 || l < 1 || at > n || l > n-at || len(spans) == maxSpans {
			return spans
		}
		spans = append(spans, Span{at, l})
	}
	return spans
}

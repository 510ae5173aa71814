package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"kaztoken/internal/trace/pcapng"
	"kaztoken/usb"
)

// bufferLimit is how much may wait to be written, bytes: some seconds of the
// busiest token.
const bufferLimit = 4 << 20

// Comments of packets. What masked says is read again; the others are for people.
const (
	maskedPrefix   = "kaztoken: masked "
	inventedPrefix = "kaztoken: not from the bus: "
)

// Options say how a [Recorder] records.
type Options struct {
	Program  string // what records: "kaztoken v1.2.3"
	Unmasked bool   // keep PINs, keys and plain texts
}

// Recorder writes a recording. It never makes a transfer wait for the disk: what
// cannot be written fast enough is left out, and the packet after it says so.
// All methods are safe for concurrent use.
type Recorder struct {
	file     io.WriteCloser
	unmasked bool
	began    time.Time // with the monotonic clock: time stamps do not jump

	mu         sync.Mutex // guards all following fields; no I/O while held
	pending    []byte     // whole blocks
	spare      []byte     // what pending may be next
	interfaces uint32     // pipes so far
	packets    uint64     // transfers of them
	id         uint64     // of the last transfer
	dropped    uint64     // packets since the last one that was kept
	lost       uint64     // packets in all that were not kept
	err        error      // of the file; nothing is kept after it
	closed     bool

	wake  chan struct{} // capacity 1: something is pending
	ended chan struct{} // closed when the writer has returned
}

// Create begins a recording in a new file, which only its owner may read. A file
// that is there already is an error that is [os.ErrExist]: a recording replaces
// nothing. The caller closes the Recorder.
func Create(path string, o Options) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return begin(f, o), nil
}

// begin begins a recording in f, which becomes the Recorder's.
func begin(f io.WriteCloser, o Options) *Recorder {
	comment := "PINs, keys and decrypted data are masked"
	if o.Unmasked {
		comment = "HOLDS PINs AND KEYS IN CLEAR"
	}
	r := &Recorder{
		file: f, unmasked: o.Unmasked, began: time.Now(), wake: make(chan struct{}, 1), ended: make(chan struct{}),
		pending: pcapng.Section{Options: []pcapng.Option{
			{Code: pcapng.OptComment, Value: []byte(comment)},
			{Code: pcapng.OptSectionUser, Value: []byte(o.Program)},
		}}.AppendTo(nil),
	}
	go r.write()
	r.kick()
	return r
}

// write brings what is pending to the file, whole blocks at a time.
func (r *Recorder) write() {
	defer close(r.ended)
	for {
		r.mu.Lock()
		b, closed := r.pending, r.closed
		r.pending, r.spare = r.spare[:0], nil
		r.mu.Unlock()
		if len(b) > 0 {
			_, err := r.file.Write(b)
			r.mu.Lock()
			if err != nil && r.err == nil {
				r.err = err
			}
			r.spare = b[:0]
			r.mu.Unlock()
			continue
		}
		r.mu.Lock()
		r.spare = b
		r.mu.Unlock()
		if closed {
			return
		}
		<-r.wake
	}
}

func (r *Recorder) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Close brings the rest to the file and closes it. The error is the first of the
// whole recording. It is idempotent; pipes go on working and are not recorded
// any more.
func (r *Recorder) Close() error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	r.mu.Unlock()
	r.kick()
	<-r.ended
	var err error
	if first {
		err = r.file.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return r.err
}

// Count tells how much was recorded: pipes, packets, and packets left out.
func (r *Recorder) Count() (pipes int, packets, lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(r.interfaces), r.packets, r.lost
}

// now is the time, from a clock that nobody sets.
func (r *Recorder) now() time.Time { return r.began.Add(time.Since(r.began)) }

// Pipe records what goes through p, which is of interface ifc of dev. The
// descriptors of the device come first, as if they had been asked for: without
// them nothing that reads the file knows what the transfers are. Closing the
// pipe closes p.
func (r *Recorder) Pipe(p usb.Pipe, dev usb.Info, ifc usb.Interface) usb.Pipe {
	rp := &pipe{inner: p, r: r, ifc: ifc, bus: uint16(dev.Bus), device: byte(dev.Addr)}
	if !r.unmasked {
		rp.masker = NewMasker(ifc)
	}
	if rp.device == 0 { // a device in software; 0 is one that has no address yet
		rp.bus, rp.device = 0, 1
	}
	name := strings.TrimSpace(dev.Manufacturer + " " + dev.ProductName)
	r.mu.Lock()
	rp.number = r.interfaces
	r.interfaces++
	if r.err == nil && !r.closed {
		r.pending = pcapng.Interface{LinkType: LinkType, Options: []pcapng.Option{
			{Code: pcapng.OptInterfaceName, Value: []byte(fmt.Sprintf("usbmon%d", rp.bus))},
			{Code: pcapng.OptDescription, Value: []byte(name)},
		}}.AppendTo(r.pending)
	}
	r.mu.Unlock()
	rp.describe(dev.Descriptors)
	return rp
}

// add keeps a packet. Packets that must not be left out are few.
func (r *Recorder) add(number uint32, u urb, data []byte, comment string, must bool) {
	u.Captured = uint32(len(data))
	b := u.AppendTo(make([]byte, 0, urbLen+len(data)))
	p := pcapng.Packet{Interface: number, Time: u.Time, Data: append(b, data...)}
	p.Original = uint32(len(p.Data))
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || r.closed {
		return
	}
	if !must && len(r.pending)+len(p.Data) > bufferLimit {
		r.dropped++
		r.lost++
		return
	}
	if comment != "" {
		p.Options = append(p.Options, pcapng.Option{Code: pcapng.OptComment, Value: []byte(comment)})
	}
	if r.dropped > 0 {
		p.Options = append(p.Options, pcapng.Option{Code: pcapng.OptDropCount, Value: binary.LittleEndian.AppendUint64(nil, r.dropped)})
		r.dropped = 0
	}
	r.pending = p.AppendTo(r.pending)
	if !must {
		r.packets++
	}
	r.kick()
}

// pipe is a usb.Pipe that is recorded.
type pipe struct {
	inner  usb.Pipe
	r      *Recorder
	ifc    usb.Interface
	number uint32 // of the interface in the file
	bus    uint16
	device byte

	mu     sync.Mutex // guards masker
	masker *Masker    // nil: nothing is masked
}

// mask hides what f finds in a copy of data, and gives the comment.
func (p *pipe) mask(data []byte, f func(*Masker, []byte) []Span) ([]byte, string) {
	if p.masker == nil {
		return data, ""
	}
	b := append(make([]byte, 0, len(data)), data...)
	p.mu.Lock()
	defer p.mu.Unlock()
	return b, maskedComment(f(p.masker, b))
}

// maskedComment spells what is masked: "kaztoken: masked 15+8".
func maskedComment(spans []Span) string {
	if len(spans) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(maskedPrefix)
	for i, s := range spans {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d+%d", s.Offset, s.Length)
	}
	return b.String()
}

// submit records that a transfer begins. data is what goes out.
func (p *pipe) submit(t transfer, endpoint byte, setup *[8]byte, data []byte, length int, comment string) urb {
	p.r.mu.Lock()
	p.r.id++
	u := urb{
		ID: p.r.id, Event: submitted, Type: t, Endpoint: endpoint, Device: p.device, Bus: p.bus, Time: p.r.now(),
		Status: statusInProgress, Length: uint32(length), HasData: endpoint&0x80 == 0 && length > 0,
	}
	p.r.mu.Unlock()
	if setup != nil {
		u.HasSetup, u.Setup = true, *setup
	}
	p.r.add(p.number, u, data, comment, strings.HasPrefix(comment, inventedPrefix))
	return u
}

// complete records how a transfer has ended: with n bytes, and data if they came
// in.
func (p *pipe) complete(u urb, data []byte, n int, err error, comment string) {
	u.Event, u.Time, u.Status, u.Length = completed, p.r.now(), statusOf(err), uint32(n)
	u.HasSetup, u.Setup = false, [8]byte{}
	u.HasData = u.Endpoint&0x80 != 0 && n > 0
	p.r.add(p.number, u, data, comment, strings.HasPrefix(comment, inventedPrefix))
}

// statusOf spells an error of a pipe as usbmon would have seen it.
func statusOf(err error) int32 {
	for _, s := range []struct {
		err    error
		status int32
	}{
		{nil, statusOK}, {usb.ErrGone, statusShutdown}, {usb.ErrStall, statusStall}, {usb.ErrOverflow, statusOverflow},
		{usb.ErrShortWrite, statusShort}, {usb.ErrIO, statusProtocol},
		{usb.ErrTimeout, statusNoEntry}, {usb.ErrClosed, statusNoEntry},
		{context.Canceled, statusNoEntry}, {context.DeadlineExceeded, statusNoEntry},
	} {
		if errors.Is(err, s.err) {
			return s.status
		}
	}
	return statusIO
}

func (p *pipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	setup := setupBytes(s, len(data))
	hide := func(m *Masker, b []byte) []Span { return m.Control(s, b) }
	var (
		endpoint byte
		out      []byte
		comment  string
	)
	if s.In() {
		endpoint = 0x80
	} else {
		out, comment = p.mask(data, hide)
	}
	u := p.submit(control, endpoint, &setup, out, len(data), comment)
	n, err := p.inner.Control(ctx, s, data)
	var in []byte
	comment = ""
	if s.In() {
		in, comment = p.mask(data[:n], hide)
	}
	p.complete(u, in, n, err, comment)
	return n, err
}

func (p *pipe) WriteBulk(ctx context.Context, msg []byte) error {
	b, comment := p.mask(msg, (*Masker).Out)
	u := p.submit(bulk, p.ifc.BulkOut.Address, nil, b, len(msg), comment)
	err := p.inner.WriteBulk(ctx, msg)
	n := len(msg)
	if err != nil {
		n = 0 // how many is not known
	}
	p.complete(u, nil, n, err, "")
	return err
}

func (p *pipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	u := p.submit(bulk, p.ifc.BulkIn.Address, nil, nil, len(buf), "")
	n, err := p.inner.ReadBulk(ctx, buf)
	b, comment := p.mask(buf[:n], (*Masker).In)
	p.complete(u, b, n, err, comment)
	return n, err
}

func (p *pipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	if p.ifc.Interrupt.Address == 0 {
		return p.inner.ReadInterrupt(ctx, buf)
	}
	u := p.submit(interrupt, p.ifc.Interrupt.Address, nil, nil, len(buf), "")
	n, err := p.inner.ReadInterrupt(ctx, buf)
	p.complete(u, buf[:n], n, err, "")
	return n, err
}

// Recover is recorded as the requests that it stands for.
func (p *pipe) Recover(ctx context.Context) error {
	var us []urb
	for _, e := range []usb.Endpoint{p.ifc.BulkOut, p.ifc.BulkIn} {
		if e.Address == 0 {
			continue
		}
		setup := setupBytes(usb.Setup{RequestType: 0x02, Request: 0x01, Index: uint16(e.Address)}, 0) // CLEAR_FEATURE(ENDPOINT_HALT)
		us = append(us, p.submit(control, 0, &setup, nil, 0, inventedPrefix+"recovery of the endpoints"))
	}
	err := p.inner.Recover(ctx)
	for _, u := range us {
		p.complete(u, nil, 0, err, inventedPrefix+"recovery of the endpoints")
	}
	return err
}

func (p *pipe) Close() error { return p.inner.Close() }

// Standard requests for descriptors (USB 2.0 §9.4.3).
const (
	getDescriptor       = 0x06
	deviceDescriptor    = 0x01
	configDescriptor    = 0x02
	deviceDescriptorLen = 18
)

// describe records the descriptors of the device.
func (p *pipe) describe(b []byte) {
	ask := func(kind byte, d []byte) {
		d = d[:min(len(d), 1<<16-1)]
		const why = inventedPrefix + "the descriptors, as the system keeps them"
		setup := setupBytes(usb.Setup{RequestType: 0x80, Request: getDescriptor, Value: uint16(kind) << 8}, len(d))
		u := p.submit(control, 0x80, &setup, nil, len(d), why)
		p.complete(u, d, len(d), nil, why)
	}
	if len(b) < deviceDescriptorLen {
		return
	}
	ask(deviceDescriptor, b[:deviceDescriptorLen])
	if len(b) > deviceDescriptorLen {
		ask(configDescriptor, b[deviceDescriptorLen:])
	}
}

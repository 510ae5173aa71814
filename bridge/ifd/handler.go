// Package ifd is the logic of an IFD handler 3.0, the library through which
// pcscd and macOS's smart-card service drive a reader: each method of [Handler]
// is one of the functions that such a library exports, without the C. The
// library is cmd/libifdkaztoken.
//
// The host says which device it means; the handler finds and opens it, and drives
// it with package ccid. It starts no goroutine of its own and does nothing until
// the first channel is created.
//
// All methods are safe for concurrent use, for the same reader too. They answer
// with a [Response] whatever happens: a panic of the driver ends the channel
// whose call it was, not the host. Where a length is wanted, n is the number of
// bytes that were given, or with InsufficientBuffer of those that there are.
package ifd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"kaztoken/ccid"
	"kaztoken/usb"
)

// Lun names a slot for the host: 0xRRRRSSSS, the number of the reader that the
// host gave it and that of the slot in the reader.
type Lun uint64

func (l Lun) reader() uint64 { return uint64(l >> 16) }
func (l Lun) slot() int      { return int(l & 0xFFFF) }

// valid reports whether l has the 32 bits that it should have.
func (l Lun) valid() bool { return l <= 0xFFFFFFFF }

func (l Lun) String() string { return fmt.Sprintf("lun %#x", uint64(l)) }

// Priority says how important a line of the log is, in the words of pcscd.
type Priority int

// The priorities.
const (
	Debug Priority = iota
	Info
	Error
	Critical
)

// Config is what a handler needs of the system that it runs on.
type Config struct {
	// Devices lists what is attached now. An error beside a list says that
	// something may be missing in it.
	Devices func(ctx context.Context) ([]usb.Info, error)
	// Open claims an interface.
	Open func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error)
	// Known reports whether the handler is for a device. It is asked only where
	// the host does not say which device it means.
	Known func(id usb.ID) bool

	// Tries is how often the devices are listed, Pause apart, to find one that
	// the host does not say the place of; 0 is once. A host may speak of a device
	// before others see it.
	Tries int
	Pause time.Duration

	// ThreadSafe tells the host that it may use several readers at once.
	ThreadSafe bool
	// Poll and StopPolling are the addresses of the C functions that call
	// [Handler.Poll] and [Handler.StopPolling]; 0 has the host poll by itself.
	Poll, StopPolling uintptr

	// Log writes one line to the log of the host, or with data that is not nil
	// one and a dump of it; nil is no log. It is called from any goroutine.
	Log func(p Priority, line string, data []byte)
	// Trace has everything that happens on a reader logged at priority Debug.
	// What carries a PIN is left out.
	Trace bool
}

// Handler is all that the library knows.
type Handler struct {
	cfg Config

	mu       sync.Mutex          // guards the following field and what of slots says so; no I/O while held
	channels map[uint64]*channel // by number of the reader
}

// New makes a handler. It holds nothing until a channel is created.
func New(c Config) *Handler {
	return &Handler{cfg: c, channels: make(map[uint64]*channel)}
}

// openLimit bounds the opening of a device, beside what the system takes.
const openLimit = 15 * time.Second

// CreateChannelByName is IFDHCreateChannelByName: it opens the reader that name
// says, or one more slot of it. NoSuchDevice says that there is none, or that the
// interface is not a reader's; CommunicationError that it cannot be opened.
//
// A host that loads the library again finds it as it was, so a channel that is
// open already is closed first, and so is another one to the same interface.
func (h *Handler) CreateChannelByName(lun Lun, name string) (r Response) {
	defer h.contain("create channel", lun, &r)
	return h.create(lun, name, parseName(name))
}

// CreateChannel is IFDHCreateChannel, in which the host says no device: it opens
// the first known one that is free. The channel's number means nothing on USB.
func (h *Handler) CreateChannel(lun Lun, _ uint64) (r Response) {
	defer h.contain("create channel", lun, &r)
	return h.create(lun, "", target{})
}

func (h *Handler) create(lun Lun, name string, t target) Response {
	if !lun.valid() {
		return CommunicationError
	}
	c := &channel{h: h, name: name, ended: make(chan struct{})}
	old, r := h.reserve(lun, c)
	if c == old {
		return r
	}
	settled := false
	defer func() {
		if !settled {
			h.remove(lun, c)
		}
	}()
	if old != nil {
		old.close()
	}
	if err := h.open(c, t); err != nil {
		h.failed(lun, name, err)
		if errors.Is(err, errNoReader) {
			return NoSuchDevice
		}
		if r := responseTo(err, CommunicationError); r == NoSuchDevice {
			return r
		}
		return CommunicationError
	}
	if lun.slot() >= len(c.slots) {
		c.close()
		return NoSuchDevice
	}
	h.mu.Lock()
	c.ready, c.slots[lun.slot()].opened, settled = true, true, true
	h.mu.Unlock()
	h.log(Info, nil, "%v: %s opened as %v with %d slots", lun, c.dev, c.ifc.Kind, len(c.slots))
	return Success
}

// reserve puts c in place of what the reader number of lun stands for, and gives
// what that was. It gives c itself if nothing has to be opened: then there is a
// response already.
func (h *Handler) reserve(lun Lun, c *channel) (old *channel, r Response) {
	h.mu.Lock()
	defer h.mu.Unlock()
	old = h.channels[lun.reader()]
	switch {
	case old == nil:
	case !old.ready:
		return c, CommunicationError // another thread is opening it
	case old.name != c.name || old.reader.Err() != nil || old.broken:
	case lun.slot() >= len(old.slots):
		return c, NoSuchDevice
	case lun.slot() > 0 || !old.slots[0].opened: // else the host has begun anew
		old.slots[lun.slot()].opened = true
		return c, Success
	}
	if old != nil {
		old.ready = false
	}
	h.channels[lun.reader()] = c
	return old, Success
}

// remove takes a channel out that did not come to be.
func (h *Handler) remove(lun Lun, c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.channels[lun.reader()] == c {
		delete(h.channels, lun.reader())
	}
}

// failed logs why a channel was not created. That an interface is not a reader's
// is no failure: the host asks for every interface of a device.
func (h *Handler) failed(lun Lun, name string, err error) {
	p := Error
	if errors.Is(err, errNoReader) {
		p = Debug
	}
	h.log(p, nil, "%v: %q: %v", lun, name, err)
}

// errNoReader: there is no such device, or no such interface.
var errNoReader = errors.New("no reader that could be meant")

// open finds the interface that t means and takes it into use.
func (h *Handler) open(c *channel, t target) error {
	ctx, cancel := context.WithTimeout(context.Background(), openLimit)
	defer cancel()
	for try := 1; ; try++ {
		err := h.find(ctx, c, t)
		if err == nil {
			break
		}
		if t.located || try >= h.cfg.Tries {
			return err
		}
		select {
		case <-time.After(h.cfg.Pause):
		case <-ctx.Done():
			return err
		}
	}
	pipe, err := h.cfg.Open(ctx, c.dev, c.ifc)
	if err != nil {
		return err
	}
	settled := false
	defer func() { // a panic leaves it to nobody
		if !settled {
			pipe.Close()
		}
	}()
	opts := []ccid.Option{
		ccid.WithDevice(c.dev), ccid.WithAutoGetResponse(false),
		ccid.WithContain(func(p any) { h.condemn(c, "watch over the cards", p) }),
	}
	if h.cfg.Trace {
		opts = append(opts, ccid.WithTrace(h.trace))
	}
	reader, err := ccid.Open(ctx, pipe, c.ifc, opts...)
	settled = true
	if err != nil {
		return err
	}
	c.adopt(reader)
	return nil
}

// find looks for the device and the interface. One that another channel of this
// process has is taken from it only if the host says the place of the device.
func (h *Handler) find(ctx context.Context, c *channel, t target) error {
	devices, failure := h.cfg.Devices(ctx)
	for _, dev := range devices {
		if !t.device(dev) || !t.hasID && !h.cfg.Known(dev.ID()) {
			continue
		}
		ifcs, err := dev.Interfaces()
		if err != nil {
			if failure == nil && !errors.Is(err, usb.ErrNoReader) {
				failure = fmt.Errorf("%v: %w", dev, err)
			}
			continue
		}
		for _, ifc := range ifcs {
			if !t.ifc(ifc.Number) {
				continue
			}
			if other := h.holder(dev, ifc); other != nil {
				if !t.located {
					continue
				}
				other.close()
			}
			c.dev, c.ifc = dev, ifc
			for _, repair := range ifc.Repairs {
				h.log(Debug, nil, "%v: descriptor: %s", dev, repair)
			}
			return nil
		}
	}
	if failure != nil {
		return fmt.Errorf("%w: %w", errNoReader, failure)
	}
	return errNoReader
}

// holder is the channel that has an interface open.
func (h *Handler) holder(dev usb.Info, ifc usb.Interface) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.channels {
		if c.ready && c.reader.Err() == nil && c.dev.Bus == dev.Bus && c.dev.Addr == dev.Addr && c.ifc.Number == ifc.Number {
			return c
		}
	}
	return nil
}

// CloseChannel is IFDHCloseChannel. The reader is closed with the last of its
// slots that are open, and the cards are switched off; that takes two seconds at
// the most, beside the system's own time.
func (h *Handler) CloseChannel(lun Lun) (r Response) {
	defer h.contain("close channel", lun, &r)
	h.mu.Lock()
	s := h.opened(lun)
	if s == nil {
		h.mu.Unlock()
		return CommunicationError
	}
	c, last := s.channel, true
	s.opened = false
	for _, other := range c.slots {
		last = last && !other.opened
	}
	if last {
		c.ready = false
		delete(h.channels, lun.reader())
	}
	h.mu.Unlock()
	if !last {
		s.stopPolling()
		ctx, cancel := context.WithTimeout(context.Background(), slotCloseLimit)
		defer cancel()
		if err := s.PowerOff(ctx); err != nil {
			h.log(Debug, nil, "%v: close: %v", lun, err)
		}
		return Success
	}
	c.close()
	h.log(Info, nil, "%v: %v closed", lun, c.dev)
	return Success
}

const slotCloseLimit = 2 * time.Second

// opened finds an open slot, nil if lun names none. The caller holds mu.
func (h *Handler) opened(lun Lun) *slot {
	if !lun.valid() {
		return nil
	}
	c := h.channels[lun.reader()]
	if c == nil || !c.ready || lun.slot() >= len(c.slots) || !c.slots[lun.slot()].opened {
		return nil
	}
	return c.slots[lun.slot()]
}

// slot finds an open slot that can be used, nil if lun names none.
func (h *Handler) slot(lun Lun) *slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.opened(lun)
	if s == nil || s.channel.broken {
		return nil
	}
	return s
}

// contain turns a panic into a response. What the driver was doing is left as it
// stands, so its channel is not used again until it is closed.
func (h *Handler) contain(doing string, lun Lun, r *Response) {
	p := recover()
	if p == nil {
		return
	}
	*r = CommunicationError
	h.mu.Lock()
	c := h.channels[lun.reader()]
	h.mu.Unlock()
	h.condemn(c, doing, p)
}

// condemn ends the use of a channel after a panic. c may be nil.
func (h *Handler) condemn(c *channel, doing string, p any) {
	what := "panic"
	if err, ok := p.(runtime.Error); ok { // other values could hold anything
		what = err.Error()
	}
	h.log(Critical, nil, "%s: %s%s", doing, what, callers())
	if c == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	c.broken = true
	c.end()
}

// callers says where a panic came from, in a few words.
func callers() string {
	var (
		pcs   [12]uintptr
		where strings.Builder
	)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(4, pcs[:])])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		fmt.Fprintf(&where, " < %s:%d", filepath.Base(f.File), f.Line)
	}
	return where.String()
}

// maxLine is how much of a line pcscd's log takes, bytes.
const maxLine = 1024

func (h *Handler) log(p Priority, data []byte, format string, args ...any) {
	if h.cfg.Log == nil {
		return
	}
	line := []byte(fmt.Sprintf(format, args...))
	line = line[:min(len(line), maxLine)]
	for i, b := range line { // a device's own text is in it
		if b < ' ' || b > '~' {
			line[i] = '.'
		}
	}
	h.cfg.Log(p, string(line), data)
}

// trace logs what happens on a reader.
func (h *Handler) trace(e ccid.Event) {
	line := fmt.Sprintf("slot %d: %v", e.Slot, e.Kind)
	switch e.Kind {
	case ccid.EventCommand, ccid.EventAnswer:
		line += fmt.Sprintf(" %v %d", e.Type, e.Seq)
	case ccid.EventState:
		line += fmt.Sprintf(" %v", e.State)
	case ccid.EventTimeExtension:
		line += fmt.Sprintf(" %d", e.Factor)
	}
	if e.Hidden > 0 {
		line += fmt.Sprintf(", %d bytes hidden", e.Hidden)
	}
	if e.Elapsed > 0 {
		line += fmt.Sprintf(", %v", e.Elapsed)
	}
	if e.Err != nil {
		line += fmt.Sprintf(": %v", e.Err)
	}
	h.log(Debug, e.Data, "%s", line)
}

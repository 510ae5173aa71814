// Package replay does again what was recorded: the driver of today sends the
// APDUs of a recording to a reader in software that is described as the recorded
// one was, with a card that gives the recorded answers, and everything that
// crosses USB is compared with the recording.
//
// docs/trace.md says what is compared and what is not.
package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/trace"
	"kaztoken/usb"
)

// ErrNotRepeatable says that nothing of a recording can be replayed.
var ErrNotRepeatable = errors.New("this recording cannot be replayed")

// Bounds of a replay.
const (
	maxEvents      = 1 << 20 // of one recording
	maxDifferences = 20      // told for each device
	maxTime        = time.Minute
)

// Report is what came of the devices of a recording, in their order.
type Report struct {
	Devices []Device `json:"devices"`
}

// Device is what came of one device.
type Device struct {
	Device      string       `json:"device"`
	Sent        int          `json:"sent"`        // messages of the driver that were compared
	Answered    int          `json:"answered"`    // messages of the reader
	Requests    int          `json:"requests"`    // control requests
	Differences []Difference `json:"differences"` // the first ones
	Left        int          `json:"left"`        // recorded messages and requests that were not replayed
	Why         string       `json:"why"`         // why some are left; "" if none is
}

// Difference is one place where the replay went another way.
type Difference struct {
	Packet int    `json:"packet"` // of the recording
	What   string `json:"what"`   // "sent", "answered", "request"
	Want   string `json:"want"`   // recorded, hexadecimal; ** is masked
	Got    string `json:"got"`
}

// Differences counts them.
func (r Report) Differences() (n int) {
	for _, d := range r.Devices {
		n += len(d.Differences)
	}
	return n
}

// Run replays a recording. A cut-off one is replayed as far as it goes. The error
// is [ErrNotRepeatable], [trace.ErrRecording] or that of file.
func Run(ctx context.Context, file io.Reader) (Report, error) {
	sessions, err := read(file)
	if err != nil {
		return Report{}, err
	}
	var r Report
	for _, s := range sessions {
		d, err := s.run(ctx)
		if err != nil {
			return r, err
		}
		r.Devices = append(r.Devices, d)
	}
	if len(r.Devices) == 0 {
		return r, fmt.Errorf("%w: no reader in it", ErrNotRepeatable)
	}
	return r, nil
}

// session is what was recorded of one device.
type session struct {
	device *trace.Device
	events []trace.Event // what is to happen again, in its order
	asks   asking
	why    string // why what followed is not
	left   int

	apdus map[byte][]apdu // of each slot; nil before join
}

// asking tells the questions for the state of a slot from the rest: when a driver
// asks depends on time, on notifications and on chance, and no card hears of it.
type asking [256]bool

// of reports whether a message is such a question, or the answer to one.
func (a *asking) of(kind trace.Kind, b []byte) bool {
	m, err := ccid.ParseMessage(b)
	if err != nil {
		return false
	}
	if kind == trace.Sent {
		a[m.Slot] = m.Type.String() == "GetSlotStatus"
	}
	return a[m.Slot]
}

// read takes a recording apart.
func read(file io.Reader) (all []*session, err error) {
	r := trace.NewReader(file)
	byDevice := make(map[*trace.Device]*session)
	for range maxEvents {
		e, err := r.Next()
		if errors.Is(err, io.EOF) || errors.Is(err, trace.ErrCutOff) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		s := byDevice[e.Device]
		if s == nil {
			s = &session{device: e.Device}
			byDevice[e.Device] = s
			all = append(all, s)
		}
		s.take(e)
	}
	return nil, fmt.Errorf("%w: more than %d events", ErrNotRepeatable, maxEvents)
}

// Numbers of Linux that an event can have in Status.
const (
	withdrawn = -2
	stalled   = -32
)

// take adds an event. Those that depend on time or on chance are passed over; the
// first that cannot be repeated ends the session.
func (s *session) take(e trace.Event) {
	switch e.Kind {
	case trace.Opened, trace.Interrupted:
		return
	case trace.Failed:
		ifc := s.device.Interface
		if e.Endpoint == ifc.Interrupt.Address || e.Endpoint == ifc.BulkIn.Address && e.Status == withdrawn && s.idle() {
			return // nothing was due
		}
	case trace.Requested:
		if e.Invented || e.Setup.RequestType&0x60 == 0 {
			return // a standard request is the system's business
		}
	case trace.Sent, trace.Answered:
		if s.asks.of(e.Kind, e.Data) {
			return
		}
	}
	if e.Lost > 0 && s.why == "" {
		s.why = fmt.Sprintf("packet %d: packets before it are missing", e.Packet)
	}
	if s.why == "" {
		s.why = s.obstacle(e)
	}
	switch {
	case s.why != "":
		if e.Kind == trace.Sent || e.Kind == trace.Answered || e.Kind == trace.Requested {
			s.left++
		}
	case e.Kind == trace.Answered && waits(e.Data), s.wtx(e):
	default:
		s.events = append(s.events, e)
	}
}

// idle reports whether every command was answered.
func (s *session) idle() bool {
	n := len(s.events)
	return n == 0 || s.events[n-1].Kind != trace.Sent
}

// waits reports whether a message is a time extension: how long a card takes is
// not compared.
func waits(b []byte) bool {
	m, err := ccid.ParseMessage(b)
	return err == nil && m.Status().TimeExtension()
}

// wtx reports whether an event belongs to a waiting time extension of T=1, and
// takes the request for it out.
func (s *session) wtx(e trace.Event) bool {
	return s.device.Interface.Reader.Features.Level() == usb.TPDU &&
		(e.Kind == trace.Sent || e.Kind == trace.Answered) && trace.IsWTX(e.Data[min(len(e.Data), 10):])
}

// obstacle says why an event cannot be repeated, "" if it can.
func (s *session) obstacle(e trace.Event) string {
	at := func(format string, args ...any) string {
		return fmt.Sprintf("packet %d: ", e.Packet) + fmt.Sprintf(format, args...)
	}
	switch e.Kind {
	case trace.Failed:
		return at("a transfer failed")
	case trace.Junk:
		return at("bytes that are no message")
	case trace.Requested:
		if e.Status != 0 && e.Status != stalled {
			return at("a request failed")
		}
	case trace.Sent, trace.Answered:
		m, err := ccid.ParseMessage(e.Data)
		switch {
		case err != nil:
			return at("bytes that are no message")
		case e.Kind == trace.Answered && m.Status().Failed():
			return at("the reader refused a command: %v", m.Code())
		case e.Kind == trace.Sent && !repeatable(m.Type):
			return at("%v", m.Type)
		}
	}
	return ""
}

// repeatable reports whether there is an operation of the driver that sends it.
func repeatable(t ccid.MessageType) bool {
	switch t.String() {
	case "IccPowerOn", "IccPowerOff", "SetParameters", "GetParameters", "ResetParameters",
		"SetDataRateAndClockFrequency", "XfrBlock":
		return true
	}
	return false
}

// profile describes the recorded device to the simulator.
func (s *session) profile() (ccidsim.Profile, error) {
	dev, ifc := s.device.Info, s.device.Interface
	if ifc.Kind != usb.CCID || ifc.Reader.Features.Level() == usb.Character {
		return ccidsim.Profile{}, fmt.Errorf("%w: %v at %v level", ErrNotRepeatable, ifc.Kind, ifc.Reader.Features.Level())
	}
	p := ccidsim.Profile{
		Name: "recorded", Vendor: dev.Vendor, Product: dev.Product, Release: dev.Release, ProductName: dev.ProductName,
		Interface: ifc, Removable: true, Abort: true,
	}
	p.Interface.Interrupt = usb.Endpoint{} // cards neither come nor go
	for _, e := range s.events {
		if e.Kind != trace.Requested || e.Status != 0 {
			continue
		}
		switch e.Setup.Request {
		case 0x02:
			p.Clocks = numbers(e.Data)
		case 0x03:
			p.DataRates = numbers(e.Data)
		}
	}
	return p, nil
}

// numbers reads a list of GET_CLOCK_FREQUENCIES or GET_DATA_RATES.
func numbers(b []byte) (all []uint32) {
	for ; len(b) >= 4; b = b[4:] {
		all = append(all, uint32(b[0])|uint32(b[1])<<8|uint32(b[2])<<16|uint32(b[3])<<24)
	}
	return all
}

// card gives the recorded answers.
type card struct {
	atr  []byte
	next []byte
}

func (c *card) ATR() []byte { return c.atr }
func (c *card) Reset(bool)  {}

func (c *card) Transmit(_ context.Context, dst, _ []byte) ([]byte, error) {
	return append(dst, c.next...), nil
}

// run replays a session.
func (s *session) run(ctx context.Context) (Device, error) {
	p, err := s.profile()
	if err != nil {
		return Device{}, err
	}
	cards := make([]*card, p.Interface.Reader.Slots())
	var inside []ccidsim.Card
	for i := range cards {
		cards[i] = &card{atr: s.atr(byte(i), 0)}
		if cards[i].atr == nil {
			inside = append(inside, nil)
			continue
		}
		inside = append(inside, cards[i])
	}
	d := ccidsim.New(p, inside...)
	defer d.Unplug()
	ctx, cancel := context.WithTimeout(ctx, maxTime) // a damaged recording may have the driver wait
	defer cancel()
	c := &comparison{session: s, report: Device{
		Device: s.device.Info.String(), Differences: []Difference{}, Left: s.left, Why: s.why,
	}}
	d.SetTrace(func(w ccidsim.Where, msg []byte) {
		switch w {
		case ccidsim.Out:
			c.met(trace.Sent, msg, usb.Setup{}, 0)
		case ccidsim.In:
			c.met(trace.Answered, msg, usb.Setup{}, 0)
		}
	})
	r, err := ccid.Open(ctx, tap{d.Pipe(), c}, p.Interface,
		ccid.WithDevice(s.device.Info), ccid.WithAutoGetResponse(false), ccid.WithPollInterval(0))
	if err != nil {
		c.end("the driver does not open the reader: " + err.Error())
		return c.result(), nil
	}
	for c.goesOn() {
		before := c.position()
		if why := c.step(ctx, r, cards); why != "" {
			c.end(why)
			break
		}
		if c.position() == before {
			c.end(fmt.Sprintf("packet %d: the driver does nothing of the kind", s.events[before].Packet))
		}
	}
	if err := r.Close(); err != nil {
		return Device{}, err
	}
	return c.result(), nil
}

// atr finds the first answer to reset from event n on in a slot.
func (s *session) atr(slot byte, n int) []byte {
	on := make(map[byte]bool) // bSeq of IccPowerOn
	for _, e := range s.events[n:] {
		if e.Kind != trace.Sent && e.Kind != trace.Answered {
			continue
		}
		m, _ := ccid.ParseMessage(e.Data) // it is one
		switch {
		case m.Slot != slot:
		case e.Kind == trace.Sent:
			on[m.Seq] = m.Type.String() == "IccPowerOn"
		case on[m.Seq]:
			if _, err := iso7816.ParseATR(m.Data); err == nil {
				return m.Data
			}
		}
	}
	return nil
}

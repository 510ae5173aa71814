package ccid

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// step is one line of a script.
type step struct {
	kind byte   // see scriptPipe
	data []byte // message, or SETUP packet and data stage
	err  error
	line string
}

// scriptPipe is a device that knows one dialogue by heart. Its script has one
// event per line; what stands behind ";" is a comment:
//
//	> hex            a message that the host has to send next
//	<  hex           a message of the device, ended as USB demands
//	<~ hex           the same without the empty packet behind a full last one
//	<! error         the next read fails: stall, io, overflow, gone
//	>! error [hex]   the next write fails
//	c hex [/ hex]    a control transfer: SETUP packet, and its data stage
//	c! hex           a control transfer that is refused
//	r                the host recovers the endpoints
//	i hex            a message on the interrupt endpoint
//
// Whatever the host does that is not next in the script, it waits for in vain
// (reads) or is told off (all else).
type scriptPipe struct {
	t        testing.TB
	mps      int
	mu       sync.Mutex
	steps    []step
	packets  [][]byte // of the message being read
	advance  chan struct{}
	closed   chan struct{}
	once     sync.Once
	lax      bool // after the end: silence instead of complaints
	problems []string
}

var scriptErrors = map[string]error{
	"stall": usb.ErrStall, "io": usb.ErrIO, "overflow": usb.ErrOverflow, "gone": usb.ErrGone,
	"short": usb.ErrShortWrite, "timeout": usb.ErrTimeout,
}

func newScript(t testing.TB, mps int, script string) *scriptPipe {
	p := &scriptPipe{t: t, mps: mps, advance: make(chan struct{}), closed: make(chan struct{})}
	for line := range strings.Lines(script) {
		line, _, _ = strings.Cut(line, ";")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		op, rest, _ := strings.Cut(line, " ")
		s := step{kind: op[0], line: line}
		switch op {
		case ">!", "<!":
			name, data, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if s.err = scriptErrors[name]; s.err == nil {
				t.Fatalf("script: %q", line)
			}
			rest = data
		case "c!":
			s.err = usb.ErrStall
		case "<~":
			s.kind = '~'
		case ">", "<", "c", "r", "i":
		default: // a continuation line
			last := &p.steps[len(p.steps)-1]
			last.data = append(last.data, unhex(t, line)...)
			continue
		}
		s.data = unhex(t, strings.ReplaceAll(rest, "/", " "))
		p.steps = append(p.steps, s)
	}
	return p
}

func unhex(t testing.TB, s string) []byte {
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("hex %q: %v", s, err)
	}
	return b
}

// next takes the next step if it is of the kind. The caller holds mu.
func (p *scriptPipe) next(kinds string) (step, bool) {
	if len(p.steps) == 0 || !strings.ContainsRune(kinds, rune(p.steps[0].kind)) {
		return step{}, false
	}
	s := p.steps[0]
	p.steps = p.steps[1:]
	close(p.advance)
	p.advance = make(chan struct{})
	return s, true
}

func (p *scriptPipe) complain(format string, a ...any) {
	if p.lax {
		return
	}
	next := "end of script"
	if len(p.steps) > 0 {
		next = p.steps[0].line
	}
	p.problems = append(p.problems, fmt.Sprintf(format, a...)+"; script has: "+next)
}

// check fails the test if the dialogue was another or is not at its end.
func (p *scriptPipe) check() {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.problems {
		p.t.Error(s)
	}
	if len(p.steps) > 0 {
		p.t.Errorf("script was not played to its end: %d lines left, next %q", len(p.steps), p.steps[0].line)
	}
	p.problems, p.lax = nil, true
}

func (p *scriptPipe) WriteBulk(ctx context.Context, msg []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return usb.ErrClosed
	}
	if p.lax && len(p.steps) == 0 {
		return nil
	}
	s, ok := p.next(">")
	if !ok {
		p.complain("host writes % X", msg)
		return usb.ErrIO
	}
	if s.err != nil && len(s.data) == 0 {
		return s.err
	}
	if !bytes.Equal(s.data, msg) {
		p.problems = append(p.problems, fmt.Sprintf("host writes % X, script has % X", msg, s.data))
	}
	return s.err
}

func (p *scriptPipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	if len(buf)%p.mps != 0 || len(buf) == 0 {
		p.t.Errorf("read of %d bytes, packets have %d", len(buf), p.mps)
	}
	n := 0
	for {
		p.mu.Lock()
		if p.isClosed() {
			p.mu.Unlock()
			return n, usb.ErrClosed
		}
		if len(p.packets) == 0 {
			if s, ok := p.next("<~"); ok {
				if s.err != nil {
					p.mu.Unlock()
					return n, s.err
				}
				p.packetise(s)
			}
		}
		if len(p.packets) > 0 {
			packet := p.packets[0]
			p.packets = p.packets[1:]
			p.mu.Unlock()
			n += copy(buf[n:], packet)
			if len(packet) < p.mps || n == len(buf) {
				return n, nil
			}
			continue
		}
		advance := p.advance
		p.mu.Unlock()
		if err := p.block(ctx, advance); err != nil {
			return n, err
		}
	}
}

func (p *scriptPipe) packetise(s step) {
	b := s.data
	for len(b) >= p.mps {
		p.packets = append(p.packets, b[:p.mps])
		b = b[p.mps:]
	}
	if len(b) > 0 || s.kind == '<' {
		p.packets = append(p.packets, b)
	}
}

// block waits for the script to go on, as a transfer does.
func (p *scriptPipe) block(ctx context.Context, advance chan struct{}) error {
	var timer <-chan time.Time
	if d, ok := ctx.Deadline(); ok {
		t := time.NewTimer(time.Until(d))
		defer t.Stop()
		timer = t.C
	} else {
		p.t.Error("a transfer without a deadline")
	}
	select {
	case <-advance:
		return nil
	case <-timer:
		return usb.ErrTimeout
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return usb.ErrClosed
	}
}

func (p *scriptPipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	for {
		p.mu.Lock()
		if s, ok := p.next("i"); ok {
			p.mu.Unlock()
			return copy(buf, s.data), s.err
		}
		advance := p.advance
		p.mu.Unlock()
		if err := p.block(ctx, advance); err != nil {
			return 0, err
		}
	}
}

func (p *scriptPipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isClosed() {
		return 0, usb.ErrClosed
	}
	if p.lax && len(p.steps) == 0 {
		return 0, usb.ErrStall
	}
	setup := []byte{
		s.RequestType, s.Request, byte(s.Value), byte(s.Value >> 8), byte(s.Index), byte(s.Index >> 8),
		byte(len(data)), byte(len(data) >> 8),
	}
	st, ok := p.next("c")
	if !ok {
		p.complain("host makes request % X", setup)
		return 0, usb.ErrIO
	}
	if !bytes.Equal(st.data[:8], setup) {
		p.problems = append(p.problems, fmt.Sprintf("host makes request % X, script has % X", setup, st.data[:8]))
	}
	if st.err != nil {
		return 0, st.err
	}
	if s.In() {
		return copy(data, st.data[8:]), nil
	}
	if !bytes.Equal(data, st.data[8:]) {
		p.problems = append(p.problems, fmt.Sprintf("host sends % X, script has % X", data, st.data[8:]))
	}
	return len(data), nil
}

func (p *scriptPipe) Recover(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lax && len(p.steps) == 0 {
		return nil
	}
	if _, ok := p.next("r"); !ok {
		p.complain("host recovers the endpoints")
	}
	return nil
}

func (p *scriptPipe) isClosed() bool {
	select {
	case <-p.closed:
		return true
	default:
		return false
	}
}

func (p *scriptPipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// kaztokenClass is what the first target is expected to declare.
func kaztokenClass() usb.ClassDescriptor {
	return usb.ClassDescriptor{
		Version: 0x0100, Voltages: 1, Protocols: 2, DefaultClock: 3580, MaximumClock: 3580,
		DataRate: 9600, MaxDataRate: 9600, MaxIFSD: 254, Features: 0x00020840,
		MaxMessageLength: 271, ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
	}
}

func bulkInterface(d usb.ClassDescriptor) usb.Interface {
	return usb.Interface{
		Configuration: 1, Class: 0x0B, Alternates: 1, Reader: d,
		BulkOut: usb.Endpoint{Address: 0x02, Attributes: 2, MaxPacketSize: 64},
		BulkIn:  usb.Endpoint{Address: 0x81, Attributes: 2, MaxPacketSize: 64},
	}
}

// features gives the descriptor of a reader with one slot and these dwFeatures.
func features(f usb.Features) usb.ClassDescriptor {
	return usb.ClassDescriptor{
		Version: 0x0110, Voltages: 7, Protocols: 3, DefaultClock: 4000, MaximumClock: 4000,
		DataRate: 10752, MaxDataRate: 500_000, MaxIFSD: 254, Features: f, MaxMessageLength: 271, MaxBusySlots: 1,
	}
}

const openPresent = `
>   65 00 00 00 00 00 00 00 00 00
<   81 00 00 00 00 00 00 01 00 00
`

// bubble runs f with a reader that plays the script, in fake time. The script
// begins behind the GetSlotStatus of Open, whose sequence number is 00.
func bubble(t *testing.T, ifc usb.Interface, script string, f func(t *testing.T, r *Reader, p *scriptPipe), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		mps := max(1, ifc.BulkIn.MaxPacketSize)
		open := openPresent
		if ifc.Kind != usb.CCID {
			open = ""
		}
		p := newScript(t, mps, open+script)
		r, err := Open(t.Context(), p, ifc, append([]Option{WithPollInterval(0)}, opts...)...)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f(t, r, p)
		p.check()
	})
}

// atrOf parses an ATR.
func atrOf(t testing.TB, s string) iso7816.ATR {
	t.Helper()
	atr, err := iso7816.ParseATR(unhex(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return atr
}

const kaztokenATR = "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82"

// makeReady puts a slot into the state that a power-up leaves, without any traffic:
// the next command has sequence number seq.
func makeReady(t testing.TB, r *Reader, seq byte, atr string) *Slot {
	t.Helper()
	s := r.slots[0]
	a := atrOf(t, atr)
	if l, ok := r.link.(*bulkLink); ok {
		l.next = seq
	}
	p, err := s.chooseProtocol(a, wish{})
	if err != nil {
		t.Fatal(err)
	}
	s.setTiming(p, timingOf(a, iso7816.DefaultFiDi, r.desc.DefaultClock))
	s.mu.Lock()
	s.atr, s.params, s.state = a, parametersOf(a, p, iso7816.DefaultFiDi), CardReady
	s.mu.Unlock()
	return s
}

// transmit sends an APDU in hex and gives the response in hex.
func transmit(t *testing.T, s *Slot, apdu string) (string, error) {
	t.Helper()
	resp, err := s.Transmit(t.Context(), nil, unhex(t, apdu))
	return fmt.Sprintf("% X", resp), err
}

// openBubble opens a reader that plays the whole script, in fake time.
func openBubble(t *testing.T, script string, f func(t *testing.T, r *Reader, err error), opts ...Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newScript(t, 64, script)
		r, err := Open(t.Context(), p, bulkInterface(kaztokenClass()), opts...)
		f(t, r, err)
		if err != nil && !p.isClosed() {
			t.Error("the pipe is still open")
		}
		if err == nil {
			r.Close()
		}
		p.check()
	})
}

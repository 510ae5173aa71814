// Package t0 is the host's side of the transmission protocol T=0 (ISO/IEC
// 7816-3:2006 clauses 10 and 12.2), for readers that leave it to the host.
//
// There are two state machines without I/O, clock or goroutine, one upon the
// other:
//
//   - [Host] maps one APDU to TPDUs: GET RESPONSE, the 6Cxx repeat, ENVELOPE.
//     It is all that a reader at TPDU level needs.
//   - [Characters] runs one TPDU as procedure bytes, for readers at character
//     level. A Step of Host is begun there, and its result received by Host.
//
// The owner does what each [Step] says and hands back the answer:
//
//	for s := h.Begin(dst, apdu); ; s = h.Receive(answer) {
//		if s.Kind == t0.Done {
//			return s.Resp, s.Err
//		}
//		answer, err = exchange(s.Send) // one XfrBlock
//		...
//	}
//
// T=0 has no block numbers, so that nothing can be repeated after a failure:
// if I/O fails, the owner drops the exchange, and [Host.CommandSent] tells
// whether the card may have executed the command.
//
// After warm-up no exchange allocates, unless it ends in an error or dst has
// to grow.
package t0

import (
	"errors"
	"fmt"

	"kaztoken/internal/iso7816"
)

// Ceilings of one APDU.
const (
	maxGetResponse = 256
	maxPiece       = 255 // of data in one TPDU, and so of one ENVELOPE
	headerLen      = 5   // CLA INS P1 P2 P3
	insGetResponse = 0xC0
	insEnvelope    = 0xC2
)

var (
	// ErrProtocol says that the card or the reader does not keep to T=0: an
	// answer without a status word, more data than asked for, a procedure byte
	// that is none. What the card did is not known.
	ErrProtocol = errors.New("T=0: protocol error")
	// ErrINS says that the instruction code is 6X or 9X, which T=0 cannot
	// carry because they look like SW1 (ISO 7816-3:2006 §10.3.2). Nothing was sent.
	ErrINS = errors.New("T=0: instruction code 6X or 9X")
	// ErrNoEnvelope says that the command has more than 255 bytes of data and
	// that the card knows no ENVELOPE. It was not executed.
	ErrNoEnvelope = errors.New("T=0: card has no ENVELOPE, command data longer than 255 bytes")
	// ErrEndless says that the card exceeded a ceiling: 256 GET RESPONSE of one
	// APDU, or the NULL bytes that Characters allows.
	ErrEndless = errors.New("T=0: card comes to no end")
)

// StepKind says what to do next.
type StepKind byte

const (
	// Send: send Step.Send and come back with Receive.
	Send StepKind = iota
	// Done: the exchange is over, well or with Step.Err.
	Done
)

func (k StepKind) String() string {
	switch k {
	case Send:
		return "Send"
	case Done:
		return "Done"
	}
	return fmt.Sprintf("StepKind(%d)", byte(k))
}

// Step is what a state machine wants next.
type Step struct {
	Kind StepKind
	// Send is what to send, valid until the next call: a TPDU from Host (P3 is
	// always there), characters from Characters, which may be none.
	Send []byte
	// Expect is the number of bytes to read: from Host the longest answer that
	// the TPDU can have (data and status word), from Characters exactly that
	// many characters (wLevelParameter).
	Expect int
	// Resp is, with Done, dst with the result appended; with an error it is
	// dst as it was given.
	Resp []byte
	Err  error
}

// Options changes how Host maps APDUs. The zero value sends as little as the
// protocol allows, which is what applications of PC/SC expect.
type Options struct {
	// AutoGetResponse fetches the response: 61xx is followed by GET RESPONSE,
	// 6Cxx by the command with the right length. Without it applications see
	// these status words themselves.
	AutoGetResponse bool
	// CloseEnvelope sends an empty ENVELOPE behind the last one if that one was
	// answered by 9000: the "end of data string" that ISO 7816-4 gives it under
	// T=0, for cards that do not take the end from the command's own length
	// fields. Others have executed the command by then and refuse it.
	CloseEnvelope bool
}

// Host maps APDUs to T=0 TPDUs, one at a time (ISO 7816-3:2006 §12.2). It is
// not safe for concurrent use. The zero value is ready, with no Options.
type Host struct {
	opt   Options
	state state

	apdu []byte
	cmd  iso7816.Command
	off  int // enveloping: apdu[:off] was sent

	tpdu    [headerLen + maxPiece]byte
	tpduLen int
	want    int  // data bytes that the outstanding TPDU may bring
	resized bool // the outstanding TPDU is a 6Cxx repeat

	dst     []byte
	base    int
	fetches int        // GET RESPONSE sent
	before  iso7816.SW // status word that let us try GET RESPONSE unannounced, or 0
	sent    bool
}

type state byte

const (
	idle      state = iota
	command         // the command itself is out
	enveloped       // a part of it in ENVELOPE
	closing         // the empty ENVELOPE
	fetching        // GET RESPONSE
)

// NewHost makes a Host.
func NewHost(o Options) *Host { return &Host{opt: o} }

// CommandSent reports whether the card may have all of the command that is in
// progress or was last, and so whether an I/O failure leaves its outcome unknown.
func (h *Host) CommandSent() bool { return h.sent }

// Begin starts one APDU and forgets any other. Both slices belong to the Host
// until Done: apdu must not change, and the response is appended to dst. An
// apdu that is none is an error that is iso7816.ErrAPDU.
func (h *Host) Begin(dst, apdu []byte) Step {
	h.end()
	h.dst, h.base, h.apdu = dst, len(dst), apdu
	h.off, h.fetches, h.before, h.resized, h.sent = 0, 0, 0, false, false
	c, err := iso7816.ParseCommand(apdu)
	if err != nil {
		return h.fail(err)
	}
	if c.INS&0xF0 == 0x60 || c.INS&0xF0 == 0x90 {
		return h.fail(ErrINS)
	}
	h.cmd = c
	if len(c.Data) > maxPiece {
		return h.envelope()
	}
	h.state, h.sent = command, true
	if len(c.Data) > 0 {
		return h.send(c.CLA, c.INS, c.P1, c.P2, c.Data, 0)
	}
	return h.send(c.CLA, c.INS, c.P1, c.P2, nil, min(c.Ne, iso7816.MaxShortNe))
}

// Receive takes the answer to the TPDU: its data and the status word. It is
// not kept.
func (h *Host) Receive(answer []byte) Step {
	if h.state == idle {
		return Step{Kind: Done, Err: fmt.Errorf("%w: answer without a command", ErrProtocol)}
	}
	n := len(answer) - 2
	if n < 0 {
		return h.fail(fmt.Errorf("%w: answer of %d bytes", ErrProtocol, len(answer)))
	}
	if n > h.want {
		return h.fail(fmt.Errorf("%w: %d bytes of data for %d", ErrProtocol, n, h.want))
	}
	data, sw := answer[:n], iso7816.SW(answer[n])<<8|iso7816.SW(answer[n+1])
	switch h.state {
	case enveloped:
		return h.nextPiece(data, sw)
	case fetching:
		if h.before != 0 && n == 0 && !positive(sw) && sw>>8 != 0x61 && sw>>8 != 0x6C {
			// There was no response to fetch: what the command said stands.
			return h.finish(nil, h.before)
		}
		if sw>>8 != 0x6C {
			h.before = 0
		}
	}
	return h.result(data, sw)
}

// result handles the status word of the command or of GET RESPONSE.
func (h *Host) result(data []byte, sw iso7816.SW) Step {
	if !h.opt.AutoGetResponse || h.cmd.Ne == 0 {
		return h.finish(data, sw)
	}
	xx := int(byte(sw))
	if xx == 0 {
		xx = iso7816.MaxShortNe
	}
	h.take(data)
	left := h.cmd.Ne - (len(h.dst) - h.base)
	switch {
	case sw>>8 == 0x6C && len(data) == 0 && h.want > 0 && !h.resized:
		h.resized = true
		h.want = xx
		h.tpdu[headerLen-1] = byte(xx)
		return h.step()
	case sw>>8 == 0x61 && left > 0:
		return h.fetch(min(xx, left))
	case h.state != fetching && len(h.cmd.Data) > 0 && len(data) == 0 && positive(sw):
		// The card took a case 4 command without having said that there is a
		// response: ask for it (ISO 7816-3:2006 §12.2, case 4S).
		h.before = sw
		return h.fetch(min(h.cmd.Ne, iso7816.MaxShortNe))
	}
	return h.finish(nil, sw)
}

// positive reports the status words after which a response may be waiting:
// 9000 and the warnings.
func positive(sw iso7816.SW) bool {
	return sw.OK() || sw>>8 == 0x62 || sw>>8 == 0x63
}

func (h *Host) fetch(le int) Step {
	if h.fetches++; h.fetches > maxGetResponse {
		return h.fail(ErrEndless)
	}
	h.state, h.resized = fetching, false
	return h.send(plainClass(h.cmd.CLA), insGetResponse, 0, 0, nil, le)
}

// envelope sends the next piece of the command, as it was given, in ENVELOPE.
func (h *Host) envelope() Step {
	piece := h.apdu[h.off:]
	piece = piece[:min(len(piece), maxPiece)]
	h.off += len(piece)
	h.state = enveloped
	h.sent = h.off == len(h.apdu)
	return h.send(plainClass(h.cmd.CLA), insEnvelope, 0, 0, piece, 0)
}

func (h *Host) nextPiece(data []byte, sw iso7816.SW) Step {
	switch {
	case h.off <= maxPiece && sw == 0x6D00:
		h.sent = false
		return h.fail(ErrNoEnvelope)
	case h.off == len(h.apdu) && sw.OK() && h.opt.CloseEnvelope:
		h.state = closing
		return h.send(plainClass(h.cmd.CLA), insEnvelope, 0, 0, nil, 0)
	case h.off == len(h.apdu):
		return h.result(data, sw)
	case sw.OK():
		return h.envelope()
	}
	return h.finish(data, sw) // refused half-way
}

// plainClass is the CLA' of GET RESPONSE and ENVELOPE: that of the command with
// secure messaging and chaining taken out and the logical channel kept, where
// the class says where they are (ISO 7816-4:2013 §5.4.1); other classes as they
// are.
func plainClass(cla byte) byte {
	switch {
	case cla&0xE0 == 0x00: // first interindustry
		return cla & 0x03
	case cla&0xC0 == 0x40: // further interindustry
		return cla & 0x4F
	}
	return cla
}

// send makes a TPDU with data, or one that expects le bytes (0 to 256).
func (h *Host) send(cla, ins, p1, p2 byte, data []byte, le int) Step {
	h.tpdu[0], h.tpdu[1], h.tpdu[2], h.tpdu[3] = cla, ins, p1, p2
	h.tpdu[4] = byte(le + len(data)) // one of them is 0; 256 is 00
	h.tpduLen = headerLen + copy(h.tpdu[headerLen:], data)
	h.want = le
	return h.step()
}

func (h *Host) step() Step {
	return Step{Kind: Send, Send: h.tpdu[:h.tpduLen], Expect: h.want + 2}
}

// take appends data, up to Ne bytes in all.
func (h *Host) take(data []byte) {
	left := h.cmd.Ne - (len(h.dst) - h.base)
	h.dst = append(h.dst, data[:min(len(data), left)]...)
}

func (h *Host) finish(data []byte, sw iso7816.SW) Step {
	h.dst = append(h.dst, data...)
	s := Step{Kind: Done, Resp: sw.AppendTo(h.dst)}
	h.end()
	return s
}

func (h *Host) fail(err error) Step {
	s := Step{Kind: Done, Resp: h.dst[:h.base], Err: err}
	h.end()
	return s
}

// end forgets what belongs to the exchange: no PIN stays behind.
func (h *Host) end() {
	h.state = idle
	h.apdu, h.dst, h.cmd = nil, nil, iso7816.Command{}
	clear(h.tpdu[:h.tpduLen])
	h.tpduLen = 0
}

// Package t1 is the host's side of the transmission protocol T=1 (ISO/IEC
// 7816-3:2006 clause 11), for readers that exchange blocks and leave the
// protocol to the host.
//
// [Host] is a state machine: no I/O, no clock, no goroutine. Its owner starts
// an exchange with Begin, does what each [Step] says, and hands back what came
// with Receive, or Fail if nothing usable came:
//
//	for s := h.Begin(dst, apdu); ; {
//		switch s.Kind {
//		case t1.Send:
//			block, cause := exchange(s.Block, s.WTX) // one XfrBlock
//			if cause != 0 {
//				s = h.Fail(cause)
//			} else {
//				s = h.Receive(block)
//			}
//		case t1.Done:
//			return s.Resp, s.Err
//		case t1.ResetCard:
//			return s.Resp, s.Err // power the card up again, then h.Reset
//		}
//	}
//
// # What it does
//
// Chaining both ways, S(IFS) both ways, S(WTX), S(ABORT) both ways,
// S(RESYNCH), LRC and both forms of CRC, and the error handling of §11.6.3.2:
// two repeats after the original, then resynchronisation, then a card reset.
//
// # What it promises
//
// A command that the card may have executed is never sent again: once the last
// block of an APDU was handed out, a failure is [ErrOutcomeUnknown] and the
// caller decides. No card can hold an exchange for ever: repeats, S(RESYNCH),
// S(IFS), S(ABORT) and the bytes of the response all have ceilings. Only
// S(WTX) has none, since a card may need all the time that its user needs (a
// key generation, a button): whoever drives the Host bounds it by a deadline
// and ends with Fail(CauseLost).
//
// After warm-up no exchange allocates, unless it ends in an error or dst has
// to grow.
package t1

import (
	"errors"
	"fmt"
)

// Ceilings of one exchange, besides the two repeats of any one block.
const (
	maxFailures = 3     // consecutive: the original and two repeats (rule 7.4)
	maxRepeats  = 20    // blocks sent that bring nothing forward
	maxResynchs = 3     // rounds of S(RESYNCH), of up to maxFailures requests each
	maxIFS      = 3     // S(IFS request) of the card between two other blocks (rule 8)
	maxAborts   = 3     // S(ABORT request) of the card
	maxResponse = 65538 // response APDU, bytes: 65536 and the status word
	startIFS    = 32    // IFSC and IFSD without any other word (§11.4.2)
)

var (
	// ErrOutcomeUnknown says that the whole command was sent and no answer to
	// it came: the card may or may not have executed it. It is never sent again
	// here; that is for the caller to decide.
	ErrOutcomeUnknown = errors.New("outcome of the command is unknown")
	// ErrAborted says that the card gave up the command, or Abort did. With
	// ErrOutcomeUnknown beside it (errors.Is) the card had all of the command.
	ErrAborted = errors.New("T=1: exchange aborted")
	// ErrProtocol says that the card does not keep to the protocol and that
	// all attempts to bring it back were used up.
	ErrProtocol = errors.New("T=1: protocol error")
	// ErrMute says that the card does not answer at all, not even to
	// resynchronisation.
	ErrMute = errors.New("T=1: card does not answer")
	// ErrDead says that the link is dead until the card is reset.
	ErrDead = errors.New("T=1: card needs a reset")
	// ErrTooLong says that the response is longer than Params.MaxResponse, or
	// that a PIN command does not fit one block.
	ErrTooLong = errors.New("T=1: too long")
	// ErrShort says that the response APDU has no status word.
	ErrShort = errors.New("T=1: response shorter than a status word")
)

// Params is what the Host has to know of the card and the reader. The zero
// value is right for a card with LRC whose ATR says nothing more.
type Params struct {
	// EDC is the code that the ATR asks for. With CRC the Host finds out by
	// itself which form the card speaks.
	EDC EDC
	// IFSC is the card's information field size from the ATR, 1 to 254; any
	// other value means 32.
	IFSC int
	// IFSD is the size that the card believes us to accept: that which the
	// reader negotiated itself, else 32, for which 0 stands.
	IFSD int
	// MaxINF caps the information field of blocks sent, for readers with short
	// messages: dwMaxCCIDMessageLength - 10 - 3 - EDC.Len(). 0 is no cap.
	MaxINF int
	// NAD is the node address of the blocks sent; the card's have its halves
	// swapped. Use 0.
	NAD byte
	// MaxResponse is the longest response delivered, bytes with status word; 0
	// is 65538. A longer one is received to its end and is then ErrTooLong.
	MaxResponse int
}

// StepKind says what to do next.
type StepKind byte

const (
	// Send: send Step.Block and come back with Receive or Fail.
	Send StepKind = iota
	// Done: the exchange is over, well or with Step.Err, and the next may begin.
	Done
	// ResetCard: the exchange failed with Step.Err and the card has to be reset
	// (cold, once), then Reset called, before anything else works.
	ResetCard
)

func (k StepKind) String() string {
	switch k {
	case Send:
		return "Send"
	case Done:
		return "Done"
	case ResetCard:
		return "ResetCard"
	}
	return fmt.Sprintf("StepKind(%d)", byte(k))
}

// Step is what the Host wants next.
type Step struct {
	Kind StepKind
	// Block is the whole block to send, valid until the next call to the Host.
	Block []byte
	// WTX is not 0 with the answer to an S(WTX request): bBWI of this block,
	// and the wait after it is WTX times BWT.
	WTX byte
	// Resp is, with Done, dst with the response APDU appended; with an error
	// it is dst as it was given.
	Resp []byte
	Err  error
}

// Cause is why no block came in answer to one sent.
type Cause byte

const (
	// CauseTimeout: the card is present and was silent (ICC_MUTE, FE).
	CauseTimeout Cause = iota + 1
	// CauseParity: a character was damaged on the way (XFR_PARITY_ERROR, FD).
	CauseParity
	// CauseOverrun: the reader lost characters (XFR_OVERRUN, FC).
	CauseOverrun
	// CauseLost: there is no going on. The card was removed, the reader failed
	// otherwise, the caller's deadline passed.
	CauseLost
)

func (c Cause) String() string {
	switch c {
	case CauseTimeout:
		return "timeout"
	case CauseParity:
		return "parity error"
	case CauseOverrun:
		return "overrun"
	case CauseLost:
		return "lost"
	}
	return fmt.Sprintf("Cause(%d)", byte(c))
}

type state byte

const (
	idle    state = iota
	sent          // WI: the only or last I-block of the command is out
	chain         // WA: an I-block with M is out, an R-block has to come
	receive       // WN: acknowledged a part of the card's chain
	super         // WS: an S-block request is out
	aborted       // answered S(ABORT request): the right to send or an answer comes
	dead
)

// Host is the host's end of one link to one card. It is not safe for
// concurrent use. The zero value is not ready: see [NewHost].
type Host struct {
	// The link: lasts from card reset to card reset.
	p       Params
	edc     EDC
	ifsc    int
	ifsd    int
	ns, nr  byte // number of our next or outstanding I-block; that of the card's next
	heard   bool // an error-free block came since the card's reset
	state   state
	request byte // super: PCB of the request
	ifs     byte // super with IFS: the size asked for

	// The exchange in progress.
	apdu        []byte // unsent part begins at off
	off, part   int    // the outstanding I-block holds apdu[off : off+part]
	outstanding bool   // our last I-block was not acknowledged yet
	final       bool   // the card may have all of the command
	secure      bool   // the reader holds the command: it cannot be repeated here
	abort       bool   // Abort was called
	verdict     error  // what the exchange ends with once the link is in order
	silent      bool   // nothing but timeouts since the last block
	dst         []byte
	base        int // len(dst) at Begin
	total       int // bytes of response seen, delivered or not

	failures, repeats, resynchs, ifsRequests, abortRequests int

	// last is the last block sent without its code, which depends on edc.
	last    [MaxBlockLen]byte
	lastLen int
}

// NewHost makes a Host for a card that was just reset.
func NewHost(p Params) *Host {
	h := new(Host)
	h.Reset(p)
	return h
}

// Reset puts the link in the state after a card reset: numbers at 0, IFSC and
// IFSD as p says. An exchange in progress is forgotten.
func (h *Host) Reset(p Params) {
	if p.IFSC < 1 || p.IFSC > MaxINF {
		p.IFSC = startIFS
	}
	if p.IFSD < 1 || p.IFSD > MaxINF {
		p.IFSD = startIFS
	}
	if p.MaxResponse <= 0 || p.MaxResponse > maxResponse {
		p.MaxResponse = maxResponse
	}
	*h = Host{p: p, edc: p.EDC, ifsc: p.IFSC, ifsd: p.IFSD}
}

// IFSC is the card's information field size in force, bytes.
func (h *Host) IFSC() int { return h.ifsc }

// IFSD is our information field size in force, bytes.
func (h *Host) IFSD() int { return h.ifsd }

// EDC is the code in force: Params.EDC, or CRCInverted once a card was found
// to speak that.
func (h *Host) EDC() EDC { return h.edc }

// Dead reports whether the card has to be reset before the next exchange.
func (h *Host) Dead() bool { return h.state == dead }

// LastBlockSent reports whether the card may have all of the command that is
// in progress or was last: its final block was handed out in a Step. If I/O
// fails now, the outcome is unknown.
func (h *Host) LastBlockSent() bool { return h.final }

// Begin starts the exchange of one APDU. Both slices belong to the Host until
// Done or ResetCard: apdu must not change, and the response is appended to dst.
// Beginning while another exchange is in progress kills the link: where the
// card stands is then not known.
func (h *Host) Begin(dst, apdu []byte) Step {
	if !h.start(dst) {
		return h.kill(ErrDead)
	}
	h.apdu = apdu
	return h.sendPart(h.maxPart())
}

// BeginIFS starts S(IFS request): it tells the card that we accept information
// fields of up to ifsd bytes, 1 to 254. A card that refuses three times keeps
// the old size and that is no error; IFSD tells. A card that says nothing
// three times is ErrMute.
func (h *Host) BeginIFS(ifsd int) Step {
	if ifsd < 1 || ifsd > MaxINF {
		return Step{Kind: Done, Err: fmt.Errorf("T=1: IFSD %d is not in 1 to %d", ifsd, MaxINF)}
	}
	if !h.start(nil) {
		return h.kill(ErrDead)
	}
	h.ifs = byte(ifsd)
	return h.sendRequest(IFS)
}

// BeginSecure starts the exchange of a command of n bytes that the reader
// completes with a PIN and sends itself (PC_to_RDR_Secure at TPDU level, CCID
// rev 1.10 §6.1.11). Block is the prologue for bTeoPrologue, not a block to
// send. The reader's answer is a block of the card and goes to Receive; what
// follows is as after Begin, except that the command itself cannot be repeated.
// If the reader reports that the command did not reach the card (cancelled,
// timed out), call Withdraw.
func (h *Host) BeginSecure(dst []byte, n int) Step {
	if n < 1 || n > h.maxPart() {
		return Step{Kind: Done, Resp: dst, Err: fmt.Errorf("%w: PIN command of %d bytes, block of %d", ErrTooLong, n, h.maxPart())}
	}
	if !h.start(dst) {
		return h.kill(ErrDead)
	}
	h.secure, h.final, h.outstanding, h.state = true, true, true, sent
	h.put(h.ns<<6, nil)
	h.last[2] = byte(n)
	return Step{Kind: Send, Block: h.last[:PrologueLen]}
}

// Withdraw takes back a BeginSecure whose block never left the reader. The
// numbers of both sides stay as they were. Without one it does nothing.
func (h *Host) Withdraw() {
	if h.secure && h.state == sent {
		h.final = false
		h.end(idle)
	}
}

// Abort asks for the exchange to be given up. It takes effect with the next
// Step in which the Host has the right to send: S(ABORT request) in place of
// the next part of the command, or in place of the acknowledgement of a part
// of the response, and S(RESYNCH request) to put the numbers straight. The
// exchange then ends with ErrAborted. If no such chance comes, it ends as if
// Abort had not been called.
func (h *Host) Abort() { h.abort = true }

// start prepares an exchange. It reports false if the link cannot begin one.
func (h *Host) start(dst []byte) bool {
	ok := h.state == idle
	h.apdu, h.off, h.part = nil, 0, 0
	h.outstanding, h.final, h.secure, h.abort, h.verdict = false, false, false, false, nil
	h.dst, h.base, h.total, h.silent = dst, len(dst), 0, true
	h.failures, h.repeats, h.resynchs, h.ifsRequests, h.abortRequests = 0, 0, 0, 0, 0
	return ok
}

// end forgets what belongs to the exchange, so that no PIN stays behind in the
// block buffer and the caller's slices are free.
func (h *Host) end(next state) {
	h.state, h.secure = next, false
	h.apdu, h.dst = nil, nil
	clear(h.last[:])
	h.lastLen = 0
}

// finish ends the exchange with the link in order.
func (h *Host) finish(err error) Step {
	s := Step{Kind: Done, Resp: h.dst, Err: err}
	if err != nil {
		s.Resp = h.dst[:h.base]
	}
	h.end(idle)
	return s
}

// kill ends the exchange and the link.
func (h *Host) kill(reason error) Step {
	s := Step{Kind: ResetCard, Resp: h.dst[:h.base], Err: h.outcome(reason)}
	h.end(dead)
	return s
}

// outcome adds to the reason of a failure that the command may have been
// executed.
func (h *Host) outcome(reason error) error {
	if h.final {
		return fmt.Errorf("%w: %w", reason, ErrOutcomeUnknown)
	}
	return reason
}

// maxPart is the longest information field that may be sent now.
func (h *Host) maxPart() int {
	if h.p.MaxINF > 0 {
		return min(h.ifsc, h.p.MaxINF)
	}
	return h.ifsc
}

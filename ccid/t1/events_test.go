package t1

import (
	"errors"
	"fmt"
	"testing"
)

// A start brings a fresh Host into one state of the state/event table, with
// the numbers that the rows are written for.
type start struct {
	begin func(h *Host) Step
	first string
	turns []turn
}

// All with IFSC 4, so that chains are short.
var starts = map[string]start{
	// The only I-block is out: I(0,0); card's number expected: 0.
	"WI": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 84 00 00")) },
		first: "00 00 04 00 84 00 00+",
	},
	// The first of three parts is out: I(0,1).
	"WA": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 D6 00 00 05 A1 A2 A3 A4 A5")) },
		first: "00 20 04 00 D6 00 00+",
	},
	// The last of two parts is out: I(1,0).
	"WI last of chain": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 D6 00 00 01 A1")) },
		first: "00 20 04 00 D6 00 00+",
		turns: []turn{{in: "00 90 00+", out: "00 40 02 01 A1+"}},
	},
	// One part of the card's chain was acknowledged: I(0,1) came, R(1) is out.
	"WN": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 B0 00 00")) },
		first: "00 00 04 00 B0 00 00+",
		turns: []turn{{in: "00 20 02 11 22+", out: "00 90 00+"}},
	},
	"WS IFS": {
		begin: func(h *Host) Step { return h.BeginIFS(254) },
		first: "00 C1 01 FE 3E",
	},
	"WS RESYNCH, command sent": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 84 00 00")) },
		first: "00 00 04 00 84 00 00+",
		turns: []turn{
			{in: "00 90 00+", out: "00 82 00+"},
			{in: "timeout", out: "00 82 00+"},
			{in: "timeout", out: "00 C0 00 C0"},
		},
	},
	"WS RESYNCH, command not sent": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 D6 00 00 05 A1 A2 A3 A4 A5")) },
		first: "00 20 04 00 D6 00 00+",
		turns: []turn{
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "timeout", out: "00 82 00+"},
			{in: "timeout", out: "00 82 00+"},
			{in: "timeout", out: "00 C0 00 C0"},
		},
	},
	"aborted by card, our chain": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 D6 00 00 05 A1 A2 A3 A4 A5")) },
		first: "00 20 04 00 D6 00 00+",
		turns: []turn{{in: "00 C2 00 C2", out: "00 E2 00 E2"}},
	},
	"aborted by card, its chain": {
		begin: func(h *Host) Step { return h.Begin(nil, hx("00 B0 00 00")) },
		first: "00 00 04 00 B0 00 00+",
		turns: []turn{
			{in: "00 20 02 11 22+", out: "00 90 00+"},
			{in: "00 C2 00 C2", out: "00 E2 00 E2"},
		},
	},
}

func TestStateEventTable(t *testing.T) {
	unknown := []error{ErrOutcomeUnknown}
	for _, row := range []struct {
		state, event string
		turns        []turn
	}{
		// I, N=nr, M=0.
		{"WI", "I last", []turn{{in: "00 00 02 90 00+", out: "done", resp: "90 00"}}},
		{"WI last of chain", "I last", []turn{{in: "00 00 02 90 00+", out: "done", resp: "90 00"}}},
		{"WN", "I last", []turn{{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"}}},
		{"WN", "I last, empty", []turn{{in: "00 40 00+", out: "done", resp: "11 22"}}},
		{"WA", "I last: an early answer", []turn{{in: "00 00 02 67 00+", out: "done", resp: "67 00"}}},

		// I, N=nr, M=1.
		{"WI", "I more", []turn{
			{in: "00 20 01 AA+", out: "00 90 00+"},
			{in: "00 60 01 BB+", out: "00 80 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "AA BB 90 00"},
		}},
		{"WN", "I more", []turn{
			{in: "00 60 01 33+", out: "00 80 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "11 22 33 90 00"},
		}},
		{"WA", "I more: an early answer in parts", []turn{
			{in: "00 20 01 67+", out: "00 90 00+"},
			{in: "00 40 01 00+", out: "done", resp: "67 00"},
		}},
		{"WA", "an early answer that breaks off is not repeated", []turn{
			{in: "00 20 01 67+", out: "00 90 00+"},
			{in: "timeout", out: "00 90 00+"}, {in: "timeout", out: "00 90 00+"},
			{in: "timeout", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: unknown},
		}},

		// I, N≠nr.
		{"WI", "I wrong", []turn{
			{in: "00 40 02 90 00+", out: "00 82 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "I wrong", []turn{
			{in: "00 40 02 90 00+", out: "00 82 00+"},
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
		}},
		{"WN", "I duplicate is not appended", []turn{
			{in: "00 20 02 11 22+", out: "00 90 00+"},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},

		// R, next number.
		{"WI", "R next", []turn{
			{in: "00 90 00+", out: "00 82 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "R next", []turn{
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "00 80 00+", out: "00 00 02 A4 A5+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "R next with an error code", []turn{{in: "00 91 00+", out: "00 60 04 05 A1 A2 A3+"}}},
		{"WN", "R next", []turn{
			{in: "00 90 00+", out: "00 90 00+"},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},

		// R, our number.
		{"WI", "R ours", []turn{
			{in: "00 81 00+", out: "00 00 04 00 84 00 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WI last of chain", "R ours", []turn{
			{in: "00 91 00+", out: "00 40 02 01 A1+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "R ours", []turn{
			{in: "00 82 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
		}},
		{"WN", "R ours", []turn{
			{in: "00 80 00+", out: "00 90 00+"},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},
		{"WI", "R ours after our R: the card never saw the I-block", []turn{
			{in: "timeout", out: "00 82 00+"},
			{in: "00 82 00+", out: "00 00 04 00 84 00 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},

		// S(WTX request).
		{"WI", "WTX", []turn{
			{in: "00 C3 01 03+", out: "00 E3 01 03+", wtx: 3},
			{in: "00 C3 01 FF+", out: "00 E3 01 FF+", wtx: 255},
			{in: "00 C3 01 00+", out: "00 E3 01 00+", wtx: 0},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "WTX", []turn{
			{in: "00 C3 01 03+", out: "00 E3 01 03+", wtx: 3},
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
		}},
		{"WN", "WTX", []turn{
			{in: "00 C3 01 03+", out: "00 E3 01 03+", wtx: 3},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},
		{"WN", "WTX, then a bad block: R as after an I-block", []turn{
			{in: "00 C3 01 03+", out: "00 E3 01 03+", wtx: 3},
			{in: "parity", out: "00 91 00+"},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},

		// S(IFS request).
		{"WI", "IFS", []turn{
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "IFS grows: the next part is bigger", []turn{
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 90 00+", out: "00 40 06 05 A1 A2 A3 A4 A5+"},
		}},
		{"WA", "IFS grows: a repeat is not", []turn{
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 82 00+", out: "00 20 04 00 D6 00 00+"},
		}},
		{"WA", "IFS shrinks: the next part is smaller", []turn{
			{in: "00 C1 01 01+", out: "00 E1 01 01+"},
			{in: "00 90 00+", out: "00 60 01 05+"},
			{in: "00 80 00+", out: "00 20 01 A1+"},
		}},
		{"WA", "IFS shrinks: a repeat is too", []turn{
			{in: "00 C1 01 03+", out: "00 E1 01 03+"},
			{in: "00 82 00+", out: "00 20 03 00 D6 00+"},
			{in: "00 90 00+", out: "00 60 03 00 05 A1+"},
		}},
		{"WI", "IFS shrinks: the only block becomes a chain", []turn{
			{in: "00 C1 01 02+", out: "00 E1 01 02+"},
			{in: "00 82 00+", out: "00 20 02 00 84+"},
			{in: "00 90 00+", out: "00 40 02 00 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WA", "IFS 254", []turn{
			{in: "00 C1 01 FE+", out: "00 E1 01 FE+"},
			{in: "00 90 00+", out: "00 40 06 05 A1 A2 A3 A4 A5+"},
		}},
		{"WI", "IFS 0", []turn{{in: "00 C1 01 00+", out: "00 82 00+"}}},
		{"WI", "IFS 255", []turn{{in: "00 C1 01 FF+", out: "00 82 00+"}}},
		{"WN", "IFS", []turn{
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 40 02 90 00+", out: "done", resp: "11 22 90 00"},
		}},
		{"WN", "IFS repeated, as our answer was lost; the fourth is a failure", []turn{
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 C1 01 10+", out: "00 E1 01 10+"},
			{in: "00 C1 01 10+", out: "00 92 00+"},
		}},

		// S(ABORT request).
		{"WI", "ABORT, then an answer", []turn{
			{in: "00 C2 00+", out: "00 E2 00+"},
			{in: "00 00 02 6F 00+", out: "done", resp: "6F 00"},
		}},
		{"WI", "ABORT, then the right to send", []turn{
			{in: "00 C2 00+", out: "00 E2 00+"},
			{in: "00 90 00+", out: "done", errs: []error{ErrAborted, ErrOutcomeUnknown}},
		}},
		{"WA", "ABORT, then the right to send", []turn{
			{in: "00 C2 00+", out: "00 E2 00+"},
			{in: "00 90 00+", out: "done", errs: []error{ErrAborted}},
		}},
		{"aborted by card, our chain", "an answer is delivered", []turn{{in: "00 00 02 67 00+", out: "done", resp: "67 00"}}},
		{"aborted by card, our chain", "silence: resynchronise, never send again", []turn{
			{in: "timeout", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: []error{ErrAborted}},
		}},
		{"aborted by card, our chain", "our answer was lost", []turn{
			{in: "00 C2 00+", out: "00 E2 00+"},
			{in: "00 C2 00+", out: "00 E2 00+"},
			{in: "00 C2 00+", out: "00 82 00+"},
		}},
		{"aborted by card, our chain", "bad block, then the right to send", []turn{
			{in: "parity", out: "00 81 00+"},
			{in: "00 90 00+", out: "done", errs: []error{ErrAborted}},
		}},
		{"aborted by card, its chain", "a new chain", []turn{
			{in: "00 60 01 77+", out: "00 80 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "77 90 00"},
		}},
		{"aborted by card, its chain", "the right to send", []turn{
			{in: "00 90 00+", out: "done", errs: []error{ErrAborted, ErrOutcomeUnknown}},
		}},
		{"aborted by card, its chain", "silence", []turn{
			{in: "timeout", out: "00 92 00+"},
			{in: "timeout", out: "00 92 00+"},
			{in: "timeout", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: unknown},
		}},

		// S(RESYNCH request) from the card, and answers nobody waits for.
		{"WI", "RESYNCH request", []turn{{in: "00 C0 00+", out: "00 82 00+"}}},
		{"WA", "RESYNCH request", []turn{{in: "00 C0 00+", out: "00 82 00+"}}},
		{"WN", "RESYNCH request", []turn{{in: "00 C0 00+", out: "00 90 00+"}}},
		{"WI", "RESYNCH response", []turn{{in: "00 E0 00+", out: "00 82 00+"}}},
		{"WI", "IFS response", []turn{{in: "00 E1 01 FE+", out: "00 82 00+"}}},
		{"WA", "ABORT response", []turn{{in: "00 E2 00+", out: "00 82 00+"}}},
		{"WN", "WTX response", []turn{{in: "00 E3 01 05+", out: "00 90 00+"}}},

		// Invalid blocks and the reader's errors.
		{"WI", "bad LRC", []turn{{in: "00 00 02 90 00 93", out: "00 81 00+"}}},
		{"WA", "bad LRC", []turn{{in: "00 90 00 91", out: "00 81 00+"}}},
		{"WN", "bad LRC", []turn{{in: "00 40 02 90 00 D3", out: "00 90 00+"}}},
		{"WI", "too short", []turn{{in: "00 00", out: "00 82 00+"}}},
		{"WI", "nothing", []turn{{in: "", out: "00 82 00+"}}},
		{"WI", "reserved PCB", []turn{{in: "00 C4 00+", out: "00 82 00+"}}},
		{"WI", "NAD of somebody else", []turn{{in: "11 00 02 90 00+", out: "00 82 00+"}}},
		{"WI", "padding is cut", []turn{{in: "00 00 02 90 00 92 00 00", out: "done", resp: "90 00"}}},
		{"WI", "timeout", []turn{{in: "timeout", out: "00 82 00+"}}},
		{"WA", "timeout", []turn{{in: "timeout", out: "00 82 00+"}}},
		{"WN", "timeout", []turn{{in: "timeout", out: "00 90 00+"}}},
		{"WI", "parity", []turn{{in: "parity", out: "00 81 00+"}}},
		{"WA", "parity", []turn{{in: "parity", out: "00 81 00+"}}},
		{"WN", "parity", []turn{{in: "parity", out: "00 90 00+"}}},
		{"WI", "overrun", []turn{{in: "overrun", out: "00 82 00+"}}},
		{"WI", "the same R again, whatever the second error", []turn{
			{in: "parity", out: "00 81 00+"},
			{in: "timeout", out: "00 81 00+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WI", "card removed", []turn{{in: "lost", out: "reset", errs: []error{ErrDead, ErrOutcomeUnknown}}}},
		{"WN", "card removed", []turn{{in: "lost", out: "reset", errs: []error{ErrDead, ErrOutcomeUnknown}}}},

		// Rule 7.4.
		{"WI", "never an error-free block: reset, and not RESYNCH", []turn{
			{in: "parity", out: "00 81 00+"}, {in: "parity", out: "00 81 00+"},
			{in: "parity", out: "reset", errs: []error{ErrProtocol, ErrOutcomeUnknown}},
		}},
		{"WA", "never an error-free block, command not sent", []turn{
			{in: "parity", out: "00 81 00+"}, {in: "parity", out: "00 81 00+"},
			{in: "parity", out: "reset", errs: []error{ErrProtocol}},
		}},
		{"WI", "mute", []turn{
			{in: "timeout", out: "00 82 00+"}, {in: "timeout", out: "00 82 00+"},
			{in: "timeout", out: "reset", errs: []error{ErrMute, ErrOutcomeUnknown}},
		}},
		{"WA", "R ours three times counts as three failures", []turn{
			{in: "00 81 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 81 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 81 00+", out: "00 C0 00+"},
		}},
		{"WA", "an expected block starts the count again", []turn{
			{in: "00 81 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 81 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "00 91 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "00 91 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "00 80 00+", out: "00 00 02 A4 A5+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},

		// WS.
		{"WS IFS", "echo", []turn{{in: "00 E1 01 FE 1E", out: "done"}}},
		{"WS IFS", "refused: goes on at the old size", []turn{
			{in: "00 82 00+", out: "00 C1 01 FE 3E"},
			{in: "00 E1 01 20+", out: "00 C1 01 FE 3E"},
			{in: "00 82 00+", out: "done"},
		}},
		{"WS IFS", "garbage is not silence", []turn{
			{in: "timeout", out: "00 C1 01 FE 3E"},
			{in: "parity", out: "00 C1 01 FE 3E"},
			{in: "timeout", out: "done"},
		}},
		{"WS IFS", "silence", []turn{
			{in: "timeout", out: "00 C1 01 FE 3E"},
			{in: "timeout", out: "00 C1 01 FE 3E"},
			{in: "timeout", out: "reset", errs: []error{ErrMute}},
		}},
		{"WS IFS", "card removed", []turn{{in: "lost", out: "reset", errs: []error{ErrDead}}}},
		{"WS RESYNCH, command sent", "response", []turn{{in: "00 E0 00+", out: "done", errs: unknown}}},
		{"WS RESYNCH, command sent", "anything else, then the response", []turn{
			{in: "00 00 02 90 00+", out: "00 C0 00+"},
			{in: "parity", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: unknown},
		}},
		{"WS RESYNCH, command sent", "three times in vain", []turn{
			{in: "timeout", out: "00 C0 00+"},
			{in: "00 E1 01 FE+", out: "00 C0 00+"},
			{in: "timeout", out: "reset", errs: []error{ErrProtocol, ErrOutcomeUnknown}},
		}},
		{"WS RESYNCH, command not sent", "response: from the first byte", []turn{
			{in: "00 E0 00+", out: "00 20 04 00 D6 00 00+"},
			{in: "00 90 00+", out: "00 60 04 05 A1 A2 A3+"},
			{in: "00 80 00+", out: "00 00 02 A4 A5+"},
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		}},
		{"WS RESYNCH, command not sent", "three times in vain", []turn{
			{in: "timeout", out: "00 C0 00+"},
			{in: "timeout", out: "00 C0 00+"},
			{in: "timeout", out: "reset", errs: []error{ErrMute}},
		}},
	} {
		t.Run(row.state+"/"+row.event, func(t *testing.T) {
			h := NewHost(Params{IFSC: 4})
			st, ok := starts[row.state]
			if !ok {
				t.Fatalf("no state %q", row.state)
			}
			play(t, h, st.begin(h), st.first, append(append([]turn{}, st.turns...), row.turns...))
		})
	}
}

// After an abort the numbers go on where the card's R-block says.
func TestNumbersAfterAbort(t *testing.T) {
	for _, tt := range []struct{ handOver, next string }{
		{"00 90 00+", "00 40 04 00 84 00 00+"},
		{"00 80 00+", "00 00 04 00 84 00 00+"},
	} {
		h := NewHost(Params{IFSC: 4})
		st := starts["aborted by card, our chain"]
		play(t, h, st.begin(h), st.first, append(append([]turn{}, st.turns...),
			turn{in: tt.handOver, out: "done", errs: []error{ErrAborted}}))
		play(t, h, h.Begin(nil, hx("00 84 00 00")), tt.next, []turn{
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		})
	}
}

// IFSC grown by the card is void after RESYNCH, IFSC shrunk is kept.
func TestIFSCAfterResynch(t *testing.T) {
	for _, tt := range []struct {
		ask  string
		want int
	}{{"10", 4}, {"02", 2}} {
		h := NewHost(Params{IFSC: 4})
		play(t, h, h.Begin(nil, hx("00 84 00 00")), "00 00 04 00 84 00 00+", []turn{
			{in: "00 C1 01 " + tt.ask + "+", out: "00 E1 01 " + tt.ask + "+"},
			{in: "parity", out: "00 81 00+"}, {in: "parity", out: "00 81 00+"}, {in: "parity", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: []error{ErrOutcomeUnknown}},
		})
		if h.IFSC() != tt.want {
			t.Errorf("IFSC asked for %s: got %d want %d", tt.ask, h.IFSC(), tt.want)
		}
	}
}

func TestAbortByHost(t *testing.T) {
	t.Run("of the card's chain", func(t *testing.T) {
		h := NewHost(Params{IFSC: 4})
		s := h.Begin(nil, hx("00 B0 00 00"))
		h.Abort()
		play(t, h, s, "00 00 04 00 B0 00 00+", []turn{
			{in: "00 20 02 11 22+", out: "00 C2 00+"},
			{in: "parity", out: "00 C2 00+"},
			{in: "00 E2 00+", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: []error{ErrAborted, ErrOutcomeUnknown}},
		})
		play(t, h, h.Begin(nil, hx("00 84 00 00")), "00 00 04 00 84 00 00+", []turn{
			{in: "00 00 02 90 00+", out: "done", resp: "90 00"},
		})
	})
	t.Run("of our chain", func(t *testing.T) {
		h := NewHost(Params{IFSC: 4})
		s := h.Begin(nil, hx("00 D6 00 00 01 A1"))
		h.Abort()
		play(t, h, s, "00 20 04 00 D6 00 00+", []turn{
			{in: "00 90 00+", out: "00 C2 00+"},
			{in: "00 E2 00+", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: []error{ErrAborted}},
		})
		if h.LastBlockSent() {
			t.Error("the last block was never sent")
		}
	})
	t.Run("refused: RESYNCH", func(t *testing.T) {
		h := NewHost(Params{IFSC: 4})
		s := h.Begin(nil, hx("00 D6 00 00 01 A1"))
		h.Abort()
		play(t, h, s, "00 20 04 00 D6 00 00+", []turn{
			{in: "00 90 00+", out: "00 C2 00+"},
			{in: "00 82 00+", out: "00 C2 00+"}, {in: "00 82 00+", out: "00 C2 00+"}, {in: "00 82 00+", out: "00 C0 00+"},
			{in: "00 E0 00+", out: "done", errs: []error{ErrAborted}},
		})
	})
	t.Run("too late", func(t *testing.T) {
		h := NewHost(Params{IFSC: 4})
		s := h.Begin(nil, hx("00 84 00 00"))
		h.Abort()
		play(t, h, s, "00 00 04 00 84 00 00+", []turn{{in: "00 00 02 90 00+", out: "done", resp: "90 00"}})
		play(t, h, h.Begin(nil, hx("00 D6 00 00 01 A1")), "00 60 04 00 D6 00 00+", []turn{
			{in: "00 80 00+", out: "00 00 02 01 A1+"}, // nothing of it is left
		})
	})
}

// Ceilings: each of them alone ends the exchange.
func TestCeilings(t *testing.T) {
	t.Run("20 repeats", func(t *testing.T) {
		h := NewHost(Params{IFSC: 1})
		s, repeats := h.Begin(nil, make([]byte, 200)), 0
		for n := byte(0); s.Kind == Send; n ^= 0x10 {
			if s = h.Fail(CauseParity); s.Kind != Send || repeats > 20 { // one failure for each part
				break
			}
			repeats++
			s = h.Receive(Block{PCB: RBlock | (n ^ 0x10)}.AppendTo(nil, LRC))
		}
		if s.Kind != ResetCard || !errors.Is(s.Err, ErrProtocol) || errors.Is(s.Err, ErrOutcomeUnknown) || repeats != 20 {
			t.Errorf("got %+v after %d repeats", s, repeats)
		}
	})
	t.Run("3 RESYNCH", func(t *testing.T) {
		h := NewHost(Params{IFSC: 4})
		s, resynchs := h.Begin(nil, make([]byte, 6)), 0
		for s.Kind == Send && resynchs <= 3 {
			in := "00 80 00+" // "repeat", for ever
			if s.Block[1] == Resynch {
				resynchs++
				in = "00 E0 00+"
			}
			s = event(h, in)
		}
		if s.Kind != ResetCard || !errors.Is(s.Err, ErrProtocol) || errors.Is(s.Err, ErrOutcomeUnknown) || resynchs != 3 {
			t.Errorf("got %+v after %d RESYNCH", s, resynchs)
		}
	})
	t.Run("empty parts of a card's chain", func(t *testing.T) {
		h := NewHost(Params{})
		s, parts := h.Begin(nil, make([]byte, 4)), 0
		for n := byte(0); s.Kind == Send && parts <= 21; n ^= 0x40 {
			s = h.Receive(Block{PCB: n | More}.AppendTo(nil, LRC))
			parts++
		}
		if s.Kind != ResetCard || !errors.Is(s.Err, ErrOutcomeUnknown) || parts != 21 {
			t.Errorf("got %+v after %d parts", s, parts)
		}
	})
	t.Run("WTX has none and hurts nobody", func(t *testing.T) {
		h := NewHost(Params{})
		s := h.Begin(nil, make([]byte, 4))
		for range 100_000 {
			if s = h.Receive(hx("00 C3 01 05 C7")); s.Kind != Send || s.WTX != 5 {
				t.Fatalf("got %+v", s)
			}
		}
		if s = h.Receive(hx("00 00 02 90 00 92")); s.Kind != Done || s.Err != nil {
			t.Errorf("got %+v", s)
		}
	})
}

// storm feeds blocks over and over and returns how many Steps other than
// answers to S(WTX request) it took to end, or -1 beyond the limit.
func storm(h *Host, s Step, limit int, blocks ...[]byte) int {
	n := 0
	for i := 0; s.Kind == Send; i++ {
		if s.WTX == 0 {
			n++
		}
		if n > limit || i > 100*limit {
			return -1
		}
		s = h.Receive(blocks[i%len(blocks)])
	}
	return n
}

// Whatever one block a card repeats for ever, in whatever state: it ends.
func TestStormOfOneBlock(t *testing.T) {
	for name, st := range starts {
		for pcb := range 256 {
			for n := range 4 {
				h := NewHost(Params{IFSC: 4})
				s := st.begin(h)
				for _, w := range st.turns {
					s = event(h, w.in)
				}
				block := Block{PCB: byte(pcb), INF: hx("05 05 05")[:n]}
				if block.PCB == WTX && n == 1 && name[:2] != "WS" {
					continue // bounded by the caller's deadline only
				}
				if storm(h, s, 64, block.AppendTo(nil, LRC)) < 0 {
					t.Errorf("%s: %v does not end it", name, block)
				}
			}
		}
	}
}

// The same for any two blocks in turn. A chain that goes on ends by its size.
func TestStormOfTwoBlocks(t *testing.T) {
	var blocks []Block
	for _, pcb := range []byte{0x00, 0x20, 0x40, 0x60, 0x80, 0x81, 0x90, 0x92, 0xC0, 0xC1, 0xC2, 0xC3, 0xE0, 0xE1, 0xE2, 0xE3, 0xFF} {
		blocks = append(blocks, Block{PCB: pcb}, Block{PCB: pcb, INF: hx("FE")}, Block{PCB: pcb, INF: hx("01")})
	}
	for name, st := range starts {
		for _, a := range blocks {
			for _, b := range blocks {
				if a.PCB == WTX && b.PCB == WTX {
					continue
				}
				if a.More() && b.More() && a.Seq() != b.Seq() && name != "WI" {
					continue // 65,539 blocks: one state is enough
				}
				h := NewHost(Params{IFSC: 4})
				s := st.begin(h)
				for _, w := range st.turns {
					s = event(h, w.in)
				}
				if storm(h, s, 70_000, a.AppendTo(nil, LRC), b.AppendTo(nil, LRC)) < 0 {
					t.Errorf("%s: %v and %v do not end it", name, a, b)
				}
			}
		}
	}
}

func TestStrings(t *testing.T) {
	for want, s := range map[string]fmt.Stringer{
		"Send": Send, "Done": Done, "ResetCard": ResetCard, "StepKind(9)": StepKind(9),
		"timeout": CauseTimeout, "parity error": CauseParity, "overrun": CauseOverrun, "lost": CauseLost, "Cause(9)": Cause(9),
		"LRC": LRC, "CRC": CRC, "CRC inverted": CRCInverted, "EDC(0x09)": EDC(9),
		"S(0xc4)": Block{PCB: 0xC4}, "R(0x83)": Block{PCB: 0x83}, "S(WTX request)": Block{PCB: 0xC3},
	} {
		if s.String() != want {
			t.Errorf("got %s want %s", s, want)
		}
	}
}

package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
)

// errGone is the error of a card that is not there any more.
var errGone = errors.New("the token is gone")

// fault is what happens to one command on a wire, and to those after it.
type fault int

const (
	faultless  fault = iota
	cutBefore        // not carried out; nor is anything after it
	cutAfter         // carried out, its answer lost; nothing after it is carried out
	dropBefore       // not carried out, an error; what comes after it works
	dropAfter        // carried out, its answer lost; what comes after it works
	refuse           // not carried out, answered 6581; what comes after it works
)

func (f fault) String() string {
	return [...]string{"faultless", "cut before", "cut after", "dropped before", "dropped after", "refused"}[f]
}

func (f fault) sticky() bool  { return f == cutBefore || f == cutAfter }
func (f fault) carried() bool { return f == faultless || f == cutAfter || f == dropAfter }

// wire stands between a token and its card: it records, and can break.
type wire struct {
	card firmware.Card
	sent [][]byte // every command that was tried
	got  [][]byte // the answer to each, nil if there was none

	fault fault
	at    int // the number of the command that the fault happens to, from 1 on

	lie func(apdu, answer []byte) []byte // changes an answer, if not nil

	gone bool
}

func (w *wire) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	w.sent, w.got = append(w.sent, bytes.Clone(apdu)), append(w.got, nil)
	if w.gone {
		return dst, errGone
	}
	now := faultless
	if w.fault != faultless && len(w.sent) == w.at {
		now = w.fault
	}
	if now == refuse {
		return iso7816.SWMemoryFailure.AppendTo(dst), nil
	}
	w.gone = now.sticky()
	if !now.carried() {
		return dst, errGone
	}
	start := len(dst)
	dst, err := w.card.Transmit(ctx, dst, apdu)
	if err != nil {
		return dst, err
	}
	if now != faultless {
		return dst[:start], errGone
	}
	if w.lie != nil {
		dst = append(dst[:start], w.lie(apdu, bytes.Clone(dst[start:]))...)
	}
	w.got[len(w.got)-1] = bytes.Clone(dst[start:])
	return dst, nil
}

// forget begins a new record.
func (w *wire) forget() { w.sent, w.got = nil, nil }

// count counts the recorded commands with an instruction.
func (w *wire) count(cla, ins byte) int {
	n := 0
	for _, a := range w.sent {
		if a[0] == cla && a[1] == ins {
			n++
		}
	}
	return n
}

// names are the recorded commands in short: the header, and what a SELECT,
// CREATE FILE or DELETE FILE is about.
func (w *wire) names() []string {
	var names []string
	for _, a := range w.sent {
		name := fmt.Sprintf("% X", a[:4])
		switch {
		case len(a) > 19 && a[1] == 0xE0:
			name += fmt.Sprintf(" %X", a[17:19])
		case len(a) > 5 && (a[1] == 0xA4 || a[1] == 0xE4):
			name += fmt.Sprintf(" %X", a[5:min(len(a), 5+int(a[4]))])
		}
		names = append(names, name)
	}
	return names
}

// writes are the instructions that change a card, with their classes.
var writes = [][2]byte{
	{0x00, 0x24}, {0x10, 0x24}, {0x00, 0x2C}, {0x00, 0x46}, {0x00, 0xD6}, {0x00, 0xE0}, {0x00, 0xE4}, {0x80, 0x84}, {0x80, 0x8A},
}

// isWrite reports whether a command changes what is on a card.
func isWrite(apdu []byte) bool {
	return slices.ContainsFunc(writes, func(w [2]byte) bool { return apdu[0] == w[0] && apdu[1] == w[1] })
}

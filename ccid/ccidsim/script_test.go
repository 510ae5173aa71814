package ccidsim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/usb"
)

// talk speaks to a device by hand: one line each, blanks in the hex are free,
// what stands behind a semicolon is a comment.
//
//	> hex          bulk-OUT message
//	< hex          expected bulk-IN message
//	i hex          expected interrupt message
//	c setup        SETUP packet without data, or with a data stage from the host: c setup / hex
//	c setup < hex  expected data stage from the device
//	c setup !      refused
func talk(t *testing.T, p usb.Pipe, script string) {
	t.Helper()
	for n, line := range strings.Split(strings.TrimSpace(script), "\n") {
		line, _, _ = strings.Cut(strings.TrimSpace(line), ";")
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if err := speak(t, p, line); err != nil {
			t.Fatalf("line %d, %q: %v", n+1, line, err)
		}
	}
}

func speak(t *testing.T, p usb.Pipe, line string) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	kind, rest := line[0], line[1:]
	switch kind {
	case '>':
		return p.WriteBulk(ctx, unhex(t, rest))
	case '<':
		buf := make([]byte, 128<<10)
		n, err := p.ReadBulk(ctx, buf[:])
		// A message of whole packets leaves the read open until its time is up.
		if err != nil && !(errors.Is(err, usb.ErrTimeout) && n > 0 && n%64 == 0) {
			return err
		}
		return same(buf[:n], unhex(t, rest))
	case 'i':
		buf := make([]byte, 64)
		n, err := p.ReadInterrupt(ctx, buf)
		if err != nil {
			return err
		}
		return same(buf[:n], unhex(t, rest))
	case 'c':
		setup, expect, in := strings.Cut(rest, "<")
		setup, refused := strings.CutSuffix(strings.TrimSpace(setup), "!")
		setup, data, _ := strings.Cut(setup, "/")
		b := unhex(t, setup)
		length := int(b[6]) | int(b[7])<<8
		stage := unhex(t, data)
		s := usb.Setup{
			RequestType: b[0], Request: b[1],
			Value: uint16(b[2]) | uint16(b[3])<<8, Index: uint16(b[4]) | uint16(b[5])<<8,
		}
		if s.In() {
			stage = make([]byte, length)
		} else if len(stage) != length {
			return fmt.Errorf("%d bytes of data, wLength %d", len(stage), length)
		}
		n, err := p.Control(ctx, s, stage)
		switch {
		case refused:
			if !errors.Is(err, usb.ErrStall) {
				return fmt.Errorf("got %v, want a stall", err)
			}
			return nil
		case err != nil:
			return err
		case in:
			return same(stage[:n], unhex(t, expect))
		}
		return nil
	}
	return fmt.Errorf("what is %q?", kind)
}

func same(got, want []byte) error {
	if !bytes.Equal(got, want) {
		return fmt.Errorf("got % X, want % X", got, want)
	}
	return nil
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}

// noViolations fails the test if the host did something wrong.
func noViolations(t *testing.T, d *ccidsim.Device) {
	t.Helper()
	if v := d.Violations(); len(v) > 0 {
		t.Errorf("violations: %q", v)
	}
}

// wantViolation fails the test unless the host did exactly one thing wrong, and
// it is about this.
func wantViolation(t *testing.T, d *ccidsim.Device, about string) {
	t.Helper()
	if v := d.Violations(); len(v) != 1 || !strings.Contains(v[0], about) {
		t.Errorf("got violations %q, want one about %q", v, about)
	}
}

// scripted is a card that answers from a table; what is not in it gets 6F00.
type scripted struct {
	t       testing.TB
	atr     []byte
	answers map[string]string // command to answer, hex
	resets  []bool
	took    time.Duration
	wrong   error
}

func (c *scripted) ATR() []byte     { return c.atr }
func (c *scripted) Reset(cold bool) { c.resets = append(c.resets, cold) }

func (c *scripted) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	if c.wrong != nil {
		return dst, c.wrong
	}
	answer, ok := c.answers[strings.ToUpper(hex.EncodeToString(apdu))]
	if !ok {
		answer = "6F00"
	}
	return append(dst, unhex(c.t, answer)...), nil
}

func (c *scripted) Duration([]byte) time.Duration { return c.took }

func newScripted(t testing.TB, atr string, pairs ...string) *scripted {
	c := &scripted{t: t, atr: unhex(t, atr), answers: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		c.answers[strings.ToUpper(strings.ReplaceAll(pairs[i], " ", ""))] = pairs[i+1]
	}
	return c
}

const kaztokenATR = "3B 88 01 4B 41 5A 54 4F 4B 45 4E 82"

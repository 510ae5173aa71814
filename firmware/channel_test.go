package firmware

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"kaztoken/internal/iso7816"
)

// script is a card that expects commands and gives answers, both in hexadecimal,
// in turn.
type script struct {
	t     *testing.T
	lines []string // "command > answer"
}

func (s *script) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	s.t.Helper()
	if len(s.lines) == 0 {
		s.t.Errorf("% X after the end", apdu)
		return append(dst, 0x6F, 0x00), nil
	}
	want, answer, _ := strings.Cut(s.lines[0], ">")
	s.lines = s.lines[1:]
	if got := bytesOf(s.t, want); !bytes.Equal(apdu, got) {
		s.t.Errorf("sent % X, want % X", apdu, got)
	}
	return append(dst, bytesOf(s.t, answer)...), nil
}

func bytesOf(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// cardFunc is a card that is a function.
type cardFunc func(apdu []byte) ([]byte, error)

func (f cardFunc) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	r, err := f(apdu)
	return append(dst, r...), err
}

func newChannel(c Card) *channel { return &channel{card: c, lost: func() {}} }

var readSome = iso7816.Command{INS: insReadBinary, Ne: 8}

// TestSend follows the status words that ask for another command, those of
// ISO 7816-3:2006 §12.2.5.
func TestSend(t *testing.T) {
	long := strings.Repeat("AB", 256)
	for _, test := range []struct {
		name  string
		cmd   iso7816.Command
		lines []string
		data  string
		sw    iso7816.SW
		err   error
	}{
		{"plain", readSome, []string{"00B0000008 > 0102 9000"}, "0102", 0x9000, nil},
		{"status alone", readSome, []string{"00B0000008 > 6A82"}, "", 0x6A82, nil},
		{"61xx", readSome, []string{"00B0000008 > 6103", "00C0000003 > 010203 9000"}, "010203", 0x9000, nil},
		{"data and 61xx", readSome, []string{"00B0000008 > 01 6102", "00C0000002 > 0203 9000"}, "010203", 0x9000, nil},
		{"61xx again", readSome, []string{"00B0000008 > 6101", "00C0000001 > 01 6102", "00C0000002 > 0203 9000"}, "010203", 0x9000, nil},
		{"6100", readSome, []string{"00B0000008 > 6100", "00C0000000 > " + long + " 9000"}, long, 0x9000, nil},
		{"61xx that ends otherwise", readSome, []string{"00B0000008 > 01 6101", "00C0000001 > 6F00"}, "01", 0x6F00, nil},
		{"6Cxx", readSome, []string{"00B0000008 > 6C02", "00B0000002 > 0102 9000"}, "0102", 0x9000, nil},
		{"6C00 means 256", readSome, []string{"00B0000008 > 6C00", "00B0000000 > " + long + " 9000"}, long, 0x9000, nil},
		{"6Cxx twice", readSome, []string{"00B0000008 > 6C02", "00B0000002 > 6C03"}, "", 0x6C03, nil},
		{"6Cxx, then 61xx", readSome, []string{"00B0000008 > 6C02", "00B0000002 > 01 6101", "00C0000001 > 02 9000"}, "0102", 0x9000, nil},
		{"6Cxx with data is not repeated", iso7816.Command{INS: insVerify, P2: 1, Data: []byte{0x31}}, []string{"002000010131 > 6C02"}, "", 0x6C02, nil},
		{"6Cxx without Le is not repeated", iso7816.Command{INS: insVerify, P2: 1}, []string{"00200001 > 6C02"}, "", 0x6C02, nil},
		{"too much", readSome, []string{"00B0000008 > 010203040506070809 9000"}, "", 0, ErrAnswer},
		{"data that was not asked for", iso7816.Command{INS: insVerify, P2: 1}, []string{"00200001 > 01 9000"}, "", 0, ErrAnswer},
		{"too much of the rest", readSome, []string{"00B0000008 > 6101", "00C0000001 > 0102 9000"}, "", 0, ErrAnswer},
		{"nothing at all", readSome, []string{"00B0000008 >"}, "", 0, iso7816.ErrAPDU},
		{"half a status word", readSome, []string{"00B0000008 > 90"}, "", 0, iso7816.ErrAPDU},
		{"a rest that is empty", readSome, []string{"00B0000008 > 6105", "00C0000005 > 6105"}, "", 0, ErrAnswer},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &script{t, test.lines}
			data, sw, err := newChannel(s).send(t.Context(), test.cmd)
			if !errors.Is(err, test.err) || sw != test.sw || !bytes.Equal(data, bytesOf(t, test.data)) {
				t.Errorf("% X %v %v, want %s %v %v", data, sw, err, test.data, test.sw, test.err)
			}
			if len(s.lines) > 0 {
				t.Errorf("not sent: %q", s.lines)
			}
		})
	}
}

// TestSendLimit has a card bring more and more: it is stopped at maxAnswer, and
// at once where it brings nothing.
func TestSendLimit(t *testing.T) {
	for _, test := range []struct {
		name  string
		bring int // bytes with each 6100
		most  int // commands
	}{{"256 bytes", 256, maxAnswer/256 + 1}, {"one byte", 1, maxAnswer + 1}, {"nothing", 0, 2}} {
		n := 0
		c := newChannel(cardFunc(func([]byte) ([]byte, error) {
			n++
			return append(make([]byte, test.bring), 0x61, 0x00), nil
		}))
		data, _, err := c.send(t.Context(), iso7816.Command{INS: insGetData, Ne: 256})
		if !errors.Is(err, ErrAnswer) || data != nil {
			t.Errorf("%s: %d bytes, %v", test.name, len(data), err)
		}
		if n > test.most {
			t.Errorf("%s: %d commands, want at most %d", test.name, n, test.most)
		}
	}
}

// TestChain sends a command in parts: all but the last with class 10 and without
// Le. A refusal ends it.
func TestChain(t *testing.T) {
	cmd := iso7816.Command{INS: insPSO, P1: 0x9E, P2: 0x9A, Ne: 256}
	s := &script{t, []string{"102A9E9A020102 > 9000", "102A9E9A0103 > 9000", "002A9E9A010400 > 05 6101", "00C0000001 > 06 9000"}}
	data, err := newChannel(s).chain(t.Context(), cmd, [][]byte{{1, 2}, {3}, {4}})
	if err != nil || !bytes.Equal(data, []byte{5, 6}) {
		t.Errorf("% X, %v", data, err)
	}
	s.lines = []string{"102A9E9A0101 > 6982"}
	_, err = newChannel(s).chain(t.Context(), cmd, [][]byte{{1}, {2}})
	var se *StatusError
	if !errors.As(err, &se) || *se != (StatusError{SW: 0x6982, INS: insPSO}) {
		t.Errorf("refused: %v", err)
	}
	if _, err := newChannel(s).chain(t.Context(), cmd, nil); !errors.Is(err, iso7816.ErrAPDU) {
		t.Errorf("no parts: %v", err)
	}
	if _, err := newChannel(s).do(t.Context(), iso7816.Command{INS: insUpdateBinary, Data: make([]byte, 256)}); !errors.Is(err, iso7816.ErrAPDU) {
		t.Errorf("a part of 256 bytes: %v", err)
	}
}

// TestWriteReference types the blocks of CHANGE REFERENCE DATA by hand: 80 02 and
// the length before the first, A5 and one raw length byte before each.
func TestWriteReference(t *testing.T) {
	body := make([]byte, 648) // a private key of 2048 bits: 249 + 253 + 146
	for i := range body {
		body[i] = byte(i)
	}
	part := func(from, to int) string { return hex.EncodeToString(body[from:to]) }
	s := &script{t, []string{
		"10240100 FF 8002 0288 A5F9" + part(0, 249) + "> 9000",
		"10240100 FF A5FD" + part(249, 502) + "> 9000",
		"00240100 94 A592" + part(502, 648) + "> 9000",
		"00240102 0E 8002 0008 A508 3132333435363738 > 9000",
		"10240100 FF 8002 00F9 A5F9" + part(0, 249) + "> 6A80",
	}}
	token := &Token{ch: channel{card: s, lost: func() {}}}
	if err := token.writeReference(t.Context(), 0, body); err != nil {
		t.Error(err)
	}
	if err := token.writeReference(t.Context(), 2, []byte("12345678")); err != nil {
		t.Error(err)
	}
	s.lines[0] = strings.Replace(s.lines[0], "10", "00", 1) // it just fits into one
	if err := token.writeReference(t.Context(), 0, body[:249]); !errors.Is(err, iso7816.ErrWrongData) {
		t.Error(err)
	}
}

// TestTrace shows what an event holds of commands with secrets and of others.
func TestTrace(t *testing.T) {
	var got []Event
	lines := []string{
		"00A4000002 3F00 00 > 6F00 9000",
		"0020000208 3132333435363738 > 63C2",
		"00200002 > 63C2",
		"00240102 0E 8002 0008 A508 3132333435363738 > 9000",
		"002A8086 02 0102 00 > 3132 6102", "00C0000002 > 3334 9000",
		"002A9E9A 02 0102 00 > 3132 9000",
	}
	c := newChannel(&script{t, lines})
	c.trace = func(e Event) {
		e.Command, e.Answer, e.Duration = bytes.Clone(e.Command), bytes.Clone(e.Answer), 0
		got = append(got, e)
	}
	pin := []byte("12345678")
	for _, cmd := range []iso7816.Command{
		{INS: insSelect, Data: []byte{0x3F, 0x00}, Ne: 256},
		{INS: insVerify, P2: 2, Data: pin},
		{INS: insVerify, P2: 2},
		{INS: insChangeReference, P1: 1, P2: 2, Data: append([]byte{0x80, 2, 0, 8, 0xA5, 8}, pin...)},
		{INS: insPSO, P1: psoPlain, P2: psoCipher, Data: []byte{1, 2}, Ne: 256},
		{INS: insPSO, P1: psoSignature, P2: psoToSign, Data: []byte{1, 2}, Ne: 256},
	} {
		if _, _, err := c.send(t.Context(), cmd); err != nil {
			t.Fatal(err)
		}
	}
	want := []Event{
		{Command: bytesOf(t, "00A40000023F0000"), Answer: bytesOf(t, "6F00"), SW: 0x9000},
		{Command: bytesOf(t, "00200002"), Hidden: 9, SW: 0x63C2},
		{Command: bytesOf(t, "00200002"), SW: 0x63C2},
		{Command: bytesOf(t, "00240102"), Hidden: 15, SW: 0x9000},
		{Command: bytesOf(t, "002A80860201020000")[:8], HiddenAnswer: 2, SW: 0x6102},
		{Command: bytesOf(t, "00C0000002"), HiddenAnswer: 2, SW: 0x9000},
		{Command: bytesOf(t, "002A9E9A02010200"), Answer: bytesOf(t, "3132"), SW: 0x9000},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNoSecretStays looks into the channel's buffers after commands with secrets.
func TestNoSecretStays(t *testing.T) {
	plain := bytes.Repeat([]byte{0x5A}, 64)
	c := newChannel(cardFunc(func(apdu []byte) ([]byte, error) {
		if apdu[1] == insPSO {
			return append(bytes.Clone(plain), 0x90, 0x00), nil
		}
		return []byte{0x90, 0x00}, nil
	}))
	token := &Token{ch: *c}
	token.ch.lost = token.moved
	holds := func(b []byte) bool {
		return bytes.Contains(token.ch.apdu[:], b) || bytes.Contains(token.ch.resp[:cap(token.ch.resp)], b) || bytes.Contains(token.ch.data[:cap(token.ch.data)], b)
	}
	pin := []byte("87654321")
	if err := token.writeReference(t.Context(), 1, pin); err != nil {
		t.Fatal(err)
	}
	if holds(pin) {
		t.Error("the PIN is still there")
	}
	key := Key{Path: secretDF.Append(1), Reference: 1, Bits: 512}
	token.current = selection{path: key.Path, mse: mse{templateCrypt, 1}}
	block, err := token.compute(t.Context(), key, templateCrypt, psoPlain, psoCipher, make([]byte, 64))
	if err != nil || !bytes.Equal(block, plain) {
		t.Fatalf("% X, %v", block, err)
	}
	if holds(plain[:8]) {
		t.Error("what was decrypted is still there")
	}
	// Also where it is not what was expected.
	if _, err := token.compute(t.Context(), key, templateCrypt, psoPlain, psoCipher, make([]byte, 128)); !errors.Is(err, ErrAnswer) {
		t.Fatal(err)
	}
	if holds(plain[:8]) {
		t.Error("what was decrypted to a wrong length is still there")
	}
}

// TestSendAllocations counts what the channel itself allocates: nothing.
func TestSendAllocations(t *testing.T) {
	answer := append(make([]byte, 250), 0x90, 0x00)
	c := newChannel(quiet{answer})
	id := []byte{0x2F, 0x00}
	ctx := t.Context()
	n := testing.AllocsPerRun(100, func() {
		if _, _, err := c.send(ctx, iso7816.Command{INS: insSelect, Data: id, Ne: 256}); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.send(ctx, iso7816.Command{INS: insReadBinary, Ne: 256}); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations for two commands", n)
	}
}

// quiet always answers the same, without allocating.
type quiet struct{ answer []byte }

func (q quiet) Transmit(_ context.Context, dst, _ []byte) ([]byte, error) {
	return append(dst, q.answer...), nil
}

package firmware

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
)

// TestFCP types the file control parameters of the traces by hand, both ways.
func TestFCP(t *testing.T) {
	zeros := " 00 00 00 00 00 00 00"
	for _, test := range []struct {
		name, hex string
		want      fcp
	}{
		{"MF", "6F 1D 80 02 00 00 82 02 38 00 83 02 3F 00 86 0F 47 02 02 01 00 00 00 FF" + zeros,
			fcp{kind: KindDF, id: 0x3F00, rules: mfRules}},
		{"EF(DIR)", "6F 1D 80 02 00 80 82 02 01 00 83 02 2F 00 86 0F 43 00 01 00 00 00 00 01" + zeros,
			fcp{kind: KindEF, id: 0x2F00, size: 128, rules: adminRules}},
		{"application", "6F 1D 80 02 13 88 82 02 38 00 83 02 50 00 86 0F 43 00 00 00 00 00 00 02" + zeros,
			fcp{kind: KindDF, id: 0x5000, size: 5000, rules: appRules}},
		{"administrator PIN", "6F 25 80 02 00 08 82 02 10 00 83 02 00 01 85 06 01 08 01 AA 00 00 86 0F 43 FF 01 00 00 00 00 FF" + zeros,
			fcp{kind: KindRSF, id: 1, size: 8, properties: []byte{1, 8, 1, 0xAA, 0, 0}, rules: rules{0x43, never, admin, 0, 0, 0, 0, never}}},
		{"private key", "6F 25 80 02 02 88 82 02 10 00 83 02 00 01 85 06 23 00 00 AA 00 00 86 0F 46 00 02 02 00 00 00 02" + zeros,
			fcp{kind: KindRSF, id: 1, size: 648, properties: []byte{rsfRSAPrivate, 0, 0, 0xAA, 0, 0}, rules: rules{0x46, 0, user, user, 0, 0, 0, user}}},
	} {
		b := bytesOf(t, test.hex)
		test.want.hasRules = true
		got, err := parseFCP(b)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(fcp{})); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got)\n%s", test.name, err, diff)
		}
		if again := test.want.appendTo(nil); !bytes.Equal(again, b) {
			t.Errorf("%s: % X, want % X", test.name, again, b)
		}
	}
	for _, bad := range []string{"", "6F", "6F 03 80 02 00", "6F 00", "30 04 82 02 01 00", "6F 04 82 02 01 00 00", "6F 02 82 00"} {
		if f, err := parseFCP(bytesOf(t, bad)); err == nil {
			t.Errorf("%q gave %+v", bad, f)
		}
	}
	if f, err := parseFCP(bytesOf(t, "62 0A 82 01 02 83 02 12 34 A5 01 00")); err != nil || f.kind != 2 || f.id != 0x1234 || f.kind.String() != "FileKind(02)" {
		t.Errorf("of another kind: %+v, %v", f, err)
	}
}

// FuzzParseFCP: what parses is written so that it parses to the same.
func FuzzParseFCP(f *testing.F) {
	f.Add([]byte{0x6F, 0x04, 0x82, 0x02, 0x38, 0x00})
	f.Add(fcp{kind: KindRSF, id: 1, size: 8, properties: []byte{1, 8, 1, 0xAA, 0, 0}, rules: adminRules}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseFCP(b)
		if err != nil {
			if !errors.Is(err, iso7816.ErrTLV) && !errors.Is(err, ErrAnswer) {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := parseFCP(got.appendTo(nil))
		got.hasRules = true
		if diff := cmp.Diff(got, again, cmp.AllowUnexported(fcp{})); err != nil || diff != "" {
			t.Errorf("%v (-first +again)\n%s", err, diff)
		}
	})
}

// FuzzLater: the time of a change is one of GeneralizedTime, and after the one
// before wherever there is a later one.
func FuzzLater(f *testing.F) {
	for _, old := range []string{"", "20200101000000Z", "20260131120000.123Z", "99991231235959.999Z", "99991231235959Z", "20260131120000+0600", "20261331120000Z", "20260131120000.1239999Z"} {
		f.Add(old, int64(1769860800000))
		f.Add(old, int64(0))
	}
	f.Fuzz(func(t *testing.T, old string, clock int64) {
		now := time.UnixMilli(clock).UTC()
		if now.Year() < 1 || now.Year() > maxYear {
			return // no clock says that
		}
		token := &Token{clock: func() time.Time { return now }}
		got := token.later(old)
		after, err := parseTime(got)
		if err != nil || len(got) != len(generalizedTime) {
			t.Fatalf("%q: %v", got, err)
		}
		if before, err := parseTime(old); err == nil && !after.After(before) && before.Add(time.Millisecond).Year() <= maxYear {
			t.Errorf("%q is not after %q", got, old)
		}
		if next := token.later(got); next <= got && after.Add(time.Millisecond).Year() <= maxYear {
			t.Errorf("%q is not after %q", next, got)
		}
	})
}

// fuzzCard answers from bytes: a byte from 80 on lets the software card answer;
// one below is the length of the data to answer with, and the byte after it picks
// the status word. When the bytes are used up everything is refused.
type fuzzCard struct {
	card  *emu.Card
	bytes []byte
	sent  int
	wrote []byte // the first command that changes something
}

var fuzzWords = []iso7816.SW{0x9000, 0x9000, 0x9000, 0x6100, 0x6105, 0x6C10, 0x6282, 0x6300, 0x63C3, 0x6982, 0x6983, 0x6985, 0x6A82, 0x6A84, 0x6A88, 0x6F00}

func (c *fuzzCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	c.sent++
	switch apdu[1] {
	case insUpdateBinary, insCreateFile, insDeleteFile, insChangeReference, insResetRetry, insGenerate, insInit:
		if c.wrote == nil {
			c.wrote = slices.Clone(apdu)
		}
	}
	if len(c.bytes) < 2 {
		return iso7816.SWUnknown.AppendTo(dst), nil
	}
	first := c.bytes[0]
	if first >= 0x80 {
		c.bytes = c.bytes[1:]
		return c.card.Transmit(ctx, dst, apdu)
	}
	sw := fuzzWords[int(c.bytes[1])%len(fuzzWords)]
	c.bytes = c.bytes[2:]
	n := min(int(first), len(c.bytes))
	dst = append(dst, c.bytes[:n]...)
	c.bytes = c.bytes[n:]
	return sw.AppendTo(dst), nil
}

// fuzzRun does all that only reads and gives how many commands it took.
func fuzzRun(t testing.TB, c *fuzzCard, bytes []byte) {
	ctx := context.Background()
	c.bytes = bytes
	token, err := Open(ctx, c)
	if err != nil {
		return
	}
	_, _ = token.Info(ctx)
	_, _ = token.Keys(ctx)
	_, _ = token.Certificates(ctx)
	_, _ = token.Objects(ctx)
	if found, err := token.Check(ctx); err == nil {
		for _, f := range found {
			_ = f.Kind.String()
		}
	}
	_, _ = token.Files(ctx)
	if _, err := token.PrivateKey(ctx, []byte{1}); err == nil {
		t.Log("a key from nowhere")
	}
	if c.wrote != nil {
		t.Errorf("reading sent % X", c.wrote)
	}
}

// FuzzCard reads a card that says whatever it likes: it ends, after a number of
// commands that goes with what the card says, and nothing is written.
func FuzzCard(f *testing.F) {
	honest := bytes.Repeat([]byte{0x80}, 200)
	f.Add(honest)
	f.Add([]byte{0x80, 0x80, 0x1F, 0x00})
	f.Add(slices.Concat(honest[:2], []byte{0x02, 0x06, 0x6F, 0x00}, honest))
	odf := []byte("\xA0\x0A\x30\x08\x04\x06\x3F\x00\x50\x00\x60\x02\xA8\x0A\x30\x08\x04\x06\x3F\x00\x50\x00\x60\x05")
	f.Add(slices.Concat([]byte{0x80, byte(len(odf)), 0x00}, odf, honest))
	for n := range 40 { // one answer missing at each place
		f.Add(slices.Concat(honest[:n], []byte{0x00, 0x00}, honest))
		f.Add(slices.Concat(honest[:n], []byte{0x00, byte(n)}, honest))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			return
		}
		c := &fuzzCard{card: emu.New()}
		fuzzRun(t, c, b)
		if most := 100 + 3*len(b); c.sent > most {
			t.Errorf("%d commands for %d bytes", c.sent, len(b))
		}
	})
}

// TestEndlessCard reads cards that never come to an end of themselves.
func TestEndlessCard(t *testing.T) {
	ctx := t.Context()
	for _, test := range []struct {
		name string
		read func(*Token) error
		card func() Card
		most int
	}{
		{"ever more files", func(k *Token) error { _, err := k.Files(ctx); return err }, func() Card { return endless(KindEF, 0) }, 300},
		{"ever more directories", func(k *Token) error { _, err := k.Files(ctx); return err }, func() Card { return endless(KindDF, 0) }, 3*maxFiles + 300},
		{"a bush", func(k *Token) error { _, err := k.Files(ctx); return err }, func() Card { return bush() }, 3*maxFiles + 300},
		{"files that end before they end", func(k *Token) error { _, err := k.odf(ctx); return err }, func() Card {
			return cardFunc(func(apdu []byte) ([]byte, error) {
				if apdu[1] == insSelect {
					return append(fcp{kind: KindEF, id: 1, size: 128}.appendTo(nil), 0x90, 0x00), nil
				}
				return []byte{0x62, 0x82}, nil
			})
		}, 2},
		{"a byte at a time", func(k *Token) error { _, err := k.odf(ctx); return err }, func() Card { return endless(KindEF, maxFile) }, maxFile + 300},
	} {
		n := 0
		card := test.card()
		token := &Token{state: StateVendor, app: mf.Append(0x5000), model: unknownModel, clock: time.Now}
		token.ch = channel{lost: token.moved, card: cardFunc(func(apdu []byte) ([]byte, error) {
			n++
			return card.Transmit(ctx, nil, apdu)
		})}
		err := test.read(token)
		if test.name != "a byte at a time" && !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", test.name, err)
		}
		if n > test.most {
			t.Errorf("%s: %d commands, want at most %d", test.name, n, test.most)
		}
	}
}

// bush is a card whose directories all have 100 more in them.
func bush() Card {
	card, n := endless(KindDF, 0), 0
	return cardFunc(func(apdu []byte) ([]byte, error) {
		if apdu[2] == 0x00 && apdu[3] == 0x02 { // next sibling
			if n++; n%100 == 0 {
				return []byte{0x6A, 0x82}, nil
			}
		}
		return card.Transmit(context.Background(), nil, apdu)
	})
}

// TestPrivateObjectIsNotKept looks for the content of a private object in what a
// token keeps.
func TestPrivateObjectIsNotKept(t *testing.T) {
	ctx := t.Context()
	token, err := Open(ctx, emu.New())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.Login(ctx, User, DefaultPIN(User)); err != nil {
		t.Fatal(err)
	}
	o, err := token.WriteObject(ctx, NewObject{Label: "x", Private: true, Data: []byte("secret")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := token.ReadObject(ctx, o); err != nil {
		t.Fatal(err)
	}
	for p, content := range token.cache.files {
		if bytes.Contains(content, []byte("secret")) {
			t.Errorf("the content of % X is kept", p)
		}
	}
}

// endless answers SELECT with a file of that kind and size and another identifier
// each time, and READ BINARY with one byte of an entry that never ends.
func endless(kind FileKind, size int) Card {
	id := uint16(0)
	return cardFunc(func(apdu []byte) ([]byte, error) {
		switch apdu[1] {
		case insSelect:
			id++
			return append(fcp{kind: kind, id: id, size: size}.appendTo(nil), 0x90, 0x00), nil
		case insReadBinary:
			offset := int(binary.BigEndian.Uint16(apdu[2:]))
			header := []byte{0x30, 0x83, 0x01, 0x00, 0x00}
			if offset < len(header) {
				return []byte{header[offset], 0x90, 0x00}, nil
			}
			return []byte{0x5A, 0x90, 0x00}, nil
		}
		return []byte{0x6D, 0x00}, nil
	})
}

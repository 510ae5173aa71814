package emu

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func newToken(opts ...Option) token { return New(opts...).token }

// sealed puts the checksum behind a state.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}

// The state of a small token, typed.
func TestState(t *testing.T) {
	c := New(WithHalfInitialised(), WithDataObject(0x8B, []byte{0xAA, 0xBB}), WithFreeMemory(16))
	play(t, c, "80 8A 00 00", done)
	c.capacity = 0x1234
	play(t, c,
		createDF("3F 00", mfRules), done,
		createEF("00 02", "2F 00", freeRules), done,
		"00 D6 00 00 02 01 02", done,
		createDF("10 00", sysRules), done,
		createDF("10 00", sysRules), done,
		createRSF("00 08", "00 01", "01 08 01 AA 00 00", "43 FF 01 00 00 00 00 FF"), done,
		createRSF("00 08", "00 02", "01 04 01 55 00 00", "43 01 03 00 00 00 00 FF"), done,
		"00 24 01 02 0C 80 02 00 06 A5 06 31 32 33 34 35 36", done)
	want := sealed(unhex(t, "4B 41 5A 54 4F 4B 45 4E 01 11 00 00 00 00 32 D1 8A 58 00 00 12 34 01 8B 02 AA BB"+
		" 38 3F 00 00 00 47 02 02 01 00 00 00 FF 00 00 00 00 00 00 00 02"+
		" 01 2F 00 00 02 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 02"+
		" 38 10 00 00 00 43 02 02 00 00 00 00 FF 00 00 00 00 00 00 00 01"+
		" 38 10 00 00 00 43 02 02 00 00 00 00 FF 00 00 00 00 00 00 00 02"+
		" 10 00 01 00 08 43 FF 01 00 00 00 00 FF 00 00 00 00 00 00 00 01 08 01 AA 00 00 00"+
		" 10 00 02 00 08 43 01 03 00 00 00 00 FF 00 00 00 00 00 00 00 01 04 01 55 00 00 01 06 31 32 33 34 35 36"))
	got := c.appendState(nil)
	if diff := cmp.Diff(spaced(want), spaced(got)); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	again, err := parseState(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.appendState(nil), want) {
		t.Error("it encodes otherwise")
	}
	if diff := cmp.Diff(listing(c.mf), listing(again.mf)); diff != "" {
		t.Errorf("-before +after\n%s", diff)
	}
}

func TestStateOfAllOptions(t *testing.T) {
	for _, opts := range [][]Option{
		nil, {WithWiped()}, {WithVendorFormat()}, {WithHalfInitialised()}, {WithScratchSize(1 << 15)},
		{WithHiddenPINs()}, {WithOneLogin()}, {WithTriesInAnswer()}, {WithFreeMemory(totalMemory)},
		{WithScratchSize(1 << 15), WithFreeMemory(totalMemory), WithDataObject(0x89, nil), WithLabel(strings.Repeat("n", 32))},
	} {
		token := newToken(opts...)
		b := token.appendState(nil)
		again, err := parseState(b)
		if err != nil {
			t.Errorf("%d options: %v", len(opts), err)
			continue
		}
		if !bytes.Equal(again.appendState(nil), b) {
			t.Errorf("%d options: it encodes otherwise", len(opts))
		}
	}
}

func TestParseStateRefuses(t *testing.T) {
	head := "4B 41 5A 54 4F 4B 45 4E 01 11 00 00 00 00 32 D1 8A 58 00 00 12 34 00 "
	mf := "38 3F 00 00 00 47 02 02 01 00 00 00 FF 00 00 00 00 00 00 00 "
	ef := "01 2F 00 00 01 43 00 00 00 00 00 00 00 00 00 00 00 00 00 00 AA "
	df := "38 10 00 00 00 43 02 02 00 00 00 00 FF 00 00 00 00 00 00 00 "
	pin := "10 00 02 00 08 43 01 03 00 00 00 00 FF 00 00 00 00 00 00 00 01 04 01 55 00 00 "
	gost := "10 00 05 00 20 46 00 02 02 00 00 00 02 00 00 00 00 00 00 00 03 20 00 AA 00 00 "
	homes := mf + "01 " + df + "01 " + df
	privateHome := homes + "01 38 60 02 00 00 43 02 02 00 00 00 00 FF 00 00 00 00 00 00 00 01 "
	if _, err := parseState(sealed(unhex(t, head+homes+"01 "+pin+"01 04 31 32 33 34"))); err != nil {
		t.Fatalf("without a mistake: %v", err)
	}
	if _, err := parseState(sealed(unhex(t, head+privateHome+gost+"01 05"+zeros(31)))); err != nil {
		t.Fatalf("without a mistake: %v", err)
	}
	for _, tt := range []struct{ name, state, reason string }{
		{"flags unknown", strings.Replace(head, "01 11", "01 31", 1) + mf + "00", "unknown flags 31"},
		{"id cut", head[:30], "cut short"},
		{"objects cut", strings.Replace(head, "12 34 00", "12 34 01", 1) + "8B 05 AA", "cut short"},
		{"object twice", strings.Replace(head, "12 34 00", "12 34 02", 1) + "8B 00 8B 00 " + mf + "00", "data object 8B twice"},
		{"memory", strings.Replace(head, "00 00 12 34", "00 80 00 00", 1) + mf + "00", "memory of 8388608 bytes"},
		{"more files than memory", strings.Replace(head, "00 00 12 34", "00 00 00 1F", 1) + mf + "00", "files of 32 bytes in a memory of 31"},
		{"no MF", strings.Replace(head, "01 11", "01 00", 1), "no MF outside the initialisation phase"},
		{"another file as MF", head + df + "00", "the first file is 1000"},
		{"an EF as MF", head + ef, "the first file is 2F00"},
		{"bytes behind", head + mf + "00 00", "1 bytes too many"},
		{"bytes behind no MF", strings.Replace(head, "01 11", "01 01", 1) + mf, "20 bytes too many"},
		{"header cut", head + mf[:39], "cut short"},
		{"children missing", head + mf + "02 " + ef, "cut short"},
		{"content cut", head + mf + "01 " + ef[:len(ef)-3], "cut short"},
		{"unknown kind", head + mf + "01 02" + ef[2:], "file 2F00 has a header that no file can have"},
		{"rules", head + mf + "01 " + strings.Replace(ef, "43 00", "FF 00", 1), "file 2F00 has a header that no file can have"},
		{"twice", head + mf + "02 " + ef + ef, "file 2F00 twice in 3F00"},
		{"an MF in the MF", head + mf + "01 " + mf + "00", "an MF in 3F00"},
		{"a PIN elsewhere", head + mf + "01 " + pin + "00", "RSF 0002 in 3F00"},
		{"a key among PINs", head + homes + "01 " + gost + "00", "RSF 0005 in 1000"},
		{"loaded 2", head + homes + "01 " + pin + "02", "RSF 0002: loaded 2"},
		{"PIN cut", head + homes + "01 " + pin + "01 04 31 32 33", "cut short"},
		{"PIN below its minimum", head + homes + "01 " + pin + "01 03 31 32 33", "RSF 0002: no such body"},
		{"PIN too long", head + homes + "01 " + pin + "01 21" + zeros(33), "RSF 0002: no such body"},
		{"no GOST key", head + privateHome + gost + "01" + zeros(32), "RSF 0005: no such body"},
		{"GOST parameters", head + privateHome + strings.Replace(gost, "03 20", "03 50", 1) + "01 05" + zeros(31),
			"file 0005 has a header that no file can have"},
		{"no RSA key", head + privateHome + strings.Replace(strings.Replace(gost, "03 20", "23 00", 1), "00 20 46", "01 48 46", 1) + "01" + zeros(328),
			"RSF 0005: no such body"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseState(sealed(unhex(t, tt.state)))
			if !errors.Is(err, ErrState) || err.Error() != "not the state of a token: "+tt.reason {
				t.Errorf("got %v, want %s", err, tt.reason)
			}
		})
	}
	good := sealed(unhex(t, head+mf+"00"))
	for _, tt := range []struct {
		name   string
		state  []byte
		reason string
	}{
		{"nothing", nil, "it begins otherwise"},
		{"magic", append([]byte("KAZTOKEM"), good[8:]...), "it begins otherwise"},
		{"magic alone", good[:8], "it begins otherwise"},
		{"version alone", good[:9], "cut short"},
		{"version", append(append(bytes.Clone(good[:8]), 2), good[9:]...), "version 2, this program reads 1"},
		{"checksum", append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1), "the checksum is wrong: damaged, or cut short"},
		{"cut", good[:len(good)-1], "the checksum is wrong: damaged, or cut short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parseState(tt.state)
			if !errors.Is(err, ErrState) || err.Error() != "not the state of a token: "+tt.reason {
				t.Errorf("got %v, want %s", err, tt.reason)
			}
		})
	}
}

// Every cut and every changed byte of a state with keys is noticed.
func TestStateDamage(t *testing.T) {
	c := New(testKeys(t))
	play(t, c, verifyUser, done)
	createPair(t, c, testKey(t, "1024"), 1)
	exchange(t, c, unhex(t, "00 46 80 01 00"))
	good := c.appendState(nil)
	if _, err := parseState(good); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := parseState(good[:i]); !errors.Is(err, ErrState) {
			t.Fatalf("cut at %d: %v", i, err)
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := parseState(bad); !errors.Is(err, ErrState) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
}

// What loads is a state that saves to the same bytes and fits into the memory it
// says; the checksum is put right, so that the parser behind it is reached.
func FuzzState(f *testing.F) {
	for _, opts := range [][]Option{nil, {WithWiped()}, {WithVendorFormat()}, {WithHalfInitialised(), WithDataObject(0x8B, []byte{1})}} {
		token := newToken(opts...)
		b := token.appendState(nil)
		f.Add(b[:len(b)-sha256.Size])
	}
	c := New(testKeys(f))
	for _, in := range []string{
		verifyUser,
		createRSF("01 48", "00 01", privateProps, privateRules), createRSF("00 C0", "00 01", publicProps, publicRules),
		createRSF("00 20", "00 02", "03 20 00 AA 00 00", privateRules), createRSF("00 40", "00 02", "13 20 00 AA 00 00", publicRules),
		"00 46 80 01 00", "00 46 80 02 00",
	} {
		transmit(f, c, unhex(f, in))
	}
	b := c.appendState(nil)
	f.Add(b[:len(b)-sha256.Size])
	f.Fuzz(func(t *testing.T, b []byte) {
		b = sealed(b)
		token, err := parseState(b)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatal(err)
			}
			return
		}
		if !bytes.Equal(token.appendState(nil), b) {
			t.Fatal("it saves to other bytes")
		}
		if used := token.mf.used(); used > token.capacity {
			t.Fatalf("%d of %d bytes used", used, token.capacity)
		}
		c := New()
		c.token = token
		c.Reset(true)
		for _, in := range []string{"00 A4 00 00 02 3F 00 00", "00 20 00 02 01 30", "00 CA 01 8A 00", "00 CA 01 89 00", "80 8A 00 00"} {
			transmit(t, c, unhex(t, in))
		}
	})
}

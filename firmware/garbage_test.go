package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// lies are what a broken card, or a broken channel, makes of an answer.
var lies = []struct {
	name string
	tell func(answer []byte) []byte
}{
	{"nothing", func([]byte) []byte { return nil }},
	{"one byte", func(a []byte) []byte { return a[:1] }},
	{"half", func(a []byte) []byte { return a[:len(a)/2] }},
	{"no data", func(a []byte) []byte { return a[len(a)-2:] }},
	{"more data", func(a []byte) []byte { return append(bytes.Repeat([]byte{0x5A}, 300), a...) }},
	{"other data", func(a []byte) []byte {
		return append(bytes.Repeat([]byte{0x5A}, len(a)-2), a[len(a)-2:]...)
	}},
	{"not found", func([]byte) []byte { return []byte{0x6A, 0x82} }},
	{"end of file", func([]byte) []byte { return []byte{0x62, 0x82} }},
	{"more to come", func([]byte) []byte { return []byte{0x61, 0x00} }},
	{"exists", func([]byte) []byte { return []byte{0x6A, 0x89} }},
	{"unknown", func([]byte) []byte { return []byte{0x6F, 0x00} }},
	{"done", func([]byte) []byte { return []byte{0x90, 0x00} }},
}

var thorough = flag.Bool("thorough", false, "tell every lie at every command")

// typed reports whether a caller can tell what an error is about.
func typed(err error) bool {
	var (
		status *firmware.StatusError
		state  *firmware.StateError
		role   *firmware.RoleError
		pin    *firmware.PINError
		policy *firmware.PolicyError
		length *firmware.PINLengthError
		option *firmware.OptionError
	)
	if errors.As(err, &status) || errors.As(err, &state) || errors.As(err, &role) || errors.As(err, &pin) || errors.As(err, &policy) ||
		errors.As(err, &length) || errors.As(err, &option) {
		return true
	}
	for _, sentinel := range []error{
		errGone, firmware.ErrAnswer, firmware.ErrNotFound, firmware.ErrExists, firmware.ErrNoSpace, firmware.ErrDirectory, firmware.ErrUnsupported,
		firmware.ErrLoginDisturbed, iso7816.ErrTLV, iso7816.ErrAPDU, pkcs15.ErrUnknown,
	} {
		if errors.Is(err, sentinel) {
			return true
		}
	}
	return false
}

// TestGarbage has the card lie once, at every command of every operation. It
// ends soon, with an error that can be told; nothing is lost and Repair clears
// what is left over. The lies take turns, unless all are asked for.
func TestGarbage(t *testing.T) {
	for _, o := range operations(t) {
		t.Run(o.name, func(t *testing.T) {
			c := o.uncut(t)
			for n := 1; n <= c.commands; n++ {
				for i, lie := range lies {
					switch {
					case !*thorough && (5*n+len(o.name))%len(lies) != i:
					case lie.name == "other data" && strings.HasPrefix(c.names[n-1], "00 B0"):
						// no file has a checksum: that nobody can tell
					default:
						c.lied(t, i, n)
					}
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// lied does an operation while answer n is a lie.
func (c cut) lied(t *testing.T, lie, n int) {
	t.Helper()
	what := fmt.Sprintf("%s: %s at %d of %d", c.name, lies[lie].name, n, c.commands)
	card := c.card(t)
	w := &wire{card: card}
	token := open(t, w, firmware.WithClock(noon))
	w.forget()
	w.lie = func(_, answer []byte) []byte {
		if len(w.sent) == n {
			return lies[lie].tell(answer)
		}
		return answer
	}
	err := c.run(t.Context(), token)
	what += fmt.Sprintf(" (% X)", w.sent[n-1][:min(4, len(w.sent[n-1]))])
	if err != nil && !typed(err) {
		t.Errorf("%s: error %v", what, err)
	}
	if len(w.sent) > 3*c.commands+60 {
		t.Errorf("%s: %d commands", what, len(w.sent))
	}
	card.Reset(true)
	c.afterwards(t, card, what)
}

// TestForeignCard opens a card of another family: it is not taken for a wiped
// token, or one of the vendor's, which could be formatted.
func TestForeignCard(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer func(apdu []byte) []byte
		want   error
	}{
		{"no VERIFY", func(apdu []byte) []byte {
			if apdu[1] == 0xA4 && apdu[2] == 0x00 {
				return []byte{0x6F, 0x04, 0x82, 0x02, 0x38, 0x00, 0x90, 0x00}
			}
			return []byte{0x6D, 0x00}
		}, firmware.ErrUnsupported},
		{"no SELECT", func([]byte) []byte { return []byte{0x6D, 0x00} }, iso7816.ErrWrongINS},
		{"no class", func([]byte) []byte { return []byte{0x6E, 0x00} }, iso7816.ErrWrongCLA},
		{"no sense", func([]byte) []byte { return []byte{0x6F, 0x01, 0x90, 0x00} }, iso7816.ErrTLV},
	} {
		w := &wire{card: newCard(), lie: func(apdu, _ []byte) []byte { return test.answer(apdu) }}
		if token, err := firmware.Open(t.Context(), w); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, %v", test.name, token.State(), err)
		}
	}
}

// TestUnplug pulls the token before every command of every operation: the error
// says so, and hardly anything is sent to it any more.
func TestUnplug(t *testing.T) {
	ctx := t.Context()
	all := append(calls(t),
		call{name: "Open", do: func(ctx context.Context, token *firmware.Token) error { return nil }},
		call{name: "Info", do: func(ctx context.Context, k *firmware.Token) error { _, err := k.Info(ctx); return err }},
		call{name: "Files", do: func(ctx context.Context, k *firmware.Token) error { _, err := k.Files(ctx); return err }},
		call{name: "Check", do: func(ctx context.Context, k *firmware.Token) error { _, err := k.Check(ctx); return err }},
		call{name: "PINStatus", do: func(ctx context.Context, k *firmware.Token) error {
			_, err := k.PINStatus(ctx, firmware.User)
			return err
		}},
		call{name: "Random", do: func(ctx context.Context, k *firmware.Token) error { return k.Random(ctx, make([]byte, 600)) }},
		call{name: "Format", do: func(ctx context.Context, k *firmware.Token) error {
			return k.Format(ctx, firmware.FormatOptions{}, nil)
		}},
	)
	furnished := operation{prepare: furnish}
	for _, c := range all {
		for n, done := 1, false; !done; n++ {
			w := &wire{card: furnished.card(t)}
			w.fault, w.at = cutBefore, n
			token, err := firmware.Open(ctx, w)
			if err == nil && c.need != nil {
				_, err = token.Login(ctx, firmware.User, userPIN)
			}
			if err == nil {
				err = c.do(ctx, token)
			}
			if done = len(w.sent) < n; done {
				if err != nil && !(c.name == "Sign" || c.name == "Decrypt") { // of a block of zeros
					t.Errorf("%s: %v", c.name, err)
				}
				continue
			}
			if !errors.Is(err, errGone) {
				t.Errorf("%s: unplugged before %d: %v", c.name, n, err)
			}
			if more := len(w.sent) - n; more > 3 { // a clean-up that cannot be
				t.Errorf("%s: unplugged before %d: %d more commands", c.name, n, more)
			}
		}
	}
}

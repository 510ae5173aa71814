package describe

import (
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/words"
)

// TestChoicesHaveWords: what names a value for the catalogue is one of its choices.
func TestChoicesHaveWords(t *testing.T) {
	for _, l := range words.Languages() {
		w := words.For(l)
		for _, c := range []struct {
			key   words.Key
			name  string
			value string
		}{
			{"pin.title", "role", Role(firmware.User)}, {"pin.title", "role", Role(firmware.Admin)}, {"error.role", "role", Role(0)},
			{"info.policy.value", "policy", Policy(firmware.PolicyUser)}, {"info.policy.value", "policy", Policy(firmware.PolicyAdmin)},
			{"info.policy.value", "policy", Policy(firmware.PolicyBoth)}, {"hint.policy", "policy", Policy(firmware.PolicyUnknown)},
			{"info.format.value", "state", Format(firmware.StatePKCS15)}, {"info.format.value", "state", Format(firmware.StateVendor)},
			{"info.format.value", "state", Format(firmware.StateHalf)}, {"info.format.value", "state", Format(firmware.StateWiped)},
			{"warn.pin.weak", "why", Weakness(pinpolicy.Default)}, {"warn.pin.weak", "why", Weakness(pinpolicy.Repeated)},
			{"warn.pin.weak", "why", Weakness(pinpolicy.Sequence)}, {"warn.pin.weak", "why", Weakness(pinpolicy.OneKind)},
			{"finding", "kind", FindingKind(firmware.FindingHalfFormatted)}, {"finding", "kind", FindingKind(firmware.FindingLeftoverFile)},
			{"finding", "kind", FindingKind(firmware.FindingLeftoverKey)}, {"finding", "kind", FindingKind(firmware.FindingUnlistedKey)},
			{"finding", "kind", FindingKind(firmware.FindingMissingFile)}, {"finding", "kind", FindingKind(firmware.FindingDamagedDirectory)},
			{"finding", "kind", FindingKind(firmware.FindingNameDiffers)}, {"finding", "kind", FindingKind(firmware.FindingNotInDIR)},
		} {
			// A choice that is none is shown as it is.
			if l != words.English && strings.Contains(w.Text(c.key, c.name, c.value), c.value) {
				t.Errorf("%s in %s has no choice %q", c.key, l, c.value)
			}
		}
		for _, v := range []kzpki.Validity{kzpki.ValidityUnknown, kzpki.NotYetValid, kzpki.Valid, kzpki.Expired} {
			if k := ShortValidity(v); w.Text(k) == string(k) && l != words.English {
				t.Errorf("%v has no words", v)
			}
		}
	}
}

func TestTries(t *testing.T) {
	w := words.For(words.English)
	for _, c := range []struct {
		status firmware.PINStatus
		want   string
	}{
		{firmware.PINStatus{Left: 3, Max: 10, MinLength: 6, MaxLength: 32}, "3 of 10 tries left, 6 to 32 bytes"},
		{firmware.PINStatus{Left: 1, Max: -1, MinLength: -1}, "1 try left"},
		{firmware.PINStatus{Left: -1, Max: -1, MinLength: -1}, "unknown"},
		{firmware.PINStatus{Blocked: true, Max: 10, MinLength: -1}, "blocked"},
	} {
		if got := PIN(w, c.status); got != c.want {
			t.Errorf("%+v: %q, want %q", c.status, got, c.want)
		}
	}
}

// TestNothingIsInvented: what cannot be read is unknown, what is the model's is
// marked, and what a token says cannot play tricks.
func TestNothingIsInvented(t *testing.T) {
	w := words.For(words.English)
	for _, c := range []struct {
		field firmware.Field[string]
		want  string
	}{
		{firmware.Field[string]{}, "unknown"},
		{firmware.Field[string]{Value: "x", Source: firmware.SourceToken}, "x"},
		{firmware.Field[string]{Value: "x", Source: firmware.SourceInferred}, "x"},
		{firmware.Field[string]{Value: "x", Source: firmware.SourceNominal}, "x (nominal)"},
		{firmware.Field[string]{Value: "a\x1b[2J\u202e", Source: firmware.SourceToken}, "a\ufffd[2J\ufffd"},
	} {
		if got := Field(w, c.field, words.Clean); got != c.want {
			t.Errorf("%+v: %q, want %q", c.field, got, c.want)
		}
	}
	unknown := 0
	for _, l := range Window(w, firmware.Info{State: firmware.StateVendor}, "R\n00") {
		if slices.Contains(l.Values, "unknown") {
			unknown++
		}
		if strings.ContainsAny(strings.Join(l.Values, ""), "\n") {
			t.Errorf("%s has a line break", l.Label)
		}
	}
	if unknown != 13 {
		t.Errorf("%d fields are unknown", unknown)
	}
}

func TestCertificateThatCannotBeRead(t *testing.T) {
	s := Certificate(words.For(words.English), firmware.Certificate{ID: []byte{1, 0xAB}, DER: []byte{0x30, 0}}, true, time.Time{})
	text := fmt.Sprint(s)
	for _, want := range []string{"01AB", "2 bytes", "Default certificate", "Certificate validity unknown"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func TestAttributes(t *testing.T) {
	type attribute struct {
		Type  asn1.ObjectIdentifier
		Value string `asn1:"utf8"`
	}
	name := [][]attribute{{{asn1.ObjectIdentifier{2, 5, 4, 3}, "ИВАНОВ\u202e"}}, {{asn1.ObjectIdentifier{1, 2, 3}, "x"}}}
	var der []byte
	for _, set := range name {
		one, err := asn1.MarshalWithParams(set, "set")
		if err != nil {
			t.Fatal(err)
		}
		der = append(der, one...)
	}
	der = append([]byte{0x30, byte(len(der))}, der...)
	if got, want := Attributes(der), []string{`CN=ИВАНОВ\u202e`, "1.2.3=x"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Attributes([]byte{0x30, 0x05}); got != nil {
		t.Errorf("a damaged name gives %q", got)
	}
}

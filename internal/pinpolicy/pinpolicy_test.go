package pinpolicy

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWeak(t *testing.T) {
	for _, c := range []struct {
		pin  string
		want Weakness
	}{
		{"12345678", Default}, {"87654321", Default},
		{"000000", Repeated}, {"ььььььь", Repeated}, {"      ", Repeated}, {"\xFF\xFF\xFF\xFF\xFF\xFF", Repeated},
		{"123456", Sequence}, {"34567890", Sequence}, {"9012345", Sequence}, {"654321", Sequence}, {"321098", Sequence},
		{"abcdef", Sequence}, {"AbCdEf", Sequence}, {"fedcba", Sequence}, {"абвгде", Sequence},
		{"qwerty", Sequence}, {"QwertY", Sequence}, {"ytrewq", Sequence}, {"йцукен", Sequence}, {"әіңғүұ", Sequence}, {"asdfgh", Sequence},
		{"135790", OneKind}, {"481516", OneKind}, {"SEMEYX", OneKind}, {"semeyx", OneKind}, {"алмагер", OneKind}, {"!?!?.,", OneKind},
		{"112233", OneKind}, {"qwaszx", OneKind},
		{"Semey-1718", 0}, {"taraz2000", 0}, {"Алматы", 0}, {"1234567a", 0}, {"12345 ", 0}, {"Abcdefz", 0},
		{"123456789", Sequence}, {"1234567", Sequence}, {"87654320", OneKind},
	} {
		if got := Weak([]byte(c.pin)); got != c.want {
			t.Errorf("Weak(%q) = %v, want %v", c.pin, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		policy Policy
		pin    string
		want   Weakness
		refuse *Error
	}{
		"good":                     {Policy{6, Forbid}, "Semey-1718", 0, nil},
		"weak, told":               {Policy{6, Warn}, "111111", Repeated, nil},
		"weak, refused":            {Policy{6, Forbid}, "111111", 0, &Error{6, 6, Repeated}},
		"weak, taken":              {Policy{6, Allow}, "111111", 0, nil},
		"default, refused":         {Policy{6, Forbid}, "12345678", 0, &Error{8, 6, Default}},
		"short":                    {Policy{8, Warn}, "Se-1718", 0, &Error{7, 8, 0}},
		"short though all allowed": {Policy{8, Allow}, "1", 0, &Error{1, 8, 0}},
		"characters, not bytes":    {Policy{7, Warn}, "Шымкен", 0, &Error{6, 7, 0}},
		"just long enough":         {Policy{6, Forbid}, "Шымкен", 0, nil},
		"empty":                    {Policy{6, Warn}, "", 0, &Error{0, 6, 0}},
	} {
		got, err := c.policy.Check([]byte(c.pin))
		var e *Error
		errors.As(err, &e)
		if got != c.want || (e == nil) != (c.refuse == nil) || e != nil && *e != *c.refuse {
			t.Errorf("%s: %v, %v; want %v, %v", name, got, err, c.want, c.refuse)
		}
		if err != nil && c.pin != "" && c.pin != "1" && strings.Contains(err.Error(), c.pin) {
			t.Errorf("%s: the error holds the PIN: %v", name, err)
		}
	}
}

func TestNames(t *testing.T) {
	for w, want := range map[Weakness]string{
		Default: "default PIN", Repeated: "one repeated character", Sequence: "simple sequence", OneKind: "one kind of characters",
		9: "Weakness(9)",
	} {
		if got := w.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// FuzzWeak: a PIN that is backwards is as weak, but for the default ones, and one
// more kind of characters at its end makes it at most better.
func FuzzWeak(f *testing.F) {
	for _, pin := range []string{"12345678", "qwerty", "әіңғүұ", "Semey-1718", "", "\xFF\xFE", "8901"} {
		f.Add(pin)
	}
	f.Fuzz(func(t *testing.T, pin string) {
		if len(pin) > 100 || !utf8.ValidString(pin) {
			return
		}
		var back []rune
		for _, r := range pin {
			back = append([]rune{r}, back...)
		}
		a, b := Weak([]byte(pin)), Weak([]byte(string(back)))
		if a != b && a != Default && b != Default {
			t.Errorf("%q is %v, and %q is %v", pin, a, string(back), b)
		}
		if got := Weak([]byte(pin + "1a-")); got != 0 {
			t.Errorf("%q with more kinds is %v", pin, got)
		}
	})
}

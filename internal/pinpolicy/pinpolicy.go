// Package pinpolicy judges new PINs: whether they are long enough, and whether
// somebody would guess them in the few tries that a token gives.
package pinpolicy

import (
	"bytes"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf8"
)

// Weakness is why a PIN is easy to guess.
type Weakness byte

const (
	// Default: it is a PIN that tokens are delivered with.
	Default Weakness = iota + 1
	// Repeated: it is one character, again and again.
	Repeated
	// Sequence: each character follows the one before, forwards or backwards: by
	// number, in the alphabet, or on the keyboard.
	Sequence
	// OneKind: it has fewer than two kinds of characters. The kinds are digits,
	// capital letters, other letters, and everything else.
	OneKind
)

var names = map[Weakness]string{Default: "default PIN", Repeated: "one repeated character", Sequence: "simple sequence", OneKind: "one kind of characters"}

// String names a weakness in English.
func (w Weakness) String() string {
	if name, ok := names[w]; ok {
		return name
	}
	return fmt.Sprintf("Weakness(%d)", byte(w))
}

// Rule is what a weak PIN leads to.
type Rule byte

const (
	Warn   Rule = iota // it is taken, and the person is told
	Forbid             // it is refused
	Allow              // it is taken
)

// Policy is what is asked of a new PIN.
type Policy struct {
	MinLength int // characters
	Weak      Rule
}

// Error is the refusal of a new PIN. It does not hold the PIN.
type Error struct {
	Length, MinLength int      // characters; the PIN is too short if Weakness is 0
	Weakness          Weakness // the first that was found
}

// Error says why in English.
func (e *Error) Error() string {
	if e.Weakness == 0 {
		return fmt.Sprintf("a new PIN of %d characters: the settings ask for %d or more", e.Length, e.MinLength)
	}
	return fmt.Sprintf("a weak new PIN (%s): the settings forbid it", e.Weakness)
}

// Check judges a new PIN by the policy. A PIN that is taken although the person
// should be told comes with its weakness, another one with 0; a PIN that is refused
// comes with an [Error]. The PIN is neither kept nor copied.
func (p Policy) Check(pin []byte) (Weakness, error) {
	if n := utf8.RuneCount(pin); n < p.MinLength {
		return 0, &Error{Length: n, MinLength: p.MinLength}
	}
	if p.Weak == Allow {
		return 0, nil
	}
	w := Weak(pin)
	if w != 0 && p.Weak == Forbid {
		return 0, &Error{Length: utf8.RuneCount(pin), MinLength: p.MinLength, Weakness: w}
	}
	return w, nil
}

// defaults are the PINs that tokens are delivered with (KAZTOKEN user guide,
// driver 4.6.4.0: the user's and the administrator's).
var defaults = [][]byte{[]byte("12345678"), []byte("87654321")}

// Weak finds the first weakness of a PIN in UTF-8, 0 if there is none. Bytes that
// are not UTF-8 count as characters of one kind.
func Weak(pin []byte) Weakness {
	for _, d := range defaults {
		if bytes.Equal(pin, d) {
			return Default
		}
	}
	switch {
	case repeated(pin):
		return Repeated
	case stepwise(pin) || onKeyboard(pin):
		return Sequence
	case oneKind(pin):
		return OneKind
	}
	return 0
}

func repeated(pin []byte) bool {
	first, _ := utf8.DecodeRune(pin)
	return len(pin) > 0 && each(pin, func(r rune) bool { return r == first })
}

// each reports whether f holds for every character.
func each(pin []byte, f func(rune) bool) bool {
	for len(pin) > 0 {
		r, n := utf8.DecodeRune(pin)
		if !f(r) {
			return false
		}
		pin = pin[n:]
	}
	return true
}

// stepwise reports whether the characters go up or down by one. After 9 comes 0, as
// on the keyboard and when counting on; capital and small letters are the same.
func stepwise(pin []byte) bool {
	for _, step := range []rune{1, -1} {
		var last rune = -1
		if each(pin, func(r rune) bool {
			r = unicode.ToLower(r)
			ok := last < 0 || r == last+step || unicode.IsDigit(r) && unicode.IsDigit(last) && (r-last-step)%10 == 0
			last = r
			return ok
		}) {
			return true
		}
	}
	return false
}

// rows are the letters of keyboards, in order: Latin, Russian, and the row that
// Kazakh has in place of the digits.
var rows = [][]rune{
	[]rune("qwertyuiop"), []rune("asdfghjkl"), []rune("zxcvbnm"),
	[]rune("йцукенгшщзхъ"), []rune("фывапролджэ"), []rune("ячсмитьбю"),
	[]rune("әіңғүұқөһ"),
}

// onKeyboard reports whether the PIN runs along a row, in either direction.
func onKeyboard(pin []byte) bool {
	for _, row := range rows {
		for _, step := range []int{1, -1} {
			last := -1
			if each(pin, func(r rune) bool {
				at := slices.Index(row, unicode.ToLower(r))
				ok := at >= 0 && (last < 0 || at == last+step)
				last = at
				return ok
			}) {
				return true
			}
		}
	}
	return false
}

func oneKind(pin []byte) bool {
	first := 0
	return each(pin, func(r rune) bool {
		k := kind(r)
		if first == 0 {
			first = k
		}
		return k == first
	})
}

func kind(r rune) int {
	switch {
	case unicode.IsDigit(r):
		return 1
	case unicode.IsUpper(r):
		return 2
	case unicode.IsLetter(r):
		return 3
	}
	return 4
}

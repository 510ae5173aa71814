package settings

import (
	"errors"
	"fmt"
	"strings"
)

// ErrMalformed: a file of settings, or a value for one, is not what it may be. The
// error is an [Error], too.
var ErrMalformed = errors.New("malformed settings")

// ErrLocked: another program keeps the file locked, as one that was stopped does.
var ErrLocked = errors.New("another program is changing the settings and does not come to an end")

// Error is a mistake in a file of settings, or a value that one may not hold.
type Error struct {
	File   string // its path; "" for a value that is in no file
	Line   int    // counted from 1; 0 for the file as a whole
	Column int    // in bytes, counted from 1; 0 if the line says enough
	Key    string // as in "pin.min_length"; "" for what is not TOML
	Got    string // the value as it would be written; "" if it is not what is wrong
	Want   string // what is allowed there, or what is wrong
}

// Error says all of it in one line that begins as compilers begin theirs, so that
// editors find the place: "config.toml:7: pin.min_length: 3: want …".
func (e *Error) Error() string {
	var b strings.Builder
	if e.File != "" {
		b.WriteString(e.File + ":")
		if e.Line > 0 {
			fmt.Fprintf(&b, "%d:", e.Line)
		}
		if e.Column > 0 {
			fmt.Fprintf(&b, "%d:", e.Column)
		}
		b.WriteString(" ")
	}
	for _, part := range []string{e.Key, e.Got} {
		if part != "" {
			b.WriteString(part + ": ")
		}
	}
	b.WriteString(e.Want)
	return b.String()
}

// Is says that an [Error] is [ErrMalformed].
func (e *Error) Is(target error) bool { return target == ErrMalformed }

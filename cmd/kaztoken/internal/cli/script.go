package cli

import (
	"errors"
	"fmt"
	"strings"

	"kaztoken/internal/iso7816"
)

// step is one line of an APDU script: a command APDU or a reset.
type step struct {
	reset bool
	apdu  []byte
}

// resetWord is the step that resets the card.
const resetWord = "reset"

// parseStep reads one step: the word reset, or an APDU in hexadecimal digits
// with any spaces and colons between bytes. A # begins a comment; ok is false
// if nothing else is there. Errors never show the digits: they may be a PIN.
func parseStep(line string) (s step, ok bool, err error) {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return step{}, false, nil
	case strings.EqualFold(line, resetWord):
		return step{reset: true}, true, nil
	}
	apdu, err := parseHex(line)
	if err != nil {
		return step{}, false, err
	}
	if _, err := iso7816.ParseCommand(apdu); err != nil {
		return step{}, false, err
	}
	return step{apdu: apdu}, true, nil
}

// parseHex reads pairs of hexadecimal digits. Spaces, tabs and colons may stand
// between pairs but not within one.
func parseHex(s string) ([]byte, error) {
	var b []byte
	high := -1
	for i, c := range []byte(s) {
		d := -1
		switch {
		case c >= '0' && c <= '9':
			d = int(c - '0')
		case c >= 'a' && c <= 'f':
			d = int(c-'a') + 10
		case c >= 'A' && c <= 'F':
			d = int(c-'A') + 10
		case (c == ' ' || c == '\t' || c == ':') && high < 0:
			continue
		case c == ' ' || c == '\t' || c == ':':
			return nil, fmt.Errorf("half a byte before column %d", i+1)
		default:
			return nil, fmt.Errorf("column %d is not a hexadecimal digit", i+1)
		}
		if high < 0 {
			high = d
		} else {
			b = append(b, byte(high<<4|d))
			high = -1
		}
	}
	if high >= 0 {
		return nil, errors.New("half a byte at the end")
	}
	return b, nil
}

// errPINArgument refuses a PIN where every user of the machine can read it.
var errPINArgument = errors.New("an APDU with a PIN cannot be an argument, where other users see it: write it to standard input")

// parseArgs reads the steps of a command line. Each argument is one step, but
// neighbours that are single bytes are one APDU together.
func parseArgs(args []string) ([]step, error) {
	var steps []step
	for i := 0; i < len(args); {
		end := i + 1
		if isByte(args[i]) {
			for end < len(args) && isByte(args[end]) {
				end++
			}
		}
		s, ok, err := parseStep(strings.Join(args[i:end], " "))
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		if _, hidden := shown(s.apdu); hidden > 1 { // one byte is Le
			return nil, fmt.Errorf("argument %d: %w", i+1, errPINArgument)
		}
		i = end
		if ok {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// isByte reports whether s is two hexadecimal digits.
func isByte(s string) bool {
	b, err := parseHex(s)
	return err == nil && len(s) == 2 && len(b) == 1
}

// shown is how much of a command APDU may be shown: all of it, or the header if
// the body carries a PIN.
func shown(apdu []byte) (part []byte, hidden int) {
	if len(apdu) < 4 { // a reset
		return apdu, 0
	}
	if iso7816.CarriesSecret(apdu[1]) {
		return apdu[:4], len(apdu) - 4
	}
	return apdu, 0
}

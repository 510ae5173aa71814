package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func TestParseStep(t *testing.T) {
	for _, c := range []struct {
		line, want string // hexadecimal, "reset", "" for nothing
		err        string
	}{
		{line: "", want: ""},
		{line: "  # nothing", want: ""},
		{line: "reset", want: "reset"},
		{line: " Reset # now", want: "reset"},
		{line: "00A40000", want: "00A40000"},
		{line: "00 a4:00\t00\r", want: "00A40000"},
		{line: "0 0A40000", err: "half a byte before column 2"},
		{line: "00A4000", err: "half a byte at the end"},
		{line: "00A4000G", err: "column 8 is not a hexadecimal digit"},
		{line: "00A400", err: "malformed APDU"},
		{line: "00A4000002 3F", err: "malformed APDU"},
		{line: "0x00A40000", err: "column 2"},
		{line: "reset now", err: "column 1"},
		{line: "00B0000000 0003", want: "00B00000000003"},
	} {
		s, ok, err := parseStep(c.line)
		got := fmt.Sprintf("%X", s.apdu)
		if s.reset {
			got = "reset"
		}
		switch {
		case c.err != "":
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: %v, want an error with %q", c.line, err, c.err)
			}
		case err != nil || got != c.want || ok != (c.want != ""):
			t.Errorf("%q: %s, %v, %v, want %s", c.line, got, ok, err, c.want)
		}
	}
}

func TestParseArgs(t *testing.T) {
	for _, c := range []struct {
		args string // split at /
		want string
		err  string
	}{
		{"00CA018100", "00CA018100", ""},
		{"00/CA/01/81/00", "00CA018100", ""},
		{"00/CA/01/81/00/reset/00/CA/01/81", "00CA018100 reset 00CA0181", ""},
		{"00 CA 01 81/00/CA/01/81/80EC0000", "00CA0181 00CA0181 80EC0000", ""},
		{"00/CA/01/81/00CA0181", "00CA0181 00CA0181", ""},
		{"00CA0181/00/CA/01", "", "argument 2: malformed APDU"},
		{"00CA0181/zz", "", "argument 2"},
		{"00200002/00200081 00", "00200002 0020008100", ""}, // queries carry no PIN
		{"reset/0020000204 31323334", "", "argument 2: an APDU with a PIN"},
	} {
		steps, err := parseArgs(strings.Split(c.args, "/"))
		var got []string
		for _, s := range steps {
			if s.reset {
				got = append(got, "reset")
			} else {
				got = append(got, fmt.Sprintf("%X", s.apdu))
			}
		}
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", c.args, err, c.err)
			}
		} else if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, %v, want %s", c.args, got, err, c.want)
		}
	}
}

// FuzzParseStep: what parses is printed back to a line that parses to the same.
func FuzzParseStep(f *testing.F) {
	for _, s := range []string{"", "# x", "reset", "00A40000", "00 a4:00 00 02 3f 00 # MF", "0 0", "00B00000000003"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, ok, err := parseStep(line)
		if err != nil || !ok || s.reset {
			if s.apdu != nil {
				t.Errorf("an APDU beside %v, %v", ok, err)
			}
			return
		}
		if 2*len(s.apdu) > len(line) {
			t.Errorf("%d bytes out of %d characters", len(s.apdu), len(line))
		}
		again, ok, err := parseStep(fmt.Sprintf("% x", s.apdu))
		if err != nil || !ok || !bytes.Equal(again.apdu, s.apdu) {
			t.Errorf("% X comes back as % X, %v, %v", s.apdu, again.apdu, ok, err)
		}
	})
}

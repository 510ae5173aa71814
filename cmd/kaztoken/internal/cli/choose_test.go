package cli

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	all := []names{
		{[]byte{0x45, 0xAB, 0x01}, "Work"},
		{[]byte{0x45, 0xAB, 0x02}, "work at home"},
		{[]byte{0x42}, "3"},
		{[]byte{0x02}, ""},
		{nil, "Үй"},
		{[]byte{0x99}, "twice"},
		{[]byte{0x98}, "twice"},
	}
	for _, c := range []struct {
		selector string
		want     int // index; -1 nothing, -2 several
	}{
		{"42", 2},       // an id before a number
		{"45ab01", 0},   // whole id
		{"45AB02", 1},   // in capitals
		{"work", 0},     // whole label before a part of one
		{"WORK", 0},     //
		{"home", 1},     // part of a label
		{"үй", 4},       // letters of any script
		{"3", 2},        // a label before a number
		{"1", 0},        // number
		{"7", 6},        //
		{"02", 3},       // an id before number 2
		{"2", 1},        // number
		{"45ab", -2},    // beginning of two ids
		{"45", -2},      //
		{"99", 5},       //
		{"twice", -2},   // two with one label
		{"at", 1},       //
		{"0", -1},       // no number
		{"8", -1},       //
		{"-1", -1},      //
		{"0001", -1},    // too long for a number
		{"4", 3},        // number 4, and no beginning of an id: too short
		{"", 3},         // the empty label
		{"nothing", -1}, //
		{"w", -2},       // in three labels
		{"+1", 0},       // as strconv reads a number
		{"45ab0", -2},   // half a byte is a beginning, too
		{"45ab010", -1}, // longer than any
		{strings.Repeat("4", 500), -1},
	} {
		got, err := choose(c.selector, "list", all, func(n names) names { return n })
		var none *nothingError
		var several *severalError
		switch c.want {
		case -1:
			if !errors.As(err, &none) || none.selector != c.selector || none.list != "list" {
				t.Errorf("%q: %v, %v, want nothing", c.selector, got, err)
			}
		case -2:
			if !errors.As(err, &several) || len(several.found) < 2 {
				t.Errorf("%q: %v, %v, want several", c.selector, got, err)
			}
		default:
			if err != nil || !cmp.Equal(got, all[c.want], cmp.AllowUnexported(names{})) {
				t.Errorf("%q: %v, %v, want %v", c.selector, got, err, all[c.want])
			}
		}
	}
}

func TestChooseAll(t *testing.T) {
	all := []names{{[]byte{1}, "a"}, {[]byte{2}, "b"}, {[]byte{3}, "c"}}
	self := func(n names) names { return n }
	got, err := chooseAll([]string{"c", "1", "03", "a"}, "list", all, self)
	want := []names{all[2], all[0]}
	if err != nil || !slices.EqualFunc(got, want, func(x, y names) bool { return x.label == y.label }) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	if _, err := chooseAll([]string{"a", "x"}, "list", all, self); err == nil {
		t.Error("x is chosen")
	}
}

func TestParseID(t *testing.T) {
	for s, want := range map[string]string{"": "", "42": "\x42", "aBcd": "\xab\xcd"} {
		if got, err := parseID(s); err != nil || string(got) != want {
			t.Errorf("%q: % x, %v", s, got, err)
		}
	}
	for _, s := range []string{"4", "x", "0x42", "4 2"} {
		var u *usageError
		if _, err := parseID(s); !errors.As(err, &u) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestPrintable(t *testing.T) {
	for s, want := range map[string]bool{
		"": true, "abc\n\tәң\n": true, "a\x00b": false, "\xff": false, "\x1b[2J": false, "a\r\n": false, "\u202e": false,
	} {
		if got := printable([]byte(s)); got != want {
			t.Errorf("printable(%q) = %v", s, got)
		}
	}
}

func TestSheet(t *testing.T) {
	var s sheet
	s.line("Аты", "x\x1b", "y")
	s.line("Жүйелік аты")
	s.line("Longer name", "z")
	s.line("", "w")
	var b strings.Builder
	if err := s.print(&b); err != nil {
		t.Fatal(err)
	}
	want := "Аты:          x\ufffd\n              y\nLonger name:  z\n              w\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	var table table
	table.row("a", "ұзын", "")
	table.row("bb", "c\n", "d")
	b.Reset()
	if err := table.print(&b); err != nil {
		t.Fatal(err)
	}
	if want := "a   ұзын\nbb  c\ufffd    d\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

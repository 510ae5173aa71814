package kzpki

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Display makes a text of a certificate safe to show in a line of a terminal or
// a page. Whoever asked for the certificate chose the text, so it may try to
// move the cursor, turn the direction of writing or hide letters. All that is
// written out as escapes of Go strings (\u000a, \u202e, \xff), and a backslash
// doubled, so that what is shown tells what is there. Letters of every
// script stay.
//
// It does not quote for HTML; what it gives is text.
func Display(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case r == '\\':
			b.WriteString(`\\`)
		case visible(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// visible reports whether r takes its place on a line and nothing else: letters
// and their marks, numbers, punctuation, symbols, the space and the one that
// office programs put between a number and its unit.
func visible(r rune) bool {
	return r == '\u00a0' || unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

//go:build e2e && linux

package panel

import (
	"unicode"
	"unicode/utf8"
)

// capital begins a text with a capital letter, as pages do.
func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

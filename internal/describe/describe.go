// Package describe says in words what is on a token: one set of texts for the
// commands and the panel, in the languages of package words.
//
// What comes from the token or a certificate was chosen by whoever wrote it. It
// is made safe to show in a line of a terminal; a page quotes it for HTML as
// well.
package describe

import (
	"fmt"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/words"
)

// Line is one property: what it is called, and one value or several. A line
// without a label goes on with what the line before it told.
type Line struct {
	Label  string
	Values []string
}

// Sheet is a description, one property after the other.
type Sheet []Line

// add appends a line. One without values is left out.
func (s *Sheet) add(label string, values ...string) {
	if len(values) > 0 {
		*s = append(*s, Line{label, values})
	}
}

// OrDash gives a dash in place of nothing.
func OrDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// LabelOr gives what to call something whose label may be empty: its id in
// hexadecimal digits.
func LabelOr(label string, id []byte) string {
	if strings.TrimSpace(label) != "" || len(id) == 0 {
		return words.Clean(label)
	}
	return fmt.Sprintf("%X", id)
}

// Role is a role as the catalogue's choices name it: "user", "admin" or, for no
// role, "any".
func Role(r firmware.Role) string {
	switch r {
	case firmware.Admin:
		return "admin"
	case firmware.User:
		return "user"
	}
	return "any"
}

// Policy is a policy as the catalogue's choices name it.
func Policy(p firmware.Policy) string {
	switch p {
	case firmware.PolicyAdmin:
		return "admin"
	case firmware.PolicyUser:
		return "user"
	case firmware.PolicyBoth:
		return "both"
	}
	return "unknown"
}

// Format is how a token is formatted, as the catalogue's choices name it.
func Format(s firmware.State) string {
	switch s {
	case firmware.StatePKCS15:
		return "pkcs15"
	case firmware.StateVendor:
		return "vendor"
	case firmware.StateHalf:
		return "half"
	case firmware.StateWiped:
		return "wiped"
	}
	return s.String()
}

// KeyAlgorithm names the algorithm of a key pair on the token.
func KeyAlgorithm(k firmware.Key) string { return WithBits(k.Algorithm, k.Bits) }

// Algorithm names the algorithm of a certificate's key. One that nobody here
// knows has its identifier, and is no reason to call the certificate bad.
func Algorithm(w words.Words, a kzpki.Algorithm) string {
	if a.Family == kzpki.FamilyOther {
		return OrDash(a.String())
	}
	return WithBits(w.Text(words.Key(a.Family.Key())), a.Bits)
}

// WithBits joins the name of an algorithm and the bits of a key, 0 if unknown.
func WithBits(name string, bits int) string {
	if bits > 0 {
		return fmt.Sprintf("%s %d", name, bits)
	}
	return name
}

// Finding says in one line what does not fit on a token.
func Finding(w words.Words, f firmware.Finding) string {
	line := w.Text("finding", "kind", FindingKind(f.Kind))
	if f.Kind == firmware.FindingHalfFormatted {
		return line
	}
	line += fmt.Sprintf(": %v", f.Path)
	if f.Label != "" {
		line += " " + words.Clean(f.Label)
	}
	return line
}

// FindingKind names a kind of finding as the catalogue's choices do.
func FindingKind(k firmware.FindingKind) string {
	switch k {
	case firmware.FindingHalfFormatted:
		return "half_formatted"
	case firmware.FindingLeftoverFile:
		return "leftover_file"
	case firmware.FindingLeftoverKey:
		return "leftover_key"
	case firmware.FindingUnlistedKey:
		return "unlisted_key"
	case firmware.FindingMissingFile:
		return "missing_file"
	case firmware.FindingDamagedDirectory:
		return "damaged_directory"
	case firmware.FindingNameDiffers:
		return "name_differs"
	case firmware.FindingNotInDIR:
		return "not_in_dir"
	}
	return k.String()
}

// Harmless findings are told and are no failure.
func Harmless(k firmware.FindingKind) bool { return k == firmware.FindingNameDiffers }

// Weakness is why a PIN is weak, as the catalogue's choices name it.
func Weakness(w pinpolicy.Weakness) string {
	switch w {
	case pinpolicy.Default:
		return "default"
	case pinpolicy.Repeated:
		return "repeated"
	case pinpolicy.Sequence:
		return "sequence"
	case pinpolicy.OneKind:
		return "onekind"
	}
	return w.String()
}

package host

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"kaztoken/usb"
)

// Candidate is one slot of one reader that a token may be in. A token on USB
// is a reader with one slot that is never empty.
type Candidate struct {
	Backend string // the road that leads to it: "usb", "pcsc", "virtual"
	// Index numbers the readers of one answer of [Find] in the order of their
	// ports. It is not the same after a plug or unplug.
	Index int
	Slot  int
	Name  string // see [Name]; that of the service for "pcsc"

	// Device and Interface are those of the reader. Through a service nothing of
	// them is known but a serial number that its name has: see [Token.Describe].
	Device    usb.Info
	Interface usb.Interface

	// Denied: this user may not open the device.
	Denied bool
	// Holders are the other programs that have the device open, as far as this
	// user may know: "pcscd (pid 812)".
	Holders []string
}

// String gives the name and where it is plugged in.
func (c Candidate) String() string {
	if c.Device.Port == "" {
		return c.Name
	}
	return fmt.Sprintf("%s, port %s, address %d:%d", c.Name, c.Device.Port, c.Device.Bus, c.Device.Addr)
}

// AmbiguousError says that a selector, or the lack of one, leaves a choice.
type AmbiguousError struct {
	Selector   string // "" if there was none
	Candidates []Candidate
}

func (e *AmbiguousError) Error() string {
	var b strings.Builder
	if e.Selector == "" {
		fmt.Fprintf(&b, "%d tokens are plugged in:", len(e.Candidates))
	} else {
		fmt.Fprintf(&b, "token %q is one of %d:", e.Selector, len(e.Candidates))
	}
	for _, c := range e.Candidates {
		fmt.Fprintf(&b, "\n  %v", c)
	}
	return b.String()
}

var (
	portForm    = regexp.MustCompile(`^[0-9]+-[0-9]+(\.[0-9]+)*$`)
	addressForm = regexp.MustCompile(`^([0-9]{1,3}):([0-9]{1,3})$`)
	indexForm   = regexp.MustCompile(`^[0-9]{1,2}$`)
)

// Select finds the one candidate that a selector means: a serial number, a
// port ("1-1.4"), bus and address as lsusb prints them ("001:004"), the number
// of the reader, its name, or a part of the name that no other has. They are
// tried in this order, without regard to case. The empty selector means the only one
// there is.
//
// The error is [ErrNoToken] if none matches and an [AmbiguousError] if several
// do.
func Select(selector string, all []Candidate) (Candidate, error) {
	found := matching(selector, all)
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Candidate{}, &HintError{
			Err:  &AmbiguousError{selector, found},
			Hint: "hint.choose",
		}
	case len(all) == 0:
		return Candidate{}, ErrNoToken
	}
	return Candidate{}, &HintError{fmt.Errorf("%q: %w", selector, ErrNoToken), "hint.there", []any{"list", namesOf(all)}}
}

// namesOf spells candidates for a hint.
func namesOf(all []Candidate) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.String())
	}
	return names
}

// matching gives what the first of the selector's meanings that fits anything
// fits.
func matching(selector string, all []Candidate) []Candidate {
	if selector == "" {
		return all
	}
	meanings := []func(Candidate) bool{
		func(c Candidate) bool { return strings.EqualFold(c.Device.Serial, selector) },
	}
	if portForm.MatchString(selector) {
		meanings = append(meanings, func(c Candidate) bool { return c.Device.Port == selector })
	}
	if m := addressForm.FindStringSubmatch(selector); m != nil {
		bus, _ := strconv.Atoi(m[1])
		addr, _ := strconv.Atoi(m[2])
		meanings = append(meanings, func(c Candidate) bool {
			return c.Device.Port != "" && c.Device.Bus == bus && c.Device.Addr == addr
		})
	}
	if indexForm.MatchString(selector) {
		n, _ := strconv.Atoi(selector)
		meanings = append(meanings, func(c Candidate) bool { return c.Index == n })
	} else {
		folded := strings.ToLower(selector)
		meanings = append(meanings,
			func(c Candidate) bool { return strings.EqualFold(c.Name, selector) },
			func(c Candidate) bool { return strings.Contains(strings.ToLower(c.Name), folded) })
	}
	for _, means := range meanings {
		var found []Candidate
		for _, c := range all {
			if means(c) {
				found = append(found, c)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

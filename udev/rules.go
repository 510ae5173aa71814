package udev

import (
	"bytes"
	"fmt"
)

//go:generate go test -run ^TestRulesFile$ -update .

// RulesFile is the name under which udev has to find the rules: before
// 73-seat-late.rules, which turns the tag uaccess into an access list.
const RulesFile = "70-kaztoken.rules"

// PCSCDRulesFile is that of the rules which give the devices to pcscd, where its
// driver of ours is installed: behind libccid's own, 92-pcscd_ccid.rules.
const PCSCDRulesFile = "93-kaztoken-pcscd.rules"

// RulesOptions says how the rules file is to give access.
type RulesOptions struct {
	// Group owns the device nodes, beside the user of the seat; empty for none.
	// It must exist, else udev complains and leaves the group as it is.
	Group string

	// PCSCLiteIgnore tells pcscd (2.3.2 and later) to leave the devices of our
	// table alone: for machines where both it and kaztoken serve run. Readers
	// that are known by their class only stay with pcscd.
	PCSCLiteIgnore bool
}

// Group is the group that owns the device nodes under the rules that ship. A
// package creates it.
const Group = "kaztoken"

// DefaultRules are the options of the file that ships.
func DefaultRules() RulesOptions { return RulesOptions{Group: Group} }

// Rules makes the udev rules file, a line of explanation with every step. The
// only error is a Group that is no name of a group.
func Rules(o RulesOptions) ([]byte, error) {
	if !groupName(o.Group) {
		return nil, fmt.Errorf("udev rules: %q is not a group name", o.Group)
	}
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("# Access to KAZTOKEN, Rutoken and other smart-card readers on USB.")
	line("# Generated from the device table of kaztoken: edit that, not this file.")
	line("# Must sort before 73-seat-late.rules, which makes an ACL of the tag uaccess.")
	line("")
	line(`ACTION=="remove", GOTO="kaztoken_end"`)
	line(`SUBSYSTEM!="usb", GOTO="kaztoken_end"`)
	line(`ENV{DEVTYPE}!="usb_device", GOTO="kaztoken_end"`)
	line("")
	line("# Devices known by their ids.")
	known := "kaztoken_access"
	if o.PCSCLiteIgnore {
		known = "kaztoken_known"
	}
	for _, d := range devices {
		line("# %s", d.Name)
		line(`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x", ATTR{idProduct}=="%04x", GOTO="%s"`,
			d.Vendor, d.Product, known)
	}
	line("")
	line("# Any other reader, by the class of one of its interfaces.")
	for _, c := range readerClasses {
		line("# %s", c.name)
		line(`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ENV{ID_USB_INTERFACES}=="*:%s:*", GOTO="kaztoken_access"`, c.code)
	}
	line(`GOTO="kaztoken_end"`)
	line("")
	if o.PCSCLiteIgnore {
		line("# pcscd leaves these to kaztoken; its own rules must not take the group either.")
		line(`LABEL="kaztoken_known"`)
		line(`ENV{PCSCLITE_IGNORE}="1"`)
		if o.Group != "" {
			line(`GROUP:="%s"`, o.Group)
		}
		line("")
	}
	line(`LABEL="kaztoken_access"`)
	access := `MODE="0660", TAG+="uaccess"`
	if o.Group != "" {
		access = fmt.Sprintf(`GROUP="%s", %s`, o.Group, access)
	}
	line("%s", access)
	line("")
	line(`LABEL="kaztoken_end"`)
	return b.Bytes(), nil
}

// groupName reports whether s is empty or a name that every system takes.
func groupName(s string) bool {
	if len(s) > 31 {
		return false
	}
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-'):
		default:
			return false
		}
	}
	return true
}

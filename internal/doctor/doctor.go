// Package doctor finds out why a token does not work: what is wrong first on the
// way from the plug to the program, and so the one thing to do.
//
// [Examine] goes through the checks in the order of that way and stops at the
// first that finds something, because what comes behind it cannot work either.
// Checks look at files, at processes and at answers that a [Machine] gives; they
// change nothing, and none uses a try of a PIN.
package doctor

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"kaztoken/udev"
	"kaztoken/usb"
)

// Machine is what the checks see. A nil file system is a machine that has none of
// the kind: all that is looked up there is passed over.
type Machine struct {
	Root fs.FS // "/", for the files of udev, pcscd and libpcsclite
	Sys  fs.FS // /sys
	Proc fs.FS // /proc

	// Devices lists what is on USB, without any traffic to it.
	Devices func(context.Context) ([]usb.Info, error)
	// Access opens a path for reading and writing, as far as this user may: nil,
	// [fs.ErrPermission], [fs.ErrNotExist].
	Access func(path string) error
	// Service asks the smart-card service.
	Service func(context.Context) Service
	// Card asks the card of a token, through whatever leads to it.
	Card func(context.Context, usb.Info) Card

	Now     time.Time
	Socket  string // of the smart-card service: "/run/pcscd/pcscd.comm"
	Own     int    // number of this process, whose open files do not count
	Wanted  func(usb.Info) bool
	Program time.Time // when this program was made; zero if that is not known
}

// Service is what is known of the smart-card service.
type Service struct {
	State ServiceState
	Ours  bool // it is of this program
	// Token says that it shows a token of the kind that is looked for.
	Token bool
	Err   error // what it said, in English; nil if it is up
}

// ServiceState says how the service is.
type ServiceState byte

// The states of a service.
const (
	ServiceNone    ServiceState = iota // there is no socket
	ServiceDead                        // a socket that nobody listens on
	ServiceDenied                      // this user may not connect
	ServiceRefused                     // it refuses this user
	ServiceUp
	ServiceSilent // it takes connections and does not answer
)

var serviceStates = [...]string{"none", "dead", "denied", "refused", "up", "silent"}

func (s ServiceState) String() string {
	if int(s) < len(serviceStates) {
		return serviceStates[s]
	}
	return fmt.Sprintf("ServiceState(%d)", byte(s))
}

// Card is what is known of the card of a token.
type Card struct {
	Err    error // why it cannot be asked; the rest is empty then
	Format Format
	// User and Admin are the PINs.
	User, Admin  PIN
	Certificates []Certificate
}

// Format says how a token is formatted.
type Format byte

// The formats.
const (
	FormatPKCS15 Format = iota
	FormatVendor
	FormatHalf
	FormatWiped
)

// PIN is the state of one PIN.
type PIN struct {
	Known   bool
	Blocked bool
}

// Certificate is what matters of one here.
type Certificate struct {
	Name                string
	NotBefore, NotAfter time.Time
}

// Check is one step on the way from the plug to the program.
type Check string

// The checks, in the order in which they are made.
const (
	CheckBus        Check = "bus"        // the token is on the bus, and in use
	CheckPermission Check = "permission" // this user may open its node
	CheckHolder     Check = "holder"     // nobody else has its interface
	CheckService    Check = "service"    // the smart-card service works and shows it
	CheckLibrary    Check = "library"    // programs find the service
	CheckCard       Check = "card"       // the card answers
	CheckFormat     Check = "format"     // it is formatted in a way that can be used
	CheckPIN        Check = "pin"        // no PIN is blocked
	CheckClock      Check = "clock"      // its certificates are valid now
)

// Class sorts the findings by what they are to a program that runs this one.
type Class byte

// The classes.
const (
	ClassNone       Class = iota // nothing is wrong
	ClassNoToken                 // no token that could be used
	ClassOutOfReach              // it is there, and may not be used
	ClassNotAllowed              // its format does not allow it
	ClassPIN                     // a PIN is blocked
	ClassOther                   // the rest
)

var classes = [...]string{"none", "no token", "out of reach", "format", "pin", "other"}

func (c Class) String() string {
	if int(c) < len(classes) {
		return classes[c]
	}
	return fmt.Sprintf("Class(%d)", byte(c))
}

// IDs are all that [Finding.ID] can be.
var IDs = []string{
	"bus.none", "bus.missing", "bus.unauthorized", "bus.port",
	"node.missing", "rule.missing", "rule.masked", "rule.other", "rule.notapplied", "rule.group",
	"holder.kernel", "holder.program", "holder.unknown",
	"service.down", "service.socket", "service.refused", "service.silent", "service.blind", "service.bundle",
	"library.socket", "card.busy", "card.suspended", "card.silent",
	"format.vendor", "format.half", "format.wiped", "pin.user", "pin.admin", "pin.both",
	"clock.behind", "clock.early", "clock.expired",
}

// Finding is one thing that is wrong. ID names it for good; Values belong to the
// words for it, as pairs of a name and a value.
type Finding struct {
	ID     string
	Check  Check
	Class  Class
	Device string // the token that it is about; "" for the machine
	Values []any
}

// Step is what came of one check.
type Step struct {
	Check Check
	State StepState
}

// StepState is what came of a check.
type StepState byte

// What can come of a check.
const (
	Fine    StepState = iota
	Wrong             // it is the finding
	Skipped           // there was nothing to look at, or something before it is wrong
)

var stepStates = [...]string{"fine", "wrong", "skipped"}

func (s StepState) String() string {
	if int(s) < len(stepStates) {
		return stepStates[s]
	}
	return fmt.Sprintf("StepState(%d)", byte(s))
}

// Report is what was found.
type Report struct {
	Devices []usb.Info // the tokens that were looked at
	Steps   []Step     // all checks, in their order
	Finding *Finding   // nil if everything is good
}

// examination is one run of the checks.
type examination struct {
	Machine
	ctx     context.Context
	tokens  []usb.Info
	service *Service // nil before it was asked
	cards   []Card   // of tokens
}

// check is a check: what it finds, or that there was nothing to look at.
type check struct {
	name Check
	run  func(*examination) (f *Finding, skipped bool)
}

var checks = []check{
	{CheckBus, (*examination).bus},
	{CheckPermission, (*examination).permission},
	{CheckHolder, (*examination).holder},
	{CheckService, (*examination).serves},
	{CheckLibrary, (*examination).library},
	{CheckCard, (*examination).card},
	{CheckFormat, (*examination).format},
	{CheckPIN, (*examination).pin},
	{CheckClock, (*examination).clock},
}

// Examine goes through the checks. The error is that of ctx.
func Examine(ctx context.Context, m Machine) (Report, error) {
	x := &examination{Machine: m, ctx: ctx}
	var r Report
	for _, c := range checks {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		s := Step{c.name, Skipped}
		if r.Finding == nil {
			f, skipped := c.run(x)
			switch {
			case f != nil:
				f.Check = c.name
				s.State, r.Finding = Wrong, f
			case !skipped:
				s.State = Fine
			}
		}
		r.Steps = append(r.Steps, s)
	}
	r.Devices = x.tokens
	return r, ctx.Err()
}

// about makes a finding about a device.
func about(dev usb.Info, id string, class Class, values ...any) *Finding {
	return &Finding{ID: id, Class: class, Device: nameOf(dev), Values: values}
}

// nameOf is how a person finds a device.
func nameOf(dev usb.Info) string {
	name := dev.ProductName
	if d, ok := udev.Lookup(dev.Vendor, dev.Product); ok && name == "" {
		name = d.Name
	}
	if dev.Port != "" {
		name += ", " + dev.Port
	}
	return name
}

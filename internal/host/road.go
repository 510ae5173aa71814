package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"

	"kaztoken/usb"
)

// ErrNoToken: there is no token, or none that the selector means.
var ErrNoToken = errors.New("no token")

// OptionError says that one of the [Options] has a value that it cannot have.
type OptionError struct {
	Option, Value string
	Want          []string
}

func (e *OptionError) Error() string {
	return fmt.Sprintf("%s %q: want one of %s", e.Option, e.Value, strings.Join(e.Want, ", "))
}

// Options say which token is meant and which road leads to it.
type Options struct {
	Backend string // one of BackendNames; "" is the first
	Driver  string // USB driver, one of DriverNames; "" is the first
	Devices string // which devices count, one of FilterNames; "" is the first
	Token   string // selector, see Select
	// VirtualState is the file that keeps the token of backend "virtual" from one
	// run to the next. "" is kaztoken/virtual.state in $XDG_STATE_HOME or, without
	// it, in ~/.local/state (macOS: ~/Library/Application Support).
	VirtualState string
	Log          *logrus.Logger
	// Recorder listens to every USB interface that is opened; nil for nobody.
	Recorder Recorder
}

// Recorder stands between the driver and the USB interfaces that it opens.
type Recorder interface {
	// Pipe gives a pipe that does what p does. Closing it closes p.
	Pipe(p usb.Pipe, dev usb.Info, ifc usb.Interface) usb.Pipe
}

// BackendNames lists what Options.Backend may be, the default first: "auto" goes
// through a smart-card service to what that has, and to the rest over USB.
func BackendNames() []string { return append([]string{"auto", "usb", "pcsc"}, softwareRoads...) }

// road is one way to tokens.
type road interface {
	// find lists what is at the end of the road, without opening anything.
	find(ctx context.Context) ([]Candidate, error)
	// open opens the reader of a candidate that find gave.
	open(ctx context.Context, c Candidate, log *logrus.Logger) (*Token, error)
	// follow starts a supervisor of what is at its end.
	follow(log *logrus.Logger) (*Supervisor, error)
}

// road gives the road that is chosen. The error is an [OptionError] or a
// [DriverError].
func (o Options) road() (road, error) {
	switch o.Backend {
	case "", "auto", "usb", "pcsc":
	default:
		if slices.Contains(softwareRoads, o.Backend) {
			r := virtual(o.VirtualState)
			r.driver = r.driver.recorded(o.Recorder)
			return r, nil
		}
		return nil, &OptionError{"backend", o.Backend, BackendNames()}
	}
	filter, err := filterNamed(o.Devices)
	if err != nil {
		return nil, err
	}
	service := newServiceRoad(o.Devices)
	if o.Backend == "pcsc" {
		return service, nil
	}
	driver, err := driverNamed(o.Driver)
	if err != nil {
		return nil, err
	}
	direct := &usbRoad{backend: "usb", source: system(), driver: driver.recorded(o.Recorder), filter: filter, inspect: inspect}
	if o.Backend == "usb" {
		return direct, nil
	}
	log := o.Log
	if log == nil {
		log = silent()
	}
	return &autoRoad{service: service, direct: direct, ours: oursAnswers, log: log}, nil
}

// Find lists the tokens on the chosen road without opening any. The error is
// [ErrNoToken] if there is none.
func Find(ctx context.Context, o Options) ([]Candidate, error) {
	_, all, err := o.search(ctx)
	if err == nil && len(all) == 0 {
		err = o.noToken(ctx)
	}
	return all, err
}

// search gives the chosen road and what is on it.
func (o Options) search(ctx context.Context) (road, []Candidate, error) {
	r, err := o.road()
	if err != nil {
		return nil, nil, err
	}
	all, err := r.find(ctx)
	return r, all, err
}

// OpenToken finds the one token that is meant and opens it. Its card has no
// power yet: see [Token.PowerOn].
//
// The error is [ErrNoToken], an [AmbiguousError], one of package usb
// (ErrAccess, ErrBusy, ErrGone), of [ccid.Open], [ErrService] or, for the virtual
// token, as [ExplainState] has it; [Hint] says what can be done.
func OpenToken(ctx context.Context, o Options) (*Token, error) {
	if o.Log == nil {
		o.Log = silent()
	}
	r, all, err := o.search(ctx)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, o.noToken(ctx)
	}
	c, err := Select(o.Token, all)
	if err != nil {
		return nil, err
	}
	return r.open(ctx, c, o.Log)
}

// noToken says what to do when nothing is plugged in, or only what was not
// asked for.
func (o Options) noToken(ctx context.Context) error {
	all := o
	all.Devices = "all"
	if _, others, err := all.search(ctx); err == nil && len(others) > 0 {
		return &HintError{ErrNoToken, "hint.devices", []any{"list", namesOf(others)}}
	}
	return &HintError{Err: ErrNoToken, Hint: plugHint}
}

// Follow starts a supervisor of the readers on the chosen road. Options.Token
// does not matter.
func Follow(o Options) (*Supervisor, error) {
	r, err := o.road()
	if err != nil {
		return nil, err
	}
	return r.follow(o.Log)
}

// usbRoad drives the device's endpoints from this process.
type usbRoad struct {
	backend string
	source  Source
	driver  Driver
	filter  Filter
	inspect func(*Candidate) // fills Denied and Holders in
}

func (r *usbRoad) find(ctx context.Context) ([]Candidate, error) {
	devs, err := r.source.Devices(ctx)
	if err != nil && len(devs) == 0 {
		return nil, err
	}
	var (
		all   []Candidate
		index int
	)
	for _, d := range devs {
		for _, ifc := range r.filter.interfaces(d) {
			for slot := range ifc.Reader.Slots() {
				c := Candidate{
					Backend: r.backend, Index: index, Slot: slot, Name: Name(d, index, slot), Device: d, Interface: ifc,
				}
				r.inspect(&c)
				all = append(all, c)
			}
			index++
		}
	}
	return all, nil
}

func (r *usbRoad) open(ctx context.Context, c Candidate, logger *logrus.Logger) (*Token, error) {
	log := logger.WithFields(logrus.Fields{"reader": c.Name, "driver": r.driver.Name})
	p, err := r.driver.Open(ctx, c.Device, c.Interface)
	if err != nil {
		return nil, explain(err, c.Device, holdersOf)
	}
	reader, err := openReader(ctx, p, c.Device, c.Interface, log)
	if err != nil {
		return nil, explain(err, c.Device, holdersOf)
	}
	return &Token{Candidate: c, Driver: r.driver.Name, log: log, channel: usbSlot{reader.Slots()[c.Slot], reader}}, nil
}

func (r *usbRoad) follow(log *logrus.Logger) (*Supervisor, error) {
	return Supervise(r.config(log))
}

func (r *usbRoad) config(log *logrus.Logger) Config {
	return Config{Source: r.source, Driver: r.driver, Filter: r.filter, Log: log}
}

// inspect looks at who may open a device and who has.
func inspect(c *Candidate) {
	c.Denied = denied(c.Device)
	for _, h := range holdersOf(c.Device) {
		c.Holders = append(c.Holders, h.String())
	}
	slices.Sort(c.Holders)
}

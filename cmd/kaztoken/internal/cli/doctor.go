package cli

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/internal/doctor"
	"kaztoken/internal/host"
	"kaztoken/internal/words"
	"kaztoken/udev"
	"kaztoken/usb"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Find out why a token does not work",
		Long: `Find out why a token does not work, and say the one thing to do. It looks, in this
order, whether the token is on the bus, whether this user may open it and if not
which udev rule is missing or in the way, who holds it, whether the smart-card
service runs, lets this user in and shows the token, whether programs look for the
service where it is, whether the token answers, how it is formatted, whether a PIN
is blocked, and whether the clock suits its certificates. The first thing that is
wrong is told: what comes behind it cannot work before it is put right.

It changes nothing and uses no try of a PIN. Run it as the user for whom the token
does not work.

The exit code tells the class of what was found:
  0  all good
  1  the token does not respond, or the clock and a certificate do not fit
  3  no token on the bus that could be used
  4  a PIN is blocked
  5  the token is there, and something stands before it: a permission, another
     program, the service
  6  its format: the vendor's, or none

--json prints an object with the keys
  finding (null if all is good): id, check, class, exit_code, device, text, todo,
  steps: check, state (fine, wrong, skipped), and devices (their names)`,
		Example: `  kaztoken doctor
  kaztoken doctor --json
  kaztoken doctor --lang kk`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.doctor(c.Context()) },
	}
}

// advice is what is said of each finding: what is wrong, and what to do.
var advice = map[string]struct{ cause, todo words.Key }{
	"bus.none":         {"doctor.bus.none", "doctor.bus.none.do"},
	"bus.missing":      {"doctor.bus.missing", "doctor.bus.missing.do"},
	"bus.unauthorized": {"doctor.bus.unauthorized", "doctor.bus.unauthorized.do"},
	"bus.port":         {"doctor.bus.port", "doctor.bus.port.do"},
	"node.missing":     {"doctor.node.missing", "doctor.node.missing.do"},
	"rule.missing":     {"doctor.rule.missing", "doctor.rule.missing.do"},
	"rule.masked":      {"doctor.rule.masked", "doctor.rule.masked.do"},
	"rule.other":       {"doctor.rule.other", "doctor.rule.other.do"},
	"rule.notapplied":  {"doctor.rule.notapplied", "doctor.rule.notapplied.do"},
	"rule.group":       {"doctor.rule.group", "doctor.rule.group.do"},
	"holder.kernel":    {"doctor.holder.kernel", "doctor.holder.kernel.do"},
	"holder.program":   {"doctor.holder.program", "doctor.holder.program.do"},
	"holder.unknown":   {"doctor.holder.unknown", "doctor.holder.unknown.do"},
	"service.down":     {"doctor.service.down", "doctor.service.down.do"},
	"service.socket":   {"doctor.service.socket", "doctor.service.socket.do"},
	"service.refused":  {"doctor.service.refused", "doctor.service.refused.do"},
	"service.silent":   {"doctor.service.silent", "doctor.service.silent.do"},
	"service.blind":    {"doctor.service.blind", "doctor.service.blind.do"},
	"service.bundle":   {"doctor.service.bundle", "doctor.service.bundle.do"},
	"library.socket":   {"doctor.library.socket", "doctor.library.socket.do"},
	"card.busy":        {"doctor.card.busy", "doctor.card.busy.do"},
	"card.suspended":   {"doctor.card.suspended", "doctor.card.suspended.do"},
	"card.silent":      {"doctor.card.silent", "doctor.card.silent.do"},
	"format.vendor":    {"doctor.format.vendor", "doctor.format.vendor.do"},
	"format.half":      {"doctor.format.half", "doctor.format.half.do"},
	"format.wiped":     {"doctor.format.wiped", "doctor.format.wiped.do"},
	"pin.user":         {"doctor.pin.user", "doctor.pin.user.do"},
	"pin.admin":        {"doctor.pin.admin", "doctor.pin.admin.do"},
	"pin.both":         {"doctor.pin.both", "doctor.pin.both.do"},
	"clock.behind":     {"doctor.clock.behind", "doctor.clock.behind.do"},
	"clock.early":      {"doctor.clock.early", "doctor.clock.early.do"},
	"clock.expired":    {"doctor.clock.expired", "doctor.clock.expired.do"},
}

// findingExits are the exit codes of the classes.
var findingExits = map[doctor.Class]int{
	doctor.ClassNoToken: exitNoToken, doctor.ClassOutOfReach: exitOutOfReach, doctor.ClassNotAllowed: exitNotAllowed,
	doctor.ClassPIN: exitPIN, doctor.ClassOther: exitFailed,
}

type diagnosisJSON struct {
	Finding *troubleJSON `json:"finding"`
	Steps   []stepJSON   `json:"steps"`
	Devices []string     `json:"devices"`
}

type troubleJSON struct {
	ID     string `json:"id"`
	Check  string `json:"check"`
	Class  string `json:"class"`
	Exit   int    `json:"exit_code"`
	Device string `json:"device"` // "" for the machine
	Text   string `json:"text"`
	Todo   string `json:"todo"`
}

type stepJSON struct {
	Check string `json:"check"`
	State string `json:"state"`
}

// examine goes through the checks.
func (a *app) examine(ctx context.Context) (doctor.Report, error) {
	m, err := a.Machine(a.options)
	if err != nil {
		return doctor.Report{}, err
	}
	m.Card, m.Now = a.askCard, a.Now()
	return doctor.Examine(ctx, m)
}

func (a *app) doctor(ctx context.Context) error {
	r, err := a.examine(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(diagnosisOf(r), "  ")
	} else {
		err = a.printDiagnosis(r)
	}
	if err == nil && r.Finding != nil {
		err = &codeError{findingExits[r.Finding.Class]}
	}
	return err
}

func diagnosisOf(r doctor.Report) diagnosisJSON {
	j := diagnosisJSON{Steps: []stepJSON{}, Devices: []string{}}
	for _, s := range r.Steps {
		j.Steps = append(j.Steps, stepJSON{string(s.Check), s.State.String()})
	}
	for _, d := range r.Devices {
		j.Devices = append(j.Devices, d.String())
	}
	if f := r.Finding; f != nil {
		w := words.For(words.English)
		cause, todo := tellFinding(w, f)
		j.Finding = &troubleJSON{f.ID, string(f.Check), f.Class.String(), findingExits[f.Class], f.Device, cause, todo}
	}
	return j
}

// tellFinding puts a finding into words.
func tellFinding(w words.Words, f *doctor.Finding) (cause, todo string) {
	values := make([]any, len(f.Values))
	for i, v := range f.Values {
		if t, ok := v.(time.Time); ok {
			v = w.DateTime(t)
		}
		values[i] = v
	}
	told := advice[f.ID]
	return w.Text(told.cause, values...), w.Text(told.todo, values...)
}

func (a *app) printDiagnosis(r doctor.Report) error {
	var b strings.Builder
	mark := map[doctor.StepState]string{doctor.Fine: "[ok]", doctor.Wrong: "[!!]", doctor.Skipped: "[--]"}
	for _, s := range r.Steps {
		b.WriteString(mark[s.State] + " " + a.words.Text("doctor.step", "step", string(s.Check)) + "\n")
	}
	b.WriteString("\n")
	if f := r.Finding; f == nil {
		b.WriteString(a.words.Text("doctor.good") + "\n")
	} else {
		cause, todo := tellFinding(a.words, f)
		if f.Device != "" {
			b.WriteString(words.Clean(f.Device) + ": ")
		}
		b.WriteString(cause + "\n" + a.words.Text("doctor.do") + ": " + todo + "\n")
	}
	_, err := a.Out.Write([]byte(b.String()))
	return err
}

// askCard asks the card of a token, by the road that commands take.
func (a *app) askCard(ctx context.Context, dev usb.Info) (c doctor.Card) {
	o := a.options
	if dev.Port != "" {
		// A service does not tell ports: with one token there is nothing to choose.
		if all, err := a.Find(ctx, o); err == nil && len(all) > 1 {
			o.Token = dev.Port
		}
	}
	h, err := a.Open(ctx, o)
	if err != nil {
		return doctor.Card{Err: err}
	}
	defer func() { c.Err = errors.Join(c.Err, h.Close()) }()
	if _, err := h.PowerOn(ctx); err != nil {
		return doctor.Card{Err: err}
	}
	t, err := a.openFirmware(ctx, h)
	if err != nil {
		return doctor.Card{Err: err}
	}
	switch t.State() {
	case firmware.StateVendor:
		c.Format = doctor.FormatVendor
	case firmware.StateHalf:
		c.Format = doctor.FormatHalf
	case firmware.StateWiped:
		c.Format = doctor.FormatWiped
	}
	c.User, c.Admin = pinFact(ctx, t, firmware.User), pinFact(ctx, t, firmware.Admin)
	if c.Format != doctor.FormatPKCS15 {
		return c
	}
	list, err := t.Certificates(ctx)
	if err != nil {
		return doctor.Card{Err: err}
	}
	for _, cert := range list {
		if cert.X509 != nil && !cert.Authority {
			c.Certificates = append(c.Certificates, doctor.Certificate{Name: cert.Label, NotBefore: cert.X509.NotBefore, NotAfter: cert.X509.NotAfter})
		}
	}
	return c
}

// pinFact asks how a PIN is, which costs no try.
func pinFact(ctx context.Context, t *firmware.Token, r firmware.Role) doctor.PIN {
	s, err := t.PINStatus(ctx, r)
	if err != nil {
		return doctor.PIN{} // a token that was formatted elsewhere may not tell
	}
	return doctor.PIN{Known: true, Blocked: s.Blocked}
}

// thisMachine is what the checks see of the machine that this runs on. A token in
// software is on no bus, and needs no permission and no service.
func thisMachine(o host.Options) (doctor.Machine, error) {
	usbOnly := o
	usbOnly.Backend = "usb"
	m := doctor.Machine{
		Own: os.Getpid(), Socket: socketPath(),
		Wanted:  func(usb.Info) bool { return true },
		Devices: func(ctx context.Context) ([]usb.Info, error) { return devices(ctx, usbOnly) },
		Program: programTime(),
	}
	if o.Backend == "virtual" {
		m.Devices = func(ctx context.Context) ([]usb.Info, error) { return devices(ctx, o) }
		return m, nil
	}
	m.Service = func(ctx context.Context) doctor.Service { return askService(ctx, o, m.Socket) }
	if runtime.GOOS != "linux" {
		return m, nil
	}
	m.Root, m.Sys, m.Proc = os.DirFS("/"), udev.Sysfs(), udev.Proc()
	wanted, err := host.Wants(o.Devices)
	if err != nil {
		return m, err
	}
	m.Devices, m.Wanted = func(context.Context) ([]usb.Info, error) { return udev.Enumerate(m.Sys) }, wanted
	m.Access = func(path string) error {
		const readWrite = 6 // R_OK | W_OK
		return syscall.Access(path, readWrite)
	}
	return m, nil
}

// programTime is when this program was made, as its file has it; zero if it has
// none.
func programTime() time.Time {
	path, err := os.Executable()
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// devices lists the tokens of a road.
func devices(ctx context.Context, o host.Options) (all []usb.Info, err error) {
	found, err := host.Find(ctx, o)
	if errors.Is(err, host.ErrNoToken) {
		return nil, nil
	}
	for _, c := range found {
		all = append(all, c.Device)
	}
	return all, err
}

// socketPath is where programs look for the smart-card service.
func socketPath() string {
	if s := os.Getenv(host.SocketVariable); s != "" {
		return s
	}
	return host.DefaultSocket
}

// serviceAnswers bounds how long the service may take to answer.
const serviceAnswers = 5 * time.Second

// askService asks the smart-card service who it is and what it has.
func askService(ctx context.Context, o host.Options, socket string) doctor.Service {
	ctx, cancel := context.WithTimeout(ctx, serviceAnswers)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: socket, Net: "unix"})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doctor.Service{State: doctor.ServiceNone, Err: err}
	case errors.Is(err, fs.ErrPermission):
		return doctor.Service{State: doctor.ServiceDenied, Err: err}
	case err != nil:
		return doctor.Service{State: doctor.ServiceDead, Err: err}
	}
	conn.Close() // it was there
	_, err = host.AskStatus(ctx, socket)
	s := doctor.Service{State: doctor.ServiceUp, Ours: err == nil || errors.Is(err, fs.ErrPermission)}
	o.Backend = "pcsc"
	found, err := host.Find(ctx, o)
	switch {
	case errors.Is(err, wire.SecurityViolation), errors.Is(err, fs.ErrPermission):
		s.State, s.Err = doctor.ServiceRefused, err
	case err != nil && !errors.Is(err, host.ErrNoToken):
		s.State, s.Err = doctor.ServiceSilent, err
	}
	s.Token = len(found) > 0
	return s
}

package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"kaztoken/internal/doctor"
	"kaztoken/udev"
	"kaztoken/usb"
)

// token is the KAZTOKEN as a machine lists it, at port 1-4.
func token() usb.Info {
	ifc := usb.Interface{
		Class: 0x0B, BulkOut: usb.Endpoint{Address: 0x01, Attributes: 2, MaxPacketSize: 64}, BulkIn: usb.Endpoint{Address: 0x82, Attributes: 2, MaxPacketSize: 64},
		Reader: usb.ClassDescriptor{
			Version: 0x0100, Voltages: 1, Protocols: 2, DefaultClock: 3580, MaximumClock: 3580, DataRate: 9600, MaxDataRate: 9600,
			MaxIFSD: 254, Features: usb.ShortAPDUExchange, MaxMessageLength: 271, MaxBusySlots: 1,
		},
	}
	dev := usb.DeviceDescriptor{USB: 0x0200, MaxPacketSize0: 64, Vendor: 0x0a89, Product: 0x0035, NumConfigurations: 1}
	return usb.Info{
		Bus: 1, Addr: 7, Port: "1-4", Vendor: 0x0a89, Product: 0x0035, ProductName: "KAZTOKEN", Configuration: 1,
		Descriptors: usb.Configuration{Value: 1, Attributes: 0x80}.AppendTo(dev.AppendTo(nil), ifc.AppendTo(nil)),
	}
}

// today is the time of the tests.
var today = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const (
	socket  = "/run/pcscd/pcscd.comm"
	library = "usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0"
	rules   = "usr/lib/udev/rules.d/" + udev.RulesFile
	ported  = "bus/usb/devices/1-4"
)

// machine is a machine on which everything works: our service has the token.
type machine struct {
	doctor.Machine
	root, sys, proc fstest.MapFS
	devices         []usb.Info
	access          error
	service         doctor.Service
	card            doctor.Card
	asked           int // how often the service was
}

func healthy() *machine {
	content, err := udev.Rules(udev.DefaultRules())
	if err != nil {
		panic(err)
	}
	m := &machine{
		root: fstest.MapFS{
			rules:                                    file(string(content)),
			"dev/bus/usb/001/007":                    {Mode: fs.ModeDevice | fs.ModeCharDevice | 0o660},
			library:                                  file("\x7fELF\x00libudev\x00/run/pcscd/pcscd.comm\x00more"),
			"usr/lib/libpcsclite.so":                 file("not looked at"),
			"usr/lib/systemd/system/kaztoken.socket": file("[Socket]\n"),
		},
		sys: fstest.MapFS{
			ported + "/authorized":                       file("1\n"),
			ported + "/power/runtime_status":             file("active\n"),
			ported + "/power/control":                    file("auto\n"),
			ported + ":1.0/driver":                       link("../../../../bus/usb/drivers/usbfs"),
			"bus/usb/devices/1-0:1.0/usb1-port4/disable": file("0\n"),
		},
		proc: fstest.MapFS{
			"100/comm": file("kaztoken\n"), "100/fd/5": link("/dev/bus/usb/001/007"),
			"200/comm": file("bash\n"), "200/fd/0": link("/dev/pts/0"),
		},
		devices: []usb.Info{token()},
		service: doctor.Service{State: doctor.ServiceUp, Ours: true, Token: true},
		card: doctor.Card{
			User: doctor.PIN{Known: true}, Admin: doctor.PIN{Known: true},
			Certificates: []doctor.Certificate{
				{Name: "old", NotBefore: today.AddDate(-3, 0, 0), NotAfter: today.AddDate(-2, 0, 0)},
				{Name: "new", NotBefore: today.AddDate(-1, 0, 0), NotAfter: today.AddDate(1, 0, 0)},
			},
		},
	}
	m.Machine = doctor.Machine{
		Root: m.root, Sys: m.sys, Proc: m.proc, Socket: socket, Own: 300, Now: today,
		Program: today.AddDate(0, -1, 0),
		Wanted:  func(d usb.Info) bool { return d.Product == 0x0035 },
		Devices: func(context.Context) ([]usb.Info, error) { return m.devices, nil },
		Access:  func(string) error { return m.access },
		Service: func(context.Context) doctor.Service { m.asked++; return m.service },
		Card:    func(context.Context, usb.Info) doctor.Card { return m.card },
	}
	return m
}

func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content)} }

func link(target string) *fstest.MapFile {
	return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
}

// denied takes the permission away, and the service that would do without.
func denied(m *machine) {
	m.access = fs.ErrPermission
	m.service = doctor.Service{State: doctor.ServiceNone, Err: fs.ErrNotExist}
	delete(m.proc, "100/fd/5")
}

// faults are machines on which one thing is wrong, by what is found.
var faults = []struct {
	id, name string
	class    doctor.Class
	set      func(*machine)
	values   string // what the values have to say
}{
	{"bus.none", "no USB", doctor.ClassNoToken, func(m *machine) {
		m.Devices = func(context.Context) ([]usb.Info, error) { return nil, fs.ErrNotExist }
	}, "not exist"},
	{"bus.none", "a container without USB", doctor.ClassNoToken, func(m *machine) {
		m.devices = nil
		maps.DeleteFunc(m.sys, func(name string, _ *fstest.MapFile) bool { return strings.HasPrefix(name, "bus/usb") })
	}, "bus/usb/devices"},
	{"bus.missing", "nothing is plugged in", doctor.ClassNoToken, func(m *machine) { m.devices = nil }, ""},
	{"bus.missing", "another device is", doctor.ClassNoToken, func(m *machine) { m.devices[0].Product = 1 }, ""},
	{"bus.unauthorized", "of a known token", doctor.ClassNoToken, func(m *machine) { m.sys[ported+"/authorized"] = file("0\n") }, "1-4/authorized"},
	{"bus.unauthorized", "of one without a configuration", doctor.ClassNoToken, func(m *machine) {
		m.sys[ported+"/authorized"] = file("0\n")
		m.Wanted = func(usb.Info) bool { return false }
	}, "1-4/authorized"},
	{"bus.port", "a port is off", doctor.ClassNoToken, func(m *machine) {
		m.devices = nil
		m.sys["bus/usb/devices/1-0:1.0/usb1-port4/disable"] = file("1\n")
	}, "usb1-port4"},
	{"node.missing", "nobody makes nodes", doctor.ClassOutOfReach, func(m *machine) { m.access = fs.ErrNotExist }, "/dev/bus/usb/001/007"},
	{"rule.missing", "no rule", doctor.ClassOutOfReach, func(m *machine) { denied(m); delete(m.root, rules) }, "kaztoken udev-rules"},
	{"rule.masked", "hidden by an empty file", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.root["etc/udev/rules.d/"+udev.RulesFile] = file("")
	}, "/etc/udev/rules.d/70-kaztoken.rules"},
	{"rule.other", "a later rule", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.root["etc/udev/rules.d/99-tokens.rules"] = file("# vendor\n" + `SUBSYSTEM=="usb", ATTR{idVendor}=="0A89", ATTR{idProduct}=="00*", MODE="0600"` + "\n")
	}, "/etc/udev/rules.d/99-tokens.rules line 2"},
	{"rule.other", "an earlier rule with the last word", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.root["lib/udev/rules.d/10-first.rules"] = file(`ATTRS{idVendor}=="0a89", GROUP:="root", MODE:="0600"`)
	}, "line 1 command sudo ln -sf /dev/null /etc/udev/rules.d/10-first.rules"},
	{"rule.notapplied", "not applied, whatever else is for other devices", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.root["dev/bus/usb/001/007"].Mode |= 0o004
		m.root["etc/udev/rules.d/99-a.rules"] = file(`ATTR{idVendor}=="0a89", ATTR{idProduct}=="0030", MODE="0600"` + "\n" + `#ATTR{idVendor}=="0a89", MODE="0600"`)
		m.root["etc/udev/rules.d/10-a.rules"] = file(`ATTR{idVendor}=="0a89", MODE="0600"`)
		m.root["etc/udev/rules.d/99-b.rules"] = file(`ATTR{idVendor}=="0a89", SYMLINK+="token"`)
	}, "udevadm trigger"},
	{"rule.group", "a user from afar", doctor.ClassOutOfReach, denied, "usermod -aG kaztoken"},
	{"holder.kernel", "a driver", doctor.ClassOutOfReach, func(m *machine) { m.sys[ported+":1.0/driver"] = link("../drivers/usbhid") }, "modprobe -r usbhid"},
	{"holder.kernel", "a driver of a module with another name", doctor.ClassOutOfReach, func(m *machine) {
		m.sys[ported+":1.0/driver"] = link("../drivers/usbserial_generic")
		m.sys["bus/usb/drivers/usbserial_generic/module"] = link("../../../../module/usbserial")
	}, "modprobe -r usbserial"},
	{"holder.program", "a program", doctor.ClassOutOfReach, func(m *machine) { m.proc["100/comm"] = file("scdaemon\n") }, "scdaemon (pid 100)"},
	{"holder.program", "another kaztoken", doctor.ClassOutOfReach, func(m *machine) {
		m.service = doctor.Service{State: doctor.ServiceNone, Err: fs.ErrNotExist}
	}, "kaztoken (pid 100)"},
	{"holder.unknown", "a program of somebody else's", doctor.ClassOutOfReach, func(m *machine) {
		delete(m.proc, "100/fd/5")
		m.service = doctor.Service{State: doctor.ServiceDead, Err: errors.New("connection refused")}
		m.Proc = forbidding{m.proc}
	}, "fuser -v /dev/bus/usb/001/007"},
	{"service.down", "no socket of an installed service", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.access = nil
	}, "restart kaztoken.socket"},
	{"service.down", "a socket that pcscd left", doctor.ClassOutOfReach, func(m *machine) {
		delete(m.root, "usr/lib/systemd/system/kaztoken.socket")
		delete(m.proc, "100/fd/5")
		m.service = doctor.Service{State: doctor.ServiceDead, Err: errors.New("connection refused")}
	}, "restart pcscd.socket"},
	{"service.down", "pcscd has ended, and the token is given to it", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.root["usr/lib/udev/rules.d/"+udev.PCSCDRulesFile] = file(`ATTR{idVendor}=="0a89", ATTR{idProduct}=="0035", GROUP="pcscd"`)
		m.root["usr/lib/pcsc/drivers/ifd-kaztoken.bundle/Contents/Info.plist"] = file("plist")
		m.service = doctor.Service{State: doctor.ServiceDead, Err: errors.New("connection refused")}
	}, "restart pcscd.socket"},
	{"service.socket", "the socket's permissions", doctor.ClassOutOfReach, func(m *machine) {
		delete(m.proc, "100/fd/5") // the service is another user's
		m.Proc = forbidding{m.proc}
		m.service = doctor.Service{State: doctor.ServiceDenied, Err: fs.ErrPermission}
	}, socket},
	{"service.refused", "the service's policy", doctor.ClassOutOfReach, func(m *machine) {
		m.service = doctor.Service{State: doctor.ServiceRefused, Ours: true, Err: errors.New("access denied")}
	}, "access denied"},
	{"service.refused", "pcscd's, whatever this user may do with the node", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.proc["101/comm"] = file("pcscd\n")
		m.service = doctor.Service{State: doctor.ServiceRefused, Err: errors.New("access denied")}
	}, "access denied"},
	{"rule.group", "our service's policy is the group", doctor.ClassOutOfReach, func(m *machine) {
		denied(m)
		m.service = doctor.Service{State: doctor.ServiceRefused, Ours: true, Err: errors.New("access denied")}
	}, "usermod -aG kaztoken"},
	{"service.silent", "a service that hangs", doctor.ClassOutOfReach, func(m *machine) {
		m.service = doctor.Service{State: doctor.ServiceSilent, Err: context.DeadlineExceeded}
	}, socket},
	{"service.blind", "our service does not show it", doctor.ClassOutOfReach, func(m *machine) { m.service.Token = false }, "restart kaztoken.socket"},
	{"service.blind", "pcscd with our driver does not", doctor.ClassOutOfReach, func(m *machine) {
		pcscd(m)
		m.root["usr/lib/pcsc/drivers/ifd-kaztoken.bundle/Contents/Info.plist"] = file("<plist/>")
	}, "restart pcscd.socket"},
	{"service.bundle", "pcscd without our driver", doctor.ClassOutOfReach, pcscd, "/usr/lib/pcsc/drivers/ifd-kaztoken.bundle"},
	{"library.socket", "a library that was built by hand", doctor.ClassOutOfReach, func(m *machine) {
		m.root["usr/local/lib/libpcsclite.so.1.0.0"] = file("\x7fELF\x00/usr/local/var/run/pcscd/pcscd.comm\x00")
	}, "/usr/local/lib/libpcsclite.so.1.0.0 other /usr/local/var/run/pcscd/pcscd.comm"},
	{"library.socket", "one whose path is in pieces", doctor.ClassOutOfReach, func(m *machine) {
		m.root["usr/local/lib/libpcsclite.so.1.0.0"] = file("/usr/local/var/r\x00un/pcscd/pcscd.comm\x00")
	}, "other …/pcscd/pcscd.comm"},
	{"card.busy", "one program has it for itself", doctor.ClassOutOfReach, func(m *machine) {
		m.card = doctor.Card{Err: fmt.Errorf("sharing violation: %w", usb.ErrBusy)}
	}, "sharing violation"},
	{"card.suspended", "it sleeps", doctor.ClassNoToken, func(m *machine) {
		m.card = doctor.Card{Err: usb.ErrTimeout}
		m.sys[ported+"/power/runtime_status"] = file("suspended\n")
	}, "1-4/power/control"},
	{"card.suspended", "it slept, and was woken to be asked", doctor.ClassNoToken, func(m *machine) {
		m.sys[ported+"/power/runtime_status"] = file("suspended\n")
		m.Card = func(context.Context, usb.Info) doctor.Card {
			m.sys[ported+"/power/runtime_status"] = file("active\n")
			return doctor.Card{Err: usb.ErrTimeout}
		}
	}, "1-4/power/control"},
	{"card.silent", "it says nothing", doctor.ClassOther, func(m *machine) { m.card = doctor.Card{Err: usb.ErrTimeout} }, "timed out"},
	{"format.vendor", "the vendor's", doctor.ClassNotAllowed, func(m *machine) { m.card.Format = doctor.FormatVendor }, ""},
	{"format.half", "half", doctor.ClassNotAllowed, func(m *machine) { m.card.Format = doctor.FormatHalf }, "kaztoken format"},
	{"format.wiped", "none", doctor.ClassNotAllowed, func(m *machine) { m.card.Format = doctor.FormatWiped }, "kaztoken format"},
	{"pin.user", "the user's", doctor.ClassPIN, func(m *machine) { m.card.User.Blocked = true }, "kaztoken pin unblock"},
	{"pin.admin", "the administrator's", doctor.ClassPIN, func(m *machine) { m.card.Admin.Blocked = true }, ""},
	{"pin.both", "both", doctor.ClassPIN, func(m *machine) { m.card.User.Blocked, m.card.Admin.Blocked = true, true }, "kaztoken format"},
	{"clock.behind", "before the program", doctor.ClassOther, func(m *machine) { m.Now = today.AddDate(-10, 0, 0) }, "timedatectl"},
	{"clock.early", "before a certificate", doctor.ClassOther, func(m *machine) {
		m.card.Certificates[1].NotBefore = today.Add(time.Hour)
	}, "new"},
	{"clock.expired", "after the last certificate", doctor.ClassOther, func(m *machine) { m.Now = today.AddDate(2, 0, 0) }, "new"},
}

// pcscd puts the stock service into the place of ours.
func pcscd(m *machine) {
	m.service = doctor.Service{State: doctor.ServiceUp}
	m.proc["100/comm"] = file("pcscd\n")
}

// forbidding is a /proc whose open files are those of other users.
type forbidding struct{ fstest.MapFS }

func (f forbidding) ReadDir(name string) ([]fs.DirEntry, error) {
	if strings.HasSuffix(name, "/fd") {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.MapFS.ReadDir(name)
}

func examine(t *testing.T, m *machine) doctor.Report {
	t.Helper()
	r, err := doctor.Examine(t.Context(), m.Machine)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Steps) != 9 {
		t.Fatalf("%d steps", len(r.Steps))
	}
	return r
}

func TestHealthy(t *testing.T) {
	m := healthy()
	r := examine(t, m)
	if r.Finding != nil {
		t.Fatalf("found %+v", r.Finding)
	}
	for _, s := range r.Steps {
		if s.State != doctor.Fine {
			t.Errorf("%s: %v", s.Check, s.State)
		}
	}
	if m.asked != 1 {
		t.Errorf("the service was asked %d times", m.asked)
	}
	if len(r.Devices) != 1 {
		t.Errorf("devices %v", r.Devices)
	}
}

func TestFaults(t *testing.T) {
	met := map[string]bool{}
	for _, f := range faults {
		met[f.id] = true
		m := healthy()
		f.set(m)
		r := examine(t, m)
		if r.Finding == nil {
			t.Errorf("%s, %s: nothing is found", f.id, f.name)
			continue
		}
		if r.Finding.ID != f.id || r.Finding.Class != f.class {
			t.Errorf("%s, %s: found %+v", f.id, f.name, r.Finding)
		}
		if text := fmt.Sprintln(r.Finding.Values...); !strings.Contains(text, f.values) {
			t.Errorf("%s, %s: values %v lack %q", f.id, f.name, r.Finding.Values, f.values)
		}
		// What comes behind a finding is not looked at.
		wrong := slices.IndexFunc(r.Steps, func(s doctor.Step) bool { return s.State == doctor.Wrong })
		if wrong < 0 || r.Steps[wrong].Check != r.Finding.Check {
			t.Errorf("%s: steps %v", f.id, r.Steps)
			continue
		}
		for _, s := range r.Steps[wrong+1:] {
			if s.State != doctor.Skipped {
				t.Errorf("%s: %s was looked at", f.id, s.Check)
			}
		}
	}
	for _, id := range doctor.IDs {
		if !met[id] {
			t.Errorf("no test finds %s", id)
		}
	}
	for id := range met {
		if !slices.Contains(doctor.IDs, id) {
			t.Errorf("%s is not among the IDs", id)
		}
	}
}

// TestNoAlarm: what looks like a fault and is none.
func TestNoAlarm(t *testing.T) {
	for name, set := range map[string]func(*machine){
		"no permission, and the service has it": func(m *machine) { m.access = fs.ErrPermission; delete(m.root, rules) },
		"no service is installed": func(m *machine) {
			denied(m)
			m.access = nil
			delete(m.root, "usr/lib/systemd/system/kaztoken.socket")
		},
		"the stock service shows a sister": func(m *machine) { pcscd(m); m.service.Token = true },
		"a program of another user is the service": func(m *machine) {
			delete(m.proc, "100/fd/5")
			m.Proc = forbidding{m.proc}
		},
		"it sleeps and wakes up":        func(m *machine) { m.sys[ported+"/power/runtime_status"] = file("suspended\n") },
		"no sysfs, no proc, no service": func(m *machine) { m.Root, m.Sys, m.Proc, m.Service, m.Access = nil, nil, nil, nil, nil },
		"no certificate":                func(m *machine) { m.card.Certificates = nil },
		"a constant among others":       func(m *machine) { m.root[library] = file("SCard$DefaultRea/run/pcscd/pcscd\x01\x00\x00") },
		"the name of a source":          func(m *machine) { m.root[library] = file("\x00../src/pcscd/pcscdaemon.c\x00") },
		"programs are told where": func(m *machine) {
			m.Socket = "/run/user/1000/pcsc"
			m.root[library] = file("\x00/opt/pcscd/pcscd.comm\x00")
		},
		"/var/run is /run": func(m *machine) { m.root[library] = file("\x00/var/run/pcscd/pcscd.comm\x00") },
	} {
		m := healthy()
		set(m)
		if r := examine(t, m); r.Finding != nil {
			t.Errorf("%s: found %+v", name, r.Finding)
		}
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := doctor.Examine(ctx, healthy().Machine); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

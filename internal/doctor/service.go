package doctor

import (
	"bytes"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"kaztoken/usb"
)

const (
	commandPCSC    = "sudo systemctl restart pcscd.socket pcscd.service"
	commandService = "sudo systemctl restart kaztoken.socket kaztoken.service"
	commandBundle  = "sudo apt install kaztoken-pcscd"
)

// bundles are where pcscd looks for its drivers: that of the distributions, and
// the folders of lib64 and of a build by hand.
var bundles = []string{"usr/lib/pcsc/drivers", "usr/lib64/pcsc/drivers", "usr/lib64/readers/usb", "usr/local/lib/pcsc/drivers", "usr/lib/readers/usb"}

// bundle is the name of ours.
const bundle = "ifd-kaztoken.bundle"

// units are the files that start our service, where a package puts them.
var units = []string{
	"usr/lib/systemd/system/kaztoken.socket", "lib/systemd/system/kaztoken.socket", "etc/systemd/system/kaztoken.socket",
	"etc/init.d/kaztoken",
}

// asked is the state of the service, which is asked once.
func (x *examination) asked() Service {
	if x.service == nil {
		x.service = &Service{}
		if x.Service != nil {
			*x.service = x.Service(x.ctx)
		}
	}
	return *x.service
}

// serves looks whether the smart-card service works and shows the tokens. A
// machine that has none, and none installed, does without.
func (x *examination) serves() (*Finding, bool) {
	if x.Service == nil || x.Root == nil {
		return nil, true
	}
	s := x.asked()
	about := func(id string, values ...any) (*Finding, bool) {
		return &Finding{ID: id, Class: ClassOutOfReach, Values: append(values, "socket", x.Socket)}, false
	}
	command := commandService
	if x.running("pcscd") && !s.Ours {
		command = commandPCSC
	}
	switch s.State {
	case ServiceNone, ServiceDead:
		switch {
		case x.hasBundle(): // then pcscd is the way, whatever else is installed
			command = commandPCSC
		case !x.installed() && s.State == ServiceNone:
			return nil, true
		case !x.installed():
			command = commandPCSC
		}
		return about("service.down", "command", command)
	case ServiceDenied:
		return about("service.socket", "command", command)
	case ServiceRefused:
		return about("service.refused", "error", s.Err.Error())
	case ServiceSilent:
		return about("service.silent", "command", command)
	}
	switch {
	case s.Token:
		return nil, false
	case s.Ours:
		return about("service.blind", "command", commandService)
	case !x.hasBundle() && slices.ContainsFunc(x.tokens, needsBundle):
		return about("service.bundle", "command", commandBundle, "folder", "/"+bundles[0]+"/"+bundle)
	}
	return about("service.blind", "command", commandPCSC)
}

// needsBundle are the tokens that the stock CCID driver does not list.
func needsBundle(dev usb.Info) bool { return dev.Vendor == 0x0a89 && dev.Product == 0x0035 }

func (x *examination) hasBundle() bool {
	return slices.ContainsFunc(bundles, func(dir string) bool {
		_, err := fs.Stat(x.Root, path.Join(dir, bundle, "Contents/Info.plist"))
		return err == nil
	})
}

func (x *examination) installed() bool {
	return slices.ContainsFunc(units, func(file string) bool {
		_, err := fs.Stat(x.Root, file)
		return err == nil
	})
}

// running reports whether a process of that name is there.
func (x *examination) running(name string) bool {
	if x.Proc == nil {
		return false
	}
	all, err := fs.Glob(x.Proc, "[0-9]*/comm")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(file string) bool {
		b, err := fs.ReadFile(x.Proc, file)
		return err == nil && strings.TrimSpace(string(b)) == name
	})
}

// defaultSocket is where programs look for the service if nothing else is said.
const defaultSocket = "/run/pcscd/pcscd.comm"

// libraryDirs are where the loader finds libpcsclite, the one that counts first
// on most systems.
var libraryDirs = []string{"usr/local/lib", "usr/local/lib/*-linux-gnu*", "lib/*-linux-gnu*", "usr/lib/*-linux-gnu*", "usr/lib64", "usr/lib", "opt/*/lib"}

// maxLibrary bounds what is read of a library, bytes; it has 60 KB in
// distributions.
const maxLibrary = 4 << 20

// library looks for a libpcsclite whose programs look for the service where none
// is: one that was built by hand, or came with a program.
func (x *examination) library() (*Finding, bool) {
	if x.Root == nil || x.asked().State != ServiceUp || x.Socket != defaultSocket {
		return nil, true // or programs are told where it is
	}
	found := false
	for _, dir := range libraryDirs {
		files, err := fs.Glob(x.Root, dir+"/libpcsclite*.so.1*")
		if err != nil {
			continue
		}
		for _, file := range files {
			socket := x.socketOf(file)
			if socket == "" {
				continue
			}
			found = true
			if !sameSocket(socket, x.Socket) {
				return &Finding{ID: "library.socket", Class: ClassOutOfReach, Values: []any{
					"file", "/" + file, "other", socket, "socket", x.Socket,
				}}, false
			}
		}
	}
	return nil, !found
}

// socketOf finds the path of the socket in a library, "" if it has none.
func (x *examination) socketOf(file string) string {
	f, err := x.Root.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxLibrary {
		return ""
	}
	b, err := fs.ReadFile(x.Root, file)
	if err != nil {
		return ""
	}
	m := inLibrary.FindSubmatch(b)
	if m == nil {
		return ""
	}
	found := string(m[1][bytes.IndexByte(m[1], '/'):]) + ".comm"
	if strings.HasPrefix(found, "/pcscd/") {
		found = "…" + found // the compiler has cut it to pieces, of which this is not the first
	}
	return found
}

// inLibrary finds the path of the socket in a library. Compilers load a short string
// 16 bytes at a time: of /run/pcscd/pcscd.comm the first 16 stand among other
// constants with nothing between them, and the rest is elsewhere.
var inLibrary = regexp.MustCompile(`([\w./-]*/pcscd/pcscd)(?:\.c|[^\w.])`)

// sameSocket compares paths; /var/run is /run.
func sameSocket(a, b string) bool {
	clean := func(p string) string { return strings.TrimPrefix(path.Clean(p), "/var") }
	return clean(a) == clean(b)
}

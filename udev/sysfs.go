package udev

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"kaztoken/usb"
)

// Bounds on what is read from one attribute, bytes. Sysfs gives at most a page
// of text; the descriptors are a device descriptor and, in Linux, at most 8
// configurations of a 16-bit length.
const (
	maxAttribute   = 4096
	maxDescriptors = 18 + 8*65535
)

// devicesDir holds a link per device and interface.
const devicesDir = "bus/usb/devices"

// Sysfs is the machine's own /sys, for [Enumerate] and [Read].
func Sysfs() fs.FS { return os.DirFS("/sys") }

// Enumerate lists the USB devices under sys, which has the layout of /sys,
// ordered by port. Root hubs are left out; other hubs are in. A device that
// vanishes while it is read is left out as well.
//
// An error about one device does not hide the others: the list is good beside
// an error that is not nil. A machine whose kernel has no USB gives an empty
// list; a sys with no bus directory is an error that is [fs.ErrNotExist].
func Enumerate(sys fs.FS) ([]usb.Info, error) {
	entries, err := fs.ReadDir(sys, devicesDir)
	if errors.Is(err, fs.ErrNotExist) {
		_, err = fs.Stat(sys, "bus")
	}
	if err != nil {
		return nil, fmt.Errorf("list USB devices: %w", err)
	}
	var (
		infos []usb.Info
		errs  []error
	)
	for _, e := range entries {
		if !validPort(e.Name()) {
			continue
		}
		switch info, err := Read(sys, e.Name()); {
		case err == nil:
			infos = append(infos, info)
		case !errors.Is(err, usb.ErrGone):
			errs = append(errs, err)
		}
	}
	slices.SortFunc(infos, func(a, b usb.Info) int { return comparePorts(a.Port, b.Port) })
	return infos, errors.Join(errs...)
}

// comparePorts orders "1-2" before "1-10" and a hub before what hangs on it.
func comparePorts(a, b string) int {
	number := func(r rune) bool { return r == '-' || r == '.' }
	return slices.CompareFunc(strings.FieldsFunc(a, number), strings.FieldsFunc(b, number),
		func(x, y string) int {
			if len(x) != len(y) {
				return len(x) - len(y)
			}
			return strings.Compare(x, y)
		})
}

// Read tells what sysfs knows of the device at one port, spelled as in
// [usb.Info]. A device that is not there, vanishes or is replaced by another
// while it is read gives an error that is [usb.ErrGone].
func Read(sys fs.FS, port string) (usb.Info, error) {
	if !validPort(port) {
		return usb.Info{}, fmt.Errorf("USB port %q: %w", port, fs.ErrInvalid)
	}
	d := device{sys: sys, dir: path.Join(devicesDir, port)}
	info := usb.Info{
		Port:    port,
		Bus:     int(d.number("busnum", 10, 16)),
		Addr:    int(d.number("devnum", 10, 16)),
		Vendor:  uint16(d.number("idVendor", 16, 16)),
		Product: uint16(d.number("idProduct", 16, 16)),
		Release: uint16(d.number("bcdDevice", 16, 16)),

		Manufacturer: d.text("manufacturer"),
		ProductName:  d.text("product"),
		Serial:       d.text("serial"),

		Configuration: byte(d.optionalNumber("bConfigurationValue", 10, 8)),
		Descriptors:   d.bytes("descriptors", maxDescriptors),
	}
	// The name of a directory is that of a port, not of a device: the files
	// above may be of two devices. The kernel does not give an address out
	// again until it went through all of them.
	if again := int(d.number("devnum", 10, 16)); d.err == nil && again != info.Addr {
		d.err = usb.ErrGone
	}
	if d.err != nil {
		return usb.Info{}, fmt.Errorf("USB port %s: %w", port, d.err)
	}
	return info, nil
}

// validPort reports whether name is a device "bus-port[.port]…", and not an
// interface "1-1:1.0", a root hub "usb1" or a path.
func validPort(name string) bool {
	bus, ports, ok := strings.Cut(name, "-")
	if !ok || !decimal(bus) || len(name) > 64 {
		return false
	}
	for p := range strings.SplitSeq(ports, ".") {
		if !decimal(p) {
			return false
		}
	}
	return true
}

func decimal(s string) bool {
	for _, c := range s {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// device reads the attributes of one device and remembers the first error.
type device struct {
	sys fs.FS
	dir string
	err error
}

// bytes reads a whole attribute that must be there.
func (d *device) bytes(name string, limit int) []byte {
	b, err := readAttribute(d.sys, path.Join(d.dir, name), limit)
	if gone(err) {
		err = usb.ErrGone
	}
	d.fail(err)
	return b
}

func (d *device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// number reads a number that must be there.
func (d *device) number(name string, base, bits int) uint64 {
	return d.parse(name, string(d.bytes(name, maxAttribute)), base, bits)
}

// optionalNumber reads a number that is missing or empty where there is
// nothing to say: a device that is not configured has no configuration.
func (d *device) optionalNumber(name string, base, bits int) uint64 {
	s := d.text(name)
	if s == "" {
		return 0
	}
	return d.parse(name, s, base, bits)
}

func (d *device) parse(name, s string, base, bits int) uint64 {
	if d.err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(s), base, bits)
	if err != nil {
		d.fail(fmt.Errorf("%s: %w", name, err))
	}
	return n
}

// text reads a string that may be missing. What a device says of itself ends
// up in terminals and logs, so control characters are replaced.
func (d *device) text(name string) string {
	b, err := readAttribute(d.sys, path.Join(d.dir, name), maxAttribute)
	if err != nil {
		if !gone(err) {
			d.fail(err)
		}
		return ""
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(strings.TrimRight(string(b), "\n"), string(utf8.RuneError)))
}

// gone reports that an attribute is not there, or that its device went away
// between opening and reading it.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// readAttribute reads a file of at most limit bytes.
func readAttribute(fsys fs.FS, name string, limit int) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // opened for reading: closing has nothing to report
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%s: more than %d bytes", path.Base(name), limit)
	}
	return b, nil
}

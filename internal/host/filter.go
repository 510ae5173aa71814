package host

import (
	"kaztoken/udev"
	"kaztoken/usb"
)

// Filter decides which reader interfaces of which devices are driven.
type Filter func(dev usb.Info, ifc usb.Interface) bool

// interfaces lists what the filter lets through of a device. Descriptors that
// make no sense are no reader.
func (f Filter) interfaces(dev usb.Info) []usb.Interface {
	all, err := dev.Interfaces()
	if err != nil {
		return nil
	}
	var pass []usb.Interface
	for _, ifc := range all {
		if f(dev, ifc) {
			pass = append(pass, ifc)
		}
	}
	return pass
}

// Kaztoken passes the token that this program is made for.
func Kaztoken(dev usb.Info, _ usb.Interface) bool {
	return dev.ID() == usb.ID{Vendor: 0x0a89, Product: 0x0035}
}

// Rutoken passes the KAZTOKEN and the Rutoken family, which it belongs to.
func Rutoken(dev usb.Info, _ usb.Interface) bool {
	_, ok := udev.Lookup(dev.Vendor, dev.Product)
	return ok
}

// AnyReader passes every reader of the CCID and ICCD specifications, and the
// older ones that are known to work like them.
func AnyReader(usb.Info, usb.Interface) bool { return true }

// filters are the names that a user gives the filters; the first is the
// default.
var filters = [...]struct {
	name   string
	filter Filter
}{
	{"kaztoken", Kaztoken},
	{"rutoken", Rutoken},
	{"all", AnyReader},
}

// FilterNames lists what [Options.Devices] may be, the default first.
func FilterNames() []string {
	var names []string
	for _, f := range filters {
		names = append(names, f.name)
	}
	return names
}

// filterNamed finds a filter; "" is the default one. The error is an
// [OptionError].
func filterNamed(name string) (Filter, error) {
	for _, f := range filters {
		if name == "" || f.name == name {
			return f.filter, nil
		}
	}
	return nil, &OptionError{"devices", name, FilterNames()}
}

// Wants makes a question of a name in [FilterNames]: whether a device has a reader
// that is driven. The error is an [OptionError].
func Wants(name string) (func(usb.Info) bool, error) {
	f, err := filterNamed(name)
	if err != nil {
		return nil, err
	}
	return func(dev usb.Info) bool { return len(f.interfaces(dev)) > 0 }, nil
}

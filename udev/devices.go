package udev

import "slices"

// Device is a model that is known by its ids. Any other reader is known by the
// class of its interface.
type Device struct {
	Vendor, Product uint16
	Name            string // of the model, ASCII
	Maker           string // as the device says it, ASCII
}

// vendorAktiv is the maker of Rutoken and of the KAZTOKEN.
const vendorAktiv = 0x0a89

// devices is the one table from which the rules file and the IFD handler's list
// are made. The names of the Rutoken family are those of the CCID project's list
// of readers.
var devices = [...]Device{
	{vendorAktiv, 0x0025, "Rutoken lite", "Aktiv"},
	{vendorAktiv, 0x0026, "Rutoken", "Aktiv"}, // Assumed: a token of the family; it is in no public list of CCID readers.
	{vendorAktiv, 0x0030, "Rutoken ECP", "Aktiv"},
	{vendorAktiv, 0x0035, "KAZTOKEN", "DigiFlow LLP."},
	{vendorAktiv, 0x0060, "Rutoken Magistra", "Aktiv"}, // ICCD version B: control pipe only
	{vendorAktiv, 0x0069, "Rutoken SCR 3001 reader", "Aktiv"},
	{vendorAktiv, 0x006a, "Rutoken SCR 3101 NFC reader", "Aktiv"},
	{vendorAktiv, 0x0080, "Rutoken PINPad Ex", "Aktiv"},
	{vendorAktiv, 0x0081, "Rutoken PINPad In", "Aktiv"},
	{vendorAktiv, 0x0082, "Rutoken PINPad 2", "Aktiv"},
}

// Devices lists the table.
func Devices() []Device { return slices.Clone(devices[:]) }

// Lookup finds a model in the table.
func Lookup(vendor, product uint16) (Device, bool) {
	for _, d := range devices {
		if d.Vendor == vendor && d.Product == product {
			return d, true
		}
	}
	return Device{}, false
}

// readerClasses are the interface classes that a reader may have, as udev
// spells class, subclass and protocol (CCID rev 1.10 §4.8, ICCD rev 1.0 §3.2).
var readerClasses = [...]struct{ code, name string }{
	{"0b0000", "CCID"},
	{"0b0001", "ICCD version A"},
	{"0b0002", "ICCD version B"},
}

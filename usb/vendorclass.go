package usb

import (
	"fmt"
	"slices"
)

// ID is a pair of vendor and product number.
type ID struct{ Vendor, Product uint16 }

// String gives the pair as lsusb does: "0a89:0035".
func (d ID) String() string { return fmt.Sprintf("%04x:%04x", d.Vendor, d.Product) }

// ID gives the pair of i.
func (i Info) ID() ID { return ID{i.Vendor, i.Product} }

// VendorClassReaders lists the devices whose interfaces of the vendor class
// are taken for readers if they have a valid class descriptor. They were made
// before the class had its number, or declare FF for reasons of their own.
func VendorClassReaders() []ID { return slices.Clone(vendorClassReaders) }

// The devices of that sort among the published descriptors of CCID readers.
var vendorClassReaders = []ID{
	{0x046A, 0x003E},
	{0x04E6, 0x5111},
	{0x04E6, 0x5120},
	{0x04E6, 0x5121},
	{0x04E6, 0x511A},
	{0x04E6, 0x512B},
	{0x04E6, 0x512C},
	{0x04E6, 0x5291},
	{0x04E6, 0x5292},
	{0x04E6, 0xE003},
	{0x076B, 0x532A},
	{0x076B, 0x5340},
	{0x08E6, 0x1359},
	{0x08E6, 0x2202},
	{0x08E6, 0xACE0},
	{0x0973, 0x0003},
	{0x09BE, 0x0002},
	{0x0C4B, 0x0300},
	{0x0C4B, 0x0500},
	{0x1A74, 0x6354},
	{0x1A74, 0x6356},
	{0x1DB2, 0x0600},
	{0x413C, 0x2100},
}

// allows reports whether the device is in the list.
func allows(list []ID, i Info) bool { return slices.Contains(list, i.ID()) }

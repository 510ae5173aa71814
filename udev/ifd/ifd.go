// Package ifd makes the files that a machine's smart-card service reads to find
// the IFD handler libifdkaztoken, both from the table of devices of package udev:
// Info.plist, the list of devices in its bundle, and the udev rules that let a
// pcscd without privileges open them.
package ifd

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"kaztoken/udev"
)

//go:generate go test -run ^TestFiles$ -update .

// Names of the bundle and of what is in it. On Linux the handler is in
// Contents/Linux, on macOS in Contents/MacOS.
const (
	Bundle      = "ifd-kaztoken.bundle"
	Library     = "libifdkaztoken.so"
	MacLibrary  = "libifdkaztoken.dylib"
	PListFile   = "Info.plist"
	RulesFile   = udev.PCSCDRulesFile
	rulesGroup  = "pcscd"
	identifier  = "kaztoken.ifd" // CFBundleIdentifier
	description = "KAZTOKEN and Rutoken IFD handler"
)

// PList makes Info.plist of a bundle whose handler is the file library. The
// arrays of ids and names have one entry for each device and so the same length:
// pcscd ends when they differ.
//
// CFBundleName is not CCIDCLASSDRIVER: pcscd then prefers this handler to that of
// the CCID project for the devices in the list, and asks it for no others.
func PList(devices []udev.Device, library string) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	text := func(key, value string) {
		line("\t<key>%s</key>\n\t<string>%s</string>", key, escaped(value))
	}
	list := func(key string, value func(d udev.Device) string) {
		line("\t<key>%s</key>\n\t<array>", key)
		for _, d := range devices {
			line("\t\t<string>%s</string>", escaped(value(d)))
		}
		line("\t</array>")
	}

	line(`<?xml version="1.0" encoding="UTF-8"?>`)
	line(`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">`)
	line("<!-- Generated from the device table of kaztoken: edit that, not this file. -->")
	line(`<plist version="1.0">`)
	line("<dict>")
	text("CFBundleDevelopmentRegion", "English")
	text("CFBundleExecutable", library)
	text("CFBundleIdentifier", identifier)
	text("CFBundleInfoDictionaryVersion", "6.0")
	text("CFBundleName", "KAZTOKEN")
	text("CFBundlePackageType", "BNDL")
	text("CFBundleSignature", "????")
	text("CFBundleVersion", "1.0")
	text("ifdCapabilities", "0x00000000") // the service watches the bus, not the handler
	text("ifdProtocolSupport", "0x00000001")
	text("ifdVersionNumber", "0x00000001")
	text("ifdManufacturerString", "kaztoken")
	text("ifdProductString", description)
	list("ifdVendorID", func(d udev.Device) string { return fmt.Sprintf("0x%04X", d.Vendor) })
	list("ifdProductID", func(d udev.Device) string { return fmt.Sprintf("0x%04X", d.Product) })
	list("ifdFriendlyName", FriendlyName)
	line("</dict>")
	line("</plist>")
	return b.Bytes()
}

// FriendlyName is what pcscd calls a device, before it adds the serial number, if
// there is one, and numbers.
func FriendlyName(d udev.Device) string { return d.Maker + " " + d.Name }

func escaped(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// Rules makes the udev rules that give the devices to the group of pcscd, which
// runs without privileges since version 2.4. The rules of the CCID project do so
// only for the classes of its own devices, and where it is installed.
func Rules(devices []udev.Device) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# pcscd's access to the devices of the IFD handler libifdkaztoken.")
	line("# Generated from the device table of kaztoken: edit that, not this file.")
	line("")
	line(`ACTION=="remove", GOTO="kaztoken_pcscd_end"`)
	line(`SUBSYSTEM!="usb", GOTO="kaztoken_pcscd_end"`)
	line(`ENV{DEVTYPE}!="usb_device", GOTO="kaztoken_pcscd_end"`)
	for _, d := range devices {
		line("# %s", FriendlyName(d))
		line(`ATTR{idVendor}=="%04x", ATTR{idProduct}=="%04x", GROUP="%s"`, d.Vendor, d.Product, rulesGroup)
	}
	line(`LABEL="kaztoken_pcscd_end"`)
	return b.Bytes()
}

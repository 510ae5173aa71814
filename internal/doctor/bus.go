package doctor

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"kaztoken/udev"
	"kaztoken/usb"
)

const devicesDir = "bus/usb/devices" // in /sys

// bus looks for tokens on the bus.
func (x *examination) bus() (*Finding, bool) {
	all, err := x.Devices(x.ctx)
	if err == nil && len(all) == 0 && x.Sys != nil {
		_, err = fs.Stat(x.Sys, devicesDir) // nothing plugged in, or no USB at all
	}
	if err != nil && len(all) == 0 {
		return &Finding{ID: "bus.none", Class: ClassNoToken, Values: []any{"error", err.Error()}}, false
	}
	for _, dev := range all {
		if x.Wanted(dev) {
			x.tokens = append(x.tokens, dev)
		}
	}
	if x.Sys == nil {
		if len(x.tokens) == 0 {
			return &Finding{ID: "bus.missing", Class: ClassNoToken}, false
		}
		return nil, false
	}
	for _, dev := range x.tokens {
		if x.text(dev, "authorized") == "0" {
			return about(dev, "bus.unauthorized", ClassNoToken,
				"command", fmt.Sprintf("echo 1 | sudo tee /sys/%s/%s/authorized", devicesDir, dev.Port)), false
		}
	}
	if len(x.tokens) > 0 {
		return nil, false
	}
	// A token that the system refuses has no configuration, and so no interface
	// to be known by; its ids are there all the same.
	for _, dev := range all {
		if _, ok := udev.Lookup(dev.Vendor, dev.Product); ok && x.text(dev, "authorized") == "0" {
			return about(dev, "bus.unauthorized", ClassNoToken,
				"command", fmt.Sprintf("echo 1 | sudo tee /sys/%s/%s/authorized", devicesDir, dev.Port)), false
		}
	}
	if port := x.disabledPort(); port != "" {
		return &Finding{ID: "bus.port", Class: ClassNoToken, Values: []any{
			"port", path.Base(port), "command", fmt.Sprintf("echo 0 | sudo tee /sys/%s/disable", port),
		}}, false
	}
	return &Finding{ID: "bus.missing", Class: ClassNoToken}, false
}

// text reads an attribute of a device, "" if it is not there.
func (x *examination) text(dev usb.Info, name string) string {
	if x.Sys == nil || dev.Port == "" {
		return ""
	}
	b, err := fs.ReadFile(x.Sys, path.Join(devicesDir, dev.Port, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// disabledPort finds a port of a hub that is switched off (Linux 6.0 and later,
// Documentation/ABI/testing/sysfs-bus-usb).
func (x *examination) disabledPort() string {
	// Each hub has an interface; its ports are folders within.
	interfaces, err := fs.Glob(x.Sys, devicesDir+"/*:*")
	if err != nil {
		return ""
	}
	for _, i := range interfaces {
		ports, err := fs.ReadDir(x.Sys, i)
		if err != nil {
			continue
		}
		for _, p := range ports {
			if !strings.Contains(p.Name(), "-port") {
				continue
			}
			b, err := fs.ReadFile(x.Sys, path.Join(i, p.Name(), "disable"))
			if err == nil && strings.TrimSpace(string(b)) == "1" {
				return path.Join(i, p.Name())
			}
		}
	}
	return ""
}

// suspended reports that a device sleeps because somebody has told the system to
// save power on it.
func (x *examination) suspended(dev usb.Info) bool {
	return x.text(dev, "power/runtime_status") == "suspended" && cmp.Or(x.text(dev, "power/control"), "auto") == "auto"
}

// node is the path of a device's node.
func node(dev usb.Info) string { return fmt.Sprintf("/dev/bus/usb/%03d/%03d", dev.Bus, dev.Addr) }

// holder looks for whoever has the interface of a token.
func (x *examination) holder() (*Finding, bool) {
	if x.Sys == nil || x.Proc == nil {
		return nil, true
	}
	for _, dev := range x.tokens {
		if driver := x.kernelDriver(dev); driver != "" {
			return about(dev, "holder.kernel", ClassOutOfReach, "driver", driver,
				"command", "sudo modprobe -r "+x.moduleOf(driver)), false
		}
		holders, err := udev.Holders(x.Proc, dev.Bus, dev.Addr)
		for _, h := range holders {
			if h.PID != x.Own && !x.serving(h) {
				return about(dev, "holder.program", ClassOutOfReach, "program", h.String()), false
			}
		}
		// A program of another user, which this one may not look into: the service,
		// if there is one.
		if s := x.asked().State; err != nil && len(holders) == 0 && x.claimed(dev) && (s == ServiceNone || s == ServiceDead) {
			return about(dev, "holder.unknown", ClassOutOfReach, "command", "sudo fuser -v "+node(dev)), false
		}
	}
	return nil, false
}

// serving reports that others use the token through a program; whether they can is
// another question.
func (x *examination) serving(h udev.Holder) bool {
	return h.Name == "pcscd" || strings.HasPrefix(h.Name, "kaztoken") && x.asked().State != ServiceNone
}

// interfaces are the interface folders of a device.
func (x *examination) interfaces(dev usb.Info) []string {
	all, err := fs.Glob(x.Sys, path.Join(devicesDir, dev.Port+":*"))
	if err != nil {
		return nil
	}
	return all
}

// kernelDriver names the driver of the kernel that has the reader's interface,
// "" if there is none. usbfs is what programs drive devices with.
func (x *examination) kernelDriver(dev usb.Info) string {
	readers, err := dev.Interfaces(usb.AllowAnyVendorClass())
	if err != nil {
		return ""
	}
	for _, dir := range x.interfaces(dev) {
		for _, r := range readers {
			if !strings.HasSuffix(dir, fmt.Sprintf(".%d", r.Number)) {
				continue
			}
			if d := x.driverOf(dir); d != "" && d != "usbfs" {
				return d
			}
		}
	}
	return ""
}

func (x *examination) driverOf(dir string) string {
	target, err := fs.ReadLink(x.Sys, path.Join(dir, "driver"))
	if err != nil {
		return ""
	}
	return path.Base(target)
}

// moduleOf names the module that a driver of USB is in, which may have another name.
func (x *examination) moduleOf(driver string) string {
	target, err := fs.ReadLink(x.Sys, path.Join("bus/usb/drivers", driver, "module"))
	if err != nil {
		return driver
	}
	return path.Base(target)
}

// claimed reports that a program has an interface of the device.
func (x *examination) claimed(dev usb.Info) bool {
	for _, dir := range x.interfaces(dev) {
		if x.driverOf(dir) == "usbfs" {
			return true
		}
	}
	return false
}

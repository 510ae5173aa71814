//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/gousb"

	"kaztoken/usb"
)

const (
	getDescriptor     = 0x06
	typeDevice        = 0x01
	typeConfiguration = 0x02

	deviceLen        = 18
	configurationLen = 9
	maxConfiguration = 4096
	maxConfigured    = 8 // configurations of one device
)

// Enumerate lists the attached devices that have an interface of the smart card
// class or of a vendor's, with their raw descriptors. It is for systems where
// nothing tells these without traffic; on Linux package udev does.
//
// A device that this user may not open, or that does not answer, is left out:
// raw descriptors take control requests, though no claim. err joins the reasons
// of all of these beside the list of the others.
func Enumerate(ctx context.Context) (list []usb.Info, err error) {
	lib, _, err := acquire(false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lib.release()) }()

	devices, err := lib.ctx.OpenDevices(interesting)
	err = translate(err)
	for _, d := range devices {
		if ctx.Err() == nil {
			info, derr := describe(ctx, d)
			if derr == nil {
				list = append(list, info)
			} else {
				err = errors.Join(err, fmt.Errorf("describing %v: %w", d, derr))
			}
		}
		err = errors.Join(err, d.Close())
	}
	return list, errors.Join(err, ctx.Err())
}

// interesting tells whether a device may have a reader interface in it.
func interesting(d *gousb.DeviceDesc) bool {
	for _, c := range d.Configs {
		for _, i := range c.Interfaces {
			for _, s := range i.AltSettings {
				if s.Class == gousb.ClassSmartCard || s.Class == gousb.ClassVendorSpec {
					return true
				}
			}
		}
	}
	return false
}

func describe(ctx context.Context, d *gousb.Device) (usb.Info, error) {
	info := usb.Info{
		Bus: d.Desc.Bus, Addr: d.Desc.Address, Port: port(d.Desc.Bus, d.Desc.Path),
		Vendor: uint16(d.Desc.Vendor), Product: uint16(d.Desc.Product), Release: uint16(d.Desc.Device),
	}
	var err error
	info.Descriptors, err = readDescriptors(func(value uint16, data []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		d.ControlTimeout = controlTimeout
		if deadline, ok := ctx.Deadline(); ok {
			d.ControlTimeout = max(time.Millisecond, min(controlTimeout, time.Until(deadline)))
		}
		n, err := d.Control(0x80, getDescriptor, value, 0, data)
		return max(0, min(n, len(data))), translate(err)
	})
	if err != nil {
		return usb.Info{}, err
	}
	active, err := d.ActiveConfigNum()
	if err != nil {
		return usb.Info{}, translate(err)
	}
	info.Configuration = byte(active)
	// Strings are a courtesy: a device that stalls them is a reader all the same.
	info.Manufacturer, _ = d.Manufacturer()
	info.ProductName, _ = d.Product()
	info.Serial, _ = d.SerialNumber()
	return info, nil
}

// port spells the way to the device as Linux does: "1-1.4".
func port(bus int, path []int) string {
	if len(path) == 0 {
		return ""
	}
	hops := make([]string, len(path))
	for i, p := range path {
		hops[i] = strconv.Itoa(p)
	}
	return strconv.Itoa(bus) + "-" + strings.Join(hops, ".")
}

// readDescriptors fetches the device descriptor and all configurations
// (USB 2.0 §9.4.3). get is GET_DESCRIPTOR for wValue.
func readDescriptors(get func(value uint16, data []byte) (int, error)) ([]byte, error) {
	all := make([]byte, deviceLen)
	n, err := get(typeDevice<<8, all)
	if err != nil {
		return nil, fmt.Errorf("device descriptor: %w", err)
	}
	if n != deviceLen || all[0] != deviceLen || all[1] != typeDevice {
		return nil, fmt.Errorf("device descriptor of %d bytes: %w", n, usb.ErrDescriptor)
	}
	for index := range min(int(all[17]), maxConfigured) {
		value := uint16(typeConfiguration<<8 | index)
		var head [configurationLen]byte
		n, err := get(value, head[:])
		if err != nil {
			return nil, fmt.Errorf("configuration %d: %w", index, err)
		}
		total := int(binary.LittleEndian.Uint16(head[2:]))
		if n != configurationLen || head[1] != typeConfiguration || total < configurationLen {
			return nil, fmt.Errorf("configuration %d of %d bytes: %w", index, total, usb.ErrDescriptor)
		}
		// A device may claim any length and send less; what came is what counts,
		// and wTotalLength is made to say so.
		b := make([]byte, min(total, maxConfiguration))
		if n, err = get(value, b); err != nil {
			return nil, fmt.Errorf("configuration %d: %w", index, err)
		}
		if n < configurationLen || b[1] != typeConfiguration {
			return nil, fmt.Errorf("configuration %d of %d bytes: %w", index, n, usb.ErrDescriptor)
		}
		binary.LittleEndian.PutUint16(b[2:], uint16(n))
		all = append(all, b[:n]...)
	}
	return all, nil
}

//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/gousb"

	"kaztoken/usb"
)

// Available tells whether this build has the transport.
const Available = true

// Open opens the device and claims the interface. The caller closes the pipe.
//
// The device is the one at info's bus and address, if its ids are info's;
// another or none is usb.ErrGone. The configuration in force must be that of
// ifc and is not changed; only a device without one gets it. On Linux a driver
// of the kernel is detached from this interface, and attached again by Close.
// An interface that somebody else holds is usb.ErrBusy, a device that this user
// may not open usb.ErrAccess.
//
// If the interface has several alternate settings, ifc.Alternate is selected.
func Open(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d, err := open(dev, ifc)
	if err != nil {
		return nil, fmt.Errorf("opening %v: %w", dev, err)
	}
	return &pipe{dev: d, ifc: ifc}, nil
}

// opened implements device with gousb.
type opened struct {
	lib   *library
	dev   *gousb.Device
	cfg   *gousb.Config
	claim *gousb.Interface
	ifc   usb.Interface

	handles  handles // on the device's node; when open, libusb's own or none
	own      *handle // libusb's; nil if there is none: not Linux, or no /proc
	detached bool    // the kernel's driver, to be attached again

	endpoints [3]struct { // bulk OUT, bulk IN, interrupt IN; unused ones have address 0
		address byte
		move    func(ctx context.Context, data []byte) (int, error)
	}
}

func open(info usb.Info, ifc usb.Interface) (_ *opened, err error) {
	d := &opened{ifc: ifc}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if err := d.find(info); err != nil {
		return nil, err
	}
	if err := d.configure(); err != nil {
		return nil, err
	}
	d.handles = findHandles(info)
	if d.detached, err = d.handles.detach(ifc.Number); err != nil {
		return nil, err
	}
	if err := d.claimInterface(ifc.Alternates > 1); err != nil {
		return nil, err
	}
	d.own = d.handles.keepOwn(ifc.Number)
	return d, nil
}

// find opens the device, looking for it a second time in a new library if the
// first was there before the device may have been.
func (d *opened) find(info usb.Info) error {
	for _, fresh := range []bool{false, true} {
		lib, existed, err := acquire(fresh)
		if err != nil {
			return err
		}
		d.dev, err = lib.open(info)
		if err == nil {
			d.lib = lib
			return nil
		}
		if rerr := lib.release(); rerr != nil {
			return errors.Join(err, rerr)
		}
		if !existed || !errors.Is(err, errNotListed) {
			return err
		}
	}
	return errNotListed
}

// errNotListed: libusb does not list the device.
var errNotListed = fmt.Errorf("%w: not listed by libusb", usb.ErrGone)

func (l *library) open(info usb.Info) (*gousb.Device, error) {
	found := errNotListed
	devices, err := l.ctx.OpenDevices(func(desc *gousb.DeviceDesc) bool {
		if desc.Bus != info.Bus || desc.Address != info.Addr || found == nil {
			return false
		}
		if desc.Vendor != gousb.ID(info.Vendor) || desc.Product != gousb.ID(info.Product) {
			found = fmt.Errorf("%w: %v:%v has its address now", usb.ErrGone, desc.Vendor, desc.Product)
			return false
		}
		found = nil
		return true
	})
	if len(devices) == 1 {
		return devices[0], nil // an error is about another device
	}
	if found != nil {
		return nil, found
	}
	return nil, translate(err)
}

// configure makes gousb's Config without changing the configuration in force.
func (d *opened) configure() error {
	active, err := d.dev.ActiveConfigNum()
	if err != nil {
		return fmt.Errorf("asking for the configuration: %w", translate(err))
	}
	want := int(d.ifc.Configuration)
	if active != 0 && want != active {
		return fmt.Errorf("interface %d belongs to configuration %d, and %d is in force", d.ifc.Number, want, active)
	}
	d.cfg, err = d.dev.Config(want)
	return translate(err)
}

// claimInterface claims the interface, and selects its alternate setting if asked to:
// SET_INTERFACE resets the data toggles, and at least one reader (072f:2200)
// refuses it.
func (d *opened) claimInterface(alternate bool) error {
	if err := only(&d.cfg.Desc, int(d.ifc.Number), int(d.ifc.Alternate), alternate); err != nil {
		return err
	}
	claim, err := d.cfg.Interface(int(d.ifc.Number), int(d.ifc.Alternate))
	if err != nil {
		return translate(err)
	}
	d.claim = claim
	for i, e := range [...]usb.Endpoint{d.ifc.BulkOut, d.ifc.BulkIn, d.ifc.Interrupt} {
		if e.Address == 0 {
			continue
		}
		d.endpoints[i].address = e.Address
		if e.Address&0x80 != 0 {
			in, err := claim.InEndpoint(int(e.Address & 0x0f))
			if err != nil {
				return err
			}
			d.endpoints[i].move = in.ReadContext
		} else {
			out, err := claim.OutEndpoint(int(e.Address & 0x0f))
			if err != nil {
				return err
			}
			d.endpoints[i].move = out.WriteContext
		}
	}
	return nil
}

// only rewrites a configuration's description so that Config.Interface does what
// is wanted: it looks an interface up by its number and then uses that number
// as an index, and it selects the alternate setting if there is more than one.
// The description is gousb's copy for this Config; its slices are not written to.
func only(desc *gousb.ConfigDesc, number, alternate int, selected bool) error {
	for _, i := range desc.Interfaces {
		if i.Number != number {
			continue
		}
		for _, s := range i.AltSettings {
			if s.Alternate != alternate {
				continue
			}
			settings := []gousb.InterfaceSetting{s}
			if selected {
				settings = append(settings, s)
			}
			desc.Interfaces = make([]gousb.InterfaceDesc, number+1)
			for n := range number {
				desc.Interfaces[n].Number = -1
			}
			desc.Interfaces[number] = gousb.InterfaceDesc{Number: number, AltSettings: settings}
			return nil
		}
	}
	return fmt.Errorf("libusb sees no interface %d with alternate setting %d", number, alternate)
}

func (d *opened) control(timeout time.Duration, s usb.Setup, data []byte) (int, error) {
	d.dev.ControlTimeout = timeout
	return d.dev.Control(s.RequestType, s.Request, s.Value, s.Index, data)
}

func (d *opened) transfer(ctx context.Context, address byte, data []byte) (int, error) {
	for i := range d.endpoints {
		if e := &d.endpoints[i]; e.address == address {
			return e.move(ctx, data)
		}
	}
	return 0, usb.ErrNoEndpoint
}

// errToggle: the device's toggle was reset, the host's was not.
var errToggle = errors.New("the host's data toggle could not be reset")

func (d *opened) clearHalt(address byte) error {
	if d.own != nil {
		return d.own.clearHalt(address)
	}
	const clearFeature, endpointHalt = 0x01, 0
	if _, err := d.control(controlTimeout, usb.Setup{RequestType: 0x02, Request: clearFeature, Value: endpointHalt, Index: uint16(address)}, nil); err != nil {
		return err
	}
	return errToggle
}

func (d *opened) reselect() error {
	if d.own != nil {
		return d.own.setInterface(d.ifc.Number, d.ifc.Alternate)
	}
	// gousb selects an alternate setting only when it claims. Somebody may come
	// between; the claim then fails with ErrBusy and the pipe is of no more use.
	if d.claim != nil {
		d.claim.Close()
		d.claim = nil
	}
	return d.claimInterface(true)
}

func (d *opened) gone() bool { return d.own != nil && d.own.gone() }

// close undoes what was done, last first, whatever that is.
func (d *opened) close() error {
	var errs []error
	if d.claim != nil {
		d.claim.Close()
	}
	if d.cfg != nil {
		errs = append(errs, d.cfg.Close())
	}
	if d.detached {
		// A device that is gone has no driver to attach.
		if err := d.handles.attach(d.ifc.Number); !errors.Is(err, usb.ErrGone) {
			errs = append(errs, err)
		}
	}
	d.handles.close()
	if d.dev != nil {
		errs = append(errs, d.dev.Close())
	}
	if d.lib != nil {
		errs = append(errs, d.lib.release())
	}
	return errors.Join(errs...)
}

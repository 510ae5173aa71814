package host

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"kaztoken/udev"
	"kaztoken/usb"
	"kaztoken/usb/libusb"
)

// listInterval is how often devices are listed where nothing says that they
// changed.
const listInterval = time.Second

// system is the source of the machine that this runs on: the kernel's reports
// on Linux, libusb's elsewhere.
func system() Source {
	switch {
	case runtime.GOOS == "linux":
		return uevents{}
	case libusb.Available:
		return Compared(libusb.Enumerate, libusb.Watch, listInterval)
	}
	return Compared(func(context.Context) ([]usb.Info, error) {
		return nil, fmt.Errorf("list USB devices on %s without libusb: %w", runtime.GOOS, errors.ErrUnsupported)
	}, nil, listInterval)
}

// uevents is the Source of Linux.
type uevents struct{}

func (uevents) Devices(context.Context) ([]usb.Info, error) { return udev.Enumerate(udev.Sysfs()) }

func (uevents) Watch() (Watch, error) {
	m, err := udev.Listen()
	if err != nil {
		return nil, err
	}
	return ueventWatch{m}, nil
}

type ueventWatch struct{ *udev.Monitor }

func (w ueventWatch) Next(ctx context.Context) (Notice, error) {
	for {
		e, err := w.Monitor.Next(ctx)
		if errors.Is(err, udev.ErrOverrun) {
			return Notice{}, fmt.Errorf("%w: %w", ErrOverrun, err)
		}
		if err != nil {
			return Notice{}, err
		}
		if n, ok := noticeOf(e); ok {
			return n, nil
		}
	}
}

// noticeOf says what a uevent means here. Only the kernel's own word makes a
// device come or go. The daemon repeats it when its rules have run: of an
// arrival that means that the node has its permissions now, and of a leave it
// may come when the address is in use again.
func noticeOf(e udev.Event) (Notice, bool) {
	n := Notice{Action: Changed, Bus: e.Bus, Addr: e.Addr, Time: e.Time}
	switch {
	case e.Action == udev.Add && !e.Settled && !e.Synthetic:
		n.Action = Added
	case e.Action == udev.Remove && !e.Settled && !e.Synthetic:
		n.Action = Gone
	case e.Action == udev.Remove:
		return Notice{}, false
	}
	return n, true
}

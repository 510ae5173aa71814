//go:build cgo && !nolibusb

package libusb

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kaztoken/usb"
)

func TestFailure(t *testing.T) {
	for _, tc := range []struct {
		errno syscall.Errno
		want  error
	}{
		{unix.ENODEV, usb.ErrGone}, {unix.ESHUTDOWN, usb.ErrGone}, {unix.EPIPE, usb.ErrStall},
		{unix.ETIMEDOUT, usb.ErrTimeout}, {unix.EBUSY, usb.ErrBusy}, {unix.EACCES, usb.ErrAccess},
		{unix.EPERM, usb.ErrAccess}, {unix.EOVERFLOW, usb.ErrOverflow}, {unix.EPROTO, usb.ErrIO},
		{unix.EILSEQ, usb.ErrIO}, {unix.ETIME, usb.ErrIO}, {unix.EIO, usb.ErrIO},
	} {
		for _, doing := range []string{"", "doing"} {
			err := failure(_Ctype_int(tc.errno), doing)
			if !errors.Is(err, tc.want) || !errors.Is(err, tc.errno) {
				t.Errorf("%v: got %v, want %v", tc.errno, err, tc.want)
			}
		}
	}
	if err := failure(_Ctype_int(unix.ENOTTY), ""); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("an errno without a meaning: %v", err)
	}
	if failure(0, "doing") != nil {
		t.Error("success became an error")
	}
}

// TestHandles: the null device answers none of the requests, and nothing is
// leaked, closed or believed for that.
func TestHandles(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !isDevice(int(f.Fd()), unix.Mkdev(1, 3)) || isDevice(int(f.Fd()), unix.Mkdev(usbMajor, 3)) {
		t.Error("the null device is not what it is")
	}
	if h := findHandles(usb.Info{Bus: 4000, Addr: 127}); len(h) != 0 {
		t.Errorf("handles of no device: %v", h)
	}
	dup, err := unix.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	h := handles{{dup}}
	if detached, err := h.detach(0); detached || err != nil {
		t.Errorf("detach: %t, %v", detached, err)
	}
	if own := h.keepOwn(0); own != nil || len(h) != 1 {
		t.Errorf("keepOwn: %v of %v", own, h)
	}
	for name, err := range map[string]error{
		"attach": h.attach(0), "clearHalt": h[0].clearHalt(0x82), "setInterface": h[0].setInterface(0, 0),
	} {
		if !errors.Is(err, unix.ENOTTY) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if h[0].gone() {
		t.Error("the null device is gone")
	}
	h.close()
	if err := unix.Close(dup); !errors.Is(err, unix.EBADF) {
		t.Errorf("the handle was not closed: %v", err)
	}
}

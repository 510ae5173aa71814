//go:build linux

package usbfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/internal/nap"
	"kaztoken/usb"
)

// testInfo is what sysfs tells of the device that the fake kernel has.
var testInfo = usb.Info{
	Bus: 1, Addr: 4, Vendor: 0x0A89, Product: 0x0035, Configuration: 1,
	Descriptors: usb.DeviceDescriptor{USB: 0x0200, MaxPacketSize0: 64, Vendor: 0x0A89, Product: 0x0035, Release: 0x0100, NumConfigurations: 1}.AppendTo(nil),
}

// configured is a device that answers GET_CONFIGURATION with value.
func configured(value ...byte) func(*flight) {
	return func(f *flight) {
		if f.setup == [8]byte{0x80, 0x08, 0, 0, 0, 0, 1, 0} {
			f.complete(0, value)
		}
	}
}

func TestOpen(t *testing.T) {
	tests := []struct {
		name   string
		change func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface)
		err    error
		log    string // requests up to the end of Close
	}{
		{"free", func(*fakeKernel, *usb.Info, *usb.Interface) {}, nil, "claim, release"},
		{"only ids known", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) { dev.Descriptors = nil }, nil, "claim, release"},
		{"a driver of the kernel", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.driver[2] = "pn533_usb"
		}, nil, "disconnect pn533_usb, claim, release, connect"},
		{"another process", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.driver[2] = "usbfs"
		}, usb.ErrBusy, ""},
		{"a process that is quicker than we", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.driver[2] = "pn533_usb"
			k.fail = func(req uintptr) syscall.Errno {
				if req == reqDisconnectClaim {
					k.driver[2] = "usbfs"
				}
				return 0
			}
		}, usb.ErrBusy, ""},
		{"a driver that lets go", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.driver[2] = "cdc_acm"
			k.fail = func(req uintptr) syscall.Errno {
				if req == reqGetDriver {
					delete(k.driver, 2)
				}
				return 0
			}
		}, nil, "claim, release"},
		{"another driver is not touched", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.driver[0] = "usbhid"
		}, nil, "claim, release"},
		{"another device", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.descriptors[17]++
		}, usb.ErrGone, ""},
		{"another device by its ids", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Descriptors, dev.Product = nil, 0x0030
		}, usb.ErrGone, ""},
		{"short descriptors", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.descriptors = k.descriptors[:17]
		}, fs.ErrInvalid, ""},
		{"gone before", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) { k.gone = true }, usb.ErrGone, ""},
		{"gone before the claim", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			k.fail = func(req uintptr) syscall.Errno { k.unplug(true); return 0 }
		}, usb.ErrGone, ""},
		{"no such interface", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) { ifc.Number = 5 }, usb.ErrGone, ""},
		{"not configured", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Configuration, k.configured = 0, false
			k.device = configured(0)
		}, nil, "set configuration, claim, release"},
		{"configuration not known", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Configuration = 0
		}, nil, "claim, release"},
		{"another configuration in force", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Configuration, k.configured = 0, false
			k.device = configured(2)
		}, usb.ErrDescriptor, ""},
		{"silent about its configuration", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Configuration, k.configured = 0, false
		}, usb.ErrTimeout, ""},
		{"refuses its configuration", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			dev.Configuration, k.configured = 0, false
			k.device = configured(0)
			k.fail = failing(reqSetConfiguration, unix.EPROTO)
		}, usb.ErrIO, ""},
		{"alternate settings", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			ifc.Alternates = 2
		}, nil, "claim, set interface, release"},
		{"alternate setting 0 refused", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			ifc.Alternates = 2
			k.fail = failing(reqSetInterface, unix.EPIPE)
		}, nil, "claim, release"},
		{"alternate setting 1", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			ifc.Alternate, ifc.Alternates = 1, 2
		}, nil, "claim, set interface, release"},
		{"alternate setting 1 refused", func(k *fakeKernel, dev *usb.Info, ifc *usb.Interface) {
			ifc.Alternate, ifc.Alternates = 1, 2
			k.driver[2] = "pn533_usb"
			k.fail = failing(reqSetInterface, unix.EPIPE)
		}, usb.ErrStall, "disconnect pn533_usb, claim, release, connect"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newFakeKernel(t)
				k.device = silent
				dev, ifc := testInfo, testInterface
				tt.change(k, &dev, &ifc)
				p, err := open(t.Context(), k, dev, ifc)
				switch {
				case tt.err == fs.ErrInvalid:
					if err == nil {
						t.Error("opened")
					}
				case !errors.Is(err, tt.err):
					t.Errorf("got %v, want %v", err, tt.err)
				}
				if err == nil {
					if err := p.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
				if !k.closed {
					t.Error("node left open")
				}
				if got := strings.Join(k.log, ", "); got != tt.log {
					t.Errorf("got %q, want %q", got, tt.log)
				}
			})
		})
	}
}

func failing(req uintptr, errno syscall.Errno) func(uintptr) syscall.Errno {
	return func(r uintptr) syscall.Errno {
		if r == req {
			return errno
		}
		return 0
	}
}

// What Close finds is told, except the end of the device.
func TestCloseErrors(t *testing.T) {
	for _, tt := range []struct {
		req   uintptr
		errno syscall.Errno
		want  error
	}{
		{reqRelease, unix.EIO, usb.ErrIO},
		{reqRelease, unix.ENODEV, nil},
		{reqDriverIoctl, unix.EBUSY, usb.ErrBusy},
		{reqDriverIoctl, unix.ENODEV, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := newFakeKernel(t)
			k.driver[2] = "pn533_usb"
			p, err := open(t.Context(), k, testInfo, testInterface)
			if err != nil {
				t.Fatal(err)
			}
			k.fail = failing(tt.req, tt.errno)
			for range 2 {
				if err := p.Close(); !errors.Is(err, tt.want) {
					t.Errorf("%v: got %v, want %v", tt.errno, err, tt.want)
				}
			}
		})
	}
}

func TestOpenPaths(t *testing.T) {
	root := t.TempDir()
	if _, err := Open(t.Context(), testInfo, testInterface, WithRoot(root)); !errors.Is(err, usb.ErrGone) {
		t.Errorf("no node: got %v", err)
	}
	path := filepath.Join(root, "001", "004")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, testInfo.Descriptors, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), testInfo, testInterface, WithRoot(root))
	if !errors.Is(err, errNotNode) || !strings.Contains(err.Error(), "not a device node") {
		t.Errorf("a plain file: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, testInfo, testInterface, WithRoot(root)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
	for errno, want := range map[syscall.Errno]error{unix.EACCES: usb.ErrAccess, unix.EPERM: usb.ErrAccess, unix.ENODEV: usb.ErrGone, unix.EMFILE: unix.EMFILE} {
		if err := openFailure(&os.PathError{Op: "open", Path: path, Err: errno}); !errors.Is(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v: got %v", errno, err)
		}
	}
}

// fifo opens a node on a FIFO that is full. Like usbfs it can be polled for
// writing; it becomes ready when the returned function takes something out.
func fifo(t *testing.T) (*node, func()) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := openNode(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.close() })
	b := make([]byte, 65536)
	for {
		if _, err := unix.Write(n.fd, b); err != nil {
			break
		}
	}
	return n, func() { unix.Read(n.fd, b) }
}

// The poll of the real node, with and without naps: woken by the file, by its
// deadline and by a change of its deadline from another goroutine.
func TestNodePoll(t *testing.T) {
	for _, naps := range []int{0, 1} {
		t.Run(fmt.Sprint(naps, " naps"), func(t *testing.T) {
			nap.Allow(naps)
			defer nap.Allow(0)
			testNodePoll(t)
		})
	}
}

func testNodePoll(t *testing.T) {
	n, drain := fifo(t)
	var others sync.WaitGroup
	defer others.Wait()
	steps := 0
	err := n.poll(func() bool {
		if steps++; steps == 1 {
			others.Go(drain)
		}
		return steps == 2
	})
	if err != nil || steps != 2 {
		t.Errorf("ready: %d steps, %v", steps, err)
	}
	n, _ = fifo(t)
	err = n.poll(func() bool { others.Go(func() { n.setDeadline(past) }); return false })
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("kicked: got %v", err)
	}
	steps = 0
	if err = n.poll(func() bool { steps++; return true }); !errors.Is(err, os.ErrDeadlineExceeded) || steps != 0 {
		t.Errorf("still kicked: %d steps, %v", steps, err)
	}
	others.Wait()
	n.setDeadline(time.Time{})
	if err = n.poll(func() bool { steps++; return true }); err != nil || steps != 1 {
		t.Errorf("no deadline: %d steps, %v", steps, err)
	}
	for _, limit := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
		begin := time.Now()
		n.setDeadline(begin.Add(limit))
		if err = n.poll(func() bool { return false }); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) < limit {
			t.Errorf("deadline: got %v after %v", err, time.Since(begin))
		}
	}
	n.setDeadline(time.Time{})
	var u urb
	if errno := n.ioctl(reqSubmit, unsafePointer(&u)); errno != unix.ENOTTY {
		t.Errorf("ioctl: got %v", errno)
	}
	if _, err := n.read(make([]byte, 18)); err == nil {
		t.Error("a FIFO can be read at an offset")
	}
}

func TestByteOrderOfTheNode(t *testing.T) {
	if got := binary.NativeEndian.Uint16(deviceDescriptor()[8:]); got != 0x0A89 {
		t.Errorf("idVendor as the kernel gives it: %#04x", got)
	}
}

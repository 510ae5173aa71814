package udev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"kaztoken/usb"
)

// attributes are the files of one device's directory.
type attributes map[string]string

func kaztoken(change attributes) attributes {
	a := attributes{
		"busnum": "1\n", "devnum": "7\n", "idVendor": "0a89\n", "idProduct": "0035\n", "bcdDevice": "0100\n",
		"manufacturer": "DigiFlow LLP.\n", "product": "KAZTOKEN\n", "serial": "2a5f\n", "bConfigurationValue": "1\n",
		"descriptors": "\x12\x01\x00\x02",
	}
	for name, content := range change {
		if content == "" {
			delete(a, name)
		} else {
			a[name] = content
		}
	}
	return a
}

// sysTree makes the part of /sys that counts, devices by name.
func sysTree(devices map[string]attributes) fstest.MapFS {
	m := fstest.MapFS{"bus/usb/devices": {Mode: fs.ModeDir}}
	for name, attrs := range devices {
		for file, content := range attrs {
			m["bus/usb/devices/"+name+"/"+file] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return m
}

func TestRead(t *testing.T) {
	want := usb.Info{
		Bus: 1, Addr: 7, Port: "1-1.4", Vendor: 0x0a89, Product: 0x0035, Release: 0x0100,
		Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN", Serial: "2a5f",
		Configuration: 1, Descriptors: []byte{0x12, 0x01, 0x00, 0x02},
	}
	for _, r := range []struct {
		name   string
		change attributes
		edit   func(*usb.Info)
		err    string
	}{
		{name: "all there", edit: func(*usb.Info) {}},
		{
			name: "no strings", change: attributes{"manufacturer": "", "product": "", "serial": ""},
			edit: func(i *usb.Info) { i.Manufacturer, i.ProductName, i.Serial = "", "", "" },
		},
		{
			name: "not configured", change: attributes{"bConfigurationValue": "\n"},
			edit: func(i *usb.Info) { i.Configuration = 0 },
		},
		{
			name: "escape sequence in the serial number", change: attributes{"serial": "\x1b[31mA\xffB\n"},
			edit: func(i *usb.Info) { i.Serial = "\uFFFD[31mA\uFFFDB" },
		},
		{
			name: "largest descriptors", change: attributes{"descriptors": strings.Repeat("x", maxDescriptors)},
			edit: func(i *usb.Info) { i.Descriptors = []byte(strings.Repeat("x", maxDescriptors)) },
		},
		{name: "descriptors without end", change: attributes{"descriptors": strings.Repeat("x", maxDescriptors+1)}, err: "descriptors: more than"},
		{name: "string without end", change: attributes{"product": strings.Repeat("x", maxAttribute+1)}, err: "product: more than"},
		{name: "vendor id too long", change: attributes{"idVendor": "10a89\n"}, err: "idVendor"},
		{name: "product id of no digits", change: attributes{"idProduct": "KAZT\n"}, err: "idProduct"},
		{name: "negative bus", change: attributes{"busnum": "-1\n"}, err: "busnum"},
		{name: "configuration out of range", change: attributes{"bConfigurationValue": "256\n"}, err: "bConfigurationValue"},
	} {
		t.Run(r.name, func(t *testing.T) {
			got, err := Read(sysTree(map[string]attributes{"1-1.4": kaztoken(r.change)}), "1-1.4")
			if r.err != "" {
				if err == nil || !strings.Contains(err.Error(), r.err) || errors.Is(err, usb.ErrGone) {
					t.Errorf("got %v want an error about %s", err, r.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			w := want
			r.edit(&w)
			if d := cmp.Diff(w, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestReadRefusesNames(t *testing.T) {
	sys := sysTree(nil)
	for _, port := range []string{
		"", "usb1", "1-1:1.0", "1-0:1.0", "../../etc", "1-1/..", "1-", "-1", "1-1.", "1-1..2", "a-1", "1-1.x", strings.Repeat("1-1", 40),
	} {
		if _, err := Read(sys, port); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: got %v want fs.ErrInvalid", port, err)
		}
	}
	if _, err := Read(sys, "1-1"); !errors.Is(err, usb.ErrGone) {
		t.Errorf("nothing there: got %v want ErrGone", err)
	}
}

// The real layout: links in bus/usb/devices, directories elsewhere.
func TestEnumerate(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, filepath.FromSlash(devicesDir))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, attrs := range map[string]attributes{
		"usb1":     kaztoken(nil),
		"1-10":     kaztoken(attributes{"devnum": "10\n"}),
		"1-2":      kaztoken(attributes{"devnum": "4\n"}),
		"1-2.1":    kaztoken(attributes{"devnum": "5\n"}),
		"2-1":      kaztoken(attributes{"busnum": "2\n", "devnum": "2\n"}),
		"1-2:1.0":  {"bInterfaceNumber": "00\n"},
		"3-1":      kaztoken(attributes{"idVendor": "nonsense\n"}),
		"1-3":      {}, // vanishing: the directory is there, its files are not
		"11-1.2.3": kaztoken(attributes{"busnum": "11\n"}),
	} {
		target := filepath.Join(root, "devices", name)
		if err := os.MkdirAll(target, 0o755); err != nil {
			t.Fatal(err)
		}
		for file, content := range attrs {
			if err := os.WriteFile(filepath.Join(target, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(root, "devices", "gone"), filepath.Join(dir, "1-4")); err != nil {
		t.Fatal(err)
	}
	infos, err := Enumerate(os.DirFS(root))
	if err == nil || !strings.Contains(err.Error(), "3-1: idVendor") {
		t.Errorf("got error %v, want one about 3-1", err)
	}
	var ports []string
	for _, i := range infos {
		ports = append(ports, i.Port)
	}
	if d := cmp.Diff([]string{"1-2", "1-2.1", "1-10", "2-1", "11-1.2.3"}, ports); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEnumerateWithoutUSB(t *testing.T) {
	if infos, err := Enumerate(fstest.MapFS{"bus/pci": {Mode: fs.ModeDir}}); err != nil || infos != nil {
		t.Errorf("no USB in the kernel: got %v, %v", infos, err)
	}
	if _, err := Enumerate(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no sysfs: got %v want fs.ErrNotExist", err)
	}
}

// faultyFS fails or swaps things at the nth Open.
type faultyFS struct {
	fs.FS
	n    int // opens so far
	hook func(n int, name string) error
}

func (f *faultyFS) Open(name string) (fs.File, error) {
	f.n++
	if err := f.hook(f.n, name); err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return f.FS.Open(name)
}

// A device that is unplugged at any moment of the reading is gone, or its
// optional strings are missing; it is never an error of Enumerate.
func TestUnplugWhileReading(t *testing.T) {
	for _, unplug := range []error{fs.ErrNotExist, syscall.ENODEV} {
		for at := 2; ; at++ { // the first Open is that of the directory
			sys := &faultyFS{
				FS: sysTree(map[string]attributes{"1-1": kaztoken(nil)}),
				hook: func(n int, _ string) error {
					if n >= at {
						return unplug
					}
					return nil
				},
			}
			infos, err := Enumerate(sys)
			if err != nil {
				t.Fatalf("%v at %d: %v", unplug, at, err)
			}
			if at > sys.n {
				if len(infos) != 1 {
					t.Fatal("nothing failed, and the device is not listed")
				}
				break
			}
			if len(infos) != 0 {
				t.Fatalf("%v at %d: listed a device that is gone: %+v", unplug, at, infos)
			}
		}
	}
}

// A device replaced by another on the same port while it is read gives neither.
func TestReplacedWhileReading(t *testing.T) {
	tree := sysTree(map[string]attributes{"1-1": kaztoken(nil)})
	sys := &faultyFS{FS: tree}
	sys.hook = func(_ int, name string) error {
		if strings.HasSuffix(name, "descriptors") {
			tree["bus/usb/devices/1-1/devnum"] = &fstest.MapFile{Data: []byte("8\n")}
		}
		return nil
	}
	if _, err := Read(sys, "1-1"); !errors.Is(err, usb.ErrGone) {
		t.Errorf("got %v want ErrGone", err)
	}
}

// A sysfs that refuses is an error, not an empty list.
func TestEnumerateRefused(t *testing.T) {
	for at := 1; ; at++ {
		sys := &faultyFS{
			FS: sysTree(map[string]attributes{"1-1": kaztoken(nil), "1-2": kaztoken(nil)}),
			hook: func(n int, _ string) error {
				if n == at {
					return fs.ErrPermission
				}
				return nil
			},
		}
		infos, err := Enumerate(sys)
		if at > sys.n {
			break
		}
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("open %d refused: got %v, %v", at, infos, err)
		}
		if at > 1 && len(infos) != 1 {
			t.Errorf("open %d refused: %d devices, want the other one", at, len(infos))
		}
	}
}

func TestComparePorts(t *testing.T) {
	want := []string{"1-1", "1-1.1", "1-1.1.4", "1-1.2", "1-1.10", "1-2", "1-10", "2-1", "10-1"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, comparePorts)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func ExampleEnumerate() {
	sys := fstest.MapFS{}
	for file, content := range kaztoken(nil) {
		sys["bus/usb/devices/1-1.4/"+file] = &fstest.MapFile{Data: []byte(content)}
	}
	infos, err := Enumerate(sys) // Sysfs() on a real machine
	if err != nil {
		fmt.Println(err)
	}
	for _, i := range infos {
		fmt.Printf("port %s: %v %s\n", i.Port, i, i.ProductName)
	}
	// Output: port 1-1.4: bus 1 device 7 (0a89:0035) KAZTOKEN
}

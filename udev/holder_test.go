package udev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// procTree makes the part of /proc that counts: program names and what their
// file descriptors lead to.
func procTree(processes map[int]string, open map[int][]string) fstest.MapFS {
	m := fstest.MapFS{
		"self/fd/0": {Data: []byte("/dev/bus/usb/001/007"), Mode: fs.ModeSymlink},
		"sys":       {Mode: fs.ModeDir},
		"version":   {},
	}
	for pid, name := range processes {
		dir := fmt.Sprint(pid)
		m[dir+"/comm"] = &fstest.MapFile{Data: []byte(name)}
		m[dir+"/fd"] = &fstest.MapFile{Mode: fs.ModeDir}
		for fd, target := range open[pid] {
			m[fmt.Sprintf("%s/fd/%d", dir, fd)] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink}
		}
	}
	return m
}

var busyProc = procTree(
	map[int]string{1: "systemd\n", 812: "pcscd\n", 1000: "evil\x1b[2J\n", 77: "", 90: "gpg-agent\n"},
	map[int][]string{
		1:    {"/dev/null", "socket:[1]"},
		812:  {"/dev/null", "/dev/bus/usb/001/003", "/dev/bus/usb/001/007", "/dev/bus/usb/001/007"},
		1000: {"/dev/bus/usb/001/007"},
		77:   {"/dev/bus/usb/001/007"},
		90:   {"/dev/bus/usb/001/070", "/dev/bus/usb/001/007 (deleted)", "/dev/bus/usb/002/007"},
	},
)

func TestHolders(t *testing.T) {
	got, err := Holders(busyProc, 1, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []Holder{{77, "?"}, {812, "pcscd"}, {1000, "evil\uFFFD[2J"}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s := got[1].String(); s != "pcscd (pid 812)" {
		t.Errorf("got %q", s)
	}
	if got, err := Holders(busyProc, 3, 7); err != nil || len(got) != 0 {
		t.Errorf("a device that nobody has open: %v, %v", got, err)
	}
}

// deniedFS refuses what a user may not see of other users' processes.
type deniedFS struct {
	fstest.MapFS
	denied string
	err    error
}

func (d deniedFS) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == d.denied {
		return nil, &fs.PathError{Op: "open", Path: name, Err: d.err}
	}
	return d.MapFS.ReadDir(name)
}

func (d deniedFS) ReadLink(name string) (string, error) {
	if path.Dir(name) == d.denied || name == d.denied {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: d.err}
	}
	return d.MapFS.ReadLink(name)
}

func TestHoldersPermission(t *testing.T) {
	for _, denied := range []string{"812/fd", "812/fd/0"} {
		got, err := Holders(deniedFS{busyProc, denied, fs.ErrPermission}, 1, 7)
		if !errors.Is(err, fs.ErrPermission) || len(got) != 2 {
			t.Errorf("%s denied: got %v, %v", denied, got, err)
		}
		got, err = Holders(deniedFS{busyProc, denied, fs.ErrNotExist}, 1, 7)
		if err != nil {
			t.Errorf("%s vanished: got %v, %v", denied, got, err)
		}
	}
	if _, err := Holders(deniedFS{busyProc, ".", fs.ErrPermission}, 1, 7); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("/proc denied: got %v", err)
	}
	if _, err := Holders(os.DirFS(t.TempDir()+"/none"), 1, 7); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no /proc: got %v", err)
	}
}

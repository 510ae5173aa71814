package udev

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Holder is a process that has a device node open.
type Holder struct {
	PID  int
	Name string // the kernel's name of the program, at most 15 bytes: "pcscd"
}

// String gives "pcscd (pid 812)".
func (h Holder) String() string { return fmt.Sprintf("%s (pid %d)", h.Name, h.PID) }

// Proc is the machine's own /proc, for [Holders].
func Proc() fs.FS { return os.DirFS("/proc") }

// Holders lists the processes that have /dev/bus/usb/BBB/DDD of a device open,
// this one included, ordered by PID. proc has the layout of /proc.
//
// The system shows a user only the open files of the user's own processes. If
// some could not be looked into, the list is what was seen, and the error is
// [fs.ErrPermission]: an empty list then means "a process of another user".
func Holders(proc fs.FS, bus, addr int) ([]Holder, error) {
	node := fmt.Sprintf("/dev/bus/usb/%03d/%03d", bus, addr)
	entries, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil, fmt.Errorf("who holds %s: %w", node, err)
	}
	var (
		holders []Holder
		denied  bool
	)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		switch open, err := hasOpen(proc, e.Name(), node); {
		case open:
			holders = append(holders, Holder{pid, programName(proc, e.Name())})
		case errors.Is(err, fs.ErrPermission):
			denied = true
		}
		// Any other error is a process that ended meanwhile: it holds nothing.
	}
	slices.SortFunc(holders, func(a, b Holder) int { return cmp.Compare(a.PID, b.PID) })
	if denied {
		return holders, fmt.Errorf("who holds %s: %w", node, fs.ErrPermission)
	}
	return holders, nil
}

// hasOpen reports whether a file descriptor of the process leads to node.
func hasOpen(proc fs.FS, pid, node string) (bool, error) {
	dir := path.Join(pid, "fd")
	entries, err := fs.ReadDir(proc, dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		target, err := fs.ReadLink(proc, path.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrPermission) {
			return false, err
		}
		if err == nil && target == node {
			return true, nil
		}
	}
	return false, nil
}

// programName reads comm, which any process may choose for itself: it is shown
// with control characters replaced.
func programName(proc fs.FS, pid string) string {
	d := device{sys: proc, dir: pid}
	if name := strings.TrimSpace(d.text("comm")); name != "" {
		return name
	}
	return "?"
}

//go:build linux

package usbip

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// VHCI is a virtual host controller of this kernel: the module vhci-hcd, seen
// through its directory in sysfs. Writing there takes root.
type VHCI struct {
	// Dir is that directory; empty means /sys/devices/platform/vhci_hcd.0,
	// which stands for all controllers of the module.
	Dir string
}

// ErrNoFreePort: every port of the controller's hub of that speed is taken.
var ErrNoFreePort = errors.New("no free port in vhci-hcd")

// Port statuses of the kernel (drivers/usb/usbip/usbip_common.h).
const (
	// PortFree: nothing is attached (VDEV_ST_NULL).
	PortFree = 4
	// PortAssigned: attached, no address yet (VDEV_ST_NOTASSIGNED).
	PortAssigned = 5
	// PortUsed: attached and enumerated (VDEV_ST_USED).
	PortUsed = 6
	// PortError: the connection broke and is being cleaned up (VDEV_ST_ERROR).
	PortError = 7
)

// Port is one line of the controller's status.
type Port struct {
	Hub    string // "hs" or "ss"; empty with kernels before 4.14, which have no such column
	Number int
	Status int    // PortFree and so on
	DevID  uint32 // of the attached device, see Exported.DevID
	Local  string // its name in this kernel, "3-1"; "0-0" if there is none
}

func (v VHCI) path(name string) string {
	if v.Dir == "" {
		return filepath.Join("/sys/devices/platform/vhci_hcd.0", name)
	}
	return filepath.Join(v.Dir, name)
}

// Ports reads the status of all ports.
func (v VHCI) Ports() ([]Port, error) {
	var all []Port
	// A further file for each further controller: status, status.1, status.2…
	for i := 0; ; i++ {
		name := "status"
		if i > 0 {
			name += "." + strconv.Itoa(i)
		}
		b, err := os.ReadFile(v.path(name))
		if i > 0 && errors.Is(err, os.ErrNotExist) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("vhci-hcd (is the module loaded?): %w", err)
		}
		ports, err := parseStatus(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.path(name), err)
		}
		all = append(all, ports...)
	}
}

// parseStatus reads a status file: a line of titles, then one line per port,
//
//	hub port sta spd dev      sockfd local_busid
//	hs  0000 004 000 00000000 000000 0-0
//
// with everything decimal but dev. Older kernels leave the first column out.
func parseStatus(b []byte) ([]Port, error) {
	var ports []Port
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Scan()
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		p := Port{}
		if len(f) == 7 {
			p.Hub, f = f[0], f[1:]
		}
		if len(f) != 6 {
			return nil, fmt.Errorf("line %q", lines.Text())
		}
		number, err1 := strconv.ParseUint(f[0], 10, 16)
		status, err2 := strconv.ParseUint(f[1], 10, 16)
		devID, err3 := strconv.ParseUint(f[3], 16, 32)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("line %q: %w", lines.Text(), err)
		}
		p.Number, p.Status, p.DevID, p.Local = int(number), int(status), uint32(devID), f[5]
		ports = append(ports, p)
	}
	return ports, lines.Err()
}

// Attach imports the device of that bus id over conn, a TCP or unix stream
// connection to a server, and plugs it into a free port, whose number it
// gives. The kernel then owns the connection: conn is closed here in any case.
//
// The device appears in sysfs some time after Attach returned; its arrival is
// a uevent like any other.
func (v VHCI) Attach(conn net.Conn, busID string) (port int, err error) {
	defer conn.Close() // the kernel holds a reference of its own
	e, err := Import(conn, busID)
	if err != nil {
		return 0, err
	}
	// Between reading the status and writing attach another process may take
	// the port; the kernel then refuses, and the next free one is tried.
	for range 3 {
		if port, err = v.freePort(e.Speed); err != nil {
			return 0, err
		}
		if err = v.attach(conn, port, e); err == nil {
			return port, nil
		}
		if !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.EINVAL) {
			break
		}
	}
	return 0, fmt.Errorf("attaching %s to port %d: %w", busID, port, err)
}

// freePort finds a port of the hub that takes the speed: a super speed device
// has its own.
func (v VHCI) freePort(speed Speed) (int, error) {
	ports, err := v.Ports()
	if err != nil {
		return 0, err
	}
	hub := "hs"
	if speed >= SpeedSuper {
		hub = "ss"
	}
	for _, p := range ports {
		if p.Status == PortFree && (p.Hub == hub || p.Hub == "") {
			return p.Number, nil
		}
	}
	return 0, ErrNoFreePort
}

// attach writes "port sockfd devid speed". The descriptor must be open in this
// process while the kernel looks it up.
func (v VHCI) attach(conn net.Conn, port int, e Exported) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return fmt.Errorf("%T has no socket", conn)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	var werr error
	err = raw.Control(func(fd uintptr) {
		werr = v.write("attach", fmt.Sprintf("%d %d %d %d", port, fd, e.DevID(), e.Speed))
	})
	return errors.Join(err, werr)
}

// Detach unplugs what is attached to the port.
func (v VHCI) Detach(port int) error {
	if err := v.write("detach", strconv.Itoa(port)); err != nil {
		return fmt.Errorf("detaching port %d: %w", port, err)
	}
	return nil
}

// write writes s to a sysfs file in one call, as sysfs wants it.
func (v VHCI) write(name, s string) error {
	f, err := os.OpenFile(v.path(name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(s)
	return errors.Join(err, f.Close())
}

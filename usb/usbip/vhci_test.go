//go:build linux

package usbip

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Status files as kernels write them (drivers/usb/usbip/vhci_sysfs.c, comments
// of status_show and port_show_vhci).
const (
	statusModern = "hub port sta spd dev      sockfd local_busid\n" +
		"hs  0000 006 002 00010003 000007 3-1\n" +
		"hs  0001 004 000 00000000 000000 0-0\n" +
		"ss  0008 004 000 00000000 000000 0-0\n"
	statusOld = "port sta spd dev      socket           local_busid\n" +
		"0000 004 000 00000000 0000000000000000 0-0\n" +
		"0001 006 002 00010003         c5a7bb80 1-2.3\n"
)

func TestParseStatus(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []Port
	}{
		{"modern", statusModern, []Port{
			{"hs", 0, PortUsed, 0x10003, "3-1"}, {"hs", 1, PortFree, 0, "0-0"}, {"ss", 8, PortFree, 0, "0-0"},
		}},
		{"before 4.14", statusOld, []Port{{"", 0, PortFree, 0, "0-0"}, {"", 1, PortUsed, 0x10003, "1-2.3"}}},
		{"empty", "", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := parseStatus([]byte(tc.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	for _, bad := range []string{"\nhs 0000 004\n", "\nhs 00x0 004 000 00000000 000000 0-0\n", "\nhs 0000 004 000 zz 000000 0-0\n"} {
		if _, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

// FuzzStatus: lines that are accepted are within what a port can be.
func FuzzStatus(f *testing.F) {
	f.Add([]byte(statusModern))
	f.Add([]byte(statusOld))
	f.Fuzz(func(t *testing.T, b []byte) {
		ports, err := parseStatus(b)
		if err != nil {
			return
		}
		if len(ports) > strings.Count(string(b), "\n")+1 {
			t.Fatalf("%d ports in %q", len(ports), b)
		}
		// A line rebuilt from what was read is read as the same.
		for _, p := range ports {
			line := fmt.Sprintf("\n%s %04d %03d 000 %08x 000000 %s", p.Hub, p.Number, p.Status, p.DevID, p.Local)
			again, err := parseStatus([]byte(line))
			if err != nil || len(again) != 1 || again[0] != p {
				t.Fatalf("%+v became %+v, %v", p, again, err)
			}
		}
	})
}

// vhci makes a directory that looks like the controller's.
func vhci(t *testing.T, status string) VHCI {
	t.Helper()
	v := VHCI{Dir: t.TempDir()}
	for name, s := range map[string]string{"status": status, "attach": "", "detach": ""} {
		if err := os.WriteFile(v.path(name), []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestAttach(t *testing.T) {
	v := vhci(t, statusModern)
	s := new(Server)
	defer s.Close()
	for range 2 {
		if _, err := s.Add(newFakeDevice()); err != nil {
			t.Fatal(err)
		}
	}
	port, err := v.Attach(connect(t, s), "1-2")
	if err != nil || port != 1 {
		t.Fatalf("Attach: %d, %v", port, err)
	}
	b, err := os.ReadFile(v.path("attach"))
	if err != nil {
		t.Fatal(err)
	}
	var gotPort, fd, devID, speed int
	if _, err := fmt.Sscanf(string(b), "%d %d %d %d", &gotPort, &fd, &devID, &speed); err != nil {
		t.Fatalf("%q: %v", b, err)
	}
	if gotPort != 1 || fd <= 2 || devID != 0x10002 || speed != 2 {
		t.Errorf("attach got %q", b)
	}
	if err := v.Detach(1); err != nil {
		t.Error(err)
	}
	if b, err := os.ReadFile(v.path("detach")); err != nil || string(b) != "1" {
		t.Errorf("detach got %q, %v", b, err)
	}

	if _, err := v.Attach(connect(t, s), "1-7"); err == nil {
		t.Error("a device that is not exported was attached")
	}
	full := vhci(t, strings.ReplaceAll(statusModern, "hs  0001 004", "hs  0001 006"))
	if _, err := full.Attach(connect(t, s), "1-1"); !errors.Is(err, ErrNoFreePort) {
		t.Errorf("no port: %v", err)
	}
	if _, err := (VHCI{Dir: filepath.Join(v.Dir, "none")}).Ports(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no module: %v", err)
	}
	here, there := net.Pipe()
	go s.ServeConn(there)
	if _, err := v.Attach(here, "1-1"); err == nil {
		t.Error("a connection without a socket was attached")
	}
}

// TestSecondController: its ports are in a file of their own.
func TestSecondController(t *testing.T) {
	v := vhci(t, statusModern)
	second := "hub port sta spd dev      sockfd local_busid\nhs  0016 004 000 00000000 000000 0-0\n"
	if err := os.WriteFile(v.path("status.1"), []byte(second), 0o600); err != nil {
		t.Fatal(err)
	}
	ports, err := v.Ports()
	if err != nil || len(ports) != 4 || ports[3].Number != 16 {
		t.Errorf("got %+v, %v", ports, err)
	}
}

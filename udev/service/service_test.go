// Package service_test reads the files that start kaztoken serve with a machine.
package service_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kaztoken/udev"
)

// unit is the assignments of a unit file, by section and key, in their order.
type unit map[string]map[string][]string

func readUnit(t *testing.T, name string) unit {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	u := make(unit)
	section := ""
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case line == "", line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
			if u[section] != nil {
				t.Errorf("%s:%d: section %s again", name, i+1, section)
			}
			u[section] = make(map[string][]string)
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("%s:%d: %q is no assignment", name, i+1, line)
			}
			u[section][key] = append(u[section][key], value)
		}
	}
	return u
}

func (u unit) want(t *testing.T, section string, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if got, ok := u[section][key]; !ok || strings.Join(got, "|") != value {
			t.Errorf("[%s] %s = %q, want %q", section, key, got, value)
		}
	}
}

func TestSocket(t *testing.T) {
	u := readUnit(t, "kaztoken.socket")
	u.want(t, "Unit", map[string]string{"Conflicts": "pcscd.socket pcscd.service"})
	u.want(t, "Socket", map[string]string{
		"ListenStream": "/run/pcscd/pcscd.comm", "SocketMode": "0666", "DirectoryMode": "0755", "Backlog": "128",
	})
	u.want(t, "Install", map[string]string{"WantedBy": "sockets.target"})
}

// TestHardened holds what the service gives up.
func TestHardened(t *testing.T) {
	u := readUnit(t, "kaztoken.service")
	u.want(t, "Unit", map[string]string{"Requires": "kaztoken.socket", "Conflicts": "pcscd.socket pcscd.service"})
	u.want(t, "Service", map[string]string{
		"Type": "notify", "NotifyAccess": "main",
		"User": "kaztoken", "Group": udev.Group,
		"RuntimeDirectory": "pcscd", "RuntimeDirectoryMode": "0755", "RuntimeDirectoryPreserve": "yes",
		"CapabilityBoundingSet": "", "AmbientCapabilities": "", "NoNewPrivileges": "yes",
		"DevicePolicy": "closed", "DeviceAllow": "char-usb_device rw",
		"RestrictAddressFamilies": "AF_UNIX AF_NETLINK", "IPAddressDeny": "any",
		"SystemCallFilter": "@system-service|~@privileged @resources", "SystemCallArchitectures": "native",
		"ProtectSystem": "strict", "ProtectHome": "yes", "ProtectHostname": "yes", "ProtectClock": "yes", "ProtectControlGroups": "yes",
		"ProtectKernelLogs": "yes", "ProtectKernelModules": "yes", "ProtectKernelTunables": "yes", "ProcSubset": "pid",
		"PrivateTmp": "yes", "PrivateIPC": "yes", "KeyringMode": "private", "RemoveIPC": "yes",
		"LockPersonality": "yes", "MemoryDenyWriteExecute": "yes",
		"RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "UMask": "0077",
	})
	// Each of these would break the service: it needs the devices, the machine's
	// own netlink, and the true uid and program of its clients.
	for _, key := range []string{"PrivateDevices", "PrivateNetwork", "PrivateUsers", "ProtectProc", "DynamicUser"} {
		if got, ok := u["Service"][key]; ok {
			t.Errorf("[Service] %s = %q, want none", key, got)
		}
	}
	if got := u["Service"]["ExecStart"]; len(got) != 1 || !strings.HasPrefix(got[0], "/usr/bin/kaztoken serve") {
		t.Errorf("ExecStart = %q", got)
	}
}

// TestAnalyze lets systemd's own tool look, where there is one.
func TestAnalyze(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is not on this machine: the units were read by the other tests only")
		return
	}
	dir := t.TempDir()
	for _, name := range []string{"kaztoken.socket", "kaztoken.service"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// The tool wants the program to be there.
		text = bytes.ReplaceAll(text, []byte("/usr/bin/kaztoken"), []byte(os.Args[0]))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	service := filepath.Join(dir, "kaztoken.service")
	for _, args := range [][]string{
		{"verify", filepath.Join(dir, "kaztoken.socket"), service},
		// An exposure of 1.5 of 10 at the most.
		{"security", "--offline=true", "--threshold=15", "--no-pager", service},
	} {
		cmd := exec.Command(tool, args...)
		cmd.Env = append(os.Environ(), "SYSTEMD_OFFLINE=1", "SYSTEMD_COLORS=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
		if args[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze verify: %s", out)
		}
	}
}

// TestScripts has the shell read the scripts without running them.
func TestScripts(t *testing.T) {
	for _, name := range []string{"kaztoken.openrc", "kaztoken.procd", "kaztoken.hotplug"} {
		if out, err := exec.Command("sh", "-n", name).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestSystemUser compares what makes user and directory with what uses them.
func TestSystemUser(t *testing.T) {
	for name, line := range map[string]string{
		"kaztoken.sysusers": `u kaztoken - "KAZTOKEN smart-card service" / -`,
		"kaztoken.tmpfiles": "d /run/pcscd 0755 kaztoken " + udev.Group + " -",
		"kaztoken.openrc":   `command_user="kaztoken:` + udev.Group + `"`,
		"kaztoken.procd":    "\tprocd_set_param group " + udev.Group,
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains("\n"+string(text), "\n"+line+"\n") {
			t.Errorf("%s lacks the line %q", name, line)
		}
	}
}

// hotplug runs the script for OpenWrt with the variables of a kernel's report
// and gives what it does.
func hotplug(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", `chgrp() { echo chgrp "$@"; }; chmod() { echo chmod "$@"; }; . ./kaztoken.hotplug`)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestHotplug(t *testing.T) {
	const given = "chgrp kaztoken /dev/bus/usb/001/004\nchmod 0660 /dev/bus/usb/001/004\n"
	device := func(product string, more ...string) []string {
		return append([]string{"ACTION=add", "DEVTYPE=usb_device", "DEVNAME=bus/usb/001/004", "PRODUCT=" + product}, more...)
	}
	for name, c := range map[string]struct {
		env  []string
		want string
	}{
		"token":             {device("a89/35/100"), given},
		"token leaves":      {device("a89/35/100", "ACTION=remove"), ""},
		"another maker":     {device("1234/35/100"), ""},
		"longer product":    {device("a89/350/100"), ""},
		"keyboard":          {[]string{"ACTION=add", "DEVTYPE=usb_interface", "INTERFACE=3/1/1"}, ""},
		"reader of no node": {[]string{"ACTION=add", "DEVTYPE=usb_interface", "INTERFACE=11/0/1x"}, ""},
	} {
		if got := hotplug(t, c.env...); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	// A reader's node is that of the device above the interface.
	sys := t.TempDir()
	if err := os.MkdirAll(filepath.Join(sys, "1-1", "1-1:1.0"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(sys, "1-1", "uevent"), []byte("MAJOR=189\nDEVNAME=bus/usb/001/004\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rel, err := filepath.Rel("/sys", filepath.Join(sys, "1-1", "1-1:1.0"))
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range []string{"11/0/0", "11/0/1", "11/0/2"} {
		if got := hotplug(t, "ACTION=add", "DEVTYPE=usb_interface", "INTERFACE="+class, "DEVPATH=/"+rel); got != given {
			t.Errorf("reader of class %s: %q, want %q", class, got, given)
		}
	}
}

// TestHotplugTable compares the script with the one table of devices.
func TestHotplugTable(t *testing.T) {
	text, err := os.ReadFile("kaztoken.hotplug")
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\b([0-9a-f]+/[0-9a-f]+)/\*`).FindAllStringSubmatch(string(text), -1) {
		got[m[1]] = true
	}
	const vendor = 0x0a89
	for product := range 1 << 16 {
		id := fmt.Sprintf("%x/%x", vendor, product)
		if _, known := udev.Lookup(vendor, uint16(product)); known != got[id] {
			t.Errorf("device %s: in the table %v, in the script %v", id, known, got[id])
		}
		delete(got, id)
	}
	for id := range got {
		t.Errorf("device %s is in the script and in no table", id)
	}
}

//go:build e2e && linux

package guest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// libraries are the libpcsclite of Debian's releases, by the protocol that each
// speaks. The later ones, and the C library that they need, lie in the share, if
// the host could get them.
var libraries = []struct{ release, protocol string }{{"", "4:4"}, {"trixie", "4:5"}, {"sid", "4:6"}}

// with makes a command run with the libraries of a release, "" for the machine's.
func with(t *testing.T, release string, command ...string) []string {
	t.Helper()
	if release == "" {
		return command
	}
	dir := filepath.Join("newer", release)
	if _, err := os.Stat(filepath.Join(dir, "libpcsclite.so.1")); err != nil {
		t.Skipf("no libpcsclite of %s: %v", release, err)
	}
	return append([]string{filepath.Join(dir, "ld-linux-x86-64.so.2"), "--library-path", dir}, command...)
}

// TestServiceNewer has programs of this machine use the service with later
// libraries below them, and wants them to see what they see with their own.
func TestServiceNewer(t *testing.T) {
	oneCPU(t)
	told := make(map[string]map[string]string)
	for _, l := range libraries {
		t.Run("protocol "+l.protocol, func(t *testing.T) {
			told[l.protocol] = newerStory(t, l.release, l.protocol)
			t.Logf("%d programs", len(told[l.protocol]))
			if diff := cmp.Diff(told[libraries[0].protocol], told[l.protocol]); diff != "" {
				t.Errorf("with the machine's own library (-) and with that of %s (+):\n%s", l.release, diff)
			}
		})
	}
}

// newerStory is what programs print, by their names.
func newerStory(t *testing.T, release, protocol string) map[string]string {
	t.Helper()
	_, stop := ourStack.start(t)
	defer stop()
	k := newToken(t, ourStack.profile)
	told := make(map[string]string)

	command := slices.Concat([]string{"-o0"}, with(t, release, "/usr/bin/pcsc_scan", "-n"))
	scan := startDialogue(t, "stdbuf", command...)
	scan.until(t, "first reader")
	for range 2 {
		k.plug(t)
		scan.until(t, "Card inserted")
		k.unplug(t)
		scan.until(t, "first reader")
		k.vanish(t)
	}
	var status struct {
		Clients []struct {
			PID     int
			Version string
		}
	}
	program{path: "./kaztoken"}.json(t, &status, "status")
	if len(status.Clients) != 1 || status.Clients[0].PID != scan.cmd.Process.Pid || status.Clients[0].Version != protocol {
		t.Errorf("pcsc_scan (pid %d): clients %+v, want it to speak %s", scan.cmd.Process.Pid, status.Clients, protocol)
	}
	scan.end()
	told["pcsc_scan"] = mask(scan.said[:scan.read])

	told["python"] = pyscard(t, k, with(t, release, "/usr/bin/python3", "pyscardclient.py")...)

	var r transcript
	command = with(t, release, "/usr/bin/opensc-tool", "-l", "-a")
	r.tool(t, "", command[0], command[1:]...)
	told["opensc-tool"] = r.texts[r.names[0]]
	return told
}

//go:build e2e && linux

package guest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/udev"
)

// pcscdPath is where a package looks for pcscd.
const pcscdPath = "/usr/sbin/pcscd"

// etc lists what is in /etc, units apart, and who there is.
func etc(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("find", "/etc", "-xdev", "-not", "-path", "/etc/systemd/system/*").Output()
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, name := range []string{"/etc/passwd", "/etc/group"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			list = append(list, name+": "+strings.TrimSpace(line))
		}
	}
	slices.Sort(list)
	return list
}

// without gives what is in a list and not in another. Backups of the user data base
// do not count.
func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool {
		_, found := slices.BinarySearch(other, s)
		return found || strings.HasSuffix(s, "-") || strings.HasPrefix(s, "/etc/.pwd.lock")
	})
}

// Builds of the packages in the share.
const previousDebs, latestDebs = "previous", "packages"

// debs is the path of a package of a build.
func debs(t *testing.T, build, name string) string {
	t.Helper()
	found, err := filepath.Glob(build + "/dist/" + name + "_*_amd64.deb")
	if err != nil || len(found) != 1 {
		t.Fatalf("packages of %s: %q, %v", name, found, err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newDpkg gives a dpkg inside that has to succeed. The machine's pcscd is unpacked and
// not installed, so dpkg does not know of it; and it gets a data base of its own, which
// is empty, since it reads the whole of the host's.
func newDpkg(t *testing.T, b *booted) func(args ...string) string {
	t.Helper()
	const database = "/var/lib/dpkg-of-the-test"
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(filepath.Join(database, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(database, "status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return func(args ...string) string {
		t.Helper()
		return b.must(t, append([]string{"dpkg", "--admindir=" + database, "--force-depends"}, args...)...)
	}
}

// TestPackages installs the .deb files on a machine without pcscd and on one with it.
// In both a stock program of an ordinary user sees a token within five seconds of its
// being plugged in; an upgrade from an earlier build keeps what the administrator chose
// and puts a service that runs in its place; removal leaves the settings and nothing else.
func TestPackages(t *testing.T) {
	before := etc(t)
	b := boot(t)
	dpkg := newDpkg(t, b)
	enabled := func(unit string) bool {
		out, _ := b.run(t, "systemctl", "is-enabled", unit)
		return strings.TrimSpace(out) == "enabled"
	}
	k := newToken(t, ccidsim.KAZTOKEN)
	sees := func(arrangement string, list ...string) {
		t.Helper()
		k.plug(t)
		from := time.Now()
		await(t, arrangement+": a program to see the token", func() (string, bool) {
			out, _ := b.run(t, list...)
			return out, strings.Contains(out, "KAZTOKEN 00 00")
		})
		t.Logf("%s: %s shows the token %v after it was plugged in", arrangement, list[len(list)-2], time.Since(from).Round(10*time.Millisecond))
		if d := time.Since(from); d > 5*time.Second {
			t.Errorf("%s: that took %v", arrangement, d)
		}
		k.unplug(t)
		k.vanish(t)
	}

	// Without pcscd the service is the way, from the first installation on.
	if err := os.Rename(pcscdPath, pcscdPath+".away"); err != nil {
		t.Fatal(err)
	}
	dpkg("-i", debs(t, previousDebs, "kaztoken"), debs(t, previousDebs, "kaztoken-pkcs11"))
	old := b.must(t, "kaztoken", "version")
	udevadm(t, "control", "--reload") // dpkg runs where no udevd is
	if !enabled(socketUnit) {
		t.Errorf("%s is not enabled after the installation", socketUnit)
	}
	const settings = "/etc/kaztoken/config.toml"
	err := errors.Join(os.MkdirAll(filepath.Dir(settings), 0o755), os.WriteFile(settings, []byte("[service]\nreaders = \"kaztoken\"\n"), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	user := as(1234, udev.Group, "opensc-tool", "-l")
	sees("without pcscd", user...)

	// An upgrade keeps the administrator's choice, whichever it was.
	b.must(t, user...) // the service runs now, for a minute
	was := b.unit(t, serviceUnit, "ActiveState", "MainPID")
	dpkg("-i", debs(t, latestDebs, "kaztoken"), debs(t, latestDebs, "kaztoken-pkcs11"))
	is := b.unit(t, serviceUnit, "ActiveState", "MainPID")
	if was["ActiveState"] != "active" || is["ActiveState"] != "active" || was["MainPID"] == is["MainPID"] {
		t.Errorf("a service that runs is %v before an upgrade and %v after it", was, is)
	}
	if !enabled(socketUnit) {
		t.Errorf("%s is not enabled after an upgrade", socketUnit)
	}
	if now := b.must(t, "kaztoken", "version"); now == old {
		t.Errorf("after an upgrade it is still %s", now)
	}
	b.must(t, "systemctl", "disable", "--now", socketUnit, serviceUnit)
	dpkg("-i", debs(t, previousDebs, "kaztoken"))
	dpkg("-i", debs(t, latestDebs, "kaztoken"))
	for _, unit := range []string{socketUnit, serviceUnit} {
		if state := b.unit(t, unit, "ActiveState")["ActiveState"]; state != "inactive" || enabled(unit) {
			t.Errorf("%s was disabled, and is %s after an upgrade, enabled: %v", unit, state, enabled(unit))
		}
	}
	if _, err := os.Stat(settings); err != nil {
		t.Errorf("after an upgrade: %v", err)
	}
	b.must(t, "systemctl", "enable", "--now", socketUnit)

	// With pcscd its driver is the way, and the service steps back.
	if err := os.Rename(pcscdPath+".away", pcscdPath); err != nil {
		t.Fatal(err)
	}
	dpkg("-i", debs(t, previousDebs, "kaztoken-pcscd"))
	dpkg("-i", debs(t, latestDebs, "kaztoken-pcscd"))
	if enabled(socketUnit) {
		t.Errorf("%s is enabled beside pcscd", socketUnit)
	}
	// Whose socket is everybody's.
	sees("with pcscd", as(1235, "nogroup", "opensc-tool", "-l")...)
	b.must(t, "systemctl", "stop", "pcscd.service", "pcscd.socket")

	all := []string{"kaztoken-pcscd", "kaztoken-pkcs11", "kaztoken"}
	installed := strings.Fields(dpkg(append([]string{"-L"}, all...)...))
	dpkg(append([]string{"--purge"}, all...)...)
	udevadm(t, "control", "--reload")
	files := 0
	for _, path := range installed {
		if !strings.Contains(filepath.Base(path), "kaztoken") {
			continue // a folder of everybody
		}
		files++
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	if files < 20 {
		t.Errorf("only %d files were installed: %q", files, installed)
	}
	after := etc(t)
	if left := without(after, before); !slices.Equal(left, []string{"/etc/kaztoken", settings}) {
		t.Errorf("left behind: %q", left)
	}
	if gone := without(before, after); len(gone) > 0 {
		t.Errorf("taken away with it: %q", gone)
	}
	if err := os.RemoveAll(filepath.Dir(settings)); err != nil {
		t.Error(err)
	}
}

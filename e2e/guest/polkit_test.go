//go:build e2e && linux

package guest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/e2e/vm"
	"kaztoken/udev"
)

// polkitPCSCD is where the share has Debian 13's pcscd and libpcsclite, with the
// libraries that they need. Unlike that of the machine this pcscd asks polkit whom to
// serve.
const polkitPCSCD = vm.GuestShare + "/polkit"

// atScreen is what logind is told of a session, without what else a log-in does on
// a system.
const atScreen = "account required pam_permit.so\nsession required pam_systemd.so type=tty class=user\n"

// TestPolkit has Debian 13's pcscd, under its own unit, load the driver of the
// packages and ask polkit by its own policy. Who has a session at the machine's
// screen sees a token within five seconds of its being plugged in; who has none is
// refused, is told so by doctor, and gets in by the rule that the package brings as an
// example.
func TestPolkit(t *testing.T) {
	const service, action = "pcscd.service", "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"
	unit, err := os.ReadFile(polkitPCSCD + "/lib/systemd/system/" + service)
	if err != nil {
		t.Fatal(err)
	}
	libraries := polkitPCSCD + "/lib/x86_64-linux-gnu"
	newer := libraries + "/ld-linux-x86-64.so.2 --library-path " + libraries + " "
	started := strings.Replace(string(unit), "ExecStart=/usr", "ExecStart="+newer+polkitPCSCD, 1)
	list := newer + "/usr/bin/opensc-tool -l"
	policy, err := os.ReadFile(polkitPCSCD + "/share/polkit-1/actions/" + filepath.Base(action))
	if err != nil {
		t.Fatal(err)
	}
	const rule, pam = "/etc/polkit-1/rules.d/60-kaztoken.rules", "/etc/pam.d/at-screen"
	for path, content := range map[string]string{filepath.Join(unitDir, service): started, action: string(policy), pam: atScreen} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Remove(path) })
	}
	const here, afar = "asel", "daulet"
	users := [][]string{{"useradd", here}, {"useradd", afar}}
	for _, system := range []string{"messagebus", "polkitd"} { // made where their packages are installed
		if exec.Command("id", system).Run() != nil {
			users = append(users, []string{"useradd", "--system", system})
		}
	}
	for _, add := range users {
		if out, err := exec.Command(add[0], add[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", add, err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("userdel", add[len(add)-1]).CombinedOutput(); err != nil {
				t.Errorf("userdel %s: %v: %s", add[len(add)-1], err, out)
			}
		})
	}
	b := boot(t)
	if err := os.Remove(filepath.Join(unitDir, "dbus.socket")); err != nil { // the next boot masks it again
		t.Fatal(err)
	}
	b.must(t, "systemctl", "mask", "--runtime", "user@.service") // a session needs none
	b.must(t, "systemctl", "daemon-reload")
	b.must(t, "systemctl", "start", "dbus.socket", "systemd-logind.service", "polkit.service")

	dpkg := newDpkg(t, b)
	dpkg("-i", debs(t, latestDebs, "kaztoken"), debs(t, latestDebs, "kaztoken-pcscd"))
	t.Cleanup(func() {
		dpkg("--purge", "kaztoken-pcscd", "kaztoken")
		udevadm(t, "control", "--reload")
	})
	udevadm(t, "control", "--reload")
	b.must(t, "systemctl", "start", "pcscd.socket")
	k := newToken(t, ccidsim.KAZTOKEN)

	// At the screen: a session of seat0's first terminal, which is the active one.
	session := b.command("systemd-run", "--quiet", "--wait", "--pipe", "--property=User="+here, "--property=PAMName="+filepath.Base(pam),
		"--property=TTYPath=/dev/tty1", "sh", "-c", `loginctl show-session "$XDG_SESSION_ID" -p Name -p Seat -p Remote -p Active -p State
echo looking
timeout 60 sh -c 'until `+list+` | grep "KAZTOKEN 00 00"; do sleep 0.1; done'
exec timeout 300 cat`)
	screen := startDialogue(t, session.Path, session.Args[1:]...)
	screen.until(t, "looking")
	t.Logf("session: %q", strings.Fields(screen.said))
	if !strings.Contains(screen.said, "Active=yes") || !strings.Contains(screen.said, "Seat=seat0") {
		t.Fatalf("the session is not active at the screen: %s", screen.said)
	}
	t.Cleanup(func() {
		if t.Failed() {
			journal, _ := b.run(t, "journalctl", "--no-pager", "-o", "short-monotonic", "-u", service, "-n", "60")
			t.Logf("%s", journal)
		}
	})
	k.plug(t)
	from := time.Now()
	screen.until(t, "KAZTOKEN 00 00")
	took := time.Since(from)
	t.Logf("at the screen: opensc-tool shows the token %v after it was plugged in", took.Round(10*time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("at the screen: that took %v", took)
	}

	// From afar, while the other one is at the screen.
	user := func(command ...string) (string, error) {
		return b.run(t, append([]string{"setpriv", "--reuid=" + afar, "--regid=" + afar, "--init-groups"}, command...)...)
	}
	finds := func(want string) {
		t.Helper()
		out, _ := user("kaztoken", "--json", "doctor") // the exit code says it, too
		var got struct {
			Finding *struct{ ID, Text, Todo string }
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v in %q", err, out)
		}
		found := ""
		if got.Finding != nil {
			found = got.Finding.ID
			t.Logf("doctor: %s: %s", got.Finding.Text, got.Finding.Todo)
		}
		if found != want {
			t.Errorf("doctor finds %q, want %q", found, want)
		}
	}
	out, err := user(strings.Fields(list)...)
	t.Logf("from afar: %v: %s", err, out)
	if strings.Contains(out, "KAZTOKEN") {
		t.Error("a user without a session sees the token")
	}
	finds("service.refused")

	b.must(t, "cp", "/usr/share/doc/kaztoken-pcscd/examples/"+filepath.Base(rule), rule)
	t.Cleanup(func() { os.Remove(rule) })
	out, _ = user(strings.Fields(list)...)
	if strings.Contains(out, "KAZTOKEN") {
		t.Error("the rule lets in who is not in the group")
	}
	b.must(t, "usermod", "--append", "--groups", udev.Group, afar)
	from = time.Now()
	await(t, "the rule to let a member of the group in", func() (string, bool) {
		out, _ := user(strings.Fields(list)...)
		return out, strings.Contains(out, "KAZTOKEN 00 00")
	})
	t.Logf("by the rule: opensc-tool shows the token %v after the user joined the group", time.Since(from).Round(10*time.Millisecond))
	finds("")
	screen.end()
	b.must(t, "systemctl", "stop", service, "pcscd.socket")
	k.unplug(t)
	k.vanish(t)
}

//go:build e2e && linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/e2e/vm"
	"kaztoken/udev"
)

// bootScript is what runs before systemd, in namespaces of processes, mounts and
// control groups of its own: it is process 1 there, as after a boot.
const bootScript = `set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /run/lock
exec env -i container=e2e PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --system --unit=booted.target --log-target=journal --show-status=0`

// bootedTarget is all that is started: the beginning of every boot.
const bootedTarget = `[Unit]
Requires=sysinit.target
After=sysinit.target
`

// notBooted are units of the beginning that have nothing to do here: the machine
// has its udevd, mounts and settings already.
var notBooted = []string{
	"dbus.socket", "dev-hugepages.mount", "dev-mqueue.mount", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount",
	"sys-kernel-config.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-binfmt.service", "systemd-modules-load.service",
	"systemd-journal-flush.service", "systemd-random-seed.service", "systemd-resolved.service", "systemd-sysctl.service", "systemd-timesyncd.service",
	"systemd-tmpfiles-setup-dev.service", "systemd-update-utmp.service", "systemd-udev-trigger.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udevd.service",
}

// bootLimit bounds the time that systemd needs in a machine that is translated.
const bootLimit = 2 * time.Minute

const unitDir = "/etc/systemd/system"

// A booted is a systemd that runs as process 1 of its own namespaces.
type booted struct {
	pid string // outside
}

// boot starts a systemd.
func boot(t *testing.T) *booted {
	t.Helper()
	err := errors.Join(os.MkdirAll(unitDir, 0o755), os.WriteFile(filepath.Join(unitDir, "booted.target"), []byte(bootedTarget), 0o644))
	for _, unit := range notBooted {
		if e := os.Symlink("/dev/null", filepath.Join(unitDir, unit)); !errors.Is(e, os.ErrExist) {
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--fork", "--kill-child", "--pid", "--mount", "--cgroup", "--uts", "sh", "-c", bootScript)
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	b := &booted{pid: await(t, "the first process", func() (string, bool) {
		path := fmt.Sprintf("/proc/%d/task/%[1]d/children", cmd.Process.Pid)
		children, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		pid := strings.TrimSpace(string(children))
		return pid, pid != ""
	})}
	awaitWithin(t, bootLimit, "systemd to be up", func() (string, bool) {
		out, err := b.command("systemctl", "is-active", "booted.target").Output()
		return string(out), err == nil
	})
	return b
}

// command prepares a command inside.
func (b *booted) command(command ...string) *exec.Cmd {
	return exec.Command("nsenter", append([]string{"--target", b.pid, "--mount", "--pid", "--cgroup", "--uts", "--"}, command...)...)
}

// run runs a command inside and returns what it printed.
func (b *booted) run(t *testing.T, command ...string) (string, error) {
	t.Helper()
	cmd := b.command(command...)
	killed := time.AfterFunc(stockLimit, func() { cmd.Process.Kill() })
	defer killed.Stop()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run of a command that has to succeed.
func (b *booted) must(t *testing.T, command ...string) string {
	t.Helper()
	out, err := b.run(t, command...)
	if err != nil {
		journal, _ := b.run(t, "journalctl", "--no-pager", "-o", "short-monotonic", "-n", "60")
		t.Fatalf("%v: %v: %s\n%s", command, err, out, journal)
	}
	return out
}

// as is a command of an ordinary user in a group.
func as(user int, group string, command ...string) []string {
	return append([]string{"setpriv", fmt.Sprintf("--reuid=%d", user), "--regid=" + group, "--clear-groups"}, command...)
}

// wait has a program of a user wait for the token to go. It ends with its input.
func (b *booted) wait(t *testing.T, as ...string) *dialogue {
	t.Helper()
	command := b.command(append(as, vm.GuestShare+"/waitclient", "state", ccidsim.KAZTOKEN.ProductName)...)
	d := startDialogue(t, command.Path, command.Args[1:]...)
	d.until(t, "card ")
	return d
}

// unit asks for properties of a unit.
func (b *booted) unit(t *testing.T, unit string, properties ...string) map[string]string {
	t.Helper()
	values := make(map[string]string)
	for line := range strings.Lines(b.must(t, "systemctl", "show", unit, "-p", strings.Join(properties, ","))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	return values
}

// becomes waits until a unit is in a state.
func (b *booted) becomes(t *testing.T, unit, state string) {
	t.Helper()
	await(t, unit+" to be "+state, func() (string, bool) {
		got := b.unit(t, unit, "ActiveState")["ActiveState"]
		return got, got == state
	})
}

// idleExit replaces the minute that the unit gives: it is too long for a test.
const idleExit = `[Service]
ExecStart=
ExecStart=/usr/local/bin/kaztoken serve --idle-exit 2s --log-level info --usb-driver %s
`

const (
	serviceUnit = "kaztoken.service"
	socketUnit  = "kaztoken.socket"
)

// TestSystemd installs the program as `make install` does and runs its units under
// systemd: started by the first program that asks, out of reach of who may not,
// reloaded, left alone, started again, and stopped while somebody waits.
func TestSystemd(t *testing.T) {
	if out, err := exec.Command("cp", "-a", "installed/.", "/").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	drop := filepath.Join(unitDir, serviceUnit+".d")
	choose := func(driver string) {
		err := errors.Join(os.MkdirAll(drop, 0o755),
			os.WriteFile(filepath.Join(drop, "test.conf"), fmt.Appendf(nil, idleExit, driver), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	choose(drivers[0].name)
	b := boot(t)
	b.must(t, "systemctl", "enable", "--now", socketUnit)
	udevadm(t, "control", "--reload") // the group is there now
	t.Cleanup(func() {
		if err := os.Remove("/usr/lib/udev/rules.d/" + udev.RulesFile); err != nil {
			t.Error(err)
		}
		udevadm(t, "control", "--reload")
	})
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	k.appear(t)
	udevadm(t, "settle")
	if state := b.unit(t, serviceUnit, "ActiveState", "Result"); state["ActiveState"] != "inactive" {
		t.Errorf("before anybody asks: %v", state)
	}

	const user, stranger = 1234, "nogroup"
	list := as(user, udev.Group, "opensc-tool", "-l", "-a")
	var waiter *dialogue
	for i, d := range drivers {
		if i > 0 {
			choose(d.name)
			b.must(t, "systemctl", "daemon-reload")
		}
		if out := b.must(t, list...); !strings.Contains(out, "KAZTOKEN 00 00") || !strings.Contains(out, "3b:88:01:4b") {
			t.Errorf("%s: opensc-tool: %s", d.name, out)
		}
		waiter = b.wait(t, as(user, udev.Group)...) // it may not leave meanwhile
		b.checkConfined(t, d.name)
		if out, _ := b.run(t, as(user+1, stranger, "opensc-tool", "-l")...); strings.Contains(out, "KAZTOKEN") {
			t.Errorf("%s: a stranger sees %s", d.name, out)
		}
		before := b.unit(t, serviceUnit, "MainPID")["MainPID"]
		b.must(t, "systemctl", "reload", serviceUnit)
		if after := b.unit(t, serviceUnit, "MainPID", "ActiveState"); after["MainPID"] != before || after["ActiveState"] != "active" {
			t.Errorf("%s: after a reload: %v, was process %s", d.name, after, before)
		}
		waiter.end()
		b.becomes(t, serviceUnit, "inactive") // nobody uses it
		if state := b.unit(t, serviceUnit, "Result")["Result"]; state != "success" {
			t.Errorf("%s: left with %s", d.name, state)
		}
		if state := b.unit(t, socketUnit, "ActiveState")["ActiveState"]; state != "active" {
			t.Errorf("%s: the socket is %s", d.name, state)
		}
	}

	// A program that waits is told of the end.
	waiter = b.wait(t, as(user, udev.Group)...)
	b.must(t, "systemctl", "stop", socketUnit, serviceUnit)
	killed := time.AfterFunc(answerLimit, func() {
		t.Error("a program that waited was not told of the end")
		waiter.end()
	})
	for range waiter.chunks { // it ends by itself, with an error
	}
	killed.Stop()
	if state := b.unit(t, serviceUnit, "ActiveState", "Result"); state["ActiveState"] != "inactive" || state["Result"] != "success" {
		t.Errorf("stopped: %v", state)
	}

	journal := b.must(t, "journalctl", "--no-pager", "-o", "cat", "-u", serviceUnit)
	t.Logf("journal:\n%s", journal)
	for _, want := range []string{"reader arrived", "settings taken over", "nobody uses the service", "service: refused", "Stopped"} {
		if !strings.Contains(journal, want) {
			t.Errorf("the journal has no %q", want)
		}
	}
	for line := range strings.Lines(journal) {
		if strings.Contains(line, "level=error") || strings.Contains(line, "level=warning") || strings.Contains(line, "Failed") {
			t.Errorf("the journal has %s", line)
		}
	}
}

// checkConfined looks at the process of the service: it is ready, it is no one's
// superior, and the confinement of the unit is in force.
func (b *booted) checkConfined(t *testing.T, driver string) {
	t.Helper()
	unit := b.unit(t, serviceUnit, "ActiveState", "SubState", "MainPID", "StatusText")
	t.Logf("%s: %v", driver, unit)
	if unit["ActiveState"] != "active" || unit["SubState"] != "running" {
		t.Errorf("%s: %v, want it to have said that it is ready", driver, unit)
	}
	pid := unit["MainPID"]
	status := make(map[string]string)
	for line := range strings.Lines(b.must(t, "cat", "/proc/"+pid+"/status")) {
		name, value, _ := strings.Cut(line, ":")
		status[name] = strings.Join(strings.Fields(value), " ")
	}
	uid := strings.TrimSpace(b.must(t, "id", "-u", udev.Group))
	if n, err := strconv.Atoi(uid); err != nil || n == 0 {
		t.Errorf("the service's user is %q", uid)
	}
	for name, want := range map[string]string{
		"Uid": strings.Join([]string{uid, uid, uid, uid}, " "), "CapEff": "0000000000000000", "CapBnd": "0000000000000000",
		"NoNewPrivs": "1", "Seccomp": "2",
	} {
		if status[name] != want {
			t.Errorf("%s: %s of the process is %q, want %q", driver, name, status[name], want)
		}
	}
}

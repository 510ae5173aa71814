//go:build e2e && linux

package guest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/udev"
)

// Exit codes of doctor, as its help lists them.
const (
	exitGood       = 0
	exitOther      = 1
	exitPIN        = 4
	exitNotAllowed = 6
)

// doctor is the program run to find out what is wrong.
type doctor struct{ program }

// finds wants a diagnosis with its exit code; "" is that all is good.
func (d doctor) finds(t *testing.T, id string, exit int) {
	t.Helper()
	stdout, stderr, code := d.run(t, "", "--json", "doctor")
	var got struct {
		Finding *struct{ ID, Text, Todo string }
	}
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v in %q: %s", err, stdout, stderr)
	}
	found := ""
	if got.Finding != nil {
		found = got.Finding.ID
		t.Logf("%s: %s", id, got.Finding.Text)
	}
	if found != id || code != exit {
		t.Errorf("found %q, exit code %d; want %q, %d: %+v", found, code, id, exit, got.Finding)
	}
}

// TestDoctor makes one thing after the other go wrong, and each time has doctor
// say what it is. Between them the machine is well, and it says that, too.
func TestDoctor(t *testing.T) {
	all := program{path: "./kaztoken"}
	root, member, stranger := doctor{all}, doctor{all.as(usersGroup)}, doctor{all.as()}
	k := newToken(t, ccidsim.KAZTOKEN)
	root.finds(t, "bus.missing", exitNoToken)
	k.plug(t)
	dev, _ := k.appear(t)
	udevadm(t, "settle")

	rules := func(name, content string) (remove func()) {
		path := filepath.Join("/etc/udev/rules.d", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
		remove = func() { os.Remove(path) }
		t.Cleanup(remove)
		return remove
	}
	applied := func() {
		udevadm(t, "control", "--reload")
		udevadm(t, "trigger", "--subsystem-match=usb")
		udevadm(t, "settle")
	}
	member.finds(t, "rule.missing", exitOutOfReach)
	remove := rules(udev.RulesFile, "")
	member.finds(t, "rule.masked", exitOutOfReach)
	remove()
	content, err := os.ReadFile(udev.RulesFile)
	if err != nil {
		t.Fatal(err)
	}
	rules(udev.RulesFile, string(content))
	member.finds(t, "rule.notapplied", exitOutOfReach)
	installRules(t) // the group as well
	udevadm(t, "settle")
	stranger.finds(t, "rule.group", exitOutOfReach)
	member.finds(t, "", exitGood)
	remove = rules("99-other.rules", `SUBSYSTEM=="usb", ATTR{idVendor}=="0a89", MODE="0600", GROUP="root"`+"\n")
	applied()
	member.finds(t, "rule.other", exitOutOfReach)
	remove()
	applied()
	member.finds(t, "", exitGood)

	authorized := filepath.Join("/sys/bus/usb/devices", dev.Port, "authorized")
	write(t, authorized, "0")
	member.finds(t, "bus.unauthorized", exitNoToken)
	write(t, authorized, "1")
	await(t, "the kernel to configure the token", func() (struct{}, bool) {
		dev, ok := k.find(t)
		return struct{}{}, ok && dev.Configuration != 0
	})
	udevadm(t, "settle")

	holder := startDialogue(t, "./kaztoken", "--backend", "usb", "apdu")
	fmt.Fprintln(holder.in, "80EC410103")
	holder.until(t, "9000")
	root.finds(t, "holder.program", exitOutOfReach)
	member.finds(t, "holder.unknown", exitOutOfReach)
	holder.end()
	member.finds(t, "", exitGood)

	doctorServices(t, root, member)
	doctorCards(t, root, k)
}

// doctorServices has the smart-card service in every bad state.
func doctorServices(t *testing.T, root, member doctor) {
	const unit = "/usr/lib/systemd/system/kaztoken.socket"
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, unit, "[Socket]\n")
	member.finds(t, "service.down", exitOutOfReach)
	if err := os.Remove(unit); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(host.DefaultSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	dead, err := net.Listen("unix", host.DefaultSocket)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if err := os.Chmod(host.DefaultSocket, 0o666); err != nil {
		t.Fatal(err)
	}
	member.finds(t, "service.down", exitOutOfReach)

	_, stop := ourStack.start(t) // over the dead socket
	member.finds(t, "", exitGood)
	library := library(t)
	if err := os.Chmod(host.DefaultSocket, 0o600); err != nil {
		t.Fatal(err)
	}
	member.finds(t, "service.socket", exitOutOfReach)
	if err := os.Chmod(host.DefaultSocket, 0o666); err != nil {
		t.Fatal(err)
	}
	const foreign = "/usr/local/lib/libpcsclite.so.1.0.0"
	write(t, foreign, string(bytes.ReplaceAll(library, []byte(socketInLibrary), []byte("/opt/pcscd/pcscd"))))
	member.finds(t, "library.socket", exitOutOfReach)
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	stop()

	_, stop = stockStack.start(t)
	root.finds(t, "service.bundle", exitOutOfReach)
	stop()
}

// socketInLibrary is what stands of the socket's path in one piece.
const socketInLibrary = "/run/pcscd/pcscd"

// library reads the machine's libpcsclite that has the path of the socket in it.
func library(t *testing.T) []byte {
	t.Helper()
	files, err := filepath.Glob("/usr/lib/*-linux-gnu/libpcsclite*.so.1*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err == nil && bytes.Contains(b, []byte(socketInLibrary)) {
			return b
		}
	}
	t.Fatalf("no library among %v knows %s", files, socketInLibrary)
	return nil
}

// doctorCards has what is on the token go wrong, and the clock.
func doctorCards(t *testing.T, root doctor, k *token) {
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("12345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stderr, code := root.run(t, "", "cert", "import", "identity.pem", "--pin-file", pin); code != 0 {
		t.Fatalf("import: exit code %d: %s", code, stderr)
	}
	root.finds(t, "", exitGood)
	at(t, time.Now().AddDate(-2, 0, 0), func() { root.finds(t, "clock.behind", exitOther) })
	at(t, time.Now().Add(-3*time.Hour), func() { root.finds(t, "clock.early", exitOther) })
	at(t, time.Now().AddDate(2, 0, 0), func() { root.finds(t, "clock.expired", exitOther) })
	root.finds(t, "", exitGood)

	wrong := strings.Repeat("0020000208 3030303030303030\n", 10)
	if _, stderr, code := root.run(t, wrong, "apdu"); code != 0 {
		t.Fatalf("wrong PINs: exit code %d: %s", code, stderr)
	}
	root.finds(t, "pin.user", exitPIN)
	k.unplug(t)
	k.vanish(t)

	state := filepath.Join(t.TempDir(), "vendor.state")
	card, err := emu.Open(state, emu.WithATR(ccidsim.KAZTOKEN.ATR), emu.WithVendorFormat())
	if err != nil {
		t.Fatal(err)
	}
	if err := card.Close(); err != nil {
		t.Fatal(err)
	}
	vendor := newLastingToken(t, ccidsim.KAZTOKEN, state)
	vendor.plug(t)
	vendor.appear(t)
	udevadm(t, "settle")
	root.finds(t, "format.vendor", exitNotAllowed)
}

// at sets the machine's clock while f runs.
func at(t *testing.T, now time.Time, f func()) {
	t.Helper()
	set := func(now time.Time) {
		tv := syscall.NsecToTimeval(now.UnixNano())
		if err := syscall.Settimeofday(&tv); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now() // with the clock that nobody sets
	defer func() { set(began.Round(0).Add(time.Since(began))) }()
	set(now)
	f()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

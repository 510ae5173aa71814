//go:build e2e && linux

package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// TestDoctorFaults is what TestDoctor does not make: what the kernel and a card do
// wrong.
func TestDoctorFaults(t *testing.T) {
	all := program{path: "./kaztoken"}
	root, member := doctor{all}, doctor{all.as(usersGroup)}
	k, dev := wellToken(t)
	member.finds(t, "", exitGood)

	// A container that was given no USB.
	hidden := all
	hidden.path, hidden.args = "unshare", []string{"--mount", "sh", "-c", `mount -t tmpfs none /sys/bus/usb && exec ./kaztoken "$@"`, "sh"}
	doctor{hidden}.finds(t, "bus.none", exitNoToken)

	node := nodeOf(dev)
	var st syscall.Stat_t
	if err := errors.Join(syscall.Stat(node, &st), os.Remove(node)); err != nil {
		t.Fatal(err)
	}
	member.finds(t, "node.missing", exitOutOfReach)
	if err := syscall.Mknod(node, syscall.S_IFCHR|0o600, int(st.Rdev)); err != nil {
		t.Fatal(err)
	}
	udevadm(t, "trigger", "--action=add", "--subsystem-match=usb")
	udevadm(t, "settle")
	member.finds(t, "", exitGood)

	const serial = "/sys/bus/usb/drivers/usbserial_generic"
	write(t, "/sys/bus/usb-serial/drivers/generic/new_id", fmt.Sprintf("%04x %04x", dev.Vendor, dev.Product))
	ifc := dev.Port + ":1.0"
	await(t, "the kernel's driver to take the token", func() (struct{}, bool) {
		_, err := os.Lstat(filepath.Join(serial, ifc))
		return struct{}{}, err == nil
	})
	root.finds(t, "holder.kernel", exitOutOfReach)
	if out, err := exec.Command("busybox", "rmmod", "usbserial").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	member.finds(t, "", exitGood)

	faultyCards(t, k, root)
}

// wellToken plugs in a token that users may open.
func wellToken(t *testing.T) (*token, usb.Info) {
	t.Helper()
	installRules(t)
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	dev, _ := k.appear(t)
	udevadm(t, "settle")
	return k, dev
}

func nodeOf(dev usb.Info) string { return fmt.Sprintf("/dev/bus/usb/%03d/%03d", dev.Bus, dev.Addr) }

// TestDoctorServices has a service that runs and is of no use. Doctor waits five
// seconds for one that is silent.
func TestDoctorServices(t *testing.T) {
	all := program{path: "./kaztoken"}
	root, member, stranger := doctor{all}, doctor{all.as(usersGroup)}, doctor{all.as()}
	_, dev := wellToken(t)
	if err := os.MkdirAll(filepath.Dir(host.DefaultSocket), 0o755); err != nil {
		t.Fatal(err)
	}
	deaf, err := net.Listen("unix", host.DefaultSocket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(host.DefaultSocket, 0o666); err != nil {
		t.Fatal(err)
	}
	member.finds(t, "service.silent", exitOutOfReach)
	deaf.Close()

	// A service that somebody runs who may not open the token.
	run := filepath.Dir(host.DefaultSocket)
	if err := os.Chown(run, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	_, stop := startDaemon(t, "setpriv", "--reuid", fmt.Sprint(nobody), "--regid", fmt.Sprint(nobody), "--clear-groups",
		"./kaztoken", "serve", "--socket", host.DefaultSocket)
	root.finds(t, "service.blind", exitOutOfReach)
	stop()
	if err := os.Chown(run, 0, 0); err != nil {
		t.Fatal(err)
	}

	_, stop = ourStack.start(t)
	if err := os.Chmod(nodeOf(dev), 0o666); err != nil {
		t.Fatal(err)
	}
	stranger.finds(t, "service.refused", exitOutOfReach)
	exclusive := startDialogue(t, "python3", "-c", `
from smartcard.scard import *
_, context = SCardEstablishContext(SCARD_SCOPE_SYSTEM)
_, readers = SCardListReaders(context, [])
print(SCardConnect(context, readers[0], SCARD_SHARE_EXCLUSIVE, SCARD_PROTOCOL_ANY)[0] == SCARD_S_SUCCESS, flush=True)
input()
`)
	exclusive.until(t, "True")
	member.finds(t, "card.busy", exitOutOfReach)
	fmt.Fprintln(exclusive.in)
	exclusive.end()
	member.finds(t, "", exitGood)
	stop()
}

// faultyCards has PINs blocked, a formatting broken off, and a card that stops to
// answer.
func faultyCards(t *testing.T, k *token, root doctor) {
	for _, pin := range []struct {
		ref string
		id  string
	}{{"01", "pin.admin"}, {"02", "pin.both"}} {
		wrong := strings.Repeat("002000"+pin.ref+"08 3030303030303030\n", 10)
		if _, stderr, code := root.run(t, wrong, "apdu"); code != 0 {
			t.Fatalf("wrong PINs: exit code %d: %s", code, stderr)
		}
		root.finds(t, pin.id, exitPIN)
	}

	replug := func(next *token) (power string) {
		k.unplug(t)
		k.vanish(t)
		k = next
		k.plug(t)
		dev, _ := k.appear(t)
		udevadm(t, "settle")
		return filepath.Join("/sys/bus/usb/devices", dev.Port, "power")
	}
	for _, state := range []struct {
		of firmware.State
		id string
	}{{firmware.StateHalf, "format.half"}, {firmware.StateWiped, "format.wiped"}} {
		replug(newLastingToken(t, ccidsim.KAZTOKEN, brokenOff(t, state.of)))
		root.finds(t, state.id, exitNotAllowed)
	}

	power := replug(newToken(t, ccidsim.KAZTOKEN))
	write(t, filepath.Join(power, "control"), "on") // Debian's rules for readers let them sleep
	k.helper.say(t, "mute")
	root.finds(t, "card.silent", exitOther)
	power = replug(newToken(t, ccidsim.KAZTOKEN))
	write(t, filepath.Join(power, "autosuspend_delay_ms"), "0")
	write(t, filepath.Join(power, "control"), "auto")
	asleep := func() (struct{}, bool) {
		b, err := os.ReadFile(filepath.Join(power, "runtime_status"))
		return struct{}{}, err == nil && strings.TrimSpace(string(b)) == "suspended"
	}
	await(t, "the token to sleep", asleep)
	root.finds(t, "", exitGood)
	k.helper.say(t, "mute")
	await(t, "the token to sleep again", asleep)
	root.finds(t, "card.suspended", exitNoToken)

	// A port of the machine's own controller: vhci_hcd does not switch its ports off.
	k.unplug(t)
	k.vanish(t)
	const disable = "/sys/bus/usb/devices/1-0:1.0/usb1-port4/disable"
	write(t, disable, "1")
	root.finds(t, "bus.port", exitNoToken)
	write(t, disable, "0")
	root.finds(t, "bus.missing", exitNoToken)
}

// brokenOff is the state of a card whose formatting ended when the token was in the
// wanted state.
func brokenOff(t *testing.T, want firmware.State) (path string) {
	t.Helper()
	for n := 1; n < 200; n++ {
		path = filepath.Join(t.TempDir(), fmt.Sprint("state", n))
		card, err := emu.Open(path, emu.WithATR(ccidsim.KAZTOKEN.ATR))
		if err != nil {
			t.Fatal(err)
		}
		token, err := firmware.Open(t.Context(), &endingCard{card, n})
		if err == nil {
			err = token.Format(t.Context(), firmware.FormatOptions{}, nil)
		}
		done := err == nil
		if token, err = firmware.Open(t.Context(), card); err != nil {
			t.Fatal(err)
		}
		found := token.State() == want
		if err := card.Close(); err != nil {
			t.Fatal(err)
		}
		if found {
			return path
		}
		if done {
			break
		}
	}
	t.Fatalf("no moment of the formatting leaves a token %v", want)
	return ""
}

// endingCard answers some commands more, and then is gone.
type endingCard struct {
	card *emu.Card
	left int
}

func (c *endingCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if c.left--; c.left < 0 {
		return nil, usb.ErrGone
	}
	return c.card.Transmit(ctx, dst, apdu)
}

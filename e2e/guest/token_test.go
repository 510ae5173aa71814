//go:build e2e && linux

package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/udev"
	"kaztoken/usb"
	"kaztoken/usb/usbip"
)

// token is a software token that is plugged into and unplugged from the
// machine's kernel. It is served by a process of its own.
type token struct {
	profile ccidsim.Profile
	helper  *helper
}

// newToken starts a token of that profile, not plugged in yet. What is written
// on it is gone when it is unplugged.
func newToken(t testing.TB, p ccidsim.Profile) *token {
	t.Helper()
	return &token{p, startHelper(t, "device", "PROFILE="+p.Name)}
}

// newLastingToken is newToken of one that keeps what is written on it, in the
// file at path.
func newLastingToken(t testing.TB, p ccidsim.Profile, path string) *token {
	t.Helper()
	return &token{p, startHelper(t, "device", "PROFILE="+p.Name, "STATE="+path)}
}

// plug plugs the token in. It returns when the kernel has taken the connection;
// the device shows up some time later.
func (k *token) plug(t testing.TB) {
	t.Helper()
	k.helper.say(t, "plug")
}

func (k *token) unplug(t testing.TB) {
	t.Helper()
	k.helper.say(t, "unplug")
}

// appear waits until the kernel has the device and its configuration is set.
func (k *token) appear(t testing.TB) (usb.Info, usb.Interface) {
	t.Helper()
	var ifc usb.Interface
	info := await(t, k.profile.Name+" to appear", func() (usb.Info, bool) {
		info, ok := k.find(t)
		if !ok || info.Configuration == 0 {
			return info, false
		}
		all, err := info.Interfaces()
		if err != nil || len(all) == 0 {
			t.Fatalf("%v: interfaces %v, %v", info, all, err)
		}
		ifc = all[0]
		return info, true
	})
	return info, ifc
}

// vanish waits until the kernel has let the device go.
func (k *token) vanish(t testing.TB) {
	t.Helper()
	await(t, k.profile.Name+" to vanish", func() (usb.Info, bool) {
		info, ok := k.find(t)
		return info, !ok
	})
}

func (k *token) find(t testing.TB) (usb.Info, bool) {
	t.Helper()
	all, err := udev.Enumerate(udev.Sysfs())
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a device on its way out
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(d usb.Info) bool {
		return d.Vendor == k.profile.Vendor && d.Product == k.profile.Product
	})
	if i < 0 {
		return usb.Info{}, false
	}
	return all[i], true
}

// await asks again and again until ready, for a bounded time.
func await[T any](t testing.TB, what string, ready func() (T, bool)) T {
	t.Helper()
	return awaitWithin(t, answerLimit, what, ready)
}

// awaitWithin is await of something that may take longer, or has to be faster.
func awaitWithin[T any](t testing.TB, limit time.Duration, what string, ready func() (T, bool)) T {
	t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if v, ok := ready(); ok {
			return v
		}
	}
	t.Fatalf("waited %v for %s", limit, what)
	panic("not reached")
}

// serveDevice is the role of a token's process.
func serveDevice() error {
	profile, err := profileNamed(os.Getenv("PROFILE"))
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "device")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	listener, err := net.Listen("unix", filepath.Join(dir, "usbip"))
	if err != nil {
		return err
	}
	var server usbip.Server
	defer server.Close()
	go server.Serve(listener)

	var device *ccidsim.Device
	unplugged := func() error { return nil }
	return serve(func(command string, args []string) (string, error) {
		switch command {
		case "plug":
			var err error
			if device, unplugged, err = newDevice(profile, os.Getenv("STATE")); err != nil {
				return "", err
			}
			id, err := server.Add(device)
			if err != nil {
				return "", err
			}
			conn, err := net.Dial("unix", listener.Addr().String())
			if err != nil {
				return "", err
			}
			port, err := usbip.VHCI{}.Attach(conn, id)
			return fmt.Sprint("port ", port), err
		case "mute": // the card answers nothing any more (CCID rev 1.10 table 6.2-2, ICC_MUTE)
			device.Inject(ccidsim.Fault{Where: ccidsim.Out, Kind: ccidsim.ErrorCode, Value: 0xFE, Times: ccidsim.Forever})
			return "muted", nil
		case "unplug":
			device.Unplug()
			return "unplugged", unplugged()
		}
		return "", fmt.Errorf("%s: no such command", command)
	})
}

// newDevice makes the reader of a profile, with a card in every slot, or with the
// one whose state is in a file. The function lets go of that file.
func newDevice(p ccidsim.Profile, state string) (*ccidsim.Device, func() error, error) {
	if state != "" {
		card, err := emu.Open(state, emu.WithATR(p.ATR))
		if err != nil {
			return nil, nil, err
		}
		return ccidsim.New(p, card), card.Close, nil
	}
	var cards []ccidsim.Card
	for range int(p.Interface.Reader.MaxSlotIndex) + 1 {
		cards = append(cards, emu.New(emu.WithATR(p.ATR)))
	}
	return ccidsim.New(p, cards...), func() error { return nil }, nil
}

func profileNamed(name string) (ccidsim.Profile, error) {
	for _, p := range ccidsim.Profiles() {
		if p.Name == name {
			return p, nil
		}
	}
	return ccidsim.Profile{}, fmt.Errorf("no profile %q", name)
}

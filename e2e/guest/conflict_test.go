//go:build e2e && linux

package guest

import (
	"fmt"
	"strings"
	"testing"

	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
	"kaztoken/udev"
)

// startScdaemon has GnuPG's card daemon, which has a CCID driver of its own, take
// the token. It keeps it until its dialogue ends.
func startScdaemon(t *testing.T) *dialogue {
	t.Helper()
	d := startDialogue(t, "env", "GNUPGHOME="+t.TempDir(), "/usr/lib/gnupg/scdaemon", "--server")
	d.until(t, "ready\n")
	fmt.Fprintln(d.in, "SERIALNO")
	return d
}

// heldBy waits until a program of that name has the token open.
func (k *token) heldBy(t *testing.T, name string) udev.Holder {
	t.Helper()
	dev, _ := k.appear(t)
	return await(t, name+" to open the token", func() (udev.Holder, bool) {
		holders, err := udev.Holders(udev.Proc(), dev.Bus, dev.Addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range holders {
			if h.Name == name {
				return h, true
			}
		}
		return udev.Holder{}, false
	})
}

// wantRefused has the program's commands, with either driver, name who has the
// token, and say how it is made to let go.
func (k *token) wantRefused(t *testing.T, holder udev.Holder, wayOut string) {
	t.Helper()
	for _, d := range drivers {
		p := programWith(d.name)
		p.args = append(p.args, "--devices", "rutoken")
		var list []listed
		p.json(t, &list, "list")
		if len(list) != 1 || fmt.Sprint(list[0].Holders) != fmt.Sprint([]string{holder.String()}) {
			t.Errorf("%s: list: got %+v, want it held by %v", d.name, list, holder)
		}
		_, stderr, code := p.run(t, "", "info")
		if code != exitOutOfReach || !strings.Contains(stderr, holder.String()) || !strings.Contains(stderr, wayOut) {
			t.Errorf("%s: info: exit code %d, %q; want %d, %q and %q", d.name, code, stderr, exitOutOfReach, holder, wayOut)
		}
	}
}

// TestHeldByScdaemon: GnuPG has the token, and who asks for it is told; the
// service is, too, and takes the token when it is free.
func TestHeldByScdaemon(t *testing.T) {
	const wayOut = "gpgconf --kill scdaemon"
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	k.appear(t)
	scdaemon := startScdaemon(t)
	holder := k.heldBy(t, "scdaemon")
	k.wantRefused(t, holder, wayOut)

	service := startDialogue(t, "sh", "-c", "exec ./kaztoken serve --readers rutoken --socket "+host.DefaultSocket+" 2>&1")
	service.until(t, "held by "+holder.String())
	service.until(t, wayOut)
	scdaemon.end()
	apdu := [][]byte{{0x80, 0xEC, 0, 0, 1}}
	if _, _, err := stock(t, k.profile.ProductName, apdu, 0); err != nil {
		t.Error(err)
	}

	// While the service has the token, GnuPG comes to it through the service, and
	// leaves the token as it was.
	scdaemon = startScdaemon(t)
	scdaemon.until(t, "\n")
	t.Log(scdaemon.said)
	var status struct{ Clients []struct{ Program string } }
	program{path: "./kaztoken"}.json(t, &status, "status")
	if len(status.Clients) != 1 || status.Clients[0].Program != "scdaemon" {
		t.Errorf("clients %+v, want scdaemon", status.Clients)
	}
	scdaemon.end()
	if _, _, err := stock(t, k.profile.ProductName, apdu, 0); err != nil {
		t.Error(err)
	}
}

// TestServiceBesidePCSCD: pcscd has the token, or the socket, and our service says
// so in place of taking them away.
func TestServiceBesidePCSCD(t *testing.T) {
	const wayOut = "sudo systemctl stop pcscd.socket pcscd.service"
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	stop := startPCSCD(t, onlyUSB)
	defer stop()
	holder := k.heldBy(t, "pcscd")
	p := program{path: "./kaztoken"}
	_, stderr, code := p.run(t, "", "serve")
	if code == 0 || !strings.Contains(stderr, holder.String()) || !strings.Contains(stderr, wayOut) {
		t.Errorf("serve: exit code %d, %q; want %q and %q", code, stderr, holder, wayOut)
	}
	service := startDialogue(t, "sh", "-c", "exec ./kaztoken serve --readers rutoken --socket "+t.TempDir()+"/socket 2>&1")
	service.until(t, "held by "+holder.String())
	service.until(t, wayOut)
	stop()
}

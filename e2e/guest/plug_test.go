//go:build e2e && linux

package guest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
	"kaztoken/udev"
	"kaztoken/usb"
)

// plugCycles are the plugs of a run, plugSoak times SOAK those of make soak.
const (
	plugCycles = 15
	plugSoak   = 50
)

// TestPlug plugs a token in and out. Each arrival is reported with the token
// powered up, each removal is reported, and afterwards nothing of it is left
// in this process.
func TestPlug(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		k := newToken(t, ccidsim.KAZTOKEN)
		before := possessions(t)
		w := watch(t, d)
		for i := range repeated(plugCycles, plugSoak) {
			k.plug(t)
			slot := w.next(t, host.Arrived).Reader.CCID().Slots()[0]
			if slot.State() != ccid.CardReady {
				t.Fatalf("cycle %d: the card is %v on arrival", i, slot.State())
			}
			if got := transmit(t, slot, nil, []byte{0x80, 0xEC, 0x40, 0x01, 0x04}); string(got) != "@ABC\x90\x00" {
				t.Fatalf("cycle %d: echo gave % X", i, got)
			}
			if n := len(w.supervisor.Readers()); n != 1 {
				t.Fatalf("cycle %d: %d readers listed", i, n)
			}
			k.unplug(t)
			if gone := w.next(t, host.Removed); !errors.Is(gone.Err, usb.ErrGone) {
				t.Fatalf("cycle %d: removed with %v, want %v", i, gone.Err, usb.ErrGone)
			}
			if n := len(w.supervisor.Readers()); n != 0 {
				t.Fatalf("cycle %d: %d readers listed after the removal", i, n)
			}
			k.vanish(t)
		}
		await(t, "the last device file to be closed", func() ([]string, bool) {
			nodes := deviceFiles(t)
			return nodes, len(nodes) == 0
		})
		w.close(t)
		after := await(t, "the goroutines to end", func() (belongings, bool) {
			p := possessions(t)
			return p, p.goroutines <= before.goroutines
		})
		if after.files > before.files {
			t.Errorf("%d open files before, %d after", before.files, after.files)
		}

		// The claim is free for the others, and after each of them again.
		k.plug(t)
		dev, ifc := k.appear(t)
		for range 2 {
			for _, other := range drivers {
				r, stop := openReader(t, other, dev, ifc)
				transmit(t, r.Slots()[0], nil, []byte{0x80, 0xEC, 0x00, 0x00, 0x01})
				stop()
			}
		}
		if holders, err := udev.Holders(udev.Proc(), dev.Bus, dev.Addr); err != nil || len(holders) != 0 {
			t.Errorf("the device is still held by %v (%v)", holders, err)
		}
	})
}

// watcher is a supervisor with one subscription.
type watcher struct {
	supervisor   *host.Supervisor
	subscription *host.Subscription
	closed       bool
}

// watch starts a supervisor of this program's tokens over one driver.
func watch(t testing.TB, d driver) *watcher {
	t.Helper()
	s, err := host.Follow(host.Options{Backend: "usb", Driver: d.name})
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{supervisor: s, subscription: s.Subscribe()}
	t.Cleanup(func() { w.close(t) })
	return w
}

// next is the next event, which has to be of that kind.
func (w *watcher) next(t testing.TB, kind host.Kind) host.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	defer cancel()
	e, err := w.subscription.Next(ctx)
	if err != nil {
		t.Fatalf("waiting for %v: %v", kind, err)
	}
	if e.Kind != kind {
		t.Fatalf("got %v of %s (%v), want %v", e.Kind, e.Name, e.Err, kind)
	}
	return e
}

func (w *watcher) close(t testing.TB) {
	t.Helper()
	if w.closed {
		return
	}
	w.closed = true
	w.subscription.Close()
	if err := w.supervisor.Close(); err != nil {
		t.Error(err)
	}
}

// belongings is what a process can forget to give back.
type belongings struct {
	goroutines, files int
}

func possessions(t testing.TB) belongings {
	t.Helper()
	return belongings{runtime.NumGoroutine(), len(openFiles(t))}
}

// deviceFiles are the USB device nodes this process has open.
func deviceFiles(t testing.TB) (nodes []string) {
	t.Helper()
	for _, path := range openFiles(t) {
		if strings.HasPrefix(path, "/dev/bus/usb/") {
			nodes = append(nodes, path)
		}
	}
	return nodes
}

// openFiles are the names of all files this process has open.
func openFiles(t testing.TB) (names []string) {
	t.Helper()
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil { // not the one of ReadDir
			names = append(names, name)
		}
	}
	return names
}

//go:build e2e && linux

package guest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/udev"
)

const (
	waitCycles  = 20 // make soak: so many times as often
	toldAtLeast = 5 * time.Second
)

// A waiter is a program that waits for tokens to come and go.
type waiter interface {
	// ready returns when the program waits, as far as it matters.
	ready(t testing.TB)
	// stamp reads up to an event that the program was told of, and says when that was.
	stamp(t testing.TB, event string) time.Time
	end()
}

// waitKinds are programs that wait in different ways: three of the C client's, a
// stock program and ours.
var waitKinds = []string{"readers", "state", "handle", "pcsc_scan", "list --watch"}

func startWaiter(t testing.TB, kind string, p ccidsim.Profile) waiter {
	t.Helper()
	switch kind {
	case "pcsc_scan":
		// Without an analysis of the ATR, and with no buffer.
		w := startWitness(t, map[string]string{"card": "Card inserted", "gone": "first reader"}, "stdbuf", "-o0", "pcsc_scan", "-n")
		w.stamp(t, "gone")
		return w
	case "list --watch":
		return startWitness(t, map[string]string{"card": `"arrived"`, "gone": `"removed"`},
			"./kaztoken", "--backend", "pcsc", "--devices", "rutoken", "--json", "list", "--watch")
	}
	d := startDialogue(t, "./waitclient", kind, p.ProductName)
	d.until(t, "waiting ")
	return cWaiter{d}
}

// cWaiter is the C client, which says itself when it was told.
type cWaiter struct{ *dialogue }

func (w cWaiter) ready(t testing.TB) { w.awaitWait(t) }

// TestServiceWait plugs the token in and out while programs wait in different
// ways, and wants each to be told each time.
func TestServiceWait(t *testing.T) {
	told := waitAndPlug(t, ourStack, *soak*waitCycles)
	w := newTable(fmt.Sprintf("from the kernel's event to the program that waits, ms, %d times", *soak*waitCycles),
		"waits", "event", "median", "99th", "goal")
	for _, kind := range waitKinds {
		for _, event := range waitEvents {
			took := told[kind+event.said]
			w.row(kind, event.said, ms(median(took)), ms(highest(took)), event.goal)
		}
	}
	w.print(t)
}

// waitEvents are what happens to a token, as the program and as the kernel say it.
var waitEvents = []struct {
	said   string
	action udev.Action
	happen func(k *token, t testing.TB)
	goal   string // ms
}{
	{"card", udev.Add, func(k *token, t testing.TB) { k.plug(t) }, "100"},
	{"gone", udev.Remove, func(k *token, t testing.TB) { k.unplug(t) }, "100"},
}

// waitAndPlug gives how long it took to tell each kind of program of each event,
// from when the kernel reported it. The first plug, for which some of the programs
// may not be up yet, does not count.
func waitAndPlug(t *testing.T, s stack, cycles int) map[string][]time.Duration {
	t.Helper()
	_, stop := s.start(t)
	defer stop()
	k := newToken(t, s.profile)
	kernel := listenToKernel(t, s.profile.Vendor)
	waiters := make([]waiter, len(waitKinds))
	for i, kind := range waitKinds {
		waiters[i] = startWaiter(t, kind, s.profile)
		defer waiters[i].end()
	}
	told := make(map[string][]time.Duration)
	for cycle := range cycles + 1 {
		for _, event := range waitEvents {
			for _, w := range waiters {
				w.ready(t)
			}
			event.happen(k, t)
			at := kernel.await(t, event.action)
			for i, w := range waiters {
				key := waitKinds[i] + event.said
				took := w.stamp(t, event.said).Sub(at)
				if took > toldAtLeast {
					t.Errorf("%s: told of %q after %v", waitKinds[i], event.said, took)
				}
				if cycle > 0 {
					told[key] = append(told[key], took)
				}
			}
		}
		k.vanish(t)
	}
	return told
}

// awaitWait waits until a thread of a client is in an endless SCardGetStatusChange.
// What comes before, libpcsclite does not tell a program that waits for readers: it
// compares their number with that at the beginning of the call.
func (d *dialogue) awaitWait(t testing.TB) {
	t.Helper()
	seen := 0
	await(t, d.name+" to wait", func() (struct{}, bool) {
		calls, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", d.cmd.Process.Pid))
		if err != nil || len(calls) == 0 {
			t.Fatalf("%s: no threads: %v", d.name, err)
		}
		if slices.ContainsFunc(calls, isWait) {
			seen++
		} else {
			seen = 0
		}
		return struct{}{}, seen > 1 // the first may have been waiting for an answer
	})
}

// isWait reports whether the thread that a file of /proc tells the system call of
// is in an endless SCardGetStatusChange.
func isWait(path string) bool {
	// poll(descriptors, 1, 60000 ms): the library wakes up each minute.
	const number, timeout = "7", "0xea60"
	call, err := os.ReadFile(path)
	if err != nil {
		return false // the thread has ended
	}
	words := strings.Fields(string(call))
	return len(words) > 3 && words[0] == number && words[3] == timeout
}

// stamp reads up to an event that the waiting client was told of, and says when.
func (d *dialogue) stamp(t testing.TB, event string) time.Time {
	t.Helper()
	d.until(t, event+" ")
	began := d.read
	d.until(t, "\n")
	ns, err := strconv.ParseInt(strings.TrimSpace(d.said[began:]), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", d.name, err)
	}
	return time.Unix(0, ns)
}

// kernelEvents are the kernel's reports about devices of one vendor.
type kernelEvents chan udev.Event

func listenToKernel(t testing.TB, vendor uint16) kernelEvents {
	t.Helper()
	m, err := udev.Listen()
	if err != nil {
		t.Fatal(err)
	}
	events := make(kernelEvents, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			e, err := m.Next(ctx)
			if err != nil {
				return
			}
			if e.Vendor == vendor && !e.Settled && !e.Synthetic {
				events <- e
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return events
}

// await reads up to an event of that kind, and says when it was.
func (k kernelEvents) await(t testing.TB, action udev.Action) time.Time {
	t.Helper()
	limit := time.After(answerLimit)
	for {
		select {
		case e := <-k:
			if e.Action == action {
				return e.Time
			}
		case <-limit:
			t.Fatalf("no %v of the kernel in %v", action, answerLimit)
		}
	}
}

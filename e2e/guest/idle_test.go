//go:build e2e && linux

package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/host"
)

const (
	idleTime = 10 * time.Second // with a token
	restTime = 3 * time.Second  // without
)

// TestIdle counts what a process does that has nothing to do: nothing with no
// token plugged in, whatever the driver, and with one plugged in and open no
// more than the event loop of the USB library.
func TestIdle(t *testing.T) {
	const idleTime = idleTime / 2 // the loops tick ten times a second
	eachDriver(t, func(t *testing.T, d driver) {
		h := startHelper(t, "idle")
		h.say(t, "watch %s", d.name)
		if n := atRest(t, h.cmd); n != 0 {
			t.Errorf("no token: %d context switches in %v, want none", n, restTime)
		}
		k := newToken(t, ccidsim.KAZTOKEN)
		k.plug(t)
		h.say(t, "next arrived")
		if d.name == "libusb" {
			// Beside a program that has its own token open through gousb and does
			// nothing else. The loops need not tick alike, nor the runtimes
			// around them.
			n := switches(t, idleTime, h.cmd, startGousbIdle(t))
			t.Logf("with a token: %d context switches in %v, bare gousb %d", n[0], idleTime, n[1])
			if n[0] > n[1]*3/2 {
				t.Error("much more than bare gousb")
			}
		} else {
			n := switches(t, idleTime, h.cmd)[0]
			t.Logf("with a token: %d context switches in %v", n, idleTime)
			if n != 0 {
				t.Error("want none")
			}
		}
		k.unplug(t)
		h.say(t, "next removed")
		if n := atRest(t, h.cmd); n != 0 {
			t.Errorf("token gone: %d context switches in %v, want none", n, restTime)
		}
	})
}

// TestServiceIdle: a service that was used, has a token, and a client that waits,
// does nothing once it has switched the card off, also not when whatever was set
// for the answers is over; and it keeps little memory.
func TestServiceIdle(t *testing.T) {
	const most = 12 << 10 // KiB
	process, stop := ourStack.start(t)
	defer stop()
	k := newToken(t, ourStack.profile)
	k.plug(t)
	if _, _, err := stock(t, ourStack.profile.ProductName, slices.Repeat([][]byte{{0x80, 0xEC, 0, 0, 1}}, 100), 0); err != nil {
		t.Fatal(err)
	}
	client := startDialogue(t, "./waitclient", "state", ourStack.profile.ProductName)
	client.awaitWait(t)
	time.Sleep(powerOffTime)
	n, kib := switches(t, idleTime, process)[0], resident(t, process)
	t.Logf("%d context switches in %v, %d KiB", n, idleTime, kib)
	if n != 0 {
		t.Error("want none")
	}
	if kib > most {
		t.Errorf("want %d KiB at the most", most)
	}
	client.end()
}

// startGousbIdle plugs in a token that our program leaves alone and starts a
// program that keeps it open through gousb.
func startGousbIdle(t *testing.T) *exec.Cmd {
	t.Helper()
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	k.appear(t)
	cmd := exec.Command("./gousbidle", fmt.Sprintf("%04x", k.profile.Vendor), fmt.Sprintf("%04x", k.profile.Product))
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// atRest counts the context switches of a process in the quietest of a few
// whiles. Go's runtime gives memory back some time after it has become free, and
// later the busier the machine is; what polls does it in each of them.
func atRest(t *testing.T, process *exec.Cmd) int {
	t.Helper()
	n := switches(t, restTime, process)[0]
	for tries := 1; n != 0 && tries < 3; tries++ {
		n = min(n, switches(t, restTime, process)[0])
	}
	return n
}

// switches counts, for each process, the context switches of all its threads in
// a while.
func switches(t *testing.T, while time.Duration, processes ...*exec.Cmd) []int {
	t.Helper()
	time.Sleep(2 * time.Second) // let udevd, timers of the start and the scheduler come to rest
	counts := make([]int, len(processes))
	for i, p := range processes {
		counts[i] = -contextSwitches(t, p.Process.Pid)
	}
	time.Sleep(while)
	for i, p := range processes {
		counts[i] += contextSwitches(t, p.Process.Pid)
	}
	return counts
}

func contextSwitches(t *testing.T, pid int) (total int) {
	t.Helper()
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no threads of process %d: %v", pid, err)
	}
	for _, path := range paths {
		status, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the thread ended
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			name, value, _ := strings.Cut(line, ":")
			if strings.HasSuffix(name, "voluntary_ctxt_switches") { // nonvoluntary ones too
				n, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
		}
	}
	return total
}

// stayIdle is the role of the process that is counted: it supervises tokens and
// otherwise waits for a command.
func stayIdle() error {
	var subscription *host.Subscription
	return serve(func(command string, args []string) (string, error) {
		switch command {
		case "watch":
			s, err := host.Follow(host.Options{Backend: "usb", Driver: args[0]})
			if err != nil {
				return "", err
			}
			subscription = s.Subscribe()
			return "watching", nil
		case "next":
			ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
			defer cancel()
			e, err := subscription.Next(ctx)
			if err == nil && !strings.EqualFold(e.Kind.String(), args[0]) {
				err = fmt.Errorf("got %v (%v), want %s", e.Kind, e.Err, args[0])
			}
			return "seen", err
		}
		return "", fmt.Errorf("%s: no such command", command)
	})
}

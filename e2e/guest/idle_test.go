package guest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
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

// TestIdle counts what a process does that has nothing to do: none of ours with
// no token plugged in, whatever the driver, and with one plugged in and open
// no more than the USB library's own event loop, which is measured beside it.
func TestIdle(t *testing.T) {
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			h := startHelper(t, "idle")
			h.say(t, "watch %s", d.name)
			if n := switches(t, h.cmd.Process.Pid, restTime); n != 0 {
				t.Errorf("no token: %d context switches in %v, want none", n, restTime)
			}
			k := newToken(t, ccidsim.KAZTOKEN)
			k.plug(t)
			h.say(t, "next arrived")
			n := switches(t, h.cmd.Process.Pid, idleTime)
			k.unplug(t)
			h.say(t, "next removed")
			if n := switches(t, h.cmd.Process.Pid, restTime); n != 0 {
				t.Errorf("token gone: %d context switches in %v, want none", n, restTime)
			}
			h.end()

			limit := 0
			if d.name == "libusb" {
				// A tenth more: two loops of one period need not tick alike.
				limit = gousbSwitches(t) * 11 / 10
			}
			t.Logf("with a token: %d context switches in %v, at most %d allowed", n, idleTime, limit)
			if n > limit {
				t.Error("too many")
			}
		})
	}
}

// gousbSwitches counts the context switches of a program that has the token
// open through gousb and does nothing else.
func gousbSwitches(t *testing.T) int {
	t.Helper()
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	k.appear(t)
	cmd := exec.Command("./gousbidle", "0a89", "0035")
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
	defer cmd.Wait()
	defer in.Close()
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return switches(t, cmd.Process.Pid, idleTime)
}

// switches counts the context switches of all threads of a process in a while.
func switches(t *testing.T, pid int, while time.Duration) int {
	t.Helper()
	time.Sleep(2 * time.Second) // let udevd, timers of the start and the scheduler come to rest
	before := contextSwitches(t, pid)
	time.Sleep(while)
	return contextSwitches(t, pid) - before
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

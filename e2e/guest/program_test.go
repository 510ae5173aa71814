//go:build e2e && linux

package guest

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/udev"
)

// Exit codes of the program, as `kaztoken --help` lists them.
const (
	exitNoToken    = 3
	exitOutOfReach = 5
)

const tokenATR = "3B88014B415A544F4B454E82"

// program is one way to run kaztoken.
type program struct {
	path string
	args []string // before the command
	attr syscall.SysProcAttr
}

func programWith(driver string) program {
	return program{path: "./kaztoken", args: []string{"--usb-driver", driver}}
}

// as is the program run by an unprivileged user, in the given groups.
func (p program) as(groups ...uint32) program {
	p.attr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody, Groups: groups}
	return p
}

const nobody = 65534

// command prepares a run of the program, which is killed when it takes too long.
func (p program) command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, p.path, append(p.args, args...)...)
	attr := p.attr
	attr.Pdeathsig = syscall.SIGKILL
	cmd.SysProcAttr = &attr
	return cmd
}

// run runs one command and returns what it printed and its exit code.
func (p program) run(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := p.command(t, args...)
	var out, talk bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	return out.String(), talk.String(), cmd.ProcessState.ExitCode()
}

// json runs a command that has to succeed and decodes what it prints.
func (p program) json(t *testing.T, into any, args ...string) {
	t.Helper()
	args = append([]string{"--json"}, args...)
	stdout, stderr, code := p.run(t, "", args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), into); err != nil {
		t.Fatalf("%v: %v in %s", args, err, stdout)
	}
}

// listed is what these scenarios read of `list --json`.
type listed struct {
	Name       string
	Accessible bool
	Holders    []string
	USB        struct{ Port string }
}

// checkTalk runs list, info and apdu on the one token that is plugged in.
func (p program) checkTalk(t *testing.T, driver, port string) {
	t.Helper()
	var list []listed
	p.json(t, &list, "list")
	if len(list) != 1 || !list[0].Accessible || list[0].USB.Port != port || !strings.Contains(list[0].Name, "KAZTOKEN") {
		t.Errorf("list: got %+v, want the token at port %s", list, port)
	}
	var info struct {
		Driver string
		Slot   struct{ ATR, Protocol string }
	}
	p.json(t, &info, "info")
	if info.Driver != driver || info.Slot.ATR != tokenATR || info.Slot.Protocol != "T=1" {
		t.Errorf("info: got %+v", info)
	}
	script := "# from a file\n80 EC 41 01 03\n\nreset\n80EC000004DEADBEEF04 # with data\n"
	stdout, stderr, code := p.run(t, script, "--json", "apdu")
	if code != 0 {
		t.Fatalf("apdu: exit code %d: %s", code, stderr)
	}
	var answers []string
	for line := range strings.Lines(stdout) {
		var a struct{ Data, SW, ATR string }
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("apdu: %v in %s", err, line)
		}
		answers = append(answers, a.Data+a.SW+a.ATR)
	}
	if got, want := fmt.Sprint(answers), fmt.Sprint([]string{"4142439000", tokenATR, "DEADBEEF9000"}); got != want {
		t.Errorf("apdu: got %s, want %s", got, want)
	}
}

// TestProgram runs the program's commands on a token that comes and goes.
func TestProgram(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		p := programWith(d.name)
		if _, stderr, code := p.run(t, "", "info"); code != exitNoToken || stderr == "" {
			t.Errorf("info without a token: exit code %d, %q; want %d", code, stderr, exitNoToken)
		}
		k := newToken(t, ccidsim.KAZTOKEN)
		k.plug(t)
		dev, _ := k.appear(t)
		p.checkTalk(t, d.name, dev.Port)
		k.unplug(t)
		k.vanish(t)

		w := startWatching(t, p)
		for range 3 {
			k.plug(t)
			if e := w.next(t); e.Event != "arrived" || len(e.Slots) != 1 || e.Slots[0].ATR != tokenATR {
				t.Errorf("watch: got %+v, want arrived", e)
			}
			k.unplug(t)
			if e := w.next(t); e.Event != "removed" {
				t.Errorf("watch: got %+v, want removed", e)
			}
			k.vanish(t)
		}
		w.interrupt(t)
	})
}

// TestStaticProgram runs the program built without cgo where there is nothing
// but itself and the kernel: no libusb, no libc, no udev.
func TestStaticProgram(t *testing.T) {
	const path = "static/kaztoken"
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Fatal("the program is linked dynamically")
		}
	}

	root := t.TempDir()
	if out, err := exec.Command("cp", path, root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, dir := range []string{"dev", "proc", "sys"} {
		dir, mounted := "/"+dir, filepath.Join(root, dir)
		if err := os.Mkdir(mounted, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount(dir, mounted, "", syscall.MS_BIND, ""); err != nil {
			t.Fatalf("bind %s: %v", dir, err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(mounted, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	dev, _ := k.appear(t)
	p := program{path: "/kaztoken", attr: syscall.SysProcAttr{Chroot: root}}
	p.checkTalk(t, "usbfs", dev.Port)
}

// TestPermissions runs the program as a user who may not open the token, is
// told so, and may once the project's udev rule is installed.
func TestPermissions(t *testing.T) {
	eachDriver(t, func(t *testing.T, d driver) {
		p := programWith(d.name).as(usersGroup)
		k := newToken(t, ccidsim.KAZTOKEN)
		k.plug(t)
		dev, _ := k.appear(t)
		udevadm(t, "settle")

		var list []listed
		p.json(t, &list, "list")
		if len(list) != 1 || list[0].Accessible {
			t.Errorf("list: got %+v, want a token without access", list)
		}
		_, stderr, code := p.run(t, "", "info")
		if code != exitOutOfReach || !strings.Contains(stderr, "permission") || !strings.Contains(stderr, "udev-rules") {
			t.Errorf("info: exit code %d, %q; want %d and a hint at the udev rule", code, stderr, exitOutOfReach)
		}

		// A program that waits gets the token when the rule comes.
		w := startWatching(t, p)
		if e := w.next(t); e.Event != "failed" || !strings.Contains(e.Hint, "udev-rules") {
			t.Errorf("watch: got %+v, want failed with a hint", e)
		}
		installRules(t)
		if e := w.next(t); e.Event != "arrived" {
			t.Errorf("watch: got %+v, want arrived", e)
		}
		w.interrupt(t)

		k.unplug(t)
		k.vanish(t)
		k.plug(t)
		dev, _ = k.appear(t)
		udevadm(t, "settle")
		p.checkTalk(t, d.name, dev.Port)
		other := programWith(d.name).as()
		if _, _, code := other.run(t, "", "info"); code != exitOutOfReach {
			t.Errorf("a user outside the group: exit code %d, want %d", code, exitOutOfReach)
		}
	})
}

// usersGroup is the number the group of the udev rule gets in the machine.
const usersGroup = 4711

// installRules installs the rules file until the end of the test.
func installRules(t *testing.T) {
	t.Helper()
	rules, err := os.ReadFile(udev.RulesFile)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	const dir = "/etc/udev/rules.d"
	group := fmt.Sprintf("%s:x:%d:\n", udev.DefaultRules().Group, usersGroup)
	err = errors.Join(
		os.WriteFile("/etc/group", append(groups, group...), 0o644),
		os.MkdirAll(dir, 0o755),
		os.WriteFile(filepath.Join(dir, udev.RulesFile), rules, 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := errors.Join(os.WriteFile("/etc/group", groups, 0o644), os.Remove(filepath.Join(dir, udev.RulesFile)))
		if err != nil {
			t.Error(err)
		}
		udevadm(t, "control", "--reload")
	})
	udevadm(t, "control", "--reload")
	udevadm(t, "trigger", "--subsystem-match=usb")
}

func udevadm(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("udevadm", args...).CombinedOutput(); err != nil {
		t.Fatalf("udevadm %v: %v: %s", args, err, out)
	}
}

// TestHeldByPCSCD: the stock service has the token, and who asks is told.
func TestHeldByPCSCD(t *testing.T) {
	k := newToken(t, ccidsim.RutokenECP)
	k.plug(t)
	dev, ifc := k.appear(t)
	stop := startPCSCD(t, onlyUSB)
	holder := await(t, "pcscd to open the token", func() (udev.Holder, bool) {
		holders, err := udev.Holders(udev.Proc(), dev.Bus, dev.Addr)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range holders {
			if h.Name == "pcscd" {
				return h, true
			}
		}
		return udev.Holder{}, false
	})
	if _, _, err := stock(t, "Rutoken", [][]byte{{0x80, 0xEC, 0, 0, 1}}, 0); err != nil {
		t.Fatal(err)
	}
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			p := programWith(d.name)
			p.args = append(p.args, "--backend", "usb", "--devices", "rutoken")
			_, stderr, code := p.run(t, "", "info")
			if code != exitOutOfReach || !strings.Contains(stderr, holder.String()) || !strings.Contains(stderr, "hint:") {
				t.Errorf("info: exit code %d, %q; want %d, %q and a hint", code, stderr, exitOutOfReach, holder)
			}
			var list []listed
			p.json(t, &list, "list")
			if len(list) != 1 || fmt.Sprint(list[0].Holders) != fmt.Sprint([]string{holder.String()}) {
				t.Errorf("list: got %+v, want it held by %v", list, holder)
			}
		})
	}
	stop()
	for _, d := range drivers {
		_, closeReader := openReader(t, d, dev, ifc)
		closeReader()
	}
}

// watching is a running `kaztoken list --watch --json`.
type watching struct {
	cmd    *exec.Cmd
	lines  chan string
	stderr bytes.Buffer
}

// watched is what these scenarios read of its lines.
type watched struct {
	Event, Error, Hint string
	Slots              []struct{ ATR string }
}

func startWatching(t *testing.T, p program) *watching {
	t.Helper()
	w := &watching{cmd: p.command(t, "--json", "list", "--watch"), lines: make(chan string, 100)}
	w.cmd.Stderr = &w.stderr
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			w.lines <- s.Text()
		}
	}()
	return w
}

func (w *watching) next(t *testing.T) (e watched) {
	t.Helper()
	select {
	case line, ok := <-w.lines:
		if !ok {
			t.Fatalf("watch ended: %s", &w.stderr)
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("watch: %v in %s", err, line)
		}
	case <-time.After(answerLimit):
		t.Fatalf("watch: nothing in %v", answerLimit)
	}
	return e
}

// interrupt ends it as Ctrl-C does: nothing more is printed, and the exit code
// is 0.
func (w *watching) interrupt(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for line := range w.lines {
		t.Errorf("watch: unexpected %s", line)
	}
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("watch: %v: %s", err, &w.stderr)
	}
}

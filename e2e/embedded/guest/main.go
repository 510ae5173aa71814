//go:build linux

// Command guest is the first process, and with the program under test the only
// one, of a machine that has no distribution: no libc, no libusb, no libpcsclite,
// no udev daemon and no shell. It plugs a software token into the kernel and runs
// kaztoken as a person would, and prints one line for each thing that holds
// ("ok …"), does not ("FAIL …") or was measured ("is …"). The last line is "end".
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb/usbip"
)

const (
	program = "/usr/bin/kaztoken"
	minimal = "/usr/bin/kaztoken-minimal"
	socket  = "/run/pcscd/pcscd.comm"

	// limit bounds each step: a second or two is usual under emulation.
	limit = time.Minute
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the first process of a machine: make e2e")
		os.Exit(2)
	}
	if err := setUp(); err != nil {
		fmt.Println("FAIL set-up:", err)
	} else {
		scenario()
	}
	fmt.Println("end")
	unix.Sync()
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

// setUp mounts the kernel's file systems and loads the modules.
func setUp() error {
	for _, fs := range []string{"proc /proc", "sysfs /sys", "devtmpfs /dev", "tmpfs /run", "tmpfs /tmp"} {
		kind, dir, _ := strings.Cut(fs, " ")
		if err := unix.Mount(kind, dir, kind, 0, ""); err != nil && !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
	}
	order, err := os.ReadFile("/modules/order")
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(order)) {
		f, err := os.Open("/modules/" + name + ".ko")
		if err != nil {
			return err
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		f.Close()
		if err != nil {
			return fmt.Errorf("module %s: %w", name, err)
		}
	}
	return errors.Join(os.MkdirAll(filepath.Dir(socket), 0o755), os.Setenv("PATH", "/usr/bin"), os.Setenv("HOME", "/tmp"))
}

// check prints whether something holds.
func check(what string, err error) bool {
	if err != nil {
		fmt.Printf("FAIL %s: %v\n", what, strings.ReplaceAll(err.Error(), "\n", " | "))
		return false
	}
	fmt.Println("ok", what)
	return true
}

func scenario() {
	var system unix.Utsname
	if err := unix.Uname(&system); check("uname", err) {
		fmt.Printf("is kernel %s on %s\n", unix.ByteSliceToString(system.Release[:]), unix.ByteSliceToString(system.Machine[:]))
	}
	for _, p := range []string{program, minimal} {
		if info, err := os.Stat(p); check("size of "+p, err) {
			fmt.Printf("is %s %d bytes\n", p, info.Size())
		}
	}
	check("nothing is plugged in", ends(3, "", "no token", program, "list"))

	var server usbip.Server
	defer server.Close()
	address := "/run/usbip"
	listener, err := net.Listen("unix", address)
	if !check("USB/IP", err) {
		return
	}
	go server.Serve(listener)
	card := emu.New()
	var device *ccidsim.Device
	plug := func() error {
		device = ccidsim.New(ccidsim.KAZTOKEN, card)
		id, err := server.Add(device)
		if err != nil {
			return err
		}
		conn, err := net.Dial("unix", address)
		if err != nil {
			return err
		}
		_, err = usbip.VHCI{}.Attach(conn, id)
		return err
	}

	watch, err := start(program, "list", "--watch")
	if !check("list --watch starts", err) {
		return
	}
	defer watch.stop()
	check("plugging in", plug())
	check("the arrival is told", watch.expect("arrived"))

	// list --watch has the token open: the others take their turn after it.
	watch.stop()
	check("list", ends(0, "", "DigiFlow LLP. KAZTOKEN", program, "list"))
	check("info", ends(0, "", "KAZTOKEN", program, "info"))
	echo := strings.Repeat("80 EC 40 01 04\n", 500)
	check("info of the minimal program", ends(0, "", "KAZTOKEN", minimal, "info"))
	check("500 APDUs", ends(0, echo, "40 41 42 43", program, "apdu"))

	serve, err := start(program, "serve", "--socket", socket)
	if !check("serve starts", err) {
		return
	}
	defer serve.stop()
	check("serve has its socket", waitFor(func() error { _, err := os.Stat(socket); return err }))
	check("list through the service", ends(0, "", "DigiFlow LLP. KAZTOKEN", program, "--backend", "pcsc", "list"))
	check("500 APDUs through the service", ends(0, echo, "40 41 42 43", program, "--backend", "pcsc", "apdu"))
	check("status", ends(0, "", "DigiFlow LLP. KAZTOKEN", program, "status", "--socket", socket))
	check("serve is alone in its memory", alone(serve.cmd.Process.Pid))
	if kb, err := resident(serve.cmd.Process.Pid); check("resident memory", err) {
		fmt.Printf("is resident memory of serve %s\n", kb)
	}

	watch, err = start(program, "--backend", "pcsc", "list", "--watch")
	if !check("list --watch of the service starts", err) {
		return
	}
	defer watch.stop()
	check("the token is there", watch.expect("arrived"))
	for i := range 5 {
		device.Unplug()
		check(fmt.Sprintf("removal %d is told", i+1), watch.expect("removed"))
		check(fmt.Sprintf("plugging in %d", i+1), plug())
		check(fmt.Sprintf("arrival %d is told", i+1), watch.expect("arrived"))
	}
	check("an APDU after all that", ends(0, "", "40 41 42 43", program, "--backend", "pcsc", "apdu", "80EC400104"))
}

// ends runs a program to its end, and says what was wrong with its exit code or
// with what it printed.
func ends(code int, input, want string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	if got := cmd.ProcessState.ExitCode(); got != code || !bytes.Contains(out.Bytes(), []byte(want)) {
		return fmt.Errorf("exit code %d (%v), want %d and %q in: %.300s", got, err, code, want, out.Bytes())
	}
	return nil
}

// running is a program that goes on.
type running struct {
	cmd   *exec.Cmd
	lines chan string
}

func start(name string, args ...string) (*running, error) {
	r := &running{cmd: exec.Command(name, args...), lines: make(chan string, 100)}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	r.cmd.Stdout, r.cmd.Stderr = in, in
	err = r.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	go func() {
		defer out.Close()
		defer close(r.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	return r, nil
}

// expect waits for a line with a text.
func (r *running) expect(text string) error {
	timeout := time.After(limit)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				return io.ErrUnexpectedEOF
			}
			if strings.Contains(line, text) {
				return nil
			}
		case <-timeout:
			return fmt.Errorf("no line with %q in %v", text, limit)
		}
	}
}

// stop ends the program; it may have ended.
func (r *running) stop() {
	if r.cmd.ProcessState == nil {
		r.cmd.Process.Signal(syscall.SIGTERM)
		r.cmd.Wait()
	}
}

// waitFor asks again until there is no error, for a bounded time.
func waitFor(ask func() error) error {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		err := ask()
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// alone says which other file a process has mapped.
func alone(pid int) error {
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 && strings.TrimSpace(line[i:]) != program {
			return errors.New("it has mapped " + line[i:])
		}
	}
	return nil
}

// resident is the memory of a process that is in memory, as the kernel puts it.
func resident(pid int) (string, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", errors.New("the kernel does not say")
}

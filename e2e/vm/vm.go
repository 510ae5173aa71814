//go:build linux

// Package vm boots a virtual machine with an unmodified Debian kernel and runs
// one program in it.
//
// The machine sees the host's file system read-only, with the packages of
// guest-packages.txt and then memory laid over it, so any program of the host
// runs in it and nothing it does is left behind. One directory is shared for
// writing: [GuestShare]. A program must not lie in the host's /tmp, /run,
// /var/tmp or /root, where the guest has memory of its own; put it in the
// shared directory.
//
// QEMU translates the guest's code (TCG), whether or not the processor could
// run it: the machine is the same everywhere, and slow everywhere. Compare what
// is measured in it, and never quote it.
package vm

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// GuestShare is where the machine sees Config.Share.
const GuestShare = "/mnt/kaztoken"

//go:embed init.sh
var initScript []byte

//go:embed stage2.sh
var stage2Script []byte

// Config says what to boot.
type Config struct {
	Parts *Parts
	// Share is a directory of the host, writable from both sides. The machine's
	// console is written to the file "console" in it.
	Share string
	// Command is a shell command that the guest runs as root, in GuestShare,
	// with udevd running. The machine ends with it.
	Command string
	// Devices are further -device, -object and similar options for QEMU.
	Devices []string
	// Limit ends the machine by force.
	Limit time.Duration
	// Counted has one processor whose clock counts its instructions, 2 ns each, so
	// that what is measured does not hang on how busy the host is. What a real
	// processor loses by changing from one process to another is not seen then.
	Counted bool
}

// Machine is one virtual machine that was started.
type Machine struct {
	// Output is what the command writes to its standard output and error. It
	// ends when the machine does.
	Output io.Reader

	share   string
	closers []io.Closer
	cancel  context.CancelFunc
	done    chan struct{}
	err     error // of the QEMU process; read after done is closed
}

// Start boots a machine. It lives until its command ends, Limit is over, ctx is
// done or Close is called, and never longer than this process. The caller
// reads Output to its end, calls Wait and then Close.
func Start(ctx context.Context, c Config) (_ *Machine, err error) {
	m := &Machine{share: c.Share, done: make(chan struct{})}
	defer func() {
		if err != nil {
			m.closeAll()
		}
	}()

	files := map[string][]byte{"stage2.sh": stage2Script, "command": []byte(c.Command + "\n")}
	if files["initramfs"], err = initramfs(c.Parts); err != nil {
		return nil, fmt.Errorf("initramfs: %w", err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(c.Share, name), data, 0o644); err != nil {
			return nil, err
		}
	}

	outHost, outGuest, err := m.socketpair("stdout")
	if err != nil {
		return nil, err
	}
	portHost, portGuest, err := m.socketpair("monitor port")
	if err != nil {
		return nil, err
	}
	monitorHost, monitorGuest, err := m.socketpair("monitor")
	if err != nil {
		return nil, err
	}

	ctx, m.cancel = context.WithTimeout(ctx, c.Limit)
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", arguments(c)...)
	cmd.ExtraFiles = []*os.File{outGuest, portGuest, monitorGuest} // descriptors 3, 4, 5
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}

	started := make(chan error)
	go func() {
		// The signal on parent's death follows the thread that forked: it has
		// to live as long as the machine.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer m.cancel()
		defer close(m.done)
		err := cmd.Start()
		started <- err
		if err != nil {
			return
		}
		err = cmd.Wait()
		switch {
		case ctx.Err() != nil:
			m.err = fmt.Errorf("machine ended by force: %w", context.Cause(ctx))
		case err != nil:
			m.err = fmt.Errorf("QEMU: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("QEMU: %w", err)
	}
	for _, f := range cmd.ExtraFiles {
		f.Close()
	}

	m.Output = outHost
	// The guest gets the monitor of its own machine, so that a scenario can plug
	// in QEMU's devices itself.
	go io.Copy(portHost, monitorHost)
	go io.Copy(monitorHost, portHost)
	return m, nil
}

// Wait waits for the machine's end. It returns nil if the command ended with
// status 0, and else says what happened.
func (m *Machine) Wait() error {
	<-m.done
	if m.err != nil {
		return m.err
	}
	if faults := m.kernelFaults(); faults != "" {
		return fmt.Errorf("the guest's kernel failed:\n%s", faults)
	}
	status, err := os.ReadFile(filepath.Join(m.share, "exit"))
	if err != nil {
		return errors.New("the machine stopped before its command did")
	}
	if s := strings.TrimSpace(string(status)); s != "0" {
		return fmt.Errorf("the command ended with status %s", s)
	}
	return nil
}

// Close ends the machine if it still runs, and waits for that.
func (m *Machine) Close() {
	m.cancel()
	<-m.done
	m.closeAll()
}

// Console returns the last lines of the machine's console.
func (m *Machine) Console(lines int) string {
	all := m.console()
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kernelFaults returns what the kernel said about faults of its own.
func (m *Machine) kernelFaults() string {
	var faults []string
	for _, line := range m.console() {
		for _, sign := range []string{"Kernel panic", "BUG:", "Oops:", "general protection fault"} {
			if strings.Contains(line, sign) {
				faults = append(faults, line)
				break
			}
		}
	}
	return strings.Join(faults, "\n")
}

func (m *Machine) console() []string {
	data, err := os.ReadFile(filepath.Join(m.share, "console"))
	if err != nil {
		return []string{"no console: " + err.Error()}
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(data), "\r", "")), "\n")
}

// socketpair makes a connected pair of stream sockets: ours, and QEMU's.
func (m *Machine) socketpair(name string) (net.Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), name), os.NewFile(uintptr(fds[1]), name)
	defer ours.Close()
	m.closers = append(m.closers, theirs)
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, err
	}
	m.closers = append(m.closers, conn)
	return conn, theirs, nil
}

func (m *Machine) closeAll() {
	for _, c := range m.closers {
		c.Close()
	}
}

// arguments are QEMU's, for descriptors 3 (standard output of the command),
// 4 (the port of the monitor in the guest) and 5 (the monitor itself).
//
// The processor is an old one because its code is translated sooner, and the
// clock is read from it because the chipset's takes an exit to QEMU each time. The
// kernel does not check whether its timer ticks: on a busy host it takes a late
// tick for a broken chipset, and panics.
func arguments(c Config) []string {
	share := func(tag, path, options string) []string {
		// Two host file systems may number their files alike: remap keeps them apart.
		return []string{
			"-fsdev", "local,id=" + tag + ",path=" + strings.ReplaceAll(path, ",", ",,") + ",security_model=none,multidevs=remap" + options,
			"-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag,
		}
	}
	processors := []string{"-accel", "tcg,thread=multi", "-smp", strconv.Itoa(min(2, runtime.NumCPU()))}
	if c.Counted {
		processors = []string{"-accel", "tcg,thread=single", "-smp", "1", "-icount", "shift=1"}
	}
	args := append(processors,
		"-machine", "q35", "-cpu", "Nehalem,rdrand=on", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", c.Parts.Kernel, "-initrd", filepath.Join(c.Share, "initramfs"),
		"-append", "console=ttyS0 quiet loglevel=5 panic=-1 oops=panic mitigations=off clocksource=tsc tsc=reliable no_timer_check",
		"-serial", "file:"+filepath.Join(c.Share, "console"),
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=stdout,fd=3", "-device", "virtserialport,chardev=stdout,name=stdout",
		"-chardev", "socket,id=port,fd=4", "-device", "virtserialport,chardev=port,name=monitor",
		"-chardev", "socket,id=monitor,fd=5", "-mon", "chardev=monitor,mode=control",
		"-device", "qemu-xhci,id=xhci",
	)
	args = append(args, share("host", "/", ",readonly=on")...)
	args = append(args, share("packages", c.Parts.Packages, ",readonly=on")...)
	args = append(args, share("share", c.Share, "")...)
	return append(args, c.Devices...)
}

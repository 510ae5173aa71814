//go:build e2e && linux

// Package embedded runs the static program on another architecture, on a Debian
// kernel and nothing else: as on a device with a flash of a few megabytes.
package embedded

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kaztoken/e2e/vm"
)

// limit bounds the whole life of a machine.
const limit = 5 * time.Minute

// TestARM64 boots a machine with a 64-bit ARM processor and repeats each line of
// what its first process says.
func TestARM64(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	parts, err := vm.PrepareEmbedded(ctx, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string][]byte{
		"/init":                     build(ctx, t, "./guest"),
		"/usr/bin/kaztoken":         build(ctx, t, "../../cmd/kaztoken"),
		"/usr/bin/kaztoken-minimal": build(ctx, t, "-tags", "minimal", "../../cmd/kaztoken"),
	}
	root, err := vm.EmbeddedRoot(parts, programs)
	if err != nil {
		t.Fatal(err)
	}
	initramfs := filepath.Join(t.TempDir(), "initramfs")
	if err := os.WriteFile(initramfs, root, 0o644); err != nil {
		t.Fatal(err)
	}

	// The least of machines: a processor, memory and a serial port.
	qemu := exec.CommandContext(ctx, "qemu-system-aarch64", "-accel", "tcg,thread=multi", "-machine", "virt", "-cpu", "cortex-a53",
		"-smp", "2", "-m", "256", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio",
		"-kernel", parts.Kernel, "-initrd", initramfs, "-append", "console=ttyAMA0 quiet loglevel=4 panic=-1")
	var stderr bytes.Buffer
	qemu.Stderr = &stderr
	output, err := qemu.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := qemu.Start(); err != nil {
		t.Fatalf("%v: run make deps-e2e", err)
	}
	oks, ended := 0, false
	var rest []string // what the kernel says between our lines
	for s := bufio.NewScanner(output); s.Scan(); {
		switch line := strings.TrimSpace(s.Text()); {
		case strings.HasPrefix(line, "ok "):
			oks++
			t.Log(line)
		case strings.HasPrefix(line, "is "):
			t.Log(line)
		case strings.HasPrefix(line, "FAIL "):
			t.Error(line)
		case line == "end":
			ended = true
		case line != "":
			rest = append(rest, line)
		}
	}
	io.Copy(io.Discard, output)
	if err := qemu.Wait(); err != nil {
		t.Errorf("QEMU: %v: %s", errors.Join(err, ctx.Err()), stderr.Bytes())
	}
	if !ended || oks == 0 {
		t.Errorf("the machine stopped early; its console:\n%s", strings.Join(rest, "\n"))
	}
}

// build makes a static, stripped program for the machine.
func build(ctx context.Context, t *testing.T, args ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-ldflags", "-s -w", "-o", path}, args...)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkServe is an APDU of a C program through libpcsclite, on this machine:
// what the service adds to an echo of a card in software, with no USB.
func BenchmarkServe(b *testing.B) {
	dir := b.TempDir()
	program, client := filepath.Join(dir, "kaztoken"), filepath.Join(dir, "stockclient")
	run(b, nil, "go", "build", "-o", program, "../cmd/kaztoken")
	libpcsclite := run(b, nil, "pkg-config", "--cflags", "--libs", "libpcsclite")
	run(b, nil, "gcc", append([]string{"-O2", "-o", client, "guest/testdata/stockclient.c"}, strings.Fields(libpcsclite)...)...)
	socket := filepath.Join(dir, "pcsc")
	serveVirtual(b, program, socket)
	b.Setenv("PCSCLITE_CSOCK_NAME", socket)
	for _, size := range []int{5, 64, 250} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			// ECHO of as many bytes (package emu)
			apdu := fmt.Sprintf("80EE0000%02X%0*X%02X\n", size, 2*size, 0, size)
			var took []time.Duration
			answers := run(b, strings.NewReader(strings.Repeat(apdu, b.N)), client, "0", "KAZTOKEN")
			for line := range strings.Lines(answers) {
				answer, nanoseconds, _ := strings.Cut(strings.TrimSpace(line), " ")
				if answer == "ATR" {
					continue
				}
				n, err := strconv.ParseInt(nanoseconds, 10, 64)
				if err != nil || !strings.HasSuffix(answer, "9000") {
					b.Fatalf("answer %q, %v", line, err)
				}
				took = append(took, time.Duration(n))
			}
			if len(took) != b.N {
				b.Fatalf("%d answers, want %d", len(took), b.N)
			}
			slices.Sort(took)
			b.ReportMetric(0, "ns/op") // with the start of the client, it means nothing
			b.ReportMetric(float64(took[len(took)/2]), "ns/median")
			b.ReportMetric(float64(took[len(took)*99/100]), "ns/99th")
		})
	}
}

// serveVirtual runs kaztoken serve until the end of the test.
func serveVirtual(b *testing.B, program, socket string) {
	var log bytes.Buffer
	cmd := exec.Command(program, "serve", "--virtual", "--socket", socket)
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			b.Errorf("serve: %v\n%s", err, &log)
		}
	})
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	for {
		nc, err := net.Dial("unix", socket)
		if err == nil {
			nc.Close()
			return
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			b.Fatal(err)
		}
	}
}

// run gives what a program prints.
func run(b *testing.B, in *strings.Reader, name string, args ...string) string {
	b.Helper()
	cmd := exec.Command(name, args...)
	if in != nil {
		cmd.Stdin = in
	}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
	return string(out)
}

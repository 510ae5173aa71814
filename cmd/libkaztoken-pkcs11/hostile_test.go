//go:build cgo && linux

package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var sanitize = flag.Bool("sanitize", false, "build the library with the address sanitizer for TestHostile")

// sanitized are the options of a C compiler that finds bytes that are not there,
// and what C leaves undefined.
const sanitized = "-fsanitize=address,undefined"

// TestHostile calls every function with arguments that no good program gives.
func TestHostile(t *testing.T) {
	startService(t)
	m := load(t)
	m.generate(m.user(), 1024, "k")
	m.end()
	cmd := exec.Command(cc(t, "hostile"), library(t))
	if *sanitize {
		cmd = sanitizedHostile(t)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// sanitizedHostile builds library and program so that each access to memory is
// checked, those in Go to the caller's as well.
func sanitizedHostile(t *testing.T) *exec.Cmd {
	t.Helper()
	dir := t.TempDir()
	module, program := filepath.Join(dir, "module.so"), filepath.Join(dir, "hostile")
	for _, args := range [][]string{
		{"go", "build", "-asan", "-buildmode=c-shared", "-tags", "netgo,osusergo,nolibusb", "-o", module, "."},
		{"cc", "-g", "-Wall", "-Werror", sanitized, "-fno-sanitize-recover=all", "-o", program, "testdata/hostile.c", "-ldl"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "CGO_CFLAGS=-g -O1 -fsanitize=undefined -fno-sanitize-recover=all", "CGO_LDFLAGS=-fsanitize=undefined")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	cmd := exec.Command(program, module)
	// Go's runtime keeps what it has until the end.
	cmd.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=0:abort_on_error=1")
	return cmd
}

//go:build cgo && linux

package main

import (
	"bytes"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// functions are the symbols that a smart-card service looks for.
var functions = []string{
	"IFDHCloseChannel", "IFDHControl", "IFDHCreateChannel", "IFDHCreateChannelByName", "IFDHGetCapabilities",
	"IFDHICCPresence", "IFDHPowerICC", "IFDHSetCapabilities", "IFDHSetProtocolParameters", "IFDHTransmitToICC",
}

// build makes the bundle as `make ifd` does, with build tags, and gives the path
// of the library.
func build(t *testing.T, tags string) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("../../.ci/ifd", dir)
	cmd.Env = append(os.Environ(), "TAGS="+tags)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "ifd-kaztoken.bundle", "Contents", "Linux", "libifdkaztoken.so")
}

// TestLibrary looks at the bundle from outside.
func TestLibrary(t *testing.T) {
	library := build(t, "")
	t.Run("symbols", func(t *testing.T) { testSymbols(t, library) })
	t.Run("bundle", func(t *testing.T) {
		dir := filepath.Dir(filepath.Dir(library))
		list, err := os.ReadFile(filepath.Join(dir, "Info.plist"))
		if err != nil || !bytes.Contains(list, []byte("<key>CFBundleExecutable</key>\n\t<string>libifdkaztoken.so</string>")) {
			t.Errorf("%v in %s", err, list)
		}
		var files []string
		for _, pattern := range []string{"*", "*/*"} {
			found, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				files = append(files, strings.TrimPrefix(f, dir+"/"))
			}
		}
		if diff := cmp.Diff([]string{"Info.plist", "Linux", "Linux/libifdkaztoken.so"}, files); diff != "" {
			t.Error(diff)
		}
	})
}

// testSymbols is nm -D.
func testSymbols(t *testing.T, library string) {
	f, err := elf.Open(library)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			shown = append(shown, s.Name)
		}
	}
	slices.Sort(shown)
	if diff := cmp.Diff(functions, shown); diff != "" {
		t.Errorf("symbols (-want +got):\n%s", diff)
	}
	needed, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range needed {
		if n != "libc.so.6" {
			t.Errorf("the library needs %s", n)
		}
	}
	// Go cannot be unloaded.
	if flags, err := f.DynValue(elf.DT_FLAGS_1); err != nil || len(flags) != 1 || elf.DynFlag1(flags[0])&elf.DF_1_NODELETE == 0 {
		t.Errorf("DT_FLAGS_1 %v, %v: no NODELETE", flags, err)
	}
}

// TestAppleTypes compiles the C with the types that macOS has, which differ in
// size. More of it cannot be compiled here.
func TestAppleTypes(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{
		{"go", "tool", "cgo", "-objdir", dir, "-importpath", "kaztoken/cmd/libifdkaztoken", "--", "-I.", "ifdh.go"},
		{"gcc", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D__APPLE__", "-I.", "-I" + dir, "exports.c"},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}

// TestHost has testdata/host.c load the library as a smart-card service does, with
// a token in software, once with a log and once without.
func TestHost(t *testing.T) {
	library := build(t, "simulated")
	for _, c := range []struct{ name, define, trace string }{
		{"log", "-DLOG", "1"},
		{"silent", "-ULOG", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := filepath.Join(t.TempDir(), "host")
			if out, err := exec.Command("gcc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", c.define, "-I.", "-rdynamic",
				"-o", program, "testdata/host.c", "-ldl", "-lpthread").CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, program, library)
			cmd.Env = append(os.Environ(), traceVariable+"="+c.trace)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// TestApart: a command that lies where the answer goes is copied, and nothing of
// the copy is left.
func TestApart(t *testing.T) {
	b := []byte{0x00, 0x20, 0x00, 0x02, 4, '1', '2', '3', '4', 0}
	for _, c := range []struct {
		name   string
		tx, rx []byte
		copied bool
	}{
		{"the same", b, b, true},
		{"its end", b, b[9:], true},
		{"its beginning", b[4:], b[:5], true},
		{"behind it", b[:4], b[4:], false},
		{"before it", b[4:], b[:4], false},
		{"nothing", nil, b, false},
		{"no answer", b, nil, false},
	} {
		own, done := apart(c.tx, c.rx)
		if !bytes.Equal(own, c.tx) {
			t.Errorf("%s: % X", c.name, own)
		}
		if copied := len(own) > 0 && &own[0] != &c.tx[0]; copied != c.copied {
			t.Errorf("%s: copied %t", c.name, copied)
		}
		done()
		if c.copied && len(bytes.Trim(own, "\x00")) > 0 {
			t.Errorf("%s: % X is left", c.name, own)
		}
	}
	if b[5] != '1' {
		t.Error("the host's own command was wiped")
	}
}

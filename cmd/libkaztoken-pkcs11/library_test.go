//go:build cgo && linux

package main

import (
	"bufio"
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"kaztoken/bridge/client"
	"kaztoken/internal/host"
)

// built is the library as make pkcs11 builds it, made once.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "kazp11")
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	cmd := exec.Command(filepath.Join(root, ".ci/pkcs11"), dir)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return filepath.Join(dir, "libkaztoken-pkcs11.so"), cmd.Run()
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := built(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

func library(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// service is a PC/SC service with a virtual token, which the library finds by the
// environment.
type service struct {
	t      testing.TB
	socket string
	stop   func()
}

func startService(t testing.TB) *service {
	t.Helper()
	dir, err := os.MkdirTemp("", "kaz") // a socket's name has 108 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &service{t: t, socket: filepath.Join(dir, "s")}
	t.Setenv(client.PathVariable, s.socket)
	t.Setenv("XDG_RUNTIME_DIR", dir)
	s.start(filepath.Join(dir, "state"))
	t.Cleanup(func() { s.stop() })
	return s
}

// start plugs the token in that is kept in a file.
func (s *service) start(state string) {
	s.t.Helper()
	var o host.ServiceOptions
	o.Virtual, o.VirtualState, o.Socket = true, state, s.socket
	opened, err := host.OpenService(s.t.Context(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- opened.Serve(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("serve: %v", err)
		}
		if err := opened.Close(); err != nil {
			s.t.Errorf("close: %v", err)
		}
	})
}

// functions are the names in functions.h, in its order.
func functions(t *testing.T) []string {
	t.Helper()
	f, err := os.Open("functions.h")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	entry := regexp.MustCompile(`^[FIMT]\((\w+), `)
	var names []string
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if m := entry.FindStringSubmatch(lines.Text()); m != nil {
			names = append(names, "C_"+m[1])
		}
	}
	return names
}

// TestSymbols has the library show the functions of the standard and nothing else,
// and need nothing but the C library.
func TestSymbols(t *testing.T) {
	f, err := elf.Open(library(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for _, s := range all {
		if s.Section != elf.SHN_UNDEF {
			shown = append(shown, s.Name)
		}
	}
	want := functions(t)
	if len(want) != 68+24 { // PKCS #11 v2.40, and what v3.0 added
		t.Errorf("%d functions, want 92", len(want))
	}
	slices.Sort(shown)
	slices.Sort(want)
	if !slices.Equal(shown, want) {
		t.Errorf("shown:\n%s\nwant:\n%s", strings.Join(shown, "\n"), strings.Join(want, "\n"))
	}
	needs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range needs {
		if name, _, _ := strings.Cut(n, ".so"); !slices.Contains([]string{"libc", "libpthread", "libdl", "ld-linux-x86-64", "ld-linux-aarch64"}, name) {
			t.Errorf("the library needs %s", n)
		}
	}
}

// cc compiles a program of testdata.
func cc(t *testing.T, name string) string {
	t.Helper()
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	program := filepath.Join(t.TempDir(), name)
	out, err := exec.Command(compiler, "-Wall", "-Werror", "-o", program, filepath.Join("testdata", name+".c"), "-ldl", "-lpthread").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return program
}

// TestFork uses the library in a process, in its children and in their child.
func TestFork(t *testing.T) {
	startService(t)
	m := load(t)
	m.generate(m.user(), 1024, "k")
	m.end()
	dir, name := filepath.Split(library(t))
	cmd := exec.Command(cc(t, "fork"), "./"+name)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

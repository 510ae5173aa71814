package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"kaztoken/bridge/wire"
	"kaztoken/udev"
)

func TestListen(t *testing.T) {
	dir := t.TempDir()
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(dir, "pcscd", "pcscd.comm")
	for range 2 { // the second time nothing of the first is in the way
		e, err := listen(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]fs.FileMode{
			filepath.Dir(path): fs.ModeDir | 0o755, path: fs.ModeSocket | 0o666, filepath.Join(dir, "pcscd", "pcscd.pid"): 0o644,
		} {
			info, err := os.Lstat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != want {
				t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
			}
		}
		if got, err := os.ReadFile(PIDFile(path)); err != nil || string(got) != fmt.Sprintf("%d\n", os.Getpid()) {
			t.Errorf("pid file %q, %v", got, err)
		}
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if err := e.close(); err != nil {
			t.Error(err)
		}
		if err := e.close(); err != nil {
			t.Errorf("again: %v", err)
		}
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) > 0 {
			t.Errorf("close left %v, %v", left, err)
		}
	}
}

func TestPIDFile(t *testing.T) {
	for socket, want := range map[string]string{
		DefaultSocket: "/run/pcscd/pcscd.pid", "/tmp/s": "/tmp/s.pid", "/tmp/.comm": "/tmp/.pid",
	} {
		if got := PIDFile(socket); got != want {
			t.Errorf("PIDFile(%s) = %s, want %s", socket, got, want)
		}
	}
}

// TestStaleSocket finds what a killed service leaves.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	if err := os.WriteFile(path+".pid", []byte("999999999 and more than a number"), 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := listen(t.Context(), path)
	if err != nil {
		t.Fatalf("beside a dead service: %v", err)
	}
	defer e.close()
	if got, err := os.ReadFile(path + ".pid"); err != nil || string(got) != fmt.Sprintf("%d\n", os.Getpid()) {
		t.Errorf("pid file %q, %v", got, err)
	}
}

// startOther starts a service that is not ours: it answers a greeting with answer.
func startOther(t *testing.T, path string, answer []byte) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var b [wire.HeaderSize + wire.VersionSize]byte
			if _, err := c.Read(b[:]); err == nil {
				c.Write(answer)
			}
			c.Close()
		}
	}()
}

func TestListenWhereAnotherServes(t *testing.T) {
	for name, c := range map[string]struct {
		answer  wire.Version
		says    bool
		version wire.Version
		text    string
	}{
		"pcscd":   {wire.Version{Major: 4, Minor: 4}, true, wire.Version{Major: 4, Minor: 4}, "which speaks protocol 4:4"},
		"refuses": {wire.Version{}, false, wire.Version{}, "which does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			var answer []byte
			if c.says {
				answer = c.answer.AppendTo(nil)
			}
			startOther(t, path, answer)
			_, err := listen(t.Context(), path)
			var e *ServedError
			if !errors.As(err, &e) {
				t.Fatalf("listen: %v, want a ServedError", err)
			}
			if e.Version != c.version || !strings.Contains(e.Error(), c.text) {
				t.Errorf("%v, version %v", e, e.Version)
			}
			if runtime.GOOS == "linux" && (e.Holder.PID != os.Getpid() || e.Holder.Name != programOf(os.Getpid()) || e.UID != os.Getuid()) {
				t.Errorf("holder %v of user %d", e.Holder, e.UID)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("the socket of the other: %v", err)
			}
			if _, err := os.Lstat(PIDFile(path)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a pid file is left: %v", err)
			}
			// The other's pid file stays.
			if err := os.WriteFile(PIDFile(path), []byte("812\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := listen(t.Context(), path); err == nil {
				t.Fatal("listened")
			}
			if got, err := os.ReadFile(PIDFile(path)); string(got) != "812\n" {
				t.Errorf("the pid file of the other holds %q, %v", got, err)
			}
		})
	}
}

// TestListenTwice has a service of ours that has not made its socket yet, or has
// lost it.
func TestListenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	e, err := listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	_, err = listen(t.Context(), path)
	var served *ServedError
	if !errors.As(err, &served) || served.Holder.PID != os.Getpid() || served.UID != os.Getuid() {
		t.Fatalf("listen: %v", err)
	}
	// What has taken its place is not removed.
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("close removed what is not its own: %v", err)
	}
}

func TestListenRefused(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	victim := filepath.Join(dir, "victim")
	for _, name := range []string{file, victim} {
		if err := os.WriteFile(name, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(victim, filepath.Join(dir, "linked.pid")); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"not a socket":          file,
		"no directory":          filepath.Join(dir, "a", "b", "s"),
		"a long path":           filepath.Join(dir, strings.Repeat("s", 108)),
		"a link for a pid file": filepath.Join(dir, "linked"),
	} {
		if e, err := listen(t.Context(), path); err == nil {
			t.Errorf("%s: no error", name)
			e.close()
		}
	}
	for _, name := range []string{file, victim} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, []byte("precious")) {
			t.Errorf("%s holds %q, %v", name, got, err)
		}
	}
}

func TestProgramOf(t *testing.T) {
	if got := programOf(-1); got != "?" {
		t.Errorf("no process is called %q", got)
	}
}

// TestAdopt closes a socket that belongs to the service manager.
func TestAdopt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	e, err := adopt(l)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(PIDFile(path)); err != nil || string(got) != fmt.Sprintf("%d\n", os.Getpid()) {
		t.Errorf("pid file %q, %v", got, err)
	}
	if err := e.close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the manager's socket: %v", err)
	}
	if _, err := os.Lstat(PIDFile(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the pid file is left: %v", err)
	}
}

func TestExplainListen(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		hint string
	}{
		"pcscd":      {&ServedError{Holder: udev.Holder{PID: 812, Name: "pcscd"}}, stopPCSC},
		"systemd":    {&ServedError{Holder: udev.Holder{PID: 1, Name: "systemd"}}, stopManaged},
		"any":        {&ServedError{}, "choose another socket: --socket PATH"},
		"permission": {&fs.PathError{Op: "mkdir", Path: "/run/pcscd", Err: syscall.EACCES}, "root"},
		"other":      {syscall.ENOSPC, ""},
	} {
		err := explainListen(c.err)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v is not %v", name, err, c.err)
		}
		if got := Hint(err); !strings.Contains(got, c.hint) || (got == "") != (c.hint == "") {
			t.Errorf("%s: hint %q, want %q", name, got, c.hint)
		}
	}
}

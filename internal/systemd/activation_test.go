package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// environment is a set of variables.
type environment map[string]string

func (e environment) get(name string) string { return e[name] }

// descriptor gives a copy of a descriptor, for a test to give away.
func descriptor(t *testing.T, f interface{ File() (*os.File, error) }) int {
	t.Helper()
	file, err := f.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd, err := dup(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func listen(t *testing.T, network string) net.Listener {
	t.Helper()
	address := "127.0.0.1:0"
	if strings.HasPrefix(network, "unix") {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenerNotMeant(t *testing.T) {
	for name, env := range map[string]environment{
		"no variables":      {},
		"another process":   {"LISTEN_PID": "43", "LISTEN_FDS": "1"},
		"no number":         {"LISTEN_PID": "me", "LISTEN_FDS": "1"},
		"none were passed":  {"LISTEN_PID": "42", "LISTEN_FDS": "0"},
		"count but no name": {"LISTEN_FDS": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			// Descriptor 1 << 20 is not open: taking it would be an error.
			if l, err := listener(env.get, 42, 1<<20); l != nil || err != nil {
				t.Errorf("listener = %v, %v, want none", l, err)
			}
		})
	}
}

func TestListenerRefused(t *testing.T) {
	datagram, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "d"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer datagram.Close()
	served := listen(t, "unix")
	client, err := net.Dial("unix", served.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for name, c := range map[string]struct {
		count string
		fd    int
	}{
		"no count":              {"", descriptor(t, listen(t, "unix").(*net.UnixListener))},
		"a negative count":      {"-1", descriptor(t, listen(t, "unix").(*net.UnixListener))},
		"too many":              {"65", descriptor(t, listen(t, "unix").(*net.UnixListener))},
		"a TCP socket":          {"1", descriptor(t, listen(t, "tcp").(*net.TCPListener))},
		"a sequence of packets": {"1", descriptor(t, listen(t, "unixpacket").(*net.UnixListener))},
		"datagrams":             {"1", descriptor(t, datagram)},
		"a connection":          {"1", descriptor(t, client.(*net.UnixConn))},
	} {
		t.Run(name, func(t *testing.T) {
			env := environment{"LISTEN_PID": "42", "LISTEN_FDS": c.count}
			l, err := listener(env.get, 42, c.fd)
			if l != nil || !errors.Is(err, ErrActivation) {
				t.Errorf("listener = %v, %v, want ErrActivation", l, err)
			}
			if c.count == "1" {
				if copied, err := dup(c.fd); err == nil {
					closeFD(copied)
					t.Error("the descriptor is still open")
				}
			} else {
				closeFD(c.fd)
			}
		})
	}
}

func TestListener(t *testing.T) {
	passed := listen(t, "unix").(*net.UnixListener)
	fd := descriptor(t, passed)
	l, err := listener(environment{"LISTEN_PID": "42", "LISTEN_FDS": "1"}.get, 42, fd)
	if err != nil {
		t.Fatal(err)
	}
	path := passed.Addr().String()
	client, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	l.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Errorf("after Close the manager's socket is gone: %v", err)
	}
}

// TestListenerOfProcess passes two sockets, then one, as the manager does: to a
// process of its own, from descriptor 3 on.
func TestListenerOfProcess(t *testing.T) {
	if os.Getenv("KAZTOKEN_TEST_LISTENER") != "" {
		l, err := Listener(os.Getenv, os.Getpid())
		if err != nil {
			fmt.Printf("refused: %v\n", err)
			return
		}
		fmt.Printf("listening on %v\n", l.Addr())
		return
	}
	l := listen(t, "unix").(*net.UnixListener)
	for n, want := range map[int]string{1: "listening on " + l.Addr().String(), 2: "refused: " + ErrActivation.Error() + ": 2 sockets were passed, want one"} {
		// LISTEN_PID is known once the process is there.
		cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestListenerOfProcess$'`, os.Args[0])
		cmd.Env = append(os.Environ(), "KAZTOKEN_TEST_LISTENER=1", fmt.Sprintf("LISTEN_FDS=%d", n))
		for range n {
			f, err := l.File()
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := strings.Cut(string(out), "\n"); got != want {
			t.Errorf("%d sockets: %q, want %q", n, got, want)
		}
	}
}

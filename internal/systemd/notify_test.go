package systemd

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// manager receives what is notified.
type manager struct {
	*net.UnixConn
	t *testing.T
}

func newManager(t *testing.T) (*manager, Notifier) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	n, err := NewNotifier(environment{"NOTIFY_SOCKET": path}.get)
	if err != nil {
		t.Fatal(err)
	}
	return &manager{c, t}, n
}

func (m *manager) next() string {
	m.t.Helper()
	b := make([]byte, 4096)
	m.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := m.Read(b)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b[:n])
}

func TestNotify(t *testing.T) {
	m, n := newManager(t)
	for _, c := range []struct {
		name string
		send func() error
		want string
	}{
		{"ready", func() error { return n.Ready("") }, "READY=1\n"},
		{"ready with a status", func() error { return n.Ready("1 reader\nX=1") }, "READY=1\nSTATUS=1 reader X=1\n"},
		{"status", func() error { return n.Status("2 readers") }, "STATUS=2 readers\n"},
		{"stopping", n.Stopping, "STOPPING=1\n"},
		{"watchdog", n.Watchdog, "WATCHDOG=1\n"},
	} {
		if err := c.send(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if got := m.next(); got != c.want {
			t.Errorf("%s: sent %q, want %q", c.name, got, c.want)
		}
	}
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(m.next(), "\n")
	if first != "RELOADING=1" {
		t.Errorf("reloading: sent %q first", first)
	}
	if now, err := monotonic(); err == nil {
		usec, ok := strings.CutPrefix(strings.TrimSuffix(rest, "\n"), "MONOTONIC_USEC=")
		at, err := strconv.ParseInt(usec, 10, 64)
		if !ok || err != nil || at <= 0 || at > now.Microseconds() {
			t.Errorf("reloading: sent %q, and the clock says %d", rest, now.Microseconds())
		}
	}
}

func TestNotifyNobody(t *testing.T) {
	n, err := NewNotifier(environment{}.get)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Ready("status"); err != nil {
		t.Errorf("Ready = %v, want nothing done", err)
	}
	if err := (Notifier{filepath.Join(t.TempDir(), "missing")}).Ready(""); err == nil {
		t.Error("Ready to a socket that is not there says nothing")
	}
	if _, err := NewNotifier(environment{"NOTIFY_SOCKET": "vsock:2:1234"}.get); err == nil {
		t.Error("an address of another family was taken")
	}
}

func TestWatchdogInterval(t *testing.T) {
	for name, c := range map[string]struct {
		env  environment
		want time.Duration
	}{
		"not set":         {environment{}, 0},
		"anybody":         {environment{"WATCHDOG_USEC": "30000000"}, 15 * time.Second},
		"us":              {environment{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "42"}, 500 * time.Microsecond},
		"another process": {environment{"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "43"}, 0},
		"no number":       {environment{"WATCHDOG_USEC": "soon"}, 0},
		"zero":            {environment{"WATCHDOG_USEC": "0"}, 0},
		"beyond a day":    {environment{"WATCHDOG_USEC": "9223372036854775807"}, 0},
	} {
		if got := WatchdogInterval(c.env.get, 42); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

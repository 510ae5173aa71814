package systemd

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// Notifier tells the manager how the service is getting on. The zero value tells
// nobody. It is safe for concurrent use.
type Notifier struct {
	address string // of a unix datagram socket; "" for nobody
}

// NewNotifier takes the manager's address from NOTIFY_SOCKET: a path, or a name
// behind @ in the abstract namespace. Without it nobody is told. The error is for
// an address of another kind.
func NewNotifier(getenv func(string) string) (Notifier, error) {
	address := getenv("NOTIFY_SOCKET")
	if address != "" && address[0] != '/' && address[0] != '@' {
		return Notifier{}, fmt.Errorf("NOTIFY_SOCKET %q: %w", address, errors.ErrUnsupported)
	}
	return Notifier{address}, nil
}

// Ready says that the service has started, or has reloaded its settings. status
// is one line for a person; an empty one says nothing.
func (n Notifier) Ready(status string) error {
	return n.send("READY=1", statusLine(status))
}

// Status says in one line for a person what the service does.
func (n Notifier) Status(status string) error { return n.send(statusLine(status)) }

// Reloading says that the service reloads its settings. Ready ends it.
func (n Notifier) Reloading() error {
	now, err := monotonic()
	if err != nil {
		return n.send("RELOADING=1")
	}
	return n.send("RELOADING=1", "MONOTONIC_USEC="+strconv.FormatInt(now.Microseconds(), 10))
}

// Stopping says that the service is on its way out.
func (n Notifier) Stopping() error { return n.send("STOPPING=1") }

// Watchdog says that the service is alive, see [WatchdogInterval].
func (n Notifier) Watchdog() error { return n.send("WATCHDOG=1") }

func statusLine(status string) string {
	if status == "" {
		return ""
	}
	return "STATUS=" + strings.ReplaceAll(status, "\n", " ")
}

// send sends the assignments that are not empty, one a line.
func (n Notifier) send(assignments ...string) error {
	var b strings.Builder
	for _, a := range assignments {
		if a != "" {
			b.WriteString(a + "\n")
		}
	}
	if n.address == "" || b.Len() == 0 {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(b.String())); err != nil {
		return fmt.Errorf("notify the service manager: %w", err)
	}
	return nil
}

// WatchdogInterval is how often the manager wants to hear that process pid is
// alive, 0 for never: half of WATCHDOG_USEC, as sd_watchdog_enabled(3) advises,
// unless WATCHDOG_PID names another process.
func WatchdogInterval(getenv func(string) string, pid int) time.Duration {
	if meant := getenv("WATCHDOG_PID"); meant != "" && meant != strconv.Itoa(pid) {
		return 0
	}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	const most = int64(24 * time.Hour / time.Microsecond)
	if err != nil || usec <= 0 || usec > most {
		return 0
	}
	return time.Duration(usec) * time.Microsecond / 2
}

//go:build e2e && linux

package guest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// roleVariable names, in the environment, what a process started from this
// binary is to be, if not the scenarios: see roles.
const roleVariable = "KAZTOKEN_E2E_ROLE"

// soak makes the scenarios that repeat something do it so many times as often.
var soak = flag.Int("soak", 1, "plug in and send this many times as often")

// repeated is how often to do something: n times, or in a soak run many times as
// often as asked for.
func repeated(n, many int) int {
	if *soak > 1 {
		return *soak * many
	}
	return n
}

// roles are the helpers that have to be processes of their own: a token whose
// work must not show up in what is measured of ours, and one that does nothing
// but keep a token open. A role reads commands from standard input and answers
// each with one line.
var roles = map[string]func() error{
	"device": serveDevice,
	"idle":   stayIdle,
}

// uninstall hides the rules and units of a kaztoken that the host has installed,
// which the machine would see as its own. They stay on the host.
func uninstall() error {
	for _, pattern := range []string{"/usr/lib/udev/rules.d/*kaztoken*", "/etc/udev/rules.d/*kaztoken*", "/usr/lib/systemd/system/kaztoken.*", "/etc/systemd/system/*/kaztoken.*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, path := range found {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestMain(m *testing.M) {
	flag.Parse()
	if role, ok := roles[os.Getenv(roleVariable)]; ok {
		if err := role(); err != nil {
			fmt.Fprintln(os.Stderr, os.Getenv(roleVariable)+":", err)
			os.Exit(1)
		}
		return
	}
	// vm.GuestShare is mounted and the monitor port is linked in no other place.
	if _, err := os.Stat(monitorPath); err != nil {
		fmt.Println("these scenarios run in the end-to-end machine only: make e2e")
		return
	}
	if err := uninstall(); err != nil {
		fmt.Fprintln(os.Stderr, "hide what the host has installed:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

//go:build e2e && linux

package guest

import (
	"fmt"
	"os/exec"
	"syscall"
	"testing"

	"kaztoken/internal/vpcd"
)

// The readers that Debian's vsmartcard-vpcd configures, and the one of them on vpcd.Port.
const (
	vpcdReaders = "/etc/reader.conf.d/vpcd"
	vpcdName    = "Virtual PCD 00 00"
)

// startVirtual runs `kaztoken virtual`, with its card in vpcd and its state in a
// file, until the end of the test or the call of what it returns. It is killed:
// it may keep nothing in memory that matters.
func startVirtual(t testing.TB, state string) (kill func()) {
	t.Helper()
	cmd := exec.Command("./kaztoken", "virtual", "--vpcd", fmt.Sprint("127.0.0.1:", vpcd.Port), "--state", state)
	cmd.Stderr = t.Output()
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
	}
	t.Cleanup(kill)
	return kill
}

//go:build e2e && linux

package guest

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// oneCPU takes the second processor out until the end of the test. A token
// answers one command at a time, so nothing runs in parallel; waking the other
// processor takes an emulated machine several times as long as the work, and
// longer the busier the host is. Scenarios about races keep both.
func oneCPU(t testing.TB) {
	t.Helper()
	const online = "/sys/devices/system/cpu/cpu1/online"
	if err := os.WriteFile(online, []byte("0"), 0); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return // there is no second one
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(online, []byte("1"), 0); err != nil {
			t.Error(err)
		}
	})
}

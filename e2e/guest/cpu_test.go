//go:build e2e && linux

package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"testing"
)

// eachCPUs runs f with all processors of the machine, and with one.
func eachCPUs(t *testing.T, f func(t *testing.T)) {
	if n := runtime.NumCPU(); n > 1 {
		t.Run(fmt.Sprint(n, " processors"), f)
	}
	t.Run("1 processor", func(t *testing.T) {
		oneCPU(t)
		f(t)
	})
}

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

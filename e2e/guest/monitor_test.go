//go:build e2e && linux

package guest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
)

// monitorPath is the port of QEMU's own monitor (QMP) inside the machine.
const monitorPath = "/run/monitor"

// monitor opens the port once; QEMU greets once.
var monitor = sync.OnceValues(func() (*qmp, error) {
	f, err := os.OpenFile(monitorPath, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	m := &qmp{out: f, in: bufio.NewReader(f)}
	if _, err := m.in.ReadBytes('\n'); err != nil { // the greeting
		return nil, err
	}
	return m, m.execute("qmp_capabilities", nil)
})

// qmp is a connection to QEMU's monitor.
type qmp struct {
	out     *os.File
	in      *bufio.Reader
	readers int // plugged in so far
}

type qmpError struct {
	Class, Desc string
}

func (e *qmpError) Error() string { return "QEMU: " + e.Desc }

// execute runs one command and drops what it returns, and events before it.
func (m *qmp) execute(command string, arguments any) error {
	request, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
	}{command, arguments})
	if err != nil {
		return err
	}
	if _, err := m.out.Write(append(request, '\n')); err != nil {
		return err
	}
	for {
		line, err := m.in.ReadBytes('\n')
		if err != nil {
			return err
		}
		var reply struct {
			Return *json.RawMessage
			Error  *qmpError
		}
		switch err := json.Unmarshal(line, &reply); {
		case err != nil:
			return err
		case reply.Error != nil:
			return reply.Error
		case reply.Return != nil:
			return nil
		}
	}
}

// plugEmulatedReader plugs in QEMU's reader with its emulated card. It is
// unplugged by what it returns, or at the end of the test.
func plugEmulatedReader(t *testing.T) (unplug func()) {
	t.Helper()
	m, err := monitor()
	if err != nil {
		t.Fatal(err)
	}
	m.readers++ // an id is free again some time after its device has left
	reader := fmt.Sprint("reader", m.readers)
	type device map[string]string
	for _, d := range []device{
		{"driver": "usb-ccid", "id": reader, "bus": "xhci.0"},
		{"driver": "ccid-card-emulated", "bus": reader + ".0", "backend": "certificates",
			"cert1": "cert1", "cert2": "cert2", "cert3": "cert3", "db": os.Getenv("NSS_DATABASE")},
	} {
		if err := m.execute("device_add", d); err != nil {
			t.Fatal(err)
		}
	}
	unplugged := false
	unplug = func() {
		if unplugged {
			return
		}
		unplugged = true
		if err := m.execute("device_del", device{"id": reader}); err != nil {
			t.Error(err)
			return
		}
		vanishEmulated(t)
	}
	t.Cleanup(unplug)
	return unplug
}

//go:build e2e && linux

package pkcs11

import (
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestHotplug has pkcs11-tool look for tokens, and wait for them to come and go.
func TestHotplug(t *testing.T) {
	d := newDesk(t)
	cmd := exec.Command("stdbuf", "-o0", "pkcs11-tool", "--module", built.module, "--test-hotplug")
	cmd.Env = d.env
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	defer time.AfterFunc(limit, func() { cmd.Process.Kill() }).Stop()
	said, read := "", 0
	until := func(piece string) {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			if i := strings.Index(said[read:], piece); i >= 0 {
				read += i + len(piece)
				return
			}
			n, err := out.Read(buf)
			if said += string(buf[:n]); err != nil {
				t.Fatalf("no %q, %v; it said:\n%s", piece, err, said)
			}
		}
	}
	const more, call = "Please press return to continue, x to exit: ", "Calling C_WaitForSlotEvent: "
	for range 2 { // C_GetSlotList
		until(more)
		fmt.Fprintln(in)
		until("token label")
		until(more)
		d.unplug(t)
		fmt.Fprintln(in)
		until("(empty)")
		d.plug(t)
	}
	until(more)
	fmt.Fprintln(in, "x")
	until(more)
	fmt.Fprintln(in)
	until(call)
	until("event on slot 0x0") // that it came back last: it was gone when it was looked for
	until("token label")
	for range 2 {
		until(more)
		fmt.Fprintln(in)
		until(call) // which waits
		d.unplug(t)
		until("event on slot 0x0")
		until("(empty)")
		until(more)
		fmt.Fprintln(in)
		until(call)
		d.plug(t)
		until("event on slot 0x0")
		until("token label")
	}
	until(more)
	fmt.Fprintln(in, "x")
	if _, err := io.Copy(io.Discard, out); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("pkcs11-tool: %v", err)
	}
}

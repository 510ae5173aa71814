//go:build e2e && linux

package guest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/ccid/ccidsim"
)

// TestTrace records a log-in through the machine's kernel with both drivers. The
// recording has what went over the bus, without the PIN, and replays.
func TestTrace(t *testing.T) {
	k := newToken(t, ccidsim.KAZTOKEN)
	k.plug(t)
	dev, _ := k.appear(t)
	const pin = "12345678"
	eachDriver(t, func(t *testing.T, d driver) {
		dir := t.TempDir()
		recording, pinFile := filepath.Join(dir, "session.pcapng"), filepath.Join(dir, "pin")
		if err := os.WriteFile(pinFile, []byte(pin+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := programWith(d.name)
		if _, stderr, code := p.run(t, "", "trace", "record", recording, "pin", "verify", "--pin-file", pinFile); code != 0 {
			t.Fatalf("record: exit code %d: %s", code, stderr)
		}
		b, err := os.ReadFile(recording)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(b), pin) {
			t.Error("the PIN is in the recording")
		}
		shown, stderr, code := p.run(t, "", "trace", "show", recording)
		if code != 0 {
			t.Fatalf("show: exit code %d: %s", code, stderr)
		}
		for _, want := range []string{"0a89:0035", "IccPowerOn", "ATR 3B 88 01 4B", "VERIFY: 00200002 ****************", "9000 done"} {
			if !strings.Contains(shown, want) {
				t.Errorf("show lacks %q:\n%s", want, shown)
			}
		}
		var r struct {
			Devices []struct {
				Device         string
				Sent, Answered int
				Left           int
				Differences    []any
			}
		}
		out, stderr, code := p.run(t, "", "trace", "replay", "--json", recording)
		if err := json.Unmarshal([]byte(out), &r); err != nil || code != 0 {
			t.Fatalf("replay: exit code %d, %v: %s%s", code, err, out, stderr)
		}
		if len(r.Devices) != 1 || r.Devices[0].Sent < 8 || r.Devices[0].Left != 0 || !strings.Contains(r.Devices[0].Device, dev.String()) {
			t.Errorf("replay: %s", out)
		}
	})
}

//go:build !darwin || !cgo

package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/bridge/client"
	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
)

const pcscReader = "DigiFlow LLP. KAZTOKEN 00 00"

// pcscService starts a smart-card service with a token, where programs look for it.
func pcscService(t *testing.T) *pcscsim.Service {
	t.Helper()
	path := filepath.Join(t.TempDir(), "comm")
	t.Setenv(client.PathVariable, path)
	s, err := pcscsim.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.Plug(pcscsim.Reader{
		Name: pcscReader, Card: emu.New(emu.WithATR(ccidsim.KAZTOKEN.ATR)),
		Attributes: map[wire.AttributeID][]byte{wire.AttrVendorName: []byte("DigiFlow LLP.\x00")},
		Control:    map[wire.ControlCode][]byte{wire.CtlGetTLVProperties: {0x0B, 2, 0x89, 0x0A, 0x0C, 2, 0x35, 0x00}},
	})
	return s
}

// TestThroughService: the commands do their work on a token that a smart-card
// service has, and say what that tells.
func TestThroughService(t *testing.T) {
	pcscService(t)
	pin := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(pin, []byte("12345678\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"list"}, []string{pcscReader + "  -", "through PC/SC"}},
		{[]string{"--backend", "auto", "list"}, []string{"through PC/SC"}},
		{[]string{"info", "--lang", "en"}, []string{pcscReader, "0x32D18A58"}},
		{[]string{"info", "--reader"}, []string{"Backend:       pcsc", "0a89:0035", "card ready", "3B 88 01", "T=1\n"}},
		{[]string{"apdu", "00CA018100", "reset"}, []string{"32 D1 8A 58", "ATR 3B 88"}},
		{[]string{"pin", "verify", "--pin-file", pin}, []string{"The user PIN is right"}},
	} {
		r := run(t, t.Context(), strings.NewReader(""), nil, append([]string{"--backend", "pcsc"}, c.args...)...)
		if r.code != exitOK {
			t.Errorf("%v: exit code %d: %s", c.args, r.code, r.err)
		}
		for _, want := range c.want {
			if !strings.Contains(r.out+r.err, want) {
				t.Errorf("%v says no %q: %s%s", c.args, want, r.out, r.err)
			}
		}
	}
	r := run(t, t.Context(), nil, nil, "--backend", "pcsc", "--json", "list")
	var list []map[string]any
	if err := json.Unmarshal([]byte(r.out), &list); err != nil || len(list) != 1 || list[0]["backend"] != "pcsc" || list[0]["usb"] != nil {
		t.Errorf("%v: %s", err, r.out)
	}
	r = run(t, t.Context(), nil, nil, "--backend", "pcsc", "--json", "info")
	var info map[string]any
	if err := json.Unmarshal([]byte(r.out), &info); err != nil || info["interface"] != nil || info["reader"] != nil || info["token"] == nil || info["driver"] != "" {
		t.Errorf("%v: %s", err, r.out)
	}
}

// TestServiceHolds: a card that another program has for itself is out of reach.
func TestServiceHolds(t *testing.T) {
	pcscService(t).Hold(pcscReader, true)
	r := run(t, t.Context(), nil, nil, "--backend", "pcsc", "info")
	r.want(t, exitOutOfReach, "in use", "gpgconf --kill scdaemon")
}

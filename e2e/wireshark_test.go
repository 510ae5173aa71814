//go:build e2e && linux && soak

package e2e

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestWireshark records a token that is formatted, filled and used, and has
// Wireshark's dissectors read the recordings: each message of CCID that we see in
// one they have to see too, nothing may be malformed to them, and neither a PIN nor
// a key may be in anything that they show. The token is in software and within the
// program; nothing of the machine is touched.
func TestWireshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Fatalf("%v: run make soak, or install e2e/soak-packages.txt", err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "kaztoken")
	output(t, "go", "build", "-o", program, "../cmd/kaztoken")
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	const user, admin, p12 = "Semey-1718", "Taraz-2000", "Qazaqstan2024"
	demo, err := os.ReadFile("../cmd/kaztoken/internal/cli/demo.p12")
	if err != nil {
		t.Fatal(err)
	}
	var (
		factory  = file("factory.pin", "87654321\n")
		userPIN  = file("user.pin", user+"\n")
		adminPIN = file("admin.pin", admin+"\n")
		password = file("password", p12+"\n")
		letter   = file("letter.txt", "Qazaqstan\n")
		identity = file("demo.p12", string(demo))
	)
	for _, story := range [][]string{
		{"format", "--yes", "--pin-file", factory, "--user-pin-file", userPIN, "--admin-pin-file", adminPIN},
		{"cert", "import", identity, "--password-file", password, "--pin-file", userPIN},
		{"sign", "--key", "1", "--pin-file", userPIN, "-o", filepath.Join(dir, "letter.sig"), letter},
	} {
		t.Run(story[0], func(t *testing.T) {
			recording := filepath.Join(dir, story[0]+".pcapng")
			virtual := []string{"--backend", "virtual", "--virtual-state", filepath.Join(dir, "token.state")}
			output(t, program, append(append(virtual, "trace", "record", recording), story...)...)

			seen := 0
			for line := range strings.Lines(output(t, program, "trace", "show", "--json", recording)) {
				var l struct{ Kind string }
				if err := json.Unmarshal([]byte(line), &l); err != nil {
					t.Fatal(err)
				}
				if l.Kind == "sent" || l.Kind == "answered" {
					seen++
				}
			}
			var types, devices int
			for line := range strings.Lines(output(t, "tshark", "-r", recording, "-T", "fields", "-E", "separator=,",
				"-e", "usbccid.bMessageType", "-e", "usbccid.dwLength", "-e", "usbccid.bSlot", "-e", "usbccid.bSeq", "-e", "usb.idVendor")) {
				f := strings.Split(strings.TrimRight(line, "\n"), ",")
				if len(f) != 5 {
					t.Fatalf("tshark says %q", line)
				}
				if f[0] != "" {
					types++
					if f[1] == "" || f[2] == "" || f[3] == "" {
						t.Errorf("a message without length, slot or sequence number: %q", line)
					}
				}
				if f[4] == "0x0a89" {
					devices++
				}
			}
			if seen < 20 || types != seen || devices != 1 {
				t.Errorf("we see %d messages, Wireshark %d, and %d devices", seen, types, devices)
			}
			if bad := output(t, "tshark", "-r", recording, "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000"); bad != "" {
				t.Errorf("Wireshark complains:\n%s", bad)
			}
			raw, err := os.ReadFile(recording)
			if err != nil {
				t.Fatal(err)
			}
			for what, text := range map[string]string{
				"the file": string(raw), "tshark -V -x": output(t, "tshark", "-r", recording, "-V", "-x"),
				"tshark -T json -x": output(t, "tshark", "-r", recording, "-T", "json", "-x"),
			} {
				for _, secret := range []string{user, admin, p12, "87654321"} {
					if form := showsIn(text, secret); form != "" {
						t.Errorf("%s holds %q as %q", what, secret, form)
					}
				}
			}
			output(t, program, "trace", "replay", recording)
			t.Logf("%d messages of CCID", seen)
		})
	}
}

// showsIn gives the form in which a text holds a secret, "" for none.
func showsIn(text, secret string) string {
	b := []byte(secret)
	digits := hex.EncodeToString(b)
	decimal := strings.Trim(fmt.Sprint(b), "[]")
	var utf16 strings.Builder
	for _, c := range b {
		utf16.Write([]byte{c, 0})
	}
	for _, form := range []string{
		secret, digits, strings.ToUpper(digits), fmt.Sprintf("% x", b), strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":"),
		decimal, strings.ReplaceAll(decimal, " ", ", "), base64.StdEncoding.EncodeToString(b), utf16.String(),
	} {
		if strings.Contains(text, form) {
			return form
		}
	}
	return ""
}

// output runs a program that has to succeed, and gives what it prints.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, errs.String())
	}
	return string(out)
}

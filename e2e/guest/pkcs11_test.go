//go:build e2e && linux

package guest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
)

// pkcs11Module is ours, as make pkcs11 builds it.
const pkcs11Module = "./libkaztoken-pkcs11.so"

// pkcs11Desk is a token with a key of 2048 bits, and files to work with.
type pkcs11Desk struct {
	token *token
	dir   string
}

func newPKCS11Desk(t testing.TB, p ccidsim.Profile) *pkcs11Desk {
	t.Helper()
	dir := t.TempDir()
	d := &pkcs11Desk{newLastingToken(t, p, filepath.Join(dir, "state")), dir}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	for name, text := range map[string]string{"pin": "12345678\n", "message": "to be signed"} {
		if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

func (d *pkcs11Desk) path(name string) string { return filepath.Join(d.dir, name) }

// run runs a program that has to succeed, and to print each of the texts.
func (d *pkcs11Desk) run(t testing.TB, texts []string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	defer time.AfterFunc(stockLimit, func() { cmd.Process.Kill() }).Stop()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", args[0], err, mask(string(out)))
	}
	for _, text := range texts {
		if !strings.Contains(string(out), text) {
			t.Errorf("%s: no %q in:\n%s", args[0], text, mask(string(out)))
		}
	}
}

// tool runs pkcs11-tool with our module.
func (d *pkcs11Desk) tool(t testing.TB, texts []string, args ...string) {
	t.Helper()
	d.run(t, texts, append([]string{"pkcs11-tool", "--module", pkcs11Module}, args...)...)
}

// give puts the key and its certificate onto the token.
func (d *pkcs11Desk) give(t testing.TB) {
	t.Helper()
	d.run(t, nil, "openssl", "rsa", "-in", "identity.key", "-outform", "der", "-out", d.path("key.der"))
	d.run(t, nil, "openssl", "x509", "-in", "identity.pem", "-outform", "der", "-out", d.path("cert.der"))
	d.run(t, nil, "openssl", "x509", "-in", "identity.pem", "-pubkey", "-noout", "-out", d.path("key.pub"))
	for kind, file := range map[string]string{"privkey": "key.der", "cert": "cert.der"} {
		d.tool(t, nil, "--login", "--pin", "12345678", "--write-object", d.path(file), "--type", kind, "--id", "01", "--label", "one")
	}
}

// pkcs11Roads are the two ways from the module to a token that is plugged in, and
// how many processes can use it at a time.
var pkcs11Roads = []struct {
	name      string
	processes int
	start     func(t testing.TB)
}{
	{"without a service", 1, func(testing.TB) {}},
	{"with a service", 2, func(t testing.TB) { ourStack.start(t) }},
}

// TestPKCS11 uses the module with a token that comes and goes: OpenSC's tool, and
// programs that sign meanwhile.
func TestPKCS11(t *testing.T) {
	for _, road := range pkcs11Roads {
		t.Run(road.name, func(t *testing.T) {
			road.start(t)
			d := newPKCS11Desk(t, ccidsim.KAZTOKEN)
			d.tool(t, []string{"(empty)"}, "-L")
			d.hotplug(t)
			d.give(t)
			d.tool(t, []string{"token label        : KAZTOKEN", "token initialized, PIN initialized"}, "-L")
			d.tool(t, []string{"Private Key Object; RSA", "Public Key Object; RSA 2048 bits", "Certificate Object", "label:      one"},
				"--login", "--pin", "12345678", "-O")
			d.tool(t, nil, "--login", "--pin", "12345678", "--sign", "--mechanism", "SHA256-RSA-PKCS", "--id", "01", "-i", d.path("message"), "-o", d.path("sig"))
			d.run(t, []string{"Verified OK"}, "openssl", "dgst", "-sha256", "-verify", d.path("key.pub"), "-signature", d.path("sig"), d.path("message"))
			d.signOn(t, road.processes)
			d.token.unplug(t)
			d.token.vanish(t)
			d.tool(t, []string{"(empty)"}, "-L")
		})
	}
}

// hotplug has pkcs11-tool look for the token, and wait for it to go and come.
func (d *pkcs11Desk) hotplug(t testing.TB) {
	t.Helper()
	c := startDialogue(t, "stdbuf", "-o0", "pkcs11-tool", "--module", pkcs11Module, "--test-hotplug")
	const more, call, event = "Please press return to continue, x to exit: ", "Calling C_WaitForSlotEvent: ", "event on slot 0x0"
	c.until(t, more)
	fmt.Fprintln(c.in) // it looks, and finds nothing
	c.until(t, "(empty)")
	c.until(t, more)
	d.token.plug(t)
	d.token.appear(t)
	await(t, "the token to be listed", func() (struct{}, bool) {
		out, err := exec.Command("pkcs11-tool", "--module", pkcs11Module, "-L").CombinedOutput()
		return struct{}{}, err == nil && strings.Contains(string(out), "token label")
	})
	fmt.Fprintln(c.in)
	c.until(t, "token label")
	c.until(t, more)
	fmt.Fprintln(c.in, "x")
	c.until(t, more)
	fmt.Fprintln(c.in)
	c.until(t, call)
	c.until(t, event) // that it came
	// A change may be told in two events: a service and the bus show a token one after
	// the other.
	becomes := func(change func(testing.TB), state string) {
		t.Helper()
		fmt.Fprintln(c.in)
		c.until(t, call) // which waits
		change(t)
		for events := 1; ; events++ {
			c.until(t, event)
			from := c.read
			c.until(t, more)
			listed := c.said[from:c.read]
			if strings.Contains(listed, state) {
				return
			}
			if events == 3 {
				t.Fatalf("not %q after three events: %s", state, listed)
			}
			fmt.Fprintln(c.in)
			c.until(t, call)
		}
	}
	c.until(t, more)
	for range 2 {
		becomes(d.token.unplug, "(empty)")
		d.token.vanish(t)
		becomes(d.token.plug, "token label")
	}
	fmt.Fprintln(c.in, "x")
	c.finish(t)
}

// signingThreads is how many threads of each process sign.
const signingThreads = 4

// pkcs11Codes are what calls return while the token comes and goes: CKR_OK,
// CKR_DEVICE_REMOVED and CKR_TOKEN_NOT_PRESENT.
var pkcs11Codes = regexp.MustCompile(`^signatures [1-9][0-9]*, wrong 0\n(returned (0|0x32|0xe0) [0-9]+ times\n)+$`)

// signOn has programs sign while the token is pulled out and plugged in again.
// Every thread has to sign before and after.
func (d *pkcs11Desk) signOn(t testing.TB, processes int) {
	t.Helper()
	var all []*dialogue
	for range processes {
		all = append(all, startDialogue(t, "./signclient", "load", pkcs11Module, d.path("pin"), strconv.Itoa(signingThreads)))
	}
	signed := func() {
		t.Helper()
		for _, c := range all {
			fmt.Fprintln(c.in, "back")
		}
		for _, c := range all {
			c.until(t, "all\n")
		}
	}
	signed()
	for range 2 {
		d.token.unplug(t)
		d.token.vanish(t)
		d.token.plug(t)
		d.token.appear(t)
		signed()
	}
	for _, c := range all {
		c.in.Close()
		c.finish(t)
		if summary := c.said[c.read:]; !pkcs11Codes.MatchString(summary) {
			t.Errorf("signing ended with %q", summary)
		} else {
			t.Logf("%q", summary)
		}
	}
}

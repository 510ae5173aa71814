package cli

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// spellings are the ways in which a secret could show in an output.
func spellings(s string) []string {
	b := []byte(s)
	digits := hex.EncodeToString(b)
	all := []string{
		s, digits, strings.ToUpper(digits), fmt.Sprintf("% x", b), fmt.Sprintf("% X", b), fmt.Sprint(b)[1 : len(fmt.Sprint(b))-1],
		strings.ReplaceAll(fmt.Sprint(b), " ", ", "), fmt.Sprintf("%q", s), strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":"),
	}
	// In Base64 it looks in three ways, by what stands before it.
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), b...))
		cut := []int{0, 2, 3}[shift]
		all = append(all, strings.TrimRight(text[cut:], "=")[:len(b)*4/3-2])
	}
	return all
}

func TestSpellings(t *testing.T) {
	s := "Aqtobe-1869"
	for _, output := range []string{
		"pin Aqtobe-1869", "4171746F62652D31383639", "41:71:74:6f:62:65:2d:31:38:36:39", "[65 113 116 111 98 101 45 49 56 54 57]",
		base64.StdEncoding.EncodeToString([]byte("x" + s)), base64.StdEncoding.EncodeToString([]byte("xx" + s + "y")),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.StdEncoding.EncodeToString([]byte("xxx" + s)),
	} {
		if !shows(output, s) {
			t.Errorf("%q does not show", output)
		}
	}
	if shows("Aqtobe 1869", s) {
		t.Error("what is not there shows")
	}
}

// shows reports whether a secret shows in an output, or is there in pieces that
// a line break divides.
func shows(output, s string) bool {
	joined := strings.ReplaceAll(output, "\n", "")
	for _, x := range spellings(s) {
		if strings.Contains(output, x) || strings.Contains(joined, x) {
			return true
		}
	}
	return false
}

// TestNoSecretOnAnyStream runs everything that has to do with a PIN, a password
// or a private key at trace level, where every APDU is logged, and looks for
// them in all that is written.
func TestNoSecretOnAnyStream(t *testing.T) {
	const wrong = "Rudny-1957"
	for _, form := range []string{"--json=false", "--json"} {
		d := newDesk(t).files()
		d.file("wrong.pin", wrong)
		d.onTerminal = form == "--json=false"
		var all strings.Builder
		do := func(exit int, args ...string) {
			t.Helper()
			r := d.run(append(args, "--log-level", "trace", form)...)
			if r.code != exit {
				t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
			}
			all.WriteString(r.out + r.err)
		}
		do(exitOK, "pin", "verify", "--pin-file", "@user.pin")
		do(exitPIN, "pin", "verify", "--pin-file", "@wrong.pin")
		d.types(factoryUser, newUser, newUser)
		do(exitOK, "pin", "change")
		d.types(factoryAdmin, newAdmin, newAdmin)
		do(exitOK, "pin", "change", "--whose", "admin")
		d.types(newAdmin, newUser, newUser)
		do(exitOK, "pin", "unblock", "--new-pin")
		d.types(demoPassword, newUser)
		do(exitOK, "cert", "import", "@demo.p12")
		do(exitFailed, "cert", "import", "@demo.p12", "--password-file", "@wrong.pin")
		d.types(newUser)
		do(exitOK, "sign", "--key", "1", "--format", "hex", "@letter.txt")
		do(exitOK, "format", "--yes", "--pin-file", d.file("a", newAdmin), "--user-pin-file", d.file("b", newUser), "--admin-pin-file", d.file("c", newAdmin))
		d.types(newAdmin, factoryUser, factoryUser)
		do(exitOK, "pin", "change", "--as", "admin")
		all.WriteString(d.screen.String())

		text := all.String()
		if n := strings.Count(text, "level=trace"); n < 100 || !strings.Contains(text, "hidden=") {
			t.Fatalf("%d lines at trace level", n)
		}
		for _, s := range []string{factoryUser, factoryAdmin, newUser, newAdmin, wrong, demoPassword} {
			if shows(text, s) {
				t.Errorf("%s: %q shows", form, s)
			}
		}
		contents, err := (&app{Env: Env{Console: func() (Console, error) { return &typist{&d.screen, &[]string{demoPassword}}, nil }}}).
			readCertFile(t.Context(), d.file("p12", string(demoIdentity)), &secretFlags{fd: noFD})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range contents.Key.Primes {
			little := p.Bytes()
			for l, r := 0, len(little)-1; l < r; l, r = l+1, r-1 {
				little[l], little[r] = little[r], little[l]
			}
			for _, part := range [][]byte{p.Bytes()[:16], little[:16]} {
				if shows(text, string(part)) {
					t.Errorf("%s: prime %d shows", form, i)
				}
			}
		}
	}
}

// TestDecryptedStaysOut: what a key decrypts is in no log.
func TestDecryptedStaysOut(t *testing.T) {
	d := newDesk(t).files()
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	const plain = "the treasure is under the oak"
	d.file("cipher", encryptFor(t, generatedKey(t), plain))
	r := d.run("decrypt", "--key", "work", "--pin-file", "@user.pin", "--log-level", "trace", "@cipher")
	if r.code != exitOK || r.out != plain {
		t.Fatalf("exit code %d: %q, %s", r.code, r.out, r.err)
	}
	if !strings.Contains(r.err, "hidden_answer=") || shows(r.err, plain) || shows(r.err, reversed(plain)) {
		t.Error("the log shows what was decrypted")
	}
}

func reversed(s string) string {
	b := []byte(s)
	for l, r := 0, len(b)-1; l < r; l, r = l+1, r-1 {
		b[l], b[r] = b[r], b[l]
	}
	return string(b)
}

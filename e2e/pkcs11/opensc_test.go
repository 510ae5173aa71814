//go:build e2e && linux

package pkcs11

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// openscConf makes OpenSC take the token for what it is, whose ATR it does not know.
const openscConf = `app default {
	card_atr 3b:88:01:4b:41:5a:54:4f:4b:45:4e:82 {
		name = "KAZTOKEN";
		driver = "rutoken_ecp";
	}
}
`

// openscModule is OpenSC's own, which reaches the same token over the same service.
const openscModule = "opensc-pkcs11.so"

// TestPKCS11Tool is OpenSC's test of a module, and everything that pkcs11-tool can
// have it do.
func TestPKCS11Tool(t *testing.T) {
	d := newDesk(t)
	d.tool(t, []string{
		"token label        : KAZTOKEN", "token model        : KAZTOKEN", "login required, rng, token initialized, PIN initialized",
		"pin min/max        : 6/32",
	}, "-L")
	d.tool(t, []string{"SHA256-RSA-PKCS", "RSA-PKCS-KEY-PAIR-GEN, keySize={1024,4096}, hw", "SHA256, digest"}, "-M")

	d.tool(t, []string{"Key pair generated", "never extractable, local"}, login("--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "made")...)
	d.identity(t, "brought", "02")
	objects := d.tool(t, nil, login("-O")...)
	for _, want := range []string{"Private Key Object", "Public Key Object", "Certificate Object", "label:      made", "label:      brought"} {
		if !strings.Contains(objects, want) {
			t.Errorf("no %q among the objects:\n%s", want, objects)
		}
	}
	d.tool(t, []string{"No errors"}, login("--test")...)

	data := d.write(t, "data", "what an application keeps")
	d.tool(t, []string{"Data object"}, login("--write-object", data, "--type", "data", "--label", "note", "--application-label", "test")...)
	d.tool(t, nil, login("--read-object", "--type", "data", "--label", "note", "--output-file", d.path("read"))...)
	if b, err := os.ReadFile(d.path("read")); err != nil || string(b) != "what an application keeps" {
		t.Errorf("the data object holds %q, %v", b, err)
	}
	d.tool(t, nil, login("--delete-object", "--type", "data", "--label", "note")...)
	for _, kind := range []string{"privkey", "pubkey"} {
		d.tool(t, nil, login("--delete-object", "--type", kind, "--id", "01")...)
	}
	if left := d.tool(t, nil, login("-O")...); strings.Contains(left, "label:      made") || strings.Contains(left, "label:      note") {
		t.Errorf("deleted objects are listed:\n%s", left)
	}
	d.run(t, []string{"nothing is left over"}, built.kaztoken, "check")
}

// TestMechanisms signs with every mechanism that pkcs11-tool knows, and openssl
// verifies; openssl encrypts, and the token decrypts.
func TestMechanisms(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	message := d.write(t, "message", "to be signed")
	for _, hash := range []string{"SHA1", "SHA224", "SHA256", "SHA384", "SHA512"} {
		lower := strings.ToLower(hash)
		d.tool(t, nil, login("--sign", "--mechanism", hash+"-RSA-PKCS", "--id", "02", "-i", message, "-o", "sig")...)
		d.run(t, []string{"Verified OK"}, "openssl", "dgst", "-"+lower, "-verify", "two.pub", "-signature", "sig", message)
		d.tool(t, []string{"Signature is valid"}, "--verify", "--mechanism", hash+"-RSA-PKCS", "--id", "02", "-i", message, "--signature-file", "sig")

		d.tool(t, nil, login("--sign", "--mechanism", hash+"-RSA-PKCS-PSS", "--id", "02", "-i", message, "-o", "sig")...)
		d.run(t, []string{"Verified OK"}, "openssl", "dgst", "-"+lower, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:-1",
			"-verify", "two.pub", "-signature", "sig", message)
	}
	secret := d.write(t, "secret", "for the token alone")
	for mechanism, options := range map[string][]string{
		"RSA-PKCS":      {"-pkeyopt", "rsa_padding_mode:pkcs1"},
		"RSA-PKCS-OAEP": {"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"},
	} {
		d.run(t, nil, append([]string{"openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "two.pub", "-in", secret, "-out", "cryptogram"}, options...)...)
		args := login("--decrypt", "--mechanism", mechanism, "--id", "02", "-i", "cryptogram", "-o", "clear")
		if mechanism == "RSA-PKCS-OAEP" {
			args = append(args, "--hash-algorithm", "SHA256", "--mgf", "MGF1-SHA256")
		}
		d.tool(t, nil, args...)
		if b, err := os.ReadFile(d.path("clear")); err != nil || string(b) != "for the token alone" {
			t.Errorf("%s: decrypted to %q, %v", mechanism, b, err)
		}
	}
}

// TestLongKey makes a key of 4096 bits, the longest, and uses it.
func TestLongKey(t *testing.T) {
	d := newDesk(t)
	d.tool(t, []string{"Public Key Object; RSA 4096 bits"}, login("--keypairgen", "--key-type", "rsa:4096", "--id", "04", "--label", "long")...)
	d.tool(t, nil, "--read-object", "--type", "pubkey", "--id", "04", "-o", "long.der")
	message := d.write(t, "message", "to be signed")
	d.tool(t, nil, login("--sign", "--mechanism", "SHA512-RSA-PKCS", "--id", "04", "-i", message, "-o", "sig")...)
	d.run(t, []string{"Verified OK"}, "openssl", "dgst", "-sha512", "-keyform", "der", "-verify", "long.der", "-signature", "sig", message)
	d.run(t, nil, "openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "der", "-inkey", "long.der", "-in", message, "-out", "cryptogram")
	d.tool(t, nil, login("--decrypt", "--mechanism", "RSA-PKCS", "--id", "04", "-i", "cryptogram", "-o", "clear")...)
	if b, err := os.ReadFile(d.path("clear")); err != nil || string(b) != "to be signed" {
		t.Errorf("decrypted to %q, %v", b, err)
	}
}

// TestPINs walks through what the standard has for PINs and for a new token.
func TestPINs(t *testing.T) {
	d := newDesk(t)
	d.tool(t, []string{"PIN successfully changed"}, login("--change-pin", "--new-pin", "new-PIN-1")...)
	out, err := d.try(t, "pkcs11-tool", "--module", built.module, "--login", "--pin", userPIN, "-O")
	if err == nil || !strings.Contains(out, "CKR_PIN_INCORRECT") {
		t.Errorf("the old PIN: %v\n%s", err, out)
	}
	d.tool(t, []string{"User PIN successfully initialized"}, "--login", "--login-type", "so", "--so-pin", adminPIN, "--init-pin", "--new-pin", "new-PIN-2")
	d.tool(t, nil, "--login", "--pin", "new-PIN-2", "-O")
	d.tool(t, []string{"PIN successfully changed"}, "--login", "--login-type", "so", "--so-pin", adminPIN, "--change-pin", "--new-pin", "new-admin")
	d.tool(t, []string{"Token successfully initialized"}, "--init-token", "--label", "fresh", "--so-pin", "new-admin")
	d.tool(t, []string{"token label        : fresh"}, "-L")
}

// TestBothModules: OpenSC's module lists what ours has made, and ours what that
// has made, with the same ids, labels and uses.
func TestBothModules(t *testing.T) {
	d := newDesk(t)
	d.env = append(d.env, "OPENSC_CONF="+d.write(t, "opensc.conf", openscConf))
	d.identity(t, "ours", "11")
	d.run(t, nil, append([]string{"pkcs11-tool", "--module", openscModule}, login("--keypairgen", "--key-type", "rsa:2048", "--id", "22", "--label", "theirs")...)...)
	seen := func(module string) []string {
		out := d.run(t, nil, append([]string{"pkcs11-tool", "--module", module}, login("-O")...)...)
		var lines []string
		for _, object := range regexp.MustCompile(`(?m)^(?:Private|Public) Key Object.*(?:\n .*)*|^Certificate Object.*(?:\n .*)*`).FindAllString(out, -1) {
			var facts []string
			for line := range strings.Lines(object) {
				line = strings.TrimSpace(line)
				for _, fact := range []string{"Private Key", "Public Key", "Certificate", "label:", "ID:", "subject:"} {
					if strings.HasPrefix(line, fact) {
						facts = append(facts, strings.TrimSuffix(line, " 2048 bits"))
					}
				}
			}
			lines = append(lines, strings.Join(facts, ", "))
		}
		slices.Sort(lines)
		return lines
	}
	ours, theirs := seen(built.module), seen(openscModule)
	if !slices.Equal(ours, theirs) {
		t.Errorf("our module lists\n%s\nOpenSC's\n%s", strings.Join(ours, "\n"), strings.Join(theirs, "\n"))
	}
	if len(ours) < 5 {
		t.Errorf("only %d objects: %q", len(ours), ours)
	}
}

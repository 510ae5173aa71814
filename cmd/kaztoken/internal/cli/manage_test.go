package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/firmware/emu"
	"kaztoken/internal/words"
)

// stocked is a desk whose card holds one of everything.
func stocked(t *testing.T) *desk {
	d := newDesk(t).files()
	d.must("cert", "import", "@demo.p12", "--pin-file", "@user.pin", "--password-file", "@password")
	d.must("cert", "import", "@head.cer", "--pin-file", "@user.pin")
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	d.must("object", "write", "@letter.txt", "--label", "letter", "--application", "post", "--oid", "1.2.3", "--pin-file", "@user.pin")
	return d
}

// TestManageJSONKeys holds the names and types that scripts rely on.
func TestManageJSONKeys(t *testing.T) {
	for _, c := range []struct{ name, args string }{
		{"pin-status", "pin status"},
		{"pin-verify", "pin verify --pin-file @user.pin"},
		{"pin-change", "pin change --pin-file @user.pin --new-pin-file @new.pin"},
		{"pin-unblock", "pin unblock --pin-file @admin.pin"},
		{"rename", "rename x --pin-file @user.pin"},
		{"format", "format --yes --pin-file @admin.pin"},
		{"cert-list", "cert list"},
		{"cert-show", "cert show 1"},
		{"cert-import", "cert import @small.pem --label small --pin-file @user.pin"},
		{"cert-export", "cert export 1"},
		{"cert-default", "cert default 1"},
		{"cert-delete", "cert delete 1 --yes --pin-file @user.pin"},
		{"key-list", "key list"},
		{"key-csr", "key csr work --subject CN=x --pin-file @user.pin"},
		{"key-delete", "key delete work --yes --pin-file @user.pin"},
		{"object-list", "object list"},
		{"object-read", "object read letter"},
		{"object-write", "object write @letter.txt --pin-file @user.pin"},
		{"object-delete", "object delete letter --yes --pin-file @user.pin"},
		{"sign", "sign --key work @letter.txt --pin-file @user.pin"},
		{"random", "random"},
		{"check", "check"},
		{"demo", "demo"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := stocked(t)
			if c.name == "check" {
				d.must("rename", "x", "--pin-file", "@user.pin") // something to find
			}
			r := d.must(append(strings.Fields(c.args), "--json")...)
			golden(t, "keys-"+c.name, keys(t, r.out))
			if strings.Contains(r.out, "Token name") {
				t.Errorf("text beside JSON: %s", r.out)
			}
		})
	}
	d := newDesk(t).files()
	golden(t, "keys-key-generate", keys(t, d.must("key", "generate", "--pin-file", "@user.pin", "--json").out))
	for _, empty := range []string{"key list", "object list"} {
		if r := newDesk(t).must(append(strings.Fields(empty), "--json")...); r.out != "[]\n" {
			t.Errorf("%s of an empty token prints %q", empty, r.out)
		}
	}
}

// TestJSONIsEnglish: what scripts read does not depend on the language.
func TestJSONIsEnglish(t *testing.T) {
	d := stocked(t)
	for _, args := range []string{"info", "pin status", "cert list", "cert show 2", "key list", "object list", "check"} {
		var outs []string
		for _, lang := range words.Languages() {
			d.lang = lang
			outs = append(outs, d.must(append(strings.Fields(args), "--json")...).out)
		}
		if outs[0] != outs[1] || outs[0] != outs[2] {
			t.Errorf("%s: %s", args, cmp.Diff(outs[0], outs[2]))
		}
	}
}

func TestInfoJSON(t *testing.T) {
	d := newDesk(t)
	var i infoJSON
	if err := json.Unmarshal([]byte(d.must("info", "--json").out), &i); err != nil {
		t.Fatal(err)
	}
	want := &windowJSON{
		Format: "pkcs15", Reader: "DigiFlow LLP. KAZTOKEN 00 00",
		Name: fieldJSON{"KAZTOKEN", "token"}, Model: fieldJSON{"KAZTOKEN", "nominal"}, ID: fieldJSON{"32D18A58", "token"},
		Version: fieldJSON{"1.4", "inferred"}, TotalMemory: fieldJSON{262144., "inferred"}, FreeMemory: fieldJSON{53408., "inferred"},
		AvailableMemory: fieldJSON{65536., "nominal"}, Firmware: fieldJSON{"20.04.21.00", "inferred"},
		Manufacturer: fieldJSON{"Aktiv Co.", "token"}, Policy: fieldJSON{"both", "token"}, UTF8PINs: fieldJSON{true, "nominal"},
		RSABits: fieldJSON{map[string]any{"min": 1024., "max": 4096.}, "nominal"},
	}
	want.PINs.User = &pinJSON{Left: 10, Max: 10, MinLength: 6, MaxLength: 32}
	want.PINs.Admin = &pinJSON{Left: 10, Max: 10, MinLength: 6, MaxLength: 32}
	if diff := cmp.Diff(want, i.Token); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// What a token does not tell is null.
	d = newDesk(t, emu.WithWiped(), emu.WithDataObject(0x8A, nil))
	if err := json.Unmarshal([]byte(d.must("info", "--json").out), &i); err != nil {
		t.Fatal(err)
	}
	unknown := fieldJSON{nil, "unknown"}
	if i.Token.Name != unknown || i.Token.FreeMemory != unknown || i.Token.PINs.User != nil || i.Token.Format != "wiped" {
		t.Errorf("a wiped token: %+v", i.Token)
	}
}

// TestDefaultCertificate: it is kept by token and certificate, marked in the
// list, and forgotten with the certificate or the token's content.
func TestDefaultCertificate(t *testing.T) {
	d := stocked(t)
	other := newDesk(t, emu.WithTokenID([8]byte{7: 1})).files()
	other.dir = d.dir
	other.must("cert", "import", "@head.cer", "--pin-file", "@user.pin")
	d.must("cert", "default", "ҮЛГІЕВА")
	other.must("cert", "default", "1")
	for desk, label := range map[*desk]string{d: "ҮЛГІЕВА ҮЛГІ", other: "ПРИМЕРОВ ПРИМЕР"} {
		if r := desk.must("cert", "default"); !strings.Contains(r.out, label) {
			t.Errorf("default %q, want %s", r.out, label)
		}
		for line := range strings.SplitSeq(desk.must("cert", "list").out, "\n") {
			if strings.HasPrefix(line, "*") != strings.Contains(line, label) {
				t.Errorf("line %q", line)
			}
		}
	}
	if data, err := os.ReadFile(filepath.Join(d.dir, "kaztoken", "config.toml")); err != nil || !strings.Contains(string(data), "0000000032d18a58") {
		t.Errorf("the file holds %q, %v", data, err)
	}
	d.must("cert", "delete", "ҮЛГІЕВА", "--yes", "--pin-file", "@user.pin")
	other.must("format", "--yes", "--pin-file", "@admin.pin")
	for _, desk := range []*desk{d, other} {
		if r := desk.must("cert", "default"); r.out != "No default certificate is chosen\n" {
			t.Errorf("after the deletion: %q", r.out)
		}
	}
	if data, err := os.ReadFile(filepath.Join(d.dir, "kaztoken", "config.toml")); err != nil || strings.Contains(string(data), " = ") {
		t.Errorf("the file holds %q, %v", data, err)
	}
	// A file that is not ours stops what needs it, and stays.
	d.file("kaztoken/config.toml", "\nnonsense")
	d.run("cert", "default", "1").want(t, exitFailed, "kaztoken/config.toml:2:")
	d.run("cert", "list").want(t, exitFailed, "kaztoken/config.toml:2:")
}

// TestDeletingKeepsSharedKeys: the key pair stays while another certificate is
// for it, and the count of what was deleted says so.
func TestDeletingKeepsSharedKeys(t *testing.T) {
	d := newDesk(t).files()
	d.must("cert", "import", "@small.pem", "--label", "work", "--id", "42", "--pin-file", "@user.pin")
	d.must("cert", "import", "@head.cer", "--id", "42", "--label", "one", "--pin-file", "@user.pin")
	d.must("cert", "import", "@demo.p12", "--id", "43", "--label", "two", "--pin-file", "@user.pin", "--password-file", "@password")
	r := d.must("cert", "delete", "two", "one", "--yes", "--pin-file", "@user.pin", "--json")
	var gone deletedJSON
	if err := json.Unmarshal([]byte(r.out), &gone); err != nil || gone != (deletedJSON{Certificates: 2, Keys: 2}) {
		t.Errorf("deleted %+v, %v", gone, err)
	}
	if r := d.must("key", "list", "--json"); r.out != "[]\n" {
		t.Errorf("keys left: %s", r.out)
	}
}

// TestReplaceKeepsOneOfBoth: an object that is replaced is gone only when the
// new one is there.
func TestReplaceKeepsOneOfBoth(t *testing.T) {
	d := newDesk(t).files()
	d.must("object", "write", "@letter.txt", "--label", "x", "--pin-file", "@user.pin")
	d.file("new.txt", "new")
	d.nobody = true
	d.run("object", "write", "@new.txt", "--label", "x", "--replace", "--pin-file", "@user.pin").want(t, exitUsage, "--yes")
	d.must("object", "write", "@new.txt", "--label", "x", "--replace", "--yes", "--pin-file", "@user.pin")
	if r := d.must("object", "read", "x"); r.out != "new" {
		t.Errorf("reads %q", r.out)
	}
	var list []objectJSON
	if err := json.Unmarshal([]byte(d.must("object", "list", "--json").out), &list); err != nil || len(list) != 1 {
		t.Errorf("%d objects, %v", len(list), err)
	}
}

// TestCheckRepairs: what an interruption leaves is found and cleared, and the
// exit code says whether something is left.
func TestCheckRepairs(t *testing.T) {
	d := newDesk(t).files()
	for n := 8; ; n++ {
		d.card = newCard(t)
		p := &pulled{left: n}
		d.wrap = wrapIn(p)
		d.run("object", "write", "@letter.txt", "--pin-file", "@user.pin")
		if p.sent <= n {
			t.Fatal("no cut left anything")
		}
		d.wrap = nil
		r := d.run("check")
		if r.code == exitOK {
			continue
		}
		r.want(t, exitFailed, "left over: 1", "hint: to clear it: kaztoken check --repair")
		if !strings.Contains(r.out, "leftover file: 3F00/5000/04") {
			t.Errorf("prints %q", r.out)
		}
		d.nobody = true
		d.run("check", "--repair", "--pin-file", "@user.pin").want(t, exitUsage, "--yes")
		d.run("check", "--repair", "--yes", "--pin-file", "@wrong.pin").want(t, exitPIN, "wrong user PIN")
		d.nobody = false
		d.types("n")
		d.run("check", "--repair", "--pin-file", "@user.pin").want(t, exitFailed, "cancelled")
		d.types("y")
		d.run("check", "--repair", "--pin-file", "@user.pin").want(t, exitOK, "Cleared: 1", "in order")
		if s := d.screen.String(); !strings.Contains(s, "ID 32D18A58") || !strings.Contains(s, "leftover file") {
			t.Errorf("asks %q", s)
		}
		d.run("check", "--repair").want(t, exitOK, "in order") // nothing to ask for
		return
	}
}

// TestProgress: it is shown on a terminal only, and wiped away.
func TestProgress(t *testing.T) {
	d := newDesk(t).files()
	d.onTerminal = true
	r := d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	if !strings.Contains(r.err, "\rGenerating the key pair… 100 %") || !strings.Contains(r.err, "\r\x1b[KKey pair generated") {
		t.Errorf("shows %q", r.err)
	}
	r = d.must("format", "--yes", "--pin-file", "@admin.pin")
	if !strings.Contains(r.err, "Do not unplug the KAZTOKEN") || !strings.Contains(r.err, "100 %") {
		t.Errorf("shows %q", r.err)
	}
	d.onTerminal = false
	r = d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	if strings.Contains(r.err, "%") || strings.Contains(r.err, "\r") {
		t.Errorf("shows %q to a file", r.err)
	}
}

// TestOnTheVirtualToken runs commands over the whole driver, with the state in a
// file between them.
func TestOnTheVirtualToken(t *testing.T) {
	d := newDesk(t).files()
	state := filepath.Join(d.dir, "state")
	do := func(args ...string) result {
		t.Helper()
		r := run(t, t.Context(), nil, func(e *Env) {
			card := e.Card
			d.edit(e)
			e.Card = card
		}, append([]string{"--backend", "virtual", "--virtual-state", state}, args...)...)
		if r.code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
		}
		return r
	}
	pin := filepath.Join(d.dir, "user.pin")
	do("rename", "Үлгі", "--pin-file", pin)
	do("cert", "import", filepath.Join(d.dir, "demo.p12"), "--pin-file", pin, "--password-file", filepath.Join(d.dir, "password"))
	if r := do("cert", "list"); !strings.Contains(r.out, "ҮЛГІЕВА ҮЛГІ") {
		t.Errorf("lists %q", r.out)
	}
	if r := do("info"); !strings.Contains(r.out, "Үлгі") {
		t.Errorf("tells %q", r.out)
	}
	if sig := do("sign", "--key", "1", "--pin-file", pin, filepath.Join(d.dir, "letter.txt")).out; len(sig) != 256 {
		t.Errorf("a signature of %d bytes", len(sig))
	}
}

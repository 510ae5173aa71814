//go:build e2e && linux

package panel

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/internal/words"
)

// forms are the ways in which a secret may stand in a text or a file: in clear, in
// hexadecimal or decimal bytes, or in Base64 with 0, 1 or 2 bytes of a group before it.
func forms(secret string) map[string]string {
	all := map[string]string{
		"clear": secret, "hex": fmt.Sprintf("%x", secret), "spaced hex": fmt.Sprintf("% x", secret),
		"decimal": strings.Trim(fmt.Sprint([]byte(secret)), "[]"),
	}
	for before := range 3 {
		text := base64.RawStdEncoding.EncodeToString(append(make([]byte, before), secret...))
		if (before+len(secret))%3 != 0 {
			text = text[:len(text)-1] // it depends on what follows
		}
		all[fmt.Sprintf("Base64 %d", before)] = text[(before*8+5)/6:]
	}
	return all
}

// TestForms: a secret is found wherever it stands.
func TestForms(t *testing.T) {
	const secret = "Zharkent-5071"
	for _, text := range []string{
		secret, fmt.Sprintf("%X", secret), fmt.Sprintf("% x", "1"+secret+"2"), fmt.Sprint([]byte("1" + secret + "2")),
		base64.StdEncoding.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte("1" + secret + "34")),
		base64.StdEncoding.EncodeToString([]byte("12" + secret + "3")), base64.URLEncoding.EncodeToString([]byte("123" + secret)),
	} {
		if holds(text, secret) == "" {
			t.Errorf("not found in %s", text)
		}
	}
	if form := holds("Zharkent-5072", secret); form != "" {
		t.Errorf("another one is found in %s", form)
	}
}

// holds finds a secret in a text, whatever the letters' case.
func holds(text, secret string) (form string) {
	for form, s := range forms(secret) {
		if strings.Contains(text, s) || !strings.HasPrefix(form, "Base64") && strings.Contains(strings.ToLower(text), strings.ToLower(s)) {
			return form
		}
	}
	return ""
}

// TestSecretsStaySecret goes through a session with every secret that a person types,
// at the most talkative level, and looks for them in the log, the files, the address
// bar, the pages and what the browser keeps.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	const user, admin, wrong = "Zharkent-5071", "Zaisan-6082", "Zyrian-7093"
	secrets := []string{user, admin, wrong, identityPassword}
	s := virtual(t, "--log-level", "trace")
	b := newTab(t, s, words.English, "secrets").enter()
	var seen strings.Builder // every page and address
	note := func() {
		seen.WriteString(value[string](b, `location.href + "\n" + document.documentElement.outerHTML + "\n" + JSON.stringify(performance.getEntries().map(e => e.name)) + "\n" +
			JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage}) + document.cookie + "\n" + JSON.stringify(history.state) + "\n" +
			[...document.querySelectorAll("input[type=password]")].map(e => e.value).join()`) + "\n")
	}
	change := func(role, old, fresh string) {
		b.tryLogin(role, wrong)
		b.see("#problem")
		note()
		b.fill("#pin", old)
		b.click("#ok")
		b.see("#changenow")
		b.click("#changenow")
		b.see("#pin-form")
		b.fill("#new", fresh)
		b.fill("#again", fresh+"x")
		b.click("#ok")
		b.see("#problem")
		note()
		b.fill("#new", fresh)
		b.fill("#again", fresh)
		b.click("#ok")
		b.says("#notices", b.say("done.change", "role", role))
		note()
		b.logout()
	}
	change("user", factoryUser, user)
	change("admin", factoryAdmin, admin)
	b.login("user", user)
	b.open("certs")
	b.importFile(identity, wrong)
	b.see("#problem")
	note()
	b.upload("#file", identity)
	b.fill("#password", identityPassword)
	b.click("#ok")
	b.finished()
	b.see("#personal")
	note()
	b.open("admin")
	b.logout()
	b.login("admin", admin)
	b.click("#format")
	b.see("#format-form")
	b.click("#user_default")
	b.fill("#user_pin", user)
	b.fill("#user_again", user)
	b.click("#admin_default")
	b.fill("#admin_pin", admin)
	b.fill("#admin_again", admin)
	b.click("#start")
	b.see("#format-warning")
	note()
	b.click("#start")
	b.finished()
	note()
	b.login("user", user)
	note()
	if err := s.stop(); err != nil {
		t.Error(err)
	}

	log := s.log.String()
	for _, want := range []string{"level=trace", "0020", "hidden="} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q: it does not show what was done", want)
		}
	}
	for _, secret := range secrets {
		if form := holds(log, secret); form != "" {
			t.Errorf("the log holds %q in %s", secret, form)
		}
		if form := holds(seen.String(), secret); form != "" {
			t.Errorf("a page or the browser holds %q in %s", secret, form)
		}
	}
	// The token in software keeps its PINs, in a file of its own.
	err := filepath.WalkDir(s.home.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == "virtual.state" || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		for _, secret := range secrets {
			if form := holds(string(bytes.ToValidUTF8(text, []byte("?"))), secret); form != "" {
				t.Errorf("%s holds %q in %s", path, secret, form)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

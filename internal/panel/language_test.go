package panel_test

import (
	"regexp"
	"strings"
	"testing"
	"unicode"

	"kaztoken/firmware/emu"
	"kaztoken/internal/panel"
	"kaztoken/internal/words"
)

// exempt is what may stand in Latin letters on a Kazakh or Russian page, with the
// reason.
var exempt = []struct{ pattern, why string }{
	{`KAZTOKEN|kaztoken( panel)?|Windows`, "products, and the command that opens the panel"},
	{`English`, "a language by its own name"},
	{`PIN-код\w*|PIN`, "the Russian word, as the guide has it"},
	{`RSA|SHA-256|SHA256-RSA|UTF-8|PKCS#15|PKCS#11|CCID|PC/SC|USB|PEM|DER|CER|CRT|P12|PFX|RDP|ID|Linux|macOS|libusb|OpenSC|Caps Lock`, "names of standards and programs"},
	{`Microsoft Base Smart Card Crypto Provider`, "a product, as the guide has it"},
	{`(CN|SN|GN|C|O|OU|L|serialNumber)=\S*`, "attributes of a certificate"},
	{`IIN\d+`, "a part of a certificate"},
	{`\b[0-9A-F]{8,}\b|0x[0-9A-F]{8}|\b[A-F0-9]{2,}\b`, "numbers in hexadecimal digits"},
	{`UTC`, "the time zone"},
	{`v1\.2\.3|4d5c|linux/amd64`, "version and platform"},
	{`/\S+/config\.toml`, "the path of a file"},
	{`register|work`, "what the test itself has put there"},
}

// TestNoEnglishIsLeft: every page and dialog in Kazakh and in Russian, before and
// after a log-in, with certificates and with mistakes.
func TestNoEnglishIsLeft(t *testing.T) {
	var patterns []string
	for _, e := range exempt {
		patterns = append(patterns, e.pattern)
	}
	allowed := regexp.MustCompile(strings.Join(patterns, "|"))
	details := regexp.MustCompile(`(?s)<details>.*?</details>|<tbody lang="en">.*?</tbody>`)
	for _, l := range []words.Language{words.Kazakh, words.Russian} {
		t.Run(string(l), func(t *testing.T) {
			w := newWorld(t, func(c *panel.Config) {
				c.Registered = func(w words.Words) panel.Registration { return panel.Registration{Hint: w.Text("registered.none")} }
			}, newCard(t))
			seen := 0
			check := func(a *answer) *answer {
				t.Helper()
				seen++
				a.body = details.ReplaceAllString(a.body, "")
				attributes := strings.Join(a.all(`\b(?:aria-label|title|alt|placeholder|data-[a-z]+)="([^"]*[\p{L}]{2}[^"]*)"`), " ")
				attributes = regexp.MustCompile(`\b(user-new|admin-new|admin|certs|settings|about|true|[0-9a-f]{16})\b`).ReplaceAllString(attributes, "")
				for where, text := range map[string]string{"text": a.text(), "attributes": attributes} {
					rest := allowed.ReplaceAllString(text, "")
					if i := strings.IndexFunc(rest, func(r rune) bool { return unicode.Is(unicode.Latin, r) }); i >= 0 {
						t.Errorf("%s has Latin letters in its %s: …%s", a.path, where, rest[i:min(len(rest), i+80)])
					}
				}
				return a
			}
			check(w.newBrowser(l).get("/"))
			b := w.enter(l)
			for _, role := range []string{"", "user", "admin"} {
				if role != "" {
					pin := factoryUser
					if role == "admin" {
						pin = factoryAdmin
					}
					check(b.post("/login", "role", role, "pin", "0000000"))
					check(b.post("/login", "role", role, "pin", pin))
				}
				for _, path := range addresses {
					if path != "/events" {
						check(b.get(path))
					}
				}
				for _, path := range actions {
					if path == "/close" || path == "/logout" || path == "/language" {
						continue
					}
					check(b.post(path))
				}
				if role == "user" {
					demo, password := demoFile(t)
					check(b.upload("/certificates/import", "me.p12", demo, "password", "x"))
					a := check(b.upload("/certificates/import", "me.p12", demo, "password", password))
					ids := a.all(`name="item" value="([^"]+)"`)
					check(b.get("/certificates/" + ids[0]))
					check(b.post("/certificates/default", "id", ids[0]))
					check(b.get("/certificates/delete?item=" + ids[0]))
					check(b.post("/certificates/generate", "bits", "2048", "label", "work"))
					check(b.post("/pin", "whose", "user", "new", "1111111", "again", "1111111"))
				}
			}
			check(b.post("/format", formatForm()...))
			check(b.post("/format/start"))
			check(b.post("/logout"))
			check(b.post("/close"))
			if seen < 120 {
				t.Errorf("only %d pages were seen", seen)
			}
		})
	}
}

// TestStatesOfTokens: what is said of tokens that cannot be used.
func TestStatesOfTokens(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		t.Parallel()
		for key, option := range map[words.Key]emu.Option{
			"error.state.vendor": emu.WithVendorFormat(), "error.state.half": emu.WithHalfInitialised(), "error.state.wiped": emu.WithWiped(),
		} {
			t.Run(string(key), func(t *testing.T) {
				b := newWorld(t, nil, newCard(t, option)).enter(l)
				b.get("/").wants(200, say(l, key))
				b.get("/certificates").wants(200, say(l, key))
				b.get("/check").wants(200, say(l, key))
				b.get("/information").wants(200)
			})
		}
	})
}

package panel_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"kaztoken/firmware"
	"kaztoken/internal/panel"
	"kaztoken/internal/words"
)

// recorder keeps everything that is logged, and everything that the panel sends or
// that stands in an address.
type recorder struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (r *recorder) note(format string, values ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(&r.all, format+"\n", values...)
}

// RoundTrip is the way of a browser's requests.
func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	r.note("%s %s", q.Method, q.URL)
	a, err := http.DefaultTransport.RoundTrip(q)
	if err == nil {
		dump, dumpErr := httputil.DumpResponse(a, true)
		if dumpErr != nil {
			return nil, dumpErr
		}
		r.note("%s", dump)
	}
	return a, err
}

// forms are the ways in which a secret could be written.
func forms(s string) []string {
	b := []byte(s)
	all := []string{
		s, hex.EncodeToString(b), strings.ToUpper(hex.EncodeToString(b)), fmt.Sprintf("% x", b), fmt.Sprintf("% X", b), url.QueryEscape(s),
		strings.Trim(fmt.Sprint(b), "[]"),
	}
	// In Base64 a secret looks different at each place of a group of three.
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), b...))
		inner := text[(shift*8+5)/6 : len(text)/4*4-4]
		all = append(all, inner, base64.RawURLEncoding.EncodeToString(b))
	}
	return all
}

// TestSecretsAreNowhere: a whole session at trace level, searched for PINs and the
// password of a file.
func TestSecretsAreNowhere(t *testing.T) {
	r := &recorder{}
	w := newWorld(t, func(c *panel.Config) {
		c.Trace = func(e panel.Exchange) { r.note("%+v", e) }
		c.Report = func(err error) { r.note("%v", err) }
		c.Firmware = func(string) []firmware.Option {
			return []firmware.Option{firmware.WithTrace(func(e firmware.Event) { r.note("%X %X %v %v", e.Command, e.Answer, e.SW, e.Err) })}
		}
	}, newCard(t))
	b := w.newBrowser(words.English)
	b.client.Transport = r
	b.get(w.panel.Entry())
	demo, password := demoFile(t)

	const wrong, user2, admin2, user3 = "Wrong-pin-77", "Semey-1718-x", "Taraz-2000-y", "Aktau-1961-z"
	b.post("/login", "role", "user", "pin", wrong)
	b.login("user", factoryUser)
	b.post("/pin", "whose", "user", "new", user2, "again", wrong)
	b.post("/pin", "whose", "user", "new", user2, "again", user2)
	b.upload("/certificates/import", "me.p12", demo, "password", wrong)
	b.upload("/certificates/import", "me.p12", demo, "password", password)
	b.post("/name", "name", "Almaty")
	b.post("/certificates/generate", "bits", "2048", "label", "work")
	ids := b.get("/certificates").all(`name="item" value="([^"]+)"`)
	b.post("/certificates/delete", "item", ids[0])
	b.login("admin", factoryAdmin)
	b.post("/pin", "whose", "admin", "new", admin2, "again", admin2)
	b.post("/unblock")
	form := formatForm("user_default", "-", "user_pin", user3, "user_again", wrong, "admin_default", "-", "admin_pin", admin2, "admin_again", admin2)
	b.post("/format", form...)
	b.post("/format", formatForm("user_default", "-", "user_pin", user3, "user_again", user3, "admin_default", "-", "admin_pin", admin2, "admin_again", admin2)...)
	b.post("/format/start").wants(200, say(words.English, "done.format", "name", "KAZTOKEN"))
	b.login("user", user3)
	b.post("/close")

	settings, err := os.ReadFile(w.settings)
	if err == nil {
		r.note("%s", settings)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all.String()
	if n := strings.Count(all, "\n"); n < 1000 {
		t.Fatalf("only %d lines were recorded", n)
	}
	for _, secret := range []string{wrong, user2, admin2, user3, password} {
		for _, f := range forms(secret) {
			if i := strings.Index(all, f); i >= 0 {
				t.Errorf("%q is there as %q: …%s…", secret, f, all[max(0, i-80):min(len(all), i+80)])
			}
		}
	}
	// The default PINs stand in the format dialog, as the guide has it, and in
	// nothing else.
	rest := strings.NewReplacer("(12345678)", "", "(87654321)", "").Replace(all)
	for _, secret := range []string{factoryUser, factoryAdmin} {
		for _, f := range forms(secret) {
			if strings.Contains(rest, f) {
				t.Errorf("the default PIN is there as %q", f)
			}
		}
	}
}

// TestFormsFind proves that the search above finds what it should.
func TestFormsFind(t *testing.T) {
	const secret = "Semey-1718"
	for _, text := range []string{
		"x" + secret, hex.EncodeToString([]byte("a" + secret)), base64.StdEncoding.EncodeToString([]byte(secret)),
		base64.StdEncoding.EncodeToString([]byte("a" + secret + "b")), base64.StdEncoding.EncodeToString([]byte("ab" + secret + "c")), fmt.Sprint([]byte(secret)),
	} {
		found := false
		for _, f := range forms(secret) {
			found = found || strings.Contains(text, f)
		}
		if !found {
			t.Errorf("%q is not found", text)
		}
	}
}

package panel_test

import (
	"bytes"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"kaztoken/internal/panel"
	"kaztoken/internal/words"
)

// addresses are those that show something, with what they need in their place.
var addresses = []string{
	"/", "/certificates", "/settings", "/about", "/diagnostics", "/login", "/login/default", "/information", "/unblock", "/pin", "/name", "/format",
	"/format/confirm", "/policy", "/check", "/certificates/import", "/certificates/generate", "/certificates/delete", "/certificates/c00",
	"/certificates/c00/export", "/task/1", "/events",
}

// actions are those that change something.
var actions = []string{
	"/token", "/language", "/close", "/settings", "/login", "/logout", "/unblock", "/pin", "/name", "/format", "/format/start", "/format/cancel",
	"/repair", "/certificates/import", "/certificates/generate", "/certificates/delete", "/certificates/default",
}

func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	known := w.enter(words.English)
	fields := known.hidden()
	stranger := w.newBrowser(words.English)
	for _, path := range addresses {
		stranger.get(path).wants(http.StatusForbidden, say(words.English, "panel.stranger"))
	}
	for _, path := range actions {
		// Not even with the token of somebody else's form.
		stranger.send(path, fields).wants(http.StatusForbidden, say(words.English, "panel.stranger"))
	}
	forged := known.request(http.MethodGet, "/", nil)
	forged.Header.Set("Cookie", "kaztoken-panel-"+port(w.http)+"=AAAA")
	stranger.do(forged).wants(http.StatusForbidden)
}

func port(s *httptest.Server) string {
	_, p, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		panic(err)
	}
	return p
}

func TestAddressWorksOnce(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	path := w.panel.Entry()
	first := w.newBrowser(words.English)
	a := first.get(path)
	if a.wants(200); a.path != "/" || strings.Contains(a.body, strings.TrimPrefix(path, "/enter/")) {
		t.Errorf("the secret is at %s, or in the page", a.path)
	}
	w.newBrowser(words.English).get(path).wants(http.StatusForbidden)
	first.get(path).wants(http.StatusForbidden)
	first.get("/").wants(200)
	w.newBrowser(words.English).get("/enter/AAAA").wants(http.StatusForbidden)
}

func TestAddressExpires(t *testing.T) {
	now := testTime
	w := newWorld(t, func(c *panel.Config) { c.Now = func() time.Time { return now } })
	path := w.panel.Entry()
	now = now.Add(10 * time.Minute)
	w.newBrowser(words.English).get(path).wants(http.StatusForbidden)
}

// TestFewAddressesWait: who asks for many gets the newest.
func TestFewAddressesWait(t *testing.T) {
	w := newWorld(t, nil)
	first := w.panel.Entry()
	for range 20 {
		w.panel.Entry()
	}
	last := w.panel.Entry()
	w.newBrowser(words.English).get(first).wants(http.StatusForbidden)
	w.newBrowser(words.English).get(last).wants(200)
}

func TestCookie(t *testing.T) {
	w := newWorld(t, nil)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Get(w.http.URL + w.panel.Entry())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	if c := cookies[0]; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
		t.Errorf("cookie %v", c)
	}
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" || resp.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("answer %d %v", resp.StatusCode, resp.Header)
	}
}

// TestCookieNames: whatever address the panel is at, its cookie has a name that a
// browser takes.
func TestCookieNames(t *testing.T) {
	desk := newWorld(t, nil).desk
	for host, want := range map[string]string{
		"127.0.0.1:8600": "kaztoken-panel-8600", "[::1]:8601": "kaztoken-panel-8601", "localhost:8602": "kaztoken-panel-8602", "localhost": "kaztoken-panel-",
	} {
		s := panel.New(panel.Config{Tokens: desk, Hosts: []string{host}, Explain: explain})
		r := httptest.NewRequest(http.MethodGet, s.Entry(), nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if c := w.Result().Cookies(); len(c) != 1 || c[0].Name != want {
			t.Errorf("%s: %v", host, w.Header()["Set-Cookie"])
		}
		s.Close()
	}
}

func TestForeignHostsAndOrigins(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	fields := b.hidden()
	for name, change := range map[string]func(*http.Request){
		"other host":       func(r *http.Request) { r.Host = "kaztoken.example" },
		"rebound name":     func(r *http.Request) { r.Host = "evil.example:" + port(w.http) },
		"other port":       func(r *http.Request) { r.Host = "127.0.0.1:1" },
		"other origin":     func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"origin of a file": func(r *http.Request) { r.Header.Set("Origin", "null") },
		"other scheme":     func(r *http.Request) { r.Header.Set("Origin", strings.Replace(w.http.URL, "http:", "https:", 1)) },
		"two origins": func(r *http.Request) {
			r.Header.Add("Origin", w.http.URL)
			r.Header.Add("Origin", "http://evil.example")
		},
		"page of another site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"neighbour":            func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request(http.MethodGet, "/", nil)
			change(r)
			if a := b.do(r); a.status != http.StatusForbidden && a.status != http.StatusMisdirectedRequest {
				t.Errorf("a page is shown: %d", a.status)
			}
			r = b.request(http.MethodPost, "/login", strings.NewReader(fields.Encode()+"&role=user&pin="+factoryUser))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			change(r)
			if a := b.do(r); a.status != http.StatusForbidden && a.status != http.StatusMisdirectedRequest {
				t.Errorf("a form is taken: %d", a.status)
			}
		})
	}
	t.Run("form without origin", func(t *testing.T) {
		r := b.request(http.MethodPost, "/login", strings.NewReader(fields.Encode()))
		r.Header.Del("Origin")
		b.do(r).wants(http.StatusForbidden)
	})
	t.Run("form that was typed", func(t *testing.T) {
		r := b.request(http.MethodPost, "/login", strings.NewReader(fields.Encode()))
		r.Header.Set("Sec-Fetch-Site", "none")
		b.do(r).wants(http.StatusForbidden)
	})
	if a := b.get("/"); strings.Contains(a.body, `id="who"`) {
		t.Error("one of them logged in")
	}
}

func TestOtherMethods(t *testing.T) {
	b := newWorld(t, nil, newCard(t)).enter(words.English)
	for _, m := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"} {
		r := b.request(m, "/", nil)
		resp, err := b.client.Do(r)
		if err != nil {
			continue // the client itself does not want to
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", m, resp.StatusCode)
		}
	}
	for _, path := range actions {
		if a := b.get(path); a.status == http.StatusOK && a.path == path && !strings.Contains(" /settings /login /unblock /pin /name /format /certificates/import /certificates/generate /certificates/delete ", " "+path+" ") {
			t.Errorf("GET %s: %d", path, a.status)
		}
	}
}

func TestFormsAreTheSessionsOwn(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	one, two := w.enter(words.English), w.enter(words.English)
	foreign := two.hidden().Get("csrf")
	for _, path := range actions {
		for name, csrf := range map[string]string{"foreign": foreign, "wrong": "AAAA", "empty": ""} {
			fields := one.hidden()
			fields.Set("csrf", csrf)
			if a := one.send(path, fields); a.status != http.StatusForbidden {
				t.Errorf("%s with a %s token: %d", path, name, a.status)
			}
		}
		fields := one.hidden()
		fields.Del("csrf")
		one.send(path, fields).wants(http.StatusForbidden)
	}
}

func TestMalformedForms(t *testing.T) {
	b := newWorld(t, nil, newCard(t)).enter(words.English)
	csrf := b.hidden().Get("csrf")
	for name, c := range map[string]struct {
		kind, body string
		want       int
	}{
		"JSON":                {"application/json", `{"csrf":"` + csrf + `"}`, 400},
		"plain text":          {"text/plain", "csrf=" + csrf, 400},
		"no type":             {"", "csrf=" + csrf, 400},
		"broken escape":       {"application/x-www-form-urlencoded", "csrf=" + csrf + "&pin=%4", 400},
		"no UTF-8":            {"application/x-www-form-urlencoded", "csrf=" + csrf + "&pin=%FF", 400},
		"no value":            {"application/x-www-form-urlencoded", "csrf=" + csrf + "&pin", 400},
		"many fields":         {"application/x-www-form-urlencoded", "csrf=" + csrf + strings.Repeat("&a=b", 300), 400},
		"large":               {"application/x-www-form-urlencoded", "csrf=" + csrf + "&pin=" + strings.Repeat("1", 20<<10), 413},
		"no boundary":         {"multipart/form-data", "x", 400},
		"not the boundary":    {"multipart/form-data; boundary=b", "x", 400},
		"large field":         {"multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"csrf\"\r\n\r\n" + strings.Repeat("1", 20<<10) + "\r\n--b--\r\n", 413},
		"two files":           {"multipart/form-data; boundary=b", strings.Repeat("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n1\r\n", 2) + "--b--\r\n", 400},
		"part without a name": {"multipart/form-data; boundary=b", "--b\r\n\r\n1\r\n--b--\r\n", 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := b.request(http.MethodPost, "/login", strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.kind)
			if a := b.do(r); a.status != c.want {
				t.Errorf("status %d, want %d", a.status, c.want)
			}
		})
	}
}

func TestOversizedUpload(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	b.upload("/certificates/import", "me.p12", bytes.Repeat([]byte{0x30}, 1<<20+1)).wants(http.StatusRequestEntityTooLarge)
	// More than is read at all: the connection may be cut before the answer.
	body := io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"), io.LimitReader(zeros{}, 64<<20))
	r := b.request(http.MethodPost, "/certificates/import", body)
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	resp, err := b.client.Do(r)
	if err == nil {
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestNoWayToFiles(t *testing.T) {
	b := newWorld(t, nil).enter(words.English)
	for _, path := range []string{
		"/assets/../server.go", "/assets/..%2fserver.go", "/assets/%2e%2e/panel.css", "/assets/", "/assets/none", "/..%2f..%2fetc/passwd", "/assets/..%5c..%5cx",
		"/certificates/..%2f..%2fabout", "/enter/..%2f", "//evil.example/", "/none",
	} {
		r := b.request(http.MethodGet, "/", nil)
		r.URL.Opaque = path
		r.URL.RawPath = path
		client := &http.Client{Jar: b.client.Jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		resp, err := client.Do(r)
		if err != nil {
			continue // no request that a client would make
		}
		resp.Body.Close()
		to := resp.Header.Get("Location")
		if resp.StatusCode == http.StatusOK || strings.HasPrefix(to, "//") || strings.Contains(to, "evil") {
			t.Errorf("%s: %d %s", path, resp.StatusCode, to)
		}
	}
	b.get("/assets/panel.css").wants(200)
}

func TestHeaders(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	for _, path := range append([]string{"/none"}, addresses...) {
		if path == "/events" {
			continue
		}
		a := b.get(path)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
			"X-Content-Type-Options":  "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
			"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", path, name, got, want)
			}
		}
		for _, inline := range []string{"<style", " style=", "<script>", " onclick=", "javascript:", "http://", "https://", "localStorage"} {
			if strings.Contains(a.body, inline) {
				t.Errorf("%s has %s", path, inline)
			}
		}
	}
	r := b.request(http.MethodGet, "/assets/panel.js", nil)
	a := b.do(r)
	if strings.Contains(a.body, "localStorage") || strings.Contains(a.body, "sessionStorage") || strings.Contains(a.body, "innerHTML") {
		t.Error("the script keeps something, or writes HTML")
	}
}

func TestPINFieldsAreNotFilledIn(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("admin", factoryAdmin)
	count := 0
	for _, path := range []string{"/login", "/pin", "/format", "/certificates/import"} {
		for _, input := range b.get(path).all(`(<input[^>]*type="password"[^>]*>)`) {
			count++
			if !strings.Contains(input, `autocomplete="one-time-code"`) || strings.Contains(input, "value=") {
				t.Errorf("%s: %s", path, input)
			}
		}
	}
	if count != 8 {
		t.Errorf("%d fields", count)
	}
}

// deadlineWriter notes how long the panel lets a connection take.
type deadlineWriter struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (w *deadlineWriter) SetReadDeadline(t time.Time) error  { w.read = t; return nil }
func (w *deadlineWriter) SetWriteDeadline(t time.Time) error { w.write = t; return nil }

// TestSlowRequests: who sends or takes slowly does not hold a connection for ever.
// TestCutOffForms: a form of which only the beginning has arrived is none. What is left
// of a PIN would cost a try.
func TestCutOffForms(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	fields := b.hidden()
	form := fields.Encode() + "&role=user&pin=" + factoryUser
	const boundary = "cut"
	upload := ""
	for name, value := range map[string]string{"csrf": fields.Get("csrf"), "token": fields.Get("token"), "role": "user", "pin": factoryUser} {
		upload += "--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded":         form,
		"multipart/form-data; boundary=" + boundary: upload + "--" + boundary + "--\r\n",
	} {
		for _, lost := range []int{2, 5, 8, 12} {
			r := httptest.NewRequest(http.MethodPost, "/login", io.MultiReader(strings.NewReader(body[:len(body)-lost]), &cutOff{}))
			r.Host = w.http.Listener.Addr().String()
			r.Header.Set("Origin", w.http.URL)
			r.Header.Set("Content-Type", kind)
			for _, c := range b.client.Jar.Cookies(must(url.Parse(w.http.URL))) {
				r.AddCookie(c)
			}
			answer := httptest.NewRecorder()
			w.panel.ServeHTTP(answer, r)
			if answer.Code != http.StatusBadRequest {
				t.Errorf("%s without its last %d bytes: %d", kind, lost, answer.Code)
			}
		}
	}
	b.get("/login").wants(200, "User 10 of 10 tries left")
}

// cutOff is the body of a request whose sender has left (net/http).
type cutOff struct{}

func (*cutOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestSlowRequests(t *testing.T) {
	s := newWorld(t, nil).panel
	w := &deadlineWriter{ResponseRecorder: httptest.NewRecorder()}
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/login", strings.NewReader("")))
	for name, at := range map[string]time.Time{"request": w.read, "answer": w.write} {
		if left := time.Until(at); left <= 0 || left > 5*time.Minute {
			t.Errorf("the %s may take %v", name, left)
		}
	}
}

// quickPassword is what is kept of Qazaqstan-2030, with few rounds for the sake of time.
func quickPassword(t *testing.T) *panel.Password {
	t.Helper()
	key, err := pbkdf2.Key(sha256.New, "Qazaqstan-2030", []byte("sixteen bytes ok"), 100_000, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawStdEncoding.EncodeToString
	p, err := panel.ParsePassword([]byte("pbkdf2-sha256$100000$" + b64([]byte("sixteen bytes ok")) + "$" + b64(key)))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPassword(t *testing.T) {
	kept, err := panel.NewPassword([]byte("Qazaqstan-2030"))
	if err != nil {
		t.Fatal(err)
	}
	if p, err := panel.ParsePassword([]byte(kept.String() + "\n")); err != nil || !p.Matches([]byte("Qazaqstan-2030")) {
		t.Errorf("what is kept does not match: %v", err)
	}
	p := quickPassword(t)
	if p.Matches([]byte("Qazaqstan-2031")) || p.Matches(nil) {
		t.Error("the wrong password is right")
	}
	if _, err := panel.NewPassword([]byte("short")); !errors.Is(err, panel.ErrPasswordShort) {
		t.Errorf("short: %v", err)
	}
	good := kept.String()
	for name, text := range map[string]string{
		"empty": "", "clear": "Qazaqstan-2030", "other scheme": strings.Replace(good, "pbkdf2-sha256", "bcrypt", 1), "few rounds": strings.Replace(good, "600000", "1000", 1),
		"many rounds": strings.Replace(good, "600000", "4000000000", 1), "leading zero": strings.Replace(good, "600000", "0600000", 1), "short key": good[:len(good)-4], "field": good + "$",
		"no Base64": good[:len(good)-1] + "!",
	} {
		if _, err := panel.ParsePassword([]byte(text)); !errors.Is(err, panel.ErrPasswordFile) {
			t.Errorf("%s: %v", name, err)
		}
	}

	now := testTime
	w := newWorld(t, func(c *panel.Config) { c.Password, c.Now = p, func() time.Time { return now } }, newCard(t))
	b := w.newBrowser(words.English)
	if w.panel.Entry() != "/" {
		t.Error("there is an address that lets somebody in without it")
	}
	b.get("/").wants(200, say(words.English, "panel.password"))
	b.get("/certificates").wants(200, say(words.English, "panel.password"))
	enter := func(password string) *answer { return b.send("/enter", url.Values{"password": {password}}) }
	if a := enter("Qazaqstan-2030"); a.path != "/" || !strings.Contains(a.body, `id="token-bar"`) {
		t.Errorf("the password does not let in: %d at %s", a.status, a.path)
	}
	b = w.newBrowser(words.English)
	for range 5 {
		enter("").wants(http.StatusForbidden, say(words.English, "panel.password.wrong"))
	}
	enter("Qazaqstan-2030").wants(http.StatusTooManyRequests, say(words.English, "panel.password.wait"))
	now = now.Add(time.Minute)
	enter("Qazaqstan-2030").wants(200)
	if a := w.newBrowser(words.English).send("/token", url.Values{"csrf": {"x"}}); a.status != http.StatusForbidden {
		t.Errorf("a form without a session: %d", a.status)
	}
}

// TestDoorIsNotHeldOpen: one who does not take his answer keeps nobody else out.
func TestDoorIsNotHeldOpen(t *testing.T) {
	w := newWorld(t, func(c *panel.Config) { c.Password = quickPassword(t) })
	r := httptest.NewRequest(http.MethodPost, "/enter", strings.NewReader("password=wrong"))
	r.Host = w.http.Listener.Addr().String()
	r.Header.Set("Origin", w.http.URL)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	slow := &stuckWriter{ResponseRecorder: httptest.NewRecorder(), at: make(chan struct{}), goOn: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.panel.ServeHTTP(slow, r)
	}()
	<-slow.at
	let := time.AfterFunc(20*time.Second, func() {
		t.Error("somebody else is kept waiting")
		close(slow.goOn)
	})
	w.newBrowser(words.English).send("/enter", url.Values{"password": {"Qazaqstan-2030"}}).wants(200)
	if let.Stop() {
		close(slow.goOn)
	}
	<-ended
}

// stuckWriter is the connection of somebody who does not read.
type stuckWriter struct {
	*httptest.ResponseRecorder
	at, goOn chan struct{}
}

func (w *stuckWriter) Write(b []byte) (int, error) {
	close(w.at)
	<-w.goOn
	return w.ResponseRecorder.Write(b)
}

func TestNoPasswordNoDoor(t *testing.T) {
	b := newWorld(t, nil).newBrowser(words.English)
	b.send("/enter", url.Values{"password": {""}}).wants(http.StatusForbidden)
}

func TestTLS(t *testing.T) {
	s := panel.New(panel.Config{Tokens: newWorld(t, nil).desk, Hosts: []string{"panel.example:8600"}, TLS: true, Explain: explain})
	defer s.Close()
	r := httptest.NewRequest(http.MethodGet, s.Entry(), nil)
	r.Host = "Panel.example:8600"
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if len(cookies) != 1 || !cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "__Host-") || w.Header().Get("Strict-Transport-Security") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for origin, want := range map[string]bool{"https://panel.example:8600": true, "http://panel.example:8600": false} {
		r := httptest.NewRequest(http.MethodPost, "/close", nil)
		r.Host = "panel.example:8600"
		r.Header.Set("Origin", origin)
		r.AddCookie(cookies[0])
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if passed := w.Code == http.StatusBadRequest; passed != want { // it is no form
			t.Errorf("%s: %d", origin, w.Code)
		}
	}
}

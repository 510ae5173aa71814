package panel_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/certfile"
	"kaztoken/internal/describe"
	"kaztoken/internal/panel"
	"kaztoken/internal/panel/paneltest"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/words"
)

// The PINs of tests that change them.
const (
	factoryUser  = "12345678"
	factoryAdmin = "87654321"
	newUser      = "Semey-1718"
	newAdmin     = "Taraz-2000"
)

// testTime is when the tests run.
var testTime = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// world is a machine with a panel.
type world struct {
	t        testing.TB
	desk     *paneltest.Desk
	panel    *panel.Server
	http     *httptest.Server
	settings string
}

// newWorld makes a machine with the cards plugged in; change changes the
// configuration, nil for not.
func newWorld(t *testing.T, change func(*panel.Config), cards ...*emu.Card) *world {
	t.Helper()
	t.Parallel() // most of them wait for something
	desk := paneltest.New()
	for i, c := range cards {
		desk.Plug(readerName(i), c)
	}
	return serveWith(t, desk, change)
}

// serve makes a machine for a benchmark.
func serve(b *testing.B, desk *paneltest.Desk) *world { return serveWith(b, desk, nil) }

func serveWith(t testing.TB, desk *paneltest.Desk, change func(*panel.Config)) *world {
	t.Helper()
	w := &world{t: t, desk: desk, settings: filepath.Join(t.TempDir(), "config.toml")}
	w.http = httptest.NewUnstartedServer(nil)
	address := w.http.Listener.Addr().String()
	cfg := panel.Config{
		Tokens: w.desk, Settings: w.settings, Explain: explain, Hosts: []string{address},
		Registered: func(words.Words) panel.Registration { return panel.Registration{Done: true} },
		About: func(context.Context, words.Words) panel.About {
			return panel.About{Version: "v1.2.3", Commit: "4d5c", Platform: "linux/amd64", Facts: []panel.Fact{{Label: "about.libusb", Value: "1.0.26"}}}
		},
		Diagnose: func(_ context.Context, w words.Words) (panel.Diagnosis, error) {
			return panel.Diagnosis{
				Steps: []panel.Step{{Text: w.Text("doctor.step", "step", "bus"), State: panel.StepFine}, {Text: w.Text("doctor.step", "step", "card"), State: panel.StepWrong}},
				Cause: w.Text("doctor.card.silent", "error", "6F00"), Todo: w.Text("doctor.card.silent.do"),
			}, nil
		},
		Now:    func() time.Time { return testTime },
		Report: func(err error) { t.Errorf("reported: %v", err) },
	}
	if change != nil {
		change(&cfg)
	}
	w.panel = panel.New(cfg)
	w.http.Config.Handler = w.panel
	w.http.Start()
	t.Cleanup(func() {
		w.http.CloseClientConnections()
		w.http.Close()
		if err := w.panel.Close(); err != nil {
			t.Error(err)
		}
		if n := w.desk.Opened(); n != 0 {
			t.Errorf("%d tokens are still open", n)
		}
	})
	return w
}

func readerName(i int) string { return "KAZTOKEN 0" + string(rune('0'+i)) + " 00" }

// newCard makes a card that generates the same key each time.
func newCard(t *testing.T, options ...emu.Option) *emu.Card {
	t.Helper()
	key := generatedKey(t)
	return emu.New(append([]emu.Option{emu.WithKeySource(func(int) (*rsa.PrivateKey, error) { return key, nil })}, options...)...)
}

func generatedKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile("../../cmd/kaztoken/internal/cli/testdata/generated.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// explain tells of errors as the command does, in short.
func explain(w words.Words, err error) panel.Problem {
	var (
		pin    *firmware.PINError
		length *firmware.PINLengthError
		policy *firmware.PolicyError
		role   *firmware.RoleError
		state  *firmware.StateError
		name   *firmware.NameError
		weak   *pinpolicy.Error
	)
	p := panel.Problem{Message: w.Text("error.other"), Details: err.Error(), Gone: errors.Is(err, paneltest.ErrGone)}
	switch {
	case p.Gone:
		p.Message = w.Text("error.gone")
	case errors.As(err, &pin) && errors.Is(err, firmware.ErrLastTry):
		p = panel.Problem{Message: w.Text("error.pin.last", "role", describe.Role(pin.Role))}
	case errors.As(err, &pin) && errors.Is(err, firmware.ErrPINBlocked):
		p = panel.Problem{Message: w.Text("error.pin.blocked", "role", describe.Role(pin.Role))}
	case errors.As(err, &pin):
		p = panel.Problem{Message: w.Text("error.pin.wrong", "role", describe.Role(pin.Role), "n", pin.Left)}
	case errors.As(err, &length):
		p = panel.Problem{Message: w.Text("error.pin.length", "got", length.Got, "min", length.Min, "max", length.Max)}
	case errors.As(err, &policy):
		p = panel.Problem{Message: w.Text("error.policy", "role", describe.Role(policy.Role))}
	case errors.As(err, &role):
		p = panel.Problem{Message: w.Text("error.role", "role", describe.Role(role.Need))}
	case errors.As(err, &state):
		p = panel.Problem{Message: w.Text(map[firmware.State]words.Key{
			firmware.StateVendor: "error.state.vendor", firmware.StateHalf: "error.state.half", firmware.StateWiped: "error.state.wiped",
		}[state.State])}
	case errors.As(err, &name):
		p = panel.Problem{Message: w.Text("error.name", "why", "long")}
	case errors.As(err, &weak) && weak.Weakness != 0:
		p = panel.Problem{Message: w.Text("error.pin.weak", "why", describe.Weakness(weak.Weakness))}
	case errors.As(err, &weak):
		p = panel.Problem{Message: w.Text("error.pin.short", "got", weak.Length, "min", weak.MinLength)}
	case errors.Is(err, firmware.ErrExists):
		p = panel.Problem{Message: w.Text("error.exists")}
	case errors.Is(err, firmware.ErrNotFound):
		p = panel.Problem{Message: w.Text("error.notfound")}
	case errors.Is(err, firmware.ErrNoSpace):
		p = panel.Problem{Message: w.Text("error.space")}
	case errors.Is(err, certfile.ErrPassword):
		p = panel.Problem{Message: w.Text("error.file.password")}
	case errors.Is(err, certfile.ErrUnknownFormat):
		p = panel.Problem{Message: w.Text("error.file.kind")}
	}
	return p
}

// browser is a person's browser with its cookies.
type browser struct {
	w        *world
	client   *http.Client
	language words.Language
	dialogs  bool // the panel's script runs
}

// answer is what a browser shows.
type answer struct {
	t      testing.TB
	status int
	path   string // where it ended
	header http.Header
	body   string
}

// newBrowser makes a browser that the panel does not know.
func (w *world) newBrowser(l words.Language) *browser {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{w: w, client: &http.Client{Jar: jar}, language: l}
}

// enter makes a browser that is in the panel.
func (w *world) enter(l words.Language) *browser {
	w.t.Helper()
	b := w.newBrowser(l)
	if a := b.get(w.panel.Entry()); a.status != http.StatusOK || a.path != "/" {
		w.t.Fatalf("entering gave %d at %s", a.status, a.path)
	}
	return b
}

func (b *browser) do(r *http.Request) *answer {
	b.w.t.Helper()
	if b.language != "" {
		r.Header.Set("Accept-Language", string(b.language))
	}
	if b.dialogs {
		r.Header.Set("Panel-Dialog", "1")
	}
	resp, err := b.client.Do(r)
	if err != nil {
		b.w.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	return &answer{b.w.t, resp.StatusCode, resp.Request.URL.RequestURI(), resp.Header, string(body)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.w.t.Helper()
	r, err := http.NewRequestWithContext(b.w.t.Context(), method, b.w.http.URL+path, body)
	if err != nil {
		b.w.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Origin", b.w.http.URL)
	}
	return r
}

func (b *browser) get(path string) *answer {
	b.w.t.Helper()
	return b.do(b.request(http.MethodGet, path, nil))
}

// hidden are the fields that every form has.
func (b *browser) hidden() url.Values {
	b.w.t.Helper()
	a := b.get("/")
	v := url.Values{"csrf": {a.first(`name="csrf" value="([^"]+)"`)}}
	if m := regexp.MustCompile(`<option value="([^"]+)" selected`).FindStringSubmatch(a.body); m != nil {
		v.Set("token", m[1])
	}
	return v
}

// post fills a form in with pairs of names and values, and sends it.
func (b *browser) post(path string, pairs ...string) *answer {
	b.w.t.Helper()
	v := b.hidden()
	for i := 0; i+1 < len(pairs); i += 2 {
		if _, own := v[pairs[i]]; own && (pairs[i] == "csrf" || pairs[i] == "token") {
			v.Set(pairs[i], pairs[i+1])
		} else {
			v.Add(pairs[i], pairs[i+1])
		}
	}
	return b.send(path, v)
}

func (b *browser) send(path string, v url.Values) *answer {
	b.w.t.Helper()
	r := b.request(http.MethodPost, path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(r)
}

// upload sends a form with a file.
func (b *browser) upload(path, name string, file []byte, pairs ...string) *answer {
	b.w.t.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for k, v := range b.hidden() {
		m.WriteField(k, v[0])
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.WriteField(pairs[i], pairs[i+1])
	}
	part, err := m.CreateFormFile("file", name)
	if err != nil {
		b.w.t.Fatal(err)
	}
	part.Write(file)
	m.Close()
	r := b.request(http.MethodPost, path, &body)
	r.Header.Set("Content-Type", m.FormDataContentType())
	return b.do(r)
}

// login logs in and answers the warning of a default PIN.
func (b *browser) login(role, pin string) *answer {
	b.w.t.Helper()
	a := b.post("/login", "role", role, "pin", pin)
	if a.status != http.StatusOK || a.path == "/login" {
		b.w.t.Fatalf("log-in as %s: %d at %s: %s", role, a.status, a.path, a.problem())
	}
	return a
}

// first is what the group of a pattern matches first.
func (a *answer) first(pattern string) string {
	a.t.Helper()
	m := regexp.MustCompile(pattern).FindStringSubmatch(a.body)
	if m == nil {
		a.t.Fatalf("%s has no %s:\n%s", a.path, pattern, a.body)
	}
	return html.UnescapeString(m[1])
}

// all is everything that the group of a pattern matches.
func (a *answer) all(pattern string) []string {
	var all []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(a.body, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

var tag = regexp.MustCompile(`(?s)<(script|style|noscript)\b.*?</(script|style|noscript)>|<[^>]*>`)

// text is what a person reads on the page.
func (a *answer) text() string {
	return strings.Join(strings.Fields(html.UnescapeString(tag.ReplaceAllString(a.body, " "))), " ")
}

// problem is what went wrong, "" for nothing.
func (a *answer) problem() string {
	m := regexp.MustCompile(`(?s)id="problem".*?<p><strong>(.*?)</strong>`).FindStringSubmatch(a.body)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

// enabled reports whether a button can be pressed.
func (a *answer) enabled(id string) bool {
	a.t.Helper()
	m := regexp.MustCompile(`<(?:a|button)\b[^>]*\bid="` + id + `"[^>]*>`).FindString(a.body)
	if m == "" {
		a.t.Fatalf("%s has no button %s", a.path, id)
	}
	return !strings.Contains(m, " disabled")
}

// wants checks status and texts of an answer.
func (a *answer) wants(status int, texts ...string) *answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.path, a.status, status, a.text())
	}
	for _, want := range texts {
		if !strings.Contains(a.text(), want) {
			a.t.Errorf("%s does not say %q: %s", a.path, want, a.text())
		}
	}
	return a
}

// say is a text of the catalogue as a sentence.
func say(l words.Language, k words.Key, values ...any) string {
	s := words.For(l).Text(k, values...)
	for i, r := range s {
		if i == 0 {
			return strings.ToUpper(string(r)) + s[len(string(r)):]
		}
	}
	return s
}

// certificateFile is a file that other packages test with.
func certificateFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../certfile/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// demoFile is a key with a certificate of the National CA's kind and its issuer's.
func demoFile(t *testing.T) (file []byte, password string) {
	t.Helper()
	data, err := os.ReadFile("../../cmd/kaztoken/internal/cli/demo.p12")
	if err != nil {
		t.Fatal(err)
	}
	return data, "Qazaqstan2024"
}

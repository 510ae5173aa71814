//go:build !minimal

package cli

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// panelRun is a run of panel on a desk.
type panelRun struct {
	t      *testing.T
	out    *bufio.Reader
	opened []string // what a browser was opened with
	stop   context.CancelFunc
	ended  chan result
	over   *result
}

// startPanel runs panel in the background.
func startPanel(t *testing.T, d *desk, args ...string) *panelRun {
	t.Helper()
	p := &panelRun{t: t, ended: make(chan result, 1)}
	r, w := io.Pipe()
	p.out = bufio.NewReader(r)
	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	all := append([]string{"--backend", "virtual", "--virtual-state", filepath.Join(d.dir, "virtual.state"), "--json", "panel"}, args...)
	go func() {
		defer w.Close()
		p.ended <- run(t, ctx, nil, func(e *Env) {
			d.edit(e)
			e.Out = w
			e.Now = time.Now
			getenv := e.Getenv
			e.Getenv = func(name string) string {
				if name == "XDG_RUNTIME_DIR" {
					return d.dir
				}
				return getenv(name)
			}
			e.Browse = func(_ context.Context, url string) error { p.opened = append(p.opened, url); return nil }
		}, all...)
	}()
	t.Cleanup(func() { p.end() })
	return p
}

// announced is the line that panel prints.
func (p *panelRun) announced() (j panelJSON) {
	p.t.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%v; %+v", err, p.end())
	}
	if err := json.Unmarshal([]byte(line), &j); err != nil {
		p.t.Fatalf("%v in %q", err, line)
	}
	return j
}

// end ends panel as SIGTERM does.
func (p *panelRun) end() result {
	if p.over == nil {
		p.stop()
		go io.Copy(io.Discard, p.out) // nothing more comes, but the end
		r := <-p.ended
		p.over = &r
	}
	return *p.over
}

// visitor is a browser in the panel.
type visitor struct {
	t        *testing.T
	client   *http.Client
	origin   string
	language words.Language
}

func visit(t *testing.T, client *http.Client, address string, l words.Language) (*visitor, string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client.Jar = jar
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	v := &visitor{t, client, u.Scheme + "://" + u.Host, l}
	_, body := v.do(http.MethodGet, u.Path, nil)
	return v, body
}

func (v *visitor) do(method, path string, fields url.Values) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.origin+path, strings.NewReader(fields.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", string(v.language))
	if method == http.MethodPost {
		r.Header.Set("Origin", v.origin)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer a.Body.Close()
	body, err := io.ReadAll(a.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return a.StatusCode, string(body)
}

// post sends a form of the panel.
func (v *visitor) post(path string, pairs ...string) string {
	v.t.Helper()
	_, body := v.do(http.MethodGet, "/", nil)
	fields := url.Values{}
	for name, pattern := range map[string]string{"csrf": `name="csrf" value="([^"]+)"`, "token": `<option value="([^"]+)" selected`} {
		m := regexp.MustCompile(pattern).FindStringSubmatch(body)
		if m == nil {
			v.t.Fatalf("no %s in %s", name, body)
		}
		fields.Set(name, m[1])
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	_, body = v.do(http.MethodPost, path, fields)
	return body
}

func TestPanel(t *testing.T) {
	d := newDesk(t)
	p := startPanel(t, d)
	j := p.announced()
	if j.Reused || j.PID != os.Getpid() || !strings.HasPrefix(j.URL, "http://"+j.Address+"/enter/") || !strings.HasPrefix(j.Address, "127.0.0.1:") {
		t.Errorf("announced %+v", j)
	}
	v, body := visit(t, &http.Client{}, j.URL, words.Kazakh)
	if !strings.Contains(body, "32D18A58") || !strings.Contains(body, "Басқару") {
		t.Errorf("the first page: %s", body)
	}
	if body := v.post("/login", "role", "user", "pin", "00000000"); !strings.Contains(body, "Пайдаланушының ПИН коды қате. 9 әрекет қалды") {
		t.Errorf("a wrong PIN: %s", body)
	}
	v.post("/login", "role", "user", "pin", factoryUser)
	v.post("/name", "name", "Қостанай")
	if _, body := v.do(http.MethodGet, "/about", nil); !strings.Contains(body, "v1.2.3") || !strings.Contains(body, "libusb") {
		t.Errorf("about: %s", body)
	}
	if _, body := v.do(http.MethodGet, "/diagnostics", nil); !strings.Contains(body, `id="good"`) && !strings.Contains(body, `id="finding"`) || strings.Contains(body, `id="problem"`) {
		t.Errorf("diagnostics: %s", body)
	}
	// Other programs get at the token while the panel is open.
	for end := time.Now().Add(20 * time.Second); d.run("info").code != exitOK; {
		if time.Now().After(end) {
			t.Fatal("the panel keeps the token")
		}
		time.Sleep(50 * time.Millisecond)
	}

	// A second start opens the same panel.
	q := startPanel(t, d)
	again := q.announced()
	if !again.Reused || again.Address != j.Address || again.URL == j.URL {
		t.Errorf("the second start announced %+v", again)
	}
	if r := q.end(); r.code != exitOK || len(q.opened) != 1 || q.opened[0] != again.URL {
		t.Errorf("the second start: %+v, opened %v", r, q.opened)
	}
	if _, body := visit(t, &http.Client{}, again.URL, words.Russian); !strings.Contains(body, "Қостанай") || !strings.Contains(body, "Администрирование") {
		t.Errorf("its page: %s", body)
	}
	// One with other options is a panel of its own.
	o := startPanel(t, d, "--listen", "localhost:0", "--no-browser")
	if j := o.announced(); j.Reused {
		t.Error("other options lead to the same panel")
	}
	if r := o.end(); r.code != exitOK || len(o.opened) != 0 {
		t.Errorf("%+v, opened %v", r, o.opened)
	}
	if r := p.end(); r.code != exitOK || len(p.opened) != 1 || p.opened[0] != j.URL {
		t.Errorf("%+v, opened %v", r, p.opened)
	}
	if files, err := filepath.Glob(filepath.Join(d.dir, "kaztoken", "*.sock")); err != nil || len(files) != 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// gate is a card whose answers are kept back from a moment on, until it is opened.
type gate struct {
	firmware.Card
	shut   *atomic.Bool
	opened chan struct{}
}

func (g gate) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if g.shut.Load() {
		<-g.opened
	}
	return g.Card.Transmit(ctx, dst, apdu)
}

// TestPanelThatEndsIsNotOpenedAgain: while a panel that was ended waits for its last
// operation, another start is a panel of its own. The old one's address leads nowhere.
func TestPanelThatEndsIsNotOpenedAgain(t *testing.T) {
	d := newDesk(t)
	var shut atomic.Bool
	opened := make(chan struct{})
	d.wrap = func(c firmware.Card) firmware.Card { return gate{c, &shut, opened} }
	p := startPanel(t, d, "--no-browser")
	j := p.announced()
	v, _ := visit(t, &http.Client{}, j.URL, words.English)
	v.post("/login", "role", "user", "pin", factoryUser)
	_, body := v.do(http.MethodGet, "/", nil)
	fields := url.Values{"name": {"Aqtau"}}
	for name, pattern := range map[string]string{"csrf": `name="csrf" value="([^"]+)"`, "token": `<option value="([^"]+)" selected`} {
		fields.Set(name, regexp.MustCompile(pattern).FindStringSubmatch(body)[1])
	}
	shut.Store(true)
	if _, body := v.do(http.MethodPost, "/name", fields); !strings.Contains(body, `id="busy"`) {
		t.Errorf("the operation does not run: %s", body)
	}
	p.stop()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", j.Address)
		if err != nil {
			break
		}
		c.Close()
		if time.Now().After(end) {
			t.Fatal("it is still served")
		}
	}
	q := startPanel(t, d, "--no-browser")
	if again := q.announced(); again.Reused {
		t.Errorf("the second start leads to the panel that has ended: %+v", again)
	}
	shut.Store(false)
	close(opened)
	if r := p.end(); r.code != exitOK {
		t.Errorf("%+v", r)
	}
	if r := q.end(); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

// TestPanelTellsOfFiles: settings that cannot be written are told as that.
func TestPanelTellsOfFiles(t *testing.T) {
	a := &app{Env: System("")}
	err := settings.Update("/dev/null/kaztoken/config.toml", func(s *settings.Settings) error { s.Language = "kk"; return nil })
	for _, l := range words.Languages() {
		w := words.For(l)
		if p := a.explainToPanel(w, err); p.Message != w.Text("error.file") || !strings.Contains(p.Details, "/dev/null") {
			t.Errorf("%s: %+v", l, p)
		}
	}
}

// TestPanelHints: what can be done about an error is what can be pressed.
func TestPanelHints(t *testing.T) {
	for _, l := range words.Languages() {
		w := words.For(l)
		t.Run(string(l), func(t *testing.T) {
			d := newDesk(t, emu.WithPIN(2, []byte(factoryUser), 1), emu.WithPIN(1, []byte(factoryAdmin), 1))
			v, _ := visit(t, &http.Client{}, startPanel(t, d, "--no-browser").announced().URL, l)
			for _, c := range []struct {
				fields []string
				hint   words.Key
			}{
				{[]string{"role", "user", "pin", "00000000"}, "panel.hint.last"},
				{[]string{"role", "user", "pin", "00000000", "last", "yes"}, "panel.hint.unblock"},
				{[]string{"role", "user", "pin", factoryUser}, "panel.hint.unblock"},
				{[]string{"role", "admin", "pin", "00000000", "last", "yes"}, "panel.hint.dead"},
			} {
				body := v.post("/login", c.fields...)
				if hint := []rune(w.Text(c.hint)); !strings.Contains(body, string(hint[1:])) || strings.Contains(body, "kaztoken pin") || strings.Contains(body, "--last-try") {
					t.Errorf("%v: no %s in %s", c.fields, c.hint, body)
				}
			}
		})
	}
	for from, to := range panelHints {
		if words.For(words.English).Text(from) == string(from) || to != "" && words.For(words.English).Text(to) == string(to) {
			t.Errorf("%s or %s has no words", from, to)
		}
	}
}

func TestPanelSettingsChooseTheRoad(t *testing.T) {
	a := &app{Env: System("")}
	d := newDesk(t)
	d.edit(&a.Env)
	a.log = logrus.New()
	a.Changes = func(ctx context.Context, _ host.Options, signal func()) error {
		signal()
		<-ctx.Done()
		return ctx.Err()
	}
	tokens := newPanelTokens(a, map[string]bool{"devices": true})
	defer tokens.close()
	s := settings.Standard()
	s.Backend, s.Readers = "pcsc", "all"
	tokens.choose(s)
	tokens.mu.Lock()
	defer tokens.mu.Unlock()
	if tokens.options.Backend != "pcsc" || tokens.options.Devices != "" {
		t.Errorf("chosen: %+v", tokens.options)
	}
}

func TestPanelBeyondThisMachine(t *testing.T) {
	d := newDesk(t)
	cert, key := serverFiles(t, d)
	d.file("panel.password", kept(t, "Qazaqstan-2030"))
	path := func(name string) string { return filepath.Join(d.dir, name) }
	for _, args := range [][]string{
		{"--listen", "0.0.0.0:0"},
		{"--listen", ":0"},
		{"--listen", "[::]:0"},
		{"--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key},
		{"--listen", "0.0.0.0:0", "--password-file", path("panel.password")},
		{"--listen", "127.0.0.1:0", "--tls-cert", cert},
		{"--listen", "nonsense"},
		{"--idle-exit", "-1s"},
	} {
		if r := startPanel(t, d, append(args, "--no-browser")...).wait(); r.code != exitUsage {
			t.Errorf("%v: exit code %d: %s", args, r.code, r.err)
		}
	}
	for name, args := range map[string][]string{
		"no certificate": {"--tls-cert", path("none"), "--tls-key", key}, "no password": {"--password-file", path("none")},
		"clear password": {"--password-file", d.file("clear", "Qazaqstan-2030\n")},
	} {
		if r := startPanel(t, d, append(args, "--no-browser")...).wait(); r.code != exitFailed {
			t.Errorf("%s: exit code %d: %s", name, r.code, r.err)
		}
	}

	j := startPanel(t, d, "--listen", "0.0.0.0:0", "--tls-cert", cert, "--tls-key", key, "--password-file", path("panel.password"), "--no-browser").announced()
	_, port, err := net.SplitHostPort(j.Address)
	if err != nil {
		t.Fatal(err)
	}
	if j.URL != "https://panel.example:"+port+"/" {
		t.Errorf("announced %+v", j)
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(cert)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "panel.example"},
	}}
	v, body := visit(t, client, j.URL, words.English)
	if !strings.Contains(body, `name="password"`) {
		t.Fatalf("the first page: %s", body)
	}
	if status, _ := v.do(http.MethodPost, "/enter", url.Values{"password": {"wrong"}}); status != http.StatusForbidden {
		t.Errorf("a wrong password: %d", status)
	}
	if _, body := v.do(http.MethodPost, "/enter", url.Values{"password": {"Qazaqstan-2030"}}); !strings.Contains(body, "32D18A58") {
		t.Errorf("the right one: %s", body)
	}
	client.CloseIdleConnections()
}

// wait waits for a panel that ends by itself.
func (p *panelRun) wait() result {
	p.t.Helper()
	go io.Copy(io.Discard, p.out)
	select {
	case r := <-p.ended:
		p.over = &r
	case <-time.After(20 * time.Second):
		p.t.Fatal("the panel does not end")
	}
	return *p.over
}

func TestPanelOnASocket(t *testing.T) {
	d := newDesk(t)
	path := filepath.Join(shortDir(t), "panel.sock")
	p := startPanel(t, d, "--listen", "unix:"+path)
	j := p.announced()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	if _, body := visit(t, client, j.URL, words.English); !strings.Contains(body, "32D18A58") {
		t.Errorf("the first page: %s", body)
	}
	client.CloseIdleConnections()
	if r := startPanel(t, d, "--listen", "unix:"+path, "--tls-cert", "", "--idle-exit", "1h").wait(); r.code != exitOK && r.code != exitFailed {
		t.Errorf("another at the same socket: %+v", r)
	}
	if len(p.opened) != 0 {
		t.Errorf("opened %v", p.opened)
	}
}

func TestPanelEndsWhenNobodyIsThere(t *testing.T) {
	d := newDesk(t)
	p := startPanel(t, d, "--idle-exit", "100ms", "--no-browser")
	p.announced()
	if r := p.wait(); r.code != exitOK {
		t.Errorf("%+v", r)
	}
}

func TestPanelPassword(t *testing.T) {
	d := newDesk(t)
	r := d.types("Qazaqstan-2030", "Qazaqstan-2030").run("panel", "password")
	if r.code != exitOK {
		t.Fatalf("%+v", r)
	}
	if p, err := panel.ParsePassword([]byte(r.out)); err != nil || !p.Matches([]byte("Qazaqstan-2030")) {
		t.Errorf("%q: %v", r.out, err)
	}
	if r := d.types("Qazaqstan-2030", "Qazaqstan-2031").run("panel", "password"); r.code != exitUsage {
		t.Errorf("typed in two ways: %+v", r)
	}
	if r := d.types("short", "short").run("panel", "password"); r.code != exitUsage {
		t.Errorf("short: %+v", r)
	}
}

func TestRuntimeFolderIsTheUsersOwn(t *testing.T) {
	dir := t.TempDir()
	getenv := func(string) string { return dir }
	own, err := runtimeFolder(getenv)
	if err != nil || own != filepath.Join(dir, "kaztoken") {
		t.Fatal(own, err)
	}
	if err := os.Chmod(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := runtimeFolder(getenv); err == nil {
		t.Error("a folder that others may enter is taken")
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(t.TempDir(), own); err != nil {
		t.Fatal(err)
	}
	if _, err := runtimeFolder(getenv); err == nil {
		t.Error("a link is followed")
	}
}

func TestOnePanelForAName(t *testing.T) {
	dir := shortDir(t)
	first, err := claim(dir, "p")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := claim(dir, "p"); !errors.Is(err, errRunning) {
		t.Errorf("a second claim: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	// What a process that was killed left is in nobody's way.
	if err := os.WriteFile(filepath.Join(dir, "p.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := claim(dir, "p")
	if err != nil {
		t.Fatal(err)
	}
	second.close()
}

func TestPeerUID(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2198 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:9C40 0100007F:2198 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1
   2: 0100007F:9C41 0100007F:2198 01 00000000:00000000 00:00000000 00000000  junk        0 2 1 0 20 4 30 10 -1
   3: short line
`
	here := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 0x2198}
	for port, want := range map[int]struct {
		uid   int
		known bool
	}{0x9C40: {1000, true}, 0x9C41: {0, false}, 0x9C42: {0, false}} {
		uid, known := uidIn(bufio.NewScanner(strings.NewReader(table)), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}, here)
		if uid != want.uid || known != want.known {
			t.Errorf("port %d: %d, %v", port, uid, known)
		}
	}
	six := &net.TCPAddr{IP: net.IPv6loopback, Port: 0x2198}
	if !isAddress("00000000000000000000000001000000:2198", six) || isAddress("00000000000000000000000001000000:2199", six) || isAddress("0100007F:2198", six) {
		t.Error("addresses of IPv6")
	}
}

// kept is what is kept of a password, with fewer rounds for the sake of time.
func kept(t *testing.T, password string) string {
	t.Helper()
	salt := []byte("sixteen bytes ok")
	key, err := pbkdf2.Key(sha256.New, password, salt, 100_000, sha256.Size)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawStdEncoding.EncodeToString
	return "pbkdf2-sha256$100000$" + b64(salt) + "$" + b64(key) + "\n"
}

// serverFiles makes a certificate for panel.example.
func serverFiles(t *testing.T, d *desk) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "panel"}, DNSNames: []string{"panel.example"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return d.file("server.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		d.file("server.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

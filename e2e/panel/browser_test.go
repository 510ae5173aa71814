//go:build e2e && linux

package panel

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"kaztoken/internal/words"
)

// soak has every check made in every language.
var soak = flag.Bool("panel.soak", false, "look at every page in every language as closely as in English")

// built is the program to test, if it is there already.
var built = flag.String("panel.program", "", "the program to test; built if empty")

// pictures is where screenshots go.
var pictures = filepath.Join("..", "..", "build", "screenshots")

// browser is the one that all tests share; each tab is of a profile of its own.
var browser context.Context

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	path, err := findBrowser()
	if err != nil {
		if _, err := exec.LookPath("apt-get"); err != nil {
			skipped("no Chromium, and no apt to install it: the panel was not tried in a browser")
			return 0
		}
		fmt.Fprintln(os.Stderr, err, "(run make deps-e2e)")
		return 1
	}
	if err := errors.Join(os.RemoveAll(pictures), os.MkdirAll(pictures, 0o755)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if programPath = *built; programPath == "" {
		dir, err := os.MkdirTemp("", "kaztoken-panel")
		if err == nil {
			defer os.RemoveAll(dir)
			programPath, err = buildProgram(dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.DefaultExecAllocatorOptions[:]...)
	options = append(options, chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		// The panel is all there is: nothing is looked up, fetched or reported.
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("no-default-browser-check", true),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("hide-scrollbars", true))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, cancel := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
	defer cancel()
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "start the browser:", err)
		return 1
	}
	browser = ctx
	return m.Run()
}

func findBrowser() (path string, err error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err = exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", err
}

// skipped notes what cannot be had here, for whoever sums up a test run: a skip must
// not pass for a success.
func skipped(what string) {
	fmt.Println(what)
	f, err := os.OpenFile(filepath.Join("..", "..", "build", "e2e-skipped"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err == nil {
		_, err = fmt.Fprintln(f, what)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// patience is how long a page may take. It is long because two processors may be
// shared with everything else that make test runs.
var patience = flag.Duration("panel.patience", 30*time.Second, "how long a page may take")

// size is that of a window, in CSS pixels.
type size struct{ width, height int64 }

var (
	desktop = size{1280, 900}
	phone   = size{360, 740}
	wide    = size{3840, 2160}
)

// tab is a tab of a browser whose profile is new, with a panel in it.
type tab struct {
	*testing.T
	ctx      context.Context
	server   *server
	words    words.Words
	name     string // of its screenshots' folder
	scripted bool   // JavaScript is on
	dark     bool
	closely  bool // look runs axe
	number   atomic.Int32
}

// newTab opens a tab. The language is what the browser asks pages for.
func newTab(t *testing.T, s *server, lang words.Language, name string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	b := &tab{T: t, ctx: ctx, server: s, words: words.For(lang), name: name, scripted: true}
	listened := make(chan struct{})
	messages := chromedp.Console(ctx)
	go func() {
		defer close(listened)
		b.listen(messages)
	}()
	t.Cleanup(func() {
		cancel()
		<-listened
	})
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64) Chrome/150 Safari/537.36", AcceptLanguage: string(lang),
		})
		return err
	}))
	b.resize(desktop)
	b.colours(false)
	return b
}

// listen fails the test for what a page complains of: an exception of its script, or
// something that its policy forbids. That an answer is no 200 is no complaint.
func (b *tab) listen(messages iter.Seq2[chromedp.ConsoleMessage, error]) {
	for m, err := range messages {
		if err != nil {
			return // the tab is closed
		}
		if m.Source != "network" && (m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning) {
			b.Errorf("%s, line %d: %s %s: %s", m.URL, m.Line+1, m.Source, m.Type, m.Text)
		}
	}
}

// enter opens the panel by a fresh one-time address.
func (b *tab) enter() *tab {
	b.Helper()
	b.do(navigate(b.server.entry))
	b.see("#tab-admin")
	return b
}

// withoutScripts turns JavaScript off.
func (b *tab) withoutScripts() *tab {
	b.Helper()
	b.scripted = false
	b.scripts(false)
	return b
}

func (b *tab) scripts(on bool) {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on})
		return err
	}))
}

func (b *tab) resize(s size) {
	b.Helper()
	b.do(chromedp.EmulateViewport(s.width, s.height))
}

// colours chooses the light or the dark look, as the system would.
func (b *tab) colours(dark bool) {
	b.Helper()
	b.dark = dark
	scheme := map[bool]string{false: "light", true: "dark"}[dark]
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			// Nothing is half-way there when a picture is taken.
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// do runs actions, which must succeed.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	// A context with a deadline of its own would close the tab, were it the first.
	if err := chromedp.Do(b.ctx); err != nil {
		b.Fatalf("open a tab: %v", err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.fail("%v", err)
	}
}

// fail ends the test with what the browser shows.
func (b *tab) fail(format string, args ...any) {
	b.Helper()
	b.picture("failed-" + strings.ReplaceAll(b.T.Name(), "/", "-"))
	shown, _ := evaluate[string](b, `location.pathname + "\n" + document.body.innerText`)
	b.Fatalf("%s\nthe browser shows %s", fmt.Sprintf(format, args...), shown)
}

// evaluate gives the value of an expression in the page, or in the next one if it is
// just being replaced.
func evaluate[T any](b *tab, expression string) (v T, err error) {
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	for {
		v, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		if err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "Not attached to an active page") {
			return v, err
		}
	}
}

// value is what an expression gives in the page.
func value[T any](b *tab, expression string) T {
	b.Helper()
	v, err := evaluate[T](b, expression)
	if err != nil {
		b.fail("%s: %v", expression, err)
	}
	return v
}

// until waits for an expression to hold. What the browser does is asked for again
// and again, because a page may be replaced at any moment, with all that waits in it.
func (b *tab) until(expression string) {
	b.Helper()
	b.eventually(expression, func() bool {
		ok, err := evaluate[bool](b, "Boolean("+expression+")")
		return err == nil && ok
	})
}

// eventually waits for something to hold.
func (b *tab) eventually(what string, holds func() bool) {
	b.Helper()
	b.within(*patience, what, holds)
}

func (b *tab) within(limit time.Duration, what string, holds func() bool) {
	b.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(30 * time.Millisecond)
	defer again.Stop()
	for !holds() {
		select {
		case <-deadline.C:
			b.fail("never: %s", what)
		case <-again.C:
		}
	}
}

// quote writes a string in JavaScript.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a string has its JSON
	}
	return string(text)
}

// shown is an expression: the elements of a selector that can be seen. A dialog over
// the page is what is meant, if there is one.
func shown(selector string) string {
	return fmt.Sprintf(`[...(document.querySelector("dialog[open]") || document).querySelectorAll(%s)].filter(e => e.checkVisibility() && e.getClientRects().length)`, quote(selector))
}

// see waits until an element can be seen, and is not disabled.
func (b *tab) see(selector string) {
	b.Helper()
	b.until(shown(selector) + `.some(e => !e.disabled)`)
}

// gone waits until an element cannot be seen.
func (b *tab) gone(selector string) {
	b.Helper()
	b.until(shown(selector) + `.length === 0`)
}

// disabled waits until an element can be seen and not be used.
func (b *tab) disabled(selector string) {
	b.Helper()
	b.until(shown(selector) + `.some(e => e.disabled)`)
}

// says waits until an element has a text in it. Pages begin texts with a capital
// letter where the commands do not.
func (b *tab) says(selector, text string) {
	b.Helper()
	b.until(shown(selector) + `.some(e => e.innerText.replace(/\s+/g, " ").toLowerCase().includes(` + quote(strings.ToLower(text)) + `))`)
}

// text is what an element says.
func (b *tab) text(selector string) string {
	b.Helper()
	b.see(selector)
	return value[string](b, shown(selector)+`[0].innerText`)
}

// click clicks on an element, which must be where a mouse would hit it. All of it is
// one step, because the page may be renewed between a press of the button and its
// release.
func (b *tab) click(selector string) {
	b.Helper()
	b.see(selector)
	covered := value[string](b, `(() => {
		const e = `+shown(selector)+`.find(e => !e.disabled);
		if (!e) return "";
		e.scrollIntoView({block: "center", behavior: "instant"});
		const r = e.getClientRects()[0], hit = document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2);
		if (hit !== e && !e.contains(hit) && !(hit && hit.contains(e))) return hit ? hit.outerHTML.slice(0, 100) : "nothing";
		e.click();
		return "";
	})()`)
	if covered != "" {
		b.fail("%s is covered by %s", selector, covered)
	}
}

// fill types into a field, in place of what is there.
func (b *tab) fill(selector, text string) {
	b.Helper()
	b.see(selector)
	value[bool](b, `(() => { const e = `+shown(selector)+`[0]; e.focus(); e.select(); return true; })()`)
	if text == "" {
		text = "\b"
	}
	b.do(chromedp.KeyEvent(text))
}

// choose chooses an option of a list by its value.
func (b *tab) choose(selector, option string) {
	b.Helper()
	b.see(selector)
	b.until(shown(selector) + `[0].querySelector('option[value="` + option + `"]')`)
	value[bool](b, `(() => { const e = `+shown(selector)+`[0]; e.value = `+quote(option)+`;
		e.dispatchEvent(new Event("change", {bubbles: true})); return true; })()`)
}

// ticked reports whether a box is ticked.
func (b *tab) ticked(selector string) bool {
	b.Helper()
	b.see(selector)
	return value[bool](b, shown(selector)+`[0].checked`)
}

// press presses keys, one after the other, wherever the focus is.
func (b *tab) press(keys ...string) {
	b.Helper()
	for _, k := range keys {
		b.do(chromedp.KeyEvent(k))
	}
}

// selectAll selects what is in the field that has the focus.
var selectAll = chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl))

// upload chooses a file.
func (b *tab) upload(selector, path string) {
	b.Helper()
	b.see(selector)
	full, err := filepath.Abs(path)
	if err != nil {
		b.Fatal(err)
	}
	b.do(chromedp.SetUploadFiles(chromedp.CSS(selector), []string{full}))
}

// say is a text of the catalogue, with its spaces as a page shows them.
func (b *tab) say(key words.Key, values ...any) string {
	return strings.Join(strings.Fields(b.words.Text(key, values...)), " ")
}

// navigate goes to an address, as one who types it.
func navigate(address string) chromedp.Action[chromedp.Void] { return chromedp.Navigate(address) }

// open follows a tab of the panel.
func (b *tab) open(id string) {
	b.Helper()
	b.click("#tab-" + id)
	b.see("#tab-" + id + "[aria-current=page]")
}

// picture takes a screenshot of the whole page.
func (b *tab) picture(name string) {
	b.Helper()
	var (
		png []byte
		err error
	)
	for range 3 { // one that is taken while the page is replaced never comes
		ctx, cancel := context.WithTimeout(b.ctx, *patience/3)
		png, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
		cancel()
		if err == nil {
			break
		}
	}
	if err != nil {
		b.Errorf("screenshot %s: %v", name, err)
		return
	}
	dir := filepath.Join(pictures, b.name)
	file := filepath.Join(dir, fmt.Sprintf("%02d-%s.png", b.number.Add(1), name))
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(file, png, 0o644)); err != nil {
		b.Errorf("screenshot: %v", err)
	}
}

// look is done on every page and in every dialog: a picture is kept, nothing may
// reach beyond the window, no text may be in another language, and axe may find
// nothing grave.
func (b *tab) look(name string) {
	b.Helper()
	b.until(`document.readyState === "complete"`)
	b.picture(name)
	if over := value[[]string](b, overflowing); len(over) > 0 {
		b.Errorf("%s: wider than the window: %q", name, over)
	}
	if b.words.Language() != words.English {
		if found := value[[]string](b, latin); len(found) > 0 {
			b.Errorf("%s in %s: Latin words %q", name, b.words.Language(), found)
		}
	}
	if lang := value[string](b, `document.documentElement.lang`); lang != string(b.words.Language()) {
		b.Errorf("%s: the page says that it is in %q, want %q", name, lang, b.words.Language())
	}
	if b.closely || *soak {
		b.axe(name)
	}
}

// overflowing finds what makes a page or a dialog wider than its window.
const overflowing = `(() => {
	const root = document.querySelector("dialog[open]") || document.documentElement;
	if (root.scrollWidth <= root.clientWidth && document.documentElement.scrollWidth <= innerWidth) return [];
	return [...root.querySelectorAll("*")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
		.map(e => e.tagName + "#" + e.id + "." + e.className).concat([root.scrollWidth + " in " + root.clientWidth]);
})()`

// latin finds words in Latin letters in what can be read. What is marked as of
// another language, what a person or a certificate wrote, and names that are the
// same in every language are left out.
const latin = `(() => {
	const known = new Set(("KAZTOKEN Kaztoken kaztoken PIN RSA DER PEM USB CCID PC SC PKCS ID UTF UTC TLS GOST SHA Rutoken RDP XX config toml " +
		"kk ru en Қазақша Windows Microsoft Base Smart Card Crypto Provider OK NCA CSP libusb usbfs Linux amd64 udev DigiFlow LLP OpenSC " +
		"devel macOS linux go CER CRT PFX KZ CN SN GN serialNumber IIN BIN").split(" "));
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	const found = new Set();
	for (let n = walker.nextNode(); n; n = walker.nextNode()) {
		const e = n.parentElement;
		if (!e.checkVisibility() || e.closest("[lang]:not(html), script, style, .mono, [data-own], option, #token-name, #reader, #card, #deleted, #keys th, #personal th, #others th")) continue;
		for (const w of n.data.replace(/\S*\/\S*/g, "").match(/[A-Za-z]{2,}/g) || []) if (!known.has(w) && !/^[A-F]+$/.test(w)) found.add(w);
	}
	return [...found];
})()`

//go:build e2e && linux

package panel

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	browserproto "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"kaztoken/internal/words"
)

// The files that the commands' tests have, too: an identity for nobody with its
// issuer, and certificates without keys.
var (
	identity = filepath.Join("..", "..", "cmd", "kaztoken", "internal", "cli", "demo.p12")
	others   = filepath.Join("..", "..", "cmd", "kaztoken", "internal", "cli", "testdata")
)

const identityPassword = "Qazaqstan2024"

// TestCertificates goes through the second tab: import, look, export, choose, delete.
func TestCertificates(t *testing.T) {
	for _, c := range []struct {
		name     string
		lang     words.Language
		scripted bool
	}{{"en", words.English, true}, {"kk", words.Kazakh, true}, {"ru", words.Russian, true}, {"noscript", words.English, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, virtual(t), c.lang, "certificates-"+c.name)
			b.closely = c.name == "en" || !c.scripted
			if !c.scripted {
				b.withoutScripts()
			}
			b.enter()
			certificates(b)
		})
	}
}

// importFile imports a file.
func (b *tab) importFile(path, password string) {
	b.Helper()
	b.click("#import")
	b.see("#import-form")
	// The browser's own words for this are in its own language, and not seen.
	if b.scripted {
		b.until(`getComputedStyle(document.querySelector("dialog #file")).opacity === "0"`)
		b.says("#file-name", b.say("panel.nofile"))
	}
	b.upload("#file", path)
	if b.scripted {
		b.says("#file-name", filepath.Base(path))
	}
	if password != "" {
		b.fill("#password", password)
	}
	b.click("#ok")
}

// drop drops a file on the list, which opens the import with it.
func (b *tab) drop(path string) {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	value[bool](b, `(() => {
		const files = new DataTransfer();
		files.items.add(new File([Uint8Array.from(atob(`+quote(base64.StdEncoding.EncodeToString(data))+`), c => c.charCodeAt(0))], `+quote(filepath.Base(path))+`));
		document.getElementById("main").dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
		return true;
	})()`)
	b.see("#import-form")
	b.until(shown("#file") + `.some(e => e.files.length === 1)`)
}

func certificates(b *tab) {
	b.open("certs")
	b.says("#nothing", b.say("list.empty"))
	for _, id := range []string{"#import", "#export", "#delete", "#default", "#props", "#generate"} {
		b.disabled(id)
	}
	b.look("empty")
	b.login("user", factoryUser)
	b.open("certs")

	// A wrong password, a file that is none, and the right ones.
	b.importFile(identity, "wrong")
	b.says("#problem", b.say("error.file.password"))
	b.look("wrong-password")
	nothing := filepath.Join(b.TempDir(), "nothing.pem")
	if err := os.WriteFile(nothing, []byte("nothing\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	b.upload("#file", nothing)
	b.click("#ok")
	b.says("#problem", b.say("error.file.kind"))
	b.upload("#file", identity)
	b.fill("#password", identityPassword)
	b.click("#ok")
	b.finished()
	b.says("#personal", b.say("personal")+" (1)")
	b.see("#others") // its issuer has come with it
	if b.scripted {
		b.drop(filepath.Join(others, "head.cer"))
		b.click("#ok")
	} else {
		b.importFile(filepath.Join(others, "head.cer"), "")
	}
	b.finished()
	b.says("#others", "(2)")
	b.look("imported")

	// The card of the chosen one, with its meaning.
	b.click("#personal a")
	b.until(`location.search.startsWith("?c=")`)
	b.see("#card")
	b.says("#card-state", b.say("valid"))
	b.says("#card-key", b.say("nonextract"))
	b.says("#card-issuer", "RSA")
	b.see("#card-subject")
	b.see("#card-keyid")
	name := b.text("#card-title")
	b.look("card")
	b.click("#props")
	b.says("section.dialog", name)
	b.look("properties")
	b.leave("section.dialog #ok")

	// The default certificate.
	b.see("#card")
	b.click("#default")
	b.see("#personal .star")
	b.look("default")

	export(b, "#export", "der")
	export(b, "#export-pem", "pem")

	// A key pair without a certificate.
	b.click("#generate")
	b.see("#generate-form")
	b.look("generate")
	b.fill("#label", "Кілт 1")
	b.choose("#bits", "1024")
	b.click("#ok")
	b.finished()
	b.see("#keys")
	b.says("#keys", "Кілт 1")
	b.says("#keys", b.say("list.orphans")+" (1)")
	b.look("key")

	// Two at once, and first none after all.
	for range 2 {
		value[bool](b, `(() => { for (const i of document.querySelectorAll("#others input[name=item]")) i.checked = true; return true; })()`)
		b.click("#delete")
		b.says("#delete-form", b.say("delete.warn"))
		if got := value[int](b, shown("#deleted li")+`.length`); got != 2 {
			b.Errorf("%d things would be deleted, want 2", got)
		}
		b.look("delete")
		b.leave("#cancel")
		b.see("#others")
	}
	value[bool](b, `(() => { for (const i of document.querySelectorAll("#others input[name=item]")) i.checked = true; return true; })()`)
	b.click("#delete")
	b.see("#delete-form")
	b.click("section.dialog #ok")
	b.finished()
	b.gone("#others")
	b.see("#personal")
	b.see("#keys")
	b.look("deleted")

	// The last certificate takes its key pair along.
	b.click("#personal input[name=item]")
	b.click("#delete")
	b.see("#delete-form")
	b.click("section.dialog #ok")
	b.finished()
	b.gone("#personal")
	b.see("#keys")
	b.logout()
	b.disabled("#import")
	if err := b.server.stop(); err != nil { // it has the token for itself
		b.Error(err)
	}
	if out := b.server.home.run(b.T, "--backend", "virtual", "cert", "default", "--lang", "en"); out != "No default certificate is chosen\n" {
		b.Errorf("after the deletion the default certificate is %q", out)
	}
}

// export downloads what a button offers, and finds a certificate in the file.
func export(b *tab, selector, format string) {
	b.Helper()
	dir := b.TempDir()
	if _, err := chromedp.CallBrowser(b.ctx, browserproto.SetDownloadBehavior, browserproto.SetDownloadBehaviorParams{
		Behavior: browserproto.SetDownloadBehaviorBehaviorAllow, BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID, DownloadPath: dir,
	}); err != nil {
		b.Fatal(err)
	}
	b.click(selector)
	var data []byte
	b.eventually("a downloaded file", func() bool {
		names, err := filepath.Glob(filepath.Join(dir, "*.*"))
		if err != nil || len(names) != 1 || strings.HasSuffix(names[0], ".crdownload") {
			return false
		}
		if want := map[string]string{"der": ".cer", "pem": ".pem"}[format]; filepath.Ext(names[0]) != want {
			b.fail("the file is called %s, want *%s", filepath.Base(names[0]), want)
		}
		data, err = os.ReadFile(names[0])
		return err == nil && len(data) > 0
	})
	if format == "pem" {
		block, rest := pem.Decode(data)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			b.Errorf("no PEM: %q", data)
			return
		}
		data = block.Bytes
	}
	if _, err := x509.ParseCertificate(data); err != nil {
		b.Errorf("%s: %v", format, err)
	}
}

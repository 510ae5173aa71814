//go:build e2e && linux

package panel

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/chromedp/chromedp"
)

// The rules of axe-core are fetched by npm, once, and never become part of the
// project.
const (
	axeVersion = "4.14.1"
	axeSHA512  = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

// axeScript is the source of axe-core.
var axeScript = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "kaztoken", "e2e")
	file := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	if _, err := os.Stat(file); errors.Is(err, os.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", err
		}
		c := exec.Command("npm", "pack", "--silent", "--pack-destination", dir, "axe-core@"+axeVersion)
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("npm pack axe-core: %w\n%s", err, out)
		}
	}
	archive, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if sum := sha512.Sum512(archive); base64.StdEncoding.EncodeToString(sum[:]) != axeSHA512 {
		return "", fmt.Errorf("%s is not what it was: remove it", file)
	}
	return fromArchive(file, "package/axe.min.js")
})

// withoutAxe tells, once, that there is no axe-core and no npm to get it.
var withoutAxe = sync.OnceFunc(func() { skipped("no npm: axe-core did not look at the panel") })

// fromArchive reads one file of a .tgz.
func fromArchive(archive, name string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return "", err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", archive, name, err)
		}
		if h.Name == name {
			text, err := io.ReadAll(r)
			return string(text), err
		}
	}
}

// finding is what axe has against an element.
type finding struct{ ID, Impact, Help, Where string }

// axe checks what the browser shows: nothing serious or critical may be wrong.
func (b *tab) axe(name string) {
	b.Helper()
	script, err := axeScript()
	if errors.Is(err, exec.ErrNotFound) {
		withoutAxe()
		return
	}
	if err != nil {
		b.Fatal(err)
	}
	if !b.scripted {
		// Its own waiting needs timers. Scripts of the page that did not run stay so.
		b.scripts(true)
		defer b.scripts(false)
	}
	if !value[bool](b, `typeof axe === "object"`) {
		// Evaluated by the debugger, to which the page's policy does not apply.
		value[bool](b, script+"; true")
	}
	ctx, cancel := context.WithTimeout(b.ctx, *patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]finding](`(async () => {
		const result = await axe.run(document, {resultTypes: ["violations"]});
		return result.violations.flatMap(v => v.nodes.map(n => ({ID: v.id, Impact: v.impact, Help: v.help, Where: n.target.join(" ") + " " + n.html.slice(0, 160) + " " +
			n.any.concat(n.all).map(c => c.message).join("; ").slice(0, 200)})));
	})()`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.fail("axe: %v", err)
	}
	for _, f := range found {
		line := fmt.Sprintf("%s (dark %v, scripts %v): %s, %s: %s at %s", name, b.dark, b.scripted, f.Impact, f.ID, f.Help, f.Where)
		if strings.Contains("serious critical", f.Impact) {
			b.Error(line)
		} else {
			b.Log(line)
		}
	}
}

package panel_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"kaztoken/firmware/emu"
	"kaztoken/internal/panel/paneltest"
	"kaztoken/internal/words"
)

// What a first look at the panel may cost.
const (
	firstBytes = 60 << 10
	firstTime  = 100 * time.Millisecond
)

// first gets the first page and all that it refers to, and gives the bytes of it.
func first(b *browser) int {
	a := b.get("/")
	size := len(a.body)
	for _, file := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		size += len(b.get(file[1]).body)
	}
	return size
}

func TestFirstPageIsSmall(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.login("admin", factoryAdmin)
		if size := first(b); size > firstBytes {
			t.Errorf("the first page is %d bytes, want at most %d", size, firstBytes)
		}
	})
}

// BenchmarkFirstPage is the first page with all that it refers to: from the address
// that works once, with a token that is not open yet.
func BenchmarkFirstPage(b *testing.B) {
	w := serve(b, paneltest.New())
	w.desk.Plug(readerName(0), emu.New())
	size := 0
	for b.Loop() {
		browser := w.newBrowser(words.Kazakh)
		began := time.Now()
		if a := browser.get(w.panel.Entry()); a.status != http.StatusOK {
			b.Fatalf("status %d", a.status)
		}
		size = first(browser)
		if took := time.Since(began); took > firstTime {
			b.Errorf("the first page took %v, want at most %v", took, firstTime)
		}
	}
	b.ReportMetric(float64(size), "bytes/page")
	if size > firstBytes {
		b.Errorf("the first page is %d bytes", size)
	}
}

// BenchmarkPage is a page of the tab that is asked for again and again.
func BenchmarkPage(b *testing.B) {
	w := serve(b, paneltest.New())
	w.desk.Plug(readerName(0), emu.New())
	browser := w.enter(words.Kazakh)
	for _, path := range []string{"/", "/certificates", "/information", "/settings"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				browser.get(path)
			}
		})
	}
}

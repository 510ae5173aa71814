//go:build e2e && bench && linux

package panel

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"regexp"
	"slices"
	"testing"
	"time"

	"kaztoken/internal/words"
)

// What the first page may cost, with all that it refers to.
const (
	firstBytes = 60 << 10
	firstTime  = 100 * time.Millisecond
)

// TestMeasureFirstPage asks the program, over HTTP, for the first page as a browser does:
// from the address that works once to the last file of it. The first answer of a program
// opens the token, later ones find it open.
func TestMeasureFirstPage(t *testing.T) {
	for _, lang := range words.Languages() {
		var cold, warm []time.Duration
		size := 0
		for range 5 {
			s := virtual(t)
			took, bytes := firstPage(t, s.entry, lang)
			cold, size = append(cold, took), max(size, bytes)
			for range 5 {
				s.again(t)
				took, bytes = firstPage(t, s.entry, lang)
				warm, size = append(warm, took), max(size, bytes)
			}
			if err := s.stop(); err != nil {
				t.Error(err)
			}
		}
		for name, all := range map[string][]time.Duration{"the first of a program": cold, "a later one": warm} {
			slices.Sort(all)
			median := all[len(all)/2]
			t.Logf("%s: first page, %s: %d bytes, %v (slowest of %d: %v)", lang, name, size, median, len(all), all[len(all)-1])
			if median > firstTime {
				t.Errorf("%s: %s takes %v, want at most %v", lang, name, median, firstTime)
			}
		}
		if size > firstBytes {
			t.Errorf("%s: the first page is %d bytes, want at most %d", lang, size, firstBytes)
		}
	}
}

// firstPage gives the time and the bytes of a first page.
func firstPage(t *testing.T, entry string, lang words.Language) (took time.Duration, size int) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Jar: jar, Transport: transport}
	get := func(address string) (body string, from string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Language", string(lang))
		a, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil || a.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", address, a.Status, err)
		}
		return string(text), "http://" + a.Request.URL.Host
	}
	began := time.Now()
	page, from := get(entry)
	size = len(page)
	for _, file := range regexp.MustCompile(`(?:href|src)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		body, _ := get(from + file[1])
		size += len(body)
	}
	took = time.Since(began)
	if !regexp.MustCompile(`id="token-name"`).MatchString(page) {
		t.Errorf("the page shows no token: %s", page)
	}
	return took, size
}

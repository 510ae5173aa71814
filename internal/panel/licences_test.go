package panel

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// notInTheProgram are modules that tests alone use.
var notInTheProgram = []string{
	"github.com/chromedp/cdproto", "github.com/chromedp/chromedp", "github.com/go-json-experiment/json", "github.com/gobwas/httphead", "github.com/gobwas/pool",
	"github.com/gobwas/ws", "github.com/google/go-cmp", "github.com/miekg/pkcs11",
}

// noModules are parts that no line of go.mod names.
var noModules = []string{"Go", "libusb"}

// TestLicencesAreThoseOfTheModules: what go.mod requires is listed, and nothing else.
func TestLicencesAreThoseOfTheModules(t *testing.T) {
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v`).FindAllSubmatch(text, -1) {
		required = append(required, string(m[1]))
	}
	if len(required) < 5 {
		t.Fatalf("%d modules in go.mod", len(required))
	}
	listed := func(module string) bool {
		return slices.ContainsFunc(Licences(), func(l Licence) bool { return l.Module == module })
	}
	for _, m := range required {
		if listed(m) == slices.Contains(notInTheProgram, m) {
			t.Errorf("%s: listed %v", m, listed(m))
		}
	}
	for _, l := range Licences() {
		if !slices.Contains(required, l.Module) && !slices.Contains(noModules, l.Module) {
			t.Errorf("%s is listed and not required", l.Module)
		}
		if l.Name == "" || l.Holders == "" {
			t.Errorf("%s has no licence or nobody who holds it", l.Module)
		}
	}
}

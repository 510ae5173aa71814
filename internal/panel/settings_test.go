package panel_test

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

func TestSettings(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		var told []settings.Settings
		w := newWorld(t, func(c *panel.Config) { c.Chosen = func(s settings.Settings) { told = append(told, s) } }, newCard(t))
		if err := os.WriteFile(w.settings, []byte("# mine\nfuture = 1\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		b := w.enter(l)
		a := b.get("/settings")
		for _, k := range []words.Key{
			"settings.language", "settings.warn", "settings.minlen", "settings.weak", "settings.last", "settings.idle", "settings.readers", "settings.backend",
			"settings.readers.kaztoken", "settings.readers.rutoken", "settings.readers.all", "settings.backend.auto", "settings.backend.usb", "settings.backend.pcsc",
			"settings.weak.warn", "settings.weak.forbid",
		} {
			a.wants(200, words.For(l).Text(k))
		}
		form := func(min, idle string) []string {
			return []string{
				"language", "auto", "backend", "usb", "readers", "all", "weak", "forbid", "min_length", min, "idle", idle, "ask_last_try", "yes",
			}
		}
		b.post("/settings", form("x", "5")...).wants(422, say(l, "panel.number"))
		b.post("/settings", form("5", "5")...).wants(422)
		b.post("/settings", form("8", "5")...).wants(200, say(l, "settings.saved"))
		s, err := settings.Load(w.settings)
		if err != nil {
			t.Fatal(err)
		}
		if s.Backend != "usb" || s.Readers != "all" || s.WeakPINs != "forbid" || s.MinPINLength != 8 || s.IdleMinutes != 5 || s.WarnDefaultPIN || !s.AskLastTry {
			t.Errorf("kept: %+v", s)
		}
		if len(told) != 1 || told[0].Backend != "usb" {
			t.Errorf("told: %+v", told)
		}
		text, err := os.ReadFile(w.settings)
		if err != nil || !strings.Contains(string(text), "# mine\nfuture = 1\n") {
			t.Errorf("what a person wrote is lost: %s, %v", text, err)
		}
		// They last: another browser sees them.
		other := w.enter(l).get("/settings").wants(200)
		if !strings.Contains(other.body, `<option value="all" selected>`) || !strings.Contains(other.body, `name="min_length" type="number" min="6" max="32" value="8"`) {
			t.Error("another browser sees other settings")
		}
	})
}

func TestSettingsWithAMistake(t *testing.T) {
	var reported atomic.Int32
	w := newWorld(t, func(c *panel.Config) { c.Report = func(error) { reported.Add(1) } }, newCard(t))
	if err := os.WriteFile(w.settings, []byte("language = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a := w.enter(words.English).get("/settings").wants(200); a.problem() == "" {
		t.Error("the mistake is not told")
	}
	if reported.Load() == 0 {
		t.Error("nor logged")
	}
}

func TestNoPlaceForSettings(t *testing.T) {
	w := newWorld(t, func(c *panel.Config) { c.Settings = "" }, newCard(t))
	b := w.enter(words.English)
	b.post("/settings", "language", "auto", "backend", "usb", "readers", "all", "weak", "warn", "min_length", "8", "idle", "5").
		wants(422, say(words.English, "panel.nosettings"))
	b.post("/language", "language", "kk", "to", "/about").wants(200, say(words.Kazakh, "about.what"))
}

func TestLanguage(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	for header, want := range map[words.Language]words.Language{
		"kk-KZ,kk;q=0.9,ru;q=0.8": words.Kazakh, "ru": words.Russian, "en-GB,en": words.English, "de,ru;q=0.5,kk;q=0.7": words.Kazakh,
		"fr": words.English, "": words.English, "ru;q=0, kk;q=0.001": words.Kazakh, "KK": words.Kazakh, "ru;q=x": words.English, "en;q=0.5,ru;q=0.50": words.English,
	} {
		b := w.newBrowser(header)
		b.get(w.panel.Entry())
		if got := b.get("/").first(`<html lang="([^"]+)"`); got != string(want) {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	b := w.enter(words.Russian)
	b.post("/language", "language", "xx").wants(400)
	b.post("/language", "language", "kk", "to", "/certificates").wants(200, say(words.Kazakh, "tab.certs"))
	if a := b.post("/language", "language", "kk", "to", "https://evil.example/"); a.path != "/" {
		t.Errorf("a form leads to %s", a.path)
	}
	// It is kept, for every browser and the commands.
	if s, err := settings.Load(w.settings); err != nil || s.Language != "kk" {
		t.Errorf("kept: %v, %v", s.Language, err)
	}
	w.enter(words.English).get("/").wants(200, say(words.Kazakh, "tab.certs"))
}

func TestAbout(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		b := newWorld(t, nil, newCard(t)).enter(l)
		b.get("/about").wants(200, "v1.2.3", "4d5c", "1.0.26", "github.com/spf13/cobra", "Apache-2.0", say(l, "diagnostics"))
		b.get("/diagnostics").wants(200, "v1.2.3", readerName(0), say(l, "doctor.card.silent", "error", "6F00"), say(l, "doctor.card.silent.do"),
			words.For(l).Text("doctor.step", "step", "bus"), say(l, "diagnostics.step", "state", "wrong"))
	})
}

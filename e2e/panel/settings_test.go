//go:build e2e && linux

package panel

import (
	"os"
	"strings"
	"testing"

	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// TestSettings changes every setting, and finds it again in the file, after a new
// start and in the commands.
func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name     string
		lang     words.Language
		scripted bool
	}{{"en", words.English, true}, {"kk", words.Kazakh, true}, {"ru", words.Russian, true}, {"noscript", words.Kazakh, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := virtual(t)
			b := newTab(t, s, c.lang, "settings-"+c.name)
			b.closely = c.lang == words.English
			if !c.scripted {
				b.withoutScripts()
			}
			b.enter()
			b.open("about")
			b.see("#version")
			b.see("#licences")
			b.look("about")
			b.click("#diagnostics")
			b.says("section.dialog", b.say("diagnostics"))
			b.look("diagnostics")
			b.leave("#ok")

			b.open("settings")
			b.says("#settings-place", "config.toml")
			b.look("settings")
			b.click("#warn_default")
			b.click("#ask_last_try")
			b.fill("#min_length", "8")
			b.choose("#weak", "forbid")
			b.fill("#idle", "25")
			b.choose("#readers", "rutoken")
			b.click("#save")
			b.says("#notices", b.say("settings.saved"))
			b.look("saved")
			// The browser checks numbers, too; what it lets pass the server refuses.
			value[bool](b, `(() => { const e = document.querySelector("#min_length"); e.removeAttribute("min"); e.removeAttribute("max"); return true; })()`)
			b.fill("#min_length", "5")
			b.click("#save")
			b.see("#problem")
			b.look("refused")

			got, err := settings.Load(s.home.settings())
			if err != nil {
				t.Fatal(err)
			}
			for what, ok := range map[string]bool{
				"warning": !got.WarnDefaultPIN, "last try": !got.AskLastTry, "length": got.MinPINLength == 8, "weak": got.WeakPINs == "forbid",
				"idle": got.IdleMinutes == 25, "readers": got.Readers == "rutoken",
			} {
				if !ok {
					t.Errorf("%s is not in the file: %+v", what, got)
				}
			}

			// They hold: the default PIN is not remarked on, and a weak one is refused.
			b.open("admin")
			b.tryLogin("user", factoryUser)
			b.see("#logout")
			b.gone("#default-warning")
			b.click("#change")
			b.fill("#new", "abcdefgh")
			b.fill("#again", "abcdefgh")
			b.click("#ok")
			b.says("#problem", b.say("error.pin.weak", "why", "sequence"))
			b.leave("#cancel")
			b.logout()

			// They last over a restart.
			if err := s.stop(); err != nil {
				t.Error(err)
			}
			b.server = s.home.serve(t, "--backend", "virtual")
			b.enter()
			b.open("settings")
			for expression, want := range map[string]string{
				`#warn_default").checked`: "false", `#ask_last_try").checked`: "false", `#min_length").value`: "8", `#weak").value`: "forbid",
				`#idle").value`: "25", `#readers").value`: "rutoken",
			} {
				if got := value[string](b, `String(document.querySelector("`+expression+`)`); got != want {
					t.Errorf("after the restart %s is %q, want %q", expression, got, want)
				}
			}
		})
	}
}

// TestLanguage switches the language at once, for the panel and for the commands.
func TestLanguage(t *testing.T) {
	t.Parallel()
	s := virtual(t)
	b := newTab(t, s, words.Russian, "language").enter()
	b.says("#tab-admin", b.say("tab.admin")) // what the browser asks for
	for _, lang := range []words.Language{words.Kazakh, words.English, words.Russian} {
		b.words = words.For(lang)
		b.click("#language-form button[value=" + string(lang) + "]")
		b.says("#tab-admin", b.say("tab.admin"))
		b.says("#login", b.say("login"))
		b.look(string(lang))
		text, err := os.ReadFile(s.home.settings())
		if err != nil || !strings.Contains(string(text), `language = "`+string(lang)+`"`) {
			t.Errorf("the file says %q, %v", text, err)
		}
	}
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if out := s.home.run(t, "--backend", "virtual", "pin", "status"); !strings.Contains(out, "Пользовател") {
		t.Errorf("the commands say %q", out)
	}
}

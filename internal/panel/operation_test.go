package panel_test

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kaztoken/firmware/emu"
	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// inEveryLanguage runs a test as three people.
func inEveryLanguage(t *testing.T, f func(t *testing.T, l words.Language)) {
	for _, l := range words.Languages() {
		t.Run(string(l), func(t *testing.T) { f(t, l) })
	}
}

func TestLogIn(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.get("/login").wants(200, say(l, "login.title"), readerName(0), say(l, "user"), say(l, "admin"), say(l, "keyboard.unknown"))
		for _, role := range []string{"user", "admin"} {
			a := b.post("/login", "role", role, "pin", "00000000")
			a.wants(422, say(l, "error.pin.wrong", "role", role, "n", 9), words.For(l).Text("pin.tries", "left", 9, "max", 10))
		}
		b.post("/login", "role", "user").wants(422, say(l, "error.pin.empty"))
		b.post("/login", "role", "nobody", "pin", factoryUser).wants(400)

		a := b.post("/login", "role", "user", "pin", factoryUser)
		a.wants(200, say(l, "defwarn"), say(l, "keep"), say(l, "changenow"))
		if a.path != "/login/default" {
			t.Errorf("a default PIN leads to %s", a.path)
		}
		a = b.get("/").wants(200, say(l, "panel.who", "role", "user"), say(l, "logout"))
		for id, want := range map[string]bool{"information": true, "unblock": false, "change": true, "name": true, "format": false} {
			if got := a.enabled(id); got != want {
				t.Errorf("for the user, %s can be pressed: %v", id, got)
			}
		}
		b.post("/logout").wants(200, say(l, "panel.loggedout.done"))
		b.login("admin", factoryAdmin)
		a = b.get("/").wants(200, say(l, "panel.who", "role", "admin"))
		for id, want := range map[string]bool{"information": true, "unblock": true, "change": true, "name": false, "format": true} {
			if got := a.enabled(id); got != want {
				t.Errorf("for the administrator, %s can be pressed: %v", id, got)
			}
		}
	})
}

func TestDefaultPINIsNotWarnedOfWhenSettingsSayNo(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	if err := settings.Update(w.settings, func(s *settings.Settings) error { s.WarnDefaultPIN = false; return nil }); err != nil {
		t.Fatal(err)
	}
	b := w.enter(words.English)
	if a := b.login("user", factoryUser); a.path != "/" {
		t.Errorf("log-in leads to %s", a.path)
	}
}

func TestInformation(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		a := w.enter(l).get("/information").wants(200, say(l, "info.title"))
		for _, k := range []words.Key{
			"name", "info.model", "info.reader", "info.id", "info.version", "info.total", "info.free", "info.available", "info.firmware",
			"policy", "info.utf8", "info.rsa", "info.mscsp", "info.rdp",
		} {
			if !slices.Contains(a.all(`<dt>([^<]*)</dt>`), words.For(l).Text(k)) {
				t.Errorf("no field %s", k)
			}
		}
		a.wants(200, "0x32D18A58 (0852593240)", readerName(0), "1.4", words.For(l).Text("bytes", "n", 262144))
	})
}

func TestUnknownIsSaidToBeUnknown(t *testing.T) {
	w := newWorld(t, nil, newCard(t, emu.WithVendorFormat(), emu.WithDataObject(0x89, nil), emu.WithHiddenPINs()))
	b := w.enter(words.Russian)
	a := b.get("/information")
	a.wants(200, "неизвестно")
	b.get("/").wants(200, say(words.Russian, "error.state.vendor"))
	b.get("/certificates").wants(200, say(words.Russian, "error.state.vendor"))
}

func TestChangePINs(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.get("/pin").wants(200, say(l, "panel.loggedout"))
		b.post("/pin", "whose", "user", "new", newUser, "again", newUser).wants(422, say(l, "panel.loggedout"))

		b.login("user", factoryUser)
		b.get("/pin").wants(200, say(l, "newpin"), say(l, "newpin2"))
		b.post("/pin", "whose", "user", "new", newUser, "again", "other").wants(422, say(l, "error.pin.differ"))
		b.post("/pin", "whose", "user", "new", "", "again", "").wants(422, say(l, "error.pin.empty"))
		b.post("/pin", "whose", "user", "new", "Ab1", "again", "Ab1").wants(422, say(l, "error.pin.short", "got", 3, "min", 6))
		b.post("/pin", "whose", "admin", "new", newAdmin, "again", newAdmin).wants(422, say(l, "error.role", "role", "admin"))
		b.post("/pin", "whose", "nobody", "new", newAdmin, "again", newAdmin).wants(422)
		b.post("/pin", "whose", "user", "new", newUser, "again", newUser).wants(200, say(l, "done.change", "role", "user"))
		// The log-in goes on with the new PIN.
		b.post("/name", "name", "Astana").wants(200, say(l, "done.rename", "name", "Astana"))

		b.post("/logout")
		b.post("/login", "role", "user", "pin", factoryUser).wants(422)
		if a := b.login("user", newUser); a.path != "/" {
			t.Errorf("a PIN of one's own leads to %s", a.path)
		}
		b.login("admin", factoryAdmin)
		b.post("/pin", "whose", "admin", "new", newAdmin, "again", newAdmin).wants(200, say(l, "done.change", "role", "admin"))
		b.post("/pin", "whose", "user", "new", "Aral-1961", "again", "Aral-1961").wants(200, say(l, "done.change", "role", "user"))
		b.login("user", "Aral-1961")
		b.login("admin", newAdmin)
	})
}

func TestWeakPINs(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	b.post("/pin", "whose", "user", "new", "111111", "again", "111111").
		wants(200, say(words.English, "warn.pin.weak", "why", "repeated"), say(words.English, "done.change", "role", "user"))
	if err := settings.Update(w.settings, func(s *settings.Settings) error { s.WeakPINs = "forbid"; return nil }); err != nil {
		t.Fatal(err)
	}
	b.post("/pin", "whose", "user", "new", "222222", "again", "222222").wants(422, say(words.English, "error.pin.weak", "why", "repeated"))
}

func TestPolicyRefusal(t *testing.T) {
	w := newWorld(t, nil, newCard(t, emu.WithPolicy(2)))
	b := w.enter(words.Kazakh)
	b.login("admin", factoryAdmin)
	if a := b.get("/pin"); strings.Contains(a.body, `id="whose-user"`) {
		t.Error("the panel offers a change that the token's policy does not allow")
	}
	b.post("/pin", "whose", "user", "new", newUser, "again", newUser).wants(422, say(words.Kazakh, "error.policy", "role", "admin"))
}

func TestBlockAndUnblock(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t, emu.WithPIN(2, []byte(factoryUser), 3)))
		b := w.enter(l)
		b.post("/login", "role", "user", "pin", "0000000").wants(422)
		b.post("/login", "role", "user", "pin", "0000000").wants(422, say(l, "ask.last"))
		// The last try is used with the person's leave only.
		b.post("/login", "role", "user", "pin", "0000000").wants(422, say(l, "error.pin.last", "role", "user"))
		b.post("/login", "role", "user", "pin", "0000000", "last", "yes").wants(422, words.For(l).Text("pin.blocked"))
		b.post("/login", "role", "user", "pin", factoryUser).wants(422, say(l, "error.pin.blocked", "role", "user"))
		b.post("/unblock").wants(422, say(l, "panel.loggedout"))

		b.login("admin", factoryAdmin)
		b.get("/unblock").wants(200, say(l, "unblock.ask"), words.For(l).Text("pin.blocked"))
		b.post("/unblock").wants(200, say(l, "done.unblock"))
		b.post("/logout")
		b.login("user", factoryUser)
		b.post("/unblock").wants(422, say(l, "error.role", "role", "admin"))
	})
}

func TestLastTryWithoutAsking(t *testing.T) {
	w := newWorld(t, nil, newCard(t, emu.WithPIN(2, []byte(factoryUser), 1)))
	if err := settings.Update(w.settings, func(s *settings.Settings) error { s.AskLastTry = false; return nil }); err != nil {
		t.Fatal(err)
	}
	b := w.enter(words.English)
	if a := b.get("/login"); strings.Contains(a.body, `id="last"`) {
		t.Error("the panel asks")
	}
	b.login("user", factoryUser)
}

func TestRename(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.post("/name", "name", "Almaty").wants(422, say(l, "panel.loggedout"))
		b.login("user", factoryUser)
		b.get("/name").wants(200, say(l, "name"))
		b.post("/name", "name", strings.Repeat("ұ", 40)).wants(422, say(l, "error.name", "why", "long"))
		a := b.post("/name", "name", "Алматы <b>")
		a.wants(200, say(l, "done.rename", "name", "Алматы <b>"))
		if strings.Contains(a.body, "<b>") {
			t.Error("a name is not quoted")
		}
	})
}

// formatForm is the dialog of the guide, filled in with its standard values, but for
// the pairs.
func formatForm(pairs ...string) []string {
	all := []string{
		"name", "KAZTOKEN", "user_default", "yes", "admin_default", "yes", "user_min", "6", "admin_min", "6", "user_tries", "10", "admin_tries", "10", "policy", "both",
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		found := false
		for j := 0; j+1 < len(all); j += 2 {
			if all[j] == pairs[i] {
				all[j+1], found = pairs[i+1], true
			}
		}
		if !found {
			all = append(all, pairs[i], pairs[i+1])
		}
	}
	var kept []string
	for j := 0; j+1 < len(all); j += 2 {
		if all[j+1] != "-" { // not there
			kept = append(kept, all[j], all[j+1])
		}
	}
	return kept
}

func TestFormat(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.post("/format", formatForm()...).wants(422, say(l, "error.role", "role", "admin"))
		b.login("user", factoryUser)
		b.post("/format", formatForm()...).wants(422, say(l, "error.role", "role", "admin"))
		b.login("admin", factoryAdmin)
		b.get("/format").wants(200, say(l, "format.title"), say(l, "defpin"), say(l, "minlen"), say(l, "tries"), say(l, "policy"), say(l, "which"))
		b.get("/policy").wants(200, say(l, "policy.both"))
		for _, wrong := range [][]string{
			{"user_min", "0"}, {"user_min", "x"}, {"admin_tries", ""}, {"policy", "all"},
			{"user_default", "-", "user_pin", newUser, "user_again", "other"},
			{"admin_default", "-", "admin_pin", "", "admin_again", ""},
		} {
			if a := b.post("/format", formatForm(wrong...)...); a.status != 422 || a.problem() == "" {
				t.Errorf("%v: status %d", wrong, a.status)
			}
		}
		a := b.post("/format", formatForm("name", "Шымкент", "user_default", "-", "user_pin", newUser, "user_again", newUser,
			"admin_default", "-", "admin_pin", newAdmin, "admin_again", newAdmin, "policy", "user", "user_min", "8", "user_tries", "5")...)
		a.wants(200, say(l, "format.warn"), "32D18A58", say(l, "start"), say(l, "cancel"))
		if a.path != "/format/confirm" || strings.Contains(a.body, newUser) || strings.Contains(a.body, newAdmin) {
			t.Errorf("the warning is at %s, or has a PIN in it", a.path)
		}
		b.post("/format/cancel")
		if a := b.post("/format/start"); a.path != "/format" {
			t.Errorf("a format that was cancelled goes on at %s", a.path)
		}
		b.post("/format", formatForm("name", "Шымкент", "user_default", "-", "user_pin", newUser, "user_again", newUser,
			"admin_default", "-", "admin_pin", newAdmin, "admin_again", newAdmin, "policy", "user", "user_min", "8", "user_tries", "5")...)
		b.post("/format/start").wants(200, say(l, "done.format", "name", "Шымкент"))
		b.get("/information").wants(200, "Шымкент", words.For(l).Text("info.policy.value", "policy", "user"),
			words.For(l).Text("pin.tries", "left", 5, "max", 5), words.For(l).Text("pin.length", "min", 8, "max", 32))
		if a := b.get("/"); strings.Contains(a.body, `id="who"`) {
			t.Error("the log-in outlives the format")
		}
		b.login("user", newUser)
		b.login("admin", newAdmin)
		// Every setting that is not given is back to its standard value.
		b.post("/format", formatForm()...)
		b.post("/format/start").wants(200, say(l, "warn.defaults"))
		b.login("user", factoryUser)
		b.get("/information").wants(200, words.For(l).Text("pin.tries", "left", 10, "max", 10), words.For(l).Text("info.policy.value", "policy", "both"))
	})
}

// TestWarningIsAnsweredTooLate: what was typed is forgotten after some minutes.
func TestWarningIsAnsweredTooLate(t *testing.T) {
	var (
		mu  sync.Mutex
		now = testTime
	)
	w := newWorld(t, func(c *panel.Config) {
		c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	}, newCard(t))
	b := w.enter(words.English)
	b.login("admin", factoryAdmin)
	b.post("/format", formatForm()...).wants(200, say(words.English, "format.warn"))
	mu.Lock()
	now = now.Add(5 * time.Minute)
	mu.Unlock()
	if a := b.post("/format/start"); a.path != "/format" {
		t.Errorf("the format begins: %s", a.path)
	}
	b.get("/certificates").wants(200, say(words.English, "list.empty"))
	b.login("user", factoryUser)
}

func TestFormatForbidsDefaultPINsWhenSettingsDo(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	if err := settings.Update(w.settings, func(s *settings.Settings) error { s.WeakPINs = "forbid"; return nil }); err != nil {
		t.Fatal(err)
	}
	b := w.enter(words.English)
	b.login("admin", factoryAdmin)
	b.post("/format", formatForm()...).wants(422, say(words.English, "error.pin.weak", "why", "default"))
}

// TestFormatIsTheWayOut: a token that nobody can log in to may be formatted by
// anybody, and no other.
func TestFormatIsTheWayOut(t *testing.T) {
	for name, option := range map[string]emu.Option{
		"wiped": emu.WithWiped(), "half": emu.WithHalfInitialised(),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil, newCard(t, option))
			b := w.enter(words.English)
			if a := b.get("/").wants(200, say(words.English, words.Key("error.state."+name))); !a.enabled("format") || a.enabled("change") {
				t.Error("the wrong buttons can be pressed")
			}
			b.post("/format", formatForm()...).wants(200, say(words.English, "format.warn"))
			b.post("/format/start").wants(200, say(words.English, "done.format", "name", "KAZTOKEN"))
			b.login("user", factoryUser)
		})
	}
	t.Run("blocked", func(t *testing.T) {
		w := newWorld(t, nil, newCard(t, emu.WithPIN(1, []byte(factoryAdmin), 1)))
		b := w.enter(words.English)
		if b.get("/").enabled("format") {
			t.Error("it can be formatted without the administrator")
		}
		b.post("/login", "role", "admin", "pin", "0000000", "last", "yes").wants(422)
		if !b.get("/").enabled("format") {
			t.Error("it cannot be formatted any more")
		}
		b.post("/format", formatForm()...)
		b.post("/format/start").wants(200, say(words.English, "done.format", "name", "KAZTOKEN"))
	})
}

func TestCheckAndRepair(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.get("/check").wants(http.StatusOK, say(words.English, "done.check"))
	b.post("/repair").wants(200, say(words.English, "panel.failed", "why", say(words.English, "panel.loggedout")))
	b.login("user", factoryUser)
	b.post("/repair").wants(200, say(words.English, "done.repair", "n", 0))
}

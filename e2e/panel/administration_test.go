//go:build e2e && linux

package panel

import (
	"slices"
	"testing"

	"kaztoken/internal/words"
)

// The PINs of tests that change them.
const (
	factoryUser  = "12345678"
	factoryAdmin = "87654321"
	newUser      = "Semey-1718"
	newAdmin     = "Taraz-2000"
)

// login logs in, and keeps a default PIN.
func (b *tab) login(role, pin string) {
	b.Helper()
	b.tryLogin(role, pin)
	if pin == factoryUser || pin == factoryAdmin {
		b.see("#default-warning")
		b.click("#keep")
	}
	b.see("#logout")
}

// tryLogin enters a PIN, and no more.
func (b *tab) tryLogin(role, pin string) {
	b.Helper()
	b.click("#login")
	b.see("#login-form")
	b.click("#role-" + role)
	b.fill("#pin", pin)
	b.click("#ok")
}

func (b *tab) logout() {
	b.Helper()
	b.click("#logout")
	b.see("#login")
	b.gone("#logout")
}

// leave ends a dialog.
func (b *tab) leave(selector string) {
	b.Helper()
	b.click(selector)
	b.gone("section.dialog")
}

// giveUp leaves a form, or what the operation that it began has told if that took
// longer than the form waits for it.
func (b *tab) giveUp() {
	b.Helper()
	b.see("a#cancel, a#ok")
	if value[bool](b, shown("a#cancel")+`.length > 0`) {
		b.leave("a#cancel")
		return
	}
	b.click("a#ok")
	b.until(`location.pathname === "/pin"`)
	b.click("a#cancel")
	b.until(`location.pathname === "/"`)
	b.gone("section.dialog")
}

// TestAdministration goes through the first tab as the guide does, in every
// language, and once more without JavaScript.
func TestAdministration(t *testing.T) {
	for _, c := range []struct {
		name     string
		lang     words.Language
		scripted bool
	}{{"en", words.English, true}, {"kk", words.Kazakh, true}, {"ru", words.Russian, true}, {"noscript", words.Russian, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := virtual(t)
			b := newTab(t, s, c.lang, c.name)
			b.closely = c.name == "en" || !c.scripted
			if !c.scripted {
				b.withoutScripts()
			}
			b.enter()
			administration(b)
		})
	}
}

func administration(b *tab) {
	// Before the log-in: what needs one is there and cannot be used.
	b.says("h1, .brand", b.say("title"))
	for _, id := range []string{"#unblock", "#change", "#name", "#format"} {
		b.disabled(id)
	}
	b.says("#token-name", "KAZTOKEN")
	b.says("#tries-user", "10")
	b.look("administration")

	b.click("#information")
	b.see("section.dialog")
	b.says("section.dialog", "32D18A58")
	b.look("information")
	b.leave("section.dialog #cancel, section.dialog #ok, section.dialog [data-cancel]")

	// A wrong PIN costs a try, which is told before and after.
	b.click("#login")
	b.says("#login-form", b.say("user"))
	b.says("#login-form", b.say("admin"))
	b.see("#reader")
	b.says("#login-tries-user", "10")
	b.look("log-in")
	b.click("#role-user")
	b.fill("#pin", "11112222")
	b.click("#ok")
	b.says("#problem", b.say("error.pin.wrong", "role", "user", "n", 9))
	b.says("#login-tries-user", "9")
	b.look("wrong-pin")
	if got := value[string](b, `document.querySelector("dialog[open] #pin, #pin").value`); got != "" {
		b.Errorf("the PIN comes back: %q", got)
	}
	b.leave("#cancel")

	// The default PIN is remarked on.
	b.tryLogin("user", factoryUser)
	b.says("#default-warning", b.say("defwarn"))
	b.look("default-pin")
	b.click("#changenow")
	b.see("#pin-form")
	b.look("change-pin")
	b.fill("#new", newUser)
	b.fill("#again", newUser+"9")
	b.click("#ok")
	b.says("#problem", b.say("error.pin.differ"))
	b.fill("#new", "12345")
	b.fill("#again", "12345")
	b.click("#ok")
	b.says("#problem", b.say("error.pin.short", "got", 5, "min", 6))
	b.fill("#new", newUser)
	b.fill("#again", newUser)
	b.click("#ok")
	b.says("#notices", b.say("done.change", "role", "user"))
	b.look("changed")

	b.click("#check")
	b.see("#in-order")
	b.look("check")
	b.leave("#ok")

	// The name.
	b.click("#name")
	b.see("#name-form")
	b.look("name")
	b.fill("#new-name", "Қойма 7")
	b.click("#ok")
	b.says("#token-name", "Қойма 7")
	b.disabled("#unblock")
	b.disabled("#format")
	b.logout()

	// Block, and unblock as the administrator. The last try is asked for.
	for range 9 {
		b.tryLogin("user", "99990000")
		b.see("#problem")
		b.leave("#cancel")
	}
	b.says("#tries-user", "1")
	b.tryLogin("user", "99990000")
	b.says("#problem", b.say("error.pin.last", "role", "user"))
	b.look("last-try")
	b.click("#last")
	b.fill("#pin", "99990000")
	b.click("#ok")
	b.says("#problem", b.say("error.pin.wrong", "role", "user", "n", 0))
	b.leave("#cancel")
	b.says("#tries-user", b.say("pin.blocked"))
	b.look("blocked")
	b.login("admin", factoryAdmin)
	b.says("#who", "")
	b.click("#unblock")
	b.see("#unblock-form")
	b.look("unblock")
	b.click("#ok")
	b.says("#notices", b.say("done.unblock"))
	b.says("#tries-user", "10")

	// The administrator's own PIN.
	b.click("#change")
	b.see("#whose-user")
	b.click("#whose-admin")
	b.fill("#new", newAdmin)
	b.fill("#again", newAdmin)
	b.click("#ok")
	b.says("#notices", b.say("done.change", "role", "admin"))

	// The user has renamed the token, and only the administrator can write the other
	// place of the name: that is worth a line, and no repair.
	b.click("#check")
	b.see("#findings")
	b.look("findings")
	b.gone("#repair")
	b.leave("#ok")

	policies(b)
	b.look("formatted")
	b.logout()
	b.disabled("#change")
}

// policies formats for each answer to who may change the user PIN, and sees that it
// holds.
func policies(b *tab) {
	for _, p := range []struct {
		policy string
		whose  []string // PINs that the administrator may change
		user   bool     // the user may change the user PIN
	}{{"user", []string{"admin"}, true}, {"admin", []string{"user", "admin"}, false}, {"both", []string{"user", "admin"}, true}} {
		if p.policy == "admin" && !b.scripted && !*soak {
			continue // without scripts pages wait for seconds to see an operation's end
		}
		b.click("#format")
		b.see("#format-form")
		if p.policy == "user" {
			b.click("#which summary")
			b.says("#which", b.say("policy.user"))
			b.look("format")
			// Not started: nothing is lost.
			b.click("#start")
			b.says("#format-warning", b.say("format.warn"))
			b.look("format-warning")
			b.click("#cancel")
			b.says("#token-name", "Қойма 7")
			b.click("#format")
			b.see("#format-form")
			// Two new PINs that are not the same.
			b.click("#user_default")
			b.fill("#user_pin", newUser)
			b.fill("#user_again", newUser+"1")
			b.click("#start")
			b.says("#problem", b.say("error.pin.differ"))
		}
		b.fill("#format-name", "Kaz "+p.policy)
		b.click("#policy-" + p.policy)
		if !b.ticked("#user_default") {
			b.click("#user_default")
		}
		b.click("#start")
		b.says("#format-warning", b.say("format.warn"))
		b.click("#start")
		b.finished()
		b.says("#token-name", "Kaz "+p.policy)
		b.see("#login")

		b.login("user", factoryUser)
		b.click("#change")
		b.see("#whose-user")
		b.gone("#whose-admin")
		if !p.user {
			b.fill("#new", newUser)
			b.fill("#again", newUser)
			b.click("#ok")
			b.says("#problem", b.say("error.policy", "role", "user"))
			b.look("refused")
		}
		b.giveUp()
		b.logout()
		b.login("admin", factoryAdmin)
		b.click("#change")
		b.see("#pin-form")
		for _, whose := range []string{"user", "admin"} {
			if slices.Contains(p.whose, whose) {
				b.see("#whose-" + whose)
			} else {
				b.gone("#whose-" + whose)
			}
		}
		b.leave("#cancel")
	}
}

// finished waits for the end of an operation that may take long: if it does, a dialog
// shows how far it is, and what came of it.
func (b *tab) finished() {
	b.Helper()
	done, open := shown("#done, section.dialog[data-over] #problem")+`.length`, shown("section.dialog")+`.length`
	// Between two pages there is neither.
	b.until(done + ` || document.readyState === "complete" && document.querySelector("#tab-admin") && !` + open)
	if value[int](b, done) > 0 {
		b.leave("#ok")
	}
}

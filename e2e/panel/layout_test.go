//go:build e2e && linux

package panel

import (
	"path/filepath"
	"testing"

	"kaztoken/internal/words"
)

// TestLayout looks at every page and dialog on a telephone and on a very large
// screen, light and dark: nothing may reach beyond the window.
func TestLayout(t *testing.T) {
	for _, c := range []struct {
		name string
		size size
		dark bool
		lang words.Language // Kazakh and Russian have the longest words
	}{
		{"phone", phone, false, words.Kazakh}, {"phone-dark", phone, true, words.Russian},
		{"4k", wide, false, words.Russian}, {"desktop-dark", desktop, true, words.English},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newTab(t, virtual(t), c.lang, c.name)
			b.resize(c.size)
			b.colours(c.dark)
			b.closely = c.dark || c.size == phone
			b.enter()
			b.look("administration")
			b.click("#information")
			b.see("section.dialog")
			b.look("information")
			b.leave("section.dialog [data-cancel]")
			b.tryLogin("user", "00000000")
			b.see("#problem")
			b.look("wrong-pin")
			b.fill("#pin", factoryUser)
			b.click("#ok")
			b.see("#default-warning")
			b.look("default-pin")
			b.click("#changenow")
			b.see("#pin-form")
			b.look("change")
			b.leave("#cancel")
			b.open("certs")
			b.importFile(identity, identityPassword)
			b.finished()
			b.importFile(filepath.Join(others, "head.cer"), "")
			b.finished()
			b.click("#personal a")
			b.until(`location.search.startsWith("?c=")`)
			b.see("#card")
			b.look("certificates")
			b.click("#props")
			b.see("section.dialog")
			b.look("properties")
			b.leave("section.dialog #ok")
			b.click("#import")
			b.see("#import-form")
			b.look("import")
			b.leave("#cancel")
			b.open("settings")
			b.look("settings")
			b.open("about")
			b.look("about")
			b.open("admin")
			b.logout()
			b.login("admin", factoryAdmin)
			b.click("#format")
			b.see("#format-form")
			b.click("#user_default")
			b.look("format")
			b.fill("#user_pin", newUser)
			b.fill("#user_again", newUser)
			b.click("#start")
			b.see("#format-warning")
			b.look("format-warning")
		})
	}
}

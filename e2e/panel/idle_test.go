//go:build e2e && soak && linux

package panel

import (
	"testing"
	"time"

	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// TestIdle waits a real minute, the shortest time to be set, until the panel logs out
// by itself, and so is part of make soak only; the panel's own tests have a clock
// that they set.
func TestIdle(t *testing.T) {
	t.Parallel()
	h := newHome(t)
	if err := settings.Update(h.settings(), func(s *settings.Settings) error { s.IdleMinutes = 1; return nil }); err != nil {
		t.Fatal(err)
	}
	b := newTab(t, h.serve(t, "--backend", "virtual"), words.English, "idle").enter()
	b.login("user", factoryUser)
	began := time.Now()
	b.within(90*time.Second, b.say("panel.idle"), func() bool {
		return value[bool](b, `document.body.innerText.includes(`+quote(b.words.Text("panel.idle"))+`) || !document.querySelector("#logout")`)
	})
	if took := time.Since(began); took < 55*time.Second {
		t.Errorf("logged out after %v", took)
	}
	b.see("#login")
	b.look("idle")
}

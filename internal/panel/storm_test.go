package panel_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/panel/paneltest"
	"kaztoken/internal/words"
)

// puller pulls the token out before the nth command from now on.
type puller struct {
	mu   sync.Mutex
	desk *paneltest.Desk
	left int // commands until then; negative for never
	sent int // commands since it was set
	card firmware.Card
}

func (p *puller) set(n int) { p.mu.Lock(); defer p.mu.Unlock(); p.left, p.sent = n, 0 }

func (p *puller) count() int { p.mu.Lock(); defer p.mu.Unlock(); return p.sent }

func (p *puller) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	p.mu.Lock()
	card, now := p.card, p.left == 0
	p.left--
	p.sent++
	p.mu.Unlock()
	if now {
		p.desk.Unplug(readerName(0))
	}
	return card.Transmit(ctx, dst, apdu)
}

// TestPulledOutAtManyCommands: wherever in an import it happens, the page says that
// the token was pulled out, and the token can be brought in order from the panel.
func TestPulledOutAtManyCommands(t *testing.T) {
	w := newWorld(t, nil)
	p := &puller{desk: w.desk, left: -1}
	w.desk.Wrap = func(_ string, c firmware.Card) firmware.Card {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.card = c
		return p
	}
	demo, password := demoFile(t)
	b := w.enter(words.English)
	// Each time with a new card, until an import comes to its end.
	const step = 13
	for n := 0; ; n += step {
		card := newCard(t)
		plug := func() {
			w.desk.Plug(readerName(0), card)
			waitFor(t, func() bool { return strings.Contains(b.get("/").body, "32D18A58") })
			b.login("user", factoryUser)
		}
		plug()
		p.set(n)
		a := b.upload("/certificates/import", "me.p12", demo, "password", password)
		done := p.count() <= n
		p.set(-1)
		if done {
			a.wants(200, "Personal certificates (1)")
			if n < 5*step {
				t.Errorf("only %d commands were cut", n)
			}
			return
		}
		if !strings.Contains(a.body, say(words.English, "panel.gone")) && !strings.Contains(a.body, say(words.English, "error.gone")) {
			t.Fatalf("command %d: %s", n, a.text())
		}
		waitFor(t, func() bool { return strings.Contains(b.get("/").body, `id="empty"`) })
		plug()
		if a := b.get("/check").wants(200); strings.Contains(a.body, `id="repair"`) {
			b.post("/repair").wants(200)
		}
		b.get("/check").wants(200, say(words.English, "done.check"))
		w.desk.Unplug(readerName(0))
		waitFor(t, func() bool { return strings.Contains(b.get("/").body, `id="empty"`) })
	}
}

// TestManyAtOnce: several browsers do everything at the same time while tokens come
// and go. What each is told does not matter; that each is answered does.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	var wg sync.WaitGroup
	for i := range 4 {
		b := w.enter(words.Languages()[i%3])
		events := b.events(t)
		wg.Go(func() {
			for range events.lines {
			}
		})
		wg.Go(func() {
			role, pin := "user", factoryUser
			if i%2 == 1 {
				role, pin = "admin", factoryAdmin
			}
			for n := range 5 {
				b.post("/login", "role", role, "pin", pin)
				for _, path := range []string{"/", "/certificates", "/information", "/check", "/diagnostics"} {
					if a := b.get(path); a.status >= 500 {
						t.Errorf("%s: %d", path, a.status)
					}
				}
				for path, fields := range map[string][]string{
					"/name": {"name", fmt.Sprint("N", n)}, "/unblock": nil, "/certificates/generate": {"bits", "2048", "label", "k"}, "/logout": nil,
				} {
					if a := b.post(path, fields...); a.status >= 500 {
						t.Errorf("%s: %d", path, a.status)
					}
				}
			}
			b.post("/close")
		})
	}
	wg.Go(func() {
		for n := range 10 {
			name := readerName(1)
			w.desk.Plug(name, newCard(t, emu.WithTokenID([8]byte{7: byte(n)})))
			b := w.enter(words.English)
			b.get("/").wants(200)
			w.desk.Unplug(name)
			b.post("/close")
		}
	})
	wg.Wait()
}

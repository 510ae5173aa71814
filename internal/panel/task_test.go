package panel_test

import (
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"sync"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/words"
)

// gate is in front of a card, and can be shut before a command.
type gate struct {
	mu   sync.Mutex
	shut func(apdu []byte) bool // nil lets everything pass
	held chan struct{}          // closed when a command waits
	open chan struct{}          // closed to let it pass
	card firmware.Card
}

// before shuts the gate before the first command that a function picks.
func (g *gate) before(pick func(apdu []byte) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut, g.held, g.open = pick, make(chan struct{}), make(chan struct{})
}

func (g *gate) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	g.mu.Lock()
	shut := g.shut != nil && g.shut(apdu)
	if shut {
		g.shut = nil
		close(g.held)
	}
	card, open := g.card, g.open
	g.mu.Unlock()
	if shut {
		<-open
	}
	return card.Transmit(ctx, dst, apdu)
}

// newGate makes a machine with a token behind a gate.
func newGate(t *testing.T, card *emu.Card) (*world, *gate) {
	t.Helper()
	g := &gate{}
	w := newWorld(t, nil)
	w.desk.Wrap = func(_ string, c firmware.Card) firmware.Card {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.card = c
		return g
	}
	w.desk.Plug(readerName(0), card)
	b := w.enter(words.English)
	waitFor(t, func() bool { return strings.Contains(b.get("/").body, "32D18A58") })
	return w, g
}

// ins picks a command by its instruction.
func ins(cla, ins byte) func([]byte) bool {
	return func(apdu []byte) bool { return apdu[0] == cla && apdu[1] == ins }
}

// TestFormatSurvivesAClosedTab: it goes on, can be looked at again from any session,
// and nobody else gets at the token meanwhile.
func TestFormatSurvivesAClosedTab(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w, g := newGate(t, newCard(t))
		b := w.enter(l)
		b.login("admin", factoryAdmin)
		b.post("/format", formatForm("name", "Тараз")...)
		g.before(ins(0x00, 0xD6))
		a := b.post("/format/start")
		a.wants(200, say(l, "format.busy"), say(l, "panel.background"))
		if !strings.HasPrefix(a.path, "/task/") || !strings.Contains(a.body, `<noscript><meta http-equiv="refresh" content="1"></noscript>`) {
			t.Errorf("a long format leads to %s", a.path)
		}
		<-g.held
		other := w.enter(l)
		events := other.events(t)
		page := other.get("/").wants(200, say(l, "format.title"), "32D18A58")
		for _, id := range []string{"login", "unblock", "change", "name", "format"} {
			if page.enabled(id) {
				t.Errorf("%s can be pressed during a format", id)
			}
		}
		other.post("/login", "role", "user", "pin", factoryUser).wants(409, say(l, "panel.occupied"))
		other.get(a.path).wants(200, say(l, "format.busy"))
		other.get("/certificates").wants(200)
		b.post("/close")
		close(g.open)
		var state struct {
			ID      string
			Percent int
			Over    bool
		}
		for !state.Over {
			if err := json.Unmarshal([]byte(events.await("task")), &state); err != nil {
				t.Fatal(err)
			}
		}
		if "/task/"+state.ID != a.path || state.Percent != 100 {
			t.Errorf("the end of %s: %+v", a.path, state)
		}
		other.get(a.path).wants(200, say(l, "done.format", "name", "Тараз"))
		other.get("/").wants(200, "Тараз")
		other.login("user", factoryUser)
	})
}

func TestKeyGenerationShowsProgress(t *testing.T) {
	w, g := newGate(t, newCard(t))
	b := w.enter(words.Kazakh)
	b.login("user", factoryUser)
	g.before(ins(0x00, 0x46))
	a := b.post("/certificates/generate", "bits", "2048", "label", "work")
	a.wants(200, say(words.Kazakh, "busy.generate"), say(words.Kazakh, "panel.working"))
	<-g.held
	b.post("/certificates/generate", "bits", "2048", "label", "again").wants(422, say(words.Kazakh, "panel.occupied"))
	close(g.open)
	var end *answer
	waitFor(t, func() bool { end = b.get(a.path); return end.path == "/certificates" })
	end.wants(200, "work", words.For(words.Kazakh).Text("origin.local"), "Кілт жұбы жасалды")
}

// TestPulledOutDuringAnOperation: it is told plainly, and what the token was left
// with when it is plugged in again.
func TestPulledOutDuringAnOperation(t *testing.T) {
	for name, c := range map[string]struct {
		stop func([]byte) bool
		do   func(*browser) *answer
		what words.Key
		left words.Key // what is said of the token, "" for in order
	}{
		"format": {ins(0x80, 0x84), func(b *browser) *answer {
			b.post("/format", formatForm()...)
			return b.post("/format/start")
		}, "format.title", "error.state.half"},
		"format that did nothing": {ins(0x80, 0x8A), func(b *browser) *answer {
			b.post("/format", formatForm()...)
			return b.post("/format/start")
		}, "format.title", "panel.cut.order"},
		"unblock": {ins(0x00, 0x2C), func(b *browser) *answer { return b.post("/unblock") }, "unblock.title", "panel.cut.order"},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryLanguage(t, func(t *testing.T, l words.Language) {
				card := newCard(t)
				w, g := newGate(t, card)
				b := w.enter(l)
				b.login("admin", factoryAdmin)
				g.before(c.stop)
				a := c.do(b)
				<-g.held
				w.desk.Unplug(readerName(0))
				close(g.open)
				a.wants(200)
				waitFor(t, func() bool { return strings.Contains(b.get(a.path).body, `id="problem"`) })
				b.get(a.path).wants(200, say(l, "error.gone"))
				b.get("/").wants(200, say(l, "panel.plug"))

				w.desk.Plug(readerName(0), card)
				waitFor(t, func() bool { return strings.Contains(b.get("/").body, "32D18A58") })
				b.get("/").wants(200, say(l, "panel.cut", "what", say(l, c.what)), say(l, c.left))
				b.get("/check").wants(200, say(l, "panel.cut", "what", say(l, c.what)))
				if c.left == "panel.cut.order" { // told once
					if a := b.get("/"); strings.Contains(a.body, `id="cut"`) {
						t.Error("it is told again")
					}
					return
				}
				b.post("/format", formatForm()...)
				b.post("/format/start").wants(200, say(l, "done.format", "name", "KAZTOKEN"))
				if a := b.get("/"); strings.Contains(a.body, `id="cut"`) {
					t.Error("it is told after it was put right")
				}
			})
		})
	}
}

// TestLeftoverIsRepaired: a key that was interrupted is found and cleared.
func TestLeftoverIsRepaired(t *testing.T) {
	card := newCard(t)
	w, g := newGate(t, card)
	b := w.enter(words.Russian)
	b.login("user", factoryUser)
	generated := false
	g.before(func(apdu []byte) bool {
		generated = generated || apdu[1] == 0x46
		return generated && apdu[1] == 0xD6
	})
	a := b.post("/certificates/generate", "bits", "2048", "label", "work")
	<-g.held
	w.desk.Unplug(readerName(0))
	close(g.open)
	waitFor(t, func() bool { return strings.Contains(b.get(a.path).body, `id="problem"`) })
	w.desk.Plug(readerName(0), card)
	waitFor(t, func() bool { return strings.Contains(b.get("/").body, `id="cut"`) })
	b.get("/check").wants(200, say(words.Russian, "error.role", "role", "user"))
	b.login("user", factoryUser)
	if a := b.get("/check"); !a.enabled("repair") || !regexp.MustCompile(`id="findings"`).MatchString(a.body) {
		t.Fatal("nothing is found")
	}
	b.post("/repair").wants(200, "Устранено: ")
	b.get("/check").wants(200, say(words.Russian, "done.check"))
}

package sharing

import (
	"math/rand/v2"
	"strings"
	"testing"

	"kaztoken/bridge/wire"
)

// TestInterleaved plays random stories in which the card takes its time, so that
// everything happens in the middle of everything else. It holds what must be so
// whatever the order: the invariants of [world.check], that nobody talks to a
// card on which somebody died who had locked it before the card was reset, and
// that in the end nobody waits and nothing is left.
func TestInterleaved(t *testing.T) {
	stories, length := 800, 150
	if testing.Short() {
		stories = 300
	}
	worked, waited := 0, 0
	for seed := range stories {
		rnd := rand.New(rand.NewPCG(uint64(seed), 2))
		w, n := newWorld(t, Limits{}), newNaive() // the sheet of paper stays empty
		w.say("card holds")
		var story []string
		fail := func(what string) {
			t.Helper()
			t.Fatalf("seed %d: %s\n%s", seed, what, strings.Join(story, "\n"))
		}
		talking := make(map[string]bool) // whose APDU was seen on its way
		haunted := false                 // by one who died
		look := func() {
			w.check()
			for name, c := range w.clients {
				now := c.op.state == Working && c.op.work.Kind == Transmit
				if now && !talking[name] && haunted {
					fail(name + " talks to a card that should be reset")
				}
				talking[name] = now
			}
			for _, h := range w.m.Effects().Notices {
				if h.Event.Result != wire.Success {
					fail("an event that nobody caused")
				}
			}
		}
		reset := func(op *Op, kind WorkKind) {
			if kind == PowerUp || kind == WarmReset || kind == PowerDown {
				haunted = false
			}
		}
		step := func(s string) {
			story = append(story, s)
			if who, _ := strings.CutSuffix(s, " dies"); len(who) == 1 && w.clients[who] != nil {
				c := w.clients[who]
				if c.op.state == Working {
					kind := c.op.work.Kind
					w.work(&c.op) // a command under way is not interrupted
					reset(&c.op, kind)
					for c.op.state == Working {
						kind = c.op.work.Kind
						w.work(&c.op)
						reset(&c.op, kind)
					}
				}
				for _, h := range c.handles {
					if !h.reader.gone && h.reader.lock == h && h.event == NoEvent && h.reader.power {
						haunted = true
					}
				}
			}
			if strings.HasPrefix(s, "reader ") || strings.HasPrefix(s, "card ") {
				if s == "card out" || s == "reader unplugged" || s == "reader fails" || s == "card in" {
					haunted = false // another card, or none
				}
			}
			w.say(s)
			look()
		}
		for range length {
			var working []*Op
			if op := w.reader.Own(); op.state == Working {
				working = append(working, op)
			}
			for _, name := range w.names() {
				op := &w.clients[name].op
				switch op.state {
				case Working:
					working = append(working, op)
				case Waiting:
					waited++
					if rnd.IntN(10) == 0 {
						w.m.Timeout(op)
						look()
					}
				}
			}
			if len(working) > 0 && rnd.IntN(3) == 0 {
				op := working[rnd.IntN(len(working))]
				kind := op.work.Kind
				story = append(story, "("+kind.String()+" ends)")
				w.work(op)
				reset(op, kind)
				worked++
				look()
				continue
			}
			s := randomSentence(rnd, w, n)
			if s == "" || s == "reader plugged" {
				continue
			}
			if s == "reader unplugged" {
				step(s)
				for _, op := range working { // the calls end now
					if op.state == Working {
						w.work(op)
					}
				}
				step("reader plugged")
				continue
			}
			if c := w.clients[strings.Fields(s)[0]]; c != nil && c.op.state == Working && !strings.HasSuffix(s, "dies") {
				continue
			}
			step(s)
		}
		w.say("card works")
		for _, name := range w.names() {
			if w.clients[name].op.state == Waiting && w.reader.lock == nil {
				fail(name + " waits for nothing")
			}
		}
		for _, name := range w.names() {
			w.say(name + " dies")
			w.check()
		}
		w.settle()
		r := w.reader
		if len(w.m.handles)+len(w.m.contexts)+len(w.m.watching)+len(r.handles)+len(r.waiters)+len(r.queue)+r.unsettled != 0 || r.busy != nil || r.lock != nil {
			fail("something is left: " + w.state())
		}
	}
	if worked < stories || waited < stories {
		t.Errorf("%d pieces of work and %d waits in %d stories", worked, waited, stories)
	}
}

package sharing

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// naive is the rules once more, as a person would play them with a sheet of
// paper: one reader, a card that does its work at once, plain values, and every
// command written out from the specification. It shares nothing with Machine.
type naive struct {
	// The world.
	in, mute, plugged, broken bool

	// The sheet.
	bits     int // 0x34, 0x0C, 0x04, 0x02, 0x01
	proto    string
	sharing  int
	lock     string
	count    int
	on       bool
	handles  []string          // clients, in the order in which they connected
	mode     map[string]string // of the handle
	mark     map[string]string // none, reset, removed
	dangling map[string]bool   // handle of a reader that is gone
	ctx      map[string]bool
	queue    []string // commands that wait, "A connect shared both"
	answers  map[string]string
}

func newNaive() *naive {
	return &naive{
		in: true, plugged: true, bits: 0x34, proto: "undefined", on: true,
		mode: map[string]string{}, mark: map[string]string{}, dangling: map[string]bool{},
		ctx: map[string]bool{}, answers: map[string]string{},
	}
}

func (n *naive) has(who string) bool { return slices.Contains(n.handles, who) }

func (n *naive) markAll(mark string) {
	for _, h := range n.handles {
		if n.mark[h] != "removed" {
			n.mark[h] = mark
		}
	}
	// A begin that waits hears of it.
	var rest []string
	for _, q := range n.queue {
		who, cmd, _ := strings.Cut(q, " ")
		if cmd == "begin" && n.mark[who] != "" {
			n.answers[who] = strings.ToUpper(n.mark[who]) + "_CARD"
		} else {
			rest = append(rest, q)
		}
	}
	n.queue = rest
}

// reset is a reset or power-up of the card by a command.
func (n *naive) reset() string {
	switch {
	case !n.in:
		n.remove()
		return "NO_SMARTCARD"
	case n.mute:
		n.bits, n.on, n.proto = 0x0C, false, "undefined"
		return "mute"
	}
	n.bits, n.on, n.proto = 0x34, true, "undefined"
	return "ok"
}

// remove is 8.10.
func (n *naive) remove() {
	n.bits, n.on, n.proto, n.lock, n.count = 0x02, false, "undefined", "", 0
	n.markAll("removed")
}

// drop ends a handle.
func (n *naive) drop(who string) {
	if n.dangling[who] {
		delete(n.dangling, who)
		return
	}
	i := slices.Index(n.handles, who)
	n.handles = slices.Delete(n.handles, i, i+1)
	delete(n.mark, who)
	delete(n.mode, who)
	if n.sharing--; n.sharing < 0 {
		n.sharing = 0
	}
	if n.lock == who {
		n.lock, n.count = "", 0
	}
}

// choose is 8.2 step 6; "" means that it went well.
func (n *naive) choose(who, mode, protos string) string {
	want1, want0 := protos == "T1" || protos == "both" || protos == "any", protos == "T0" || protos == "both" || protos == "any"
	switch {
	case protos == "raw", mode == "direct":
	case n.proto == "undefined" || n.proto == "raw" && !n.othersUse(who):
		if want1 {
			n.proto = "T1"
		} else {
			n.proto = "T0"
		}
	case n.proto == "T1" && want1, n.proto == "T0" && want0:
	default:
		return "PROTO_MISMATCH"
	}
	return ""
}

// raw notes that a handle talks raw, where nothing else is in force.
func (n *naive) raw(mode, protos string) {
	if protos == "raw" && n.proto == "undefined" && mode != "direct" {
		n.proto = "raw"
	}
}

func (n *naive) othersUse(who string) bool {
	for _, h := range n.handles {
		if h != who && n.mode[h] != "direct" {
			return true
		}
	}
	return false
}

// say answers a sentence of [world.say].
func (n *naive) say(sentence string) string {
	f := append(strings.Fields(sentence), "", "", "")
	who := f[0]
	delete(n.answers, who)
	result := n.command(sentence, who, f[1], f[2], f[3], f[4])
	if result == "waits" {
		n.queue = append(n.queue, sentence)
	}
	n.serve()
	return result
}

// serve serves whoever waits for a lock that is free now, the first first.
func (n *naive) serve() {
	for n.lock == "" && len(n.queue) > 0 {
		next := n.queue[0]
		n.queue = n.queue[1:]
		f := append(strings.Fields(next), "", "", "")
		n.answers[f[0]] = n.command(next, f[0], f[1], f[2], f[3], f[4])
	}
}

func (n *naive) command(sentence, who, verb, a, b, c string) string {
	switch sentence {
	case "card out":
		n.in = false
		if n.plugged && !n.broken && n.bits != 0x02 {
			n.remove()
		}
		return "ok"
	case "card in":
		was := n.in
		n.in = true
		if n.plugged && !n.broken {
			if was && n.bits != 0x02 {
				n.remove()
				n.serve() // for a moment there is no card
			}
			n.reset()
		}
		return "ok"
	case "card fails power mute":
		n.mute = true
		return "ok"
	case "card heals":
		n.mute = false
		return "ok"
	case "reader fails":
		if n.plugged && !n.broken {
			n.broken, n.bits, n.on, n.proto = true, 0x01, false, "undefined"
			n.markAll("reset")
		}
		return "ok"
	case "reader heals":
		if n.plugged && n.broken {
			n.broken = false
			if n.in {
				n.reset()
			} else {
				n.remove()
			}
		}
		return "ok"
	case "reader unplugged":
		n.plugged, n.broken = false, false
		for _, h := range n.handles {
			n.dangling[h] = true
		}
		for _, q := range n.queue {
			if f := strings.Fields(q); f[1] == "disconnect" {
				delete(n.dangling, f[0])
				n.answers[f[0]] = "ok"
			} else {
				n.answers[f[0]] = "READER_UNAVAILABLE"
			}
		}
		n.queue, n.handles, n.sharing, n.lock, n.count = nil, nil, 0, "", 0
		n.mark, n.mode = map[string]string{}, map[string]string{}
		return "ok"
	case "reader plugged":
		n.plugged, n.bits, n.on, n.proto = true, 0x02, false, "undefined"
		if n.in {
			n.reset()
		}
		return "ok"
	case "time passes":
		if !n.othersUse("") {
			n.on = false
		}
		return "ok"
	}

	if verb == "dies" || verb == "release" {
		if verb == "release" && !n.ctx[who] {
			return "INVALID_HANDLE"
		}
		n.ctx[who] = false
		n.queue = slices.DeleteFunc(n.queue, func(q string) bool { return strings.HasPrefix(q, who+" ") })
		switch {
		case n.dangling[who]:
			n.drop(who)
		case n.has(who):
			if n.lock == who && n.mark[who] == "" {
				n.lock, n.count = "", 0
				n.markAll("reset")
				if n.on {
					n.reset()
				}
			}
			n.drop(who)
		}
		return "ok"
	}

	locked := n.lock != "" && n.lock != who
	marked := strings.ToUpper(n.mark[who]) + "_CARD"
	if verb == "connect" {
		switch {
		case a != "direct" && (b == "none" || b == "T15"):
			return "PROTO_MISMATCH"
		case a == "9", !n.ctx[who]:
			return "INVALID_VALUE"
		case !n.plugged:
			return "UNKNOWN_READER"
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		case n.sharing < 0:
			return "SHARING_VIOLATION"
		case locked:
			return "waits"
		}
		if a != "direct" {
			if n.bits == 0x02 {
				return "NO_SMARTCARD"
			}
			if !n.on {
				switch n.reset() {
				case "NO_SMARTCARD":
					return "NO_SMARTCARD"
				case "mute":
					return "UNPOWERED_CARD"
				}
			}
		}
		if r := n.choose(who, a, b); r != "" {
			return r
		}
		if a == "exclusive" && n.sharing != 0 {
			return "SHARING_VIOLATION"
		}
		n.handles = append(n.handles, who)
		n.mode[who] = a
		n.sharing++
		if a == "exclusive" {
			n.sharing, n.lock, n.count = -1, who, 1
		}
		n.raw(a, b)
		return "ok"
	}

	if !n.has(who) && !n.dangling[who] {
		return "closed"
	}
	if n.dangling[who] {
		if verb != "disconnect" {
			return "INVALID_VALUE"
		}
		if a != "4" {
			n.drop(who)
			return "ok"
		}
	}
	switch verb {
	case "reconnect":
		switch {
		case c == "eject" || a == "9":
			return "INVALID_VALUE"
		case a != "direct" && (b == "none" || b == "T15"):
			return "PROTO_MISMATCH"
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		case locked:
			return "SHARING_VIOLATION"
		case n.bits == 0x02:
			return "NO_SMARTCARD"
		}
		if c != "leave" {
			r := n.reset()
			n.markAll("reset")
			if r != "ok" {
				return strings.Replace(r, "mute", "UNRESPONSIVE_CARD", 1)
			}
		} else if n.bits == 0x0C {
			return "UNRESPONSIVE_CARD"
		} else if a != "direct" && !n.on {
			if r := n.reset(); r != "ok" {
				return strings.Replace(r, "mute", "UNRESPONSIVE_CARD", 1)
			}
		}
		if r := n.choose(who, a, b); r != "" {
			return r
		}
		switch {
		case a == "exclusive" && n.sharing > 1:
			return "SHARING_VIOLATION"
		case a == "exclusive" && n.sharing == 1:
			n.sharing, n.lock = -1, who
			n.count++
		case a == "exclusive" && n.count == 0:
			n.lock, n.count = who, 1
		case a != "exclusive" && n.sharing < 0:
			n.sharing = 1
			if n.count > 0 {
				n.count--
			}
			if n.count == 0 {
				n.lock = ""
			}
		}
		n.mode[who] = a
		delete(n.mark, who)
		n.raw(a, b)
		return "ok"
	case "disconnect":
		switch {
		case a == "4":
			return "INVALID_VALUE"
		case a != "leave" && locked:
			return "waits"
		}
		if a == "reset" || a == "unpower" {
			n.markAll("reset")
		}
		if n.bits != 0x02 && n.bits != 0x01 {
			switch a {
			case "reset":
				n.reset()
			case "unpower":
				n.bits, n.on, n.proto = 0x04, false, "undefined"
			}
		}
		n.drop(who)
		return "ok"
	case "begin":
		switch {
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		case n.mark[who] != "":
			return marked
		case locked:
			return "waits"
		}
		n.lock = who
		n.count++
		return "ok"
	case "end":
		switch {
		case a == "4":
			return "INVALID_VALUE"
		case n.mark[who] != "":
			return marked
		case a != "leave" && locked, n.lock != "" && locked:
			return "SHARING_VIOLATION"
		case n.lock == "" || n.sharing < 0 && n.count == 1:
			return "NOT_TRANSACTED"
		}
		if a == "reset" || a == "unpower" {
			if n.bits != 0x02 && n.bits != 0x01 {
				n.reset()
			}
			n.markAll("reset")
		}
		if n.count--; n.count == 0 {
			n.lock = ""
		}
		return "ok"
	case "transmit":
		switch {
		case b == "1":
			return "INSUFFICIENT_BUFFER"
		case locked:
			return "SHARING_VIOLATION"
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		case n.mark[who] != "":
			return marked
		case n.bits == 0x02:
			return "NO_SMARTCARD"
		case a != n.proto && a != "raw" && a != "any":
			return "PROTO_MISMATCH"
		case !n.on:
			return "NOT_TRANSACTED"
		}
		return "ok"
	case "control":
		switch {
		case locked:
			return "SHARING_VIOLATION"
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		}
		if !n.in {
			return "NO_SMARTCARD" // of the world of the tests
		}
		return "ok"
	case "status":
		switch {
		case locked:
			return "SHARING_VIOLATION"
		case n.mark[who] != "":
			return marked
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		}
		return "ok"
	case "attribute":
		switch {
		case locked:
			return "SHARING_VIOLATION"
		case n.bits == 0x01:
			return "READER_UNAVAILABLE"
		case n.mark[who] != "":
			return marked
		}
		return "ok"
	}
	panic(sentence)
}

// state is what [world.state] would say.
func (n *naive) state() string {
	if !n.plugged {
		return "gone"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%02x %s %d", n.bits, n.proto, n.sharing)
	if n.lock != "" {
		fmt.Fprintf(&b, " lock %s*%d", n.lock, n.count)
	}
	handles := slices.Sorted(slices.Values(n.handles))
	for _, h := range handles {
		if m := n.mark[h]; m != "" {
			fmt.Fprintf(&b, " %s:%s", h, m)
		}
	}
	switch {
	case !n.on:
		b.WriteString(" off")
	case !n.othersUse(""):
		b.WriteString(" idle")
	}
	return b.String()
}

// TestAgainstNaive plays random stories on the machine and on paper.
func TestAgainstNaive(t *testing.T) {
	stories, length := 1000, 60
	if testing.Short() {
		stories = 300
	}
	seen := make(map[string]int) // how often each command had each result
	for seed := range stories {
		rnd := rand.New(rand.NewPCG(uint64(seed), 1))
		w, n := newWorld(t, Limits{}), newNaive()
		var story []string
		for range length {
			s := randomSentence(rnd, w, n)
			if s == "" {
				continue
			}
			story = append(story, s)
			if who, _, _ := strings.Cut(s, " "); len(who) == 1 && !n.ctx[who] && w.clients[who] == nil {
				n.ctx[who] = true
			}
			want := n.say(s)
			got := w.say(s)
			seen[strings.Fields(s)[1]+" "+got]++
			if got != want {
				t.Fatalf("seed %d: %s: %s, on paper %s\n%s", seed, s, got, want, strings.Join(story, "\n"))
			}
			w.check()
			if got, want := w.state(), n.state(); got != want {
				t.Fatalf("seed %d: %s leaves\n%s, on paper\n%s\n%s", seed, s, got, want, strings.Join(story, "\n"))
			}
			for who, want := range n.answers {
				if c := w.clients[who]; c != nil && c.op.state != Waiting {
					if got := w.outcome(who, &c.op); got != want {
						t.Fatalf("seed %d: %s waited and got %s, on paper %s\n%s", seed, who, got, want, strings.Join(story, "\n"))
					}
				}
			}
		}
	}
	// A model that is never asked proves nothing.
	for _, want := range []string{
		"connect ok", "connect waits", "connect SHARING_VIOLATION", "connect NO_SMARTCARD", "connect UNPOWERED_CARD", "connect PROTO_MISMATCH",
		"connect UNKNOWN_READER", "connect READER_UNAVAILABLE", "connect INVALID_VALUE",
		"reconnect ok", "reconnect SHARING_VIOLATION", "reconnect NO_SMARTCARD", "reconnect UNRESPONSIVE_CARD", "reconnect INVALID_VALUE", "reconnect READER_UNAVAILABLE",
		"disconnect ok", "disconnect waits", "disconnect INVALID_VALUE", "begin ok", "begin waits", "begin RESET_CARD", "begin REMOVED_CARD",
		"end ok", "end NOT_TRANSACTED", "end SHARING_VIOLATION", "end RESET_CARD", "end REMOVED_CARD",
		"transmit ok", "transmit SHARING_VIOLATION", "transmit PROTO_MISMATCH", "transmit NOT_TRANSACTED", "transmit NO_SMARTCARD", "transmit INSUFFICIENT_BUFFER",
		"control ok", "control SHARING_VIOLATION", "status ok", "status RESET_CARD", "status INVALID_VALUE", "attribute ok", "status closed", "release INVALID_HANDLE",
	} {
		if seen[want] == 0 {
			t.Errorf("no story had %q", want)
		}
	}
}

// randomSentence is something that a client may say now or that may happen; a
// client that waits says nothing, but may die.
func randomSentence(rnd *rand.Rand, w *world, n *naive) string {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	if rnd.IntN(8) == 0 {
		switch s := pick("card out", "card in", "card in", "card fails power mute", "card heals", "card heals",
			"reader fails", "reader heals", "reader heals", "reader unplugged", "reader plugged", "reader plugged", "time passes", "time passes"); {
		case (s == "reader plugged") == n.plugged, n.broken && s != "reader heals" && s != "card out" && s != "card heals":
			return ""
		case !n.plugged && s != "reader plugged":
			return ""
		case n.broken && s == "card out":
			n.in, w.present = false, false // nobody can see that
			return ""
		case s == "card fails power mute":
			w.say("card fails reset mute")
			return s
		default:
			return s
		}
	}
	who := pick("A", "B", "C", "D")
	c := w.clients[who]
	if c != nil && c.op.state == Waiting {
		if rnd.IntN(4) == 0 {
			return who + " dies"
		}
		return ""
	}
	has := c != nil && len(c.handles) > 0
	mode := pick("shared", "shared", "shared", "shared", "exclusive", "direct", "9")
	protos := pick("both", "both", "both", "both", "T0", "T1", "any", "raw", "none", "T15")
	if !has && rnd.IntN(5) > 0 {
		return fmt.Sprintf("%s connect %s %s", who, mode, protos)
	}
	switch rnd.IntN(24) {
	case 0, 1, 2:
		return fmt.Sprintf("%s reconnect %s %s %s", who, mode, protos, pick("leave", "leave", "reset", "unpower", "eject"))
	case 3, 4, 5:
		return fmt.Sprintf("%s disconnect %s", who, pick("leave", "leave", "reset", "unpower", "eject", "4"))
	case 6, 7, 8, 9:
		return who + " begin"
	case 10, 11, 12:
		return fmt.Sprintf("%s end %s", who, pick("leave", "leave", "leave", "reset", "unpower", "eject", "4"))
	case 13, 14, 15, 16:
		return fmt.Sprintf("%s transmit %s %s", who, pick("T1", "T1", "T1", "T0", "raw", "any"), pick("", "", "", "1"))
	case 17:
		return who + " control"
	case 18, 19:
		return who + " status"
	case 20:
		return who + " attribute"
	case 21:
		return who + " dies"
	case 22:
		return who + " release"
	}
	return ""
}

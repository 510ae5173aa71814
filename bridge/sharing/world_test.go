package sharing

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// world is a machine with one reader R, clients that have a letter for a name,
// and a card, driven by sentences: see [world.say].
type world struct {
	t       *testing.T
	m       *Machine
	reader  *Reader
	clients map[string]*Client
	handles map[string]wire.Handle // the last of each client
	held    bool                   // work is not done before "card works"

	present    bool
	insertions uint64
	fails      map[WorkKind]wire.Result // how work ends, if not well
	refuses    iso7816.Protocol         // a protocol that the reader does not speak, with refusing
	refusing   bool
	atr        iso7816.ATR
	log        []string // the work that was done
	told       []string // the events that were sent
}

// Answers to reset: both protocols, T=1 alone, the KAZTOKEN, T=0.
var (
	atrBoth     = mustATR(0x3B, 0x80, 0x80, 0x01, 0x01)
	atrKaztoken = mustATR(0x3B, 0x88, 0x01, 0x4B, 0x41, 0x5A, 0x54, 0x4F, 0x4B, 0x45, 0x4E, 0x82)
	atrT0       = mustATR(0x3B, 0x02, 0x14, 0x50)
)

func mustATR(b ...byte) iso7816.ATR {
	atr, err := iso7816.ParseATR(b)
	if err != nil {
		panic(err)
	}
	return atr
}

// counting gives the numbers 101, 102, …
func counting() func() uint32 {
	n := uint32(100)
	return func() uint32 { n++; return n }
}

func newWorld(t *testing.T, limits Limits) *world {
	w := &world{
		t: t, m: New(Config{Random: counting(), Limits: limits}),
		clients: make(map[string]*Client), handles: make(map[string]wire.Handle),
		present: true, insertions: 1, fails: make(map[WorkKind]wire.Result), atr: atrBoth,
	}
	w.plug()
	return w
}

func (w *world) plug() {
	r, err := w.m.AddReader("R 00 00")
	if err != nil {
		w.t.Fatal(err)
	}
	w.reader = r
	w.look()
}

// look is what whoever looks after the reader does when the slot has changed.
func (w *world) look() {
	w.m.Observe(w.reader, Seen{Present: w.present, Insertions: w.insertions})
	w.settle()
}

// settle does all work that there is, and collects what was sent.
func (w *world) settle() {
	for {
		again := false
		if !w.held {
			if own := w.reader.Own(); own.State() == Working {
				w.work(own)
				again = true
			}
			for _, name := range w.names() {
				if c := w.clients[name]; c.op.state == Working {
					w.work(&c.op)
					again = true
				}
			}
		}
		for _, n := range w.m.Effects().Notices {
			w.told = append(w.told, fmt.Sprintf("%s:%s", w.nameOf(n.Client), short(n.Event.Result)))
		}
		if !again {
			return
		}
	}
}

// work does the work of one operation with the card.
func (w *world) work(op *Op) {
	work := op.Work()
	out := Outcome{Result: w.fails[work.Kind]}
	switch {
	case !w.present:
		out.Result = wire.NoSmartcard
	case work.Kind == ProtocolWork && w.refusing && work.Protocol == w.refuses:
		out.Result = wire.ProtoMismatch
	case out.Result == wire.Success && (work.Kind == PowerUp || work.Kind == WarmReset):
		out.ATR = w.atr
	}
	if work.Kind == ProtocolWork {
		w.log = append(w.log, work.Protocol.String())
	} else {
		w.log = append(w.log, work.Kind.String())
	}
	w.m.Done(op, out)
}

func (w *world) names() []string {
	names := make([]string, 0, len(w.clients))
	for name := range w.clients {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (w *world) nameOf(c *Client) string {
	for name, other := range w.clients {
		if c == other {
			return name
		}
	}
	return "?"
}

// client gives the client of a name, with a context. Its uid is 1000, that of
// names with a digit is the digit: "B7".
func (w *world) client(name string) *Client {
	c := w.clients[name]
	if c == nil {
		uid := uint32(1000)
		if len(name) > 1 {
			fmt.Sscanf(name[1:], "%d", &uid)
		}
		c = w.m.Join(uid)
		if _, result := w.m.Establish(c, wire.ScopeSystem); result != wire.Success {
			w.t.Fatal(result)
		}
		w.clients[name] = c
	}
	return c
}

// short is the name of a result without SCARD_E_ and the like; success is "ok".
func short(r wire.Result) string {
	if r == wire.Success {
		return "ok"
	}
	return r.String()[len("SCARD_X_"):]
}

// numbers of words.
var words = map[string]uint32{
	"exclusive": 1, "shared": 2, "direct": 3,
	"T0": 1, "T1": 2, "both": 3, "raw": 4, "T15": 8, "any": 0x1000, "none": 0,
	"leave": 0, "reset": 1, "unpower": 2, "eject": 3,
}

func number(word string) uint32 {
	if n, ok := words[word]; ok {
		return n
	}
	var n uint32
	if _, err := fmt.Sscan(word, &n); err != nil {
		panic(word)
	}
	return n
}

// say carries out one sentence, and gives the result: "ok", the name of an
// error, "waits", "works", or "closed" where the connection would be.
//
//	A connect MODE PROTOCOLS [READER]    A reconnect MODE PROTOCOLS DISPOSITION
//	A disconnect DISPOSITION             A begin    A end DISPOSITION
//	A transmit PROTOCOL [ROOM]           A control  A status   A attribute
//	A times out    A release    A dies   A comes (a context alone)
//	A waits (what became of its operation)
//	card out | in | swapped | works | holds | fails KIND RESULT | heals | is ATR
//	reader fails | heals | unplugged | plugged
//	time passes
func (w *world) say(sentence string) string {
	f := strings.Fields(sentence)
	switch f[0] {
	case "card":
		w.card(f[1:])
		return "ok"
	case "reader":
		w.readerSays(f[1])
		return "ok"
	case "time":
		if n, idle := w.reader.Idle(); idle {
			w.m.IdleOver(w.reader, n)
		}
		w.settle()
		return "ok"
	}
	name, verb, args := f[0], f[1], f[2:]
	c := w.client(name)
	h := w.handles[name]
	var op *Op
	switch verb {
	case "comes":
		return "ok"
	case "connect":
		reader := "R 00 00"
		if len(args) > 2 {
			reader = args[2]
		}
		field, err := wire.NameOf(reader)
		if err != nil {
			w.t.Fatal(err)
		}
		op = w.m.Connect(c, wire.Connect{Context: c.context, Reader: field, Share: wire.ShareMode(number(args[0])), Preferred: wire.Protocol(number(args[1]))})
	case "reconnect":
		op = w.m.Reconnect(c, wire.Reconnect{Handle: h, Share: wire.ShareMode(number(args[0])), Preferred: wire.Protocol(number(args[1])), Initialization: wire.Disposition(number(args[2]))})
	case "disconnect":
		op = w.m.Disconnect(c, h, wire.Disposition(number(args[0])))
	case "begin":
		op = w.m.Begin(c, h)
	case "end":
		op = w.m.End(c, h, wire.Disposition(number(args[0])))
	case "transmit":
		room := uint32(258)
		if len(args) > 1 {
			room = number(args[1])
		}
		op = w.m.Transmit(c, h, wire.Protocol(number(args[0])), room)
	case "control":
		op = w.m.Control(c, h)
	case "status":
		result, ok := w.m.Status(c, h)
		if !ok {
			return "closed"
		}
		return short(result)
	case "attribute":
		_, result, ok := w.m.Attribute(c, h)
		if !ok {
			return "closed"
		}
		return short(result)
	case "times":
		w.m.Timeout(&c.op)
		op = &c.op
	case "waits":
		op = &c.op
	case "release":
		result := w.m.Release(c, c.context)
		w.settle()
		return short(result)
	case "dies":
		w.m.Leave(c)
		delete(w.clients, name)
		w.settle()
		return "ok"
	default:
		w.t.Fatalf("no such sentence: %s", sentence)
	}
	if op == nil {
		return "closed"
	}
	w.settle()
	return w.outcome(name, op)
}

// outcome is where an operation stands, and keeps the handle that it made.
func (w *world) outcome(name string, op *Op) string {
	switch op.State() {
	case Waiting:
		return "waits"
	case Working:
		return "works"
	}
	if op.Handle() != 0 {
		w.handles[name] = op.Handle()
	}
	return short(op.Result())
}

func (w *world) card(f []string) {
	switch f[0] {
	case "out":
		w.present = false
		w.look()
	case "in":
		w.present = true
		w.insertions++
		w.look()
	case "swapped":
		w.insertions++
		w.look()
	case "gone": // and nobody has noticed
		w.present = false
	case "holds":
		w.held = true
	case "works":
		w.held = false
		w.settle()
	case "heals":
		clear(w.fails)
		w.refusing = false
	case "refuses":
		w.refuses, w.refusing = iso7816.Protocol(number(f[1])-1), true
	case "is":
		w.atr = map[string]iso7816.ATR{"both": atrBoth, "KAZTOKEN": atrKaztoken, "T0": atrT0}[f[1]]
	case "fails":
		kind := map[string]WorkKind{"transmit": Transmit, "control": Control, "power": PowerUp, "reset": WarmReset, "off": PowerDown, "protocol": ProtocolWork}[f[1]]
		w.fails[kind] = map[string]wire.Result{
			"mute": wire.UnresponsiveCard, "gone": wire.ReaderUnavailable, "out": wire.NoSmartcard, "lost": wire.CardReset,
			"unsupported": wire.UnsupportedFeature, "short": wire.InsufficientBuffer, "mismatch": wire.ProtoMismatch,
		}[f[2]]
	default:
		w.t.Fatalf("no such card: %v", f)
	}
}

func (w *world) readerSays(verb string) {
	switch verb {
	case "fails":
		w.m.Observe(w.reader, Seen{Failing: true})
	case "heals":
		w.look()
	case "unplugged":
		w.m.RemoveReader(w.reader)
	case "plugged":
		w.plug()
	default:
		w.t.Fatalf("no such reader: %s", verb)
	}
	w.settle()
}

// state is the reader in one line: state bits, protocol, sharing, then, where
// they are something, lock and its count, event words, whether the card is off,
// and the queues.
func (w *world) state() string {
	r := w.reader
	if r.gone {
		return "gone"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%02x %v %d", uint32(r.state), r.protocol, r.sharing)
	if h := r.lock; h != nil {
		fmt.Fprintf(&b, " lock %s*%d", w.nameOf(h.client), r.lockCount)
	}
	for _, name := range w.names() {
		for _, h := range w.clients[name].handles {
			if h.event != NoEvent && h.reader == r {
				fmt.Fprintf(&b, " %s:%v", name, h.event)
			}
		}
	}
	if !r.power {
		b.WriteString(" off")
	}
	if r.idle {
		b.WriteString(" idle")
	}
	return b.String()
}

// check holds what must be so at any time.
func (w *world) check() {
	w.t.Helper()
	m := w.m
	handles := 0
	for _, c := range w.clients {
		handles += len(c.handles)
		for _, h := range c.handles {
			if m.handles[h.number] != h || h.client != c || h.number == 0 || h.number > 0x7FFFFFFF {
				w.t.Fatalf("handle %#x of %s is not whole", h.number, w.nameOf(c))
			}
			if !h.reader.gone && !slices.Contains(h.reader.handles, h) {
				w.t.Fatalf("the reader does not know handle %#x", h.number)
			}
		}
		if c.context != 0 && m.contexts[c.context] != c {
			w.t.Fatalf("context %#x is not that of its client", c.context)
		}
		if c.op.state == Waiting && !slices.Contains(c.op.reader.waiters, &c.op) && !slices.Contains(c.op.reader.queue, &c.op) {
			w.t.Fatalf("%s waits in no queue", w.nameOf(c))
		}
		if c.op.state == Working && c.op.reader.busy != &c.op {
			w.t.Fatalf("%s works without its turn", w.nameOf(c))
		}
	}
	if handles != len(m.handles) {
		w.t.Fatalf("%d handles, the table has %d", handles, len(m.handles))
	}
	for _, r := range m.readers {
		n := len(r.handles)
		switch {
		case r.sharing < 0 && (n != 1 || r.handles[0].share != wire.ShareExclusive):
			w.t.Fatalf("exclusive with %d handles", n)
		case r.sharing >= 0 && n != r.sharing:
			w.t.Fatalf("sharing %d with %d handles", r.sharing, n)
		case (r.lock == nil) != (r.lockCount == 0):
			w.t.Fatalf("lock %v, count %d", r.lock, r.lockCount)
		case r.lock != nil && !slices.Contains(r.handles, r.lock):
			w.t.Fatalf("a handle that is no more has the lock")
		case m.places[r.place] != r:
			w.t.Fatalf("place %d is of another reader", r.place)
		case r.power && r.state != wire.CardReady:
			w.t.Fatalf("power in state %v", r.state)
		case r.idle && !r.power:
			w.t.Fatalf("idle without power")
		case r.busy == nil && (len(r.queue) > 0 || r.due != 0):
			w.t.Fatalf("%d wait for a turn that nobody has", len(r.queue))
		case r.busy == nil && r.unsettled != 0:
			w.t.Fatalf("%d resets and nobody at them", r.unsettled)
		case r.busy != nil && r.busy.state != Working:
			w.t.Fatalf("the turn is with an operation that is %v", r.busy.state)
		case len(r.waiters) > 0 && !r.blocked(nil):
			w.t.Fatalf("%d wait for a lock that is free", len(r.waiters))
		case r.state == wire.CardReady && r.atr.IsZero(), r.state != wire.CardReady && r.state != wire.CardUnpowered && !r.atr.IsZero():
			w.t.Fatalf("ATR %v in state %v", r.atr, r.state)
		}
	}
}

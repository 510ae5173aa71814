package sharing

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge/wire"
)

// TestSignals: what clients that are registered are told of, and what not.
func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name, before string
		says         string
		want         bool
	}{
		{"card inserted", "card out", "card in", true},
		{"card removed", "", "card out", true},
		{"mute card inserted", "card out; card fails power mute", "card in", true},
		{"reader removed", "", "reader unplugged", true},
		{"reader arrives", "reader unplugged", "reader plugged", true},
		{"reader error appears", "", "reader fails", true},
		{"reader error goes", "reader fails", "reader heals", true},
		{"connect", "", "A connect shared both", true},
		{"connect direct", "", "A connect direct none", true},
		{"connect exclusive", "", "A connect exclusive both", true},
		{"disconnect", "A connect shared both", "A disconnect leave", true},
		{"death", "A connect shared both", "A dies", true},
		{"to exclusive", "A connect shared both", "A reconnect exclusive both leave", true},
		{"from exclusive", "A connect exclusive both", "A reconnect shared both leave", true},
		{"card falls mute", "A connect shared both; card fails reset mute", "A reconnect shared both reset", true},
		{"card reset", "A connect shared both", "A reconnect shared both reset", false},
		{"protocol change", "A connect shared both", "A reconnect shared T0 reset", false},
		{"begin", "A connect shared both", "A begin", false},
		{"end", "A connect shared both; A begin", "A end leave", false},
		{"end with reset", "A connect shared both; A begin", "A end reset", false},
		{"idle", "", "time passes", false},
		{"connect that fails", "", "A connect shared T15", false},
		{"transmit", "A connect shared both", "A transmit T1", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			for s := range splitSeq(c.before) {
				w.say(s)
			}
			x := w.client("X")
			x.Speak(4)
			before := w.m.Wait(x, nil)
			w.settle()
			if len(w.told) > 0 {
				t.Fatalf("told before anything happened: %v", w.told)
			}
			w.say(c.says)
			want := []string(nil)
			if c.want {
				want = []string{"X:ok"}
			}
			if diff := cmp.Diff(want, w.told); diff != "" {
				t.Errorf("told, -want +got:\n%s", diff)
			}
			after := w.m.LegacyArray(x, nil)
			if c.want && slices.Equal(before, after) {
				t.Error("told, and the array is what it was")
			}
			if x.Watching() == c.want {
				t.Errorf("registered afterwards: %v", x.Watching())
			}
		})
	}
}

// TestWaiting is the three dialects of waiting, call by call.
func TestWaiting(t *testing.T) {
	const legacy = wire.LegacyReaders * wire.ReaderSize
	type step struct {
		do   string // wait, stop, size, array, overdue, cancel, change, get
		want int    // bytes of the array, records of the size, 1 or 0 for stop
		told string // what is sent by then
	}
	for _, c := range []struct {
		name  string
		minor int32
		steps []step
	}{
		{"legacy: a change", 4, []step{{"wait", legacy, ""}, {"change", 0, "ok"}, {"change", 0, ""}, {"stop", 0, ""}, {"wait", legacy, ""}, {"stop", 1, ""}}},
		{"legacy: stop twice", 5, []step{{"wait", legacy, ""}, {"stop", 1, ""}, {"stop", 0, ""}, {"change", 0, ""}}},
		{"legacy: never registered", 4, []step{{"stop", 0, ""}, {"change", 0, ""}}},
		{"legacy: wait twice is one registration", 4, []step{{"wait", legacy, ""}, {"wait", legacy, ""}, {"change", 0, "ok"}, {"stop", 0, ""}}},
		{"legacy: cancel", 4, []step{{"wait", legacy, ""}, {"cancel", 0, "CANCELLED"}, {"cancel", 0, ""}, {"stop", 0, ""}}},
		{"legacy: cancel before", 4, []step{{"cancel", 0, ""}, {"wait", legacy, ""}}},
		{"legacy: 4:6's request is answered in the old way", 4, []step{{"get", legacy, ""}}},
		{"array: a change before the array is in the array", 6, []step{{"wait", 0, ""}, {"change", 0, ""}, {"size", 16, ""}, {"change", 0, ""}, {"array", 16 * wire.ReaderSize, ""}, {"change", 0, "ok"}, {"stop", 0, ""}}},
		{"array: stop", 6, []step{{"wait", 0, ""}, {"size", 16, ""}, {"array", 16 * wire.ReaderSize, ""}, {"stop", 1, ""}, {"change", 0, ""}}},
		{"array: stop before the array", 6, []step{{"wait", 0, ""}, {"stop", 1, ""}, {"size", 16, ""}, {"array", 16 * wire.ReaderSize, ""}, {"change", 0, ""}}},
		{"array: cancelled before the array", 6, []step{{"wait", 0, ""}, {"cancel", 0, ""}, {"size", 16, ""}, {"array", 16 * wire.ReaderSize, "CANCELLED"}, {"stop", 0, ""}}},
		{"array: cancelled after it", 6, []step{{"wait", 0, ""}, {"size", 16, ""}, {"array", 16 * wire.ReaderSize, ""}, {"cancel", 0, "CANCELLED"}}},
		{"array: one that only waits, nothing changed", 6, []step{{"wait", 0, ""}, {"overdue", 0, ""}, {"change", 0, "ok"}}},
		{"array: one that only waits, something changed", 6, []step{{"wait", 0, ""}, {"change", 0, ""}, {"overdue", 0, "ok"}, {"overdue", 0, ""}}},
		{"array: one that only waits, cancelled", 6, []step{{"wait", 0, ""}, {"cancel", 0, ""}, {"overdue", 0, "CANCELLED"}}},
		{"array: a snapshot without a wait", 6, []step{{"size", 16, ""}, {"array", 16 * wire.ReaderSize, ""}, {"change", 0, ""}, {"array", 16 * wire.ReaderSize, ""}}},
		{"old: a change", 3, []step{{"get", legacy, ""}, {"wait", 0, ""}, {"change", 0, "ok"}, {"stop", 1, ""}}},
		{"old: stop always answers", 3, []step{{"stop", 1, ""}, {"get", legacy, ""}, {"wait", 0, ""}, {"stop", 1, ""}, {"stop", 1, ""}}},
		{"old: a change between looking and waiting", 3, []step{{"get", legacy, ""}, {"change", 0, ""}, {"wait", 0, "ok"}, {"wait", 0, ""}, {"change", 0, "ok"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			x := w.client("X")
			x.Speak(c.minor)
			for i, s := range c.steps {
				w.told = nil
				got := 0
				switch s.do {
				case "wait":
					got = len(w.m.Wait(x, nil))
				case "stop":
					if w.m.Stop(x) {
						got = 1
					}
				case "size":
					got = int(w.m.ArraySize(x))
				case "array":
					got = len(w.m.Array(x, nil))
				case "overdue":
					w.m.Overdue(x)
				case "get":
					got = len(w.m.LegacyArray(x, nil))
				case "cancel":
					if result := w.m.Cancel(w.m.Join(1000), x.context); result != wire.Success {
						t.Errorf("cancel: %v", result)
					}
				case "change":
					w.present = !w.present
					w.insertions++
					w.look()
				}
				w.settle()
				var want []string
				if s.told != "" {
					want = []string{"X:" + s.told}
				}
				if diff := cmp.Diff(want, w.told); diff != "" || got != s.want {
					t.Errorf("step %d, %s: %d, want %d; told, -want +got:\n%s", i, s.do, got, s.want, diff)
				}
			}
		})
	}
}

func TestCancelBy(t *testing.T) {
	w := newWorld(t, Limits{})
	x := w.client("X") // of user 1000
	x.Speak(4)
	for _, c := range []struct {
		name    string
		uid     uint32
		context wire.Context
		want    wire.Result
	}{
		{"another user", 1001, x.context, wire.InvalidHandle},
		{"an unknown context", 1000, 77, wire.InvalidHandle},
		{"no context", 1000, 0, wire.InvalidHandle},
		{"the same user", 1000, x.context, wire.Success},
		{"root", 0, x.context, wire.Success},
	} {
		w.m.Wait(x, nil)
		w.told = nil
		if got := w.m.Cancel(w.m.Join(c.uid), c.context); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		w.settle()
		if (len(w.told) > 0) != (c.want == wire.Success) {
			t.Errorf("%s: told %v", c.name, w.told)
		}
	}
}

// TestEventNumber: where an event may be taken for the answer to a request for
// the number of reader events, it carries that number.
func TestEventNumber(t *testing.T) {
	w := newWorld(t, Limits{})
	want := map[string]wire.Event{"A": {}, "B": {}, "C": {Timeout: 3}, "D": {Timeout: 3}}
	for name, minor := range map[string]int32{"A": 3, "B": 4, "C": 5, "D": 6} {
		c := w.client(name)
		c.Speak(minor)
		w.m.LegacyArray(c, nil)
		w.m.Wait(c, nil)
		w.m.Overdue(c)
	}
	w.m.RemoveReader(w.reader)
	got := make(map[string]wire.Event)
	for _, n := range w.m.Effects().Notices {
		got[w.nameOf(n.Client)] = n.Event
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReaderEvents(t *testing.T) {
	m := New(Config{Random: counting()})
	want := uint32(1)
	if got := m.ReaderEvents(); got.Count != want || got.Result != wire.Success {
		t.Errorf("got %+v, want %d", got, want)
	}
	moved := func(what string) {
		t.Helper()
		want = want%0x7FFF + 1
		if got := m.ReaderEvents().Count; got != want {
			t.Fatalf("after %s: %d, want %d", what, got, want)
		}
	}
	for range 0x8000 {
		r, err := m.AddReader("R 00 00")
		if err != nil {
			t.Fatal(err)
		}
		if got := m.ReaderEvents().Count; got != want {
			t.Fatalf("a reader that nobody sees moves the number to %d", got)
		}
		m.Observe(r, Seen{})
		moved("an arrival")
		m.RemoveReader(r)
		moved("a removal")
	}
}

// TestArraysInTheOrderOfAdding: whichever card is known of first. A reader that
// clients do not see yet leaves a gap, as one that has left does.
func TestArraysInTheOrderOfAdding(t *testing.T) {
	m := New(Config{Random: counting()})
	var readers []*Reader
	for _, name := range []string{"A", "B", "C"} {
		r, err := m.AddReader(name)
		if err != nil {
			t.Fatal(err)
		}
		readers = append(readers, r)
	}
	c := m.Join(0)
	for _, step := range []struct {
		reader int
		names  []string
		size   wire.ReadersSize
	}{
		{2, []string{"", "", "C"}, 16}, {0, []string{"A", "", "C"}, 16}, {1, []string{"A", "B", "C"}, 16},
	} {
		before := m.ReaderEvents()
		m.Observe(readers[step.reader], Seen{Present: true, Insertions: 1, ATR: atrKaztoken})
		if m.ReaderEvents() == before {
			t.Errorf("%s came and is not counted", readers[step.reader].Name())
		}
		array := m.LegacyArray(c, nil)
		for i, want := range step.names {
			r, err := wire.ParseReader(array[i*wire.ReaderSize:][:wire.ReaderSize])
			if err != nil || r.Name.String() != want {
				t.Errorf("after %s, place %d: got %q, %v, want %q", readers[step.reader].Name(), i, r.Name, err, want)
			}
		}
		if got := m.ArraySize(c); got != step.size {
			t.Errorf("size %d, want %d", got, step.size)
		}
	}
	// One that nobody saw leaves without a word, and its place is free.
	d, err := m.AddReader("D")
	if err != nil {
		t.Fatal(err)
	}
	before := m.ReaderEvents()
	m.RemoveReader(d)
	if e, err := m.AddReader("E"); err != nil || e.place != d.place || m.ReaderEvents() != before {
		t.Errorf("got place %d, %v, counter %v, want %d, %v", e.place, err, m.ReaderEvents(), d.place, before)
	}
}

// TestArrays: places are kept, lowest first, and the size only grows.
func TestArrays(t *testing.T) {
	m := New(Config{Random: counting()})
	name := func(i int) string { return "R " + string(rune('A'+i)) + " 00" }
	add := func(i int) *Reader {
		r, err := m.AddReader(name(i))
		if err != nil {
			t.Fatal(err)
		}
		m.Observe(r, Seen{Present: true, Insertions: 1, ATR: atrKaztoken})
		return r
	}
	x, y := m.Join(0), m.Join(0)
	names := func(array []byte) (names []string) {
		if len(array)%wire.ReaderSize != 0 {
			t.Fatalf("array of %d bytes", len(array))
		}
		for rec := range slices.Chunk(array, wire.ReaderSize) {
			r, err := wire.ParseReader(rec)
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, r.Name.String())
		}
		return names
	}
	fill := func(names []string, n int) []string {
		return append(names, make([]string, n-len(names))...)
	}
	check := func(what string, got, want []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, -want +got:\n%s", what, diff)
		}
	}
	check("empty", names(m.LegacyArray(x, nil)), fill(nil, 16))
	a, b := add(0), add(1)
	add(2)
	m.RemoveReader(b)
	check("a gap", names(m.LegacyArray(x, nil)), fill([]string{name(0), "", name(2)}, 16))
	add(3)
	check("filled", names(m.LegacyArray(x, nil)), fill([]string{name(0), name(3), name(2)}, 16))
	m.RemoveReader(a)
	add(1)
	if got := m.ArraySize(x); got != 16 {
		t.Errorf("size %d, want 16", got)
	}
	m.Wait(x, nil)
	all := []string{name(1), name(3), name(2)}
	for i := 4; i < 18; i++ {
		add(i)
		all = append(all, name(i))
	}
	m.Effects()
	check("the size told before", names(m.Array(x, nil)), all[:16])
	if n := m.Effects().Notices; len(n) != 1 || n[0].Client != x {
		t.Errorf("%d told that a reader has no record yet", len(n))
	}
	if got := m.ArraySize(y); got != 32 {
		t.Errorf("size %d, want 32", got)
	}
	check("grown", names(m.Array(y, nil)), fill(all, 32))
	check("legacy sees the first", names(m.LegacyArray(x, nil)), all[:16])
	for _, r := range slices.Clone(m.Readers()) {
		m.RemoveReader(r)
	}
	if got := m.ArraySize(x); got != 32 {
		t.Errorf("the size shrank to %d", got)
	}
	check("gone", names(m.Array(x, nil)), fill(nil, 32))

	small := New(Config{Random: counting(), LegacyRecords: 32, ArrayRecords: 48})
	if got := len(small.LegacyArray(small.Join(0), nil)); got != 32*wire.ReaderSize {
		t.Errorf("legacy array of %d bytes", got)
	}
	if got := small.ArraySize(small.Join(0)); got != 48 {
		t.Errorf("size %d, want 48", got)
	}
}

func TestRecord(t *testing.T) {
	w := newWorld(t, Limits{})
	name, err := wire.NameOf("R 00 00")
	if err != nil {
		t.Fatal(err)
	}
	want := wire.Reader{Name: name, State: wire.CardReady}
	want.SetATR(atrBoth.Bytes())
	check := func(what string) {
		t.Helper()
		if diff := cmp.Diff(want, w.reader.Record()); diff != "" {
			t.Errorf("%s, -want +got:\n%s", what, diff)
		}
	}
	check("a card that was there counts for nothing")
	w.say("time passes")
	check("without power")
	w.say("A connect exclusive T0")
	want.Sharing, want.Protocol = wire.SharingExclusive, wire.ProtocolT0
	check("exclusive")
	w.say("A disconnect unpower")
	want.Sharing, want.Protocol, want.State = 0, 0, wire.CardUnpowered
	check("switched off")
	w.say("card out")
	want.State, want.Counter = wire.NoCard, 1
	want.SetATR(nil)
	check("empty")
	w.reader.counter = 0xFFFF
	w.say("card in")
	want.State, want.Counter = wire.CardReady, 0
	want.SetATR(atrBoth.Bytes())
	check("back")
}

// TestPublish: a reader is shown when its card was tried, not before, or when
// that takes too long.
func TestPublish(t *testing.T) {
	w := newWorld(t, Limits{})
	w.say("reader unplugged")
	w.say("card holds")
	before := w.m.ReaderEvents()
	w.say("reader plugged")
	if w.reader.Published() || w.m.ReaderEvents() != before {
		t.Error("shown before the card was tried")
	}
	if got := w.say("A connect direct none"); got != "UNKNOWN_READER" {
		t.Errorf("connect: %s", got)
	}
	w.m.PublishAnyway(w.reader)
	w.m.PublishAnyway(w.reader)
	if !w.reader.Published() || w.reader.State() != wire.CardMute {
		t.Errorf("shown %v as %v", w.reader.Published(), w.reader.State())
	}
	if got := w.say("A connect shared both"); got != "waits" {
		t.Errorf("connect: %s", got)
	}
	w.say("card works")
	if got := w.say("A waits"); got != "ok" {
		t.Errorf("connect: %s", got)
	}
	w.check()
	if diff := cmp.Diff("34 T1 1", w.state()); diff != "" {
		t.Error(diff)
	}

	for _, c := range []struct{ before, want string }{
		{"card gone", "02 undefined 0 off"},
		{"card fails power mute", "0c undefined 0 off"},
		{"card fails power gone", "01 undefined 0 off"},
		{"card fails power out", "02 undefined 0 off"},
	} {
		w := newWorld(t, Limits{})
		w.say("reader unplugged")
		w.say(c.before)
		w.say("reader plugged")
		if !w.reader.Published() || w.state() != c.want {
			t.Errorf("%s: shown %v as %s, want %s", c.before, w.reader.Published(), w.state(), c.want)
		}
		w.check()
	}
}

package sharing

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge/wire"
)

// TestStories is sentences one after the other, each with its result where that
// is not "ok"; "log:" compares the work that the card had to do since the last
// one, "state:" the state.
func TestStories(t *testing.T) {
	for _, c := range []struct{ name, story string }{
		{"the lock is handed over in order", `
			A connect shared both; B connect shared both; C connect shared both; D connect shared both
			A begin
			B begin => waits
			C begin => waits
			D begin => waits
			A end leave
			B waits => ok
			C waits => waits
			B end leave
			C waits => ok
			state: 34 T1 4 lock C*1
			C dies
			D waits => RESET_CARD
			log: power up; T=1; reset`},
		{"who asks again keeps its place", `
			A connect shared both; B connect shared both; C connect shared both
			A begin
			B begin => waits
			B times out => SHARING_VIOLATION
			C begin => waits
			B begin => waits
			A end leave
			B waits => ok
			C waits => waits
			B end leave
			C waits => ok`},
		{"who does something else does not", `
			A connect shared both; B connect shared both; C connect shared both
			A begin
			B begin => waits
			B times out => SHARING_VIOLATION
			C begin => waits
			B status => SHARING_VIOLATION
			B begin => waits
			A end leave
			C waits => ok
			B waits => waits`},
		{"connect and begin wait in one queue", `
			A connect shared both; B connect shared both
			A begin
			C connect shared both => waits
			B begin => waits
			D connect shared both => waits
			A end leave
			C waits => ok
			B waits => ok
			D waits => waits
			B end leave
			D waits => ok
			state: 34 T1 4`},
		{"an exclusive connect that waited finds others", `
			A connect shared both
			A begin
			B connect exclusive both => waits
			A end leave
			B waits => SHARING_VIOLATION
			A begin
			B connect exclusive both => waits
			A disconnect leave
			B waits => ok
			state: 34 T1 -1 lock B*1`},
		{"a disconnect that resets waits, and nobody comes between", `
			A connect shared both; B connect shared both; C connect shared both
			A begin
			B disconnect reset => waits
			C begin => waits
			card holds
			A end leave
			B waits => works
			C waits => waits
			A transmit T1 => waits
			D connect shared both => waits
			card works
			B waits => ok
			C waits => RESET_CARD
			A waits => RESET_CARD
			D waits => ok
			log: power up; T=1; reset; T=1`},
		{"a holder that dies leaves nothing to the next", `
			A connect shared both; B connect shared both
			A begin
			card holds
			B transmit T1 => SHARING_VIOLATION
			C connect shared both => waits
			A dies
			B transmit T1 => RESET_CARD
			B reconnect shared both leave => waits
			C waits => waits
			card works
			B waits => ok
			C waits => ok
			B transmit T1
			log: power up; T=1; reset; T=1; transmit`},
		{"a holder that dies while another works", `
			A connect shared both; B connect shared both; C connect shared both
			card holds
			B transmit T1 => works
			C transmit T1 => waits
			A begin
			A dies
			B waits => works
			C waits => waits
			card works
			B waits => ok
			C waits => RESET_CARD
			log: power up; T=1; transmit; reset`},
		{"a holder that dies after a reset does not cause another", `
			A connect shared both; B connect shared both
			A begin; A begin
			A end reset
			log: power up; T=1; reset
			A dies
			state: 34 undefined 1 B:reset
			log:`},
		{"a lock that comes while a command waits for its turn", `
			A connect shared both; B connect shared both; C connect shared both
			card holds
			A transmit T1 => works
			B transmit T1 => waits
			C begin
			card works
			A waits => ok
			B waits => SHARING_VIOLATION
			log: power up; T=1; transmit`},
		{"commands are served in order", `
			A connect shared both; B connect shared both; C connect shared both
			card holds
			A transmit T1 => works
			B control => waits
			C transmit T1 => waits
			card works
			A waits => ok
			B waits => ok
			C waits => ok
			log: power up; T=1; transmit; control; transmit`},
		{"the reset after a death comes before what waits already", `
			A connect shared both; B connect shared both; C connect shared both
			card holds
			C transmit T1 => works
			B control => waits
			A begin
			A dies
			card works
			B waits => ok
			log: power up; T=1; transmit; reset; control`},
		{"who dies while it waits is forgotten", `
			A connect shared both; B connect shared both
			A begin
			B begin => waits
			C connect shared both => waits
			B dies
			C dies
			A end leave
			state: 34 T1 1`},
		{"who dies while waiting for its turn is forgotten", `
			A connect shared both; B connect shared both
			card holds
			A transmit T1 => works
			B transmit T1 => waits
			B dies
			card works
			A waits => ok
			log: power up; T=1; transmit`},
		{"who waits is told of a removal", `
			A connect shared both; B connect shared both
			A begin
			B begin => waits
			C connect shared both => waits
			D connect direct none => waits
			card out
			B waits => REMOVED_CARD
			C waits => NO_SMARTCARD
			D waits => ok
			state: 02 undefined 3 A:removed B:removed off`},
		{"who waits is told of an unplug", `
			A connect shared both; B connect shared both; C connect shared both
			card holds
			C transmit T1 => works
			A begin
			B begin => waits
			D connect shared both => waits
			E connect shared both => waits
			reader unplugged
			B waits => READER_UNAVAILABLE
			D waits => READER_UNAVAILABLE
			A status => INVALID_VALUE
			card works
			C waits => ok
			C transmit T1 => INVALID_VALUE
			B disconnect reset
			B disconnect reset => closed`},
		{"a disconnect that waits for an unplugged reader succeeds", `
			A connect shared both; B connect shared both
			A begin
			B disconnect reset => waits
			reader unplugged
			B waits => ok
			B status => closed`},
		{"a connect that is at work when the reader goes", `
			time passes
			card holds
			A connect shared both => works
			reader unplugged
			card works
			A waits => READER_UNAVAILABLE`},
		{"an old handle does not open a reader that comes back", `
			A connect shared both
			reader unplugged; reader plugged
			A transmit T1 => INVALID_VALUE
			A disconnect leave
			A connect shared both
			A transmit T1`},
		{"a card that leaves while it is powered up", `
			card out
			card holds
			card in
			A connect shared both => NO_SMARTCARD
			card out
			card works
			A connect shared both => NO_SMARTCARD
			state: 02 undefined 0 off`},
		{"a card that is swapped while it is powered up", `
			card out
			card holds
			card in; card out; card in
			card works
			state: 34 undefined 0 idle
			log: power up; power up; power up`},
		{"a card that leaves during a reset", `
			A connect shared both; B connect shared both
			card holds
			A reconnect shared both reset => works
			card out
			card in
			card works
			A waits => NO_SMARTCARD
			state: 34 undefined 2 A:removed B:removed
			B status => REMOVED_CARD`},
		{"power goes while a connect comes", `
			card holds
			time passes
			A connect shared both => waits
			card works
			A waits => ok
			log: power up; power down; power up; T=1`},
		{"power goes while a connect comes that needs nothing else", `
			A connect shared both
			A disconnect leave
			card holds
			time passes
			A connect shared both => waits
			card works
			A waits => ok
			log: power up; T=1; power down; power up; T=1`},
		{"a connect comes when the power is about to go", `
			A connect shared both
			A reconnect direct none leave
			card holds
			A control => works
			time passes
			B connect shared both
			card works
			state: 34 T1 2
			log: power up; T=1; control`},
		{"a card that comes and goes while others work", `
			card out
			A connect direct none
			card holds
			A control => works
			card in; card out
			card works
			log: power up; control`},
		{"a connect before the power goes", `
			A connect shared both
			A disconnect leave
			A connect shared both
			time passes
			state: 34 T1 1
			log: power up; T=1`},
		{"reset and protocol are one operation", `
			A connect shared both; B connect shared both
			card holds
			A reconnect shared T0 reset => works
			B transmit T1 => waits
			B dies
			card works
			A waits => ok
			log: power up; T=1; reset; T=0`},
		{"a begin waits for a reset", `
			A connect shared both; B connect shared both
			card holds
			A reconnect shared both reset => works
			B begin => waits
			card works
			A waits => ok
			B waits => RESET_CARD
			B reconnect shared both leave
			B begin`},
		{"a mute card gets another chance", `
			A connect shared both; B connect shared both
			card fails reset mute
			A reconnect shared both reset => UNRESPONSIVE_CARD
			A reconnect shared both leave => UNRESPONSIVE_CARD
			B status => RESET_CARD
			card heals
			B reconnect shared both unpower
			A reconnect shared both leave
			A transmit T1`},
		{"a refused protocol leaves a card that has to be powered up", `
			card refuses T1
			A connect shared T1 => PROTO_MISMATCH
			card heals
			A connect shared T1
			log: power up; T=1; power up; T=1`},
		{"whoever dies in the middle of work is not believed", `
			A connect shared both; B connect shared both
			card holds
			A transmit T1 => works
			A dies
			card works
			B status => RESET_CARD
			log: power up; T=1; reset`},
		{"contexts", `
			A comes
			A release
			A release => INVALID_HANDLE
			A connect shared both => INVALID_VALUE`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Limits{})
			for line := range strings.SplitSeq(c.story, "\n") {
				for sentence := range strings.SplitSeq(line, ";") {
					if strings.Contains(line, "log:") {
						sentence = line
					}
					sentence = strings.TrimSpace(sentence)
					got, want := "", "ok"
					switch {
					case sentence == "":
						continue
					case strings.HasPrefix(sentence, "log:"):
						got, want = strings.Join(w.log, "; "), strings.TrimSpace(strings.TrimPrefix(sentence, "log:"))
						w.log = nil
					case strings.HasPrefix(sentence, "state:"):
						got, want = w.state(), strings.TrimSpace(strings.TrimPrefix(sentence, "state:"))
					default:
						if says, result, ok := strings.Cut(sentence, "=>"); ok {
							sentence, want = strings.TrimSpace(says), strings.TrimSpace(result)
						}
						got = w.say(sentence)
					}
					if got != want {
						t.Fatalf("%s: %s, want %s", sentence, got, want)
					}
					w.check()
					if strings.HasPrefix(sentence, "log:") {
						break
					}
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	w := newWorld(t, Limits{HandlesPerContext: 2, HandlesPerReader: 6, HandlesPerUser: 3, Waiters: 3, WaitersPerUser: 2})
	for _, c := range []struct{ says, want string }{
		{"A1 connect shared both", "ok"},
		{"A1 connect shared both", "ok"},
		{"A1 connect shared both", "NO_MEMORY"}, // of the context
		{"B1 connect shared both", "ok"},
		{"B1 connect shared both", "NO_MEMORY"}, // of the user
		{"C2 connect shared both", "ok"},
		{"C2 connect shared both", "ok"},
		{"D3 connect shared both", "ok"},
		{"E4 connect shared both", "INTERNAL_ERROR"}, // of the reader
		{"D3 begin", "ok"},
		{"A1 begin", "waits"},
		{"B1 begin", "waits"},
		{"F1 connect shared both", "SHARING_VIOLATION"}, // of the user
		{"C2 begin", "waits"},
		{"G5 connect shared both", "SHARING_VIOLATION"}, // of all
		{"D3 dies", "ok"},
		{"E4 connect shared both", "ok"},
	} {
		if got := w.say(c.says); got != c.want {
			t.Errorf("%s: %s, want %s", c.says, got, c.want)
		}
		w.check()
	}
}

func TestClose(t *testing.T) {
	w := newWorld(t, Limits{})
	for _, s := range []string{"A connect shared both", "B connect shared both", "C connect shared both", "A begin", "card holds"} {
		w.say(s)
	}
	w.say("A transmit T1")
	w.say("B begin")
	w.say("D connect shared both")
	w.m.Wait(w.client("C"), nil)
	w.client("E").Speak(4)
	w.m.Wait(w.client("E"), nil)
	w.m.Close()
	w.m.Close()
	w.settle()
	for who, want := range map[string]string{"A waits": "works", "B waits": "SERVICE_STOPPED", "D waits": "SERVICE_STOPPED", "C begin": "SERVICE_STOPPED", "B disconnect leave": "SERVICE_STOPPED", "F status": "closed"} {
		name, _, _ := strings.Cut(who, " ")
		if name == "F" {
			w.clients["F"] = w.m.Join(0)
		}
		if got := w.say(who); got != want {
			t.Errorf("%s: %s, want %s", who, got, want)
		}
	}
	// C speaks 4:6 and has not fetched its array: a message now would be misread.
	if diff := cmp.Diff([]string{"E:SERVICE_STOPPED"}, w.told); diff != "" {
		t.Errorf("told, -want +got:\n%s", diff)
	}
	if _, result := w.m.Establish(w.m.Join(0), wire.ScopeUser); result != wire.ServiceStopped {
		t.Errorf("a new context: %v", result)
	}
	w.say("card works")
	if got := w.say("A waits"); got != "ok" {
		t.Errorf("the command that was under way: %s", got)
	}
	for _, name := range w.names() {
		w.say(name + " dies")
	}
	w.check()
}

func TestContexts(t *testing.T) {
	numbers := []uint32{0, 0x80000000, 0x80000005, 5, 6, 6}
	m := New(Config{Random: func() uint32 { n := numbers[0]; numbers = numbers[1:]; return n }})
	a, b := m.Join(1), m.Join(1)
	if n, result := m.Establish(a, 9); n != 0 || result != wire.InvalidValue {
		t.Errorf("scope 9: %d, %v", n, result)
	}
	if result := m.Release(a, 0); result != wire.InvalidHandle {
		t.Errorf("release of none: %v", result)
	}
	if n, result := m.Establish(a, wire.ScopeGlobal); n != 5 || result != wire.Success {
		t.Errorf("establish: %d, %v, want 5", n, result) // 0 and the sign are no numbers
	}
	if n, result := m.Establish(b, wire.ScopeUser); n != 6 || result != wire.Success {
		t.Errorf("establish: %d, %v, want 6", n, result)
	}
	numbers = []uint32{6, 5, 7}
	if n, result := m.Establish(a, wire.ScopeUser); n != 5 || result != wire.Success {
		t.Errorf("establish again: %d, %v, want 5", n, result)
	}
	if n, _ := m.Establish(a, wire.ScopeUser); n != 7 {
		t.Errorf("establish again: %d, want 7", n)
	}
	if result := m.Release(a, 5); result != wire.InvalidValue {
		t.Errorf("release of the one before: %v", result)
	}
	if result := m.Release(b, 7); result != wire.InvalidValue {
		t.Errorf("release of another's: %v", result)
	}
	if result := m.Release(a, 7); result != wire.Success {
		t.Errorf("release: %v", result)
	}
}

func TestReaderNames(t *testing.T) {
	m := New(Config{Random: counting()})
	for _, c := range []struct {
		name string
		want error
	}{
		{"R 00 00", nil}, {"R 00 00", ErrDuplicate}, {"", ErrName}, {"a\x00b", ErrName},
		{strings.Repeat("n", 127), nil}, {strings.Repeat("n", 128), ErrName},
	} {
		if _, err := m.AddReader(c.name); (err == nil) != (c.want == nil) || err != nil && !strings.Contains(err.Error(), c.want.Error()) {
			t.Errorf("%q: %v, want %v", c.name, err, c.want)
		}
	}
}

// splitSeq yields the sentences of a story on one line.
func splitSeq(story string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for s := range strings.SplitSeq(story, ";") {
			if s = strings.TrimSpace(s); s != "" && !yield(s) {
				return
			}
		}
	}
}

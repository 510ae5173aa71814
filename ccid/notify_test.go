package ccid

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/usb"
)

func TestParseNotifications(t *testing.T) {
	for _, tt := range []struct {
		hex   string
		slots int
		want  string
		bad   bool
	}{
		{"50 03", 1, "[0 present changed]", false},
		{"50 02", 1, "[0 absent changed]", false},
		{"50 01", 1, "[0 present]", false},
		{"50 0C 02", 8, "[0 absent 1 present changed 2 absent 3 absent 4 absent changed 5 absent 6 absent 7 absent]", false},
		{"50 03", 8, "[0 present changed 1 absent 2 absent 3 absent]", false}, // cut short
		{"51 00 2A 01", 1, "[0 error 01 at 2A]", false},
		{"51 05 2A 01", 1, "[]", false}, // no such slot
		{"50 03 51 00 2A 01 50 02", 1, "[0 present changed 0 error 01 at 2A 0 absent changed]", false},
		{"50", 1, "[]", true},
		{"51 00 2A", 1, "[]", true},
		{"50 03 7F", 1, "[0 present changed]", true},
		{"", 1, "[]", false},
	} {
		got := []string{}
		err := parseNotifications(unhex(t, tt.hex), tt.slots, func(n notification) {
			s := fmt.Sprint(n.slot)
			switch {
			case n.kind == notifyHardwareFail:
				s += fmt.Sprintf(" error %02X at %02X", n.code, n.seq)
			case n.present:
				s += " present"
			default:
				s += " absent"
			}
			if n.changed {
				s += " changed"
			}
			got = append(got, s)
		})
		if fmt.Sprint(got) != tt.want || (err != nil) != tt.bad || tt.bad && !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: got %v, %v", tt.hex, got, err)
		}
	}
}

func withInterrupt(f usb.Features) usb.Interface {
	ifc := bulkInterface(features(f))
	ifc.Interrupt = usb.Endpoint{Address: 0x83, Attributes: 3, MaxPacketSize: 8, Interval: 16}
	return ifc
}

// say adds to the script of a pipe that is in use.
func (p *scriptPipe) say(script string) {
	more := newScript(p.t, p.mps, script)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.steps = append(p.steps, more.steps...)
	close(p.advance)
	p.advance = make(chan struct{})
}

func TestNotifications(t *testing.T) {
	bubble(t, withInterrupt(0x00020048), "i 50 03\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		before := s.Insertions()
		// What comes soon after opening is old: it has the slot asked, no more.
		p.say("> 65 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 01 00 00\n")
		start := time.Now()
		time.Sleep(150 * time.Millisecond)
		synctest.Wait()
		p.check()
		if s.Insertions() != before || s.State() != CardPresent {
			t.Errorf("old notification: %d, %v", s.Insertions(), s.State())
		}
		p.lax = false

		changed := s.Changed()
		p.say("i 50 02\n> 65 00 00 00 00 00 02 00 00 00\n< 81 00 00 00 00 00 02 42 FE 00\n")
		<-changed
		if s.State() != CardAbsent || time.Since(start) > 200*time.Millisecond {
			t.Errorf("removal: %v after %v", s.State(), time.Since(start))
		}
		changed = s.Changed()
		p.say("i 50 03\n> 65 00 00 00 00 00 03 00 00 00\n< 81 00 00 00 00 00 03 01 00 00\n")
		<-changed
		if s.State() != CardPresent {
			t.Errorf("insertion: %v", s.State())
		}
		// Out and in again between two messages.
		changed = s.Changed()
		n := s.Insertions()
		p.say("i 50 03\n> 65 00 00 00 00 00 04 00 00 00\n< 81 00 00 00 00 00 04 01 00 00\n")
		<-changed
		if s.Insertions() != n+1 {
			t.Error("a change without trace was not counted")
		}
		// A late message about a card that has power all the time.
		s = makeReady(t, r, 5, kaztokenATR)
		n = s.Insertions()
		p.say("i 50 03\n> 65 00 00 00 00 00 05 00 00 00\n< 81 00 00 00 00 00 05 00 00 00\n")
		time.Sleep(time.Second)
		synctest.Wait()
		if s.State() != CardReady || s.Insertions() != n {
			t.Errorf("late message: %v", s.State())
		}
		// Over-current.
		p.say("i 51 00 05 01\n> 63 00 00 00 00 00 06 00 00 00\n< 81 00 00 00 00 00 06 01 00 00\n" +
			"> 65 00 00 00 00 00 07 00 00 00\n< 81 00 00 00 00 00 07 01 00 00\n")
		time.Sleep(time.Second)
		synctest.Wait()
		if s.State() != CardPresent {
			t.Errorf("hardware error: %v", s.State())
		}
		p.check()
	})
}

// TestCards takes the power from a card, has it lose its power, and takes it out
// while the power is taken.
func TestCards(t *testing.T) {
	bubble(t, withInterrupt(0x00020048), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		for _, step := range []struct {
			name              string
			script            string
			act               func(*Slot) error
			cards, insertions uint64
		}{
			{
				"switched off", "> 63 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 01 00 00\n",
				func(s *Slot) error { return s.PowerOff(t.Context()) }, 0, 1,
			},
			{
				"lost its power", "> 65 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 01 00 00\n",
				func(s *Slot) error { _, err := s.Status(t.Context()); return err }, 1, 1,
			},
			{
				"taken out meanwhile", "> 63 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 42 FE 00\n",
				func(s *Slot) error { return s.PowerOff(t.Context()) }, 1, 1,
			},
		} {
			s := makeReady(t, r, 1, kaztokenATR)
			cards, insertions := s.Cards(), s.Insertions()
			p.say(step.script)
			if err := step.act(s); err != nil {
				t.Errorf("%s: %v", step.name, err)
			}
			if c, i := s.Cards()-cards, s.Insertions()-insertions; c != step.cards || i != step.insertions {
				t.Errorf("%s: %d cards and %d insertions more, want %d and %d", step.name, c, i, step.cards, step.insertions)
			}
			p.check()
		}
	})
}

func TestChangeOnReaderThatActivates(t *testing.T) {
	bubble(t, withInterrupt(0x0002004C), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		time.Sleep(time.Second)
		s := makeReady(t, r, 1, kaztokenATR)
		changed := s.Changed()
		p.say("i 50 03\n> 65 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 00 00 00\n")
		<-changed
		if s.State() != CardPresent {
			t.Errorf("state %v", s.State())
		}
	})
}

// A notification in the middle of a command waits for its end.
func TestNotificationWhileBusy(t *testing.T) {
	bubble(t, withInterrupt(0x00020048), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		time.Sleep(time.Second)
		s := makeReady(t, r, 1, kaztokenATR)
		p.say("> 6F 04 00 00 00 00 01 00 00 00 00 70 00 00\ni 50 02\n< 80 00 00 00 00 00 01 42 FE 00\n" +
			"> 65 00 00 00 00 00 02 00 00 00\n< 81 00 00 00 00 00 02 02 00 00\n")
		if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, ErrNoCard) || !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
	})
}

func TestPolling(t *testing.T) {
	for _, tt := range []struct {
		name string
		ifc  usb.Interface
		opts []Option
		want int // questions in 8 s, beside that of Open
	}{
		{"removable card, no interrupt endpoint", bulkInterface(features(0x00020048)), nil, 10},
		{"every 2 s", bulkInterface(features(0x00020048)), []Option{WithPollInterval(2 * time.Second)}, 4},
		{"never", bulkInterface(features(0x00020048)), []Option{WithPollInterval(0)}, 0},
		{"USB-ICC", bulkInterface(kaztokenClass()), nil, 0},
		{"known token", bulkInterface(features(0x00040042)), []Option{WithDevice(usb.Info{Vendor: 0x234B})}, 0},
		{"interrupt endpoint", withInterrupt(0x00020048), nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := -1
				p := newLoop(func(msg []byte) [][]byte { n++; return [][]byte{reply(msgSlotStatus, msg)} })
				r, err := Open(t.Context(), p, tt.ifc, tt.opts...)
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(8*time.Second + 50*time.Millisecond)
				synctest.Wait()
				if n != tt.want {
					t.Errorf("%d questions, want %d", n, tt.want)
				}
				r.Slots()[0].gate <- struct{}{} // a busy slot is not asked
				time.Sleep(8 * time.Second)
				synctest.Wait()
				if n != tt.want {
					t.Errorf("busy: %d questions", n-tt.want)
				}
				<-r.Slots()[0].gate
				r.Close()
			})
		})
	}
}

// An interrupt endpoint that does not work is replaced by polling.
func TestPollingInsteadOfInterrupt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := &brokenInterrupt{loopPipe: newLoop(nil)}
		p.answer = func(msg []byte) [][]byte { n++; return [][]byte{reply(msgSlotStatus, msg)} }
		var faults []string
		r, err := Open(t.Context(), p, withInterrupt(0x00020048), WithTrace(func(e Event) {
			if e.Kind == EventFault {
				faults = append(faults, e.Err.Error())
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(8500 * time.Millisecond)
		synctest.Wait()
		if p.tries != maxInterruptStalls+1 || n < 10 {
			t.Errorf("%d tries, %d questions", p.tries, n)
		}
		if diff := cmp.Diff([]string{"interrupt endpoint: USB endpoint stalled"}, faults); diff != "" {
			t.Error(diff)
		}
		r.Close()
	})
}

type brokenInterrupt struct {
	*loopPipe
	tries int
}

func (p *brokenInterrupt) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	p.tries++
	return 0, usb.ErrStall
}

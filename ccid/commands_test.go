package ccid

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

func TestRareCommands(t *testing.T) {
	d := features(0x00010140)
	d.Mechanical = 0x0A // eject, lock
	bubble(t, bulkInterface(d), `
>   6B 02 00 00 00 00 01 00 00 00 AA BB
<   83 03 00 00 00 00 01 00 00 00 01 02 03
>   6E 00 00 00 00 00 02 01 00 00
<   81 00 00 00 00 00 02 00 00 01
>   6E 00 00 00 00 00 03 00 00 00
<   81 00 00 00 00 00 03 00 00 00
>   6A 00 00 00 00 00 04 01 A0 00
<   81 00 00 00 00 00 04 00 00 00
>   71 00 00 00 00 00 05 02 00 00
<   81 00 00 00 00 00 05 02 00 00
>   71 00 00 00 00 00 06 05 00 00
<   81 00 00 00 00 00 06 02 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		got, err := s.Escape(t.Context(), []byte{0xFF}, []byte{0xAA, 0xBB})
		want(t, fmt.Sprintf("% X", got), err, "FF 01 02 03")
		if c, err := s.StopClock(t.Context(), true); c != ClockStoppedLow || err != nil {
			t.Errorf("got %v, %v", c, err)
		}
		if c, err := s.StopClock(t.Context(), false); c != ClockRunning || err != nil {
			t.Errorf("got %v, %v", c, err)
		}
		a0 := byte(0xA0)
		if err := s.SetT0Classes(t.Context(), T0Classes{GetResponse: &a0}); err != nil {
			t.Error(err)
		}
		if err := s.Mechanical(t.Context(), EjectCard); err != nil || s.State() != CardAbsent {
			t.Errorf("%v, %v", s.State(), err)
		}
		if err := s.Mechanical(t.Context(), UnlockCard); err != nil {
			t.Error(err)
		}
		for _, f := range []MechanicalFunction{0, AcceptCard, CaptureCard, 6} {
			if err := s.Mechanical(t.Context(), f); !errors.Is(err, ErrNotSupported) {
				t.Errorf("%v: got %v", f, err)
			}
		}
	}, WithEscape())
}

func TestReset(t *testing.T) {
	lines := append(powerUp(atrT0), // cold from nothing, warm, cold
		"> 65 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 00 00 00",
		"> 62 00 00 00 00 00 ## 00 00 00", "< 80 02 00 00 00 00 @@ 00 00 00 3B 00")
	lines = append(lines, coldReset(atrT0)...)
	lines = append(lines, "> 63 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 00 00 00")
	bubble(t, bulkInterface(features(0x0002004A)), dialogue(1, lines...), func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		for _, cold := range []bool{true, false, true} {
			if atr, err := s.Reset(t.Context(), cold); err != nil || atr.String() != "3B 00" || s.State() != CardReady {
				t.Errorf("%v: %v, %v, %v", cold, atr, s.State(), err)
			}
		}
		// Off is off, even if the reader says that the card is still active.
		if err := s.PowerOff(t.Context()); err != nil || s.State() != CardPresent || !s.ATR().IsZero() {
			t.Errorf("%v, %v", s.State(), err)
		}
		if r.Interface().Reader.MaxMessageLength != 271 || s.Index() != 0 || s.MaxCommand() != 261 {
			t.Error("properties")
		}
	})
}

func TestPowerOffWithoutCard(t *testing.T) {
	bubble(t, bulkInterface(features(0x0002004A)), "> 63 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 42 FE 00\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		if err := s.PowerOff(t.Context()); err != nil || s.State() != CardAbsent {
			t.Errorf("%v, %v", s.State(), err)
		}
	})
}

// Applications of PC/SC want to see 61xx and 6Cxx themselves.
func TestNoGetResponse(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010032)), `
>   6F 05 00 00 00 00 40 00 00 00 00 A4 04 00 00
<   80 02 00 00 00 00 40 00 00 00 61 0A
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		got, err := transmit(t, makeReady(t, r, 0x40, "3B 00"), "00 A4 04 00 00")
		want(t, got, err, "61 0A")
	}, WithAutoGetResponse(false))
}

func TestT0Trouble(t *testing.T) {
	for _, tt := range []struct {
		name     string
		features usb.Features
		apdu     string
		script   string
		is       error
		unsent   bool
		state    CardState
	}{
		{"instruction code", 0x00010032, "00 60 00 00", "", ErrNotSupported, true, CardReady},
		{"no status word", 0x00010032, "00 70 00 00", "> 6F 05 00 00 00 00 40 00 00 00 00 70 00 00 00\n< 80 01 00 00 00 00 40 00 00 00 90\n", ErrProtocol, false, CardLost},
		{"mute", 0x00010032, "00 70 00 00", "> 6F 05 00 00 00 00 40 00 00 00 00 70 00 00 00\n< 80 00 00 00 00 00 40 40 FE 00\n", ErrMute, false, CardReady},
		{"refused", 0x00010032, "00 70 00 00", "> 6F 05 00 00 00 00 40 00 00 00 00 70 00 00 00\n< 80 00 00 00 00 00 40 40 01 00\n", nil, true, CardReady},
		{"GET RESPONSE refused", 0x00010032, "00 B0 00 00 10", "> 6F 05 00 00 00 00 40 00 00 00 00 B0 00 00 10\n< 80 02 00 00 00 00 40 00 00 00 61 10\n" +
			"> 6F 05 00 00 00 00 41 00 00 00 00 C0 00 00 10\n< 80 00 00 00 00 00 41 40 01 00\n", ErrOutcomeUnknown, false, CardReady},
		{"characters: no procedure byte", 0x00000032, "00 B0 00 00 04", "> 6F 05 00 00 00 00 40 00 01 00 00 B0 00 00 04\n< 80 01 00 00 00 00 40 00 00 00 55\n", ErrProtocol, false, CardLost},
		{"characters: parity", 0x00000032, "00 B0 00 00 04", "> 6F 05 00 00 00 00 40 00 01 00 00 B0 00 00 04\n< 80 01 00 00 00 00 40 00 00 00 B0\n" +
			"> 6F 00 00 00 00 00 41 00 06 00\n< 80 00 00 00 00 00 41 40 FD 00\n", ErrOutcomeUnknown, false, CardLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bulkInterface(features(tt.features)), tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 0x40, "3B 00")
				_, err := transmit(t, s, tt.apdu)
				p.check()
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) || errors.Is(err, ErrOutcomeUnknown) == tt.unsent || s.State() != tt.state {
					t.Errorf("got %v in state %v", err, s.State())
				}
			})
		})
	}
}

// A card that asks for time for ever, whether or not it lets any pass.
func TestEndlessExtensions(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Second} {
		for _, f := range []usb.Features{0x00020040, 0x00010470, 0x00000032} {
			t.Run(fmt.Sprintf("%v %v", f, pause), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var n atomic.Int64
					var over atomic.Bool
					p := newLoop(nil)
					var more func(msg []byte)
					p.answer = func(msg []byte) [][]byte {
						m := append([]byte(nil), msg...)
						switch MessageType(m[0]) {
						case msgXfrBlock:
							more(m)
							return nil
						case msgAbort:
							return [][]byte{reply(msgSlotStatus, m)}
						}
						return [][]byte{reply(msgSlotStatus, m)}
					}
					more = func(msg []byte) {
						if n.Add(1) > 100_000 || over.Load() {
							return
						}
						time.AfterFunc(pause, func() {
							switch f {
							case 0x00020040:
								// A device waits too until what it said was read.
								for len(p.queue) > cap(p.queue)/2 && !over.Load() {
									time.Sleep(time.Millisecond)
								}
								p.queue <- Message{Type: msgDataBlock, Slot: msg[5], Seq: msg[6], Specific: [3]byte{0x80, 1}}.AppendTo(nil)
								more(msg)
							case 0x00010470:
								p.queue <- reply(msgDataBlock, msg, 0x00, 0xC3, 0x01, 0x01, 0xC3)
							default:
								p.queue <- reply(msgDataBlock, msg, 0x60)
							}
						})
					}
					r, err := Open(t.Context(), p, bulkInterface(features(f)), WithPollInterval(0))
					if err != nil {
						t.Fatal(err)
					}
					atr := kaztokenATR
					if f == 0x00000032 {
						atr = "3B 00"
					}
					s := makeReady(t, r, 1, atr)
					if s.Protocol() == iso7816.T1 && s.Level() == usb.TPDU {
						s.setUpT1(t.Context(), s.ATR(), 32)
					}
					start := time.Now()
					_, err = s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0})
					over.Store(true)
					took := time.Since(start)
					if !errors.Is(err, ErrOutcomeUnknown) || took > 10*time.Minute+5*time.Second || pause > 0 && took < 10*time.Minute-time.Second {
						t.Errorf("got %v after %v", err, took)
					}
					if n.Load() > 10_000 || s.State() != CardLost {
						t.Errorf("%d rounds, state %v", n.Load(), s.State())
					}
					r.Close()
					time.Sleep(time.Minute) // let the device end too
				})
			})
		}
	}
}

// A reader that leaves out empty packets runs messages together.
func TestMessagesRunTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLoop(nil)
		p.answer = func(msg []byte) [][]byte {
			if MessageType(msg[0]) != msgXfrBlock {
				return [][]byte{reply(msgSlotStatus, msg)}
			}
			stale := append([]byte(nil), msg...)
			stale[6]--
			both := reply(msgDataBlock, stale, make([]byte, 54)...)
			return [][]byte{append(both, reply(msgDataBlock, msg, 0x90, 0x00)...)}
		}
		r, err := Open(t.Context(), p, bulkInterface(kaztokenClass()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := transmit(t, makeReady(t, r, 5, kaztokenATR), "00 70 00 00")
		want(t, got, err, "90 00")
		r.Close()
	})
}

func TestMaxCommand(t *testing.T) {
	for _, tt := range []struct {
		features usb.Features
		atr      string
		max      uint32
		want     int
	}{
		{0x00020040, kaztokenATR, 271, 261},
		{0x00020040, kaztokenATR, 100, 90},
		{0x00040040, kaztokenATR, 64, 65544},
		{0x00010040, kaztokenATR, 271, 65544},
		{0x00010040, "3B 00", 271, 261},
		{0x00010040, "3B 00", 64, 55},
	} {
		d := features(tt.features)
		d.MaxMessageLength = tt.max
		bubble(t, bulkInterface(d), "", func(t *testing.T, r *Reader, p *scriptPipe) {
			s := makeReady(t, r, 1, tt.atr)
			if got := s.MaxCommand(); got != tt.want {
				t.Errorf("%v, %d: got %d, want %d", tt.features, tt.max, got, tt.want)
			}
			s.set(CardPresent)
		})
	}
}

func TestErrorsSayWhere(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), "> 6F 04 00 00 00 00 01 00 00 00 00 70 00 00\n< 80 00 00 00 00 00 01 40 FE 00\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		_, err := transmit(t, s, "00 70 00 00")
		if got := err.Error(); !strings.Contains(got, "slot 0") || !strings.Contains(got, "outcome of the command is unknown") || !strings.Contains(got, "card is mute") {
			t.Errorf("got %q", got)
		}
	})
}

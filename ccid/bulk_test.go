package ccid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kaztoken/usb"
)

// data gives n bytes counting up, in hex.
func data(n int) string {
	var b []byte
	for i := range n {
		b = append(b, byte(i))
	}
	return fmt.Sprintf("% X", b)
}

// message gives an answer DataBlock for slot 0 with n bytes counting up.
func message(seq byte, n int) string {
	return fmt.Sprintf("80 %02X %02X 00 00 00 %02X 00 00 00 %s", byte(n), byte(n>>8), seq, data(n))
}

func TestMessageSizes(t *testing.T) {
	// Answers of whole packets, with and without the empty packet behind them,
	// in one transfer and header first.
	for _, mps := range []int{8, 16, 32, 64, 512} {
		for _, kind := range []string{"<", "<~"} {
			for _, headerFirst := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d%s%v", mps, kind, headerFirst), func(t *testing.T) {
					sizes := []int{2, 6, 53, 54, 55, 118, 182, 246, 258}
					var b strings.Builder
					for i, n := range sizes {
						fmt.Fprintf(&b, "> 6F 05 00 00 00 00 %02X 00 00 00 00 B0 00 00 00\n%s %s\n", i+1, kind, message(byte(i+1), n))
					}
					ifc := bulkInterface(kaztokenClass())
					ifc.BulkIn.MaxPacketSize = mps
					var opts []Option
					if headerFirst {
						opts = append(opts, WithHeaderFirst())
					}
					bubble(t, ifc, b.String(), func(t *testing.T, r *Reader, p *scriptPipe) {
						s := makeReady(t, r, 1, kaztokenATR)
						start := time.Now()
						for _, n := range sizes {
							got, err := transmit(t, s, "00 B0 00 00 00")
							want(t, got, err, data(n))
						}
						// A reader that leaves out empty packets costs one look, once.
						if d := time.Since(start); d > peekInterval {
							t.Errorf("took %v", d)
						}
					}, opts...)
				})
			}
		}
	}
}

func TestValidation(t *testing.T) {
	const ok = "<  80 02 00 00 00 00 05 00 00 00 90 00\n"
	many := func(n int, line string) string { return strings.Repeat(line, n) }
	for _, tt := range []struct {
		name   string
		script string
		err    error // nil: 9000
	}{
		{"empty packet first", "<\n" + ok, nil},
		{"padded with zeros", "< 80 02 00 00 00 00 05 00 00 00 90 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00\n", nil},
		{"other slot", "< 80 02 00 00 00 01 05 00 00 00 6A 82\n" + ok, nil},
		{"slot that cannot be", "< 80 02 00 00 00 FF 05 00 00 00 6A 82\n" + ok, nil},
		{"other seq", "< 80 02 00 00 00 00 04 00 00 00 6A 82\n" + ok, nil},
		{"stale time extension", "< 80 00 00 00 00 00 04 80 01 00\n" + ok, nil},
		{"32 stale ones", many(32, "< 80 02 00 00 00 00 04 00 00 00 6A 82\n") + ok, nil},
		{"33 stale ones", many(33, "< 80 02 00 00 00 00 04 00 00 00 6A 82\n"), errOutOfSync},
		{"nothing but empty packets", many(33, "<\n"), errOutOfSync},
		{"shorter than a header", "< 80 02 00 00 00 00 05\n", errMalformed},
		{"truncated", "< 80 04 00 00 00 00 05 00 00 00 90 00\n", errMalformed},
		{"hostile length", "< 80 FF FF FF FF 00 05 00 00 00 90 00\n", errMalformed},
		{"length that wraps", "< 80 F8 FF FF FF 00 05 00 00 00 90 00\n", errMalformed},
		{"longer than declared", "< 80 06 01 00 00 00 05 00 00 00 " + data(262) + "\n", errMalformed},
		{"stall", "<! stall\n", usb.ErrStall},
		{"overflow", "<! overflow\n", usb.ErrOverflow},
		{"transfer error", "<! io\n", usb.ErrIO},
		{"one byte of response", "< 80 01 00 00 00 00 05 00 00 00 90\n", ErrProtocol},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bulkInterface(kaztokenClass()), "> 6F 04 00 00 00 00 05 00 00 00 00 70 00 00\n"+tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 5, kaztokenATR)
				got, err := transmit(t, s, "00 70 00 00")
				if tt.err == nil {
					want(t, got, err, "90 00")
					return
				}
				if !errors.Is(err, tt.err) || !errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// After a breakdown the next command goes through, and Transmit is not it.
const powerUpAt10 = `
>   65 00 00 00 00 00 11 00 00 00
<   81 00 00 00 00 00 11 00 00 00
>   63 00 00 00 00 00 12 00 00 00
<   81 00 00 00 00 00 12 01 00 00
>   62 00 00 00 00 00 13 01 00 00
<   80 0C 00 00 00 00 13 00 00 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
`

func TestResynchronisation(t *testing.T) {
	const (
		apdu  = "> 6F 04 00 00 00 00 0F 00 00 00 00 70 00 00\n"
		probe = "> 65 00 00 00 00 00 10 00 00 00\n< 81 00 00 00 00 00 10 00 00 00\n"
	)
	for _, tt := range []struct {
		name, script string
		cause        error
		unsent       bool
	}{
		{"garbage", apdu + "< DE AD BE EF\n< 80 02 00 00 00 00 0F 00 00 00 90 00\n" + probe, errMalformed, false},
		{"stall of the answer", apdu + "<! stall\nr\n" + probe, usb.ErrStall, false},
		{"stall of the command", ">! stall\nr\n" + probe, usb.ErrStall, true},
		{"half a command", ">! short\nr\n" + probe, usb.ErrShortWrite, true},
		{"lost command", ">! timeout\n" + probe, usb.ErrTimeout, false},
		{"transfer error", apdu + "<! io\n" + probe, usb.ErrIO, false},
		{"first rung fails", apdu + "<! io\n" + `
>   65 00 00 00 00 00 10 00 00 00      ; no answer
c   21 01 00 11 00 00 00 00
>   72 00 00 00 00 00 11 00 00 00
<   81 00 00 00 00 00 10 00 00 00      ; now it comes
<   81 00 00 00 00 00 11 00 00 00
>   65 00 00 00 00 00 12 00 00 00
<   81 00 00 00 00 00 12 00 00 00
`, usb.ErrIO, false},
		{"second rung fails", apdu + "<! io\n" + `
>   65 00 00 00 00 00 10 00 00 00
c!  21 01 00 11 00 00 00 00
>   72 00 00 00 00 00 11 00 00 00
r
>   65 00 00 00 00 00 12 00 00 00
<   81 00 00 00 00 00 12 00 00 00
`, usb.ErrIO, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bulkInterface(kaztokenClass()), tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 0x0F, kaztokenATR)
				_, err := transmit(t, s, "00 70 00 00")
				if !errors.Is(err, tt.cause) || errors.Is(err, ErrOutcomeUnknown) == tt.unsent {
					t.Errorf("got %v", err)
				}
				if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, ErrCardReset) {
					t.Errorf("second command: %v", err)
				}
				if err := r.link.(*bulkLink).synchronise(t.Context(), s, msgGetSlotStatus); err != nil {
					t.Fatal(err)
				}
				p.mu.Lock()
				p.steps = append(p.steps, newScript(t, 64, powerUpAt10).steps...)
				p.mu.Unlock()
				r.link.(*bulkLink).next = 0x11
				if _, err := s.PowerOn(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestFaultyReaderIsLeftAlone(t *testing.T) {
	ladder := func(seq int) string {
		return fmt.Sprintf(`
>   65 00 00 00 00 00 %02X 00 00 00
c!  21 01 00 %02X 00 00 00 00
>   72 00 00 00 00 00 %02X 00 00 00
r
>   65 00 00 00 00 00 %02X 00 00 00
`, seq, seq+1, seq+1, seq+2)
	}
	bubble(t, bulkInterface(kaztokenClass()), "> 65 00 00 00 00 00 01 00 00 00\n< DE AD\n"+ladder(2)+ladder(5)+`
>   65 00 00 00 00 00 08 00 00 00
<   81 00 00 00 00 00 08 01 00 00
>   65 00 00 00 00 00 09 00 00 00
<   81 00 00 00 00 00 09 01 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		status := func() error { _, err := s.Status(t.Context()); return err }
		if err := status(); !errors.Is(err, errMalformed) {
			t.Errorf("got %v", err)
		}
		start := time.Now()
		if err := status(); !errors.Is(err, ErrFaulty) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("resynchronising took %v", d)
		}
		start = time.Now()
		for range 10 {
			if err := status(); !errors.Is(err, ErrFaulty) {
				t.Errorf("got %v", err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("being left alone took %v", d)
		}
		time.Sleep(faultPauseMin)
		if err := status(); !errors.Is(err, ErrFaulty) {
			t.Errorf("got %v", err)
		}
		time.Sleep(faultPauseMin)
		if err := status(); !errors.Is(err, ErrFaulty) {
			t.Errorf("the second pause is not longer: %v", err)
		}
		time.Sleep(faultPauseMin)
		if err := status(); err != nil {
			t.Error(err)
		}
	})
}

func TestTransferErrorsTwice(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   65 00 00 00 00 00 01 00 00 00
<!  io
>   65 00 00 00 00 00 02 00 00 00
<   81 00 00 00 00 00 02 01 00 00
>   65 00 00 00 00 00 03 00 00 00
<!  io
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		for i, want := range []error{usb.ErrIO, usb.ErrIO, ErrFaulty} {
			if _, err := s.Status(t.Context()); !errors.Is(err, want) {
				t.Errorf("%d: got %v", i, err)
			}
		}
	})
}

func TestWrongTypeOfAnswer(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 04 00 00 00 00 05 00 00 00 00 70 00 00
<   83 02 00 00 00 00 05 00 00 00 90 00
c   21 01 00 06 00 00 00 00
>   72 00 00 00 00 00 06 00 00 00
<   81 00 00 00 00 00 06 00 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 5, kaztokenATR)
		_, err := transmit(t, s, "00 70 00 00")
		if !errors.Is(err, errWrongType) || !errors.Is(err, ErrOutcomeUnknown) || r.link.(*bulkLink).brokenBy() == nil {
			t.Errorf("got %v", err)
		}
	})
}

func TestBusyReaderIsAskedAgain(t *testing.T) {
	var b strings.Builder
	for i := range 5 {
		fmt.Fprintf(&b, "> 6F 04 00 00 00 00 %02X 00 00 00 00 70 00 00\n< 80 00 00 00 00 00 %02X 40 E0 00\n", i+1, i+1)
	}
	b.WriteString("> 6F 04 00 00 00 00 06 00 00 00 00 70 00 00\n< 80 02 00 00 00 00 06 00 00 00 90 00\n")
	bubble(t, bulkInterface(kaztokenClass()), b.String(), func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		start := time.Now()
		got, err := transmit(t, s, "00 70 00 00")
		want(t, got, err, "90 00")
		if d := time.Since(start); d != 1550*time.Millisecond { // 50 + 100 + 200 + 400 + 800
			t.Errorf("took %v", d)
		}
	})
	b.Reset()
	for i := range 6 {
		fmt.Fprintf(&b, "> 6F 04 00 00 00 00 %02X 00 00 00 00 70 00 00\n< 80 00 00 00 00 00 %02X 40 E0 00\n", i+1, i+1)
	}
	b.WriteString("c 21 01 00 07 00 00 00 00\n> 72 00 00 00 00 00 07 00 00 00\n< 81 00 00 00 00 00 07 00 00 00\n")
	bubble(t, bulkInterface(kaztokenClass()), b.String(), func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		_, err := transmit(t, s, "00 70 00 00")
		var se *SlotError
		if !errors.As(err, &se) || se.Code != CodeSlotBusy || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAutoSequenceIsWaitedFor(t *testing.T) {
	var b strings.Builder
	for i := range 3 {
		fmt.Fprintf(&b, "> 6F 04 00 00 00 00 %02X 00 00 00 00 70 00 00\n< 80 00 00 00 00 00 %02X 40 F2 00\n", i+1, i+1)
	}
	b.WriteString("> 6F 04 00 00 00 00 04 00 00 00 00 70 00 00\n< 80 02 00 00 00 00 04 00 00 00 90 00\n")
	bubble(t, bulkInterface(kaztokenClass()), b.String(), func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		start := time.Now()
		got, err := transmit(t, s, "00 70 00 00")
		want(t, got, err, "90 00")
		if d := time.Since(start); d != 300*time.Millisecond {
			t.Errorf("took %v", d)
		}
	})
}

func TestUnsupportedCommandIsRemembered(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010000)), "> 6C 00 00 00 00 00 01 00 00 00\n< 81 00 00 00 00 00 01 40 00 00\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		for range 3 {
			if _, err := r.Slots()[0].GetParameters(t.Context()); !errors.Is(err, ErrNotSupported) {
				t.Errorf("got %v", err)
			}
		}
	})
}

func TestTimeExtensionBounds(t *testing.T) {
	// A card that asks for more time for ever, always in the last moment.
	ext := strings.Repeat("<  80 00 00 00 00 00 05 80 01 00\n", 3)
	bubble(t, bulkInterface(kaztokenClass()), "> 6F 04 00 00 00 00 05 00 00 00 00 70 00 00\n"+ext+`
c!  21 01 00 06 00 00 00 00
>   72 00 00 00 00 00 06 00 00 00
<   81 00 00 00 00 00 06 00 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 5, kaztokenATR)
		start := time.Now()
		_, err := transmit(t, s, "00 70 00 00")
		// The extensions do not add up: max(5 s, 2·BWT + 1 s) after the last.
		if d := time.Since(start); d != 5*time.Second || !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("%v after %v", err, d)
		}
	})
	bubble(t, bulkInterface(kaztokenClass()), "> 6F 04 00 00 00 00 05 00 00 00 00 70 00 00\n< 80 00 00 00 00 00 05 80 FF 00\n"+`
c!  21 01 00 06 00 00 00 00
>   72 00 00 00 00 00 06 00 00 00
<   81 00 00 00 00 00 06 00 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 5, kaztokenATR)
		start := time.Now()
		_, err := transmit(t, s, "00 70 00 00")
		if d := time.Since(start); d != 10*time.Minute || !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("%v after %v", err, d)
		}
	})
}

func TestUserPresence(t *testing.T) {
	var kinds []EventKind
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 04 00 00 00 00 05 00 00 00 00 70 00 00
<   80 00 00 00 00 00 05 80 FF 00
<   80 02 00 00 00 00 05 00 00 00 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		got, err := transmit(t, makeReady(t, r, 5, kaztokenATR), "00 70 00 00")
		want(t, got, err, "90 00")
	}, WithTrace(func(e Event) { kinds = append(kinds, e.Kind) }))
	if !strings.Contains(fmt.Sprint(kinds), "user presence") {
		t.Errorf("events %v", kinds)
	}
}

func TestCallersDeadline(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 04 00 00 00 00 05 00 00 00 00 70 00 00
c!  21 01 00 06 00 00 00 00
>   72 00 00 00 00 00 06 00 00 00      ; the token knows nothing of aborts
>   65 00 00 00 00 00 07 00 00 00
<   81 00 00 00 00 00 07 00 00 00
>   65 00 00 00 00 00 08 00 00 00
<   81 00 00 00 00 00 08 00 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 5, kaztokenATR)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		_, err := s.Transmit(ctx, nil, unhex(t, "00 70 00 00"))
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != 5*time.Second { // and the limit of the abort
			t.Errorf("took %v", d)
		}
		if st, err := s.Status(t.Context()); err != nil || st != CardLost {
			t.Errorf("got %v, %v", st, err)
		}
	})
}

// TestOpenFresh opens a device that was plugged in just now: nothing is waited
// for, and it does no harm if that is not true.
func TestOpenFresh(t *testing.T) {
	for _, c := range []struct {
		script string
		takes  time.Duration
	}{
		{openPresent, 0},
		{`
>   65 00 00 00 00 00 00 00 00 00
<   DE AD
>   65 00 00 00 00 00 01 00 00 00
r
>   65 00 00 00 00 00 02 00 00 00
<   81 00 00 00 00 00 02 01 00 00
`, time.Second},
	} {
		var began time.Time
		openBubble(t, c.script, func(t *testing.T, r *Reader, err error) {
			if err != nil || r.Slots()[0].State() != CardPresent {
				t.Errorf("got %v, %v", r, err)
			}
			if took := time.Since(began); took > c.takes {
				t.Errorf("took %v, want at most %v", took, c.takes)
			}
		}, WithFresh(), func(*config) { began = time.Now() })
	}
}

func TestOpenInspiteOfStaleData(t *testing.T) {
	for _, script := range []string{
		// An answer that nobody asked for any more.
		"< 80 02 00 00 00 00 09 00 00 00 90 00\n" + openPresent,
		// Stale and lost: the toggles of host and device differed.
		`
>   65 00 00 00 00 00 00 00 00 00
<   DE AD
>   65 00 00 00 00 00 01 00 00 00
r
>   65 00 00 00 00 00 02 00 00 00
<   81 00 00 00 00 00 02 01 00 00
`, "<! stall\nr\n> 65 00 00 00 00 00 00 00 00 00\n< 81 00 00 00 00 00 00 02 00 00\n",
	} {
		t.Run("", func(t *testing.T) {
			openBubble(t, script, func(t *testing.T, r *Reader, err error) {
				if err != nil {
					t.Error(err)
				} else if st := r.Slots()[0].State(); st != CardPresent && st != CardAbsent {
					t.Errorf("state %v", st)
				}
			})
		})
	}
	t.Run("silent", func(t *testing.T) {
		openBubble(t, `
>   65 00 00 00 00 00 00 00 00 00
>   65 00 00 00 00 00 01 00 00 00
r
>   65 00 00 00 00 00 02 00 00 00
r
`, func(t *testing.T, r *Reader, err error) {
			if !errors.Is(err, ErrFaulty) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("gone", func(t *testing.T) {
		openBubble(t, "> 65 00 00 00 00 00 00 00 00 00\n<! gone\n", func(t *testing.T, r *Reader, err error) {
			if !errors.Is(err, usb.ErrGone) {
				t.Errorf("got %v", err)
			}
		})
	})
}

package ccid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

func pinPad(f usb.Features) usb.Interface {
	d := features(f)
	d.PINSupport, d.LCDLayout = 3, 0x0210
	return bulkInterface(d)
}

// verifyIn is PIN_VERIFY_STRUCTURE for 30 s, ASCII, 8 bytes, 4 to 8 digits.
func verifyIn(t testing.TB, condition byte, order binary.AppendByteOrder) []byte {
	apdu := unhex(t, "00 20 00 81 08 FF FF FF FF FF FF FF FF")
	b := unhex(t, "1E 99 82 08 00 08 04")
	b = append(b, condition)
	b = append(b, unhex(t, "01 09 04 00 AA BB CC")...) // the prologue is not the program's business
	b = order.AppendUint32(b, uint32(len(apdu)))
	return append(b, apdu...)
}

const verifyData = "00 1E 82 08 00 08 04 02 01 09 04 00 00 00 00 00 20 00 81 08 FF FF FF FF FF FF FF FF"

func TestVerifyPIN(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		bubble(t, pinPad(0x00020042), `
>   69 1C 00 00 00 00 44 00 00 00 `+verifyData+`
<   80 00 00 00 00 00 44 80 01 00    ; a key was pressed: time extension
<   80 02 00 00 00 00 44 00 00 00 90 00
>   69 1C 00 00 00 00 45 00 00 00 `+verifyData+`
<   80 00 00 00 00 00 45 40 EF 00    ; cancelled
>   69 1C 00 00 00 00 46 00 00 00 `+verifyData+`
<   80 00 00 00 00 00 46 40 F0 00    ; timed out
`, func(t *testing.T, r *Reader, p *scriptPipe) {
			s := makeReady(t, r, 0x44, kaztokenATR)
			for _, w := range []string{"90 00", "64 01", "64 00"} {
				got, err := s.VerifyPIN(t.Context(), nil, verifyIn(t, 2, order))
				want(t, fmt.Sprintf("% X", got), err, w)
			}
		})
	}
}

func TestPINConditionIsRepaired(t *testing.T) {
	for _, tt := range []struct {
		in, out byte
		byKey   bool
	}{{0, 2, false}, {8, 2, false}, {0xFF, 2, false}, {1, 1, false}, {7, 7, false}, {7, 2, true}} {
		in := verifyIn(t, tt.in, binary.LittleEndian)
		got := verifyLayout.secureData(nil, in, in[19:], [3]byte{}, tt.byKey)
		if got[7] != tt.out {
			t.Errorf("%02X became %02X", tt.in, got[7])
		}
	}
}

func TestModifyPIN(t *testing.T) {
	apdu := "00 24 00 81 10 FF FF FF FF FF FF FF FF FF FF FF FF FF FF FF FF"
	for _, tt := range []struct {
		messages byte
		indices  string
	}{
		{0, "01"}, {1, "01 02"}, {2, "01 02"}, {3, "01 02 03"}, {0xFF, "01 02 03"},
	} {
		in := unhex(t, "1E 00 82 08 00 00 08 08 04 03 02")
		in = append(in, tt.messages)
		in = append(in, unhex(t, "19 04 01 02 03 00 00 00 15 00 00 00"+apdu)...)
		a, err := modifyLayout.apdu(in)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("% X", modifyLayout.secureData(nil, in, a, [3]byte{0, 0x40, 0x15}, false))
		wanted := fmt.Sprintf("01 1E 82 08 00 00 08 08 04 03 02 %02X 19 04 %s 00 40 15 %s", tt.messages, tt.indices, apdu)
		if diff := cmp.Diff(wanted, got); diff != "" {
			t.Errorf("%d messages:\n%s", tt.messages, diff)
		}
	}
}

func TestPINStructureRefused(t *testing.T) {
	good := verifyIn(t, 2, binary.LittleEndian)
	for name, in := range map[string][]byte{
		"empty": nil, "no APDU": good[:19], "three bytes of APDU": good[:22], "cut": good[:len(good)-1], "longer": append(good[:len(good):len(good)], 0),
	} {
		bubble(t, pinPad(0x00020042), "", func(t *testing.T, r *Reader, p *scriptPipe) {
			s := makeReady(t, r, 1, kaztokenATR)
			if _, err := s.VerifyPIN(t.Context(), nil, in); !errors.Is(err, iso7816.ErrAPDU) {
				t.Errorf("%s: got %v", name, err)
			}
			s.set(CardPresent)
		})
	}
}

// At TPDU level the reader completes a block of T=1, and the numbers move with
// it only if the card has seen it.
func TestVerifyPINWithBlocks(t *testing.T) {
	secure := func(seq, ns string) string {
		return ">  69 1C 00 00 00 00 " + seq + " 00 00 00 00 1E 82 08 00 08 04 02 01 09 04 00 00 " + ns + " 0D 00 20 00 81 08 FF FF FF FF FF FF FF FF\n"
	}
	bubble(t, pinPad(0x00010430), secure("44", "00")+`
<   80 00 00 00 00 00 44 40 EF 00    ; cancelled: the numbers stay
`+secure("45", "00")+`
<   80 05 00 00 00 00 45 00 00 00 00 C3 01 02 C0    ; S(WTX request 2)
>   6F 05 00 00 00 00 46 02 00 00 00 E3 01 02 E0
<   80 06 00 00 00 00 46 00 00 00 00 00 02 90 00 92
`+secure("47", "40")+`
<   80 06 00 00 00 00 47 00 00 00 00 40 02 63 C2 E3
>   6F 08 00 00 00 00 48 00 00 00 00 00 04 00 70 00 00 74
<   80 06 00 00 00 00 48 00 00 00 00 00 02 90 00 92
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x44, kaztokenATR)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil {
			t.Fatal(err)
		}
		for _, w := range []string{"64 01", "90 00", "63 C2"} {
			got, err := s.VerifyPIN(t.Context(), nil, verifyIn(t, 2, binary.LittleEndian))
			want(t, fmt.Sprintf("% X", got), err, w)
		}
		got, err := transmit(t, s, "00 70 00 00")
		want(t, got, err, "90 00")
	})
}

func TestVerifyPINTimesOut(t *testing.T) {
	bubble(t, pinPad(0x00020042), `
>   69 1C 00 00 00 00 44 00 00 00 `+strings.Replace(verifyData, "1E", "64", 1)+`
c   21 01 00 45 00 00 00 00
>   72 00 00 00 00 00 45 00 00 00    ; answered late: a PIN pad may take 5 s
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x44, kaztokenATR)
		in := verifyIn(t, 2, binary.LittleEndian)
		in[0] = 100
		start := time.Now()
		_, err := s.VerifyPIN(t.Context(), nil, in)
		if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != 115*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

func TestProperties(t *testing.T) {
	bubble(t, pinPad(0x00020042), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		if got := fmt.Sprintf("% X", r.PINProperties()); got != "10 02 07 00" {
			t.Errorf("got %s", got)
		}
		wanted := "01 02 10 02 02 01 07 03 01 00 04 02 10 00 05 02 02 00 09 01 00 0A 04 00 00 00 00 0B 02 E6 08 0C 02 79 34"
		if diff := cmp.Diff(wanted, fmt.Sprintf("% X", r.Slots()[0].TLVProperties())); diff != "" {
			t.Error(diff)
		}
	}, WithDevice(usb.Info{Vendor: 0x08E6, Product: 0x3479}))
	bubble(t, pinPad(0x00010042), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		if got := fmt.Sprintf("% X", r.PINProperties()); got != "10 02 02 00" {
			t.Errorf("got %s", got)
		}
		if got := fmt.Sprintf("% X", r.Slots()[0].TLVProperties()); !strings.Contains(got, "0A 04 00 00 01 00") {
			t.Errorf("got %s", got)
		}
	}, WithDevice(usb.Info{Vendor: 0x08E6, Product: 0x3478}))
}

// What a key decrypted does not reach the trace, nor the rest that GET RESPONSE
// brings; what comes after that does.
func TestTraceHidesPlainText(t *testing.T) {
	script := "> 6F 07 00 00 00 00 01 00 00 00 00 2A 80 86 01 05 00\n< 80 05 00 00 00 00 01 00 00 00 41 42 43 61 02\n" +
		"> 6F 05 00 00 00 00 02 00 00 00 00 C0 00 00 02\n< 80 04 00 00 00 00 02 00 00 00 44 45 90 00\n" +
		"> 6F 05 00 00 00 00 03 00 00 00 00 84 00 00 02\n< 80 04 00 00 00 00 03 00 00 00 46 47 90 00\n"
	var shown []string
	hook := WithTrace(func(e Event) {
		if e.Kind == EventAnswer && e.Type == msgDataBlock {
			shown = append(shown, fmt.Sprintf("% X, %d hidden", e.Data[headerLen:], e.Hidden))
		}
	})
	d := features(0x00020040)
	d.MaxMessageLength = 271
	bubble(t, bulkInterface(d), script, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		shown = nil
		for _, apdu := range []string{"00 2A 80 86 01 05 00", "00 C0 00 00 02", "00 84 00 00 02"} {
			if _, err := transmit(t, s, apdu); err != nil {
				t.Fatal(err)
			}
		}
		s.set(CardPresent)
	}, hook)
	if diff := cmp.Diff([]string{", 5 hidden", ", 4 hidden", "46 47 90 00, 0 hidden"}, shown); diff != "" {
		t.Error(diff)
	}
}

// No PIN reaches the trace, in whatever parts it travels.
func TestTraceHidesPINs(t *testing.T) {
	const pin = "31 32 33 34 35 36 37 38"
	hidden := unhex(t, pin)
	for _, tt := range []struct {
		name     string
		features usb.Features
		max      uint32
		script   string
		apdu     string
	}{
		{"short APDU", 0x00020040, 271, "> 6F 0D 00 00 00 00 01 00 00 00 00 20 00 81 08 " + pin + "\n< 80 02 00 00 00 00 01 00 00 00 90 00\n", "00 20 00 81 08 " + pin},
		{"extended, in parts", 0x00040040, 64, "> 6F 36 00 00 00 00 01 00 01 00 00 24 00 81 38 " + strings.Repeat("00 ", 45) + pin[:11] + "\n< 80 00 00 00 00 00 01 00 00 10\n" +
			"> 6F 07 00 00 00 00 02 00 02 00 " + pin[12:] + " 00 00 00\n< 80 02 00 00 00 00 02 00 00 00 90 00\n",
			"00 24 00 81 38 " + strings.Repeat("00 ", 45) + pin + " 00 00 00"},
		{"blocks, repeated", 0x00010470, 271, "> 6F 11 00 00 00 00 01 00 00 00 00 00 0D 00 2C 00 81 08 " + pin + " A0\n< 80 04 00 00 00 00 01 00 00 00 00 81 00 81\n" +
			"> 6F 11 00 00 00 00 02 00 00 00 00 00 0D 00 2C 00 81 08 " + pin + " A0\n< 80 06 00 00 00 00 02 00 00 00 00 00 02 90 00 92\n", "00 2C 00 81 08 " + pin},
		{"odd instruction", 0x00020040, 271, "> 6F 0D 00 00 00 00 01 00 00 00 00 21 00 81 08 " + pin + "\n< 80 02 00 00 00 00 01 00 00 00 90 00\n", "00 21 00 81 08 " + pin},
		{"command chaining", 0x00020040, 271, "> 6F 0D 00 00 00 00 01 00 00 00 10 24 00 81 08 " + pin + "\n< 80 02 00 00 00 00 01 00 00 00 90 00\n", "10 24 00 81 08 " + pin},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var seen strings.Builder
			events, shown := 0, 0
			hook := WithTrace(func(e Event) {
				fmt.Fprintf(&seen, "%+v % X\n", e, e.Data)
				if e.Kind == EventCommand && e.Type == msgXfrBlock {
					events++
					shown += len(e.Data) - headerLen
					if e.Hidden == 0 {
						t.Error("nothing hidden")
					}
				}
			})
			d := features(tt.features)
			d.MaxMessageLength = tt.max
			bubble(t, bulkInterface(d), tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 1, kaztokenATR)
				if s.Level() == usb.TPDU {
					s.setUpT1(t.Context(), s.ATR(), 32)
				}
				got, err := transmit(t, s, tt.apdu)
				want(t, got, err, "90 00")
				s.set(CardPresent)
			}, hook)
			for i := range len(hidden) - 2 {
				if three := fmt.Sprintf("% X", hidden[i:i+3]); strings.Contains(seen.String(), three) {
					t.Errorf("the trace shows %s:\n%s", three, seen.String())
				}
			}
			if events == 0 || shown > 3+4 {
				t.Errorf("%d commands, %d bytes shown", events, shown)
			}
		})
	}
	var seen strings.Builder
	bubble(t, pinPad(0x00020042), ">  69 1C 00 00 00 00 01 00 00 00 "+verifyData+"\n< 80 08 00 00 00 00 01 00 00 00 "+pin+"\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		s.VerifyPIN(t.Context(), nil, verifyIn(t, 2, binary.LittleEndian))
		s.set(CardPresent)
	}, WithTrace(func(e Event) { fmt.Fprintf(&seen, "% X\n", e.Data) }))
	if strings.Contains(seen.String(), "FF FF") || strings.Contains(seen.String(), "31 32") || !strings.Contains(seen.String(), "69 1C") {
		t.Errorf("Secure in the trace:\n%s", seen.String())
	}
}

func FuzzSecureData(f *testing.F) {
	f.Add(verifyIn(f, 2, binary.LittleEndian), false)
	f.Add(unhex(f, "1E 00 82 08 00 00 08 08 04 03 02 03 19 04 01 02 03 00 00 00 00 00 00 05 00 24 00 81 00"), true)
	f.Fuzz(func(t *testing.T, in []byte, modify bool) {
		l := verifyLayout
		if modify {
			l = modifyLayout
		}
		apdu, err := l.apdu(in)
		if err != nil {
			return
		}
		// Operation in, second time-out and length out, up to two indices less.
		out := l.secureData(nil, in, apdu, [3]byte{}, false)
		if most := len(in) - 4; len(out) > most || len(out) < most-2 {
			t.Errorf("%d bytes became %d", len(in), len(out))
		}
	})
}

package ccid

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// The dialogues of this file were typed from worked examples, not made with
// this package.

func want(t *testing.T, got string, err error, want string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

func TestSlotStatus(t *testing.T) {
	for _, tt := range []struct {
		answer string
		want   CardState
	}{
		{"81 00 00 00 00 00 01 00 00 00", CardPresent},
		{"81 00 00 00 00 00 01 01 00 00", CardPresent},
		{"81 00 00 00 00 00 01 02 00 00", CardAbsent},
		{"81 00 00 00 00 00 01 42 FE 00", CardAbsent},
		{"81 00 00 00 00 00 01 41 FE 00", CardAbsent},
	} {
		bubble(t, bulkInterface(kaztokenClass()), ">  65 00 00 00 00 00 01 00 00 00\n< "+tt.answer, func(t *testing.T, r *Reader, p *scriptPipe) {
			got, err := r.Slots()[0].Status(t.Context())
			if err != nil || got != tt.want {
				t.Errorf("%s: got %v, %v; want %v", tt.answer, got, err, tt.want)
			}
		})
	}
}

func TestPowerOnKaztoken(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   65 00 00 00 00 00 01 00 00 00
<   81 00 00 00 00 00 01 01 00 00
>   62 00 00 00 00 00 02 01 00 00    ; IccPowerOn 5 V
<   80 0C 00 00 00 00 02 00 00 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
>   6F 07 00 00 00 00 03 00 00 00 00 A4 00 0C 02 3F 00
<   80 02 00 00 00 00 03 00 00 00 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		changed := s.Changed()
		atr, err := s.PowerOn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := atr.String(); got != kaztokenATR {
			t.Errorf("ATR %s", got)
		}
		select {
		case <-changed:
		default:
			t.Error("no change was told")
		}
		if s.State() != CardReady || s.Protocol() != iso7816.T1 || s.ATR() != atr {
			t.Errorf("state %v, %v, ATR %v", s.State(), s.Protocol(), s.ATR())
		}
		if got := s.hard.Round(time.Millisecond); got != 224540*time.Millisecond {
			t.Errorf("limit of an exchange is %v", got)
		}
		got, err := transmit(t, s, "00 A4 00 0C 02 3F 00")
		want(t, got, err, "90 00")
	})
}

func TestPowerOnOverVoltages(t *testing.T) {
	d := features(0x00010040) // as a TPDU reader, but one that negotiates itself
	d.Voltages = 3
	bubble(t, bulkInterface(d), `
>   65 00 00 00 00 00 01 00 00 00
<   81 00 00 00 00 00 01 01 00 00
>   62 00 00 00 00 00 02 01 00 00    ; 5 V
<   80 00 00 00 00 00 02 41 FE 00    ; failed, mute, present inactive
>   63 00 00 00 00 00 03 00 00 00    ; PowerOff
<   81 00 00 00 00 00 03 01 00 01    ; clock stopped low
>   62 00 00 00 00 00 04 02 00 00    ; 3 V
<   80 02 00 00 00 00 04 00 00 00 3B 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		atr, err := r.Slots()[0].PowerOn(t.Context())
		if err != nil || atr.String() != "3B 00" {
			t.Errorf("got %v, %v", atr, err)
		}
	})
}

func TestTimeExtension(t *testing.T) {
	var events []EventKind
	hook := WithTrace(func(e Event) {
		if e.Kind == EventTimeExtension {
			events = append(events, e.Kind)
		}
	})
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 05 00 00 00 00 06 00 00 00 00 84 00 00 08    ; GET CHALLENGE 8
<   80 00 00 00 00 00 06 80 03 00    ; time extension x3: new deadline, send nothing
<   81 00 00 00 00 00 06 80 01 00    ; again, as type 81: legal
<   80 0A 00 00 00 00 06 00 00 00 A1 B2 C3 D4 E5 F6 07 18 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 6, kaztokenATR)
		if d := s.timing.extended(3); d < 10583*time.Millisecond || d > 10584*time.Millisecond {
			t.Errorf("extension of %v", d)
		}
		got, err := transmit(t, s, "00 84 00 00 08")
		want(t, got, err, "A1 B2 C3 D4 E5 F6 07 18 90 00")
		if len(events) != 2 {
			t.Errorf("events %v", events)
		}
	}, hook)
}

func TestStaleAnswerAfterTimeout(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 05 00 00 00 00 07 00 00 00 00 20 00 81 00    ; VERIFY status, no answer within the limit
c   21 01 00 08 00 00 00 00    ; ABORT wValue = seq 08, slot 00
>   72 00 00 00 00 00 08 00 00 00    ; bulk Abort, same seq
<   80 02 00 00 00 00 07 00 00 00 63 C3    ; late answer to 07: DROP
<   81 00 00 00 00 00 08 00 00 00    ; abort complete
>   65 00 00 00 00 00 09 00 00 00
<   81 00 00 00 00 00 09 00 00 00
>   63 00 00 00 00 00 0A 00 00 00
<   81 00 00 00 00 00 0A 01 00 00
>   62 00 00 00 00 00 0B 01 00 00
<   80 0C 00 00 00 00 0B 00 00 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
>   6F 05 00 00 00 00 0C 00 00 00 00 20 00 81 00
<   80 02 00 00 00 00 0C 00 00 00 63 C2
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 7, kaztokenATR)
		ctx := WithLimit(t.Context(), 6*time.Second)
		start := time.Now()
		_, err := s.Transmit(ctx, nil, unhex(t, "00 20 00 81 00"))
		if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != 6*time.Second {
			t.Errorf("took %v", d)
		}
		if _, err := transmit(t, s, "00 20 00 81 00"); !errors.Is(err, ErrCardReset) {
			t.Errorf("after an abort: %v", err)
		}
		if _, err := s.PowerOn(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := transmit(t, s, "00 20 00 81 00")
		want(t, got, err, "63 C2")
	})
}

func TestErrorStatuses(t *testing.T) {
	for _, tt := range []struct {
		answer string
		is     []error
		isNot  []error
		code   ErrorCode
		state  CardState
	}{
		{"80 00 00 00 00 00 30 40 FE 00", []error{ErrMute, ErrOutcomeUnknown}, []error{ErrNoCard}, CodeMute, CardReady},
		{"80 00 00 00 00 00 30 42 FE 00", []error{ErrNoCard, ErrOutcomeUnknown}, []error{ErrMute}, CodeMute, CardAbsent},
		{"80 00 00 00 00 00 30 40 FD 00", []error{ErrOutcomeUnknown}, nil, CodeParity, CardReady},
		{"80 00 00 00 00 00 30 40 FC 00", []error{ErrOutcomeUnknown}, nil, CodeOverrun, CardReady},
		{"80 00 00 00 00 00 30 41 FB 00", []error{ErrOutcomeUnknown}, nil, CodeHardware, CardPresent},
		{"80 00 00 00 00 00 30 40 F4 00", []error{ErrOutcomeUnknown, ErrProtocol}, nil, CodeProcedureByte, CardReady},
		{"80 00 00 00 00 00 30 40 F3 00", []error{ErrOutcomeUnknown, ErrProtocol}, nil, CodeDeactivated, CardLost},
		{"80 00 00 00 00 00 30 40 FF 00", []error{ErrOutcomeUnknown}, nil, CodeAborted, CardReady},
		{"80 00 00 00 00 00 30 40 80 00", []error{ErrOutcomeUnknown}, nil, 0x80, CardReady},
		{"80 00 00 00 00 00 30 40 BD 00", []error{ErrOutcomeUnknown}, nil, 0xBD, CardReady},
		{"80 00 00 00 00 00 30 C0 FE 00", []error{ErrOutcomeUnknown}, nil, CodeMute, CardReady}, // reserved command status
		{"81 00 00 00 00 00 30 40 00 00", []error{ErrNotSupported}, []error{ErrOutcomeUnknown}, CodeNotSupported, CardReady},
		{"80 00 00 00 00 00 30 40 01 00", nil, []error{ErrOutcomeUnknown}, CodeBadLength, CardReady},
		{"80 00 00 00 00 00 30 40 05 00", nil, []error{ErrOutcomeUnknown}, CodeBadSlot, CardReady},
		{"80 00 00 00 00 00 30 40 07 00", nil, []error{ErrOutcomeUnknown}, 0x07, CardReady},
		{"80 00 00 00 00 00 30 40 F6 00", []error{ErrNotSupported}, []error{ErrOutcomeUnknown}, CodeICCProtocol, CardReady},
	} {
		t.Run(fmt.Sprintf("%02X", byte(tt.code)), func(t *testing.T) {
			bubble(t, bulkInterface(kaztokenClass()), ">  6F 04 00 00 00 00 30 00 00 00 00 70 00 00\n< "+tt.answer, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 0x30, kaztokenATR)
				dst := []byte{1, 2, 3}
				got, err := s.Transmit(t.Context(), dst, unhex(t, "00 70 00 00"))
				if diff := cmp.Diff(dst, got); diff != "" {
					t.Error("dst came back changed")
				}
				for _, is := range tt.is {
					if !errors.Is(err, is) {
						t.Errorf("%v is not %v", err, is)
					}
				}
				for _, is := range tt.isNot {
					if errors.Is(err, is) {
						t.Errorf("%v is %v", err, is)
					}
				}
				var se *SlotError
				if !errors.As(err, &se) || se.Code != tt.code {
					t.Errorf("got %v, want code %02X", err, byte(tt.code))
				}
				if s.State() != tt.state {
					t.Errorf("state %v, want %v", s.State(), tt.state)
				}
			})
		})
	}
}

func TestPPSByHost(t *testing.T) {
	for _, tt := range []struct {
		name     string
		protocol iso7816.Protocol
		fidi     byte
		request  string
		reply    string
		want     byte
		bad      bool
	}{
		{"echoed", iso7816.T1, 0x95, "FF 11 95 7B", "FF 11 95 7B", 0x95, false},
		{"PPS1 refused", iso7816.T1, 0x95, "FF 11 95 7B", "FF 01 FE", 0x11, false},
		{"protocol only", iso7816.T1, 0x11, "FF 01 FE", "FF 01 FE", 0x11, false},
		{"T=0 18", iso7816.T0, 0x18, "FF 10 18 F7", "FF 10 18 F7", 0x18, false},
		{"T=1 18", iso7816.T1, 0x18, "FF 11 18 F6", "FF 11 18 F6", 0x18, false},
		{"T=0 plain", iso7816.T0, 0x11, "FF 00 FF", "FF 00 FF", 0x11, false},
		{"other protocol", iso7816.T1, 0x11, "FF 01 FE", "FF 00 FF", 0, true},
		{"other speed", iso7816.T1, 0x95, "FF 11 95 7B", "FF 11 94 7A", 0, true},
		{"bad PCK", iso7816.T1, 0x95, "FF 11 95 7B", "FF 11 95 7A", 0, true},
		{"too long", iso7816.T1, 0x11, "FF 01 FE", "FF 11 95 7B", 0, true},
		{"nothing", iso7816.T1, 0x95, "FF 11 95 7B", "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, reply := unhex(t, tt.request), unhex(t, tt.reply)
			script := fmt.Sprintf("> 6F %02X 00 00 00 00 09 00 00 00 %s\n< 80 %02X 00 00 00 00 09 00 00 00 %s\n",
				len(req), tt.request, len(reply), tt.reply)
			bubble(t, bulkInterface(features(0x00010030)), script, func(t *testing.T, r *Reader, p *scriptPipe) {
				r.link.(*bulkLink).next = 9
				got, err := r.slots[0].pps(t.Context(), tt.protocol, tt.fidi)
				if got != tt.want || (err != nil) != tt.bad || tt.bad && !errors.Is(err, ErrProtocolMismatch) {
					t.Errorf("got %02X, %v", got, err)
				}
			})
		})
	}
}

func TestParametersAndDataRate(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010000)), `
>   61 07 00 00 00 00 0A 01 00 00 95 10 00 45 00 FE 00    ; T=1: 512/16, LRC direct, N=0, BWI4 CWI5, IFSC 254
<   82 07 00 00 00 00 0A 00 00 01 95 10 00 45 00 FE 00
>   61 05 00 00 00 00 0B 00 00 00 11 00 00 0A 00    ; T=0 defaults, WI=10
<   82 05 00 00 00 00 0B 00 00 00 11 00 00 0A 00
>   6C 00 00 00 00 00 0C 00 00 00    ; GetParameters
<   82 07 00 00 00 00 0C 00 00 01 11 10 00 4D 00 20 00    ; T=1, all defaults, IFSC 32
>   73 08 00 00 00 00 0D 00 00 00 A0 0F 00 00 48 E8 01 00    ; 4000 kHz, 125000 bit/s
<   84 08 00 00 00 00 0D 00 00 00 A0 0F 00 00 48 E8 01 00
>   6D 00 00 00 00 00 0E 00 00 00
<   82 05 00 00 00 00 0E 00 00 00 11 00 00 0A 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		r.link.(*bulkLink).next = 0x0A
		s := r.slots[0]
		// TA1 95, TD1 T=1, TD2 T=1, TA3 FE, TB3 45.
		atr := atrOf(t, "3B 90 95 81 31 FE 45 9E")
		q, err := s.setParameters(t.Context(), parametersOf(atr, iso7816.T1, 0x95), true)
		if err != nil || q.IFSC != 0xFE {
			t.Errorf("got %+v, %v", q, err)
		}
		if _, err := s.setParameters(t.Context(), parametersOf(iso7816.ATR{}, iso7816.T0, 0x11), false); err != nil {
			t.Error(err)
		}
		got, err := s.GetParameters(t.Context())
		wanted := Parameters{Protocol: iso7816.T1, FiDi: 0x11, TCCKS: 0x10, Waiting: 0x4D, IFSC: 32}
		if err != nil || got != wanted {
			t.Errorf("got %+v, %v", got, err)
		}
		if parametersOf(iso7816.ATR{}, iso7816.T1, 0x11) != wanted {
			t.Error("defaults of T=1 differ")
		}
		clock, rate, err := s.SetDataRate(t.Context(), 4000, 125000)
		if err != nil || clock != 4000 || rate != 125000 {
			t.Errorf("got %d, %d, %v", clock, rate, err)
		}
		if got, err := s.ResetParameters(t.Context()); err != nil || got.Protocol != iso7816.T0 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestIFSD(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010030)), `
>   6F 05 00 00 00 00 0E 00 00 00 00 C1 01 FE 3E    ; S(IFS request 254)
<   80 05 00 00 00 00 0E 00 00 00 00 E1 01 FE 1E
>   6F 06 00 00 00 00 0F 00 00 00 00 C1 01 FE 54 4E    ; the same with a CRC
<   80 06 00 00 00 00 0F 00 00 00 00 E1 01 FE D0 C7
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x0E, kaztokenATR)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil || s.t1.IFSD() != 254 {
			t.Errorf("IFSD %d, %v", s.t1.IFSD(), err)
		}
		crc := atrOf(t, "3B 80 81 41 01 C1")
		if !crc.CRC() {
			t.Fatal("test ATR without CRC")
		}
		answer := t1.Block{PCB: 0xE1, INF: []byte{0xFE}}.AppendTo(nil, t1.CRC)
		p.mu.Lock()
		copy(p.steps[1].data[headerLen:], answer)
		p.mu.Unlock()
		if err := s.setUpT1(t.Context(), crc, 32); err != nil || s.t1.IFSD() != 254 {
			t.Errorf("IFSD %d, %v", s.t1.IFSD(), err)
		}
	})
}

func TestT1ChainBothWays(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010430)), `
>   6F 24 00 00 00 00 10 00 00 00
    00 20 20 00 D6 00 00 28 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A E5
<   80 04 00 00 00 00 10 00 00 00 00 90 00 90
>   6F 11 00 00 00 00 11 00 00 00
    00 40 0D 1B 1C 1D 1E 1F 20 21 22 23 24 25 26 27 56
<   80 05 00 00 00 00 11 00 00 00 00 C3 01 05 C7    ; S(WTX request 5)
>   6F 05 00 00 00 00 12 05 00 00 00 E3 01 05 E7    ; S(WTX response 5), bBWI=05, wait 5 BWT
<   80 06 00 00 00 00 12 00 00 00 00 00 02 90 00 92
>   6F 09 00 00 00 00 13 00 00 00 00 00 05 00 B0 00 00 30 85
<   80 24 00 00 00 00 13 00 00 00
    00 60 20 80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D 8E 8F 90 91 92 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F 40
>   6F 04 00 00 00 00 14 00 00 00 00 80 00 80
<   80 16 00 00 00 00 14 00 00 00
    00 00 12 A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AC AD AE AF 90 00 82
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x10, kaztokenATR)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil {
			t.Fatal(err)
		}
		apdu := unhex(t, "00 D6 00 00 28")
		for i := range 0x28 {
			apdu = append(apdu, byte(i))
		}
		resp, err := s.Transmit(t.Context(), nil, apdu)
		want(t, fmt.Sprintf("% X", resp), err, "90 00")
		got, err := transmit(t, s, "00 B0 00 00 30")
		var all []byte
		for i := range 0x30 {
			all = append(all, byte(0x80+i))
		}
		want(t, got, err, fmt.Sprintf("% X 90 00", all))
	})
}

func TestT1Trouble(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010430)), `
>   6F 08 00 00 00 00 20 00 00 00 00 00 04 00 70 00 00 74    ; I(0)
<   80 06 00 00 00 00 20 00 00 00 00 00 02 90 00 92
>   6F 0F 00 00 00 00 21 00 00 00 00 40 0B 00 A4 04 00 06 11 22 33 44 55 66 9A    ; I(1)
<   80 06 00 00 00 00 21 00 00 00 00 40 02 90 00 D3    ; LRC D3 instead of D2
>   6F 04 00 00 00 00 22 00 00 00 00 91 00 91    ; R(1, EDC error)
<   80 06 00 00 00 00 22 00 00 00 00 40 02 90 00 D2
>   6F 08 00 00 00 00 23 00 00 00 00 00 04 00 70 00 00 74    ; I(0)
<   80 06 00 00 00 00 23 00 00 00 00 00 02 90 00 92
>   6F 0F 00 00 00 00 24 00 00 00 00 40 0B 00 A4 04 00 06 11 22 33 44 55 66 9A    ; I(1)
<   80 04 00 00 00 00 24 00 00 00 00 82 00 82    ; R(0, other): not our number
>   6F 04 00 00 00 00 25 00 00 00 00 92 00 92
<   80 06 00 00 00 00 25 00 00 00 00 00 02 6D 00 6F    ; I(0) but 1 expected
>   6F 04 00 00 00 00 26 00 00 00 00 92 00 92
<   80 06 00 00 00 00 26 00 00 00 00 00 02 6D 00 6F
>   6F 04 00 00 00 00 27 00 00 00 00 C0 00 C0
<   80 04 00 00 00 00 27 00 00 00 00 E0 00 E0
>   6F 08 00 00 00 00 28 00 00 00 00 00 04 00 70 00 00 74    ; the numbers start afresh
<   80 06 00 00 00 00 28 00 00 00 00 00 02 90 00 92
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x20, kaztokenATR)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil {
			t.Fatal(err)
		}
		const sel = "00 A4 04 00 06 11 22 33 44 55 66"
		for _, apdu := range []string{"00 70 00 00", sel, "00 70 00 00"} {
			got, err := transmit(t, s, apdu)
			want(t, got, err, "90 00")
		}
		if _, err := transmit(t, s, sel); !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		if s.State() != CardReady {
			t.Errorf("state %v", s.State())
		}
		got, err := transmit(t, s, "00 70 00 00")
		want(t, got, err, "90 00")
	})
}

func TestT1ReaderErrors(t *testing.T) {
	for _, tt := range []struct {
		code  string
		block string
	}{
		{"40 FE", "00 82 00 82"}, {"40 FD", "00 81 00 81"}, {"40 FC", "00 82 00 82"},
	} {
		bubble(t, bulkInterface(features(0x00010430)), `
>   6F 08 00 00 00 00 20 00 00 00 00 00 04 00 70 00 00 74
<   80 00 00 00 00 00 20 `+tt.code+` 00
>   6F 04 00 00 00 00 21 00 00 00 `+tt.block+`
<   80 06 00 00 00 00 21 00 00 00 00 00 02 90 00 92
>   6F 08 00 00 00 00 22 00 00 00 00 40 04 00 70 00 00 34
<   80 00 00 00 00 00 22 40 FB 00    ; the protocol cannot mend that
`, func(t *testing.T, r *Reader, p *scriptPipe) {
			s := makeReady(t, r, 0x20, kaztokenATR)
			if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil {
				t.Fatal(err)
			}
			got, err := transmit(t, s, "00 70 00 00")
			want(t, got, err, "90 00")
			if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, ErrOutcomeUnknown) || s.State() != CardLost {
				t.Errorf("got %v in state %v", err, s.State())
			}
		})
	}
}

func TestExtendedChaining(t *testing.T) {
	d := features(0x00040042)
	d.MaxMessageLength = 64
	part := func(from, n int) string {
		var b []byte
		for i := range n {
			b = append(b, byte(from+i))
		}
		return fmt.Sprintf("% X", b)
	}
	bubble(t, bulkInterface(d), `
>   6F 36 00 00 00 00 20 00 01 00 00 DA 01 01 64 `+part(0, 49)+`
<   80 00 00 00 00 00 20 00 00 10    ; empty, chain 10: go on
>   6F 33 00 00 00 00 21 00 02 00 `+part(49, 51)+`
<   80 02 00 00 00 00 21 00 00 00 90 00
>   6F 05 00 00 00 00 22 00 00 00 00 CA 01 01 78    ; GET DATA 120
<   80 36 00 00 00 00 22 00 00 01 `+part(0, 54)+`
>   6F 00 00 00 00 00 23 00 10 00    ; empty, 0010: continue
<   80 36 00 00 00 00 23 00 00 03 `+part(54, 54)+`
>   6F 00 00 00 00 00 24 00 10 00
<   80 0E 00 00 00 00 24 00 00 02 `+part(108, 12)+` 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x20, kaztokenATR)
		got, err := transmit(t, s, "00 DA 01 01 64"+part(0, 100))
		want(t, got, err, "90 00")
		got, err = transmit(t, s, "00 CA 01 01 78")
		want(t, got, err, part(0, 120)+" 90 00")
	})
}

func TestT0TPDU(t *testing.T) {
	bubble(t, bulkInterface(features(0x00010032)), `
>   6F 0D 00 00 00 00 40 00 00 00 00 A4 04 00 08 31 32 33 34 35 36 37 38    ; case 4 sent without Le
<   80 02 00 00 00 00 40 00 00 00 61 0A
>   6F 05 00 00 00 00 41 00 00 00 00 C0 00 00 0A    ; GET RESPONSE 10
<   80 0C 00 00 00 00 41 00 00 00 6F 08 84 06 A0 00 00 00 03 00 90 00
>   6F 05 00 00 00 00 42 00 00 00 00 B0 00 00 00    ; READ BINARY 256
<   80 02 00 00 00 00 42 00 00 00 6C 04
>   6F 05 00 00 00 00 43 00 00 00 00 B0 00 00 04    ; repeat with 04
<   80 06 00 00 00 00 43 00 00 00 DE AD BE EF 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x40, "3B 00")
		got, err := transmit(t, s, "00 A4 04 00 08 31 32 33 34 35 36 37 38 00")
		want(t, got, err, "6F 08 84 06 A0 00 00 00 03 00 90 00")
		got, err = transmit(t, s, "00 B0 00 00 00")
		want(t, got, err, "DE AD BE EF 90 00")
	})
}

func TestT0Characters(t *testing.T) {
	bubble(t, bulkInterface(features(0x00000032)), `
>   6F 05 00 00 00 00 60 00 01 00 00 B0 00 00 04    ; header, expect 1
<   80 01 00 00 00 00 60 00 00 00 60    ; NULL
>   6F 00 00 00 00 00 61 00 01 00    ; expect 1
<   80 01 00 00 00 00 61 00 00 00 B0    ; INS: all data follow
>   6F 00 00 00 00 00 62 00 06 00    ; expect 4 + SW
<   80 06 00 00 00 00 62 00 00 00 AA BB CC DD 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x60, "3B 00")
		got, err := transmit(t, s, "00 B0 00 00 04")
		want(t, got, err, "AA BB CC DD 90 00")
	})
}

func TestT1Characters(t *testing.T) {
	bubble(t, bulkInterface(features(0x00000030)), `
>   6F 05 00 00 00 00 63 00 03 00 00 C1 01 FE 3E    ; block, expect prologue (3)
<   80 03 00 00 00 00 63 00 00 00 00 E1 01    ; NAD PCB LEN=1
>   6F 00 00 00 00 00 64 00 02 00    ; expect LEN+1
<   80 02 00 00 00 00 64 00 00 00 FE 1E    ; INF, LRC
>   6F 08 00 00 00 00 65 00 03 00 00 00 04 00 70 00 00 74
<   80 02 00 00 00 00 65 00 00 00 00 00    ; fewer than asked for
>   6F 00 00 00 00 00 66 00 01 00
<   80 01 00 00 00 00 66 00 00 00 02
>   6F 00 00 00 00 00 67 00 03 00
<   80 03 00 00 00 00 67 00 00 00 90 00 92
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0x63, kaztokenATR)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil {
			t.Fatal(err)
		}
		got, err := transmit(t, s, "00 70 00 00")
		want(t, got, err, "90 00")
	})
}

func TestControlRequests(t *testing.T) {
	for _, tt := range []struct {
		name  string
		setup usb.Setup
		want  string
	}{
		{"ABORT slot 0 seq 2A interface 0", abortSetup(0, 0, 0x2A), "21 01 00 2A 00 00"},
		{"ABORT slot 1 seq FF interface 2", abortSetup(2, 1, 0xFF), "21 01 01 FF 02 00"},
	} {
		s := tt.setup
		got := fmt.Sprintf("% X", []byte{s.RequestType, s.Request, byte(s.Value), byte(s.Value >> 8), byte(s.Index), byte(s.Index >> 8)})
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestLists(t *testing.T) {
	const rates = "00 2A 00 00 09 3D 00 00 12 7A 00 00 24 F4 00 00 48 E8 01 00 90 D0 03 00"
	six := []uint32{10752, 15625, 31250, 62500, 125000, 250000}
	for _, tt := range []struct {
		name           string
		clocks, rates  byte
		script         string
		wantC, wantR   []uint32
		ifc            byte
		quirks         Quirks
		requestsToMake usb.Features
	}{
		{name: "both", clocks: 1, rates: 6, ifc: 2, script: "c A1 02 00 00 02 00 04 00 / A0 0F 00 00\nc A1 03 00 00 02 00 18 00 / " + rates,
			wantC: []uint32{4000}, wantR: six},
		{name: "none declared"},
		{name: "refused", clocks: 1, rates: 1, script: "c! A1 02 00 00 00 00 04 00\nc! A1 03 00 00 00 00 04 00"},
		{name: "odd length", rates: 2, script: "c A1 03 00 00 00 00 08 00 / 00 2A 00 00 09 3D"},
		{name: "less than declared, unsorted, zero and double", rates: 6, script: "c A1 03 00 00 00 00 18 00 / 09 3D 00 00 00 2A 00 00 00 00 00 00 09 3D 00 00",
			wantR: []uint32{10752, 15625}},
		{name: "ask anyway", script: "c A1 03 00 00 00 00 00 04 / 00 2A 00 00", quirks: Quirks{AskRates: true}, wantR: []uint32{10752}},
		{name: "known better", rates: 1, quirks: Quirks{Rates: []uint32{9600}}, wantR: []uint32{9600}},
		{name: "USB-ICC", clocks: 1, rates: 1, requestsToMake: usb.ICCDRequests},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := features(0x00010000 | tt.requestsToMake)
			d.NumClocks, d.NumDataRates = tt.clocks, tt.rates
			ifc := bulkInterface(d)
			ifc.Number = tt.ifc
			bubble(t, ifc, tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				if diff := cmp.Diff(tt.wantC, r.ClockFrequencies()); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.wantR, r.DataRates()); diff != "" {
					t.Error(diff)
				}
			}, WithQuirks(tt.quirks))
		})
	}
}

func TestCancelAborts(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 05 00 00 00 00 07 00 00 00 00 84 00 00 08
c!  21 01 00 08 00 00 00 00      ; firmware that knows neither half
>   72 00 00 00 00 00 08 00 00 00
<   81 00 00 00 00 00 08 40 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 7, kaztokenATR)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := s.Transmit(ctx, nil, unhex(t, "00 84 00 00 08"))
		if !errors.Is(err, ErrOutcomeUnknown) || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %v", d)
		}
		if s.State() != CardLost {
			t.Errorf("state %v", s.State())
		}
	})
}

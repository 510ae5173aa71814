package ccid

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/iso7816"
)

// CCID rev 1.10 §6.1, byte by byte.
func TestCommands(t *testing.T) {
	class := func(b byte) *byte { return &b }
	for _, tt := range []struct {
		m    Message
		want string
	}{
		{iccPowerOn(VoltageAuto), "62 00 00 00 00 02 A5 00 00 00"},
		{iccPowerOn(Voltage5V), "62 00 00 00 00 02 A5 01 00 00"},
		{iccPowerOn(Voltage3V), "62 00 00 00 00 02 A5 02 00 00"},
		{iccPowerOn(Voltage1V8), "62 00 00 00 00 02 A5 03 00 00"},
		{iccPowerOff(), "63 00 00 00 00 02 A5 00 00 00"},
		{getSlotStatus(), "65 00 00 00 00 02 A5 00 00 00"},
		{xfrBlock([]byte{1, 2, 3}, 5, 0x1234), "6F 03 00 00 00 02 A5 05 34 12 01 02 03"},
		{getParameters(), "6C 00 00 00 00 02 A5 00 00 00"},
		{resetParameters(), "6D 00 00 00 00 02 A5 00 00 00"},
		{setParameters(Parameters{Protocol: iso7816.T0, FiDi: 0x18, TCCKS: 2, GuardTime: 1, Waiting: 10, ClockStop: 3}, nil),
			"61 05 00 00 00 02 A5 00 00 00 18 02 01 0A 03"},
		{setParameters(Parameters{Protocol: iso7816.T1, FiDi: 0x95, TCCKS: 0x11, GuardTime: 2, Waiting: 0x45, ClockStop: 1, IFSC: 0xFE, NAD: 0x12}, nil),
			"61 07 00 00 00 02 A5 01 00 00 95 11 02 45 01 FE 12"},
		{escape([]byte{0xAA}), "6B 01 00 00 00 02 A5 00 00 00 AA"},
		{iccClock(false), "6E 00 00 00 00 02 A5 00 00 00"},
		{iccClock(true), "6E 00 00 00 00 02 A5 01 00 00"},
		{t0APDU(T0Classes{}), "6A 00 00 00 00 02 A5 00 00 00"},
		{t0APDU(T0Classes{GetResponse: class(0xFF)}), "6A 00 00 00 00 02 A5 01 FF 00"},
		{t0APDU(T0Classes{GetResponse: class(0xA0), Envelope: class(0x80)}), "6A 00 00 00 00 02 A5 03 A0 80"},
		{secure([]byte{0}), "69 01 00 00 00 02 A5 00 00 00 00"},
		{mechanical(EjectCard), "71 00 00 00 00 02 A5 02 00 00"},
		{abortMessage(), "72 00 00 00 00 02 A5 00 00 00"},
		{setDataRate(4000, 125000, nil), "73 08 00 00 00 02 A5 00 00 00 A0 0F 00 00 48 E8 01 00"},
	} {
		tt.m.Slot, tt.m.Seq = 2, 0xA5
		b := tt.m.AppendTo(nil)
		if got := fmt.Sprintf("% X", b); got != tt.want {
			t.Errorf("%v: got %s, want %s", tt.m.Type, got, tt.want)
		}
		back, err := ParseMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		if tt.m.Data == nil {
			tt.m.Data = []byte{}
		}
		if diff := cmp.Diff(tt.m, back); diff != "" {
			t.Errorf("%v: (-made +read)\n%s", tt.m.Type, diff)
		}
	}
}

func TestParseMessageRefuses(t *testing.T) {
	for _, s := range []string{
		"", "80", "80 00 00 00 00 00 00 00 00", // short
		"80 01 00 00 00 00 00 00 00 00",       // truncated
		"80 00 00 00 00 00 00 00 00 00 00",    // junk
		"80 FF FF FF FF 00 00 00 00 00",       // hostile
		"80 F6 FF FF FF 00 00 00 00 00 90 00", // wraps 32 bits
	} {
		if _, err := ParseMessage(unhex(t, s)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: got %v", s, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		hex              string
		icc              ICCStatus
		failed, extended bool
	}{
		{"81 00 00 00 00 00 00 00 00 02", ICCActive, false, false},
		{"81 00 00 00 00 00 00 01 00 00", ICCInactive, false, false},
		{"81 00 00 00 00 00 00 42 FE 00", ICCAbsent, true, false},
		{"80 00 00 00 00 00 00 80 03 00", ICCActive, false, true},
		{"80 00 00 00 00 00 00 C3 FE 00", iccUnknown, true, false},
		{"80 00 00 00 00 00 00 3D 00 00", ICCInactive, false, false}, // reserved bits
	} {
		m, err := ParseMessage(unhex(t, tt.hex))
		if err != nil {
			t.Fatal(err)
		}
		if s := m.Status(); s.ICC() != tt.icc || s.Failed() != tt.failed || s.TimeExtension() != tt.extended {
			t.Errorf("%s: got %v, failed %v, extended %v", tt.hex, s.ICC(), s.Failed(), s.TimeExtension())
		}
	}
	m := decode(unhex(t, "81 00 00 00 00 00 00 00 00 02"))
	if m.Clock() != ClockStoppedHigh {
		t.Errorf("clock %v", m.Clock())
	}
	m = decode(unhex(t, "84 08 00 00 00 00 0D 00 00 00 A0 0F 00 00 48 E8 01 00"))
	if c, r, err := m.dataRate(); c != 4000 || r != 125000 || err != nil {
		t.Errorf("got %d, %d, %v", c, r, err)
	}
	if _, _, err := decode(unhex(t, "84 00 00 00 00 00 0D 00 00 00")).dataRate(); !errors.Is(err, ErrProtocol) {
		t.Errorf("got %v", err)
	}
}

func TestStrings(t *testing.T) {
	for _, tt := range []struct {
		got  fmt.Stringer
		want string
	}{
		{msgXfrBlock, "XfrBlock"},
		{msgDataRate, "DataRateAndClockFrequency"},
		{MessageType(0x7F), "MessageType(0x7f)"},
		{CodeMute, "card is mute"},
		{ErrorCode(0x0A), "byte 10 of the command refused"},
		{ErrorCode(0x90), "ErrorCode(0x90)"},
		{ErrorCode(0xC3), "invalid block from the card"},
		{Voltage1V8, "1.8 V"},
		{Voltage(9), "Voltage(9)"},
		{ChainMiddle, "middle"},
		{Chain(7), "Chain(0x07)"},
		{ClockStoppedLow, "stopped low"},
		{CardLost, "lost"},
		{CardState(9), "CardState(9)"},
		{EventUserPresence, "user presence"},
		{EventState, "state"},
		{EventKind(99), "EventKind(99)"},
		{ICCAbsent, "absent"},
		{iccUnknown, "ICCStatus(3)"},
		{LockCard, "lock"},
		{MechanicalFunction(9), "MechanicalFunction(9)"},
	} {
		if got := tt.got.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
	e := &SlotError{Command: msgXfrBlock, Slot: 1, Code: CodeMute, Status: 0x40}
	if got := e.Error(); got != "slot 1: XfrBlock: card is mute (bError FE)" {
		t.Errorf("got %q", got)
	}
	e.Status = 0x42
	if got := e.Error(); got != "slot 1: XfrBlock: no card (bError FE)" {
		t.Errorf("got %q", got)
	}
}

func FuzzParseMessage(f *testing.F) {
	for _, s := range []string{
		"65 00 00 00 00 00 00 00 00 00",
		"80 0C 00 00 00 00 01 00 00 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82",
		"82 07 00 00 00 00 0A 00 00 01 95 10 00 45 00 FE 00",
		"80 FF FF FF FF 00 00 00 00 00",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			return
		}
		if got := m.AppendTo(nil); !bytes.Equal(got, b) {
			t.Errorf("% X became % X", b, got)
		}
		_, _ = m.Type.String(), m.Code().String()
		if p, ok := m.parameters(); ok {
			if got := p.AppendTo(nil); !bytes.Equal(got, m.Data) {
				t.Errorf("parameters % X became % X", m.Data, got)
			}
		}
	})
}

func FuzzParseNotifications(f *testing.F) {
	f.Add(unhex(f, "50 03"), byte(1))
	f.Add(unhex(f, "50 0C 02 51 00 2A 01"), byte(8))
	f.Fuzz(func(t *testing.T, b []byte, n byte) {
		slots := int(n%16) + 1
		count := 0
		parseNotifications(b, slots, func(n notification) {
			count++
			if n.slot < 0 || n.slot >= slots {
				t.Errorf("slot %d of %d", n.slot, slots)
			}
		})
		if count > 4*len(b) {
			t.Errorf("%d notifications from %d bytes", count, len(b))
		}
	})
}

func FuzzParseList(f *testing.F) {
	f.Add(unhex(f, "00 2A 00 00 09 3D 00 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list := parseList(b)
		if len(list) > len(b)/4 {
			t.Errorf("%d entries from %d bytes", len(list), len(b))
		}
		for i, v := range list {
			if v == 0 || i > 0 && v <= list[i-1] {
				t.Errorf("list %v", list)
			}
		}
	})
}

// FuzzStream feeds whatever to the reading side: no message may be delivered
// that was not asked for, none longer than declared, and it has to end.
func FuzzStream(f *testing.F) {
	f.Add(unhex(f, "80 02 00 00 00 00 05 00 00 00 90 00"))
	f.Add(unhex(f, "80 FF FF FF FF 00 05 00 00 00 90 00"))
	f.Add(unhex(f, "80 02 00 00 00 07 05 00 00 00 90 00"))
	f.Add(append(unhex(f, "80 36 00 00 00 00 04 00 00 00"), make([]byte, 54+20)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &Reader{ifc: bulkInterface(kaztokenClass()), desc: kaztokenClass(), config: newConfig(nil)}
		r.slots = []*Slot{newSlot(r, 0)}
		l := newBulkLink(r)
		l.pending[0] = pending{active: true, seq: 5}
		for len(b) > 0 {
			n := copy(l.rx[l.have:], b[:min(len(b), 128)])
			b = b[n:]
			if l.have += n; l.have == 0 {
				break
			}
			whole, err := l.whole()
			if err != nil {
				return
			}
			if !whole {
				continue
			}
			if l.deliver() != nil {
				return
			}
			if p, ok := l.collect(r.slots[0]); ok && p.answered {
				if p.n > 271 || r.slots[0].rx[6] != 5 || r.slots[0].rx[5] != 0 {
					t.Fatalf("delivered % X", r.slots[0].rx[:p.n])
				}
				return
			}
		}
	})
}

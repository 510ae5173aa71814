package usb

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestParseClassDescriptorRepairs(t *testing.T) {
	tpdu := with(rutoken, 40, "30 00 01 00")
	tests := []struct {
		name   string
		raw    string
		say    string // start of the one repair
		change func(*ClassDescriptor)
	}{
		{"nothing to repair", rutoken, "", func(*ClassDescriptor) {}},
		{"17 slots", with(with(rutoken, 4, "10"), 53, "10"), "bMaxSlotIndex 16: only 16 slots", func(d *ClassDescriptor) { d.MaxSlotIndex, d.MaxBusySlots = 15, 16 }},
		{"127 slots", with(rutoken, 4, "7F"), "bMaxSlotIndex 127: only 16 slots", func(d *ClassDescriptor) { d.MaxSlotIndex = 15 }},
		{"no busy slot", with(rutoken, 53, "00"), "bMaxCCIDBusySlots 0: taken as 1", func(d *ClassDescriptor) {}},
		{"2 slots, 5 busy", with(with(rutoken, 4, "01"), 53, "05"), "bMaxCCIDBusySlots 5: there are only 2", func(d *ClassDescriptor) { d.MaxSlotIndex, d.MaxBusySlots = 1, 2 }},
		{"message length FFFFFFFF", with(rutoken, 44, "FF FF FF FF"), "dwMaxCCIDMessageLength 4294967295: taken as 65556", func(d *ClassDescriptor) { d.MaxMessageLength = 65556 }},
		{"message length 65556", with(rutoken, 44, "14 00 01 00"), "", func(d *ClassDescriptor) { d.MaxMessageLength = 65556 }},
		{"message length 64", with(rutoken, 44, "40 00 00 00"), "", func(d *ClassDescriptor) { d.MaxMessageLength = 64 }},
		{"three levels", with(rutoken, 40, "40 08 07 00"), "dwFeatures 00070840 names several exchange levels: the highest is used, extended APDU", func(d *ClassDescriptor) { d.Features = 0x00040840 }},
		{"two levels", with(rutoken, 40, "40 08 03 00"), "dwFeatures 00030840 names several", func(d *ClassDescriptor) { d.Features = 0x00020840 }},
		{"two ways of negotiation", with(rutoken, 40, "C0 08 02 00"), "dwFeatures 000208C0 has both", func(d *ClassDescriptor) { d.Features = 0x00020840 }},
		{"no protocol", with(rutoken, 6, "00 00 00 00"), "dwProtocols 0x0 names neither", func(d *ClassDescriptor) { d.Protocols = 3 }},
		{"reserved protocols only", with(rutoken, 6, "04 00 00 00"), "dwProtocols 0x4 names neither", func(d *ClassDescriptor) { d.Protocols = 7 }},
		{"no voltage", with(rutoken, 5, "08"), "bVoltageSupport 0x08 names no voltage", func(d *ClassDescriptor) { d.Voltages = 8 }},
		{"no clock", with(rutoken, 10, "00 00 00 00 FC 0D 00 00"), "dwDefaultClock 0 kHz: taken as 4000", func(d *ClassDescriptor) { d.DefaultClock, d.MaximumClock = 4000, 4000 }},
		{"clock of 20001 kHz", with(rutoken, 10, "21 4E 00 00 21 4E 00 00"), "dwDefaultClock 20001 kHz: taken as 4000", func(d *ClassDescriptor) { d.DefaultClock, d.MaximumClock = 4000, 20001 }},
		{"clock in Hz", with(rutoken, 10, "00 09 3D 00 00 12 7A 00"), "dwDefaultClock 4000000: taken as Hz", func(d *ClassDescriptor) { d.DefaultClock, d.MaximumClock = 4000, 8000 }},
		{"absurd clock", with(rutoken, 10, "FF FF FF FF FF FF FF FF"), "dwDefaultClock 4294967295: taken as Hz", func(d *ClassDescriptor) { d.DefaultClock, d.MaximumClock = 4000, 4000 }},
		{"maximum clock 0", with(rutoken, 14, "00 00 00 00"), "dwMaximumClock 0 kHz is below the default", func(d *ClassDescriptor) {}},
		{"maximum rate below the default", with(rutoken, 23, "01 00 00 00"), "dwMaxDataRate 1 bit/s is below the default", func(d *ClassDescriptor) {}},
		{"IFSD 0 at TPDU level", with(tpdu, 28, "00 00 00 00"), "dwMaxIFSD 0: taken as 254", func(d *ClassDescriptor) { d.Features = 0x00010030 }},
		{"IFSD 261 at TPDU level", with(tpdu, 28, "05 01 00 00"), "dwMaxIFSD 261: taken as 254", func(d *ClassDescriptor) { d.Features = 0x00010030 }},
		{"IFSD 0 and short messages", with(with(tpdu, 28, "00 00 00 00"), 44, "40 00 00 00"), "dwMaxIFSD 0: taken as 49", func(d *ClassDescriptor) {
			d.Features, d.MaxIFSD, d.MaxMessageLength = 0x00010030, 49, 64
		}},
		{"IFSD 0 at APDU level", with(rutoken, 28, "00 00 00 00"), "", func(d *ClassDescriptor) { d.MaxIFSD = 0 }},
		{"IFSD 0 with T=0 alone", with(with(tpdu, 6, "01"), 28, "00 00 00 00"), "", func(d *ClassDescriptor) {
			d.Features, d.Protocols, d.MaxIFSD = 0x00010030, 1, 0
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, _, err := ParseClassDescriptor(unhex(t, rutoken))
			if err != nil {
				t.Fatal(err)
			}
			tt.change(&want)
			got, repairs, err := ParseClassDescriptor(unhex(t, tt.raw))
			if err != nil || got != want {
				t.Errorf("got %+v, %v\nwant %+v", got, err, want)
			}
			if tt.say == "" && len(repairs) > 0 || tt.say != "" && (len(repairs) == 0 || !strings.HasPrefix(repairs[0], tt.say)) {
				t.Errorf("repairs: got %q, want %q", repairs, tt.say)
			}
		})
	}
}

func TestParseClassDescriptorRefuses(t *testing.T) {
	for name, raw := range map[string]string{
		"nothing":         "",
		"one byte":        "36",
		"short data":      first(53, rutoken),
		"bLength 35":      with(rutoken, 0, "23"),
		"another type":    with(rutoken, 1, "24"),
		"type FF, longer": with(rutoken, 0, "37 FF") + "00",
		"type FF, bits":   with(with(rutoken, 1, "FF"), 52, "04"),
		"128 slots":       with(rutoken, 4, "80"),
		"message of 63":   with(rutoken, 44, "3F 00 00 00"),
	} {
		if d, _, err := ParseClassDescriptor(unhex(t, raw)); !errors.Is(err, ErrDescriptor) {
			t.Errorf("%s: got %+v, %v, want %v", name, d, err, ErrDescriptor)
		}
	}
}

func checkReader(t *testing.T, d ClassDescriptor) {
	t.Helper()
	if d.MaxSlotIndex > 15 || d.MaxBusySlots < 1 || int(d.MaxBusySlots) > d.Slots() ||
		d.Protocols&3 == 0 || d.DefaultClock < 1 || d.DefaultClock > 20000 || d.MaximumClock < d.DefaultClock ||
		d.MaxDataRate < d.DataRate || d.MaxMessageLength < 64 || d.MaxMessageLength > 65556 ||
		d.Features.Has(AutoNegotiation|AutoPPS) {
		t.Fatalf("out of bounds: %+v", d)
	}
	if l := d.Features.Level(); d.Features&levelBits != l.bit() || l <= TPDU && d.Protocols&2 != 0 && (d.MaxIFSD < 1 || d.MaxIFSD > 254) {
		t.Fatalf("level %v: %+v", l, d)
	}
}

func FuzzParseClassDescriptor(f *testing.F) {
	for _, r := range readers {
		f.Add(unhex(f, r.raw))
	}
	f.Add(unhex(f, with(with(rutoken, 1, "FF"), 44, "FF FF FF FF")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, repairs, err := ParseClassDescriptor(raw)
		if err != nil {
			if !errors.Is(err, ErrDescriptor) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		checkReader(t, d)
		again := d.AppendTo(nil)
		if len(repairs) == 0 && !bytes.Equal(again[2:], raw[2:54]) {
			t.Fatalf("encoded: got % X, want % X", again, raw[:54])
		}
		if back, _, err := ParseClassDescriptor(again); err != nil || back != d {
			t.Fatalf("round trip: got %+v, %v, want %+v", back, err, d)
		}
	})
}

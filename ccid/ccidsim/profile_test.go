package ccidsim_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
	"kaztoken/usb/usbip"
)

var _ usbip.Device = (*ccidsim.Device)(nil)

// newDevice makes a device of a profile with a card that suits it in every slot.
func newDevice(p ccidsim.Profile) *ccidsim.Device {
	var cards []ccidsim.Card
	for range p.Interface.Reader.Slots() {
		cards = append(cards, emu.New(emu.WithATR(p.ATR)))
	}
	return ccidsim.New(p, cards...)
}

// The class descriptors that the real devices publish.
func TestPublishedDescriptors(t *testing.T) {
	tests := []struct {
		profile ccidsim.Profile
		want    string
	}{
		{ccidsim.KAZTOKEN, "36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00" +
			"00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 40 08 02 00 0F 01 00 00 FF FF 00 00 00 01"},
		{ccidsim.RutokenECP, "36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00" +
			"00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 40 08 02 00 0F 01 00 00 FF FF 00 00 00 01"},
		{ccidsim.TPDUT1LRC, "36 21 00 01 00 07 03 00 00 00 A0 0F 00 00 A0 0F 00 00" +
			"00 00 2A 00 00 16 40 05 00 00 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 30 02 01 00 0F 01 00 00 00 00 00 00 00 01"},
		{ccidsim.TPDUT1CRC, "36 21 10 01 00 03 03 00 00 00 A0 0F 00 00 A0 0F 00 00" +
			"01 00 2A 00 00 90 D0 03 00 06 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 00 00 01 00 0F 01 00 00 00 00 00 00 00 01"},
		{ccidsim.Character, "36 21 00 01 00 03 03 00 00 00 A0 0F 00 00 A0 0F 00 00" +
			"00 80 25 00 00 00 B0 04 00 00 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 30 00 00 00 0F 01 00 00 00 00 00 00 00 01"},
		{ccidsim.ExtendedChaining, "36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00" +
			"01 80 25 00 00 80 25 00 00 01 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 42 00 04 00 40 00 00 00 FF FF 00 00 00 01"},
		{ccidsim.ICCDA, "36 21 10 01 00 01 01 00 00 00 FC 0D 00 00 FC 0D 00 00" +
			"00 80 25 00 00 80 25 00 00 00 00 00 00 00 00 00 00 00" +
			"00 00 00 00 40 08 00 00 00 01 00 00 FF FF 00 00 00 01"},
		{ccidsim.ICCDB, "36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00" +
			"00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00" +
			"00 00 00 00 40 08 02 00 05 01 00 00 FF FF 00 00 00 01"},
	}
	for _, tt := range tests {
		t.Run(tt.profile.Name, func(t *testing.T) {
			raw := newDevice(tt.profile).Info().Descriptors
			at := 18 + 9 + 9
			if tt.profile.ClassLast {
				at = len(raw) - 54
			}
			if err := same(raw[at:at+54], unhex(t, tt.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// The whole KAZTOKEN, byte for byte.
func TestKAZTOKENDescriptors(t *testing.T) {
	info := kaztoken().Info()
	want := unhex(t, "12 01 00 02 00 00 00 40 89 0A 35 00 00 01 01 02 00 01"+
		"09 02 56 00 01 01 00 80 32"+
		"09 04 00 00 02 0B 00 00 00"+
		"36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00"+
		"00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00"+
		"00 00 00 00 40 08 02 00 0F 01 00 00 FF FF 00 00 00 01"+
		"07 05 01 02 40 00 00"+
		"07 05 82 02 40 00 00")
	if err := same(info.Descriptors, want); err != nil {
		t.Error(err)
	}
	if info.Manufacturer != "DigiFlow LLP." || info.ProductName != "KAZTOKEN" || info.Serial != "" {
		t.Errorf("got strings %q, %q, %q", info.Manufacturer, info.ProductName, info.Serial)
	}
	talk(t, kaztoken().Pipe(), `
		c 80 06 00 01 00 00 12 00 < 12 01 00 02 00 00 00 40 89 0A 35 00 00 01 01 02 00 01
		c 80 06 00 02 00 00 09 00 < 09 02 56 00 01 01 00 80 32
		c 80 06 02 03 09 04 FF 00 < 12 03 4B 00 41 00 5A 00 54 00 4F 00 4B 00 45 00 4E 00
		c 80 06 03 03 09 04 FF 00 !
		c 02 01 00 00 82 00 00 00
		c 01 0B 00 00 00 00 00 00`)
}

// What package usb makes of the descriptors is what the profile meant.
func TestProfilesParse(t *testing.T) {
	names := map[string]bool{}
	for _, p := range ccidsim.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			if names[p.Name] {
				t.Error("name used twice")
			}
			names[p.Name] = true
			d := newDevice(p)
			all, err := d.Info().Interfaces()
			if err != nil || len(all) != 1 {
				t.Fatalf("got %d interfaces, %v", len(all), err)
			}
			got, want := all[0], p.Interface
			want.Configuration, want.Alternates = 1, 1
			want.Kind = usb.Kind(p.Interface.Protocol)
			// Lies that the parser repairs.
			want.Reader, got.Repairs = got.Reader, nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if got, want := got.Reader.Features, p.Interface.Reader.Features; got != want {
				t.Errorf("features %v, want %v", got, want)
			}
			atr, err := iso7816.ParseATR(p.ATR)
			if err != nil || atr.Warning() != nil {
				t.Errorf("ATR %v: %v, %v", atr, err, atr.Warning())
			}
			if !hasProtocol(p, atr.Default()) {
				t.Errorf("the card's %v is not among the reader's protocols", atr.Default())
			}
		})
	}
}

func hasProtocol(p ccidsim.Profile, want iso7816.Protocol) bool {
	return p.Interface.Reader.Protocols&(1<<want) != 0
}

func TestNewPanics(t *testing.T) {
	for name, f := range map[string]func(){
		"too many cards":      func() { ccidsim.New(ccidsim.KAZTOKEN, emu.New(), emu.New()) },
		"token without card":  func() { ccidsim.New(ccidsim.KAZTOKEN) },
		"card built in":       func() { kaztoken().RemoveCard(0) },
		"slot with two cards": func() { kaztoken().InsertCard(0, emu.New()) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

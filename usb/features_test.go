package usb

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFeatures(t *testing.T) {
	tests := []struct {
		f      Features
		level  Level
		string string
		words  []string
	}{
		{0x00000030, Character, "00000030", []string{"character level exchange", "automatic clock frequency change", "automatic bit rate change"}},
		{0x00010000, TPDU, "00010000", []string{"TPDU level exchange"}},
		{0x00020840, ShortAPDU, "00020840", []string{"short APDU level exchange", "automatic parameter negotiation", "only requests valid for a USB-ICC"}},
		{0x0014078E, ExtendedAPDU, "0014078E", []string{
			"extended APDU level exchange", "automatic parameter configuration from the ATR",
			"automatic activation of the card on insertion", "automatic voltage selection", "automatic PPS",
			"card clock can be stopped", "NAD other than 00 accepted", "automatic IFSD exchange",
			"USB wake-up on insertion and removal",
		}},
		{0x80010001, TPDU, "80010001", []string{"TPDU level exchange", "reserved bits 80000001"}},
		{0x00070000, ExtendedAPDU, "00070000", []string{"extended APDU level exchange"}},
	}
	for _, tt := range tests {
		if l := tt.f.Level(); l != tt.level {
			t.Errorf("%v: level: got %v, want %v", tt.f, l, tt.level)
		}
		if s := tt.f.String(); s != tt.string {
			t.Errorf("got %q, want %q", s, tt.string)
		}
		if d := cmp.Diff(tt.words, tt.f.Words()); d != "" {
			t.Errorf("%v: words (-want +got):\n%s", tt.f, d)
		}
	}
}

func TestStrings(t *testing.T) {
	for got, want := range map[string]string{
		Level(7).String(): "Level(7)",
		CCID.String():     "CCID",
		ICCDA.String():    "ICCD version A",
		ICCDB.String():    "ICCD version B",
		Kind(3).String():  "Kind(3)",
		kaztoken.String(): "0a89:0035",
		Info{Bus: 1, Addr: 4, Vendor: 0x0A89, Product: 0x35}.String(): "bus 1 device 4 (0a89:0035)",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

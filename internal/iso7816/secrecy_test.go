package iso7816_test

import (
	"testing"

	"kaztoken/internal/iso7816"
)

func TestSecrecy(t *testing.T) {
	carries := map[byte]bool{0x20: true, 0x21: true, 0x24: true, 0x25: true, 0x2C: true, 0x2D: true}
	for ins := range 256 {
		if got := iso7816.CarriesSecret(byte(ins)); got != carries[byte(ins)] {
			t.Errorf("INS %02X carries a secret: %v", ins, got)
		}
	}
	for _, c := range []struct {
		ins, p1      byte
		before, want bool
	}{
		{0x2A, 0x80, false, true},
		{0x2A, 0x9E, true, false},
		{0xC0, 0x00, true, true},
		{0xC0, 0x80, false, false},
		{0xB0, 0x80, true, false},
	} {
		if got := iso7816.BringsSecret(c.ins, c.p1, c.before); got != c.want {
			t.Errorf("INS %02X P1 %02X after a secret %v: %v, want %v", c.ins, c.p1, c.before, got, c.want)
		}
	}
}

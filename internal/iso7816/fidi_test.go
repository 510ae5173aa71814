package iso7816

import (
	"math"
	"math/big"
	"testing"
)

// ISO 7816-3:2006 tables 7 and 8; the reserved values as F=372, D=1.
func TestFiDiTables(t *testing.T) {
	f := [16]int{372, 372, 558, 744, 1116, 1488, 1860, 372, 372, 512, 768, 1024, 1536, 2048, 372, 372}
	m := [16]int{4000, 5000, 6000, 8000, 12000, 16000, 20000, 5000, 5000, 5000, 7500, 10000, 15000, 20000, 5000, 5000}
	d := [16]int{1, 1, 2, 4, 8, 16, 32, 64, 12, 20, 1, 1, 1, 1, 1, 1}
	for i := range byte(16) {
		if F(i) != f[i] || FMax(i) != m[i] || D(i) != d[i] {
			t.Errorf("index %X: got F=%d, f max=%d, D=%d, want %d, %d, %d", i, F(i), FMax(i), D(i), f[i], m[i], d[i])
		}
	}
}

func TestRate(t *testing.T) {
	for _, r := range []struct {
		fidi    byte
		khz4000 uint32
		khz3580 uint32
	}{
		{0x11, 10752, 9623},
		{0x13, 43010, 38494},
		{0x18, 129032, 115483},
		{0x94, 62500, 55937},
		{0x95, 125000, 111875},
		{0x96, 250000, 223750},
		{0x97, 500000, 447500},
		{0x38, 64516, 57741},
	} {
		if got := Rate(r.fidi, 4000); got != r.khz4000 {
			t.Errorf("%02X at 4000 kHz: got %d want %d", r.fidi, got, r.khz4000)
		}
		if got := Rate(r.fidi, 3580); got != r.khz3580 {
			t.Errorf("%02X at 3580 kHz: got %d want %d", r.fidi, got, r.khz3580)
		}
	}
}

func TestNanoseconds(t *testing.T) {
	for _, r := range []struct {
		n     uint32
		fidi  byte
		clock uint32
		want  int64
	}{
		{1, 0x11, 3580, 103_911},              // 372/3580 ms = 103910.6… ns
		{1, 0x11, 4000, 93_000},               // exact
		{11 + 1<<13, 0x11, 4000, 762_879_000}, // CWT by default
		{9600, 0x11, 4000, 892_800_000},       // WWT by default, initial waiting time
		{1, 0x97, 4000, 2_000},                // 512/64 clocks
		{1, 0x11, 0, 0},                       // clock not known
		{0, 0x11, 4000, 0},
		{math.MaxUint32, 0xD1, 1, math.MaxUint32 * 2048 * 1_000_000},
		{math.MaxUint32, 0xD1, math.MaxUint32, 2048 * 1_000_000},
	} {
		if got := Nanoseconds(r.n, r.fidi, r.clock); got != r.want {
			t.Errorf("%d etu, %02X, %d kHz: got %d want %d", r.n, r.fidi, r.clock, got, r.want)
		}
	}
}

// The arithmetic agrees with that of unbounded integers.
func FuzzTiming(f *testing.F) {
	f.Add(uint32(1), byte(0x11), uint32(3580))
	f.Add(uint32(math.MaxUint32), byte(0xD1), uint32(1))
	f.Fuzz(func(t *testing.T, n uint32, fidi byte, clock uint32) {
		if clock == 0 {
			return
		}
		num := big.NewInt(int64(n))
		num.Mul(num, big.NewInt(int64(F(fidi>>4))*1_000_000))
		den := big.NewInt(int64(clock))
		den.Mul(den, big.NewInt(int64(D(fidi&0xF))))
		num.Add(num, den).Sub(num, big.NewInt(1)).Div(num, den)
		if got := Nanoseconds(n, fidi, clock); big.NewInt(got).Cmp(num) != 0 {
			t.Errorf("Nanoseconds(%d, %02X, %d): got %d want %v", n, fidi, clock, got, num)
		}
		rate := big.NewInt(int64(clock) * 1000)
		rate.Mul(rate, big.NewInt(int64(D(fidi&0xF)))).Div(rate, big.NewInt(int64(F(fidi>>4))))
		if got := Rate(fidi, clock); uint64(got) != min(rate.Uint64(), math.MaxUint32) {
			t.Errorf("Rate(%02X, %d): got %d want %v", fidi, clock, got, rate)
		}
	})
}

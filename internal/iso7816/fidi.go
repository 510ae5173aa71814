package iso7816

import "math"

// DefaultFiDi codes F = 372 and D = 1, in force after every reset in
// negotiable mode (ISO 7816-3:2006 §8.3).
const DefaultFiDi = 0x11

// clockRates is ISO 7816-3:2006 table 7: F, and the highest clock in kHz.
// A zero F is reserved for future use.
var clockRates = [16]struct{ f, max int }{
	0x0: {372, 4000}, 0x1: {372, 5000}, 0x2: {558, 6000}, 0x3: {744, 8000},
	0x4: {1116, 12000}, 0x5: {1488, 16000}, 0x6: {1860, 20000},
	0x9: {512, 5000}, 0xA: {768, 7500}, 0xB: {1024, 10000}, 0xC: {1536, 15000}, 0xD: {2048, 20000},
}

// baudRates is ISO 7816-3:2006 table 8: D. Zero is reserved for future use.
var baudRates = [16]int{1: 1, 2: 2, 3: 4, 4: 8, 5: 16, 6: 32, 7: 64, 8: 12, 9: 20}

// F is the clock rate conversion integer of an index, the high nibble of TA1
// or PPS1. Reserved values give 372.
func F(index byte) int {
	if f := clockRates[index&0xF].f; f != 0 {
		return f
	}
	return 372
}

// FMax is the highest clock that goes with an index of F, in kHz. Reserved
// values give 5000, as the default index 1 does.
func FMax(index byte) int {
	if m := clockRates[index&0xF].max; m != 0 {
		return m
	}
	return 5000
}

// D is the baud rate adjustment integer of an index, the low nibble of TA1 or
// PPS1. Reserved values give 1.
func D(index byte) int {
	if d := baudRates[index&0xF]; d != 0 {
		return d
	}
	return 1
}

func fiDiKnown(fidi byte) bool { return clockRates[fidi>>4].f != 0 && baudRates[fidi&0xF] != 0 }

// Rate is the bit rate f·D/F that fidi (Fi high nibble, Di low) gives at a
// clock in kHz, in bit/s, rounded down. It stops at the largest uint32.
func Rate(fidi byte, clock uint32) uint32 {
	rate := uint64(clock) * 1000 * uint64(D(fidi&0xF)) / uint64(F(fidi>>4))
	return uint32(min(rate, math.MaxUint32))
}

// Nanoseconds is how long n elementary time units of F/(D·f) last at a clock in
// kHz, rounded up so that a wait made of it is never too short. A clock of 0 is
// not known and gives 0.
func Nanoseconds(n uint32, fidi byte, clock uint32) int64 {
	if clock == 0 {
		return 0
	}
	// n·F·10⁶ is below 2⁶³ for the largest F, 2048.
	num := uint64(n) * uint64(F(fidi>>4)) * 1_000_000
	den := uint64(D(fidi&0xF)) * uint64(clock)
	return int64((num + den - 1) / den)
}

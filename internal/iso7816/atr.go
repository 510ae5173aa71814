package iso7816

import (
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// MaxATR is the longest answer to reset: TS and 32 characters, ISO
// 7816-3:2006 §8.2.1.
const MaxATR = 33

// ErrATR says that bytes are no answer to reset at all: T0 is missing.
var ErrATR = errors.New("no answer to reset")

// ATR is an answer to reset, ISO 7816-3:2006 §8. It owns its bytes, is never
// changed after [ParseATR], and two of them compare with ==. The zero value
// stands for "no ATR": it has no bytes and every default of the standard.
type ATR struct {
	raw  [MaxATR]byte
	n    uint8 // bytes of raw in use
	hist uint8 // offset of the historical bytes
	k    uint8 // their number, after truncation
	tck  uint8 // offset of TCK, 0 if the ATR has none

	undecoded bool // raw is in direct convention, the card speaks inverse
	fault     ATRFault
}

// ATRFault is a set of ways in which an ATR breaks the standard and is usable
// all the same. It is the error that [ATR.Warning] returns.
type ATRFault byte

// The faults.
const (
	FaultTS       ATRFault = 1 << iota // TS is none of 3B, 3F, 03
	FaultMissing                       // it ends before T0 and the TD bytes say it would
	FaultTCK                           // the check byte is wrong
	FaultTrailing                      // bytes behind the grammatical end
	FaultTooLong                       // more than 33 bytes came; 33 are kept
	FaultReserved                      // an interface byte has a value that is reserved for future use
)

var atrFaultWords = [...]string{
	"unknown initial character TS",
	"bytes missing",
	"wrong check byte TCK",
	"bytes behind the end",
	"more than 33 bytes",
	"reserved value in an interface byte",
}

// Error names every fault of the set.
func (f ATRFault) Error() string {
	var w []string
	for i, s := range atrFaultWords {
		if f&(1<<i) != 0 {
			w = append(w, s)
		}
	}
	return "irregular ATR: " + strings.Join(w, ", ")
}

// Is matches a target that is an ATRFault with no fault outside f: so
// errors.Is(err, FaultTCK) asks for one of them.
func (f ATRFault) Is(target error) bool {
	t, ok := target.(ATRFault)
	return ok && t != 0 && f&t == t
}

// ParseATR reads an answer to reset as a reader delivers it. It is tolerant:
// an ATR that breaks the grammar is kept whole, what can be read of it is read,
// and [ATR.Warning] says what is wrong. Only fewer than two bytes, which lack
// T0, are refused, with [ErrATR].
//
// A TS of 03 is a 3F that the reader did not decode. Where the rest makes
// sense only after decoding it too, it is decoded for the accessors;
// [ATR.Bytes] is always what came.
func ParseATR(b []byte) (ATR, error) {
	if len(b) < 2 {
		return ATR{}, fmt.Errorf("%w: %d bytes", ErrATR, len(b))
	}
	var a ATR
	a.n = uint8(copy(a.raw[:], b))
	if len(b) > MaxATR {
		a.fault = FaultTooLong
	}
	asIs := a
	asIs.parse()
	if a.raw[0] == 0x03 && asIs.fault != 0 {
		a.undecoded = true
		if a.parse(); a.fault == 0 {
			return a, nil
		}
	}
	return asIs, nil
}

// parse finds the parts of a and adds to its faults.
func (a *ATR) parse() {
	switch a.raw[0] {
	case 0x3B, 0x3F, 0x03:
	default:
		a.fault |= FaultTS
	}
	end := 2
	check := false // a TD names a protocol other than T=0
	for ib, whole := range a.interfaceBytes() {
		if !whole {
			a.fault |= FaultMissing
			break
		}
		end++
		check = check || ib.Kind == 'D' && ib.Value&0xF != 0
		if ib.reserved() {
			a.fault |= FaultReserved
		}
	}
	k := int(a.at(1) & 0xF)
	if have := int(a.n) - end; k > have {
		a.fault |= FaultMissing
		k = have
	}
	a.hist, a.k = uint8(end), uint8(k)
	end += k
	if check {
		if end == int(a.n) {
			a.fault |= FaultMissing
		} else {
			a.tck = uint8(end)
			end++
			var sum byte
			for i := 1; i < end; i++ {
				sum ^= a.at(i)
			}
			if sum != 0 {
				a.fault |= FaultTCK
			}
		}
	}
	if end < int(a.n) {
		a.fault |= FaultTrailing
	}
}

// at gives byte i, decoded.
func (a *ATR) at(i int) byte {
	if a.undecoded {
		return inverted[a.raw[i]]
	}
	return a.raw[i]
}

// inverted maps a byte sampled in direct convention to the one meant in inverse
// convention: all bits complemented, their order reversed. 03 becomes 3F.
var inverted = func() (t [256]byte) {
	for i := range t {
		for bit := range 8 {
			if i&(1<<bit) == 0 {
				t[i] |= 0x80 >> bit
			}
		}
	}
	return t
}()

// InterfaceByte is one of TA(i), TB(i), TC(i), TD(i).
type InterfaceByte struct {
	Kind  byte // 'A' to 'D'
	Group int  // i, from 1
	Value byte

	// Protocol is the T that the TD of the group before names: it says what
	// TA, TB and TC of groups 3 and up are for. It is 0 in group 1.
	Protocol Protocol
	// First marks the first byte of its kind for its protocol in groups 3 and
	// up. Later ones have no meaning.
	First bool
}

// Name is the name in the standard: "TA1".
func (ib InterfaceByte) Name() string { return fmt.Sprintf("T%c%d", ib.Kind, ib.Group) }

// is reports whether ib is the first byte of the kind that is specific to
// protocol p.
func (ib InterfaceByte) is(kind byte, p Protocol) bool {
	return ib.First && ib.Kind == kind && ib.Protocol == p
}

// reserved reports a value that the standard keeps for future use and that the
// accessors replace.
func (ib InterfaceByte) reserved() bool {
	switch {
	case ib.Kind == 'A' && ib.Group == 1:
		return !fiDiKnown(ib.Value)
	case ib.Kind == 'C' && ib.Group == 2:
		return ib.Value == 0
	case ib.is('A', T1):
		return ib.Value == 0 || ib.Value == 0xFF
	case ib.is('B', T1):
		return ib.Value>>4 > maxBWI
	case ib.is('C', T1):
		return ib.Value > 1
	}
	return false
}

// InterfaceBytes yields the interface bytes that are there, in their order.
func (a ATR) InterfaceBytes() iter.Seq[InterfaceByte] {
	return func(yield func(InterfaceByte) bool) {
		for ib, whole := range a.interfaceBytes() {
			if !whole || !yield(ib) {
				return
			}
		}
	}
}

// interfaceBytes yields with false, and ends, where a byte is announced and
// missing.
func (a *ATR) interfaceBytes() iter.Seq2[InterfaceByte, bool] {
	return func(yield func(InterfaceByte, bool) bool) {
		if a.n < 2 {
			return
		}
		y, protocol := a.at(1)>>4, Protocol(0)
		var seen [16]byte // per protocol: the kinds met in groups 3 and up
		next := 2
		for group := 1; y != 0; group++ {
			present := y
			y = 0
			for i := range 4 {
				bit := byte(1) << i
				if present&bit == 0 {
					continue
				}
				ib := InterfaceByte{Kind: 'A' + byte(i), Group: group, Protocol: protocol}
				if next >= int(a.n) {
					yield(ib, false)
					return
				}
				ib.Value = a.at(next)
				next++
				if group >= 3 && ib.Kind != 'D' && seen[protocol]&bit == 0 {
					ib.First = true
					seen[protocol] |= bit
				}
				if !yield(ib, true) {
					return
				}
				if ib.Kind == 'D' {
					y, protocol = ib.Value>>4, Protocol(ib.Value&0xF)
				}
			}
		}
	}
}

// find gives the value of the first interface byte that match accepts.
func (a *ATR) find(match func(InterfaceByte) bool) (byte, bool) {
	for ib, whole := range a.interfaceBytes() {
		if whole && match(ib) {
			return ib.Value, true
		}
	}
	return 0, false
}

// global finds the byte of the kind in group 1 or 2, whose meaning hangs on
// the group alone.
func (a *ATR) global(kind byte, group int) (byte, bool) {
	return a.find(func(ib InterfaceByte) bool { return ib.Kind == kind && ib.Group == group })
}

// specific finds the first byte of the kind for protocol p in groups 3 and up.
func (a *ATR) specific(kind byte, p Protocol) (byte, bool) {
	return a.find(func(ib InterfaceByte) bool { return ib.is(kind, p) })
}

// Bytes is a copy of the ATR as it came, at most [MaxATR] bytes.
func (a ATR) Bytes() []byte { return slices.Clone(a.raw[:a.n]) }

// IsZero reports whether a holds no ATR.
func (a ATR) IsZero() bool { return a.n == 0 }

// Warning is nil for an ATR by the book, else an [ATRFault].
func (a ATR) Warning() error {
	if a.fault == 0 {
		return nil
	}
	return a.fault
}

// Protocols lists what can be selected, the default first, each once: the
// protocols that the TD bytes offer, or, in specific mode, only that of TA2. It
// is never empty: no TD means T=0.
func (a ATR) Protocols() []Protocol {
	if p, _, ok := a.Specific(); ok {
		return []Protocol{p}
	}
	return a.offered()
}

// offered lists the protocols of the TD bytes, T=15 left out.
func (a *ATR) offered() []Protocol {
	var ps []Protocol
	for ib, whole := range a.interfaceBytes() {
		p := Protocol(ib.Value & 0xF)
		if whole && ib.Kind == 'D' && p != globalT && !slices.Contains(ps, p) {
			ps = append(ps, p)
		}
	}
	if ps == nil {
		ps = []Protocol{T0}
	}
	return ps
}

// globalT qualifies interface bytes that hold for every protocol; it is not a
// protocol (ISO 7816-3:2006 §8.2.3).
const globalT Protocol = 15

// Default is the protocol in force after the reset: the first offered, or the
// one of TA2.
func (a ATR) Default() Protocol { return a.Protocols()[0] }

// Offers reports whether p is in Protocols.
func (a ATR) Offers(p Protocol) bool { return slices.Contains(a.Protocols(), p) }

// Specific reports specific mode (TA2 present, ISO 7816-3:2006 §6.3.1 and
// §8.3): the card starts with protocol p and takes no PPS. With implicit, the
// parameters in force are not those of TA1 but known only to the card's maker.
func (a ATR) Specific() (p Protocol, implicit, ok bool) {
	v, ok := a.global('A', 2)
	return Protocol(v & 0xF), v&0x10 != 0, ok
}

// CanChangeMode reports whether a warm reset may bring a card in specific mode
// to negotiable mode (TA2, bit 8 clear). It is true in negotiable mode.
func (a ATR) CanChangeMode() bool {
	v, _ := a.global('A', 2)
	return v&0x80 == 0
}

// FiDi is TA1, Fi in the high nibble and Di in the low one: the fastest that
// the card offers, or in specific mode what it uses. Default 11.
func (a ATR) FiDi() byte {
	if v, ok := a.global('A', 1); ok {
		return v
	}
	return DefaultFiDi
}

// ExtraGuardTime is TC1, N in etu; default 0. FF means the least: 12 etu
// between characters in T=0, 11 in T=1.
func (a ATR) ExtraGuardTime() byte {
	v, _ := a.global('C', 1)
	return v
}

// WI is the waiting time integer of T=0 (TC2), 1 to 255; default 10. The
// reserved 0 reads as 10.
func (a ATR) WI() byte {
	if v, _ := a.global('C', 2); v != 0 {
		return v
	}
	return defaultWI
}

// IFSC is the largest information field the card takes in T=1, 1 to 254;
// default 32. The reserved 00 reads as 32, FF as 254.
func (a ATR) IFSC() int {
	switch v, _ := a.specific('A', T1); v {
	case 0:
		return defaultIFSC
	case 0xFF:
		return 254
	default:
		return int(v)
	}
}

// BWI is the block waiting integer of T=1, 0 to 9; default 4. Reserved values
// read as 9, the longest: waiting too long harms less than giving up early.
func (a ATR) BWI() byte {
	if v, ok := a.specific('B', T1); ok {
		return min(v>>4, maxBWI)
	}
	return defaultBWI
}

// CWI is the character waiting integer of T=1, 0 to 15; default 13.
func (a ATR) CWI() byte {
	if v, ok := a.specific('B', T1); ok {
		return v & 0xF
	}
	return defaultCWI
}

// CRC reports that T=1 blocks end with a CRC instead of an LRC.
func (a ATR) CRC() bool {
	v, _ := a.specific('C', T1)
	return v&1 != 0
}

// Defaults of ISO 7816-3:2006 §10.2, §11.4.2 and §11.4.3.
const (
	defaultWI   = 10
	defaultIFSC = 32
	defaultBWI  = 4
	defaultCWI  = 13
	maxBWI      = 9
)

// ClockStop says in which state the card lets its clock be stopped, bits 8-7
// of the first TA for T=15. bClockStop of CCID has the same coding.
type ClockStop byte

// Clock stop indicators, ISO 7816-3:2006 table 9.
const (
	ClockStopNo     ClockStop = 0
	ClockStopLow    ClockStop = 1
	ClockStopHigh   ClockStop = 2
	ClockStopEither ClockStop = 3
)

// String says it in words.
func (c ClockStop) String() string {
	switch c {
	case ClockStopNo:
		return "no clock stop"
	case ClockStopLow:
		return "clock stop low"
	case ClockStopHigh:
		return "clock stop high"
	case ClockStopEither:
		return "clock stop low or high"
	}
	return fmt.Sprintf("ClockStop(%d)", byte(c))
}

// ClockStop is the clock stop indicator; default [ClockStopNo].
func (a ATR) ClockStop() ClockStop {
	v, _ := a.specific('A', globalT)
	return ClockStop(v >> 6)
}

// Classes are the operating conditions the card works under: bit 0 class A
// (5 V), bit 1 class B (3 V), bit 2 class C (1.8 V). Default A only.
func (a ATR) Classes() byte {
	if v, ok := a.specific('A', globalT); ok {
		return v & 0x3F
	}
	return 1
}

// Inverse reports the inverse convention, TS 3F.
func (a ATR) Inverse() bool { return a.n > 0 && (a.raw[0] == 0x3F || a.raw[0] == 0x03) }

// Historical is a copy of the historical bytes, at most 15, decoded. They are
// fewer than T0 says if the ATR is cut short.
func (a ATR) Historical() []byte {
	h := make([]byte, a.k)
	for i := range h {
		h[i] = a.at(int(a.hist) + i)
	}
	return h
}

// String is [ATR.Bytes] in hexadecimal: "3B 88 01 4B".
func (a ATR) String() string { return hexString(a.raw[:a.n]) }

// hexString writes upper-case bytes with a space between.
func hexString(b []byte) string {
	s := make([]byte, 0, 3*len(b))
	for _, c := range b {
		s = append(hex.AppendEncode(s, []byte{c}), ' ')
	}
	return strings.ToUpper(strings.TrimSuffix(string(s), " "))
}

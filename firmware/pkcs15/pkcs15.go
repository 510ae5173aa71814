// Package pkcs15 reads and writes the files of a PKCS#15 (ISO 7816-15:2016)
// application as OpenSC lays them out on this token: EF(DIR), the object
// directory ODF, TokenInfo, and the directory files of private keys, public
// keys, certificates, data objects and PINs.
//
// A directory file is a row of data objects, one an entry, with no count and no
// outer frame. The row ends at the first byte 00 or FF or with the file: what
// lies behind a removed entry is zeros. Each Parse function reads one such file
// and gives its entries in their order; each entry's AppendTo writes it again.
//
// What comes from a card may have been written by other software, so nothing
// is lost in between. An entry that was not changed is written in the very
// bytes it was read from ([Entry.Raw]). One that was changed keeps the
// attributes that this package has no field for. One that is not understood
// has [Entry.Err] set and can only be listed, kept or dropped.
//
// The package has no input or output. Its values hold copies of the bytes given
// to it. They are plain values without locks: reading one from several
// goroutines is safe, changing one needs the caller's order.
package pkcs15

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"kaztoken/internal/iso7816"
)

// ErrUnknown says that an entry is a well-formed data object of a kind or a
// shape that this package does not read. It is what [Entry.Err] wraps.
var ErrUnknown = errors.New("entry not understood")

// SyntaxError says that the bytes of a directory file from Offset on are no
// data object. The entries before them were read and are returned with it. It
// unwraps to [iso7816.ErrTLV].
type SyntaxError struct {
	Offset int // bytes from the start of the file
	Err    error
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("byte %d: %v", e.Offset, e.Err) }

func (e *SyntaxError) Unwrap() error { return e.Err }

// Entry says where an entry of a file lies and what it was read from. It is
// zero in an entry that was made here.
type Entry struct {
	// Offset and Len, in bytes, are the place of the entry in its file.
	Offset, Len int
	// Raw holds the Len bytes of the entry, tag and length included.
	Raw []byte
	// Err is set, and wraps [ErrUnknown], when the entry is not understood. Its
	// other fields then hold what could be read before that, perhaps nothing,
	// and AppendTo writes Raw whatever they say.
	Err error
}

// Entries gives the entries of a directory file of any kind as raw bytes. It
// reads to the first byte 00 or FF or to the end of b. The error is nil or a
// [*SyntaxError]; the entries before it are returned with it.
func Entries(b []byte) ([]Entry, error) {
	return parse(b, func(e Entry, _ iso7816.TLV) Entry { return e })
}

// End finds where the entries of a directory file end, in a part of the file
// that starts at its start. n is the offset of the first byte that belongs to
// no whole entry. complete reports that the end of the row, a byte 00 or FF, is
// in b; if it is not, the file has to be read on from n as far as it goes: b
// ends inside an entry or, where n is len(b), just between two. The error is a
// [*SyntaxError] at n where more bytes could not help.
func End(b []byte) (n int, complete bool, err error) {
	for n < len(b) && !terminator(b[n]) {
		_, rest, err := iso7816.ParseTLV(b[n:])
		if err != nil {
			if truncated(b[n:]) {
				return n, false, nil
			}
			return n, false, &SyntaxError{Offset: n, Err: err}
		}
		n = len(b) - len(rest)
	}
	return n, n < len(b), nil
}

// terminator says which first byte ends a row of entries. OpenSC stops at both:
// 00 is what it writes, FF what erased memory holds (asn1.c).
func terminator(b byte) bool { return b == 0x00 || b == 0xFF }

// truncated reports that b, which is not a whole data object, can become one
// with more bytes. It knows the same forms as [iso7816.ParseTLV].
func truncated(b []byte) bool {
	n := 1
	if b[0]&0x1F == 0x1F {
		for n < len(b) && b[n]&0x80 != 0 {
			n++
		}
		if n++; n > 4 {
			return false
		}
	}
	if n >= len(b) {
		return true // the length is still to come
	}
	return b[n] != 0x80 && b[n] <= 0x83
}

// parse reads a directory file, one call of one for every entry. What it hands
// out are parts of a single copy of b.
func parse[T any](b []byte, one func(Entry, iso7816.TLV) T) ([]T, error) {
	b = bytes.Clone(b)
	type object struct {
		Entry
		iso7816.TLV
	}
	var row []object
	var err error
	for n := 0; n < len(b) && !terminator(b[n]); {
		t, rest, tlvErr := iso7816.ParseTLV(b[n:])
		if tlvErr != nil {
			err = &SyntaxError{Offset: n, Err: tlvErr}
			break
		}
		end := len(b) - len(rest)
		row = append(row, object{Entry{Offset: n, Len: end - n, Raw: b[n:end:end]}, t})
		n = end
	}
	// The values are several times larger than the row of what they are made of.
	list := slices.Grow([]T(nil), len(row))
	for _, o := range row {
		list = append(list, one(o.Entry, o.TLV))
	}
	return list, err
}

type encoder interface {
	encode(dst []byte) []byte
	entry() Entry
}

func (e Entry) entry() Entry { return e }

// appendEntry writes v: the bytes it was read from, if they say the same, or
// its encoding.
func appendEntry[T encoder](dst []byte, v T, one func(Entry, iso7816.TLV) T) []byte {
	e := v.entry()
	if e.Err != nil {
		return append(dst, e.Raw...)
	}
	start := len(dst)
	dst = v.encode(dst)
	t, _, err := iso7816.ParseTLV(e.Raw)
	if err != nil {
		return dst // made here
	}
	if was := one(Entry{}, t); was.entry().Err == nil && bytes.Equal(dst[start:], was.encode(nil)) {
		dst = append(dst[:start], e.Raw...)
	}
	return dst
}

// unknown makes the error of an entry that is not understood.
func unknown(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnknown, fmt.Sprintf(format, args...))
}

// wrap makes what dst got since start the value of a data object.
func wrap(dst []byte, tag uint32, start int) []byte {
	return iso7816.AppendTLV(dst[:start], tag, slices.Clone(dst[start:]))
}

package iso7816

import (
	"errors"
	"fmt"
	"iter"
)

// ErrTLV says that bytes are no BER-TLV data object.
var ErrTLV = errors.New("malformed TLV")

// TLV is a BER-TLV data object, ISO 7816-4:2013 §5.2.2.
type TLV struct {
	// Tag holds the tag field as a big-endian number: 0x6F, 0x5F2D, 0x7F4E.
	Tag uint32
	// Value may be empty.
	Value []byte
}

const (
	maxTagBytes = 4
	// maxTLVLength is the largest value that a length field of four bytes
	// (83 xx xx xx) can say.
	maxTLVLength = 1<<24 - 1
)

// ParseTLV reads the data object at the start of b and gives the rest; Value
// and rest alias b. It takes tags of up to four bytes and lengths of up to four
// (81 to 83), in any length even where a shorter one would do, as BER allows.
// The indefinite length, the tag 00 and whatever runs over the end of b are
// [ErrTLV].
func ParseTLV(b []byte) (t TLV, rest []byte, err error) { return parseTLV(b, false) }

// ParseDER is [ParseTLV] for the one encoding that [AppendTLV] makes: tag and
// length in their shortest form.
func ParseDER(b []byte) (t TLV, rest []byte, err error) { return parseTLV(b, true) }

func parseTLV(b []byte, strict bool) (TLV, []byte, error) {
	tag, n, err := parseTag(b, strict)
	if err != nil {
		return TLV{}, nil, err
	}
	b = b[n:]
	length, n, err := parseLength(b, strict)
	if err != nil {
		return TLV{}, nil, fmt.Errorf("tag %X: %w", tag, err)
	}
	b = b[n:]
	if length > len(b) {
		return TLV{}, nil, fmt.Errorf("tag %X: %w: length %d, %d bytes left", tag, ErrTLV, length, len(b))
	}
	return TLV{Tag: tag, Value: b[:length:length]}, b[length:], nil
}

// parseTag reads a tag field of n bytes.
func parseTag(b []byte, strict bool) (tag uint32, n int, err error) {
	if len(b) == 0 {
		return 0, 0, fmt.Errorf("%w: no tag", ErrTLV)
	}
	if b[0] == 0 {
		return 0, 0, fmt.Errorf("%w: tag 00", ErrTLV)
	}
	tag = uint32(b[0])
	if b[0]&0x1F != 0x1F {
		return tag, 1, nil
	}
	for n = 1; n < len(b) && n < maxTagBytes; n++ {
		tag = tag<<8 | uint32(b[n])
		if b[n]&0x80 == 0 {
			if strict && (b[1] == 0x80 || n == 1 && b[1] < 0x1F) {
				return 0, 0, fmt.Errorf("%w: tag %X could be shorter", ErrTLV, tag)
			}
			return tag, n + 1, nil
		}
	}
	return 0, 0, fmt.Errorf("%w: tag starting %X has no end", ErrTLV, tag)
}

// parseLength reads a length field of n bytes.
func parseLength(b []byte, strict bool) (length, n int, err error) {
	if len(b) == 0 {
		return 0, 0, fmt.Errorf("%w: no length", ErrTLV)
	}
	if b[0] < 0x80 {
		return int(b[0]), 1, nil
	}
	n = int(b[0] & 0x7F)
	if n < 1 || n > 3 {
		return 0, 0, fmt.Errorf("%w: length field %02X", ErrTLV, b[0])
	}
	if len(b) < 1+n {
		return 0, 0, fmt.Errorf("%w: length field cut short", ErrTLV)
	}
	for _, c := range b[1 : 1+n] {
		length = length<<8 | int(c)
	}
	if strict && lengthBytes(length) != 1+n {
		return 0, 0, fmt.Errorf("%w: length %d in %d bytes", ErrTLV, length, 1+n)
	}
	return length, 1 + n, nil
}

// lengthBytes is the size of the shortest length field for n.
func lengthBytes(n int) int {
	switch {
	case n < 1<<7:
		return 1
	case n < 1<<8:
		return 2
	case n < 1<<16:
		return 3
	}
	return 4
}

// AppendTLV appends a data object with the shortest length field. It panics if
// tag is not a whole tag field or value has 16 MiB or more: both are mistakes
// of the program, not of a card.
func AppendTLV(dst []byte, tag uint32, value []byte) []byte {
	if len(value) > maxTLVLength {
		panic(fmt.Sprintf("iso7816: TLV value of %d bytes", len(value)))
	}
	start := len(dst)
	for shift := 24; shift >= 0; shift -= 8 {
		if b := byte(tag >> shift); b != 0 || len(dst) > start {
			dst = append(dst, b)
		}
	}
	if _, n, err := parseTag(dst[start:], false); err != nil || n != len(dst)-start {
		panic(fmt.Sprintf("iso7816: %X is not a tag", tag))
	}
	n := len(value)
	if k := lengthBytes(n); k > 1 {
		dst = append(dst, 0x80|byte(k-1))
		for shift := 8 * (k - 2); shift > 0; shift -= 8 {
			dst = append(dst, byte(n>>shift))
		}
	}
	dst = append(dst, byte(n))
	return append(dst, value...)
}

// AppendTo appends t, as [AppendTLV] does.
func (t TLV) AppendTo(dst []byte) []byte { return AppendTLV(dst, t.Tag, t.Value) }

// Constructed reports that the value is itself a sequence of data objects.
func (t TLV) Constructed() bool {
	first := t.Tag
	for first > 0xFF {
		first >>= 8
	}
	return first&0x20 != 0
}

// TLVs yields the data objects of b one after the other. Bytes 00 between them
// are padding (ISO 7816-4:2013 §5.2.2.1) and are skipped. It ends after the
// first error.
func TLVs(b []byte) iter.Seq2[TLV, error] {
	return func(yield func(TLV, error) bool) {
		for {
			for len(b) > 0 && b[0] == 0 {
				b = b[1:]
			}
			if len(b) == 0 {
				return
			}
			t, rest, err := ParseTLV(b)
			if !yield(t, err) || err != nil {
				return
			}
			b = rest
		}
	}
}

// FindTLV goes down into constructed objects, one tag per level, and gives the
// value of the first match; it aliases b. Objects before it must be well
// formed.
func FindTLV(b []byte, path ...uint32) (value []byte, ok bool) {
	value = b
	for _, tag := range path {
		ok = false
		for t, err := range TLVs(value) {
			if err == nil && t.Tag == tag {
				value, ok = t.Value, true
				break
			}
		}
		if !ok {
			return nil, false
		}
	}
	return value, ok
}

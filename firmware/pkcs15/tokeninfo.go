package pkcs15

import (
	"bytes"

	"kaztoken/internal/iso7816"
)

// TokenFlags is the bit string of TokenInfo, PKCS #15 v1.1 §6.9.
type TokenFlags uint32

// Token flags.
const (
	TokenReadOnly      TokenFlags = 1 << iota // nothing can be written
	TokenLoginRequired                        // objects cannot be seen without a log-in
	TokenPRNGeneration                        // the token makes random numbers
	TokenEIDCompliant
)

// TokenInfo is the content of EF(TokenInfo), PKCS #15 v1.1 §6.9.
type TokenInfo struct {
	Entry
	Version      int    // as written: 0 is version 1
	Serial       []byte // nil if absent
	Manufacturer string // empty if absent
	Label        string // the name of the token; empty if absent
	Flags        TokenFlags
	// LastUpdate is the text of a GeneralizedTime, 20260131120000Z; it may have
	// a fraction. Empty if absent.
	LastUpdate string

	labelExplicit  bool // A0 { UTF8String } instead of 80
	updateImplicit bool // 85 instead of A5 { GeneralizedTime }
	middle, rest   []byte
}

// ParseTokenInfo reads EF(TokenInfo): one SEQUENCE and, after it, the unused
// bytes of the file. The error is a [*SyntaxError] or wraps [ErrUnknown].
func ParseTokenInfo(b []byte) (TokenInfo, error) {
	t, rest, err := iso7816.ParseTLV(b)
	if err != nil {
		return TokenInfo{}, &SyntaxError{Err: err}
	}
	raw := bytes.Clone(b[:len(b)-len(rest)])
	t.Value = raw[len(raw)-len(t.Value):]
	ti := parseTokenInfo(Entry{Len: len(raw), Raw: raw}, t)
	return ti, ti.Err
}

func parseTokenInfo(e Entry, t iso7816.TLV) TokenInfo {
	ti := TokenInfo{Entry: e}
	if t.Tag != tagSequence {
		ti.Err = unknown("tag %X for TokenInfo", t.Tag)
		return ti
	}
	c := cursor{b: t.Value}
	ti.Version = c.needInteger("version", tagInteger)
	serial, _ := c.optional(tagOctetString)
	ti.Serial = serial.Value
	ti.Manufacturer = c.text()
	if label, ok := c.optional(0x80); ok {
		ti.Label = validText(string(label.Value))
	} else if label, ok := c.optional(0xA0); ok {
		// An explicit tag, which OpenSC reads because one card writes it.
		in := cursor{b: label.Value}
		ti.Label, ti.labelExplicit = in.text(), true
		if len(in.b) > 0 {
			c.fail("label with more than a text")
		}
	}
	flags, ok := c.bits("token flags")
	if !ok {
		c.fail("no token flags")
	}
	ti.Flags = TokenFlags(flags)
	middle := c.b
	for ok = true; ok; {
		// seInfo, recordInfo, supportedAlgorithms, issuerId, holderId
		_, ok = c.optional(tagSequence, 0xA1, 0xA2, 0x83, 0x84)
	}
	ti.middle = middle[: len(middle)-len(c.b) : len(middle)-len(c.b)]
	if update, ok := c.optional(0xA5); ok {
		in := cursor{b: update.Value}
		ti.LastUpdate = in.time()
		if len(in.b) > 0 || ti.LastUpdate == "" {
			c.fail("last update that is no GeneralizedTime")
		}
	} else if update, ok := c.optional(0x85); ok {
		ti.LastUpdate, ti.updateImplicit = string(update.Value), true
	}
	ti.rest = c.rest("TokenInfo", tagInteger, tagOctetString, tagBitString, 0x80, 0xA0, tagSequence, 0xA1, 0xA2, 0x83, 0x84, 0x85, 0xA5)
	ti.Err = c.err
	return ti
}

// AppendTo appends the SEQUENCE, as [PrivateKey.AppendTo] does.
func (ti TokenInfo) AppendTo(dst []byte) []byte {
	return appendEntry(dst, ti, parseTokenInfo)
}

func (ti TokenInfo) encode(dst []byte) []byte {
	start := len(dst)
	dst = appendInteger(dst, tagInteger, ti.Version)
	if ti.Serial != nil {
		dst = iso7816.AppendTLV(dst, tagOctetString, ti.Serial)
	}
	if ti.Manufacturer != "" {
		dst = appendText(dst, tagUTF8String, ti.Manufacturer)
	}
	switch {
	case ti.Label == "":
	case ti.labelExplicit:
		label := len(dst)
		dst = wrap(appendText(dst, tagUTF8String, ti.Label), 0xA0, label)
	default:
		dst = appendText(dst, 0x80, ti.Label)
	}
	dst = appendBits(dst, uint32(ti.Flags))
	dst = append(dst, ti.middle...)
	switch {
	case ti.LastUpdate == "":
	case ti.updateImplicit:
		dst = iso7816.AppendTLV(dst, 0x85, []byte(ti.LastUpdate))
	default:
		update := len(dst)
		dst = wrap(iso7816.AppendTLV(dst, tagGeneralizedTime, []byte(ti.LastUpdate)), 0xA5, update)
	}
	return wrap(append(dst, ti.rest...), tagSequence, start)
}

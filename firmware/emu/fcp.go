package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

// Tags of the template that CREATE FILE sends and SELECT answers with.
const (
	tagFCP        = 0x6F
	tagSize       = 0x80
	tagDescriptor = 0x82
	tagID         = 0x83
	tagProps      = 0x85
	tagRules      = 0x86
)

// parseFCP reads the data of CREATE FILE and checks that the card can make such a
// file. It is strict: each tag once, of its exact length, tag 85 for an RSF and
// no other, nothing unknown. The file has no body and no parent yet.
func parseFCP(b []byte) (f *file, ok bool) {
	template, rest, err := iso7816.ParseDER(b)
	if err != nil || template.Tag != tagFCP || len(rest) != 0 {
		return nil, false
	}
	f = new(file)
	seen := make(map[uint32]bool, 5)
	for b = template.Value; len(b) > 0; {
		t, rest, err := iso7816.ParseDER(b)
		if err != nil || seen[t.Tag] {
			return nil, false
		}
		seen[t.Tag] = true
		v := t.Value
		switch {
		case t.Tag == tagSize && len(v) == 2:
			f.size = binary.BigEndian.Uint16(v)
		case t.Tag == tagDescriptor && len(v) == 2 && v[1] == 0:
			f.kind = kind(v[0])
		case t.Tag == tagID && len(v) == 2:
			f.id = binary.BigEndian.Uint16(v)
		case t.Tag == tagProps && len(v) == propsLen:
			f.props = [propsLen]byte(v)
		case t.Tag == tagRules && len(v) == rulesLen:
			f.rules = [rulesLen]byte(v)
		default:
			return nil, false
		}
		b = rest
	}
	whole := seen[tagSize] && seen[tagDescriptor] && seen[tagID] && seen[tagRules]
	return f, whole && seen[tagProps] == (f.kind == kindRSF) && f.valid()
}

// valid reports whether the card can have such a file, wherever it is.
func (f *file) valid() bool {
	if !validRules(f.rules) || reservedID(f.id) {
		return false
	}
	switch f.kind {
	case kindDF, kindEF:
		return f.props == [propsLen]byte{} && (f.id != mfID || f.isDF())
	case kindRSF:
		return f.id != mfID && f.validProps()
	}
	return false
}

// reservedID reports the identifiers that ISO 7816-4:2013 §7.4.1 keeps.
func reservedID(id uint16) bool { return id == 0x0000 || id == 0x3FFF || id == 0xFFFF }

// maxNibble is the highest number of tries in tag 85: OpenSC replaced FF by AA as
// "more universal" when the ECP 2.0 came.
const maxNibble = 10

// validProps reports whether tag 85 goes with the size in tag 80.
func (f *file) validProps() bool {
	p1, flags, highest, left := f.props[1], f.props[2], int(f.props[3]>>4), int(f.props[3]&0xF)
	if highest < 1 || highest > maxNibble || left > highest || f.props[4] != 0 || f.props[5] != 0 {
		return false
	}
	size := int(f.size)
	switch rsfType(f.props[0]) {
	case typePIN:
		// Assumed: flags 01, the only value that OpenSC writes, and no others.
		return (f.id == adminPIN || f.id == userPIN) && flags == 0x01 &&
			p1 >= 1 && p1 < maxPIN && size >= 1 && size <= maxPIN
	case typeRSAPrivate:
		_, ok := rsaPrivateHalf(size)
		// An ECP 2.0 refuses additional Miller-Rabin rounds, p1, with 6A8x.
		return ok && p1 == 0 && flags == 0
	case typeRSAPublic:
		_, ok := rsaPublicHalf(size)
		return ok && p1 == 0 && flags == 0
	case typeGOSTPrivate:
		return gostCurve(p1) != nil && flags == 0 && size == gostLen
	case typeGOSTPublic:
		return gostCurve(p1) != nil && flags == 0 && size == 2*gostLen
	}
	return false // also local PINs, type 11: their commands are not public
}

package emu

import "encoding/binary"

const mfID = 0x3F00

// kind is the first byte of tag 82, the file descriptor; the second is 00.
type kind byte

const (
	kindEF  kind = 0x01 // transparent EF
	kindRSF kind = 0x10 // internal EF, "Rutoken Special File": a PIN or a key
	kindDF  kind = 0x38
)

// rsfType is the first byte of tag 85: what an RSF holds.
type rsfType byte

const (
	typePIN         rsfType = 0x01
	typeGOSTPrivate rsfType = 0x03
	typeGOSTPublic  rsfType = 0x13
	typeRSAPrivate  rsfType = 0x23
	typeRSAPublic   rsfType = 0x33
)

const (
	// rulesLen is the length of tag 86: one byte of access modes, a condition for
	// each of its bits, padding. OpenSC takes no other length.
	rulesLen = 15
	// propsLen is the length of tag 85: type, p1, flags, tries, two reserved.
	propsLen = 6
)

// file is a DF, a transparent EF or an RSF.
type file struct {
	id    uint16
	kind  kind
	size  uint16         // tag 80, as CREATE FILE gave it
	props [propsLen]byte // tag 85, RSF only; of a PIN, byte 3 holds its counter
	rules [rulesLen]byte // tag 86

	// body of an EF has size bytes. That of an RSF is nil until it is loaded or
	// generated; then a key has size bytes, and a PIN as many as it has.
	body []byte

	parent   *file // nil for the MF
	children []*file
}

func (f *file) isDF() bool        { return f.kind == kindDF }
func (f *file) is(t rsfType) bool { return f.kind == kindRSF && rsfType(f.props[0]) == t }
func (f *file) isPIN() bool       { return f.is(typePIN) }
func (f *file) isPrivate() bool   { return f.is(typeRSAPrivate) || f.is(typeGOSTPrivate) }

// isKey reports a key RSF, private or public.
func (f *file) isKey() bool { return f.kind == kindRSF && !f.isPIN() }

func (f *file) add(child *file) {
	child.parent = f
	f.children = append(f.children, child)
}

// child is the file of that id directly below f, or nil.
func (f *file) child(id uint16) *file {
	for _, k := range f.children {
		if k.id == id {
			return k
		}
	}
	return nil
}

// below goes down from f, one id per level; nil if there is no such file. f may
// be nil.
func (f *file) below(path ...uint16) *file {
	for _, id := range path {
		if f == nil {
			return nil
		}
		f = f.child(id)
	}
	return f
}

// path is the inverse of below from the MF: the ids on the way to f.
func (f *file) path() []uint16 {
	if f.parent == nil {
		return nil
	}
	return append(f.parent.path(), f.id)
}

// appendFCI appends the file control information that SELECT answers with: the
// template of CREATE FILE.
func (f *file) appendFCI(dst []byte) []byte {
	n := 4 + 4 + 4 + 2 + rulesLen
	if f.kind == kindRSF {
		n += 2 + propsLen
	}
	dst = append(dst, tagFCP, byte(n))
	dst = append(dst, tagSize, 2)
	dst = binary.BigEndian.AppendUint16(dst, f.size)
	dst = append(dst, tagDescriptor, 2, byte(f.kind), 0)
	dst = append(dst, tagID, 2)
	dst = binary.BigEndian.AppendUint16(dst, f.id)
	if f.kind == kindRSF {
		dst = append(dst, tagProps, propsLen)
		dst = append(dst, f.props[:]...)
	}
	dst = append(dst, tagRules, rulesLen)
	return append(dst, f.rules[:]...)
}

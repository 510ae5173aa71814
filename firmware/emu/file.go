package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
)

const mfID = 0x3F00

// fileRules is the length of tag 86, security attributes: one byte of access
// modes, a condition for each of its bits, padding. OpenSC takes no other length.
const fileRules = 15

// Conditions of tag 86. Others are masks of PIN references.
const (
	always = 0x00
	never  = 0xFF
)

// Bits of the access mode byte of a working EF.
const (
	ruleRead = iota
	ruleUpdate
)

// file is a DF or a transparent EF.
type file struct {
	id         uint16
	descriptor [2]byte // tag 82
	rules      [fileRules]byte
	body       []byte // EF: the content, of fixed size

	parent   *file // nil for the MF
	children []*file
}

func newDF(id uint16, rules [fileRules]byte) *file {
	return &file{id: id, descriptor: [2]byte{0x38, 0x00}, rules: rules}
}

func newEF(id uint16, rules [fileRules]byte, size int) *file {
	return &file{id: id, descriptor: [2]byte{0x01, 0x00}, rules: rules, body: make([]byte, size)}
}

func (f *file) isDF() bool { return f.descriptor[0] == 0x38 }

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

// appendFCI appends the file control information that SELECT answers with:
// template 6F with tags 80, 82, 83 and 86.
func (f *file) appendFCI(dst []byte) []byte {
	dst = append(dst, 0x6F, 4+4+4+2+fileRules)
	dst = append(dst, 0x80, 2)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(f.body)))
	dst = append(dst, 0x82, 2, f.descriptor[0], f.descriptor[1])
	dst = append(dst, 0x83, 2)
	dst = binary.BigEndian.AppendUint16(dst, f.id)
	dst = append(dst, 0x86, fileRules)
	return append(dst, f.rules[:]...)
}

// allowed evaluates one rule of a file against the logins of the moment. A rule
// whose access mode bit is clear is absent: never.
func (c *Card) allowed(f *file, rule int) iso7816.SW {
	condition := f.rules[1+rule]
	switch {
	case f.rules[0]&(1<<rule) == 0 || condition == never:
		return iso7816.SWSecurityStatus
	case condition == always || condition&c.logins != 0:
		return iso7816.SWOK
	}
	return iso7816.SWSecurityStatus
}

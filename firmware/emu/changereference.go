package emu

import (
	"encoding/binary"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// Tags of the data of CHANGE REFERENCE DATA.
const (
	tagBodyLength = 0x80
	tagBodyBlock  = 0xA5
)

// changeReferenceData is CHANGE REFERENCE DATA, 00 24 01 ref, chained: ref 1 and 2
// set that PIN, 0 loads the key RSF that is selected. The data is 80 02 and the
// length of the body, then the body in pieces A5 n, n being one raw byte and no
// BER length. There is no old PIN in it: who is logged in decides.
func (c *Card) changeReferenceData(cmd iso7816.Command) iso7816.SW {
	data := cmd.Data
	if !c.chain.open {
		target, sw := c.referenceData(cmd)
		if sw != iso7816.SWOK {
			return sw
		}
		if len(data) < 4 || data[0] != tagBodyLength || data[1] != 2 {
			return iso7816.SWWrongData
		}
		n := int(binary.BigEndian.Uint16(data[2:]))
		if !target.takes(n) {
			return iso7816.SWWrongData
		}
		c.chain.begin(cmd, target, n)
		data = data[4:]
	}
	for len(data) > 0 {
		if len(data) < 2 || data[0] != tagBodyBlock || data[1] == 0 || len(data) < 2+int(data[1]) {
			return iso7816.SWWrongData
		}
		n := 2 + int(data[1])
		if !c.chain.add(data[2:n]) {
			return iso7816.SWWrongData
		}
		data = data[n:]
	}
	if cmd.CLA == 0x10 {
		c.chain.open = true
		return iso7816.SWOK
	}
	if !c.chain.full() {
		return iso7816.SWWrongData
	}
	f := c.chain.target
	if f.isPIN() {
		f.restoreTries() // Assumed: a new PIN has all its tries
	} else if !c.validKey(f, c.chain.data) {
		return iso7816.SWWrongData
	}
	f.setBody(c.chain.data)
	c.changed = true
	return iso7816.SWOK
}

// referenceData is the RSF that P2 names, if the logins allow changing it.
func (c *Card) referenceData(cmd iso7816.Command) (*file, iso7816.SW) {
	if cmd.P1 != 0x01 {
		return nil, iso7816.SWWrongP1P2
	}
	var f *file
	rule := ruleChange
	switch {
	case cmd.P2 != 0:
		if f = c.pinFile(cmd.P2); f == nil {
			return nil, iso7816.SWReferenceNotFound
		}
	case c.current == nil:
		return nil, iso7816.SWNoCurrentEF
	case !c.current.isKey():
		return nil, iso7816.SWWrongFileKind
	default:
		f, rule = c.current, ruleLoad
	}
	return f, c.allowed(f, rule)
}

// takes reports whether the body of f may have n bytes.
// Assumed: a PIN shorter than its minimum is refused like any wrong data.
func (f *file) takes(n int) bool {
	if f.isPIN() {
		return n >= int(f.props[1]) && n <= maxPIN
	}
	return n == int(f.size)
}

// setBody replaces the body of an RSF by a copy of b.
func (f *file) setBody(b []byte) {
	secret.Wipe(f.body)
	f.body = append(make([]byte, 0, len(b)), b...)
}

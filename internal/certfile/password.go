package certfile

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"
)

// A passphrase is a password in the two forms that key derivations take.
type passphrase struct {
	utf8 []byte // for PBKDF2, RFC 8018 §3
	bmp  []byte // for PKCS #12, RFC 7292 §B.1: big-endian, with a final zero
}

func newPassphrase(utf []byte) *passphrase {
	p := &passphrase{utf8: bytes.Clone(utf), bmp: make([]byte, 0, 2*len(utf)+2)}
	var units [2]uint16
	for rest := utf; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 {
			r = rune(rest[0]) // not UTF-8: Latin-1 then, as OpenSSL does
		}
		for _, u := range utf16.AppendRune(units[:0], r) {
			p.bmp = binary.BigEndian.AppendUint16(p.bmp, u)
		}
		rest = rest[n:]
	}
	p.bmp = append(p.bmp, 0, 0)
	return p
}

// emptyPassphrases are the two ways in which programs write "no password".
func emptyPassphrases() []*passphrase { return []*passphrase{newPassphrase(nil), {}} }

func (d *decoder) wipe() {
	if d.pass != nil {
		clear(d.pass.utf8)
		clear(d.pass.bmp)
	}
}

// passphrase asks for the password, unless it is known by now.
func (d *decoder) passphrase() (*passphrase, error) {
	if d.pass == nil {
		if d.ask == nil {
			return nil, ErrPassword
		}
		answer, err := d.ask()
		if err != nil {
			return nil, err
		}
		d.pass = newPassphrase(answer)
	}
	return d.pass, nil
}

// spend takes work, in hash operations, from what the file may ask for.
func (d *decoder) spend(work int64) error {
	if work > d.work {
		return ErrTooMuchWork
	}
	d.work -= work
	return nil
}

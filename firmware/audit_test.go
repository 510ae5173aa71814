package firmware_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"testing"

	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

// auditor reads a card as OpenSC would, with APDUs of its own, and complains
// about everything that OpenSC would stumble over. It shares the codec of
// directory files with the package under test and nothing else.
type auditor struct {
	t    testing.TB
	card *emu.Card
	what string // when it looks, for messages
}

func (a auditor) errorf(format string, args ...any) {
	a.t.Helper()
	a.t.Errorf("%s: audit: %s", a.what, fmt.Sprintf(format, args...))
}

func (a auditor) send(apdu ...byte) ([]byte, uint16) {
	r, err := a.card.Transmit(context.Background(), nil, apdu)
	if err != nil {
		a.t.Fatalf("%s: audit: %v", a.what, err)
	}
	n := len(r) - 2
	return r[:n], binary.BigEndian.Uint16(r[n:])
}

// size selects a file by its path from the MF and gives what tag 80 of its FCP
// says, which the card sends first; -1 if it is not there.
func (a auditor) size(p pkcs15.Path) int {
	p = bytes.TrimPrefix(p, pkcs15.NewPath(pkcs15.FileMF))
	r, sw := a.send(append(append([]byte{0x00, 0xA4, 0x08, 0x00, byte(len(p))}, p...), 0x00)...)
	if sw != 0x9000 {
		return -1
	}
	return int(binary.BigEndian.Uint16(r[4:]))
}

// read reads a file from end to end; nil if there is none, or it is not for all
// to read.
func (a auditor) read(p pkcs15.Path) []byte {
	size := a.size(p)
	if size < 0 {
		a.errorf("no file %v", p)
		return nil
	}
	var content []byte
	for at := 0; at < size; at += 128 {
		r, sw := a.send(0x00, 0xB0, byte(at>>8), byte(at), byte(min(128, size-at)))
		if sw != 0x9000 {
			a.errorf("read %v: %04X", p, sw)
			return nil
		}
		content = append(content, r...)
	}
	return content
}

// parse reads a directory and complains about entries that cannot be read.
func parse[T any](a auditor, p pkcs15.Path, parser func([]byte) ([]T, error), entry func(T) error) []T {
	list, err := parser(a.read(p))
	if err != nil {
		a.errorf("%v: %v", p, err)
	}
	for i, e := range list {
		if err := entry(e); err != nil {
			a.errorf("%v: entry %d: %v", p, i, err)
		}
	}
	return list
}

// audit checks a formatted card: EF(DIR) and the ODF name what is there, every
// entry can be read and leads to a file, nothing is listed twice, and what the
// files hold is what their entries say.
func audit(t testing.TB, card *emu.Card, what string) {
	t.Helper()
	card.Reset(true)
	a := auditor{t, card, what}
	apps := parse(a, pkcs15.NewPath(pkcs15.FileMF, pkcs15.FileDIR), pkcs15.ParseDIR, func(x pkcs15.Application) error { return x.Err })
	if len(apps) != 1 || !apps[0].IsPKCS15() || !apps[0].Path.Equal(pkcs15.AppPath()) {
		a.errorf("EF(DIR) names %v", apps)
	}
	if _, err := pkcs15.ParseTokenInfo(a.read(pkcs15.AppPath(pkcs15.FileTokenInfo))); err != nil {
		a.errorf("EF(TokenInfo): %v", err)
	}
	listed := map[string]bool{}
	once := func(p pkcs15.Path) {
		if listed[string(p)] {
			a.errorf("%v is listed twice", p)
		}
		listed[string(p)] = true
	}
	odf := parse(a, pkcs15.AppPath(pkcs15.FileODF), pkcs15.ParseODF, func(x pkcs15.ODFEntry) error { return x.Err })
	for _, d := range odf {
		once(d.Path)
		switch d.Type {
		case pkcs15.AODF:
			parse(a, d.Path, pkcs15.ParseAODF, func(x pkcs15.PIN) error { return x.Err })
		case pkcs15.PrKDF:
			for _, k := range parse(a, d.Path, pkcs15.ParsePrKDF, func(x pkcs15.PrivateKey) error { return x.Err }) {
				once(k.Path)
				a.keyFiles(k)
			}
		case pkcs15.PuKDF:
			for _, k := range parse(a, d.Path, pkcs15.ParsePuKDF, func(x pkcs15.PublicKey) error { return x.Err }) {
				once(k.Path)
				if pub, err := x509.ParsePKCS1PublicKey(a.read(k.Path)); err != nil {
					a.errorf("public key %v: %v", k.Path, err)
				} else if pub.N.BitLen() != k.Bits {
					a.errorf("public key %v has %d bits, its entry says %d", k.Path, pub.N.BitLen(), k.Bits)
				}
			}
		case pkcs15.CDF:
			for _, c := range parse(a, d.Path, pkcs15.ParseCDF, func(x pkcs15.Certificate) error { return x.Err }) {
				once(c.Path)
				if _, err := x509.ParseCertificate(a.read(c.Path)); err != nil {
					a.errorf("certificate %v: %v", c.Path, err)
				}
			}
		case pkcs15.DODF:
			for _, o := range parse(a, d.Path, pkcs15.ParseDODF, func(x pkcs15.Data) error { return x.Err }) {
				once(o.Path)
				if a.size(o.Path) < 0 {
					a.errorf("no file %v of data object %q", o.Path, o.Label)
				}
			}
		default:
			a.errorf("the ODF names a %v", d.Type)
		}
	}
}

// keyFiles checks the two RSFs of a listed private key.
func (a auditor) keyFiles(k pkcs15.PrivateKey) {
	reference := byte(k.Path.ID())
	if k.Reference != int(reference) || !k.Path.Equal(pkcs15.PrivateKeyPath(reference)) {
		a.errorf("key %X: reference %d, path %v", k.ID, k.Reference, k.Path)
	}
	half := k.Bits / 16
	if got := a.size(pkcs15.PrivateKeyPath(reference)); got != 5*half+8 {
		a.errorf("private RSF of key %X has %d bytes, want %d", k.ID, got, 5*half+8)
	}
	if got := a.size(pkcs15.PublicKeyPath(reference)); got != 3*half {
		a.errorf("public RSF of key %X has %d bytes, want %d", k.ID, got, 3*half)
	}
}

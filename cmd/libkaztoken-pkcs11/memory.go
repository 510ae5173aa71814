//go:build cgo && unix

package main

// #include "cryptoki.h"
import "C"

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"kaztoken/bridge/pkcs11"
)

// maxLen bounds the lengths that a caller may name: more than a token or a program
// ever has, and less than an int holds.
const maxLen = 1 << 30

// code carries a call out and gives its return value. A panic ends the call, not
// the program that has loaded the library.
func code(f func() error) (rv C.CK_RV) {
	defer func() {
		if recover() != nil {
			rv = C.CK_RV(pkcs11.ErrGeneralError)
		}
	}()
	if _, err := module.GetInfo(); err != nil {
		return rvOf(err)
	}
	return rvOf(f())
}

func rvOf(err error) C.CK_RV {
	if err == nil {
		return C.CKR_OK
	}
	var rv pkcs11.Rv
	if errors.As(err, &rv) {
		return C.CK_RV(rv)
	}
	return C.CK_RV(pkcs11.ErrGeneralError)
}

// input is what a caller gives: its own memory, valid during the call.
func input(p *C.CK_BYTE, n C.CK_ULONG) ([]byte, error) {
	switch {
	case n == 0:
		return []byte{}, nil
	case p == nil || n > maxLen:
		return nil, pkcs11.ErrArgumentsBad
	}
	return unsafe.Slice((*byte)(p), int(n)), nil
}

// output has a result put into the caller's buffer, or its length into n.
func output(p *C.CK_BYTE, n *C.CK_ULONG, f func(out []byte) (uint, error)) error {
	if n == nil {
		return pkcs11.ErrArgumentsBad
	}
	var out []byte
	if p != nil {
		out = unsafe.Slice((*byte)(p), int(min(*n, maxLen)))
	}
	got, err := f(out)
	if err == nil || errors.Is(err, pkcs11.ErrBufferTooSmall) {
		*n = C.CK_ULONG(got)
	}
	return err
}

// list has numbers put into the caller's array, or how many there are into n.
func list[T ~uint](p *C.CK_ULONG, n *C.CK_ULONG, f func() ([]T, error)) error {
	if n == nil {
		return pkcs11.ErrArgumentsBad
	}
	all, err := f()
	if err != nil {
		return err
	}
	room := *n
	*n = C.CK_ULONG(len(all))
	if p == nil {
		return nil
	}
	if room < C.CK_ULONG(len(all)) {
		return pkcs11.ErrBufferTooSmall
	}
	into := unsafe.Slice(p, len(all))
	for i, v := range all {
		into[i] = C.CK_ULONG(v)
	}
	return nil
}

// maxAttributes bounds a template.
const maxAttributes = 256

func attributesOf(p *C.CK_ATTRIBUTE, n C.CK_ULONG) ([]C.CK_ATTRIBUTE, error) {
	switch {
	case n == 0:
		return nil, nil
	case p == nil || n > maxAttributes:
		return nil, pkcs11.ErrArgumentsBad
	}
	return unsafe.Slice(p, int(n)), nil
}

// template reads a template whose values the caller gives.
func template(p *C.CK_ATTRIBUTE, n C.CK_ULONG) ([]pkcs11.Attribute, error) {
	all, err := attributesOf(p, n)
	if err != nil {
		return nil, err
	}
	t := make([]pkcs11.Attribute, len(all))
	for i, a := range all {
		v, err := input((*C.CK_BYTE)(a.value), a.valueLen)
		if err != nil {
			return nil, pkcs11.ErrAttributeValueInvalid
		}
		t[i] = pkcs11.Attribute{Type: pkcs11.AttributeType(a._type), Value: v}
	}
	return t, nil
}

// mechanism reads a mechanism and its parameter; nil stays nil.
func mechanism(m *C.CK_MECHANISM) (*pkcs11.Mechanism, error) {
	if m == nil {
		return nil, nil
	}
	mech := &pkcs11.Mechanism{Type: pkcs11.MechanismType(m.mechanism)}
	if m.parameterLen == 0 {
		return mech, nil
	}
	raw, err := input((*C.CK_BYTE)(m.parameter), m.parameterLen)
	if err != nil {
		return nil, pkcs11.ErrMechanismParamInvalid
	}
	mech.Parameter = pkcs11.RawParameter(raw)
	switch {
	case isPSS(mech.Type) && m.parameterLen == C.sizeof_CK_RSA_PKCS_PSS_PARAMS:
		var c C.CK_RSA_PKCS_PSS_PARAMS // copied: the caller's may not be aligned
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&c)), len(raw)), raw)
		mech.Parameter = &pkcs11.PSSParams{Hash: pkcs11.MechanismType(c.hashAlg), MGF: uint(c.mgf), SaltLen: uint(c.saltLen)}
	case mech.Type == pkcs11.MechRSAPKCSOAEP && m.parameterLen == C.sizeof_CK_RSA_PKCS_OAEP_PARAMS:
		var c C.CK_RSA_PKCS_OAEP_PARAMS
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&c)), len(raw)), raw)
		label, err := input((*C.CK_BYTE)(c.sourceData), c.sourceDataLen)
		if err != nil {
			return nil, pkcs11.ErrMechanismParamInvalid
		}
		mech.Parameter = &pkcs11.OAEPParams{Hash: pkcs11.MechanismType(c.hashAlg), MGF: uint(c.mgf), Source: uint(c.source), Label: label}
	}
	return mech, nil
}

func isPSS(t pkcs11.MechanismType) bool {
	switch t {
	case pkcs11.MechRSAPKCSPSS, pkcs11.MechSHA1RSAPKCSPSS, pkcs11.MechSHA224RSAPKCSPSS, pkcs11.MechSHA256RSAPKCSPSS,
		pkcs11.MechSHA384RSAPKCSPSS, pkcs11.MechSHA512RSAPKCSPSS:
		return true
	}
	return false
}

// blankPadded puts a text into a field of fixed length, cut between two
// characters if it is too long.
func blankPadded(field []C.CK_BYTE, s string) {
	for len(s) > len(field) {
		_, n := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-n]
	}
	for i := range field {
		field[i] = ' '
		if i < len(s) {
			field[i] = C.CK_BYTE(s[i])
		}
	}
}

func versionOf(v [2]byte) C.CK_VERSION {
	return C.CK_VERSION{major: C.CK_BYTE(v[0]), minor: C.CK_BYTE(v[1])}
}

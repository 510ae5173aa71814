package firmware

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// GenerateOptions say what key pair to make.
type GenerateOptions struct {
	Bits  int    // of the RSA modulus
	ID    []byte // SHA-1 of the modulus if nil
	Label string
}

// exponentTLV asks GENERATE KEY for the exponent 65537, little-endian, as OpenSC
// from 0.25 on does.
var exponentTLV = []byte{0xA6, 0x06, 0x94, 0x04, 0x01, 0x00, 0x01, 0x00}

// publicExponent is what the card makes keys with.
const publicExponent = 65537

// rsaStep is the step between the sizes that are offered.
const rsaStep = 512

func isExists(err error) bool { return errors.Is(err, iso7816.ErrFileExists) }

func (t *Token) checkRSABits(bits int) error {
	if bits < t.model.MinRSABits || bits > t.model.MaxRSABits || bits%rsaStep != 0 {
		return &OptionError{Option: "RSA bits", Value: bits, Min: t.model.MinRSABits, Max: t.model.MaxRSABits}
	}
	return nil
}

// GenerateKey makes an RSA key pair on the token; the user has to be logged in.
// It is on the token when the call returns without error, and no sooner: until
// its entry is written last, [Token.Check] calls it a leftover. Computing it may
// take the token a minute.
func (t *Token) GenerateKey(ctx context.Context, o GenerateOptions, progress Progress) (Key, error) {
	var key Key
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpGenerate, User); err != nil {
			return err
		}
		key, err = t.generate(ctx, o, progress)
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("generate key: %w", err)
	}
	return key, nil
}

func (t *Token) generate(ctx context.Context, o GenerateOptions, progress Progress) (_ Key, err error) {
	step := steps(progress, 5)
	if err := t.checkRSABits(o.Bits); err != nil {
		return Key{}, err
	}
	if err := checkLabel(o.Label); err != nil {
		return Key{}, err
	}
	if o.ID != nil {
		if err := t.checkNewID(ctx, o.ID); err != nil {
			return Key{}, err
		}
	}
	step()
	reference, err := t.keyFiles(ctx, o.Bits)
	if err != nil {
		return Key{}, err
	}
	made := []pkcs15.Path{pkcs15.PublicKeyPath(reference), pkcs15.PrivateKeyPath(reference)}
	defer func() {
		if err != nil && made != nil {
			err = errors.Join(err, t.undo(ctx, made...))
		}
	}()
	step()
	pub, err := t.generateRSA(ctx, reference, o.Bits)
	if err != nil {
		return Key{}, err
	}
	step()
	if o.ID == nil {
		o.ID = modulusID(pub)
	}
	entry := pkcs15.NewPrivateKey(o.Label, o.ID, reference, o.Bits, pkcs15.AccessGenerated)
	if err := t.enterKey(ctx, pub, entry, &made); err != nil {
		return Key{}, err
	}
	step()
	err = t.touch(ctx)
	made = nil // it is listed now
	if err != nil {
		return Key{}, err
	}
	step()
	return keyOf(entry, t.app), nil
}

// generateRSA is GENERATE KEY. The card answers with the modulus, little-endian.
func (t *Token) generateRSA(ctx context.Context, reference byte, bits int) (*rsa.PublicKey, error) {
	cmd := iso7816.Command{CLA: claISO, INS: insGenerate, P1: 0x80, P2: reference, Data: exponentTLV, Ne: iso7816.MaxShortNe}
	data, err := t.ch.do(ctx, cmd)
	if errors.Is(err, iso7816.ErrWrongData) || errors.Is(err, iso7816.ErrWrongLength) {
		cmd.Data = nil // an older firmware, which knows one exponent only
		data, err = t.ch.do(ctx, cmd)
	}
	if err != nil {
		return nil, err
	}
	n := new(big.Int).SetBytes(reversed(data))
	if len(data) != bits/8 || n.BitLen() != bits || n.Bit(0) == 0 {
		return nil, fmt.Errorf("GENERATE KEY: %w: a modulus of %d bits in %d bytes, want %d", ErrAnswer, n.BitLen(), len(data), bits)
	}
	return &rsa.PublicKey{N: n, E: publicExponent}, nil
}

// enterKey lists a key pair whose RSFs are filled: first the public key, last the
// private one, which makes it valid. made gets what has to be deleted if a later
// step fails.
func (t *Token) enterKey(ctx context.Context, pub *rsa.PublicKey, entry pkcs15.PrivateKey, made *[]pkcs15.Path) error {
	pe, err := t.publicEntry(ctx, pub, entry)
	if err != nil {
		return err
	}
	*made = append(*made, pe.Path)
	if err := t.enter(ctx, pkcs15.PuKDF, pe.AppendTo(nil)); err != nil {
		return err
	}
	return t.add(ctx, pkcs15.PrKDF, entry.AppendTo(nil))
}

// reversed turns little-endian into big-endian and back.
func reversed(b []byte) []byte {
	r := slices.Clone(b)
	slices.Reverse(r)
	return r
}

// steps counts the calls of what it returns for a Progress.
func steps(p Progress, total int) func() {
	done := 0
	return func() {
		if done++; p != nil {
			p(min(done, total), total)
		}
	}
}

// checkLabel checks a label against what OpenSC can read.
func checkLabel(label string) error {
	if len(label) > pkcs15.MaxLabel {
		return &OptionError{Option: "label", Value: len(label), Max: pkcs15.MaxLabel}
	}
	return nil
}

package firmware

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/secret"
)

// Identity is what a .p12 file holds: a private key, its certificate and the
// certificates of those who issued it. Certificate may be nil and Chain empty.
type Identity struct {
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
	Chain       []*x509.Certificate
}

// ImportIdentity stores a key pair and its certificates; the user has to be
// logged in. Certificates of the chain that are on the token already are left
// as they are. The key is listed last, so that an interruption leaves either
// all of it or what [Token.Check] finds. The caller wipes the key.
func (t *Token) ImportIdentity(ctx context.Context, id Identity, o ImportOptions, progress Progress) (Key, error) {
	var key Key
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpImport, User); err != nil {
			return err
		}
		key, err = t.importIdentity(ctx, id, o, progress)
		return err
	})
	if err != nil {
		return Key{}, fmt.Errorf("import key: %w", err)
	}
	return key, nil
}

func (t *Token) importIdentity(ctx context.Context, id Identity, o ImportOptions, progress Progress) (_ Key, err error) {
	certs := slices.Concat(id.Chain, oneOrNone(id.Certificate))
	step := steps(progress, 5+len(certs))
	if err := t.checkIdentity(id); err != nil {
		return Key{}, err
	}
	pub := &id.Key.PublicKey
	named := o.ID != nil
	if !named {
		o.ID = modulusID(pub)
	}
	if err := t.checkNewID(ctx, o.ID); err != nil {
		return Key{}, err
	}
	if o.Label == "" && id.Certificate != nil {
		o.Label = certificateLabel(id.Certificate)
	}
	if err := checkLabel(o.Label); err != nil {
		return Key{}, err
	}
	bits := pub.N.BitLen()
	reference, err := t.keyFiles(ctx, bits)
	if err != nil {
		return Key{}, err
	}
	step()
	private, public := pkcs15.PrivateKeyPath(reference), pkcs15.PublicKeyPath(reference)
	made := []pkcs15.Path{public, private}
	defer func() {
		if err != nil && made != nil {
			err = errors.Join(err, t.undo(ctx, made...))
		}
	}()
	if err := t.loadKey(ctx, private, privateBody(id.Key)); err != nil {
		return Key{}, err
	}
	step()
	if err := t.loadKey(ctx, public, publicBody(pub)); err != nil {
		return Key{}, err
	}
	step()
	for i, cert := range certs {
		co := ImportOptions{}
		if i == len(id.Chain) {
			co = o
		}
		c, err := t.importCertificate(ctx, cert, co)
		switch {
		case err == nil:
			made = append(made, c.Path)
		case !errors.Is(err, ErrExists):
			return Key{}, err
		case i == len(id.Chain) && !named: // they belong together by the ID that it has
			o.ID = c.ID
			if err := t.checkNewID(ctx, o.ID); err != nil {
				return Key{}, err
			}
		}
		step()
	}
	entry := pkcs15.NewPrivateKey(o.Label, o.ID, reference, bits, pkcs15.AccessImported)
	if err := t.enterKey(ctx, pub, entry, &made); err != nil {
		return Key{}, err
	}
	made = nil // all of it is listed now
	step()
	if err := t.touch(ctx); err != nil {
		return Key{}, err
	}
	step()
	return t.findKey(ctx, o.ID)
}

func oneOrNone(c *x509.Certificate) []*x509.Certificate {
	if c == nil {
		return nil
	}
	return []*x509.Certificate{c}
}

// checkIdentity refuses what the card's key body cannot hold.
func (t *Token) checkIdentity(id Identity) error {
	if id.Key == nil {
		return &OptionError{Option: "key", Violation: "there is none"}
	}
	if err := id.Key.Validate(); err != nil {
		return &OptionError{Option: "key", Violation: err.Error()}
	}
	bits := id.Key.N.BitLen()
	if err := t.checkRSABits(bits); err != nil {
		return err
	}
	if len(id.Key.Primes) != 2 || id.Key.Primes[0].BitLen() > bits/2 || id.Key.Primes[1].BitLen() > bits/2 {
		return &OptionError{Option: "key", Violation: "its primes do not have half its length each"}
	}
	if id.Certificate != nil && !id.Key.PublicKey.Equal(id.Certificate.PublicKey) {
		return &OptionError{Option: "certificate", Violation: "it is not for this key"}
	}
	return nil
}

// loadKey fills the RSF of a key and wipes body.
func (t *Token) loadKey(ctx context.Context, p pkcs15.Path, body []byte) error {
	defer secret.Wipe(body)
	if _, err := t.selectFile(ctx, p); err != nil {
		return err
	}
	if err := t.writeReference(ctx, 0, body); err != nil {
		return fmt.Errorf("%v: %w", p, err)
	}
	return nil
}

// privateBody is the body of an RSA private key RSF: p 0000 0000 q 0000 0000
// q⁻¹ mod p, d mod p-1, d mod q-1, each little-endian of half the modulus.
func privateBody(k *rsa.PrivateKey) []byte {
	k.Precompute()
	half := (k.N.BitLen() + 15) / 16
	body := make([]byte, 0, 5*half+8)
	body = appendLittle(body, k.Primes[0], half)
	body = append(body, 0, 0, 0, 0)
	body = appendLittle(body, k.Primes[1], half)
	body = append(body, 0, 0, 0, 0)
	for _, n := range []*big.Int{k.Precomputed.Qinv, k.Precomputed.Dp, k.Precomputed.Dq} {
		body = appendLittle(body, n, half)
	}
	return body
}

// publicBody is the body of an RSA public key RSF: n, then e in half its length.
func publicBody(k *rsa.PublicKey) []byte {
	half := (k.N.BitLen() + 15) / 16
	return appendLittle(appendLittle(make([]byte, 0, 3*half), k.N, 2*half), big.NewInt(int64(k.E)), half)
}

// appendLittle appends n as size bytes, little-endian.
func appendLittle(dst []byte, n *big.Int, size int) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, size)...)
	n.FillBytes(dst[start:])
	slices.Reverse(dst[start:])
	return dst
}

package firmware

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"sync"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/rsapad"
	"kaztoken/internal/secret"
)

// PERFORM SECURITY OPERATION, ISO 7816-4:2013 §11.6: P1 says what comes back,
// P2 what is sent. MANAGE SECURITY ENVIRONMENT names the key before: P2 is the
// control reference template.
const (
	psoSignature = 0x9E
	psoToSign    = 0x9A
	psoPlain     = 0x80
	psoCipher    = 0x86

	mseSet        = 0x41
	templateSign  = 0xB6
	templateCrypt = 0xB8
	tagPrivateKey = 0x84 // reference of a private key in a template
)

// mse is what MANAGE SECURITY ENVIRONMENT set last; zero if nothing.
type mse struct{ template, reference byte }

// PrivateKey is a private key on a token. It implements [crypto.Signer] and
// [crypto.Decrypter]; the user has to be logged in when it computes. It is safe
// for concurrent use.
type PrivateKey struct {
	t      *Token
	key    Key
	ctx    context.Context
	public *lazyPublic
}

// lazyPublic is the public key, read when somebody asks for it. It is shared by
// the copies of a PrivateKey.
type lazyPublic struct {
	mu  sync.Mutex
	pub *rsa.PublicKey
}

var (
	_ crypto.Signer    = (*PrivateKey)(nil)
	_ crypto.Decrypter = (*PrivateKey)(nil)
)

// PrivateKey gives the private key with an ID. ctx bounds this call only: see
// [PrivateKey.WithContext].
func (t *Token) PrivateKey(ctx context.Context, id []byte) (*PrivateKey, error) {
	k := &PrivateKey{t: t, ctx: context.WithoutCancel(ctx), public: &lazyPublic{}}
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpSign); err != nil {
			return err
		}
		if k.key, err = t.findKey(ctx, id); err != nil {
			return err
		}
		return k.usable()
	})
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	return k, nil
}

// usable refuses a key that this package cannot compute with.
func (k *PrivateKey) usable() error {
	if k.key.entry.Kind != pkcs15.KeyRSA || k.key.Bits < minBits || k.key.Bits > maxBits || k.key.Bits%8 != 0 {
		return fmt.Errorf("%s key of %d bits: %w", k.key.Algorithm, k.key.Bits, ErrUnsupported)
	}
	return nil
}

// minBits and maxBits bound what the token says of a key's size.
const minBits, maxBits = 512, 4096

// WithContext gives the same key, whose Sign and Decrypt end with ctx.
func (k *PrivateKey) WithContext(ctx context.Context) *PrivateKey {
	c := *k
	c.ctx = ctx
	return &c
}

// Key describes the key pair.
func (k *PrivateKey) Key() Key { return k.key }

// Public gives an [*rsa.PublicKey], which is read from the token the first time.
// If it cannot be, the result is nil: [PrivateKey.ReadPublic] says why.
func (k *PrivateKey) Public() crypto.PublicKey {
	pub, err := k.ReadPublic()
	if err != nil {
		return nil
	}
	return pub
}

// ReadPublic is [PrivateKey.Public] with an error. Once it is read, each result
// of the private key is checked with it.
func (k *PrivateKey) ReadPublic() (*rsa.PublicKey, error) {
	k.public.mu.Lock()
	defer k.public.mu.Unlock()
	if k.public.pub == nil {
		pub, err := k.t.PublicKey(k.ctx, k.key.ID)
		if err != nil {
			return nil, err
		}
		if pub.N.BitLen() != k.key.Bits {
			return nil, fmt.Errorf("public key of %d bits: %w: its private key has %d", pub.N.BitLen(), ErrAnswer, k.key.Bits)
		}
		k.public.pub = pub
	}
	return k.public.pub, nil
}

// fits checks a result of the private key, as far as the public key is known.
func (k *PrivateKey) fits(result, block []byte) bool {
	pub := k.knownPublic()
	if pub == nil {
		return true
	}
	n := new(big.Int).SetBytes(result)
	n.Exp(n, big.NewInt(int64(pub.E)), pub.N)
	return n.Cmp(new(big.Int).SetBytes(block)) == 0
}

// knownPublic is the public key if it was read already.
func (k *PrivateKey) knownPublic() *rsa.PublicKey {
	k.public.mu.Lock()
	defer k.public.mu.Unlock()
	return k.public.pub
}

// size is the length of the modulus in bytes.
func (k *PrivateKey) size() int { return k.key.Bits / 8 }

// Sign signs a digest, RSASSA-PSS if opts is [*rsa.PSSOptions] and else
// RSASSA-PKCS1-v1_5 (RFC 8017 §8). The padding is made here, the card computes
// the raw power.
func (k *PrivateKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	hash := opts.HashFunc()
	if hash != 0 && len(digest) != hash.Size() {
		return nil, fmt.Errorf("sign: %w", &OptionError{Option: "size of the digest", Value: len(digest), Min: hash.Size(), Max: hash.Size()})
	}
	var (
		block []byte
		err   error
	)
	if pss, ok := opts.(*rsa.PSSOptions); ok {
		block, err = rsapad.SignPSS(random, k.key.Bits, hash, digest, pss.SaltLength)
	} else {
		block, err = rsapad.SignPKCS1v15(k.size(), hash, digest)
	}
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return k.SignBlock(block)
}

// SignBlock is the raw operation of a signature on a block that is padded
// already; it has the length of the modulus and, as a big-endian number, is less
// than it.
func (k *PrivateKey) SignBlock(block []byte) ([]byte, error) {
	if err := k.checkBlock(block); err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	sig, err := k.compute(OpSign, templateSign, psoSignature, psoToSign, block)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return sig, nil
}

// Decrypt decrypts a message of the modulus's length: OAEP if opts is
// [*rsa.OAEPOptions], else PKCS #1 v1.5 (RFC 8017 §7), with
// [*rsa.PKCS1v15DecryptOptions] for a session key as package rsa has it. An
// error of the padding is rsa.ErrDecryption, whatever is wrong with it.
func (k *PrivateKey) Decrypt(random io.Reader, msg []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	block, err := k.DecryptBlock(msg)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(block)
	switch o := opts.(type) {
	case *rsa.OAEPOptions:
		mgf := o.MGFHash
		if mgf == 0 {
			mgf = o.Hash
		}
		return rsapad.OpenOAEP(o.Hash, mgf, block, o.Label)
	case *rsa.PKCS1v15DecryptOptions: //lint:ignore SA1019 old messages are still to be read, and crypto.Decrypter has no other options for them
		if o.SessionKeyLen > 0 {
			key := make([]byte, o.SessionKeyLen)
			if random == nil {
				random = rand.Reader
			}
			if _, err := io.ReadFull(random, key); err != nil {
				return nil, fmt.Errorf("decrypt: %w", err)
			}
			return key, rsapad.OpenPKCS1v15SessionKey(block, key)
		}
		return rsapad.OpenPKCS1v15(block)
	case nil:
		return rsapad.OpenPKCS1v15(block)
	}
	return nil, fmt.Errorf("decrypt: options of type %T: %w", opts, ErrUnsupported)
}

// DecryptBlock is the raw operation of a decryption: the block that was
// encrypted comes back with its padding.
func (k *PrivateKey) DecryptBlock(msg []byte) ([]byte, error) {
	if err := k.checkBlock(msg); err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	block, err := k.compute(OpDecrypt, templateCrypt, psoPlain, psoCipher, msg)
	if err != nil {
		return nil, fmt.Errorf("decrypt: %w", err)
	}
	return block, nil
}

// checkBlock refuses what does not have the length of the modulus; what is not
// less than the modulus the card refuses.
func (k *PrivateKey) checkBlock(b []byte) error {
	if len(b) != k.size() {
		return &OptionError{Option: "bytes", Value: len(b), Min: k.size(), Max: k.size()}
	}
	return nil
}

// compute is the raw operation, its result checked with the public key if that
// is known.
func (k *PrivateKey) compute(op Op, template, out, in byte, block []byte) ([]byte, error) {
	if result, ok, err := k.again(op, mse{template, k.key.Reference}, out, in, block); ok || err != nil {
		return result, err
	}
	var result []byte
	err := k.t.plainOperation(k.ctx, func(ctx context.Context) (err error) {
		if err := k.t.need(op, User); err != nil {
			return err
		}
		result, err = k.t.compute(ctx, k.key, template, out, in, block)
		return err
	})
	if err == nil && !k.fits(result, block) {
		err = fmt.Errorf("%w: the result does not fit the public key", ErrAnswer)
	}
	if err != nil {
		secret.Wipe(result)
		return nil, err
	}
	return result, nil
}

// compute is the raw operation of a key. Its RSF is selected and named in MANAGE
// SECURITY ENVIRONMENT, because it is not known which of the two the real card
// goes by; both are left out while nothing else came in between.
func (t *Token) compute(ctx context.Context, k Key, template, out, in byte, block []byte) ([]byte, error) {
	use := mse{template, k.Reference}
	if t.current.mse != use { // which goes with the selection
		if _, err := t.selectFile(ctx, k.Path); err != nil {
			return nil, err
		}
		t.current.mse = mse{}
		if _, err := t.ch.do(ctx, iso7816.Command{
			CLA: claISO, INS: insMSE, P1: mseSet, P2: template, Data: []byte{tagPrivateKey, 1, k.Reference},
		}); err != nil {
			return nil, err
		}
		t.current.mse = use
	}
	result, err := t.perform(ctx, out, in, block)
	if err != nil {
		t.current.mse = mse{}
		return nil, err
	}
	if len(result) != len(block) {
		return nil, fmt.Errorf("PERFORM SECURITY OPERATION: %w: %d bytes, want %d", ErrAnswer, len(result), len(block))
	}
	t.used = use
	return result, nil
}

// CertificateRequest signs a PKCS #10 request (RFC 2986) with a key on the
// token and gives its DER. The signature algorithm of the template, if any, has
// to be one of RSA.
func (t *Token) CertificateRequest(ctx context.Context, id []byte, template *x509.CertificateRequest) ([]byte, error) {
	key, err := t.PrivateKey(ctx, id)
	if err != nil {
		return nil, err
	}
	key = key.WithContext(ctx)
	if _, err := key.ReadPublic(); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	der, err := x509.CreateCertificateRequest(nil, template, key)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	return der, nil
}

// Random fills p with random bytes of the token.
func (t *Token) Random(ctx context.Context, p []byte) error {
	return t.plainOperation(ctx, func(ctx context.Context) error {
		for len(p) > 0 {
			data, err := t.ch.do(ctx, iso7816.Command{CLA: claISO, INS: insChallenge, Ne: min(len(p), maxChallenge)})
			if err != nil {
				return err
			}
			if len(data) == 0 {
				return fmt.Errorf("GET CHALLENGE: %w: no data", ErrAnswer)
			}
			p = p[copy(p, data):]
		}
		return nil
	})
}

// maxChallenge is how much is asked for at once.
const maxChallenge = 248

package pkcs11

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"hash"
	"math/big"
	"slices"

	"kaztoken/firmware"
	"kaztoken/internal/rsapad"
	"kaztoken/internal/secret"
)

// operations are what a session has begun. They are guarded by its mu.
type operations struct {
	find    *finding
	digest  *digesting
	sign    *operation
	verify  *operation
	encrypt *operation
	decrypt *operation
	// Recover operations are of their own, PKCS #11 v3.0 §5.13.
	signRecover   *operation
	verifyRecover *operation

	asked []*operation // those with a log-in of their own, the newest last
}

// operation is one that uses a key.
type operation struct {
	mech    mechanism
	object  *object
	pub     *rsa.PublicKey // nil if the public part of a private key is not known
	size    int            // of the modulus, bytes
	bits    int
	hash    crypto.Hash // of the digest that is padded; 0 for data without one
	mgf     crypto.Hash
	salt    int // PSS
	label   []byte
	running hash.Hash // of the data so far, where the mechanism makes the digest
	data    []byte    // so far, otherwise
	multi   bool      // an Update was called
	// result is what is ready and did not fit into the caller's buffer.
	result []byte
	// needsPIN: the key wants a log-in for each use, and had none for this one.
	needsPIN bool
	// refused: it was used without that. By the standard this has ended it, and it may
	// be begun anew; programs that log in now and go on, as GnuTLS does, may, too.
	refused bool
}

// permitted checks that an operation has the log-in that it needs.
func (op *operation) permitted() error {
	if op.needsPIN {
		op.refused = true
		return ErrUserNotLoggedIn
	}
	return nil
}

// end wipes what the operation has of the caller's.
func (op *operation) end() {
	if op != nil {
		secret.Wipe(op.data)
		secret.Wipe(op.result)
	}
}

// clear ends all operations. The caller holds the session's mu.
func (o *operations) clear() { o.cancel(^MechanismFlags(0)) }

// cancel ends the operations of some flags.
func (o *operations) cancel(flags MechanismFlags) {
	for _, c := range []struct {
		flag MechanismFlags
		op   **operation
	}{
		{FlagSign, &o.sign}, {FlagVerify, &o.verify}, {FlagEncrypt, &o.encrypt}, {FlagDecrypt, &o.decrypt},
		{FlagSignRecover, &o.signRecover}, {FlagVerifyRecover, &o.verifyRecover},
	} {
		if flags&c.flag != 0 {
			(*c.op).end()
			*c.op = nil
		}
	}
	if flags&FlagDigest != 0 {
		o.digest = nil
	}
	if flags&FlagFindObjects != 0 {
		o.find = nil
	}
}

// dropPrivateOperations ends what needs a log-in.
func (o *operations) dropPrivateOperations() { o.cancel(FlagSign | FlagSignRecover | FlagDecrypt) }

// ask notes an operation that needs a log-in of its own.
func (o *operations) ask(op *operation) {
	o.asked = append(slices.DeleteFunc(o.asked, func(op *operation) bool { return !o.waits(op) }), op)
}

// waits reports whether an operation still waits for that.
func (o *operations) waits(op *operation) bool {
	return op.needsPIN && slices.Contains([]*operation{o.sign, o.decrypt, o.signRecover}, op)
}

// waiting is the operation that a log-in of its own is for: the one that was begun
// last (PKCS #11 v2.40 §5.6, C_Login); nil if none waits.
func (o *operations) waiting() *operation {
	for _, op := range slices.Backward(o.asked) {
		if o.waits(op) {
			return op
		}
	}
	return nil
}

// usage is what a key is used for.
type usage struct {
	flag  MechanismFlags
	class Class
	may   AttributeType
}

var (
	useSign          = usage{FlagSign, ClassPrivateKey, AttrSign}
	useSignRecover   = usage{FlagSignRecover, ClassPrivateKey, AttrSignRecover}
	useDecrypt       = usage{FlagDecrypt, ClassPrivateKey, AttrDecrypt}
	useVerify        = usage{FlagVerify, ClassPublicKey, AttrVerify}
	useVerifyRecover = usage{FlagVerifyRecover, ClassPublicKey, AttrVerifyRecover}
	useEncrypt       = usage{FlagEncrypt, ClassPublicKey, AttrEncrypt}
)

// start is C_SignInit and its sisters. With no mechanism it ends the operation
// that is there (PKCS #11 v3.0 §5.8.1).
func (m *Module) start(h SessionHandle, mech *Mechanism, key ObjectHandle, use usage, place func(*operations) **operation) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	at := place(&x.operations)
	if mech == nil {
		if *at == nil {
			return ErrArgumentsBad
		}
		x.cancel(use.flag)
		return nil
	}
	if *at != nil && !(*at).refused {
		return ErrOperationActive
	}
	known, ok := mechanisms[mech.Type]
	if !ok || known.flags&use.flag == 0 {
		return ErrMechanismInvalid
	}
	o, err := x.visible(key)
	if err != nil {
		return x.whyHidden(key)
	}
	op, err := x.prepare(o, known, mech, use)
	if err != nil {
		return err
	}
	(*at).end()
	*at = op
	if op.needsPIN {
		x.ask(op)
	}
	return nil
}

// whyHidden says whether a key is none, or one that needs a log-in.
func (x *session) whyHidden(h ObjectHandle) error {
	r := x.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if x.token == x.slot.token && x.slot.objects[h] != nil {
		return ErrUserNotLoggedIn
	}
	return ErrKeyHandleInvalid
}

// prepare makes an operation with a key that may be used for it.
func (x *session) prepare(o *object, mech mechanism, m *Mechanism, use usage) (*operation, error) {
	if o.class != use.class {
		return nil, ErrKeyTypeInconsistent
	}
	values, err := x.values(o, func(o *object) bool { return o.isLate(AttrModulus) })
	if err != nil {
		return nil, err
	}
	if kt, ok := values.number(AttrKeyType); !ok || kt != keyRSA {
		return nil, ErrKeyTypeInconsistent
	}
	if !values.truth(use.may, false) {
		return nil, ErrKeyFunctionNotPermitted
	}
	op := &operation{mech: mech, object: o, hash: mech.hash, needsPIN: values.truth(AttrAlwaysAuthenticate, false)}
	op.pub = publicKeyOf(values)
	bits, _ := values.number(AttrModulusBits)
	if op.pub != nil {
		bits = uint(op.pub.N.BitLen())
	}
	op.bits, op.size = int(bits), int(bits+7)/8
	if op.pub == nil && use.class == ClassPublicKey || op.size == 0 {
		return nil, ErrKeyTypeInconsistent
	}
	if err := op.parameter(m.Parameter); err != nil {
		return nil, err
	}
	if mech.hash != 0 {
		op.running = mech.hash.New()
	}
	return op, nil
}

// publicKeyOf makes a public key of an object's attributes, nil if they are none.
func publicKeyOf(a attributes) *rsa.PublicKey {
	n, e := new(big.Int).SetBytes(a[AttrModulus]), new(big.Int).SetBytes(a[AttrPublicExponent])
	if n.Sign() == 0 || n.BitLen() > maxModulus || e.BitLen() > 31 || e.Sign() == 0 {
		return nil
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}
}

// maxModulus bounds the public keys that are computed with, bits.
const maxModulus = 16384

// parameter checks and takes the parameter of the mechanism.
func (op *operation) parameter(p any) error {
	switch op.mech.kind {
	case padPSS:
		pss, ok := p.(*PSSParams)
		if !ok {
			return ErrMechanismParamInvalid
		}
		h, ok := hashes[pss.Hash]
		if !ok || mgfHashes[pss.MGF] != h || op.hash != 0 && op.hash != h {
			return ErrMechanismParamInvalid
		}
		room := (op.bits+6)/8 - h.Size() - 2 // RFC 8017 §9.1.1 step 3
		if room < 0 || pss.SaltLen > uint(room) {
			return ErrMechanismParamInvalid
		}
		op.hash, op.salt = h, int(pss.SaltLen)
	case padOAEP:
		oaep, ok := p.(*OAEPParams)
		if !ok {
			return ErrMechanismParamInvalid
		}
		h, ok := hashes[oaep.Hash]
		mgf, okMGF := mgfHashes[oaep.MGF]
		if !ok || !okMGF || oaep.Source != dataSpecified && (oaep.Source != 0 || len(oaep.Label) > 0) {
			return ErrMechanismParamInvalid
		}
		if op.size < 2*h.Size()+2 {
			return ErrKeySizeRange
		}
		op.hash, op.mgf, op.label = h, mgf, append([]byte(nil), oaep.Label...)
	default:
		if raw, ok := p.(RawParameter); p != nil && (!ok || len(raw) > 0) {
			return ErrMechanismParamInvalid
		}
	}
	return nil
}

// maxParts bounds what is kept of data that comes in parts, beside a digest: no
// block is longer.
const maxParts = maxModulus / 8

// update adds a part of the data.
func (op *operation) update(part []byte) error {
	op.multi = true
	if op.running != nil {
		op.running.Write(part)
		return nil
	}
	if len(part) > maxParts-len(op.data) {
		return ErrDataLenRange
	}
	grown := make([]byte, 0, len(op.data)+len(part))
	grown = append(append(grown, op.data...), part...)
	secret.Wipe(op.data)
	op.data = grown
	return nil
}

// block makes the padded block of a signature.
func (op *operation) block(data []byte) ([]byte, error) {
	if op.running != nil {
		op.running.Write(data)
		data = op.running.Sum(nil)
	}
	switch op.mech.kind {
	case padPKCS1:
		b, err := rsapad.SignPKCS1v15(op.size, op.hash, data)
		if errors.Is(err, rsa.ErrMessageTooLong) && op.hash != 0 {
			return nil, ErrKeySizeRange
		}
		return b, blockError(err)
	case padPSS:
		salt := op.salt
		if salt == 0 {
			salt = rsapad.NoSalt
		}
		b, err := rsapad.SignPSS(nil, op.bits, op.hash, data, salt)
		return b, blockError(err)
	}
	return op.raw(data, ErrDataLenRange, ErrDataInvalid)
}

// raw makes a block of a number, which has to be less than the modulus.
func (op *operation) raw(data []byte, tooLong, tooLarge error) ([]byte, error) {
	if len(data) > op.size || len(data) == 0 {
		return nil, tooLong
	}
	b := make([]byte, op.size)
	copy(b[op.size-len(data):], data)
	if op.pub != nil && new(big.Int).SetBytes(b).Cmp(op.pub.N) >= 0 {
		secret.Wipe(b)
		return nil, tooLarge
	}
	return b, nil
}

// blockError gives the return value for data that cannot be padded.
func blockError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, rsa.ErrMessageTooLong), errors.Is(err, rsapad.ErrDigestSize):
		return ErrDataLenRange
	}
	return ErrFunctionFailed
}

// compute does the raw operation with a private key on the token.
func (x *session) compute(op *operation, f func(k *firmware.PrivateKey) ([]byte, error)) ([]byte, error) {
	var result []byte
	err := x.token.work(func(ctx context.Context) error {
		k, err := x.token.keyOf(op)
		if err != nil {
			return err
		}
		result, err = f(k.WithContext(ctx))
		if rvOf(err) == ErrObjectHandleInvalid && err != nil {
			return ErrKeyHandleInvalid // deleted meanwhile
		}
		return err
	})
	return result, err
}

// keyOf gives the private key of an operation. It is the body of a work.
func (t *token) keyOf(op *operation) (*firmware.PrivateKey, error) {
	o := op.object
	if o.key == nil {
		k, err := t.fw.PrivateKeyOf(*o.priv, o.rsa)
		if err != nil {
			return nil, ErrKeyTypeInconsistent
		}
		o.key = k
	}
	return o.key, nil
}

// give copies a result into the caller's buffer; n is what it needs.
func give(result, out []byte) (n uint, err error) {
	n = uint(len(result))
	if out == nil {
		return n, nil
	}
	if len(out) < len(result) {
		return n, ErrBufferTooSmall
	}
	copy(out, result)
	return n, nil
}

package pkcs11

import (
	"crypto/rsa"
	"crypto/subtle"
	"math/big"

	"kaztoken/firmware"
	"kaztoken/internal/secret"
)

// SignInit is C_SignInit. mech nil ends the operation that there is.
func (m *Module) SignInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useSign, func(o *operations) **operation { return &o.sign })
}

// Sign is C_Sign: it signs data and puts the signature into out. n is its length;
// with out nil it is told and nothing is done, with a shorter out the error is
// [ErrBufferTooSmall] and the operation goes on.
func (m *Module) Sign(h SessionHandle, data, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishSign(&x.sign, data, out, true)
}

// SignUpdate is C_SignUpdate.
func (m *Module) SignUpdate(h SessionHandle, part []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return updateOf(&x.sign, part)
}

// SignFinal is C_SignFinal; out and n are those of [Module.Sign].
func (m *Module) SignFinal(h SessionHandle, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishSign(&x.sign, nil, out, false)
}

// SignRecoverInit is C_SignRecoverInit.
func (m *Module) SignRecoverInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useSignRecover, func(o *operations) **operation { return &o.signRecover })
}

// SignRecover is C_SignRecover; out and n are those of [Module.Sign].
func (m *Module) SignRecover(h SessionHandle, data, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishSign(&x.signRecover, data, out, true)
}

// updateOf adds a part to an operation, which ends if that fails.
func updateOf(at **operation, part []byte) error {
	op := *at
	if op == nil {
		return ErrOperationNotInitialized
	}
	err := op.update(part)
	if err != nil {
		op.end()
		*at = nil
	}
	return err
}

// finishSign makes the signature: of data, or of the parts so far.
func (x *session) finishSign(at **operation, data, out []byte, single bool) (uint, error) {
	op := *at
	switch {
	case op == nil:
		return 0, ErrOperationNotInitialized
	case single && op.multi:
		return 0, ErrOperationActive
	case out == nil:
		return uint(op.size), nil
	case len(out) < op.size:
		return uint(op.size), ErrBufferTooSmall
	}
	if err := op.permitted(); err != nil {
		return 0, err
	}
	defer func() { op.end(); *at = nil }()
	if !single {
		data = op.data
	}
	block, err := op.block(data)
	if err != nil {
		return 0, err
	}
	defer secret.Wipe(block)
	signature, err := x.compute(op, func(k *firmware.PrivateKey) ([]byte, error) { return k.SignBlock(block) })
	if err != nil {
		return 0, err
	}
	return give(signature, out)
}

// VerifyInit is C_VerifyInit.
func (m *Module) VerifyInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useVerify, func(o *operations) **operation { return &o.verify })
}

// Verify is C_Verify. The error is [ErrSignatureInvalid] or
// [ErrSignatureLenRange] for a signature that is not one of the data.
func (m *Module) Verify(h SessionHandle, data, signature []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return x.finishVerify(data, signature, true)
}

// VerifyUpdate is C_VerifyUpdate.
func (m *Module) VerifyUpdate(h SessionHandle, part []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return updateOf(&x.verify, part)
}

// VerifyFinal is C_VerifyFinal, with the errors of [Module.Verify].
func (m *Module) VerifyFinal(h SessionHandle, signature []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return x.finishVerify(nil, signature, false)
}

func (x *session) finishVerify(data, signature []byte, single bool) error {
	op := x.verify
	switch {
	case op == nil:
		return ErrOperationNotInitialized
	case single && op.multi:
		return ErrOperationActive
	}
	defer func() { op.end(); x.verify = nil }()
	if !single {
		data = op.data
	}
	if len(signature) != op.size {
		return ErrSignatureLenRange
	}
	if op.mech.kind == padPSS && op.salt > 0 {
		return op.verifyPSS(data, signature)
	}
	want, err := op.block(data)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(op.power(signature), want) != 1 {
		return ErrSignatureInvalid
	}
	return nil
}

// power is the raw operation with the public key; nil for a number that is not
// less than the modulus.
func (op *operation) power(b []byte) []byte {
	n := new(big.Int).SetBytes(b)
	if n.Cmp(op.pub.N) >= 0 {
		return nil
	}
	return n.Exp(n, big.NewInt(int64(op.pub.E)), op.pub.N).FillBytes(make([]byte, op.size))
}

// VerifyRecoverInit is C_VerifyRecoverInit.
func (m *Module) VerifyRecoverInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useVerifyRecover, func(o *operations) **operation { return &o.verifyRecover })
}

// VerifyRecover is C_VerifyRecover: it gives the data of a signature. out and n
// are those of [Module.Sign].
func (m *Module) VerifyRecover(h SessionHandle, signature, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	op := x.verifyRecover
	if op == nil {
		return 0, ErrOperationNotInitialized
	}
	if op.result == nil {
		if op.result, err = op.recover(signature); err != nil {
			x.verifyRecover = nil
			return 0, err
		}
	}
	n, err = give(op.result, out)
	if out != nil && err == nil {
		x.verifyRecover = nil
	}
	return n, err
}

// recover opens a signature: EMSA-PKCS1-v1_5 of data without a DigestInfo, or the
// block itself.
func (op *operation) recover(signature []byte) ([]byte, error) {
	if len(signature) != op.size {
		return nil, ErrSignatureLenRange
	}
	block := op.power(signature)
	if block == nil {
		return nil, ErrSignatureInvalid
	}
	if op.mech.kind == padNone {
		return block, nil
	}
	// 00 01 FF … FF 00 data, at least eight FF (RFC 8017 §9.2); a signature is no
	// secret.
	if len(block) < 2 || block[0] != 0 || block[1] != 1 {
		return nil, ErrSignatureInvalid
	}
	i := 2
	for i < len(block) && block[i] == 0xFF {
		i++
	}
	if i < 10 || i == len(block) || block[i] != 0 {
		return nil, ErrSignatureInvalid
	}
	return block[i+1:], nil
}

// verifyPSS checks a signature whose salt has bytes.
func (op *operation) verifyPSS(data, signature []byte) error {
	if op.running != nil {
		op.running.Write(data)
		data = op.running.Sum(nil)
	}
	if len(data) != op.hash.Size() {
		return ErrDataLenRange
	}
	if rsa.VerifyPSS(op.pub, op.hash, data, signature, &rsa.PSSOptions{SaltLength: op.salt}) != nil {
		return ErrSignatureInvalid
	}
	return nil
}

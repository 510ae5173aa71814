package pkcs11

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"

	"kaztoken/firmware"
	"kaztoken/internal/rsapad"
	"kaztoken/internal/secret"
)

// EncryptInit is C_EncryptInit. mech nil ends the operation that there is.
func (m *Module) EncryptInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useEncrypt, func(o *operations) **operation { return &o.encrypt })
}

// Encrypt is C_Encrypt, in this process; out and n are those of [Module.Sign].
func (m *Module) Encrypt(h SessionHandle, data, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishEncrypt(data, out, true)
}

// EncryptUpdate is C_EncryptUpdate. A part gives no output before the last.
func (m *Module) EncryptUpdate(h SessionHandle, part []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return updateOf(&x.encrypt, part)
}

// EncryptFinal is C_EncryptFinal; out and n are those of [Module.Sign].
func (m *Module) EncryptFinal(h SessionHandle, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishEncrypt(nil, out, false)
}

func (x *session) finishEncrypt(data, out []byte, single bool) (uint, error) {
	op := x.encrypt
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
	defer func() { op.end(); x.encrypt = nil }()
	if !single {
		data = op.data
	}
	c, err := op.seal(data)
	if err != nil {
		return 0, err
	}
	return give(c, out)
}

// seal encrypts with the public key.
func (op *operation) seal(data []byte) ([]byte, error) {
	var (
		c   []byte
		err error
	)
	switch op.mech.kind {
	case padPKCS1:
		//lint:ignore SA1019 the mechanism is what the program asked for
		c, err = rsa.EncryptPKCS1v15(rand.Reader, op.pub, data)
	case padOAEP:
		c, err = rsa.EncryptOAEPWithOptions(rand.Reader, op.pub, data, &rsa.OAEPOptions{Hash: op.hash, MGFHash: op.mgf, Label: op.label})
	default:
		block, err := op.raw(data, ErrDataLenRange, ErrDataInvalid)
		if err != nil {
			return nil, err
		}
		defer secret.Wipe(block)
		return op.power(block), nil
	}
	switch {
	case errors.Is(err, rsa.ErrMessageTooLong):
		return nil, ErrDataLenRange
	case err != nil:
		return nil, ErrFunctionFailed
	}
	return c, nil
}

// DecryptInit is C_DecryptInit. mech nil ends the operation that there is.
func (m *Module) DecryptInit(h SessionHandle, mech *Mechanism, key ObjectHandle) error {
	return m.start(h, mech, key, useDecrypt, func(o *operations) **operation { return &o.decrypt })
}

// Decrypt is C_Decrypt. With out nil, n is the length of the longest result.
func (m *Module) Decrypt(h SessionHandle, data, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishDecrypt(data, out, true)
}

// DecryptUpdate is C_DecryptUpdate. A part gives no output before the last.
func (m *Module) DecryptUpdate(h SessionHandle, part []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return updateOf(&x.decrypt, part)
}

// DecryptFinal is C_DecryptFinal; out and n are those of [Module.Decrypt].
func (m *Module) DecryptFinal(h SessionHandle, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishDecrypt(nil, out, false)
}

// longest is the length of the longest message that a block can hold.
func (op *operation) longest() int {
	switch op.mech.kind {
	case padPKCS1:
		return max(op.size-11, 0)
	case padOAEP:
		return op.size - 2*op.hash.Size() - 2
	}
	return op.size
}

func (x *session) finishDecrypt(data, out []byte, single bool) (uint, error) {
	op := x.decrypt
	switch {
	case op == nil:
		return 0, ErrOperationNotInitialized
	case single && op.multi:
		return 0, ErrOperationActive
	case out == nil:
		return uint(op.longest()), nil
	}
	if err := op.permitted(); err != nil {
		return 0, err
	}
	if op.result == nil {
		if !single {
			data = op.data
		}
		result, err := x.open(op, data)
		if err != nil {
			op.end()
			x.decrypt = nil
			return 0, err
		}
		op.result = result
	}
	n, err := give(op.result, out)
	if err == nil {
		op.end()
		x.decrypt = nil
	}
	return n, err // what does not fit waits for a longer buffer
}

// open decrypts with the private key on the token.
func (x *session) open(op *operation, data []byte) ([]byte, error) {
	if len(data) != op.size {
		return nil, ErrEncryptedDataLenRange
	}
	if _, err := op.raw(data, ErrEncryptedDataLenRange, ErrEncryptedDataInvalid); err != nil {
		return nil, err
	}
	block, err := x.compute(op, func(k *firmware.PrivateKey) ([]byte, error) { return k.DecryptBlock(data) })
	if err != nil {
		return nil, err
	}
	if op.mech.kind == padNone {
		return block, nil
	}
	defer secret.Wipe(block)
	var message []byte
	if op.mech.kind == padOAEP {
		message, err = rsapad.OpenOAEP(op.hash, op.mgf, block, op.label)
	} else {
		message, err = rsapad.OpenPKCS1v15(block)
	}
	if err != nil {
		return nil, ErrEncryptedDataInvalid
	}
	if message == nil {
		message = []byte{}
	}
	return message, nil
}

package pkcs11

import (
	"crypto"
	"encoding"
	"encoding/binary"
	"hash"
	"slices"
)

// digesting is a digest that DigestInit began.
type digesting struct {
	mech  MechanismType
	hash  hash.Hash
	multi bool
}

// DigestInit is C_DigestInit. mech nil ends the operation that there is.
func (m *Module) DigestInit(h SessionHandle, mech *Mechanism) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if mech == nil {
		if x.digest == nil {
			return ErrArgumentsBad
		}
		x.digest = nil
		return nil
	}
	if x.digest != nil {
		return ErrOperationActive
	}
	known := mechanisms[mech.Type]
	if known.kind != padDigest {
		return ErrMechanismInvalid
	}
	if raw, ok := mech.Parameter.(RawParameter); mech.Parameter != nil && (!ok || len(raw) > 0) {
		return ErrMechanismParamInvalid
	}
	x.digest = &digesting{mech: mech.Type, hash: known.hash.New()}
	return nil
}

// Digest is C_Digest; out and n are those of [Module.Sign].
func (m *Module) Digest(h SessionHandle, data, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	if x.digest != nil && x.digest.multi {
		return 0, ErrOperationActive
	}
	return x.finishDigest(data, out)
}

// DigestUpdate is C_DigestUpdate.
func (m *Module) DigestUpdate(h SessionHandle, part []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if x.digest == nil {
		return ErrOperationNotInitialized
	}
	x.digest.multi = true
	x.digest.hash.Write(part)
	return nil
}

// DigestKey is C_DigestKey: no key here gives its value.
func (m *Module) DigestKey(h SessionHandle, key ObjectHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if x.digest == nil {
		return ErrOperationNotInitialized
	}
	if _, err := x.visible(key); err != nil {
		return ErrKeyHandleInvalid
	}
	return ErrKeyIndigestible
}

// DigestFinal is C_DigestFinal; out and n are those of [Module.Sign].
func (m *Module) DigestFinal(h SessionHandle, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	return x.finishDigest(nil, out)
}

func (x *session) finishDigest(data, out []byte) (uint, error) {
	if x.digest == nil {
		return 0, ErrOperationNotInitialized
	}
	size := x.digest.hash.Size()
	if out == nil {
		return uint(size), nil
	}
	if len(out) < size {
		return uint(size), ErrBufferTooSmall
	}
	x.digest.hash.Write(data)
	n, err := give(x.digest.hash.Sum(nil), out)
	x.digest = nil
	return n, err
}

// GetOperationState is C_GetOperationState: of a digest, the only operation whose
// state may leave. out and n are those of [Module.Sign].
func (m *Module) GetOperationState(h SessionHandle, out []byte) (n uint, err error) {
	x, err := m.in(h)
	if err != nil {
		return 0, err
	}
	defer x.mu.Unlock()
	others := slices.ContainsFunc(
		[]*operation{x.sign, x.verify, x.encrypt, x.decrypt, x.signRecover, x.verifyRecover},
		func(op *operation) bool { return op != nil })
	switch {
	case others:
		return 0, ErrStateUnsaveable
	case x.digest == nil:
		return 0, ErrOperationNotInitialized
	}
	state, err := x.digest.hash.(encoding.BinaryAppender).AppendBinary(binary.BigEndian.AppendUint32(nil, uint32(x.digest.mech)))
	if err != nil {
		return 0, ErrStateUnsaveable
	}
	return give(state, out)
}

// SetOperationState is C_SetOperationState. Only a state of GetOperationState is
// taken, which needs no key.
func (m *Module) SetOperationState(h SessionHandle, state []byte, encryptionKey, authenticationKey ObjectHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if encryptionKey != 0 || authenticationKey != 0 {
		return ErrKeyNotNeeded
	}
	if len(state) < 4 {
		return ErrSavedStateInvalid
	}
	mech := MechanismType(binary.BigEndian.Uint32(state))
	known := mechanisms[mech]
	if known.kind != padDigest || known.hash == crypto.Hash(0) {
		return ErrSavedStateInvalid
	}
	d := &digesting{mech: mech, hash: known.hash.New(), multi: true}
	if err := d.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state[4:]); err != nil {
		return ErrSavedStateInvalid
	}
	x.clear()
	x.digest = d
	return nil
}

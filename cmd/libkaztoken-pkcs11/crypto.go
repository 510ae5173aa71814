//go:build cgo && unix

package main

// #include "cryptoki.h"
import "C"

import "kaztoken/bridge/pkcs11"

// The halves in Go of the cryptographic functions, most of which have one of a few
// shapes.

// keyed is the shape of C_SignInit and its sisters.
func keyed(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE,
	f func(pkcs11.SessionHandle, *pkcs11.Mechanism, pkcs11.ObjectHandle) error) C.CK_RV {
	return code(func() error {
		m, err := mechanism(mech)
		if err != nil {
			return err
		}
		return f(pkcs11.SessionHandle(session), m, pkcs11.ObjectHandle(key))
	})
}

// transform is the shape of C_Sign and its sisters.
func transform(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG,
	f func(h pkcs11.SessionHandle, data, out []byte) (uint, error)) C.CK_RV {
	return code(func() error {
		data, err := input(in, inLen)
		if err != nil {
			return err
		}
		return output(p, n, func(out []byte) (uint, error) { return f(pkcs11.SessionHandle(session), data, out) })
	})
}

// update is the shape of C_SignUpdate and its sisters.
func update(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, n C.CK_ULONG, f func(pkcs11.SessionHandle, []byte) error) C.CK_RV {
	return code(func() error {
		part, err := input(in, n)
		if err != nil {
			return err
		}
		return f(pkcs11.SessionHandle(session), part)
	})
}

// silentUpdate is the shape of C_EncryptUpdate and C_DecryptUpdate, which give
// nothing before the end.
func silentUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, n *C.CK_ULONG, p *C.CK_BYTE, f func(pkcs11.SessionHandle, []byte) error) C.CK_RV {
	return code(func() error {
		part, err := input(in, inLen)
		if err != nil {
			return err
		}
		if n == nil {
			return pkcs11.ErrArgumentsBad
		}
		if p == nil { // it is asked for the length alone
			part = nil
		}
		err = f(pkcs11.SessionHandle(session), part)
		if err == nil {
			*n = 0
		}
		return err
	})
}

// final is the shape of C_SignFinal and its sisters.
func final(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG, f func(h pkcs11.SessionHandle, out []byte) (uint, error)) C.CK_RV {
	return code(func() error {
		return output(p, n, func(out []byte) (uint, error) { return f(pkcs11.SessionHandle(session), out) })
	})
}

//export kazEncryptInit
func kazEncryptInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.EncryptInit)
}

//export kazEncrypt
func kazEncrypt(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.Encrypt)
}

//export kazEncryptUpdate
func kazEncryptUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return silentUpdate(session, in, inLen, n, p, module.EncryptUpdate)
}

//export kazEncryptFinal
func kazEncryptFinal(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return final(session, p, n, module.EncryptFinal)
}

//export kazDecryptInit
func kazDecryptInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.DecryptInit)
}

//export kazDecrypt
func kazDecrypt(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.Decrypt)
}

//export kazDecryptUpdate
func kazDecryptUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return silentUpdate(session, in, inLen, n, p, module.DecryptUpdate)
}

//export kazDecryptFinal
func kazDecryptFinal(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return final(session, p, n, module.DecryptFinal)
}

//export kazDigestInit
func kazDigestInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM) C.CK_RV {
	return code(func() error {
		m, err := mechanism(mech)
		if err != nil {
			return err
		}
		return module.DigestInit(pkcs11.SessionHandle(session), m)
	})
}

//export kazDigest
func kazDigest(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.Digest)
}

//export kazDigestUpdate
func kazDigestUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return update(session, in, n, module.DigestUpdate)
}

//export kazDigestKey
func kazDigestKey(session C.CK_SESSION_HANDLE, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error { return module.DigestKey(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(key)) })
}

//export kazDigestFinal
func kazDigestFinal(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return final(session, p, n, module.DigestFinal)
}

//export kazSignInit
func kazSignInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.SignInit)
}

//export kazSign
func kazSign(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.Sign)
}

//export kazSignUpdate
func kazSignUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return update(session, in, n, module.SignUpdate)
}

//export kazSignFinal
func kazSignFinal(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return final(session, p, n, module.SignFinal)
}

//export kazSignRecoverInit
func kazSignRecoverInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.SignRecoverInit)
}

//export kazSignRecover
func kazSignRecover(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.SignRecover)
}

//export kazVerifyInit
func kazVerifyInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.VerifyInit)
}

//export kazVerify
func kazVerify(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, sig *C.CK_BYTE, sigLen C.CK_ULONG) C.CK_RV {
	return code(func() error {
		data, err := input(in, inLen)
		if err != nil || sig == nil {
			return orBad(err)
		}
		signature, err := input(sig, sigLen)
		if err != nil {
			return err
		}
		return module.Verify(pkcs11.SessionHandle(session), data, signature)
	})
}

//export kazVerifyUpdate
func kazVerifyUpdate(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return update(session, in, n, module.VerifyUpdate)
}

//export kazVerifyFinal
func kazVerifyFinal(session C.CK_SESSION_HANDLE, sig *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	if sig == nil {
		return code(func() error { return pkcs11.ErrArgumentsBad })
	}
	return update(session, sig, n, module.VerifyFinal)
}

//export kazVerifyRecoverInit
func kazVerifyRecoverInit(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, key C.CK_OBJECT_HANDLE) C.CK_RV {
	return keyed(session, mech, key, module.VerifyRecoverInit)
}

//export kazVerifyRecover
func kazVerifyRecover(session C.CK_SESSION_HANDLE, in *C.CK_BYTE, inLen C.CK_ULONG, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return transform(session, in, inLen, p, n, module.VerifyRecover)
}

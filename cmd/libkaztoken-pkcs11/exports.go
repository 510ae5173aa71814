//go:build cgo && unix

package main

// #cgo CFLAGS: -Wall -Wextra -Werror -fvisibility=hidden
// #cgo linux LDFLAGS: -lpthread -ldl
// #include "cryptoki.h"
import "C"

import (
	"unsafe"

	"kaztoken/bridge/pkcs11"
)

// The halves in Go of the functions of functions.h, in its order.

//export kazInitialize
func kazInitialize(args unsafe.Pointer) (rv C.CK_RV) {
	defer func() {
		if recover() != nil {
			rv = C.CK_RV(pkcs11.ErrGeneralError)
		}
	}()
	if args != nil {
		a := (*C.CK_C_INITIALIZE_ARGS)(args)
		given := 0
		for _, f := range []bool{a.createMutex != nil, a.destroyMutex != nil, a.lockMutex != nil, a.unlockMutex != nil} {
			if f {
				given++
			}
		}
		// The caller's mutexes are not used: the system's own always do (§5.4.1).
		if a.reserved != nil || given != 0 && given != 4 {
			return rvOf(pkcs11.ErrArgumentsBad)
		}
		// Nor is CKF_LIBRARY_CANT_CREATE_OS_THREADS minded, which p11-kit sets for
		// GnuTLS: Go's runtime has its threads since the library was loaded, and the
		// caller's signals and locks are nothing to them.
	}
	lendProcessors()
	return rvOf(module.Initialize())
}

//export kazFinalize
func kazFinalize(reserved unsafe.Pointer) C.CK_RV {
	return code(func() error {
		if reserved != nil {
			return pkcs11.ErrArgumentsBad
		}
		return module.Finalize()
	})
}

//export kazGetInfo
func kazGetInfo(info *C.CK_INFO) C.CK_RV {
	return code(func() error {
		if info == nil {
			return pkcs11.ErrArgumentsBad
		}
		i, err := module.GetInfo()
		if err != nil {
			return err
		}
		info.cryptokiVersion, info.libraryVersion, info.flags = versionOf(i.CryptokiVersion), versionOf(i.LibraryVersion), 0
		blankPadded(info.manufacturerID[:], i.ManufacturerID)
		blankPadded(info.libraryDescription[:], i.LibraryDescription)
		return nil
	})
}

//export kazGetSlotList
func kazGetSlotList(tokenPresent C.CK_BYTE, p *C.CK_SLOT_ID, n *C.CK_ULONG) C.CK_RV {
	return code(func() error {
		return list(p, n, func() ([]pkcs11.SlotID, error) { return module.GetSlotList(tokenPresent != 0) })
	})
}

//export kazGetSlotInfo
func kazGetSlotInfo(slot C.CK_SLOT_ID, info *C.CK_SLOT_INFO) C.CK_RV {
	return code(func() error {
		if info == nil {
			return pkcs11.ErrArgumentsBad
		}
		i, err := module.GetSlotInfo(pkcs11.SlotID(slot))
		if err != nil {
			return err
		}
		blankPadded(info.slotDescription[:], i.Description)
		blankPadded(info.manufacturerID[:], i.ManufacturerID)
		info.flags = C.CK_FLAGS(i.Flags)
		info.hardwareVersion, info.firmwareVersion = versionOf(i.Hardware), versionOf(i.Firmware)
		return nil
	})
}

//export kazGetTokenInfo
func kazGetTokenInfo(slot C.CK_SLOT_ID, info *C.CK_TOKEN_INFO) C.CK_RV {
	return code(func() error {
		if info == nil {
			return pkcs11.ErrArgumentsBad
		}
		i, err := module.GetTokenInfo(pkcs11.SlotID(slot))
		if err != nil {
			return err
		}
		*info = C.CK_TOKEN_INFO{
			flags:           C.CK_FLAGS(i.Flags),
			maxSessionCount: C.CK_ULONG(i.MaxSessions), sessionCount: C.CK_ULONG(i.Sessions),
			maxRwSessionCount: C.CK_ULONG(i.MaxRWSessions), rwSessionCount: C.CK_ULONG(i.RWSessions),
			maxPinLen: C.CK_ULONG(i.MaxPINLen), minPinLen: C.CK_ULONG(i.MinPINLen),
			totalPublicMemory: C.CK_ULONG(i.TotalPublic), freePublicMemory: C.CK_ULONG(i.FreePublic),
			totalPrivateMemory: C.CK_ULONG(i.TotalPrivate), freePrivateMemory: C.CK_ULONG(i.FreePrivate),
			hardwareVersion: versionOf(i.HardwareVersion), firmwareVersion: versionOf(i.FirmwareVersion),
		}
		blankPadded(info.label[:], i.Label)
		blankPadded(info.manufacturerID[:], i.ManufacturerID)
		blankPadded(info.model[:], i.Model)
		blankPadded(info.serialNumber[:], i.SerialNumber)
		blankPadded(info.utcTime[:], "") // the token has no clock
		return nil
	})
}

//export kazGetMechanismList
func kazGetMechanismList(slot C.CK_SLOT_ID, p *C.CK_ULONG, n *C.CK_ULONG) C.CK_RV {
	return code(func() error {
		return list(p, n, func() ([]pkcs11.MechanismType, error) { return module.GetMechanismList(pkcs11.SlotID(slot)) })
	})
}

//export kazGetMechanismInfo
func kazGetMechanismInfo(slot C.CK_SLOT_ID, t C.CK_ULONG, info *C.CK_MECHANISM_INFO) C.CK_RV {
	return code(func() error {
		if info == nil {
			return pkcs11.ErrArgumentsBad
		}
		i, err := module.GetMechanismInfo(pkcs11.SlotID(slot), pkcs11.MechanismType(t))
		if err != nil {
			return err
		}
		info.minKeySize, info.maxKeySize, info.flags = C.CK_ULONG(i.MinKeySize), C.CK_ULONG(i.MaxKeySize), C.CK_FLAGS(i.Flags)
		return nil
	})
}

//export kazInitToken
func kazInitToken(slot C.CK_SLOT_ID, pin *C.CK_BYTE, pinLen C.CK_ULONG, label *C.CK_BYTE) C.CK_RV {
	return code(func() error {
		p, err := input(pin, pinLen)
		if err != nil || pin == nil || label == nil {
			return pkcs11.ErrArgumentsBad
		}
		const labelLen = 32 // blank-padded, §5.5.7
		return module.InitToken(pkcs11.SlotID(slot), p, string(unsafe.Slice((*byte)(label), labelLen)))
	})
}

//export kazInitPIN
func kazInitPIN(session C.CK_SESSION_HANDLE, pin *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		p, err := input(pin, n)
		if err != nil || pin == nil {
			return pkcs11.ErrArgumentsBad
		}
		return module.InitPIN(pkcs11.SessionHandle(session), p)
	})
}

//export kazSetPIN
func kazSetPIN(session C.CK_SESSION_HANDLE, oldPIN *C.CK_BYTE, oldLen C.CK_ULONG, newPIN *C.CK_BYTE, newLen C.CK_ULONG) C.CK_RV {
	return code(func() error {
		before, err := input(oldPIN, oldLen)
		if err != nil || oldPIN == nil || newPIN == nil {
			return pkcs11.ErrArgumentsBad
		}
		after, err := input(newPIN, newLen)
		if err != nil {
			return err
		}
		return module.SetPIN(pkcs11.SessionHandle(session), before, after)
	})
}

//export kazOpenSession
func kazOpenSession(slot C.CK_SLOT_ID, flags C.CK_FLAGS, application unsafe.Pointer, notify C.CK_NOTIFY, session *C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error {
		if session == nil {
			return pkcs11.ErrArgumentsBad
		}
		h, err := module.OpenSession(pkcs11.SlotID(slot), pkcs11.SessionFlags(flags))
		if err == nil {
			*session = C.CK_SESSION_HANDLE(h)
		}
		return err
	})
}

//export kazCloseSession
func kazCloseSession(session C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error { return module.CloseSession(pkcs11.SessionHandle(session)) })
}

//export kazCloseAllSessions
func kazCloseAllSessions(slot C.CK_SLOT_ID) C.CK_RV {
	return code(func() error { return module.CloseAllSessions(pkcs11.SlotID(slot)) })
}

//export kazGetSessionInfo
func kazGetSessionInfo(session C.CK_SESSION_HANDLE, info *C.CK_SESSION_INFO) C.CK_RV {
	return code(func() error {
		if info == nil {
			return pkcs11.ErrArgumentsBad
		}
		i, err := module.GetSessionInfo(pkcs11.SessionHandle(session))
		if err == nil {
			*info = C.CK_SESSION_INFO{
				slotID: C.CK_SLOT_ID(i.Slot), state: C.CK_ULONG(i.State), flags: C.CK_FLAGS(i.Flags), deviceError: C.CK_ULONG(i.DeviceError),
			}
		}
		return err
	})
}

//export kazGetOperationState
func kazGetOperationState(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n *C.CK_ULONG) C.CK_RV {
	return code(func() error {
		return output(p, n, func(out []byte) (uint, error) { return module.GetOperationState(pkcs11.SessionHandle(session), out) })
	})
}

//export kazSetOperationState
func kazSetOperationState(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n C.CK_ULONG, encryptionKey, authenticationKey C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error {
		state, err := input(p, n)
		if err != nil {
			return err
		}
		return module.SetOperationState(pkcs11.SessionHandle(session), state, pkcs11.ObjectHandle(encryptionKey), pkcs11.ObjectHandle(authenticationKey))
	})
}

//export kazLogin
func kazLogin(session C.CK_SESSION_HANDLE, user C.CK_ULONG, pin *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		p, err := input(pin, n)
		if err != nil || pin == nil { // there is no other way to give a PIN
			return pkcs11.ErrArgumentsBad
		}
		return module.Login(pkcs11.SessionHandle(session), pkcs11.UserType(user), p)
	})
}

//export kazLogout
func kazLogout(session C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error { return module.Logout(pkcs11.SessionHandle(session)) })
}

//export kazCreateObject
func kazCreateObject(session C.CK_SESSION_HANDLE, attrs *C.CK_ATTRIBUTE, n C.CK_ULONG, object *C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error {
		t, err := template(attrs, n)
		if err != nil || object == nil {
			return orBad(err)
		}
		h, err := module.CreateObject(pkcs11.SessionHandle(session), t)
		if err == nil {
			*object = C.CK_OBJECT_HANDLE(h)
		}
		return err
	})
}

// orBad is for a call that cannot be carried out: because of err or, if that is
// nil, because an argument is missing.
func orBad(err error) error {
	if err == nil {
		return pkcs11.ErrArgumentsBad
	}
	return err
}

//export kazCopyObject
func kazCopyObject(session C.CK_SESSION_HANDLE, from C.CK_OBJECT_HANDLE, attrs *C.CK_ATTRIBUTE, n C.CK_ULONG, object *C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error {
		t, err := template(attrs, n)
		if err != nil || object == nil {
			return orBad(err)
		}
		h, err := module.CopyObject(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(from), t)
		if err == nil {
			*object = C.CK_OBJECT_HANDLE(h)
		}
		return err
	})
}

//export kazDestroyObject
func kazDestroyObject(session C.CK_SESSION_HANDLE, object C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error {
		return module.DestroyObject(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(object))
	})
}

//export kazGetObjectSize
func kazGetObjectSize(session C.CK_SESSION_HANDLE, object C.CK_OBJECT_HANDLE, size *C.CK_ULONG) C.CK_RV {
	return code(func() error {
		if size == nil {
			return pkcs11.ErrArgumentsBad
		}
		n, err := module.GetObjectSize(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(object))
		if err == nil {
			*size = C.CK_ULONG(n)
		}
		return err
	})
}

//export kazGetAttributeValue
func kazGetAttributeValue(session C.CK_SESSION_HANDLE, object C.CK_OBJECT_HANDLE, attrs *C.CK_ATTRIBUTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		all, err := attributesOf(attrs, n)
		if err != nil || attrs == nil {
			return orBad(err)
		}
		queries := make([]pkcs11.Query, len(all))
		for i, a := range all {
			queries[i] = pkcs11.Query{Type: pkcs11.AttributeType(a._type), Len: uint(a.valueLen)}
			if a.value != nil {
				queries[i].Buffer = unsafe.Slice((*byte)(a.value), int(min(a.valueLen, maxLen)))
			}
		}
		err = module.GetAttributeValue(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(object), queries)
		for i, q := range queries { // as it was, where the call was not carried out
			all[i].valueLen = C.CK_ULONG(q.Len)
		}
		return err
	})
}

//export kazSetAttributeValue
func kazSetAttributeValue(session C.CK_SESSION_HANDLE, object C.CK_OBJECT_HANDLE, attrs *C.CK_ATTRIBUTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		t, err := template(attrs, n)
		if err != nil || attrs == nil {
			return orBad(err)
		}
		return module.SetAttributeValue(pkcs11.SessionHandle(session), pkcs11.ObjectHandle(object), t)
	})
}

//export kazFindObjectsInit
func kazFindObjectsInit(session C.CK_SESSION_HANDLE, attrs *C.CK_ATTRIBUTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		t, err := template(attrs, n)
		if err != nil {
			return err
		}
		return module.FindObjectsInit(pkcs11.SessionHandle(session), t)
	})
}

//export kazFindObjects
func kazFindObjects(session C.CK_SESSION_HANDLE, objects *C.CK_OBJECT_HANDLE, limit C.CK_ULONG, n *C.CK_ULONG) C.CK_RV {
	return code(func() error {
		if n == nil || objects == nil {
			return pkcs11.ErrArgumentsBad
		}
		found, err := module.FindObjects(pkcs11.SessionHandle(session), int(min(limit, maxLen)))
		if err != nil {
			return err
		}
		for i, o := range found {
			unsafe.Slice(objects, len(found))[i] = C.CK_OBJECT_HANDLE(o)
		}
		*n = C.CK_ULONG(len(found))
		return nil
	})
}

//export kazFindObjectsFinal
func kazFindObjectsFinal(session C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error { return module.FindObjectsFinal(pkcs11.SessionHandle(session)) })
}

//export kazGenerateKeyPair
func kazGenerateKeyPair(session C.CK_SESSION_HANDLE, mech *C.CK_MECHANISM, pubAttrs *C.CK_ATTRIBUTE, pubCount C.CK_ULONG, privAttrs *C.CK_ATTRIBUTE, privCount C.CK_ULONG, pub, priv *C.CK_OBJECT_HANDLE) C.CK_RV {
	return code(func() error {
		if mech == nil || pub == nil || priv == nil {
			return pkcs11.ErrArgumentsBad
		}
		m, err := mechanism(mech)
		if err != nil {
			return err
		}
		public, err := template(pubAttrs, pubCount)
		if err != nil {
			return err
		}
		private, err := template(privAttrs, privCount)
		if err != nil {
			return err
		}
		a, b, err := module.GenerateKeyPair(pkcs11.SessionHandle(session), m, public, private)
		if err == nil {
			*pub, *priv = C.CK_OBJECT_HANDLE(a), C.CK_OBJECT_HANDLE(b)
		}
		return err
	})
}

//export kazSeedRandom
func kazSeedRandom(session C.CK_SESSION_HANDLE, seed *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		if _, err := input(seed, n); err != nil {
			return err
		}
		return module.SeedRandom(pkcs11.SessionHandle(session))
	})
}

//export kazGenerateRandom
func kazGenerateRandom(session C.CK_SESSION_HANDLE, p *C.CK_BYTE, n C.CK_ULONG) C.CK_RV {
	return code(func() error {
		out, err := input(p, n)
		if err != nil {
			return err
		}
		return module.GenerateRandom(pkcs11.SessionHandle(session), out)
	})
}

//export kazGetFunctionStatus
func kazGetFunctionStatus(session C.CK_SESSION_HANDLE) C.CK_RV { return kazCancelFunction(session) }

//export kazCancelFunction
func kazCancelFunction(C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error { return pkcs11.ErrFunctionNotParallel })
}

//export kazWaitForSlotEvent
func kazWaitForSlotEvent(flags C.CK_FLAGS, slot *C.CK_SLOT_ID, reserved unsafe.Pointer) C.CK_RV {
	return code(func() error {
		if slot == nil || reserved != nil {
			return pkcs11.ErrArgumentsBad
		}
		id, err := module.WaitForSlotEvent(flags&C.CKF_DONT_BLOCK != 0)
		if err == nil {
			*slot = C.CK_SLOT_ID(id)
		}
		return err
	})
}

//export kazLoginUser
func kazLoginUser(session C.CK_SESSION_HANDLE, user C.CK_ULONG, pin *C.CK_BYTE, n C.CK_ULONG, username *C.CK_BYTE, usernameLen C.CK_ULONG) C.CK_RV {
	return code(func() error {
		p, err := input(pin, n)
		if err != nil || pin == nil {
			return pkcs11.ErrArgumentsBad
		}
		name, err := input(username, usernameLen)
		if err != nil {
			return err
		}
		return module.LoginUser(pkcs11.SessionHandle(session), pkcs11.UserType(user), p, name)
	})
}

//export kazSessionCancel
func kazSessionCancel(session C.CK_SESSION_HANDLE, flags C.CK_FLAGS) C.CK_RV {
	return code(func() error {
		return module.SessionCancel(pkcs11.SessionHandle(session), pkcs11.MechanismFlags(flags))
	})
}

//export kazUnsupported
func kazUnsupported(session C.CK_SESSION_HANDLE) C.CK_RV {
	return code(func() error { return module.Unsupported(pkcs11.SessionHandle(session)) })
}

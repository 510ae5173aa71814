package pkcs15

import (
	"fmt"

	"kaztoken/internal/iso7816"
)

// KeyKind is the algorithm of a key.
type KeyKind int

// Kinds of keys. DSA, Diffie-Hellman and KEA keys are KeyUnknown and have
// [Entry.Err].
const (
	KeyUnknown KeyKind = iota
	KeyRSA
	KeyGOST // GOST R 34.10-2001
	KeyEC
)

func (k KeyKind) String() string {
	switch k {
	case KeyUnknown:
		return "unknown"
	case KeyRSA:
		return "RSA"
	case KeyGOST:
		return "GOST R 34.10-2001"
	case KeyEC:
		return "EC"
	}
	return fmt.Sprintf("KeyKind(%d)", int(k))
}

// gostBits is the size of every GOST R 34.10-2001 key; its entry does not say it.
const gostBits = 256

// tag is the choice in PrivateKeyType and PublicKeyType. [4] for GOST is
// OpenSC's own: PKCS#15 has no GOST keys (pkcs15-prkey.c).
func (k KeyKind) tag() uint32 {
	switch k {
	case KeyGOST:
		return 0xA4
	case KeyEC:
		return 0xA0
	}
	return tagSequence
}

func kindOf(tag uint32) KeyKind {
	for _, k := range []KeyKind{KeyRSA, KeyGOST, KeyEC} {
		if k.tag() == tag {
			return k
		}
	}
	return KeyUnknown
}

// KeyUsage is the bit string KeyUsageFlags, PKCS #15 v1.1 §6.1.9.
type KeyUsage uint32

// Key usages.
const (
	UsageEncrypt KeyUsage = 1 << iota
	UsageDecrypt
	UsageSign
	UsageSignRecover
	UsageWrap
	UsageUnwrap
	UsageVerify
	UsageVerifyRecover
	UsageDerive
	UsageNonRepudiation
)

func (u KeyUsage) String() string {
	return flagNames(uint32(u), "encrypt", "decrypt", "sign", "signRecover", "wrap", "unwrap", "verify", "verifyRecover", "derive", "nonRepudiation")
}

// DefaultUsage is the usage of a private key that may do all its kind can do on
// this token: for RSA what OpenSC makes of --key-usage sign,decrypt, 03 02 02 74.
func DefaultUsage(kind KeyKind) KeyUsage {
	switch kind {
	case KeyRSA:
		return UsageDecrypt | UsageSign | UsageSignRecover | UsageUnwrap
	case KeyGOST, KeyEC:
		return UsageSign
	}
	return 0
}

// Public gives the usage of the public key for that of its private key:
// encrypt for decrypt, verify for sign, wrap for unwrap and so on.
func (u KeyUsage) Public() KeyUsage {
	p := u & (UsageDerive | UsageNonRepudiation)
	for _, pair := range [...][2]KeyUsage{
		{UsageDecrypt, UsageEncrypt},
		{UsageSign, UsageVerify},
		{UsageSignRecover, UsageVerifyRecover},
		{UsageUnwrap, UsageWrap},
	} {
		if u&pair[0] != 0 {
			p |= pair[1]
		}
	}
	return p
}

// AccessFlags is the bit string KeyAccessFlags, PKCS #15 v1.1 §6.1.9. It
// describes a key; what the token allows does not depend on it.
type AccessFlags uint32

// Key access flags.
const (
	AccessSensitive AccessFlags = 1 << iota
	AccessExtractable
	AccessAlwaysSensitive
	AccessNeverExtractable
	AccessLocal // made on the token
)

func (f AccessFlags) String() string {
	return flagNames(uint32(f), "sensitive", "extractable", "alwaysSensitive", "neverExtractable", "local")
}

// The access flags of a private key made on the token (B8) and of one that was
// brought to it (80).
const (
	AccessGenerated = AccessSensitive | AccessAlwaysSensitive | AccessNeverExtractable | AccessLocal
	AccessImported  = AccessSensitive
)

// NoReference is the Reference of a key without one.
const NoReference = -1

// GOSTParams are the parameter sets of a GOST key, by OpenSC's numbers: for
// R3410 1 is A, 2 is B, 3 is C. 0 is not given.
type GOSTParams struct{ R3410, R3411, R28147 int }

// keyAttributes is what private and public keys have in common.
type keyAttributes struct {
	id                 []byte
	usage              KeyUsage
	native             bool
	access             AccessFlags
	reference          int
	startDate, endDate string
}

// keyAttributes reads CommonKeyAttributes, PKCS #15 v1.1 §6.1.9:
//
//	SEQUENCE { iD OCTET STRING, usage BIT STRING, native BOOLEAN DEFAULT TRUE,
//	  accessFlags BIT STRING OPTIONAL, keyReference INTEGER OPTIONAL,
//	  startDate GeneralizedTime OPTIONAL, endDate [0] GeneralizedTime OPTIONAL, … }
func (c *cursor) keyAttributes() (a keyAttributes, rest []byte) {
	a = keyAttributes{native: true, reference: NoReference}
	seq := c.need("key attributes", tagSequence)
	if c.err != nil {
		return a, nil
	}
	in := cursor{b: seq.Value}
	a.id = in.need("key identifier", tagOctetString).Value
	usage, ok := in.bits("key usage")
	if !ok {
		in.fail("no key usage")
	}
	a.usage = KeyUsage(usage)
	a.native = in.boolean("native", true)
	access, _ := in.bits("access flags")
	a.access = AccessFlags(access)
	a.reference = in.reference("key reference", tagInteger, NoReference)
	a.startDate = in.time()
	end, _ := in.optional(0x80)
	a.endDate = string(end.Value)
	rest = in.rest("key attributes", tagOctetString, tagBitString, tagBoolean, tagInteger, tagGeneralizedTime, 0x80)
	c.err = in.err
	return a, rest
}

func (a keyAttributes) appendTo(dst, rest []byte) []byte {
	start := len(dst)
	dst = iso7816.AppendTLV(dst, tagOctetString, a.id)
	dst = appendBits(dst, uint32(a.usage))
	if !a.native {
		dst = appendBoolean(dst, false)
	}
	if a.access != 0 {
		dst = appendBits(dst, uint32(a.access))
	}
	if a.reference >= 0 {
		dst = appendInteger(dst, tagInteger, a.reference)
	}
	if a.startDate != "" {
		dst = iso7816.AppendTLV(dst, tagGeneralizedTime, []byte(a.startDate))
	}
	if a.endDate != "" {
		dst = iso7816.AppendTLV(dst, 0x80, []byte(a.endDate))
	}
	return wrap(append(dst, rest...), tagSequence, start)
}

// subject reads the content of the subclass attributes of a key: the name of
// its owner. OpenSC puts a SEQUENCE around the whole DER of the name, which is
// one SEQUENCE more than PKCS#15 has; plain says that it is not there.
func subject(sub []byte) (name, rest []byte, plain bool) {
	c := cursor{b: sub}
	t, ok := c.optional(tagSequence)
	if !ok {
		return nil, sub, false
	}
	name = sub[: len(sub)-len(c.b) : len(sub)-len(c.b)]
	in := cursor{b: t.Value}
	if _, ok := in.optional(tagSequence); ok && len(in.b) == 0 {
		return t.Value, c.b, false
	}
	return name, c.b, true
}

func appendSubject(dst, name, rest []byte, plain, present bool) []byte {
	if name == nil && !present {
		return dst
	}
	start := len(dst)
	switch {
	case name == nil:
	case plain:
		dst = append(dst, name...)
	default:
		dst = iso7816.AppendTLV(dst, tagSequence, name)
	}
	return wrap(append(dst, rest...), 0xA0, start)
}

// key is an entry of PrKDF or PuKDF without its place in the file.
type key struct {
	common       Common
	attributes   keyAttributes
	kind         KeyKind
	subject      []byte
	plainSubject bool
	value        value
	bits         int
	gost         GOSTParams
	left         leftovers
}

// parseKey reads an entry of PrKDF or PuKDF: PrivateKeyType and PublicKeyType
// differ in whether the value may be in the entry itself.
func parseKey(t iso7816.TLV, private bool) (key, error) {
	c := cursor{b: t.Value}
	k := key{kind: kindOf(t.Tag), common: c.common()}
	k.attributes, k.left.class = c.keyAttributes()
	if k.kind == KeyUnknown {
		c.err = unknown("key of kind %X", t.Tag)
	}
	if sub, ok := c.optional(0xA0); ok {
		k.left.hasSub = true
		k.subject, k.left.sub, k.plainSubject = subject(sub.Value)
	}
	outer := cursor{b: c.need("type attributes", 0xA1).Value, err: c.err}
	in := cursor{b: outer.need("key type attributes", tagSequence).Value, err: outer.err}
	k.value = in.valueOf()
	if private && k.value.direct != nil {
		in.fail("private key with its value in the entry")
	}
	var known []byte
	switch k.kind {
	case KeyRSA:
		k.bits = in.needInteger("modulus length", tagInteger)
	case KeyGOST:
		k.bits = gostBits
		k.gost.R3410 = in.needInteger("GOST R 34.10 parameters", tagInteger)
		k.gost.R3411 = in.integer("GOST R 34.11 parameters", tagInteger, 0)
		k.gost.R28147 = in.integer("GOST 28147 parameters", tagInteger, 0)
	case KeyEC:
		if private {
			k.bits = in.integer("field size", tagInteger, 0)
		}
		if private && k.bits == 0 {
			known = append(known, tagInteger)
		}
	}
	k.left.typ = in.rest("key type attributes", known...)
	outer.err = in.err
	k.left.outer = outer.rest("type attributes", tagSequence)
	c.err = outer.err
	k.left.object = c.rest("key", 0xA0, 0xA1)
	return k, c.err
}

func (k key) appendTo(dst []byte, private bool) []byte {
	start := len(dst)
	dst = k.common.appendTo(dst)
	dst = k.attributes.appendTo(dst, k.left.class)
	dst = appendSubject(dst, k.subject, k.left.sub, k.plainSubject, k.left.hasSub)
	outer := len(dst)
	dst = k.value.appendTo(dst)
	switch k.kind {
	case KeyGOST:
		dst = appendInteger(dst, tagInteger, k.gost.R3410)
		dst = appendInteger(dst, tagInteger, k.gost.R3411)
		dst = appendInteger(dst, tagInteger, k.gost.R28147)
	case KeyEC:
		if private && k.bits != 0 {
			dst = appendInteger(dst, tagInteger, k.bits)
		}
	default:
		dst = appendInteger(dst, tagInteger, k.bits)
	}
	dst = wrap(append(dst, k.left.typ...), tagSequence, outer)
	dst = wrap(append(dst, k.left.outer...), 0xA1, outer)
	return wrap(append(dst, k.left.object...), k.kind.tag(), start)
}

package pkcs11

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
)

// AttributeType is a CK_ATTRIBUTE_TYPE.
type AttributeType uint

// The attributes that this module knows (PKCS #11 v3.0 §4).
const (
	AttrClass                  AttributeType = 0x000
	AttrToken                  AttributeType = 0x001
	AttrPrivate                AttributeType = 0x002
	AttrLabel                  AttributeType = 0x003
	AttrUniqueID               AttributeType = 0x004
	AttrApplication            AttributeType = 0x010
	AttrValue                  AttributeType = 0x011
	AttrObjectID               AttributeType = 0x012
	AttrCertificateType        AttributeType = 0x080
	AttrIssuer                 AttributeType = 0x081
	AttrSerialNumber           AttributeType = 0x082
	AttrTrusted                AttributeType = 0x086
	AttrCertificateCategory    AttributeType = 0x087
	AttrJavaMIDPSecurityDomain AttributeType = 0x088
	AttrURL                    AttributeType = 0x089
	AttrHashOfSubjectPublicKey AttributeType = 0x08A
	AttrHashOfIssuerPublicKey  AttributeType = 0x08B
	AttrCheckValue             AttributeType = 0x090
	AttrKeyType                AttributeType = 0x100
	AttrSubject                AttributeType = 0x101
	AttrID                     AttributeType = 0x102
	AttrSensitive              AttributeType = 0x103
	AttrEncrypt                AttributeType = 0x104
	AttrDecrypt                AttributeType = 0x105
	AttrWrap                   AttributeType = 0x106
	AttrUnwrap                 AttributeType = 0x107
	AttrSign                   AttributeType = 0x108
	AttrSignRecover            AttributeType = 0x109
	AttrVerify                 AttributeType = 0x10A
	AttrVerifyRecover          AttributeType = 0x10B
	AttrDerive                 AttributeType = 0x10C
	AttrStartDate              AttributeType = 0x110
	AttrEndDate                AttributeType = 0x111
	AttrModulus                AttributeType = 0x120
	AttrModulusBits            AttributeType = 0x121
	AttrPublicExponent         AttributeType = 0x122
	AttrPrivateExponent        AttributeType = 0x123
	AttrPrime1                 AttributeType = 0x124
	AttrPrime2                 AttributeType = 0x125
	AttrExponent1              AttributeType = 0x126
	AttrExponent2              AttributeType = 0x127
	AttrCoefficient            AttributeType = 0x128
	AttrPublicKeyInfo          AttributeType = 0x129
	AttrExtractable            AttributeType = 0x162
	AttrLocal                  AttributeType = 0x163
	AttrNeverExtractable       AttributeType = 0x164
	AttrAlwaysSensitive        AttributeType = 0x165
	AttrKeyGenMechanism        AttributeType = 0x166
	AttrModifiable             AttributeType = 0x170
	AttrCopyable               AttributeType = 0x171
	AttrDestroyable            AttributeType = 0x172
	AttrAlwaysAuthenticate     AttributeType = 0x202
	AttrWrapWithTrusted        AttributeType = 0x210
	AttrGOSTR3410Params        AttributeType = 0x250
	AttrGOSTR3411Params        AttributeType = 0x251
	AttrAllowedMechanisms      AttributeType = 0x40000600
)

func (t AttributeType) String() string { return fmt.Sprintf("CKA_(%#x)", uint(t)) }

// Class is a CK_OBJECT_CLASS.
type Class uint

// The classes of objects that this module has.
const (
	ClassData        Class = 0
	ClassCertificate Class = 1
	ClassPublicKey   Class = 2
	ClassPrivateKey  Class = 3
)

// Key types, CK_KEY_TYPE, and the certificate type of X.509.
const (
	keyRSA   = 0x00
	keyEC    = 0x03
	keyGOST  = 0x30
	certX509 = 0
)

// Unavailable is CK_UNAVAILABLE_INFORMATION: what a number has where there is
// none.
const Unavailable = ^uint(0)

// Attribute is one attribute of a template. Value has the bytes of C's memory:
// numbers are a CK_ULONG, truth values one byte.
type Attribute struct {
	Type  AttributeType
	Value []byte
}

// Query is one attribute that is asked for. Buffer is nil if only the length is
// wanted. Len is set to the length of the value, or to [Unavailable]; of Buffer
// no more than that is changed.
type Query struct {
	Type   AttributeType
	Buffer []byte
	Len    uint
}

// ulongSize is the size of a CK_ULONG: unsigned long has that of a pointer on all
// systems that this module is built for.
const ulongSize = bits.UintSize / 8

// Ulong gives the bytes of a CK_ULONG.
func Ulong(v uint) []byte {
	b := make([]byte, ulongSize)
	if ulongSize == 8 {
		binary.NativeEndian.PutUint64(b, uint64(v))
	} else {
		binary.NativeEndian.PutUint32(b, uint32(v))
	}
	return b
}

// ParseUlong reads a CK_ULONG.
func ParseUlong(b []byte) (uint, bool) {
	switch {
	case len(b) != ulongSize:
		return 0, false
	case ulongSize == 8:
		return uint(binary.NativeEndian.Uint64(b)), true
	}
	return uint(binary.NativeEndian.Uint32(b)), true
}

// Bool gives the byte of a CK_BBOOL.
func Bool(v bool) []byte {
	if v {
		return []byte{1}
	}
	return []byte{0}
}

// attributes are the values of an object or of a template.
type attributes map[AttributeType][]byte

// truth reads a CK_BBOOL, byDefault if it is not there.
func (a attributes) truth(t AttributeType, byDefault bool) bool {
	v, ok := a[t]
	if !ok {
		return byDefault
	}
	return len(v) == 1 && v[0] != 0
}

// number reads a CK_ULONG.
func (a attributes) number(t AttributeType) (uint, bool) { return ParseUlong(a[t]) }

// truths and numbers are the attributes with a value of a fixed length.
var (
	truths = []AttributeType{
		AttrToken, AttrPrivate, AttrTrusted, AttrSensitive, AttrEncrypt, AttrDecrypt, AttrWrap, AttrUnwrap, AttrSign, AttrSignRecover,
		AttrVerify, AttrVerifyRecover, AttrDerive, AttrExtractable, AttrLocal, AttrNeverExtractable, AttrAlwaysSensitive, AttrModifiable,
		AttrCopyable, AttrDestroyable, AttrAlwaysAuthenticate, AttrWrapWithTrusted,
	}
	numbers = []AttributeType{
		AttrClass, AttrCertificateType, AttrCertificateCategory, AttrJavaMIDPSecurityDomain, AttrKeyType, AttrModulusBits, AttrKeyGenMechanism,
	}
)

// maxTemplate bounds the attributes of a template: no class has as many.
const maxTemplate = 256

// parseTemplate checks the shape of a template: an attribute once, and with a
// value of its length.
func parseTemplate(template []Attribute) (attributes, error) {
	if len(template) > maxTemplate {
		return nil, ErrArgumentsBad
	}
	a := make(attributes, len(template))
	for _, t := range template {
		if _, twice := a[t.Type]; twice {
			return nil, ErrTemplateInconsistent
		}
		if !fitsType(t) {
			return nil, ErrAttributeValueInvalid
		}
		if a[t.Type] = t.Value; slices.Contains(truths, t.Type) {
			a[t.Type] = Bool(t.Value[0] != 0) // C has many truths
		}
	}
	return a, nil
}

func fitsType(a Attribute) bool {
	switch {
	case slices.Contains(truths, a.Type):
		return len(a.Value) == 1
	case slices.Contains(numbers, a.Type):
		return len(a.Value) == ulongSize
	}
	switch a.Type {
	case AttrStartDate, AttrEndDate:
		return len(a.Value) == 0 || len(a.Value) == 8
	case AttrAllowedMechanisms:
		return len(a.Value)%ulongSize == 0
	}
	return true
}

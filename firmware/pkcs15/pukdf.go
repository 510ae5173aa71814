package pkcs15

import "kaztoken/internal/iso7816"

// PublicKey is an entry of PuKDF, PKCS #15 v1.1 §6.4. The value is in the file
// Path or, where Path is empty, in Direct.
type PublicKey struct {
	Entry
	Common
	Kind   KeyKind
	ID     []byte // that of its private key; at most [MaxID] bytes
	Usage  KeyUsage
	Native bool // the token itself computes with the key
	Access AccessFlags
	// Reference names the key in commands. OpenSC writes 0 for the public keys
	// of this token, which it uses by itself. [NoReference] if there is none.
	Reference int
	// StartDate and EndDate are the text of a GeneralizedTime, empty if absent.
	StartDate, EndDate string
	Subject            []byte // DER of the owner's name (X.501 Name), nil if absent
	Path               Path
	Part               Part
	// Direct is the DER of the key: a SEQUENCE 30 is RSAPublicKey, a tag A1 is
	// SubjectPublicKeyInfo under that tag. Nil where Path is set.
	Direct []byte
	Bits   int // length of the modulus; 0 for EC
	GOST   GOSTParams

	plainSubject bool
	left         leftovers
}

// ParsePuKDF reads a directory file of public keys. See [Entries] for the error.
func ParsePuKDF(b []byte) ([]PublicKey, error) { return parse(b, parsePublicKey) }

func parsePublicKey(e Entry, t iso7816.TLV) PublicKey {
	k, err := parseKey(t, false)
	e.Err = err
	return PublicKey{
		Entry: e, Common: k.common, Kind: k.kind,
		ID: k.attributes.id, Usage: k.attributes.usage, Native: k.attributes.native,
		Access: k.attributes.access, Reference: k.attributes.reference,
		StartDate: k.attributes.startDate, EndDate: k.attributes.endDate,
		Subject: k.subject, Path: k.value.path, Part: k.value.part, Direct: k.value.direct,
		Bits: k.bits, GOST: k.gost, plainSubject: k.plainSubject, left: k.left,
	}
}

// AppendTo appends the entry, as [PrivateKey.AppendTo] does.
func (k PublicKey) AppendTo(dst []byte) []byte { return appendEntry(dst, k, parsePublicKey) }

func (k PublicKey) encode(dst []byte) []byte {
	return key{
		common: k.Common, kind: k.Kind,
		attributes: keyAttributes{k.ID, k.Usage, k.Native, k.Access, k.Reference, k.StartDate, k.EndDate},
		subject:    k.Subject, plainSubject: k.plainSubject,
		value: value{location{k.Path, k.Part}, k.Direct}, bits: k.Bits, gost: k.GOST, left: k.left,
	}.appendTo(dst, false)
}

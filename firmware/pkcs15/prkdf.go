package pkcs15

import "kaztoken/internal/iso7816"

// PrivateKey is an entry of PrKDF, PKCS #15 v1.1 §6.3. The value of a key is
// never in it: Path is the key's file, which the token uses and nobody reads.
type PrivateKey struct {
	Entry
	Common
	Kind KeyKind
	// ID pairs the key with its public key and its certificates, which have the
	// same one; at most [MaxID] bytes.
	ID     []byte
	Usage  KeyUsage
	Native bool // the token itself computes with the key
	Access AccessFlags
	// Reference names the key in commands: on this token the low byte of its
	// file's identifier. [NoReference] if there is none.
	Reference int
	// StartDate and EndDate are the text of a GeneralizedTime, empty if absent.
	StartDate, EndDate string
	// Subject is the DER of the owner's name (X.501 Name), nil if absent. OpenSC
	// writes it when a certificate for the key is stored.
	Subject []byte
	Path    Path
	Part    Part
	Bits    int // length of the modulus, for EC of the field, 0 if not said
	GOST    GOSTParams

	plainSubject bool
	left         leftovers
}

// ParsePrKDF reads a directory file of private keys. See [Entries] for the error.
func ParsePrKDF(b []byte) ([]PrivateKey, error) { return parse(b, parsePrivateKey) }

func parsePrivateKey(e Entry, t iso7816.TLV) PrivateKey {
	k, err := parseKey(t, true)
	e.Err = err
	return PrivateKey{
		Entry: e, Common: k.common, Kind: k.kind,
		ID: k.attributes.id, Usage: k.attributes.usage, Native: k.attributes.native,
		Access: k.attributes.access, Reference: k.attributes.reference,
		StartDate: k.attributes.startDate, EndDate: k.attributes.endDate,
		Subject: k.subject, Path: k.value.path, Part: k.value.part, Bits: k.bits, GOST: k.gost,
		plainSubject: k.plainSubject, left: k.left,
	}
}

// AppendTo appends the entry: the bytes it was read from if nothing was
// changed, else its attributes in DER as OpenSC writes them, with the ones
// unknown here at the end of their level.
func (k PrivateKey) AppendTo(dst []byte) []byte { return appendEntry(dst, k, parsePrivateKey) }

func (k PrivateKey) encode(dst []byte) []byte {
	return key{
		common: k.Common, kind: k.Kind,
		attributes: keyAttributes{k.ID, k.Usage, k.Native, k.Access, k.Reference, k.StartDate, k.EndDate},
		subject:    k.Subject, plainSubject: k.plainSubject,
		value: value{location: location{k.Path, k.Part}}, bits: k.Bits, gost: k.GOST, left: k.left,
	}.appendTo(dst, true)
}

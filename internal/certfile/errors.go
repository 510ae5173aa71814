package certfile

import (
	"encoding/asn1"
	"errors"
	"fmt"
)

// Errors of [Parse] and [Read]; most are wrapped with what was met.
var (
	// ErrUnknownFormat: the file is none of those that this package knows.
	ErrUnknownFormat = errors.New("not a certificate, key or PKCS #12 file")

	// ErrMalformed: the file begins like one of a known format, and is damaged.
	ErrMalformed = errors.New("damaged file")

	// ErrTooLarge: the file is longer than [Limit], or holds more certificates
	// than are read.
	ErrTooLarge = errors.New("file too large")

	// ErrNotAFile: the name is that of a folder, a socket or a device.
	ErrNotAFile = errors.New("not a file")

	// ErrPassword: the password is wrong, or there was nobody to ask. Where a
	// file has nothing to check a password by, damage looks the same.
	ErrPassword = errors.New("wrong password")

	// ErrKeyType: the private key is not one that a token takes. The error is a
	// [*KeyTypeError].
	ErrKeyType = errors.New("private key is not an RSA key that a token takes")

	// ErrEncryptedKey: the key is encrypted in a way that is not read here:
	// that of PEM itself (RFC 1421), which OpenSSL no longer writes by default.
	ErrEncryptedKey = errors.New("private key is encrypted in an outdated way")

	// ErrKeyMismatch: there are certificates, and the key belongs to none.
	ErrKeyMismatch = errors.New("private key belongs to no certificate of the file")

	// ErrSeveralKeys: the file has more than one private key.
	ErrSeveralKeys = errors.New("more than one private key")

	// ErrUnsupported: the file is sound and uses something that is not read
	// here. The error is an [*UnsupportedError].
	ErrUnsupported = errors.New("not supported")

	// ErrTooMuchWork: trying a password on the file would take too long. Only a
	// hostile file asks for that.
	ErrTooMuchWork = errors.New("too many iterations")
)

// KeyTypeError reports a private key that is not taken. It is [ErrKeyType].
type KeyTypeError struct {
	// Algorithm of the key: 1.2.840.10045.2.1 for an elliptic curve, something
	// below 1.2.398.3.10.1.1 for Kazakhstan's GOST.
	Algorithm asn1.ObjectIdentifier

	// Bits of the modulus of an RSA key that is too long to be read, else 0.
	Bits int
}

// Error names the algorithm.
func (e *KeyTypeError) Error() string {
	if e.Bits > 0 {
		return fmt.Sprintf("%v: %d bits", ErrKeyType, e.Bits)
	}
	return fmt.Sprintf("%v: algorithm %v", ErrKeyType, e.Algorithm)
}

// Unwrap gives ErrKeyType.
func (e *KeyTypeError) Unwrap() error { return ErrKeyType }

// UnsupportedError reports a part of a sound file that is not read here. It is
// [ErrUnsupported].
type UnsupportedError struct {
	Part string                // "encryption", "key derivation", "integrity check", "content"
	OID  asn1.ObjectIdentifier // which one
}

// Error names the part and its identifier.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s %v: %v", e.Part, e.OID, ErrUnsupported)
}

// Unwrap gives ErrUnsupported.
func (e *UnsupportedError) Unwrap() error { return ErrUnsupported }

// Package certfile reads the files in which people are given certificates and
// keys, and tells what they are by their content, never by their name:
//
//   - certificates, DER or PEM, one or several;
//   - PKCS #7 (.p7b) with certificates;
//   - PKCS #12 (.p12, .pfx) with a key and certificates, or certificates alone,
//     encrypted or not, in DER or in BER: Bouncy Castle, and with it the Java
//     libraries of Kazakhstan's National CA, write BER;
//   - RSA private keys, PKCS #1 and PKCS #8, DER or PEM, encrypted PKCS #8 too.
//
// A file may come from anywhere. [Limit] bounds its size, and the work that its
// encryption asks for is bounded before any of it is done; see [ErrTooMuchWork].
//
// PKCS #12 is read here and not by one of the modules that exist for it,
// because those take the password as a string, read DER alone, and give up a
// whole file for one certificate that Go's crypto/x509 finds fault with.
package certfile

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
)

// Bounds on what is read.
const (
	// Limit is the longest file that is read, bytes.
	Limit = 1 << 20

	// maxCertificates in one file; a system's whole trust store has some 150.
	maxCertificates = 500

	// maxWork is how many hash operations one file may ask for before its
	// password is known to be right or wrong. The files of today ask for a few
	// thousand to two million; this many take some seconds.
	maxWork = 10_000_000
)

// Contents is what a file holds: at least one certificate, or a key.
type Contents struct {
	// Certificates begin with the leaf: the one that belongs to Key, or
	// without a key the first that issued no other. Its issuers follow,
	// upwards, as far as the file has them (they are found by name and key
	// identifier, no signature is checked), then the rest in the file's order.
	// No certificate is there twice.
	//
	// Raw is always set. A certificate that crypto/x509 does not accept has
	// nothing but Raw. An algorithm that crypto/x509 does not know (GOST) is no
	// reason for that: such a certificate has all its fields, with an unknown
	// algorithm and a nil PublicKey.
	Certificates []*x509.Certificate

	// Chain is how many Certificates the leaf and its issuers are.
	Chain int

	// Key is the private key, nil if there is none. If there are
	// certificates, it belongs to the first.
	Key *rsa.PrivateKey
}

// Parse reads a file. password is asked at most once, and only if something is
// encrypted under a password that is not empty; nil stands for nobody to ask.
// What it returns is UTF-8, and is neither kept nor changed: its owner wipes it.
// Its error is returned as it is. The results do not alias data.
//
// Errors, by [errors.Is]: [ErrTooLarge], [ErrUnknownFormat], [ErrMalformed],
// [ErrPassword], [ErrKeyType] (a [*KeyTypeError]), [ErrEncryptedKey],
// [ErrKeyMismatch], [ErrSeveralKeys], [ErrUnsupported] (an
// [*UnsupportedError]), [ErrTooMuchWork].
func Parse(data []byte, password func() ([]byte, error)) (Contents, error) {
	return parse(data, password, maxWork)
}

func parse(data []byte, password func() ([]byte, error), work int64) (Contents, error) {
	if len(data) > Limit {
		return Contents{}, ErrTooLarge
	}
	d := decoder{ask: password, work: work}
	defer d.wipe()
	if err := d.file(data); err != nil {
		return Contents{}, err
	}
	if len(d.certs) == 0 && d.key == nil {
		return Contents{}, fmt.Errorf("%w: neither certificate nor key in it", ErrUnknownFormat)
	}
	return d.contents()
}

// A decoder collects what one file holds.
type decoder struct {
	ask  func() ([]byte, error)
	pass *passphrase // the answer, nil until asked
	work int64       // hash operations left

	certs []*x509.Certificate
	key   *rsa.PrivateKey
}

// file finds out what data are. ASN.1 comes first: a certificate may have PEM
// inside it. What begins like ASN.1 may still be text.
func (d *decoder) file(data []byte) error {
	if n, rest, err := element(data); err == nil && recognise(n) != kindUnknown {
		return d.binary(n, rest)
	}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		return d.pem(data)
	}
	// The body of a PEM file alone: copied from a page or out of XML.
	der, err := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(data)))
	if err != nil {
		return ErrUnknownFormat
	}
	n, rest, err := element(der)
	if err != nil {
		return ErrUnknownFormat
	}
	return d.binary(n, rest)
}

// binary reads a file that begins with the element n and has rest behind it.
func (d *decoder) binary(n node, rest []byte) error {
	if recognise(n) == kindCertificate {
		return d.certificates(n, rest)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: data behind the end", ErrMalformed)
	}
	switch recognise(n) {
	case kindPKCS7:
		return d.pkcs7(n.full)
	case kindPKCS12:
		return d.pkcs12(n.full)
	case kindPKCS8:
		return d.pkcs8(n.full)
	case kindEncryptedPKCS8:
		return d.encryptedPKCS8(n.full)
	case kindPKCS1:
		return d.pkcs1(n.full)
	case kindSEC1:
		return &KeyTypeError{Algorithm: oidECPublicKey}
	}
	return ErrUnknownFormat
}

// certificates takes n and those behind it: one after another they make a file,
// too.
func (d *decoder) certificates(n node, rest []byte) error {
	for {
		if err := d.certificate(n.full); err != nil {
			return err
		}
		if len(rest) == 0 {
			return nil
		}
		var err error
		if n, rest, err = element(rest); err != nil || recognise(n) != kindCertificate {
			return fmt.Errorf("%w: data behind a certificate", ErrMalformed)
		}
	}
}

// pem reads every block of a PEM file (RFC 7468) that it knows by its label,
// and passes over the others: parameters, requests, public keys.
func (d *decoder) pem(data []byte) error {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			return nil
		}
		defer clear(block.Bytes)
		if err := d.block(block); err != nil {
			return err
		}
	}
}

func (d *decoder) block(block *pem.Block) error {
	var want kind
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE":
		want = kindCertificate
	case "PKCS7", "CMS":
		want = kindPKCS7
	case "PKCS12", "PFX":
		want = kindPKCS12
	case "PRIVATE KEY":
		want = kindPKCS8
	case "ENCRYPTED PRIVATE KEY":
		want = kindEncryptedPKCS8
	case "RSA PRIVATE KEY":
		want = kindPKCS1
	case "EC PRIVATE KEY":
		return &KeyTypeError{Algorithm: oidECPublicKey}
	case "DSA PRIVATE KEY":
		return &KeyTypeError{Algorithm: oidDSA}
	default:
		return nil
	}
	if block.Headers["DEK-Info"] != "" { // RFC 1421 §4.6.1.3
		return fmt.Errorf("%w: PEM's own encryption", ErrEncryptedKey)
	}
	n, rest, err := element(block.Bytes)
	if err != nil || recognise(n) != want {
		return fmt.Errorf("%w: PEM block %s", ErrMalformed, block.Type)
	}
	if block.Type == "TRUSTED CERTIFICATE" { // OpenSSL's own data follow
		rest = nil
	}
	return d.binary(n, rest)
}

// certificate takes one certificate, which has been recognised as such.
func (d *decoder) certificate(der []byte) error {
	der = bytes.Clone(der)
	for _, c := range d.certs {
		if bytes.Equal(c.Raw, der) {
			return nil
		}
	}
	if len(d.certs) == maxCertificates {
		return fmt.Errorf("%w: more than %d certificates", ErrTooLarge, maxCertificates)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		c = &x509.Certificate{Raw: der}
	}
	d.certs = append(d.certs, c)
	return nil
}

// takeKey takes a private key; a file may repeat it.
func (d *decoder) takeKey(key *rsa.PrivateKey) error {
	if d.key != nil && !d.key.Equal(key) {
		return ErrSeveralKeys
	}
	d.key = key
	return nil
}

// PEM gives a certificate in DER as a PEM block (RFC 7468 §5).
func PEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// Read reads a file for [Parse]: a regular file or a pipe, [Limit] bytes at
// most. Errors: [ErrTooLarge]; [ErrNotAFile] for a folder, a socket or a
// device; those of the operating system.
func Read(path string) ([]byte, error) {
	// Before it is opened: opening some devices changes their state.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && info.Mode().Type() != os.ModeNamedPipe {
		return nil, &os.PathError{Op: "read", Path: path, Err: ErrNotAFile}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, Limit+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if len(data) > Limit {
		return nil, &os.PathError{Op: "read", Path: path, Err: ErrTooLarge}
	}
	return data, nil
}

package firmware

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// Certificate is a certificate on the token. The slices must not be changed.
type Certificate struct {
	ID        []byte // that of its key pair, if it has one
	Label     string
	DER       []byte
	X509      *x509.Certificate // nil if Go cannot read it
	Authority bool              // of a certification authority
	Key       *Key              // the key pair on the token, nil if there is none
	Path      pkcs15.Path       // of its file; nil if it is in its entry
}

// Certificates reads all certificates. It needs no log-in. One whose file the
// token does not give has no DER.
func (t *Token) Certificates(ctx context.Context) ([]Certificate, error) {
	var list []Certificate
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpList); err != nil {
			return err
		}
		list, err = t.certificates(ctx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list certificates: %w", err)
	}
	return list, nil
}

func (t *Token) certificates(ctx context.Context) ([]Certificate, error) {
	entries, err := certificates(ctx, t)
	if err != nil {
		return nil, err
	}
	keys, err := t.keys(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Certificate, 0, len(entries))
	for _, e := range entries {
		if e.Err != nil {
			continue
		}
		c, err := t.certificate(ctx, e)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if bytes.Equal(k.ID, c.ID) {
				c.Key = &k
				break
			}
		}
		list = append(list, c)
	}
	return list, nil
}

// certificate reads the file of an entry.
func (t *Token) certificate(ctx context.Context, e pkcs15.Certificate) (Certificate, error) {
	c := Certificate{ID: e.ID, Label: e.Label, Authority: e.Authority, DER: e.Direct}
	if e.Direct == nil {
		c.Path = e.Path.Absolute(t.app)
		content, err := t.content(ctx, c.Path)
		if err != nil && !refused(err) {
			return c, err
		}
		c.DER = partOf(content, e.Part)
	}
	if o, rest, err := iso7816.ParseTLV(c.DER); err == nil && o.Tag == 0x30 {
		c.DER = c.DER[:len(c.DER)-len(rest)] // its file may be longer
		c.X509, _ = x509.ParseCertificate(c.DER)
	}
	if c.X509 != nil && c.X509.IsCA {
		c.Authority = true
	}
	return c, nil
}

// partOf cuts a part out of a file; a part that is not in it gives nothing.
func partOf(content []byte, p pkcs15.Part) []byte {
	if p == (pkcs15.Part{}) {
		return content
	}
	if p.Index < 0 || p.Count < 0 || p.Index > len(content) || p.Count > len(content)-p.Index {
		return nil
	}
	return content[p.Index : p.Index+p.Count]
}

// ImportOptions name what is imported.
type ImportOptions struct {
	ID    []byte // as OpenSC forms it if nil: that of the key pair, SHA-1 of the modulus
	Label string // the common name of the subject if empty
}

// ImportCertificate stores a certificate; the user has to be logged in. If its
// key pair is on the token they get the same ID. der that Go cannot read as a
// certificate is refused with an error of crypto/x509, one that is on the token
// already with [ErrExists].
func (t *Token) ImportCertificate(ctx context.Context, der []byte, o ImportOptions) (Certificate, error) {
	var c Certificate
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		if err := t.need(OpImport, User); err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		if c, err = t.importCertificate(ctx, cert, o); err != nil {
			return err
		}
		if err := t.flush(ctx); err != nil {
			return errors.Join(err, t.undo(ctx, c.Path))
		}
		return t.touch(ctx)
	})
	if err != nil {
		return Certificate{}, fmt.Errorf("import certificate: %w", err)
	}
	return c, nil
}

// importCertificate stores a certificate; it is valid with the next flush.
func (t *Token) importCertificate(ctx context.Context, cert *x509.Certificate, o ImportOptions) (Certificate, error) {
	have, err := certificates(ctx, t)
	if err != nil {
		return Certificate{}, err
	}
	for _, e := range have {
		if same, err := t.holds(ctx, e, cert.Raw); err != nil {
			return Certificate{}, err
		} else if same {
			return Certificate{ID: e.ID}, fmt.Errorf("certificate %q: %w", e.Label, ErrExists)
		}
	}
	if o.ID == nil {
		if o.ID, err = t.certificateID(ctx, cert); err != nil {
			return Certificate{}, err
		}
	}
	if len(o.ID) == 0 || len(o.ID) > pkcs15.MaxID {
		return Certificate{}, &OptionError{Option: "ID", Value: len(o.ID), Min: 1, Max: pkcs15.MaxID}
	}
	if o.Label == "" {
		o.Label = certificateLabel(cert)
	}
	if err := checkLabel(o.Label); err != nil {
		return Certificate{}, err
	}
	p, err := t.store(ctx, pkcs15.FileCertificate, cert.Raw, false)
	if err != nil {
		return Certificate{}, err
	}
	e := pkcs15.NewCertificate(o.Label, o.ID, p)
	e.Authority = cert.IsCA
	if err := t.enter(ctx, pkcs15.CDF, e.AppendTo(nil)); err != nil {
		return Certificate{}, errors.Join(err, t.undo(ctx, p))
	}
	c := Certificate{ID: o.ID, Label: o.Label, DER: cert.Raw, X509: cert, Authority: cert.IsCA, Path: p}
	if k, err := t.findKey(ctx, o.ID); err == nil {
		c.Key = &k
	}
	return c, nil
}

// holds reports whether an entry is of that certificate. A file of another size
// is not read.
func (t *Token) holds(ctx context.Context, e pkcs15.Certificate, der []byte) (bool, error) {
	if e.Err != nil || e.Direct != nil {
		return e.Err == nil && bytes.Equal(e.Direct, der), nil
	}
	p := e.Path.Absolute(t.app)
	if _, read := t.cache.files[string(p)]; !read {
		f, err := t.selectFile(ctx, p)
		if err != nil || f.size != len(der) {
			if err != nil && !refused(err) {
				return false, err
			}
			return false, nil
		}
	}
	content, err := t.content(ctx, p)
	if err != nil && !refused(err) {
		return false, err
	}
	return bytes.Equal(content, der), nil
}

// certificateID is the ID of the key pair on the token that the certificate is
// for or else the one that such a key would get.
func (t *Token) certificateID(ctx context.Context, cert *x509.Certificate) ([]byte, error) {
	pub, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		sum := sha1.Sum(cert.RawSubjectPublicKeyInfo)
		return sum[:], nil
	}
	id := modulusID(pub)
	keys, err := t.keyEntries(ctx)
	if err != nil {
		return nil, err
	}
	for _, k := range keys { // most keys have it
		if bytes.Equal(k.ID, id) {
			return id, nil
		}
	}
	for _, k := range keys {
		if k.Bits != pub.N.BitLen() {
			continue
		}
		other, err := t.publicKey(ctx, k.ID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if other.Equal(pub) {
			return k.ID, nil
		}
	}
	return id, nil
}

// certificateLabel is a name for a certificate that was given none: its
// subject's common name, else its organisation, as far as a label goes.
func certificateLabel(cert *x509.Certificate) string {
	label := cert.Subject.CommonName
	if label == "" && len(cert.Subject.Organization) > 0 {
		label = cert.Subject.Organization[0]
	}
	if label == "" {
		label = "certificate"
	}
	return cutText(label, maxCertificateLabel)
}

// maxCertificateLabel keeps the entries short: a directory changes in one
// command as long as what comes after the change fits into it.
const maxCertificateLabel = 100

// cutText shortens a text to n bytes between two characters.
func cutText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := 0
	for i := range s {
		if i > n {
			break
		}
		end = i
	}
	return s[:end]
}

package certfile

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"slices"
)

// contents puts what was found in order.
func (d *decoder) contents() (Contents, error) {
	c := Contents{Key: d.key}
	if len(d.certs) == 0 {
		return c, nil
	}
	leaf := findLeaf(d.certs)
	if d.key != nil {
		if leaf = slices.IndexFunc(d.certs, d.belongs); leaf < 0 {
			return Contents{}, ErrKeyMismatch
		}
	}
	rest := slices.Clone(d.certs)
	for leaf >= 0 {
		next := rest[leaf]
		c.Certificates = append(c.Certificates, next)
		rest = slices.Delete(rest, leaf, leaf+1)
		leaf = findIssuer(next, rest)
	}
	c.Chain = len(c.Certificates)
	c.Certificates = append(c.Certificates, rest...)
	return c, nil
}

// belongs reports whether the key is that of the certificate c.
func (d *decoder) belongs(c *x509.Certificate) bool {
	if pub, ok := c.PublicKey.(*rsa.PublicKey); ok {
		return d.key.PublicKey.Equal(pub)
	}
	// Go could not read it: its key is in there all the same.
	return c.RawTBSCertificate == nil && bytes.Contains(c.Raw, x509.MarshalPKCS1PublicKey(&d.key.PublicKey))
}

// findLeaf gives the index of the first certificate that issued no other, one
// of a person before one of an authority; 0 if they issued each other.
func findLeaf(all []*x509.Certificate) int {
	best, bestRank := 0, 0
	for i, c := range all {
		rank := 1 // unreadable
		if c.RawTBSCertificate != nil {
			if slices.ContainsFunc(all, func(other *x509.Certificate) bool {
				return other != c && issued(c, other)
			}) {
				continue
			}
			if rank = 3; c.IsCA {
				rank = 2
			}
		}
		if rank > bestRank {
			best, bestRank = i, rank
		}
	}
	return best
}

// findIssuer gives the index in all of c's issuer, -1 if it is not there or c
// is its own. One that the key identifiers name comes first.
func findIssuer(c *x509.Certificate, all []*x509.Certificate) int {
	if c.RawTBSCertificate == nil || bytes.Equal(c.RawIssuer, c.RawSubject) {
		return -1
	}
	found := -1
	for i, parent := range all {
		if !issued(parent, c) {
			continue
		}
		if len(c.AuthorityKeyId) > 0 && bytes.Equal(parent.SubjectKeyId, c.AuthorityKeyId) {
			return i
		}
		if found < 0 {
			found = i
		}
	}
	return found
}

// issued reports whether parent may have issued c, judged by its name and,
// where both certificates have it, the identifier of its key (RFC 5280 §4.2.1.1).
func issued(parent, c *x509.Certificate) bool {
	if parent.RawTBSCertificate == nil || !bytes.Equal(parent.RawSubject, c.RawIssuer) {
		return false
	}
	return len(parent.SubjectKeyId) == 0 || len(c.AuthorityKeyId) == 0 ||
		bytes.Equal(parent.SubjectKeyId, c.AuthorityKeyId)
}

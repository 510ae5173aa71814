package describe

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/words"
)

// ShortValidity is a validity in a list.
func ShortValidity(v kzpki.Validity) words.Key {
	switch v {
	case kzpki.NotYetValid:
		return "state.early"
	case kzpki.Valid:
		return "state.valid"
	case kzpki.Expired:
		return "state.expired"
	}
	return "unknown"
}

// PersonalFirst brings certificates into the order of a list: personal ones, whose
// key pair is on the token, first.
func PersonalFirst(all []firmware.Certificate) {
	other := func(c firmware.Certificate) int {
		if c.Key == nil {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(x, y firmware.Certificate) int { return other(x) - other(y) })
}

// usageWords are the bits of x509.KeyUsage in the catalogue, in their order from
// bit 0.
var usageWords = []words.Key{
	"usage.digitalSignature", "usage.contentCommitment", "usage.keyEncipherment", "usage.dataEncipherment", "usage.keyAgreement",
	"usage.certSign", "usage.crlSign", "usage.encipherOnly", "usage.decipherOnly",
}

// Certificate describes a certificate: what it is for, then what is in it. chosen
// says that it is the default one.
func Certificate(w words.Words, c firmware.Certificate, chosen bool, now time.Time) Sheet {
	m := kzpki.Describe(c.X509)
	var s Sheet
	s.add(w.Text("cert.label"), OrDash(words.Clean(c.Label)))
	s.add(w.Text("col.state"), w.Text(words.Key(m.Validity(now).Key())))
	if c.Key != nil {
		s.add("", w.Text("nonextract"))
	}
	if c.Authority {
		s.add("", w.Text("cert.authority"))
	}
	if chosen {
		s.add("", w.Text("cert.chosen"))
	}
	if m.NCA {
		s.add("", w.Text("cert.nca"))
		s = append(s, Meaning(w, m)...)
	}
	if x := c.X509; x != nil {
		s.add(w.Text("cert.subject"), Attributes(x.RawSubject)...)
		s.add(w.Text("cert.issuer"), Attributes(x.RawIssuer)...)
		s.add(w.Text("cert.serial"), fmt.Sprintf("%X", x.SerialNumber))
		s.add(w.Text("cert.validity"), w.DateTime(x.NotBefore.UTC()), w.DateTime(x.NotAfter.UTC()))
		s.add(w.Text("cert.key"), Algorithm(w, m.Algorithm))
		s.add(w.Text("cert.signature"), SignatureAlgorithm(x, m))
		var usages []string
		for i, k := range usageWords {
			if x.KeyUsage&(1<<i) != 0 {
				usages = append(usages, w.Text(k))
			}
		}
		s.add(w.Text("cert.usage"), OrDash(strings.Join(usages, ", ")))
		s.add(w.Text("cert.extended"), Purposes(x)...)
		var policies []string
		for _, p := range m.Policies {
			policies = append(policies, w.Text(words.Key(p.Key())))
		}
		for _, p := range x.Policies {
			policies = append(policies, p.String())
		}
		s.add(w.Text("cert.policies"), policies...)
		var names []string
		for _, name := range Names(x) {
			names = append(names, words.Clean(name))
		}
		s.add(w.Text("cert.names"), names...)
	}
	s.add("ID", fmt.Sprintf("%X", c.ID))
	s.add(w.Text("cert.fingerprint"), fmt.Sprintf("%X", sha256.Sum256(c.DER)))
	s.add(w.Text("col.size"), w.Text("bytes", "n", len(c.DER)))
	return s
}

// Meaning says what a certificate of Kazakhstan's National CA is for.
func Meaning(w words.Words, m kzpki.Meaning) Sheet {
	var s Sheet
	s.add(w.Text("cert.field.purpose"), w.Text(words.Key(m.Purpose.Key())))
	s.add(w.Text("cert.field.holder"), w.Text(words.Key(m.Holder.Key())))
	var roles []string
	for _, r := range m.Roles {
		roles = append(roles, w.Text(words.Key(r.Key())))
	}
	s.add(w.Text("cert.field.roles"), roles...)
	for _, f := range []struct {
		label words.Key
		value string
	}{{"cert.field.name", m.Name.Full()}, {"cert.field.organisation", m.Organisation}} {
		if f.value != "" {
			s.add(w.Text(f.label), kzpki.Display(f.value))
		}
	}
	for _, f := range []struct {
		label words.Key
		value kzpki.Number
	}{{"cert.field.iin", m.IIN}, {"cert.field.bin", m.BIN}} {
		switch text := kzpki.Display(f.value.Text); {
		case f.value.WellFormed:
			s.add(w.Text(f.label), text)
		case text != "":
			s.add(w.Text(f.label), fmt.Sprintf("%s (%s)", text, w.Text("cert.field.malformed")))
		}
	}
	return s
}

// SignatureAlgorithm is Go's name of the algorithm that signed a certificate,
// else its identifier.
func SignatureAlgorithm(x *x509.Certificate, m kzpki.Meaning) string {
	if x.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		return x.SignatureAlgorithm.String()
	}
	return m.Algorithm.SignatureOID
}

// Purposes lists the extended key usages, dotted (RFC 5280 §4.2.1.12).
func Purposes(x *x509.Certificate) []string {
	var all []string
	for _, u := range x.ExtKeyUsage {
		all = append(all, u.OID().String())
	}
	for _, u := range x.UnknownExtKeyUsage {
		all = append(all, u.String())
	}
	return all
}

// Names lists the alternative names of the subject, as the certificate has them.
func Names(x *x509.Certificate) []string {
	all := append(append([]string{}, x.DNSNames...), x.EmailAddresses...)
	for _, ip := range x.IPAddresses {
		all = append(all, ip.String())
	}
	for _, u := range x.URIs {
		all = append(all, u.String())
	}
	return all
}

// Package kzpki says what a certificate of Kazakhstan's National Certification
// Authority (ҚР ҰКО, НУЦ РК) is for: whether it signs or authenticates, for
// whom, with what rights. [Describe] reads it out of the certificate; every
// other certificate gets the same description with less in it.
//
// The package gives values, not sentences. Each enumeration has a String, which
// is stable and stands in JSON, and a Key into the catalogue of words; [Keys]
// lists them all.
//
// Nothing is verified here. A certificate is read as it describes itself, and
// anybody can make one that says what the authority's say: before trust, its
// signature has to be checked. An algorithm that Go does not know is no fault
// of a certificate, and none is found.
package kzpki

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"time"
)

// Meaning is what a certificate is for. Texts are as the certificate has them:
// [Display] makes them safe to show.
type Meaning struct {
	Purpose  Purpose  `json:"purpose"`
	Holder   Holder   `json:"holder"`
	Roles    []Role   `json:"roles,omitempty"`    // in the order of the constants, each once
	Policies []Policy `json:"policies,omitempty"` // in the order of the constants, each once

	// OtherOIDs are key usages and policies of the authority that have no
	// constant here, in the certificate's order, each once.
	OtherOIDs []string `json:"otherOIDs,omitempty"`

	Name         Name   `json:"name"`
	IIN          Number `json:"iin,omitzero"` // of a person
	BIN          Number `json:"bin,omitzero"` // of an organisation
	Organisation string `json:"organisation,omitempty"`

	// Authority is the issuer's common name.
	Authority string `json:"authority,omitempty"`

	// NCA says that the certificate describes itself as one of the National
	// Certification Authority: by a policy or key usage of its own, or by the
	// issuer's name.
	NCA bool `json:"nca"`

	Algorithm Algorithm `json:"algorithm"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
}

// Name is the name of a person. The authority's profiles differ in what they
// call a given name: in some it is the patronymic.
type Name struct {
	Common  string `json:"common,omitempty"`  // CN, of persons "SURNAME GIVEN"
	Surname string `json:"surname,omitempty"` // 2.5.4.4
	Given   string `json:"given,omitempty"`   // 2.5.4.42
}

// Full joins the parts and says no word twice: the common name, then what the
// given name has that the common name has not.
func (n Name) Full() string {
	words := strings.Fields(n.Common)
	if len(words) == 0 {
		words = strings.Fields(n.Surname)
	}
	full := strings.Join(words, " ")
	for _, w := range strings.Fields(n.Given) {
		if !containsFold(words, w) {
			full += " " + w
		}
	}
	return strings.TrimSpace(full)
}

func containsFold(words []string, w string) bool {
	for _, v := range words {
		if strings.EqualFold(v, w) {
			return true
		}
	}
	return false
}

// Number is an identification number, of a person (IIN) or an organisation
// (BIN). The zero value says that the certificate has none.
type Number struct {
	// Text is the twelve digits, or if they are not that the whole attribute.
	Text string `json:"text"`

	// WellFormed says that Text is twelve digits. Their check digit is not
	// looked at.
	WellFormed bool `json:"wellFormed"`
}

// Attributes of a name, RFC 5280 appendix A.1.
var (
	oidCommonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
	oidSurname          = asn1.ObjectIdentifier{2, 5, 4, 4}
	oidSerialNumber     = asn1.ObjectIdentifier{2, 5, 4, 5}
	oidOrganisation     = asn1.ObjectIdentifier{2, 5, 4, 10}
	oidOrganisationUnit = asn1.ObjectIdentifier{2, 5, 4, 11}
	oidGivenName        = asn1.ObjectIdentifier{2, 5, 4, 42}
)

// Describe reads a certificate. One that crypto/x509 could not parse, with
// nothing but Raw, gives at most its algorithm; nil gives the zero Meaning. The
// result does not alias c.
func Describe(c *x509.Certificate) Meaning {
	if c == nil {
		return Meaning{}
	}
	m := Meaning{
		Authority: c.Issuer.CommonName,
		Algorithm: algorithmOf(c),
		NotBefore: c.NotBefore,
		NotAfter:  c.NotAfter,
	}
	m.usages(c)
	m.policies(c)
	m.NCA = m.NCA || issuedByNCA(c)
	m.subject(c)
	m.Purpose = m.purpose(c)
	m.Holder = m.holder(c)
	return m
}

// subject reads the holder's name. Where an attribute is there several times,
// the first counts, among units the first that is a number.
func (m *Meaning) subject(c *x509.Certificate) {
	set := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	for _, a := range c.Subject.Names {
		value, ok := a.Value.(string)
		if !ok {
			continue
		}
		switch {
		case a.Type.Equal(oidCommonName):
			set(&m.Name.Common, value)
		case a.Type.Equal(oidSurname):
			set(&m.Name.Surname, value)
		case a.Type.Equal(oidGivenName):
			set(&m.Name.Given, value)
		case a.Type.Equal(oidOrganisation):
			set(&m.Organisation, value)
		case a.Type.Equal(oidSerialNumber):
			m.serialNumber(value)
		case a.Type.Equal(oidOrganisationUnit) && strings.HasPrefix(value, "BIN"):
			m.number(&m.BIN, "BIN", value)
		}
	}
}

// serialNumber reads the attribute that has the IIN, in some certificates of
// organisations the BIN.
func (m *Meaning) serialNumber(value string) {
	if strings.HasPrefix(value, "BIN") {
		m.number(&m.BIN, "BIN", value)
	} else {
		m.number(&m.IIN, "IIN", value)
	}
}

// number sets n, if it is not well-formed by now, to what follows the prefix.
// What is not twelve digits is kept whole, and only in certificates of the
// authority: others number things of their own.
func (m *Meaning) number(n *Number, prefix, value string) {
	digits, ok := strings.CutPrefix(value, prefix)
	ok = ok && len(digits) == 12 && strings.Trim(digits, "0123456789") == ""
	switch {
	case n.WellFormed:
	case ok:
		*n = Number{Text: digits, WellFormed: true}
	case m.NCA && n.Text == "":
		*n = Number{Text: value}
	}
}

// ncaNames are what the authority calls itself in its certificates: its full
// name in Kazakh and Russian, and the short ones. In capitals.
var ncaNames = []string{
	"ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ",
	"НАЦИОНАЛЬНЫЙ УДОСТОВЕРЯЮЩИЙ ЦЕНТР РЕСПУБЛИКИ КАЗАХСТАН",
	"НУЦ РК",
	"ҚР ҰКО",
}

// issuedByNCA judges by the issuer's names. "NCA" is short enough to be others'
// name, so there the country has to fit.
func issuedByNCA(c *x509.Certificate) bool {
	kz := false
	for _, country := range c.Issuer.Country {
		kz = kz || strings.EqualFold(country, "KZ")
	}
	for _, name := range append([]string{c.Issuer.CommonName}, c.Issuer.Organization...) {
		name = strings.Join(strings.Fields(strings.ToUpper(name)), " ")
		for _, known := range ncaNames {
			if strings.Contains(name, known) {
				return true
			}
		}
		for _, word := range strings.FieldsFunc(name, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			if kz && word == "NCA" {
				return true
			}
		}
	}
	return false
}

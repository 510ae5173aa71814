package kzpki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"
)

// arc is where the authority's own key usages and policies are.
const arc = "1.2.398.3.3."

// Purpose is what the key of a certificate does.
type Purpose byte

// Purposes.
const (
	PurposeOther          Purpose = iota // none of those below, or none given
	PurposeAuthentication                // logs in: key usage 1.3.6.1.5.5.7.3.2
	PurposeSigning                       // signs documents: key usage 1.3.6.1.5.5.7.3.4
	PurposeBoth                          // logs in and signs
	PurposeAuthority                     // issues certificates
)

var purposeNames = []string{"other", "authentication", "signing", "authentication-and-signing", "authority"}

// String is the name in JSON.
func (p Purpose) String() string { return nameOf("Purpose", purposeNames, p) }

// Key is the key into the catalogue of words.
func (p Purpose) Key() string { return "cert.purpose." + p.String() }

// MarshalText gives String.
func (p Purpose) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Holder is what kind of holder a certificate is given to.
type Holder byte

// Holders.
const (
	HolderUnknown           Holder = iota // not said, or contradictory
	HolderIndividual                      // 1.2.398.3.3.4.1.1
	HolderIndividualSystem                // information system of an individual, .1.1.1
	HolderLegalEntity                     // 1.2.398.3.3.4.1.2
	HolderLegalEntitySystem               // information system of a legal entity, .1.2.6
	HolderAuthority                       // a certification authority
)

var holderNames = []string{"unknown", "individual", "individual-system", "legal-entity", "legal-entity-system", "authority"}

// String is the name in JSON.
func (h Holder) String() string { return nameOf("Holder", holderNames, h) }

// Key is the key into the catalogue of words.
func (h Holder) Key() string { return "cert.holder." + h.String() }

// MarshalText gives String.
func (h Holder) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// Role is what the holder may do, within the organisation or with the authority.
type Role byte

// Roles.
const (
	RoleHead                 Role = 1 + iota // of the legal entity
	RoleSigner                               // has the right to sign
	RoleFinancialSigner                      // has the right to sign financial documents
	RoleHumanResources                       // confirms the requests of employees
	RoleEmployee                             // of the organisation
	RoleNCARights                            // in the authority's own system, any
	RoleNCAAdministrator                     // there
	RoleNCAManager                           // there
	RoleNCAOperator                          // there
	RoleIdentification                       // holder was identified, somehow
	RoleIdentificationPerson                 // in person
	RoleIdentificationRemote                 // remotely
)

var roleNames = []string{"", "head", "signer", "financial-signer", "human-resources", "employee",
	"nca-rights", "nca-administrator", "nca-manager", "nca-operator",
	"identified", "identified-in-person", "identified-remotely"}

// String is the name in JSON.
func (r Role) String() string { return nameOf("Role", roleNames, r) }

// Key is the key into the catalogue of words.
func (r Role) Key() string { return "cert.role." + r.String() }

// MarshalText gives String.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Policy is a certificate policy of the authority.
type Policy byte

// Policies.
const (
	PolicyLegalEntitySigning        Policy = 1 + iota // 1.2.398.3.3.2.1
	PolicyLegalEntityAuthentication                   // 1.2.398.3.3.2.2
	PolicyIndividualSigning                           // 1.2.398.3.3.2.3
	PolicyIndividualAuthentication                    // 1.2.398.3.3.2.4
)

var policyNames = []string{"", "legal-entity-signing", "legal-entity-authentication",
	"individual-signing", "individual-authentication"}

// String is the name in JSON.
func (p Policy) String() string { return nameOf("Policy", policyNames, p) }

// Key is the key into the catalogue of words.
func (p Policy) Key() string { return "cert.policy." + p.String() }

// MarshalText gives String.
func (p Policy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Validity is where a moment lies in a certificate's time.
type Validity byte

// Validities.
const (
	ValidityUnknown Validity = iota // the certificate could not be parsed
	NotYetValid
	Valid
	Expired
)

var validityNames = []string{"unknown", "not-yet-valid", "valid", "expired"}

// String is the name in JSON.
func (v Validity) String() string { return nameOf("Validity", validityNames, v) }

// Key is the key into the catalogue of words.
func (v Validity) Key() string { return "cert.validity." + v.String() }

// MarshalText gives String.
func (v Validity) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Validity judges by the two dates alone; both belong to the time of validity
// (RFC 5280 §4.1.2.5). Revocation, signature and algorithm are not looked at.
func (m Meaning) Validity(at time.Time) Validity {
	switch {
	case m.NotBefore.IsZero() && m.NotAfter.IsZero():
		return ValidityUnknown
	case at.Before(m.NotBefore):
		return NotYetValid
	case at.After(m.NotAfter):
		return Expired
	}
	return Valid
}

func nameOf[E ~byte](kind string, names []string, e E) string {
	if int(e) < len(names) && names[e] != "" {
		return names[e]
	}
	return fmt.Sprintf("%s(%d)", kind, e)
}

// usageOIDs is the meaning of the authority's key usages. A role inside a legal
// entity says that the holder is one, whether that is said as well or not.
var usageOIDs = map[string]struct {
	holder Holder
	role   Role
}{
	arc + "4.1.1":   {HolderIndividual, 0},
	arc + "4.1.1.1": {HolderIndividualSystem, 0},
	arc + "4.1.2":   {HolderLegalEntity, 0},
	arc + "4.1.2.1": {HolderLegalEntity, RoleHead},
	arc + "4.1.2.2": {HolderLegalEntity, RoleSigner},
	arc + "4.1.2.3": {HolderLegalEntity, RoleFinancialSigner},
	arc + "4.1.2.4": {HolderLegalEntity, RoleHumanResources},
	arc + "4.1.2.5": {HolderLegalEntity, RoleEmployee},
	arc + "4.1.2.6": {HolderLegalEntitySystem, 0},
	arc + "4.2":     {0, RoleNCARights},
	arc + "4.2.1":   {0, RoleNCAAdministrator},
	arc + "4.2.2":   {0, RoleNCAManager},
	arc + "4.2.3":   {0, RoleNCAOperator},
	arc + "4.3":     {0, RoleIdentification},
	arc + "4.3.1":   {0, RoleIdentificationPerson},
	arc + "4.3.2":   {0, RoleIdentificationRemote},
}

var policyOIDs = map[string]struct {
	policy  Policy
	holder  Holder
	purpose Purpose
}{
	arc + "2.1": {PolicyLegalEntitySigning, HolderLegalEntity, PurposeSigning},
	arc + "2.2": {PolicyLegalEntityAuthentication, HolderLegalEntity, PurposeAuthentication},
	arc + "2.3": {PolicyIndividualSigning, HolderIndividual, PurposeSigning},
	arc + "2.4": {PolicyIndividualAuthentication, HolderIndividual, PurposeAuthentication},
}

// usages takes roles out of the extended key usages.
func (m *Meaning) usages(c *x509.Certificate) {
	for _, oid := range c.UnknownExtKeyUsage {
		s := oid.String()
		known, ok := usageOIDs[s]
		switch {
		case !ok:
			m.other(s)
			continue
		case known.role != 0:
			m.Roles = append(m.Roles, known.role)
		}
		m.NCA = true
	}
	m.Roles = sorted(m.Roles)
}

func (m *Meaning) policies(c *x509.Certificate) {
	for _, oid := range c.Policies {
		s := oid.String()
		known, ok := policyOIDs[s]
		if !ok {
			m.other(s)
			continue
		}
		m.Policies = append(m.Policies, known.policy)
		m.NCA = true
	}
	m.Policies = sorted(m.Policies)
}

// other keeps an identifier of the authority that has no meaning here.
func (m *Meaning) other(oid string) {
	if !strings.HasPrefix(oid, arc) {
		return
	}
	m.NCA = true
	if !slices.Contains(m.OtherOIDs, oid) {
		m.OtherOIDs = append(m.OtherOIDs, oid)
	}
}

func sorted[E ~byte](s []E) []E {
	slices.Sort(s)
	return slices.Compact(s)
}

// purpose judges by the extended key usages. Without any of the two that
// matter, the authority's policies decide, and then its custom of giving
// signing keys the bits digitalSignature and nonRepudiation, authentication
// keys digitalSignature and keyEncipherment.
func (m *Meaning) purpose(c *x509.Certificate) Purpose {
	if c.IsCA {
		return PurposeAuthority
	}
	logsIn := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	signs := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageEmailProtection)
	if !logsIn && !signs {
		for _, known := range policyOIDs {
			if slices.Contains(m.Policies, known.policy) {
				logsIn = logsIn || known.purpose == PurposeAuthentication
				signs = signs || known.purpose == PurposeSigning
			}
		}
	}
	if !logsIn && !signs && m.NCA && len(c.ExtKeyUsage) == 0 && c.KeyUsage&x509.KeyUsageDigitalSignature != 0 {
		signs = c.KeyUsage&x509.KeyUsageContentCommitment != 0
		logsIn = !signs && c.KeyUsage&x509.KeyUsageKeyEncipherment != 0
	}
	switch {
	case logsIn && signs:
		return PurposeBoth
	case logsIn:
		return PurposeAuthentication
	case signs:
		return PurposeSigning
	}
	return PurposeOther
}

// holder judges by the extended key usages, then by the policies. What is said
// of an information system is closer than what is said of its owner.
func (m *Meaning) holder(c *x509.Certificate) Holder {
	if c.IsCA {
		return HolderAuthority
	}
	var said []Holder
	for _, oid := range c.UnknownExtKeyUsage {
		if h := usageOIDs[oid.String()].holder; h != HolderUnknown {
			said = append(said, h)
		}
	}
	if len(said) == 0 {
		for _, known := range policyOIDs {
			if slices.Contains(m.Policies, known.policy) {
				said = append(said, known.holder)
			}
		}
	}
	said = sorted(said)
	switch {
	case len(said) == 1:
		return said[0]
	case slices.Equal(said, []Holder{HolderIndividual, HolderIndividualSystem}):
		return HolderIndividualSystem
	case slices.Equal(said, []Holder{HolderLegalEntity, HolderLegalEntitySystem}):
		return HolderLegalEntitySystem
	}
	return HolderUnknown
}

// Keys lists the keys of every value of every enumeration of this package: what
// a catalogue of words must have.
func Keys() []string {
	var all []string
	for prefix, names := range map[string][]string{
		"purpose": purposeNames, "holder": holderNames, "role": roleNames,
		"policy": policyNames, "validity": validityNames, "algorithm": familyNames,
	} {
		for _, name := range names {
			if name != "" {
				all = append(all, "cert."+prefix+"."+name)
			}
		}
	}
	slices.Sort(all)
	return all
}

package kzpki

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Every row of the authority's table of extended key usages, alone in a
// certificate.
func TestUsageOIDs(t *testing.T) {
	for _, c := range []struct {
		oid     string
		purpose Purpose
		holder  Holder
		role    Role
		nca     bool
	}{
		{"1.3.6.1.5.5.7.3.2", PurposeAuthentication, HolderUnknown, 0, false},
		{"1.3.6.1.5.5.7.3.4", PurposeSigning, HolderUnknown, 0, false},
		{"1.2.398.3.3.4.1.1", PurposeOther, HolderIndividual, 0, true},
		{"1.2.398.3.3.4.1.1.1", PurposeOther, HolderIndividualSystem, 0, true},
		{"1.2.398.3.3.4.1.2", PurposeOther, HolderLegalEntity, 0, true},
		{"1.2.398.3.3.4.1.2.1", PurposeOther, HolderLegalEntity, RoleHead, true},
		{"1.2.398.3.3.4.1.2.2", PurposeOther, HolderLegalEntity, RoleSigner, true},
		{"1.2.398.3.3.4.1.2.3", PurposeOther, HolderLegalEntity, RoleFinancialSigner, true},
		{"1.2.398.3.3.4.1.2.4", PurposeOther, HolderLegalEntity, RoleHumanResources, true},
		{"1.2.398.3.3.4.1.2.5", PurposeOther, HolderLegalEntity, RoleEmployee, true},
		{"1.2.398.3.3.4.1.2.6", PurposeOther, HolderLegalEntitySystem, 0, true},
		{"1.2.398.3.3.4.2", PurposeOther, HolderUnknown, RoleNCARights, true},
		{"1.2.398.3.3.4.2.1", PurposeOther, HolderUnknown, RoleNCAAdministrator, true},
		{"1.2.398.3.3.4.2.2", PurposeOther, HolderUnknown, RoleNCAManager, true},
		{"1.2.398.3.3.4.2.3", PurposeOther, HolderUnknown, RoleNCAOperator, true},
		{"1.2.398.3.3.4.3", PurposeOther, HolderUnknown, RoleIdentification, true},
		{"1.2.398.3.3.4.3.1", PurposeOther, HolderUnknown, RoleIdentificationPerson, true},
		{"1.2.398.3.3.4.3.2", PurposeOther, HolderUnknown, RoleIdentificationRemote, true},
	} {
		t.Run(c.oid, func(t *testing.T) {
			m := Describe(profile{usages: []string{c.oid}}.certificate(t))
			var roles []Role
			if c.role != 0 {
				roles = []Role{c.role}
			}
			if m.Purpose != c.purpose || m.Holder != c.holder || !slices.Equal(m.Roles, roles) || m.NCA != c.nca || m.OtherOIDs != nil {
				t.Errorf("got %v, %v, %v, %v, %v", m.Purpose, m.Holder, m.Roles, m.NCA, m.OtherOIDs)
			}
		})
	}
}

func TestPolicyOIDs(t *testing.T) {
	for _, c := range []struct {
		oid     string
		policy  Policy
		purpose Purpose
		holder  Holder
	}{
		{"1.2.398.3.3.2.1", PolicyLegalEntitySigning, PurposeSigning, HolderLegalEntity},
		{"1.2.398.3.3.2.2", PolicyLegalEntityAuthentication, PurposeAuthentication, HolderLegalEntity},
		{"1.2.398.3.3.2.3", PolicyIndividualSigning, PurposeSigning, HolderIndividual},
		{"1.2.398.3.3.2.4", PolicyIndividualAuthentication, PurposeAuthentication, HolderIndividual},
	} {
		t.Run(c.oid, func(t *testing.T) {
			m := Describe(profile{policies: []string{c.oid}}.certificate(t))
			if m.Purpose != c.purpose || m.Holder != c.holder || !slices.Equal(m.Policies, []Policy{c.policy}) || !m.NCA {
				t.Errorf("got %v, %v, %v, %v", m.Purpose, m.Holder, m.Policies, m.NCA)
			}
		})
	}
}

func TestDescribeTogether(t *testing.T) {
	const (
		individual, system             = "1.2.398.3.3.4.1.1", "1.2.398.3.3.4.1.1.1"
		entity, signer, employee, info = "1.2.398.3.3.4.1.2", "1.2.398.3.3.4.1.2.2", "1.2.398.3.3.4.1.2.5", "1.2.398.3.3.4.1.2.6"
		entitySigns, entityLogsIn      = "1.2.398.3.3.2.1", "1.2.398.3.3.2.2"
		individualSigns                = "1.2.398.3.3.2.3"
		anyUsage                       = "2.5.29.37.0"
	)
	const digital, content, encipher = x509.KeyUsageDigitalSignature, x509.KeyUsageContentCommitment, x509.KeyUsageKeyEncipherment
	for _, c := range []struct {
		name     string
		in       profile
		purpose  Purpose
		holder   Holder
		roles    []Role
		policies []Policy
		other    []string
	}{
		{"both purposes", profile{usages: []string{signUsage, authUsage}}, PurposeBoth, HolderUnknown, nil, nil, nil},
		{"employee who signs", profile{usages: []string{employee, signUsage, entity, signer}}, PurposeSigning, HolderLegalEntity,
			[]Role{RoleSigner, RoleEmployee}, nil, nil},
		{"twice", profile{usages: []string{signer, signer, entity, entity}, policies: []string{entitySigns}}, PurposeSigning, HolderLegalEntity,
			[]Role{RoleSigner}, []Policy{PolicyLegalEntitySigning}, nil},
		{"system of an individual", profile{usages: []string{individual, system}}, PurposeOther, HolderIndividualSystem, nil, nil, nil},
		{"system of a legal entity", profile{usages: []string{info, entity}}, PurposeOther, HolderLegalEntitySystem, nil, nil, nil},
		{"contradiction", profile{usages: []string{individual, signer}}, PurposeOther, HolderUnknown, []Role{RoleSigner}, nil, nil},
		{"contradiction of policies", profile{policies: []string{individualSigns, entityLogsIn}}, PurposeBoth, HolderUnknown, nil,
			[]Policy{PolicyLegalEntityAuthentication, PolicyIndividualSigning}, nil},
		{"usage before policy", profile{usages: []string{authUsage, individual}, policies: []string{entitySigns}}, PurposeAuthentication,
			HolderIndividual, nil, []Policy{PolicyLegalEntitySigning}, nil},
		{"others", profile{usages: []string{"1.2.398.3.3.4.3.2.1", "1.2.3"}, policies: []string{"1.2.398.3.3.1.1", "1.2.398.3.3.4.3.2.1", "1.2.398.3.30"}},
			PurposeOther, HolderUnknown, nil, nil, []string{"1.2.398.3.3.4.3.2.1", "1.2.398.3.3.1.1"}},
		{"signing bits", profile{usages: []string{individual}, keyUsage: digital | content}, PurposeSigning, HolderIndividual, nil, nil, nil},
		{"all bits", profile{usages: []string{individual}, keyUsage: digital | content | encipher}, PurposeSigning, HolderIndividual, nil, nil, nil},
		{"authentication bits", profile{usages: []string{individual}, keyUsage: digital | encipher}, PurposeAuthentication, HolderIndividual, nil, nil, nil},
		{"one bit", profile{usages: []string{individual}, keyUsage: digital}, PurposeOther, HolderIndividual, nil, nil, nil},
		{"another bit", profile{usages: []string{individual}, keyUsage: content}, PurposeOther, HolderIndividual, nil, nil, nil},
		{"bits of another authority", profile{keyUsage: digital | content}, PurposeOther, HolderUnknown, nil, nil, nil},
		{"bits beside another usage", profile{usages: []string{individual, anyUsage}, keyUsage: digital | content}, PurposeOther, HolderIndividual, nil, nil, nil},
		{"authority", profile{usages: []string{authUsage, individual}, isCA: true}, PurposeAuthority, HolderAuthority, nil, nil, nil},
		{"nothing", profile{}, PurposeOther, HolderUnknown, nil, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Describe(c.in.certificate(t))
			got := []any{m.Purpose, m.Holder, m.Roles, m.Policies, m.OtherOIDs}
			if diff := cmp.Diff([]any{c.purpose, c.holder, c.roles, c.policies, c.other}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestValidity(t *testing.T) {
	m := Describe(profile{}.certificate(t))
	for _, c := range []struct {
		at   time.Time
		want Validity
	}{
		{notBefore.Add(-time.Second), NotYetValid},
		{notBefore, Valid},
		{notBefore.AddDate(0, 6, 0), Valid},
		{notAfter, Valid},
		{notAfter.Add(time.Second), Expired},
		{notBefore.In(time.FixedZone("+05", 5*3600)), Valid},
	} {
		if got := m.Validity(c.at); got != c.want {
			t.Errorf("%v: got %v, want %v", c.at, got, c.want)
		}
	}
	// GOST is as valid as anything.
	gost := profile{key: "1.2.398.3.10.1.1.1", signature: "1.2.398.3.10.1.1.1.2", public: make([]byte, 66)}
	if got := Describe(gost.certificate(t)).Validity(notAfter); got != Valid {
		t.Errorf("GOST: got %v", got)
	}
	if got := (Meaning{}).Validity(notAfter); got != ValidityUnknown {
		t.Errorf("nothing: got %v", got)
	}
}

// keyed is what all enumerations share.
type keyed interface {
	fmt.Stringer
	Key() string
	MarshalText() ([]byte, error)
}

// The names are in scripts and catalogues: they change for nobody.
func TestNames(t *testing.T) {
	var got []string
	for _, v := range []keyed{
		PurposeOther, PurposeAuthentication, PurposeSigning, PurposeBoth, PurposeAuthority,
		HolderUnknown, HolderIndividual, HolderIndividualSystem, HolderLegalEntity, HolderLegalEntitySystem, HolderAuthority,
		RoleHead, RoleSigner, RoleFinancialSigner, RoleHumanResources, RoleEmployee, RoleNCARights, RoleNCAAdministrator,
		RoleNCAManager, RoleNCAOperator, RoleIdentification, RoleIdentificationPerson, RoleIdentificationRemote,
		PolicyLegalEntitySigning, PolicyLegalEntityAuthentication, PolicyIndividualSigning, PolicyIndividualAuthentication,
		ValidityUnknown, NotYetValid, Valid, Expired,
		FamilyOther, FamilyRSA, FamilyGOST2015, FamilyGOST2004, FamilyGOSTR2001, FamilyGOSTR2012, FamilyECDSA,
	} {
		if text, err := v.MarshalText(); err != nil || string(text) != v.String() || !strings.HasSuffix(v.Key(), "."+v.String()) {
			t.Errorf("%v: text %s, %v, key %s", v, text, err, v.Key())
		}
		got = append(got, v.Key())
	}
	want := []string{
		"cert.purpose.other", "cert.purpose.authentication", "cert.purpose.signing", "cert.purpose.authentication-and-signing", "cert.purpose.authority",
		"cert.holder.unknown", "cert.holder.individual", "cert.holder.individual-system", "cert.holder.legal-entity",
		"cert.holder.legal-entity-system", "cert.holder.authority",
		"cert.role.head", "cert.role.signer", "cert.role.financial-signer", "cert.role.human-resources", "cert.role.employee", "cert.role.nca-rights",
		"cert.role.nca-administrator", "cert.role.nca-manager", "cert.role.nca-operator", "cert.role.identified",
		"cert.role.identified-in-person", "cert.role.identified-remotely",
		"cert.policy.legal-entity-signing", "cert.policy.legal-entity-authentication", "cert.policy.individual-signing", "cert.policy.individual-authentication",
		"cert.validity.unknown", "cert.validity.not-yet-valid", "cert.validity.valid", "cert.validity.expired",
		"cert.algorithm.other", "cert.algorithm.rsa", "cert.algorithm.gost-34.10-2015", "cert.algorithm.gost-34.310-2004",
		"cert.algorithm.gost-r-34.10-2001", "cert.algorithm.gost-r-34.10-2012", "cert.algorithm.ecdsa",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, Keys()); diff != "" {
		t.Errorf("Keys: (-want +got)\n%s", diff)
	}
	if s := fmt.Sprint(Purpose(99), Holder(99), Role(0), Policy(0), Validity(99), Family(99)); s != "Purpose(99) Holder(99) Role(0) Policy(0) Validity(99) Family(99)" {
		t.Errorf("unknown values: %s", s)
	}
}

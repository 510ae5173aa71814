package kzpki

import (
	"crypto/x509"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A person's two certificates and a director's, as the authority makes them.
func TestDescribeWhole(t *testing.T) {
	nca := []attribute{{"2.5.4.6", "KZ"}, {"2.5.4.3", "ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (RSA)"}}
	person := []attribute{{"2.5.4.3", "ТЕСТОВ ТЕСТ"}, {"2.5.4.4", "ТЕСТОВ"}, {"2.5.4.5", "IIN123456789011"},
		{"2.5.4.6", "KZ"}, {"2.5.4.42", "ТЕСТОВИЧ"}}
	algorithm := Algorithm{Family: FamilyECDSA, Bits: 256, OID: "1.2.840.10045.2.1", SignatureOID: "1.2.840.10045.4.3.2"}
	gost := Algorithm{Family: FamilyGOST2015, Bits: 512, OID: "1.2.398.3.10.1.1.2.2.2", SignatureOID: "1.2.398.3.10.1.1.2.3.2"}
	name := Name{Common: "ТЕСТОВ ТЕСТ", Surname: "ТЕСТОВ", Given: "ТЕСТОВИЧ"}
	for _, c := range []struct {
		name string
		in   profile
		want Meaning
	}{
		{
			"AUTH of an individual",
			profile{usages: []string{authUsage, "1.2.398.3.3.4.1.1"}, policies: []string{"1.2.398.3.3.2.4"}, subject: person, issuer: nca},
			Meaning{Purpose: PurposeAuthentication, Holder: HolderIndividual, Policies: []Policy{PolicyIndividualAuthentication},
				Name: name, IIN: Number{"123456789011", true}, Authority: "ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (RSA)", NCA: true,
				Algorithm: algorithm, NotBefore: notBefore, NotAfter: notAfter},
		},
		{
			"GOST of a director",
			profile{usages: []string{signUsage, "1.2.398.3.3.4.1.2", "1.2.398.3.3.4.1.2.1"}, policies: []string{"1.2.398.3.3.2.1"},
				subject: append(person[:len(person):len(person)], attribute{"2.5.4.10", `ТОО "ТЕСТ"`}, attribute{"2.5.4.11", "BIN123456789021"}),
				issuer:  nca, key: "1.2.398.3.10.1.1.2.2.2", signature: "1.2.398.3.10.1.1.2.3.2", public: make([]byte, 131)},
			Meaning{Purpose: PurposeSigning, Holder: HolderLegalEntity, Roles: []Role{RoleHead}, Policies: []Policy{PolicyLegalEntitySigning},
				Name: name, IIN: Number{"123456789011", true}, BIN: Number{"123456789021", true}, Organisation: `ТОО "ТЕСТ"`,
				Authority: "ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (RSA)", NCA: true,
				Algorithm: gost, NotBefore: notBefore, NotAfter: notAfter},
		},
		{
			"nothing to do with the authority",
			profile{usages: []string{authUsage, "1.3.6.1.5.5.7.3.1", "1.2.3.4"}, policies: []string{"2.23.140.1.2.1"},
				subject: []attribute{{"2.5.4.3", "example.org"}, {"2.5.4.5", "0042"}, {"2.5.4.11", "BINARY"}, {"2.5.4.11", "Web"}}},
			Meaning{Purpose: PurposeAuthentication, Name: Name{Common: "example.org"}, Authority: "Some authority",
				Algorithm: algorithm, NotBefore: notBefore, NotAfter: notAfter},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Describe(c.in.certificate(t))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestDescribeNumbers(t *testing.T) {
	const ours, theirs = "1.2.398.3.3.4.1.1", "1.2.3"
	for _, c := range []struct {
		name     string
		usage    string
		subject  []attribute
		iin, bin Number
	}{
		{"IIN", ours, []attribute{{"2.5.4.5", "IIN000000000000"}}, Number{"000000000000", true}, Number{}},
		{"IIN of another authority", theirs, []attribute{{"2.5.4.5", "IIN000000000000"}}, Number{"000000000000", true}, Number{}},
		{"short IIN", ours, []attribute{{"2.5.4.5", "IIN12345678901"}}, Number{"IIN12345678901", false}, Number{}},
		{"long IIN", ours, []attribute{{"2.5.4.5", "IIN1234567890123"}}, Number{"IIN1234567890123", false}, Number{}},
		{"letter in an IIN", ours, []attribute{{"2.5.4.5", "IIN12345678901O"}}, Number{"IIN12345678901O", false}, Number{}},
		{"other digits in an IIN", ours, []attribute{{"2.5.4.5", "IIN١٢٣٤٥٦"}}, Number{"IIN١٢٣٤٥٦", false}, Number{}},
		{"no prefix", ours, []attribute{{"2.5.4.5", "123456789011"}}, Number{"123456789011", false}, Number{}},
		{"no prefix, another authority", theirs, []attribute{{"2.5.4.5", "123456789011"}}, Number{}, Number{}},
		{"short IIN, another authority", theirs, []attribute{{"2.5.4.5", "IIN1"}}, Number{}, Number{}},
		{"BIN", ours, []attribute{{"2.5.4.11", "BIN123456789021"}}, Number{}, Number{"123456789021", true}},
		{"BIN as serial number", ours, []attribute{{"2.5.4.5", "BIN123456789021"}}, Number{}, Number{"123456789021", true}},
		{"short BIN", ours, []attribute{{"2.5.4.11", "BIN1"}}, Number{}, Number{"BIN1", false}},
		{"a unit before the BIN", ours, []attribute{{"2.5.4.11", "Accounting"}, {"2.5.4.11", "BIN123456789021"}}, Number{}, Number{"123456789021", true}},
		{"a short BIN before the BIN", ours, []attribute{{"2.5.4.11", "BINGO"}, {"2.5.4.11", "BIN123456789021"}}, Number{}, Number{"123456789021", true}},
		{"two BINs", ours, []attribute{{"2.5.4.11", "BIN123456789021"}, {"2.5.4.11", "BIN999999999999"}}, Number{}, Number{"123456789021", true}},
		{"two short BINs", ours, []attribute{{"2.5.4.11", "BIN1"}, {"2.5.4.11", "BIN2"}}, Number{}, Number{"BIN1", false}},
		{"none", ours, []attribute{{"2.5.4.3", "X"}}, Number{}, Number{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := Describe(profile{usages: []string{c.usage}, subject: c.subject}.certificate(t))
			if m.IIN != c.iin || m.BIN != c.bin {
				t.Errorf("got %+v and %+v, want %+v and %+v", m.IIN, m.BIN, c.iin, c.bin)
			}
		})
	}
}

func TestDescribeNCAByName(t *testing.T) {
	for _, c := range []struct {
		name   string
		issuer []attribute
		want   bool
	}{
		{"Kazakh", []attribute{{"2.5.4.3", "ҰЛТТЫҚ КУӘЛАНДЫРУШЫ ОРТАЛЫҚ (GOST) 2022"}}, true},
		{"small letters", []attribute{{"2.5.4.3", "Ұлттық  куәландырушы орталық"}}, true},
		{"Russian, short", []attribute{{"2.5.4.3", "НУЦ РК (RSA)"}}, true},
		{"Kazakh, short", []attribute{{"2.5.4.3", "ҚР ҰКО"}}, true},
		{"as organisation", []attribute{{"2.5.4.3", "RSA"}, {"2.5.4.10", "Национальный удостоверяющий центр Республики Казахстан"}}, true},
		{"Latin", []attribute{{"2.5.4.6", "KZ"}, {"2.5.4.3", "NCA RK 3.0"}}, true},
		{"Latin, small country", []attribute{{"2.5.4.6", "kz"}, {"2.5.4.3", "Test-NCA"}}, true},
		{"Latin, another country", []attribute{{"2.5.4.6", "GB"}, {"2.5.4.3", "NCA"}}, false},
		{"Latin, no country", []attribute{{"2.5.4.3", "NCA"}}, false},
		{"part of a word", []attribute{{"2.5.4.6", "KZ"}, {"2.5.4.3", "FINCAST"}}, false},
		{"another of the country", []attribute{{"2.5.4.6", "KZ"}, {"2.5.4.3", "КУЦ ГО"}}, false},
		{"nobody", []attribute{{"2.5.4.6", "KZ"}}, false},
	} {
		if got := Describe(profile{issuer: c.issuer}.certificate(t)).NCA; got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}

func TestNameFull(t *testing.T) {
	for _, c := range []struct {
		in   Name
		want string
	}{
		{Name{"ТЕСТОВ ТЕСТ", "ТЕСТОВ", "ТЕСТОВИЧ"}, "ТЕСТОВ ТЕСТ ТЕСТОВИЧ"},
		{Name{"ТЕСТОВ ТЕСТ", "ТЕСТОВ", "ТЕСТ"}, "ТЕСТОВ ТЕСТ"},
		{Name{"Тестов Тест", "", "ТЕСТ ТЕСТОВИЧ"}, "Тестов Тест ТЕСТОВИЧ"},
		{Name{"ТЕСТОВ  ТЕСТ ТЕСТОВИЧ", "ТЕСТОВ", "ТЕСТОВИЧ"}, "ТЕСТОВ ТЕСТ ТЕСТОВИЧ"},
		{Name{"", "ТЕСТОВ", "ТЕСТ"}, "ТЕСТОВ ТЕСТ"},
		{Name{"", "", "ТЕСТ"}, "ТЕСТ"},
		{Name{"example.org", "", ""}, "example.org"},
		{Name{}, ""},
	} {
		if got := c.in.Full(); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.in, got, c.want)
		}
	}
}

// What could not be parsed is described as far as it goes.
func TestDescribeUnparsed(t *testing.T) {
	if diff := cmp.Diff(Meaning{}, Describe(nil)); diff != "" {
		t.Errorf("nil: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(Meaning{}, Describe(&x509.Certificate{Raw: []byte("noise")})); diff != "" {
		t.Errorf("noise: (-want +got)\n%s", diff)
	}
	der := profile{key: "1.2.398.3.10.1.1.2.2.2", signature: "1.2.398.3.10.1.1.2.3.2"}.der(t)
	m := Describe(&x509.Certificate{Raw: der})
	if m.Algorithm.Family != FamilyGOST2015 || m.Algorithm.OID != "" || m.Validity(notBefore) != ValidityUnknown {
		t.Errorf("raw alone: got %+v, %v", m.Algorithm, m.Validity(notBefore))
	}
}

// The JSON is what scripts read.
func TestMeaningJSON(t *testing.T) {
	m := Describe(profile{
		usages: []string{signUsage, "1.2.398.3.3.4.1.2.3", "1.2.398.3.3.4.9"}, policies: []string{"1.2.398.3.3.2.1"},
		subject: []attribute{{"2.5.4.3", "ТЕСТОВ ТЕСТ"}, {"2.5.4.5", "IIN1"}},
	}.certificate(t))
	got, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"purpose":"signing","holder":"legal-entity","roles":["financial-signer"],"policies":["legal-entity-signing"],` +
		`"otherOIDs":["1.2.398.3.3.4.9"],"name":{"common":"ТЕСТОВ ТЕСТ"},"iin":{"text":"IIN1","wellFormed":false},` +
		`"authority":"Some authority","nca":true,"algorithm":{"family":"ecdsa","bits":256,"oid":"1.2.840.10045.2.1",` +
		`"signatureOID":"1.2.840.10045.4.3.2"},"notBefore":"2024-02-01T00:00:00Z","notAfter":"2025-02-01T00:00:00Z"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	empty, err := json.Marshal(Meaning{})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"purpose":"other","holder":"unknown","name":{},"nca":false,"algorithm":{"family":"other"}}`; string(empty) != want {
		t.Errorf("got  %s\nwant %s", empty, want)
	}
}

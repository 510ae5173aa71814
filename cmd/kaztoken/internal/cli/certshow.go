package cli

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/words"
)

// shortValidity is a validity in a list.
func shortValidity(v kzpki.Validity) words.Key {
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

// algorithmWords names the algorithm of a certificate's key. One that nobody
// here knows has its identifier, and is no reason to call the certificate bad.
func algorithmWords(w words.Words, algo kzpki.Algorithm) string {
	if algo.Family == kzpki.FamilyOther {
		return orDash(algo.String())
	}
	return algorithm{w.Text(words.Key(algo.Family.Key())), algo.Bits}.String()
}

// algorithm is the name of a key's algorithm and its bits, 0 if unknown.
type algorithm struct {
	name string
	bits int
}

func (a algorithm) String() string {
	if a.bits > 0 {
		return fmt.Sprintf("%s %d", a.name, a.bits)
	}
	return a.name
}

// keyUsages are the bits of x509.KeyUsage, in their order from bit 0.
var keyUsages = []string{
	"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"certSign", "crlSign", "encipherOnly", "decipherOnly",
}

// usageWords are their names in the catalogue.
var usageWords = []words.Key{
	"usage.digitalSignature", "usage.contentCommitment", "usage.keyEncipherment", "usage.dataEncipherment", "usage.keyAgreement",
	"usage.certSign", "usage.crlSign", "usage.encipherOnly", "usage.decipherOnly",
}

// certJSON is one certificate in every JSON output.
type certJSON struct {
	Number    int      `json:"number"` // in the list
	ID        string   `json:"id"`     // hexadecimal
	Label     string   `json:"label"`
	Subject   string   `json:"subject"` // RFC 4514; empty, as what follows, if the certificate cannot be read
	Issuer    string   `json:"issuer"`
	Serial    string   `json:"serial"`     // hexadecimal
	NotBefore *string  `json:"not_before"` // RFC 3339
	NotAfter  *string  `json:"not_after"`
	State     string   `json:"state"`               // valid, not-yet-valid, expired, unknown
	Algorithm string   `json:"algorithm"`           // name in package kzpki, "other" if it has none there
	OID       string   `json:"algorithm_oid"`       // dotted
	Bits      int      `json:"bits"`                // 0 if unknown
	Signature string   `json:"signature_algorithm"` // Go's name, else dotted
	KeyUsage  []string `json:"key_usage"`
	Purposes  []string `json:"extended_key_usage"` // dotted identifiers
	Policies  []string `json:"policies"`           // dotted identifiers
	Names     []string `json:"alternative_names"`
	SHA256    string   `json:"sha256"` // of the DER, hexadecimal
	Size      int      `json:"size"`   // of the DER, bytes
	Authority bool     `json:"authority"`
	HasKey    bool     `json:"has_key"`
	Default   bool     `json:"default"`

	Kazakhstan *meaningJSON `json:"kazakhstan"` // null unless the certificate says that it is of the National CA
}

// meaningJSON is what a certificate of Kazakhstan's National CA is for; the
// values are the names of package kzpki.
type meaningJSON struct {
	Purpose      kzpki.Purpose  `json:"purpose"`
	Holder       kzpki.Holder   `json:"holder"`
	Roles        []kzpki.Role   `json:"roles"`
	Policies     []kzpki.Policy `json:"policies"`
	OtherOIDs    []string       `json:"other_oids"`
	Name         string         `json:"name"`
	IIN          string         `json:"iin"`
	BIN          string         `json:"bin"`
	Organisation string         `json:"organisation"`
	Authority    string         `json:"authority"`
}

func meaningOf(m kzpki.Meaning) *meaningJSON {
	if !m.NCA {
		return nil
	}
	return &meaningJSON{
		Purpose: m.Purpose, Holder: m.Holder, Roles: append([]kzpki.Role{}, m.Roles...),
		Policies: append([]kzpki.Policy{}, m.Policies...), OtherOIDs: append([]string{}, m.OtherOIDs...),
		Name: m.Name.Full(), IIN: m.IIN.Text, BIN: m.BIN.Text, Organisation: m.Organisation, Authority: m.Authority,
	}
}

func (a *app) certOf(number int, c firmware.Certificate, chosen []byte) certJSON {
	m := kzpki.Describe(c.X509)
	sum := sha256.Sum256(c.DER)
	j := certJSON{
		Number: number, ID: fmt.Sprintf("%X", c.ID), Label: c.Label, State: m.Validity(a.Now()).String(),
		Algorithm: m.Algorithm.Family.String(), OID: m.Algorithm.OID, Bits: m.Algorithm.Bits, KeyUsage: []string{}, Purposes: []string{}, Policies: []string{}, Names: []string{},
		SHA256: fmt.Sprintf("%X", sum), Size: len(c.DER), Authority: c.Authority, HasKey: c.Key != nil, Default: isChosen(c, chosen),
		Kazakhstan: meaningOf(m),
	}
	x := c.X509
	if x == nil {
		return j
	}
	before, after := x.NotBefore.UTC().Format(time.RFC3339), x.NotAfter.UTC().Format(time.RFC3339)
	j.Subject, j.Issuer, j.Serial = formatSubject(rdnsOf(x.RawSubject)), formatSubject(rdnsOf(x.RawIssuer)), fmt.Sprintf("%X", x.SerialNumber)
	j.NotBefore, j.NotAfter = &before, &after
	if j.Signature = m.Algorithm.SignatureOID; x.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		j.Signature = x.SignatureAlgorithm.String()
	}
	for i, name := range keyUsages {
		if x.KeyUsage&(1<<i) != 0 {
			j.KeyUsage = append(j.KeyUsage, name)
		}
	}
	j.Purposes = append(j.Purposes, purposesOf(x)...)
	for _, p := range x.Policies {
		j.Policies = append(j.Policies, p.String())
	}
	j.Names = append(j.Names, namesOf(x)...)
	return j
}

// purposesOf lists the extended key usages, dotted (RFC 5280 §4.2.1.12).
func purposesOf(x *x509.Certificate) []string {
	var all []string
	for _, u := range x.ExtKeyUsage {
		all = append(all, u.OID().String())
	}
	for _, u := range x.UnknownExtKeyUsage {
		all = append(all, u.String())
	}
	return all
}

// namesOf lists the alternative names of the subject.
func namesOf(x *x509.Certificate) []string {
	all := append(append([]string{}, x.DNSNames...), x.EmailAddresses...)
	for _, ip := range x.IPAddresses {
		all = append(all, ip.String())
	}
	for _, u := range x.URIs {
		all = append(all, u.String())
	}
	return all
}

func (a *app) certShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show CERTIFICATE",
		Short: "Describe a certificate",
		Long: `Describe a certificate: whose it is, who issued it, whether its dates are good
today, what it may be used for and, if Kazakhstan's National Certification
Authority issued it, what it is for. It needs no PIN. Whether the certificate
was revoked, or its signature is right, is not checked.

--json prints an object with the keys
  number, id, label, subject, issuer, serial, not_before, not_after, state
  (valid, not-yet-valid, expired, unknown), algorithm, algorithm_oid, bits,
  signature_algorithm, key_usage, extended_key_usage, policies,
  alternative_names, sha256, size, authority, has_key, default,
  kazakhstan (null, or of a certificate of the National CA: purpose, holder,
    roles, policies, other_oids, name, iin, bin, organisation, authority)`,
		Example: `  kaztoken cert show 1
  kaztoken cert show 45ab --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error { return a.certShow(ctx, t, args[0]) })
		},
	}
}

func (a *app) certShow(ctx context.Context, t *token, selector string) error {
	certs, err := certificates(ctx, t)
	if err != nil {
		return err
	}
	type numbered struct {
		number int
		firmware.Certificate
	}
	var all []numbered
	for i, c := range certs {
		all = append(all, numbered{i + 1, c})
	}
	c, err := choose(selector, certList, all, func(n numbered) names { return certNames(n.Certificate) })
	if err != nil {
		return err
	}
	chosen, err := a.defaultID(ctx, t)
	if err != nil {
		return err
	}
	j := a.certOf(c.number, c.Certificate, chosen)
	if a.json {
		return a.printJSON(j, "  ")
	}
	return a.printCert(c.Certificate, j)
}

// printCert describes a certificate to a person: what it is for, then what is in
// it.
func (a *app) printCert(c firmware.Certificate, j certJSON) error {
	w := a.words
	m := kzpki.Describe(c.X509)
	var s sheet
	s.line(w.Text("cert.label"), orDash(j.Label))
	s.line(w.Text("col.state"), w.Text(words.Key(m.Validity(a.Now()).Key())))
	if c.Key != nil {
		s.line("", w.Text("nonextract"))
	}
	if c.Authority {
		s.line("", w.Text("cert.authority"))
	}
	if j.Default {
		s.line("", w.Text("cert.chosen"))
	}
	if m.NCA {
		s.line("", w.Text("cert.nca"))
		a.printMeaning(&s, m)
	}
	if x := c.X509; x != nil {
		s.line(w.Text("cert.subject"), attributes(rdnsOf(x.RawSubject))...)
		s.line(w.Text("cert.issuer"), attributes(rdnsOf(x.RawIssuer))...)
		s.line(w.Text("cert.serial"), j.Serial)
		s.line(w.Text("cert.validity"), w.DateTime(x.NotBefore.UTC()), w.DateTime(x.NotAfter.UTC()))
		s.line(w.Text("cert.key"), algorithmWords(w, m.Algorithm))
		s.line(w.Text("cert.signature"), j.Signature)
		var usages []string
		for i, k := range usageWords {
			if x.KeyUsage&(1<<i) != 0 {
				usages = append(usages, w.Text(k))
			}
		}
		s.line(w.Text("cert.usage"), orDash(strings.Join(usages, ", ")))
		s.line(w.Text("cert.extended"), j.Purposes...)
		var policies []string
		for _, p := range m.Policies {
			policies = append(policies, w.Text(words.Key(p.Key())))
		}
		s.line(w.Text("cert.policies"), append(policies, j.Policies...)...)
		s.line(w.Text("cert.names"), j.Names...)
	}
	s.line("ID", j.ID)
	s.line(w.Text("cert.fingerprint"), j.SHA256)
	s.line(w.Text("col.size"), w.Text("bytes", "n", j.Size))
	return s.print(a.Out)
}

// printMeaning says what a certificate of Kazakhstan's National CA is for.
func (a *app) printMeaning(s *sheet, m kzpki.Meaning) {
	w := a.words
	s.line(w.Text("cert.field.purpose"), w.Text(words.Key(m.Purpose.Key())))
	s.line(w.Text("cert.field.holder"), w.Text(words.Key(m.Holder.Key())))
	var roles []string
	for _, r := range m.Roles {
		roles = append(roles, w.Text(words.Key(r.Key())))
	}
	s.line(w.Text("cert.field.roles"), roles...)
	for _, f := range []struct {
		label words.Key
		value string
	}{{"cert.field.name", m.Name.Full()}, {"cert.field.organisation", m.Organisation}} {
		if f.value != "" {
			s.line(w.Text(f.label), kzpki.Display(f.value))
		}
	}
	for _, f := range []struct {
		label words.Key
		value kzpki.Number
	}{{"cert.field.iin", m.IIN}, {"cert.field.bin", m.BIN}} {
		switch text := kzpki.Display(f.value.Text); {
		case f.value.WellFormed:
			s.line(w.Text(f.label), text)
		case text != "":
			s.line(w.Text(f.label), fmt.Sprintf("%s (%s)", text, w.Text("cert.field.malformed")))
		}
	}
}

package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/words"
)

// validity is what the dates of a certificate say now.
type validity int

const (
	unreadable validity = iota // Go cannot read it
	valid
	early
	expired
)

func (v validity) String() string {
	return [...]string{"unknown", "valid", "not_yet_valid", "expired"}[v]
}

// short is the validity in a list.
func (v validity) short() words.Key {
	return [...]words.Key{"unknown", "state.valid", "state.early", "state.expired"}[v]
}

// long is the validity as a sentence.
func (v validity) long() words.Key {
	return [...]words.Key{"unreadable", "valid", "early", "expired"}[v]
}

func (a *app) validity(c firmware.Certificate) validity {
	switch now := a.Now(); {
	case c.X509 == nil:
		return unreadable
	case now.Before(c.X509.NotBefore):
		return early
	case now.After(c.X509.NotAfter):
		return expired
	}
	return valid
}

// algorithm is the kind of a public key.
type algorithm struct {
	name string // "RSA", …; the dotted identifier of one that nobody here knows
	bits int    // 0 if that says nothing
}

func (a algorithm) String() string {
	if a.bits > 0 {
		return fmt.Sprintf("%s %d", a.name, a.bits)
	}
	return a.name
}

// algorithmOf is the algorithm of a certificate's public key. One that Go does
// not know is no reason to call the certificate bad.
func algorithmOf(c firmware.Certificate) algorithm {
	if c.X509 == nil {
		return algorithm{name: "-"}
	}
	switch k := c.X509.PublicKey.(type) {
	case *rsa.PublicKey:
		return algorithm{"RSA", k.N.BitLen()}
	case *ecdsa.PublicKey:
		return algorithm{"ECDSA", k.Params().BitSize}
	case ed25519.PublicKey:
		return algorithm{name: "Ed25519"}
	}
	var info struct {
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Key asn1.BitString
	}
	if _, err := asn1.Unmarshal(c.X509.RawSubjectPublicKeyInfo, &info); err != nil {
		return algorithm{name: "-"}
	}
	return algorithm{name: info.Algorithm.ID.String()}
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
	Subject   string   `json:"subject"` // RFC 4514; this and all to come are empty if the certificate cannot be read
	Issuer    string   `json:"issuer"`
	Serial    string   `json:"serial"`     // hexadecimal
	NotBefore *string  `json:"not_before"` // RFC 3339
	NotAfter  *string  `json:"not_after"`
	State     string   `json:"state"` // valid, not_yet_valid, expired, unknown
	Algorithm string   `json:"algorithm"`
	Bits      int      `json:"bits"`
	Signature string   `json:"signature_algorithm"`
	KeyUsage  []string `json:"key_usage"`
	Purposes  []string `json:"extended_key_usage"` // dotted identifiers
	Policies  []string `json:"policies"`           // dotted identifiers
	Names     []string `json:"alternative_names"`
	SHA256    string   `json:"sha256"` // of the DER, hexadecimal
	Size      int      `json:"size"`   // of the DER, bytes
	Authority bool     `json:"authority"`
	HasKey    bool     `json:"has_key"`
	Default   bool     `json:"default"`
}

func (a *app) certOf(number int, c firmware.Certificate, chosen []byte) certJSON {
	algo := algorithmOf(c)
	sum := sha256.Sum256(c.DER)
	j := certJSON{
		Number: number, ID: fmt.Sprintf("%X", c.ID), Label: c.Label, State: a.validity(c).String(),
		Algorithm: algo.name, Bits: algo.bits, KeyUsage: []string{}, Purposes: []string{}, Policies: []string{}, Names: []string{},
		SHA256: fmt.Sprintf("%X", sum), Size: len(c.DER), Authority: c.Authority, HasKey: c.Key != nil, Default: isChosen(c, chosen),
	}
	x := c.X509
	if x == nil {
		return j
	}
	before, after := x.NotBefore.UTC().Format(time.RFC3339), x.NotAfter.UTC().Format(time.RFC3339)
	j.Subject, j.Issuer, j.Serial = formatSubject(rdnsOf(x.RawSubject)), formatSubject(rdnsOf(x.RawIssuer)), fmt.Sprintf("%X", x.SerialNumber)
	j.NotBefore, j.NotAfter = &before, &after
	j.Signature = signatureOf(x)
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

// signatureOf names the algorithm of a certificate's signature, by its dotted
// identifier if Go does not know it.
func signatureOf(x *x509.Certificate) string {
	if x.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		return x.SignatureAlgorithm.String()
	}
	var cert struct {
		TBS       asn1.RawValue
		Algorithm struct {
			ID         asn1.ObjectIdentifier
			Parameters asn1.RawValue `asn1:"optional"`
		}
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(x.Raw, &cert); err != nil {
		return "-"
	}
	return cert.Algorithm.ID.String()
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
  (valid, not_yet_valid, expired, unknown), algorithm, bits,
  signature_algorithm, key_usage, extended_key_usage, policies,
  alternative_names, sha256, size, authority, has_key, default`,
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

// printCert describes a certificate to a person.
func (a *app) printCert(c firmware.Certificate, j certJSON) error {
	w := a.words
	var s sheet
	s.line(w.Text("cert.label"), orDash(j.Label))
	s.line(w.Text("col.state"), w.Text(a.validity(c).long()))
	if c.Key != nil {
		s.line("", w.Text("nonextract"))
	}
	if c.Authority {
		s.line("", w.Text("cert.authority"))
	}
	if j.Default {
		s.line("", w.Text("cert.chosen"))
	}
	if x := c.X509; x != nil {
		s.line(w.Text("cert.subject"), attributes(rdnsOf(x.RawSubject))...)
		s.line(w.Text("cert.issuer"), attributes(rdnsOf(x.RawIssuer))...)
		s.line(w.Text("cert.serial"), j.Serial)
		s.line(w.Text("cert.validity"), w.DateTime(x.NotBefore.UTC()), w.DateTime(x.NotAfter.UTC()))
		s.line(w.Text("cert.key"), algorithmOf(c).String())
		s.line(w.Text("cert.signature"), j.Signature)
		var usages []string
		for i, k := range usageWords {
			if x.KeyUsage&(1<<i) != 0 {
				usages = append(usages, w.Text(k))
			}
		}
		s.line(w.Text("cert.usage"), orDash(strings.Join(usages, ", ")))
		s.line(w.Text("cert.purpose"), j.Purposes...)
		s.line(w.Text("cert.policy"), j.Policies...)
		s.line(w.Text("cert.names"), j.Names...)
	}
	s.line("ID", j.ID)
	s.line(w.Text("cert.fingerprint"), j.SHA256)
	s.line(w.Text("col.size"), w.Text("bytes", "n", j.Size))
	return s.print(a.Out)
}

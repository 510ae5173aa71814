package cli

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/kzpki"
)

// keyUsages are the bits of x509.KeyUsage, in their order from bit 0.
var keyUsages = []string{
	"digitalSignature", "contentCommitment", "keyEncipherment", "dataEncipherment", "keyAgreement",
	"certSign", "crlSign", "encipherOnly", "decipherOnly",
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
	j.Subject, j.Issuer, j.Serial = formatSubject(describe.Name(x.RawSubject)), formatSubject(describe.Name(x.RawIssuer)), fmt.Sprintf("%X", x.SerialNumber)
	j.NotBefore, j.NotAfter = &before, &after
	if j.Signature = m.Algorithm.SignatureOID; x.SignatureAlgorithm != x509.UnknownSignatureAlgorithm {
		j.Signature = x.SignatureAlgorithm.String()
	}
	for i, name := range keyUsages {
		if x.KeyUsage&(1<<i) != 0 {
			j.KeyUsage = append(j.KeyUsage, name)
		}
	}
	j.Purposes = append(j.Purposes, describe.Purposes(x)...)
	for _, p := range x.Policies {
		j.Policies = append(j.Policies, p.String())
	}
	j.Names = append(j.Names, describe.Names(x)...)
	return j
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
	return printSheet(a.Out, describe.Certificate(a.words, c.Certificate, j.Default, a.Now()))
}

package cli

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/words"
)

const keyList = "kaztoken key list"

func (a *app) keyCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "List, generate and delete key pairs, and request certificates",
		Long: `List, generate and delete key pairs, and request certificates for them.

A key pair is named by its id or the beginning of it, its label or a part of it,
or its number in the list. All but the list needs the user PIN: see kaztoken pin.`,
		Example: `  kaztoken key list
  kaztoken key generate --label work`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand,
	}
	c.AddCommand(a.keyListCommand(), a.keyGenerateCommand(), a.keyCSRCommand(), a.keyDeleteCommand())
	return c
}

// keyJSON is one key pair in every JSON output.
type keyJSON struct {
	Number       int      `json:"number"` // in the list
	ID           string   `json:"id"`     // hexadecimal
	Label        string   `json:"label"`
	Algorithm    string   `json:"algorithm"`
	Bits         int      `json:"bits"`      // 0 if the token does not say
	Reference    int      `json:"reference"` // its number in commands to the card
	Usage        []string `json:"usage"`     // PKCS #15 names
	Local        bool     `json:"local"`     // made on the token
	Certificates int      `json:"certificates"`
}

func keyOf(number int, k firmware.Key) keyJSON {
	usage := []string{}
	if k.Usage != 0 {
		usage = strings.Split(k.Usage.String(), ", ")
	}
	return keyJSON{
		Number: number, ID: fmt.Sprintf("%X", k.ID), Label: k.Label, Algorithm: k.Algorithm, Bits: k.Bits,
		Reference: int(k.Reference), Usage: usage, Local: k.Local, Certificates: k.Certificates,
	}
}

// keysOf numbers the key pairs as the list does.
func keysOf(keys []firmware.Key) []keyJSON {
	list := []keyJSON{}
	for i, k := range keys {
		list = append(list, keyOf(i+1, k))
	}
	return list
}

// keyOnToken describes a key pair as the list does now.
func keyOnToken(ctx context.Context, t *token, key firmware.Key) (keyJSON, error) {
	keys, err := t.Keys(ctx)
	if err != nil {
		return keyJSON{}, err
	}
	for i, k := range keys {
		if k.Path.Equal(key.Path) {
			return keyOf(i+1, k), nil
		}
	}
	return keyJSON{}, fmt.Errorf("key %X: %w", key.ID, firmware.ErrNotFound)
}

func keyNames(k firmware.Key) names { return names{k.ID, k.Label} }

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the key pairs on the token",
		Long: `List the key pairs on the token. It needs no PIN.

--json prints an array of objects with the keys
  number, id, label, algorithm, bits, reference, usage, local (made on the
  token), certificates (how many are there for it)`,
		Example: `  kaztoken key list
  kaztoken key list --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				keys, err := t.Keys(ctx)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(keysOf(keys), "  ")
				}
				if len(keys) == 0 {
					a.say("list.empty")
				}
				return a.printKeys("list.keys", keysOf(keys))
			})
		},
	}
}

// printKeys prints a group of key pairs.
func (a *app) printKeys(title words.Key, keys []keyJSON) error {
	if len(keys) == 0 {
		return nil
	}
	var t table
	t.row("", "#", a.words.Text("col.name"), a.words.Text("col.algorithm"), a.words.Text("col.certificates"), a.words.Text("col.origin"), "ID")
	for _, k := range keys {
		origin := a.words.Text("origin.imported")
		if k.Local {
			origin = a.words.Text("origin.local")
		}
		t.row("", fmt.Sprint(k.Number), labelOr(k.Label, k.ID), describe.WithBits(k.Algorithm, k.Bits), fmt.Sprint(k.Certificates), origin, k.ID)
	}
	fmt.Fprintf(a.Out, "%s (%d)\n", a.words.Text(title), len(keys))
	return t.print(a.Out)
}

func (a *app) keyGenerateCommand() *cobra.Command {
	var (
		l         loginFlags
		o         firmware.GenerateOptions
		id, label string
	)
	c := &cobra.Command{
		Use:   "generate",
		Short: "Generate an RSA key pair on the token",
		Long: `Generate an RSA key pair on the token. The private key never leaves it. A large
key may take the token a minute.

--json prints an object as in key list`,
		Example: `  kaztoken key generate --label work
  kaztoken key generate --bits 4096 --id 42 --pin-file user.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if o.ID, err = parseID(id); err != nil {
				return err
			}
			o.Label = label
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				if _, err := a.login(ctx, t, firmware.User, &l); err != nil {
					return err
				}
				progress, done := a.progress("busy.generate")
				k, err := t.GenerateKey(ctx, o, progress)
				done()
				if err != nil {
					return err
				}
				a.say("done.generate", "label", labelOr(k.Label, k.ID), "id", fmt.Sprintf("%X", k.ID))
				j, err := keyOnToken(ctx, t, k)
				if err != nil {
					return err
				}
				return a.report(j)
			})
		},
	}
	l.add(c, "user")
	f := c.Flags()
	f.IntVar(&o.Bits, "bits", 2048, "`N` bits of the modulus")
	f.StringVar(&label, "label", "", "`NAME` of the key pair")
	f.StringVar(&id, "id", "", "id in `HEX` instead of the usual one, which is made of the key")
	return c
}

func (a *app) keyCSRCommand() *cobra.Command {
	var (
		l             loginFlags
		subject, file string
		request       x509.CertificateRequest
	)
	c := &cobra.Command{
		Use:   "csr KEY",
		Short: "Write a certificate request",
		Long: `Write a request for a certificate (PKCS #10, PEM), signed with a key on the token.

The subject is written as RFC 4514 says: attributes with commas between them,
the most special first, as in CN=Name,O=Company,C=KZ. Known are CN, SN, GN,
serialNumber, C, L, ST, STREET, O, OU, DC, UID, E, title and dotted identifiers;
\ stands before , + " \ < > ; in a value.

--json prints an object with the keys id, subject, pem`,
		Example: `  kaztoken key csr work --subject "CN=My name,O=My company,C=KZ"
  kaztoken key csr 1 --subject CN=host.kz --dns host.kz --dns www.host.kz -o host.csr`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := parseSubject(subject)
			if err != nil {
				return &usageError{err}
			}
			if request.RawSubject, err = marshalSubject(name); err != nil {
				return &usageError{err}
			}
			return a.withKey(cmd.Context(), &l, args[0], func(ctx context.Context, t *token, k *firmware.PrivateKey) error {
				der, err := t.CertificateRequest(ctx, k.Key().ID, &request)
				if err != nil {
					return err
				}
				text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
				if a.json {
					return a.printJSON(struct {
						ID      string `json:"id"`
						Subject string `json:"subject"`
						PEM     string `json:"pem"`
					}{fmt.Sprintf("%X", k.Key().ID), subject, string(text)}, "  ")
				}
				return a.writeFile(file, text, 0o644, true)
			})
		},
	}
	l.add(c, "user")
	f := c.Flags()
	f.StringVar(&subject, "subject", "", "`NAME` that the certificate is for")
	f.StringArrayVar(&request.DNSNames, "dns", nil, "`HOST` as an alternative name; may be repeated")
	f.StringArrayVar(&request.EmailAddresses, "email", nil, "`ADDRESS` as an alternative name; may be repeated")
	f.StringVarP(&file, "out", "o", "", "`FILE` to write to instead of standard output")
	must(c.MarkFlagRequired("subject"))
	return c
}

// withKey opens the token, logs the user in and hands the key that a selector
// means to f.
func (a *app) withKey(
	ctx context.Context, l *loginFlags, selector string, f func(context.Context, *token, *firmware.PrivateKey) error,
) error {
	return a.withToken(ctx, func(ctx context.Context, t *token) error {
		keys, err := t.Keys(ctx)
		if err != nil {
			return err
		}
		chosen, err := choose(selector, keyList, keys, keyNames)
		if err != nil {
			return err
		}
		k, err := t.PrivateKey(ctx, chosen.ID)
		if err != nil {
			return err
		}
		if _, err := a.login(ctx, t, firmware.User, l); err != nil {
			return err
		}
		return f(ctx, t, k.WithContext(ctx))
	})
}

func (a *app) keyDeleteCommand() *cobra.Command {
	var (
		l loginFlags
		q confirmation
	)
	c := &cobra.Command{
		Use:   "delete KEY...",
		Short: "Delete key pairs",
		Long: `Delete key pairs. Their certificates stay; to delete both, delete the
certificate. The command names the token and what goes, and asks.

--json prints an object with the keys certificates, keys, objects (how many
have been deleted)`,
		Example: `  kaztoken key delete 2
  kaztoken key delete work --yes --pin-file user.pin`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				keys, err := t.Keys(ctx)
				if err != nil {
					return err
				}
				chosen, err := chooseAll(args, keyList, keys, keyNames)
				if err != nil {
					return err
				}
				var lines []string
				for _, k := range chosen {
					lines = append(lines, strings.TrimSpace(describe.KeyAlgorithm(k)+" "+keyNames(k).String()))
				}
				if err := a.confirm(ctx, &q, t, lines, "ask.keys"); err != nil {
					return err
				}
				return a.delete(ctx, t, &l, firmware.Selection{Keys: chosen}, deletedJSON{Keys: len(chosen)})
			})
		},
	}
	l.add(c, "user")
	q.add(c)
	return c
}

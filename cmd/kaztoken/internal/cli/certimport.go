package cli

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/certfile"
	"kaztoken/internal/secret"
)

// importFlags are those of cert import.
type importFlags struct {
	login     loginFlags
	password  secretFlags
	label, id string
}

func (a *app) certImportCommand() *cobra.Command {
	var f importFlags
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Put a certificate, or a key with its certificates, onto the token",
		Long: `Put what a file holds onto the token: certificates (.cer, .crt, .pem, .p7b), or a
private key with its certificate and those of its issuers (.p12, .pfx, .pem).
What a file is, is told by its content. FILE may be - for standard input.

The password of a file is typed at a prompt, or read with --password-file or
--password-fd. The user logs in: see kaztoken pin.

--json prints an object with the keys key (null without one, else as in key
list), certificates (how many were stored)`,
		Example: `  kaztoken cert import me.p12
  kaztoken cert import root.cer --label "Root authority"
  kaztoken cert import me.p12 --password-file p12.txt --pin-file user.pin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(f.id)
			if err != nil {
				return err
			}
			if args[0] == "-" && (f.password.fd == 0 || f.login.pin.fd == 0) {
				return &usageError{errors.New("standard input is either the file or the PIN or password")}
			}
			contents, err := a.readCertFile(cmd.Context(), args[0], &f.password)
			if err != nil {
				return err
			}
			defer wipeKey(contents.Key)
			o := firmware.ImportOptions{ID: id, Label: f.label}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				if _, err := a.login(ctx, t, firmware.User, &f.login); err != nil {
					return err
				}
				if contents.Key == nil {
					return a.importCertificates(ctx, t, contents.Certificates, o)
				}
				if o.Label == "" && len(contents.Certificates) == 0 {
					base := filepath.Base(args[0])
					o.Label = strings.TrimSuffix(base, filepath.Ext(base))
				}
				return a.importIdentity(ctx, t, contents, o)
			})
		},
	}
	f.login.add(c, "user")
	f.password.add(c, "password", "the file's password")
	c.Flags().StringVar(&f.label, "label", "", "`NAME` on the token instead of the subject's")
	c.Flags().StringVar(&f.id, "id", "", "id of the key or certificate in `HEX` instead of the usual one")
	return c
}

// readCertFile reads and decrypts a file of certificates and keys. The caller
// wipes the key.
func (a *app) readCertFile(ctx context.Context, name string, password *secretFlags) (certfile.Contents, error) {
	var (
		data []byte
		err  error
	)
	if name == "-" {
		name = "standard input"
		data, err = io.ReadAll(io.LimitReader(a.In, certfile.Limit+1))
	} else {
		data, err = certfile.Read(name)
	}
	if err != nil {
		if errors.Is(err, certfile.ErrTooLarge) {
			return certfile.Contents{}, err
		}
		return certfile.Contents{}, &fileError{err}
	}
	defer secret.Wipe(data) // it may hold a key that is not encrypted
	var given *secret.Bytes
	defer func() { given.Wipe() }()
	contents, err := certfile.Parse(data, func() (_ []byte, err error) {
		given, err = a.askSecret(ctx, password, false, "ask.password", "file", filepath.Base(name))
		return given.Bytes(), err
	})
	if err != nil {
		return certfile.Contents{}, fmt.Errorf("%s: %w", name, err)
	}
	return contents, nil
}

// importCertificates stores certificates that come without a key. One that is
// there already is passed over, unless it is the only one.
func (a *app) importCertificates(ctx context.Context, t *token, certs []*x509.Certificate, o firmware.ImportOptions) error {
	stored := 0
	var known error
	for _, c := range certs {
		got, err := t.ImportCertificate(ctx, c.Raw, o)
		o = firmware.ImportOptions{} // they are of the first
		if errors.Is(err, firmware.ErrExists) {
			known = err
			continue
		}
		if err != nil {
			return err
		}
		stored++
		a.say("done.certificate", "label", labelOr(got.Label, got.ID))
	}
	if stored == 0 {
		return known
	}
	return a.report(importedJSON{Certificates: stored})
}

// importedJSON is the output of cert import.
type importedJSON struct {
	Key          *keyJSON `json:"key"`
	Certificates int      `json:"certificates"`
}

// importIdentity stores a key with its certificate and its issuers'.
func (a *app) importIdentity(ctx context.Context, t *token, c certfile.Contents, o firmware.ImportOptions) error {
	before, err := t.Certificates(ctx)
	if err != nil {
		return err
	}
	id := firmware.Identity{Key: c.Key}
	if len(c.Certificates) > 0 {
		id.Certificate = c.Certificates[0]
		id.Chain = c.Certificates[1:c.Chain]
	}
	progress, done := a.progress("busy.import")
	key, err := t.ImportIdentity(ctx, id, o, progress)
	done()
	if err != nil {
		return err
	}
	after, err := t.Certificates(ctx)
	if err != nil {
		return err
	}
	stored := len(after) - len(before)
	a.say("done.identity", "label", labelOr(key.Label, key.ID), "n", stored)
	j, err := keyOnToken(ctx, t, key)
	if err != nil {
		return err
	}
	return a.report(importedJSON{Key: &j, Certificates: stored})
}

// wipeKey overwrites the private numbers of a key, as far as they can be
// reached.
func wipeKey(k *rsa.PrivateKey) {
	if k == nil {
		return
	}
	for _, n := range append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}, k.Primes...) {
		if n != nil {
			clear(n.Bits())
		}
	}
}

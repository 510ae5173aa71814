package cli

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // for peers that know nothing better
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/secret"
)

// hashes are the values of --hash and --oaep, the default first.
var hashes = []struct {
	name string
	hash crypto.Hash
}{{"sha256", crypto.SHA256}, {"sha384", crypto.SHA384}, {"sha512", crypto.SHA512}, {"sha1", crypto.SHA1}}

func hashNames() []string {
	var all []string
	for _, h := range hashes {
		all = append(all, h.name)
	}
	return all
}

func hashNamed(name string) (crypto.Hash, error) {
	for _, h := range hashes {
		if strings.EqualFold(h.name, name) {
			return h.hash, nil
		}
	}
	return 0, &usageError{fmt.Errorf("hash %q: want one of %s", name, strings.Join(hashNames(), ", "))}
}

// forms are the values of --format: how bytes are written.
var forms = []string{"raw", "hex", "base64"}

// encode writes bytes in a form; text reports whether the result is text.
func encode(form string, data []byte) (out []byte, text bool, err error) {
	switch form {
	case "raw":
		return data, false, nil
	case "hex":
		return fmt.Appendf(nil, "%X\n", data), true, nil
	case "base64":
		return append(base64.StdEncoding.AppendEncode(nil, data), '\n'), true, nil
	}
	return nil, false, &usageError{fmt.Errorf("--format %q: want one of %s", form, strings.Join(forms, ", "))}
}

// outFlags say where and how to write bytes.
type outFlags struct{ file, form string }

func (o *outFlags) add(c *cobra.Command, form string) {
	c.Flags().StringVarP(&o.file, "out", "o", "", "`FILE` to write to instead of standard output")
	c.Flags().StringVar(&o.form, "format", form, strings.Join(forms, ", "))
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(forms, cobra.ShellCompDirectiveNoFileComp)))
}

// check refuses an unknown form before anything is done.
func (o *outFlags) check() error {
	_, _, err := encode(o.form, nil)
	return err
}

func (a *app) writeEncoded(o outFlags, data []byte, mode os.FileMode) error {
	out, text, err := encode(o.form, data)
	if err != nil {
		return err
	}
	return a.writeFile(o.file, out, mode, text)
}

func (a *app) signCommand() *cobra.Command {
	var (
		l         loginFlags
		out       outFlags
		key, hash string
		pss       bool
	)
	c := &cobra.Command{
		Use:   "sign [FILE]",
		Short: "Sign a file with a key on the token",
		Long: `Hash a file, or standard input, and sign the hash with a key on the token:
RSASSA-PKCS1-v1_5, or with --pss RSASSA-PSS with a salt as long as the hash
(RFC 8017). The result is the signature alone.

The key is named by its id or the beginning of it, its label or a part of it, or
its number in the list of keys.

--json prints an object with the keys key (its id), scheme (pkcs1v15, pss),
hash, signature (Base64)`,
		Example: `  kaztoken sign --key work -o letter.sig letter.txt
  kaztoken sign --key 1 --hash sha512 --pss --format base64 < letter.txt`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			h, err := hashNamed(hash)
			if err := errors.Join(err, out.check()); err != nil {
				return err
			}
			digest, err := a.digest(h, args, &l)
			if err != nil {
				return err
			}
			return a.withKey(cmd.Context(), &l, key, func(_ context.Context, _ *token, k *firmware.PrivateKey) error {
				var opts crypto.SignerOpts = h
				scheme := "pkcs1v15"
				if pss {
					opts, scheme = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h}, "pss"
				}
				sig, err := k.Sign(rand.Reader, digest, opts)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(struct {
						Key       string `json:"key"`
						Scheme    string `json:"scheme"`
						Hash      string `json:"hash"`
						Signature string `json:"signature"`
					}{fmt.Sprintf("%X", k.Key().ID), scheme, strings.ToLower(hash), base64.StdEncoding.EncodeToString(sig)}, "  ")
				}
				return a.writeEncoded(out, sig, 0o644)
			})
		},
	}
	l.add(c, "user")
	out.add(c, "raw")
	f := c.Flags()
	f.StringVar(&key, "key", "", "`KEY` to sign with")
	f.StringVar(&hash, "hash", hashes[0].name, strings.Join(hashNames(), ", "))
	f.BoolVar(&pss, "pss", false, "RSASSA-PSS instead of RSASSA-PKCS1-v1_5")
	must(c.MarkFlagRequired("key"))
	must(c.RegisterFlagCompletionFunc("hash", cobra.FixedCompletions(hashNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// inputNamed is the file that the arguments name, standard input if none.
func inputNamed(args []string) string {
	if len(args) == 0 {
		return "-"
	}
	return args[0]
}

// digest hashes a file or standard input, of any size.
func (a *app) digest(h crypto.Hash, args []string, l *loginFlags) ([]byte, error) {
	r, name := a.In, inputNamed(args)
	if name == "-" && l.pin.fd == 0 {
		return nil, &usageError{errors.New("standard input is either the data or the PIN")}
	}
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &fileError{err}
		}
		defer f.Close()
		r = f
	}
	sum := h.New()
	if _, err := io.Copy(sum, r); err != nil {
		return nil, &fileError{err}
	}
	return sum.Sum(nil), nil
}

func (a *app) decryptCommand() *cobra.Command {
	var (
		l         loginFlags
		out       outFlags
		key, oaep string
	)
	c := &cobra.Command{
		Use:   "decrypt [FILE]",
		Short: "Decrypt a message with a key on the token",
		Long: `Decrypt a file, or standard input, that was encrypted for a key on the token:
RSAES-PKCS1-v1_5, or with --oaep RSAES-OAEP (RFC 8017). The input is one block of
the key's length.

The key is named by its id or the beginning of it, its label or a part of it, or
its number in the list of keys.

--json prints an object with the keys key (its id), scheme (pkcs1v15, oaep),
data (Base64)`,
		Example: `  kaztoken decrypt --key work -o secret.txt secret.bin
  kaztoken decrypt --key 1 --oaep sha256 < secret.bin`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var opts crypto.DecrypterOpts // nil is RSAES-PKCS1-v1_5
			scheme := "pkcs1v15"
			if oaep != "" {
				h, err := hashNamed(oaep)
				if err != nil {
					return err
				}
				opts, scheme = &rsa.OAEPOptions{Hash: h}, "oaep"
			}
			if err := out.check(); err != nil {
				return err
			}
			name := inputNamed(args)
			if name == "-" && l.pin.fd == 0 {
				return &usageError{errors.New("standard input is either the data or the PIN")}
			}
			data, err := a.readInput(name, maxObject)
			if err != nil {
				return err
			}
			return a.withKey(cmd.Context(), &l, key, func(_ context.Context, _ *token, k *firmware.PrivateKey) error {
				plain, err := k.Decrypt(rand.Reader, data, opts)
				if err != nil {
					return err
				}
				defer secret.Wipe(plain)
				if a.json {
					return a.printJSON(struct {
						Key    string `json:"key"`
						Scheme string `json:"scheme"`
						Data   string `json:"data"`
					}{fmt.Sprintf("%X", k.Key().ID), scheme, base64.StdEncoding.EncodeToString(plain)}, "  ")
				}
				if out.form == "raw" {
					return a.writeFile(out.file, plain, 0o600, printable(plain))
				}
				return a.writeEncoded(out, plain, 0o600)
			})
		},
	}
	l.add(c, "user")
	out.add(c, "raw")
	f := c.Flags()
	f.StringVar(&key, "key", "", "`KEY` to decrypt with")
	f.StringVar(&oaep, "oaep", "", "RSAES-OAEP with this `HASH`: "+strings.Join(hashNames(), ", "))
	must(c.MarkFlagRequired("key"))
	must(c.RegisterFlagCompletionFunc("oaep", cobra.FixedCompletions(hashNames(), cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// maxRandom bounds what random gives in one run, bytes.
const maxRandom = 1 << 20

func (a *app) randomCommand() *cobra.Command {
	var out outFlags
	var n int
	c := &cobra.Command{
		Use:   "random",
		Short: "Print random bytes of the token",
		Long: `Print random bytes that the token makes. It needs no PIN.

--json prints an object with the keys count, bytes (hexadecimal)`,
		Example: `  kaztoken random --bytes 16
  kaztoken random --bytes 1024 --format raw -o seed`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if n < 1 || n > maxRandom {
				return &usageError{fmt.Errorf("--bytes %d: want 1 to %d", n, maxRandom)}
			}
			if err := out.check(); err != nil {
				return err
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				data := make([]byte, n)
				if err := t.Random(ctx, data); err != nil {
					return err
				}
				if a.json {
					return a.printJSON(struct {
						Count int    `json:"count"`
						Bytes string `json:"bytes"`
					}{n, fmt.Sprintf("%X", data)}, "  ")
				}
				return a.writeEncoded(out, data, 0o600)
			})
		},
	}
	out.add(c, "hex")
	c.Flags().IntVarP(&n, "bytes", "n", 32, "how many")
	return c
}

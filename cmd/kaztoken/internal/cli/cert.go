package cli

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/certfile"
	"kaztoken/internal/describe"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

const certList = "kaztoken cert list"

func (a *app) certCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cert",
		Short: "List, show, import, export, delete and choose certificates",
		Long: `List, show, import, export, delete and choose certificates.

A certificate is named by its id or the beginning of it, its label or a part of
it, or its number in the list. Changes need the user PIN: see kaztoken pin.`,
		Example: `  kaztoken cert list
  kaztoken cert import me.p12`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand,
	}
	c.AddCommand(a.certListCommand(), a.certShowCommand(), a.certImportCommand(), a.certExportCommand(),
		a.certDeleteCommand(), a.certDefaultCommand())
	return c
}

// certificates lists the certificates in the order of the list: personal ones,
// whose key pair is on the token, first.
func certificates(ctx context.Context, t *token) ([]firmware.Certificate, error) {
	all, err := t.Certificates(ctx)
	describe.PersonalFirst(all)
	return all, err
}

func certNames(c firmware.Certificate) names { return names{c.ID, c.Label} }

func (a *app) certListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the certificates on the token",
		Long: `List the certificates on the token: personal ones, whose key pair is on it, then
others, then key pairs without a certificate. It needs no PIN. A star marks the
default certificate.

--json prints an object with the keys certificates, an array of what cert show
--json prints, and keys, an array of what key list --json prints`,
		Example: `  kaztoken cert list
  kaztoken cert list --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.withToken(cmd.Context(), a.certList) },
	}
}

func (a *app) certList(ctx context.Context, t *token) error {
	certs, err := certificates(ctx, t)
	if err != nil {
		return err
	}
	keys, err := t.Keys(ctx)
	if err != nil {
		return err
	}
	orphans := slices.DeleteFunc(keysOf(keys), func(k keyJSON) bool { return k.Certificates > 0 })
	chosen, err := a.defaultID(ctx, t)
	if err != nil {
		return err
	}
	if a.json {
		list := struct {
			Certificates []certJSON `json:"certificates"`
			Keys         []keyJSON  `json:"keys"`
		}{[]certJSON{}, orphans}
		for i, c := range certs {
			list.Certificates = append(list.Certificates, a.certOf(i+1, c, chosen))
		}
		return a.printJSON(list, "  ")
	}
	others := slices.IndexFunc(certs, func(c firmware.Certificate) bool { return c.Key == nil })
	if others < 0 {
		others = len(certs)
	}
	if len(certs)+len(orphans) == 0 {
		a.say("list.empty")
	}
	if err := a.printCerts("personal", certs[:others], 0, chosen); err != nil {
		return err
	}
	if err := a.printCerts("list.others", certs[others:], others, chosen); err != nil {
		return err
	}
	return a.printKeys("list.orphans", orphans)
}

// printCerts prints a group of certificates, numbered from after first.
func (a *app) printCerts(title words.Key, certs []firmware.Certificate, first int, chosen []byte) error {
	if len(certs) == 0 {
		return nil
	}
	var t table
	t.row("", "#", a.words.Text("col.name"), a.words.Text("col.exp"), a.words.Text("col.state"), a.words.Text("col.algorithm"), "ID")
	for i, c := range certs {
		mark, expires := "", "-"
		if isChosen(c, chosen) {
			mark = "*"
		}
		if c.X509 != nil {
			expires = a.words.Date(c.X509.NotAfter)
		}
		m := kzpki.Describe(c.X509)
		t.row(mark, fmt.Sprint(first+i+1), labelOr(c.Label, c.ID), expires, a.words.Text(describe.ShortValidity(m.Validity(a.Now()))),
			describe.Algorithm(a.words, m.Algorithm), fmt.Sprintf("%X", c.ID))
	}
	fmt.Fprintf(a.Out, "%s (%d)\n", a.words.Text(title), len(certs))
	return t.print(a.Out)
}

// isChosen reports whether a certificate is the default one.
func isChosen(c firmware.Certificate, chosen []byte) bool {
	return len(chosen) > 0 && bytes.Equal(c.ID, chosen)
}

func (a *app) certExportCommand() *cobra.Command {
	var file, format string
	c := &cobra.Command{
		Use:   "export CERTIFICATE",
		Short: "Write a certificate to a file",
		Long: `Write a certificate, without its key, to a file or to standard output: as PEM, or
with --format der in DER. It needs no PIN. Private keys cannot be exported: the
token does not give them out.

--json prints an object with the keys id, label, pem`,
		Example: `  kaztoken cert export 1
  kaztoken cert export "My name" -o me.cer --format der`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if format != "pem" && format != "der" {
				return &usageError{fmt.Errorf("--format %q: want pem or der", format)}
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				certs, err := certificates(ctx, t)
				if err != nil {
					return err
				}
				c, err := choose(args[0], certList, certs, certNames)
				if err != nil {
					return err
				}
				if len(c.DER) == 0 {
					return fmt.Errorf("certificate %q: %w", c.Label, firmware.ErrNotFound)
				}
				text := certfile.PEM(c.DER)
				if a.json {
					return a.printJSON(struct {
						ID    string `json:"id"`
						Label string `json:"label"`
						PEM   string `json:"pem"`
					}{fmt.Sprintf("%X", c.ID), c.Label, string(text)}, "  ")
				}
				if format == "der" {
					return a.writeFile(file, c.DER, 0o644, false)
				}
				return a.writeFile(file, text, 0o644, true)
			})
		},
	}
	c.Flags().StringVarP(&file, "out", "o", "", "`FILE` to write to instead of standard output")
	c.Flags().StringVar(&format, "format", "pem", "pem or der")
	must(c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"pem", "der"}, cobra.ShellCompDirectiveNoFileComp)))
	return c
}

// deletedJSON is the output of the commands that delete.
type deletedJSON struct {
	Certificates int `json:"certificates"`
	Keys         int `json:"keys"`
	Objects      int `json:"objects"`
}

func (a *app) certDeleteCommand() *cobra.Command {
	var (
		l loginFlags
		q confirmation
	)
	c := &cobra.Command{
		Use:   "delete CERTIFICATE...",
		Short: "Delete certificates and their key pairs",
		Long: `Delete certificates. The key pair that belongs to a certificate is deleted with
it, unless another certificate for the same key stays. The command names the
token and what goes, and asks.

--json prints an object with the keys certificates, keys, objects (how many
have been deleted)`,
		Example: `  kaztoken cert delete 2
  kaztoken cert delete 45ab 1f --yes --pin-file user.pin`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				certs, err := certificates(ctx, t)
				if err != nil {
					return err
				}
				chosen, err := chooseAll(args, certList, certs, certNames)
				if err != nil {
					return err
				}
				var lines []string
				for _, c := range chosen {
					lines = append(lines, certNames(c).String())
				}
				if err := a.confirm(ctx, &q, t, lines, "delete.warn"); err != nil {
					return err
				}
				return a.deleteCerts(ctx, t, &l, certs, chosen)
			})
		},
	}
	l.add(c, "user")
	q.add(c)
	return c
}

// deleteCerts deletes the chosen certificates out of all.
func (a *app) deleteCerts(ctx context.Context, t *token, l *loginFlags, all, chosen []firmware.Certificate) error {
	left := func(id []byte) int {
		n := 0
		for _, c := range all {
			if bytes.Equal(c.ID, id) {
				n++
			}
		}
		for _, c := range chosen {
			if bytes.Equal(c.ID, id) {
				n--
			}
		}
		return n
	}
	gone := deletedJSON{Certificates: len(chosen)}
	var keys [][]byte
	for _, c := range chosen {
		seen := slices.ContainsFunc(keys, func(id []byte) bool { return bytes.Equal(id, c.ID) })
		if c.Key != nil && !seen && left(c.ID) == 0 {
			keys = append(keys, c.ID)
		}
	}
	gone.Keys = len(keys)
	if err := a.delete(ctx, t, l, firmware.Selection{Certificates: chosen}, gone); err != nil {
		return err
	}
	// A choice that leads nowhere is forgotten.
	id, err := a.defaultID(ctx, t)
	if err != nil {
		return err
	}
	for _, c := range chosen {
		if isChosen(c, id) && left(c.ID) == 0 {
			return a.setDefaultID(ctx, t, nil)
		}
	}
	return nil
}

// delete deletes what is selected, with the user logged in, and tells.
func (a *app) delete(ctx context.Context, t *token, l *loginFlags, s firmware.Selection, gone deletedJSON) error {
	if _, err := a.login(ctx, t, firmware.User, l); err != nil {
		return err
	}
	progress, done := a.progress("busy.delete")
	err := t.Delete(ctx, s, progress)
	done()
	if err != nil {
		return err
	}
	a.say("done.delete", "n", gone.Certificates+gone.Keys+gone.Objects)
	return a.report(gone)
}

func (a *app) certDefaultCommand() *cobra.Command {
	var none bool
	c := &cobra.Command{
		Use:   "default [CERTIFICATE]",
		Short: "Show or choose the default certificate",
		Long: `Show or choose the default certificate of the token. The token has no place for
the choice: it is kept on this machine, in kaztoken/config.toml in the user's
folder for settings, by the token's number and the certificate's id.

--json prints an object with the keys id, label; both are empty if there is none`,
		Example: `  kaztoken cert default
  kaztoken cert default 1
  kaztoken cert default --none`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if none && len(args) > 0 {
				return &usageError{fmt.Errorf("--none and %q exclude each other", args[0])}
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				certs, err := certificates(ctx, t)
				if err != nil {
					return err
				}
				var id []byte
				switch {
				case len(args) > 0:
					c, err := choose(args[0], certList, certs, certNames)
					if err != nil {
						return err
					}
					id = c.ID
					if err := a.setDefaultID(ctx, t, id); err != nil {
						return err
					}
				case none:
					if err := a.setDefaultID(ctx, t, nil); err != nil {
						return err
					}
				default:
					if id, err = a.defaultID(ctx, t); err != nil {
						return err
					}
				}
				return a.tellDefault(certs, id)
			})
		},
	}
	c.Flags().BoolVar(&none, "none", false, "forget the choice")
	return c
}

// tellDefault tells which certificate is the default one. A choice whose
// certificate is not on the token any more is none.
func (a *app) tellDefault(certs []firmware.Certificate, id []byte) error {
	var answer struct {
		ID    string `json:"id"`
		Label string `json:"label"`
	}
	for _, c := range certs {
		if isChosen(c, id) {
			answer.ID, answer.Label = fmt.Sprintf("%X", c.ID), c.Label
			break
		}
	}
	if a.json {
		return a.printJSON(answer, "  ")
	}
	text := a.words.Text("done.default.none")
	if answer.ID != "" {
		text = a.words.Text("done.default", "label", answer.Label, "id", answer.ID)
	}
	_, err := fmt.Fprintln(a.Out, text)
	return err
}

// defaultID is the id of the token's default certificate, nil if none was
// chosen or the token does not tell its number.
func (a *app) defaultID(ctx context.Context, t *token) ([]byte, error) {
	serial, ok, err := serialOf(ctx, t)
	if err != nil || !ok {
		return nil, err
	}
	path, err := settings.Path(a.Getenv)
	if err != nil {
		return nil, nil // no place for settings, so none was chosen
	}
	s, err := settings.Load(path)
	if err != nil {
		return nil, err
	}
	return s.DefaultCertificate(serial), nil
}

func (a *app) setDefaultID(ctx context.Context, t *token, id []byte) error {
	serial, ok, err := serialOf(ctx, t)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("number of the token: %w", firmware.ErrUnsupported)
	}
	path, err := settings.Path(a.Getenv)
	if err != nil {
		return &fileError{err}
	}
	err = settings.Update(path, func(s *settings.Settings) error {
		s.SetDefaultCertificate(serial, id)
		return nil
	})
	if err != nil {
		return &fileError{err}
	}
	return nil
}

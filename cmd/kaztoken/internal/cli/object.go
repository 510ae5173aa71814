package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
)

const objectList = "kaztoken object list"

func (a *app) objectCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "object",
		Short: "List, read, write and delete data objects",
		Long: `List, read, write and delete data objects: named files on the token. A private
one can be read with the user PIN only.

An object is named by its label or a part of it, or its number in the list.`,
		Example: `  kaztoken object list
  kaztoken object read notes`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand,
	}
	c.AddCommand(a.objectListCommand(), a.objectReadCommand(), a.objectWriteCommand(), a.objectDeleteCommand())
	return c
}

// objectJSON is one data object in every JSON output.
type objectJSON struct {
	Number      int    `json:"number"` // in the list
	Label       string `json:"label"`
	Application string `json:"application"`
	OID         string `json:"oid"`
	Private     bool   `json:"private"`
	Size        int    `json:"size"` // bytes; -1 if its file is gone
}

func objectOf(number int, o firmware.Object) objectJSON {
	return objectJSON{Number: number, Label: o.Label, Application: o.Application, OID: o.OID, Private: o.Private, Size: o.Size}
}

func objectNames(o firmware.Object) names { return names{label: o.Label} }

func (a *app) objectListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the data objects on the token",
		Long: `List the data objects on the token. It needs no PIN.

--json prints an array of objects with the keys
  number, label, application, oid, private, size (bytes)`,
		Example: `  kaztoken object list
  kaztoken object list --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				objects, err := t.Objects(ctx)
				if err != nil {
					return err
				}
				if a.json {
					list := []objectJSON{}
					for i, o := range objects {
						list = append(list, objectOf(i+1, o))
					}
					return a.printJSON(list, "  ")
				}
				return a.printObjects(objects)
			})
		},
	}
}

func (a *app) printObjects(objects []firmware.Object) error {
	if len(objects) == 0 {
		a.say("list.empty")
		return nil
	}
	var t table
	t.row("", "#", a.words.Text("col.name"), a.words.Text("col.application"), a.words.Text("col.size"), a.words.Text("col.access"))
	for i, o := range objects {
		access, size := a.words.Text("access.public"), a.words.Text("unknown")
		if o.Private {
			access = a.words.Text("access.private")
		}
		if o.Size >= 0 {
			size = a.words.Text("bytes", "n", o.Size)
		}
		t.row("", fmt.Sprint(i+1), describe.OrDash(o.Label), describe.OrDash(o.Application), size, access)
	}
	fmt.Fprintf(a.Out, "%s (%d)\n", a.words.Text("list.objects"), len(objects))
	return t.print(a.Out)
}

func (a *app) objectReadCommand() *cobra.Command {
	var (
		l    loginFlags
		file string
	)
	c := &cobra.Command{
		Use:   "read OBJECT",
		Short: "Write what a data object holds to a file",
		Long: `Write what a data object holds to a file or to standard output. A private one
needs the user PIN; only then is it asked for.

--json prints an object with the keys label, data (Base64)`,
		Example: `  kaztoken object read notes -o notes.txt
  kaztoken object read 1 --pin-file user.pin`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				objects, err := t.Objects(ctx)
				if err != nil {
					return err
				}
				o, err := choose(args[0], objectList, objects, objectNames)
				if err != nil {
					return err
				}
				if o.Private {
					if _, err := a.login(ctx, t, firmware.User, &l); err != nil {
						return err
					}
				}
				data, err := t.ReadObject(ctx, o)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(struct {
						Label string `json:"label"`
						Data  string `json:"data"`
					}{o.Label, base64.StdEncoding.EncodeToString(data)}, "  ")
				}
				return a.writeFile(file, data, 0o600, printable(data))
			})
		},
	}
	l.add(c, "user")
	c.Flags().StringVarP(&file, "out", "o", "", "`FILE` to write to instead of standard output")
	return c
}

// maxObject is how much of a file is read to be written to the token, which
// says itself what is too much for it.
const maxObject = 1 << 17

func (a *app) objectWriteCommand() *cobra.Command {
	var (
		l       loginFlags
		q       confirmation
		n       firmware.NewObject
		replace bool
	)
	c := &cobra.Command{
		Use:   "write FILE",
		Short: "Put a file onto the token as a data object",
		Long: `Put a file onto the token as a data object. FILE may be - for standard input; then
--label is needed. Without --label the object is called like the file. An object
that is called so already is left alone, unless --replace is given: then the
command names the token and asks.

--json prints an object as in object list`,
		Example: `  kaztoken object write notes.txt
  kaztoken object write notes.txt --label notes --private --replace
  kaztoken object write - --label notes --pin-file user.pin < notes.txt`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" && n.Label == "" {
				return &usageError{errors.New("standard input has no name: give one with --label")}
			}
			if args[0] == "-" && l.pin.fd == 0 {
				return &usageError{errors.New("standard input is either the data or the PIN")}
			}
			if n.Label == "" {
				n.Label = filepath.Base(args[0])
			}
			var err error
			if n.Data, err = a.readInput(args[0], maxObject); err != nil {
				return err
			}
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				return a.objectWrite(ctx, t, &l, &q, n, replace)
			})
		},
	}
	l.add(c, "user")
	q.add(c)
	f := c.Flags()
	f.StringVar(&n.Label, "label", "", "`NAME` of the object")
	f.StringVar(&n.Application, "application", "", "`NAME` of the application that it belongs to")
	f.StringVar(&n.OID, "oid", "", "dotted object `IDENTIFIER`")
	f.BoolVar(&n.Private, "private", false, "readable with the user PIN only")
	f.BoolVar(&replace, "replace", false, "replace the object that is called so")
	return c
}

// objectWrite stores an object. One that it replaces is deleted after it is
// written, so that an interruption loses neither.
func (a *app) objectWrite(ctx context.Context, t *token, l *loginFlags, q *confirmation, n firmware.NewObject, replace bool) error {
	objects, err := t.Objects(ctx)
	if err != nil {
		return err
	}
	var old []firmware.Object
	for _, o := range objects {
		if o.Label == n.Label {
			old = append(old, o)
		}
	}
	if len(old) > 0 {
		if !replace {
			return fmt.Errorf("object %q: %w", n.Label, firmware.ErrExists)
		}
		if err := a.confirm(ctx, q, t, nil, "ask.replace", "label", n.Label); err != nil {
			return err
		}
	}
	if _, err := a.login(ctx, t, firmware.User, l); err != nil {
		return err
	}
	written, err := t.WriteObject(ctx, n)
	if err != nil {
		return err
	}
	if len(old) > 0 {
		if err := t.Delete(ctx, firmware.Selection{Objects: old}, nil); err != nil {
			return err
		}
	}
	a.say("done.object", "label", n.Label)
	if objects, err = t.Objects(ctx); err != nil {
		return err
	}
	for i, o := range objects {
		if o.Path.Equal(written.Path) {
			return a.report(objectOf(i+1, o))
		}
	}
	return fmt.Errorf("object %q: %w", n.Label, firmware.ErrNotFound)
}

func (a *app) objectDeleteCommand() *cobra.Command {
	var (
		l loginFlags
		q confirmation
	)
	c := &cobra.Command{
		Use:   "delete OBJECT...",
		Short: "Delete data objects",
		Long: `Delete data objects. The command names the token and what goes, and asks.

--json prints an object with the keys certificates, keys, objects (how many
have been deleted)`,
		Example: `  kaztoken object delete notes
  kaztoken object delete 1 2 --yes --pin-file user.pin`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				objects, err := t.Objects(ctx)
				if err != nil {
					return err
				}
				chosen, err := chooseAll(args, objectList, objects, objectNames)
				if err != nil {
					return err
				}
				var lines []string
				for _, o := range chosen {
					lines = append(lines, o.Label)
				}
				if err := a.confirm(ctx, &q, t, lines, "ask.objects"); err != nil {
					return err
				}
				return a.delete(ctx, t, &l, firmware.Selection{Objects: chosen}, deletedJSON{Objects: len(chosen)})
			})
		},
	}
	l.add(c, "user")
	q.add(c)
	return c
}

// readInput reads a file, or standard input for -, of at most limit bytes.
func (a *app) readInput(name string, limit int64) ([]byte, error) {
	r := a.In
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &fileError{err}
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, &fileError{err}
	}
	if int64(len(data)) > limit {
		return nil, &fileError{fmt.Errorf("%s: more than %d bytes", name, limit)}
	}
	return data, nil
}

// printable reports whether data may go to a terminal: it is text.
func printable(data []byte) bool {
	return strings.ToValidUTF8(string(data), "") == string(data) && cleanLines(strings.ReplaceAll(string(data), "\t", " ")) ==
		strings.ReplaceAll(string(data), "\t", " ")
}

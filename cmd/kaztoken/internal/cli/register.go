package cli

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"kaztoken/internal/registration"
)

// placeJSON is one object of register and unregister --json.
type placeJSON struct {
	Kind    string `json:"kind"`
	Program string `json:"program"`
	Path    string `json:"path"`
	Module  string `json:"module"` // "" if none is registered
	Changed bool   `json:"changed"`
	Error   string `json:"error"`
}

// placeFlags choose where to register.
type placeFlags struct{ databases []string }

func (p *placeFlags) add(c *cobra.Command) {
	c.Flags().StringArrayVar(&p.databases, "nss", nil, "certificate database of NSS in `FOLDER`, in place of those that are found; may be repeated")
	must(c.MarkFlagDirname("nss"))
}

// places are the ones of the user that were named, or all that are found.
func (p *placeFlags) places(a *app) (s registration.System, places []registration.Place, err error) {
	if s, err = a.Applications(a.Getenv); err != nil {
		return s, nil, &fileError{err}
	}
	if len(p.databases) == 0 {
		return s, s.Places(), nil
	}
	for _, dir := range p.databases {
		place, err := registration.Database(dir)
		if err != nil {
			return s, nil, &fileError{err}
		}
		places = append(places, place)
	}
	return s, places, nil
}

func (a *app) registerCommand() *cobra.Command {
	var (
		p      placeFlags
		module string
		list   bool
	)
	c := &cobra.Command{
		Use:   "register",
		Short: "Let applications find the PKCS#11 module",
		Long: `Enter the PKCS#11 module in the lists of this user's applications: that of p11-kit,
and the certificate databases of Firefox, Thunderbird and Chromium. The module is
found where it was installed; what else is in a list stays. An application sees
it when it is started again; those in a sandbox (snap, Flatpak) cannot load it.

With --list, show where it is registered and change nothing.

--json prints an array of objects with the keys
  kind (p11-kit, nss), program, path, module (empty if none is registered),
  changed, error`,
		Example: `  kaztoken register
  kaztoken register --list
  kaztoken register --nss ~/.pki/nssdb`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, places, err := p.places(a)
			if err != nil {
				return err
			}
			if list {
				return a.atPlaces(places, func(registration.Place) (bool, error) { return false, nil })
			}
			if module == "" {
				if module, err = s.Module(); err != nil {
					return err
				}
			}
			if module, err = filepath.Abs(module); err != nil {
				return &fileError{err}
			}
			return a.atPlaces(places, func(p registration.Place) (bool, error) { return p.Register(module) })
		},
	}
	p.add(c)
	c.Flags().StringVar(&module, "module", "", "`FILE` of the module, if it is elsewhere")
	must(c.MarkFlagFilename("module"))
	c.Flags().BoolVar(&list, "list", false, "show where the module is registered")
	c.MarkFlagsMutuallyExclusive("list", "module")
	return c
}

func (a *app) unregisterCommand() *cobra.Command {
	var p placeFlags
	c := &cobra.Command{
		Use:   "unregister",
		Short: "Take the PKCS#11 module out of applications",
		Long: `Take the PKCS#11 module out of the lists of this user's applications again: what
kaztoken register entered, and what was entered by hand under the same name or of
the same file.

--json prints the same array as kaztoken register.`,
		Example: `  kaztoken unregister
  kaztoken unregister --nss ~/.pki/nssdb`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, places, err := p.places(a)
			if err != nil {
				return err
			}
			return a.atPlaces(places, registration.Place.Unregister)
		},
	}
	p.add(c)
	return c
}

// atPlaces does something at each place and tells how it stands there afterwards.
// A place that fails keeps no other from its turn.
func (a *app) atPlaces(places []registration.Place, do func(registration.Place) (bool, error)) error {
	var errs []error
	list := []placeJSON{}
	var t table
	for _, p := range places {
		changed, err := do(p)
		module := ""
		if err == nil {
			module, err = p.Registered()
		}
		j := placeJSON{Kind: p.Kind.String(), Program: p.Program, Path: p.Path, Module: module, Changed: changed}
		state := module
		switch {
		case err != nil:
			j.Error = err.Error()
			state = a.words.Text("register.failed")
			errs = append(errs, fmt.Errorf("%s: %w", p.Program, err))
		case module == "":
			state = a.words.Text("register.none")
		}
		list = append(list, j)
		t.row(p.Program, p.Path, state)
	}
	var err error
	if a.json {
		err = a.printJSON(list, "  ")
	} else {
		err = t.print(a.Out)
	}
	if failed := errors.Join(errs...); failed != nil {
		return &fileError{failed}
	}
	return err
}

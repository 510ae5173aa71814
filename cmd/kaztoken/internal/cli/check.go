package cli

import (
	"context"

	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
)

func (a *app) checkCommand() *cobra.Command {
	var (
		l      loginFlags
		q      confirmation
		repair bool
	)
	c := &cobra.Command{
		Use:   "check",
		Short: "Look for what interrupted work left on the token",
		Long: `Compare the files on the token with its directories, and list what does not fit: a
token that was pulled out at work may hold a file or a key that nothing names, or
an entry whose file is gone. It changes nothing and needs no PIN. If something is
left over, the exit code is 1.

With --repair, what was found is completed where it can be and else cleared. The
command names the token and asks, and the user logs in. A copy of the name in EF(DIR) that differs or is missing is
written by: kaztoken rename NAME --as admin

--json prints an object with the keys repaired, findings: an array of objects with
  kind (half_formatted, leftover_file, leftover_key, unlisted_key, missing_file,
  damaged_directory, name_differs, not_in_dir), path, directory, label, repairable`,
		Example: `  kaztoken check
  kaztoken check --repair
  kaztoken check --repair --yes --pin-file user.pin`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withToken(cmd.Context(), func(ctx context.Context, t *token) error {
				return a.check(ctx, t, &l, &q, repair)
			})
		},
	}
	l.add(c, "user")
	q.add(c)
	c.Flags().BoolVar(&repair, "repair", false, "complete or clear what was found")
	return c
}

// findingJSON is one finding of check --json.
type findingJSON struct {
	Kind       string `json:"kind"`
	Path       string `json:"path"`
	Directory  string `json:"directory"`
	Label      string `json:"label"`
	Repairable bool   `json:"repairable"`
}

func (a *app) check(ctx context.Context, t *token, l *loginFlags, q *confirmation, repair bool) error {
	found, err := t.Check(ctx)
	if err != nil {
		return err
	}
	repairable := 0
	for _, f := range found {
		if f.Repairable {
			repairable++
		}
	}
	repaired := false
	if repair && repairable > 0 {
		if err := a.confirm(ctx, q, t, a.findingLines(found), "ask.repair"); err != nil {
			return err
		}
		if _, err := a.login(ctx, t, firmware.User, l); err != nil {
			return err
		}
		before := len(found)
		if err := t.Repair(ctx); err != nil {
			return err
		}
		if found, err = t.Check(ctx); err != nil {
			return err
		}
		repaired = true
		a.say("done.repair", "n", before-len(found))
	}
	return a.tellFindings(t, found, repaired)
}

// findingLines describes findings to a person.
func (a *app) findingLines(found []firmware.Finding) []string {
	var lines []string
	for _, f := range found {
		if f.Kind == firmware.FindingHalfFormatted {
			continue // the error says it
		}
		lines = append(lines, describe.Finding(a.words, f))
	}
	return lines
}

// tellFindings prints what is found. The error says that something is left.
func (a *app) tellFindings(t *token, found []firmware.Finding, repaired bool) error {
	left := 0
	list := []findingJSON{}
	for _, f := range found {
		if !describe.Harmless(f.Kind) {
			left++
		}
		j := findingJSON{Kind: describe.FindingKind(f.Kind), Path: f.Path.String(), Label: f.Label, Repairable: f.Repairable}
		if f.Directory != 0 {
			j.Directory = f.Directory.String()
		}
		list = append(list, j)
	}
	if a.json {
		if err := a.printJSON(struct {
			Repaired bool          `json:"repaired"`
			Findings []findingJSON `json:"findings"`
		}{repaired, list}, "  "); err != nil {
			return err
		}
	} else {
		var table table
		for _, line := range a.findingLines(found) {
			table.row(line)
		}
		if err := table.print(a.Out); err != nil {
			return err
		}
	}
	switch s := t.State(); {
	case s != firmware.StatePKCS15:
		return &firmware.StateError{Op: firmware.OpRepair, State: s}
	case left > 0:
		return &leftoversError{left}
	case len(found) == 0:
		a.say("done.check")
	}
	return nil
}

//go:build minimal

package cli

import (
	"context"

	"github.com/spf13/cobra"
)

// This is the smallest program, for devices with little flash. The files that
// begin with "go:build !minimal" are what it lacks, here and in packages host and
// words; docs/packaging.md lists it for people.

// leftOutError: a command is not in this build.
type leftOutError struct{ command string }

func (e *leftOutError) Error() string { return e.command + " is not in this build" }

var extraProblems = []problem{{
	is: as[*leftOutError], exit: exitUsage, message: "error.leftout", hint: "hint.leftout",
	values: from(func(e *leftOutError) []any { return []any{"command", e.command} }),
}}

// leftOut is a command that says only that it is not here.
func leftOut(name string) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, DisableFlagParsing: true,
		RunE: func(c *cobra.Command, _ []string) error { return &leftOutError{c.CommandPath()} },
	}
}

func (*app) extraCommands() (all []*cobra.Command) {
	for _, name := range []string{"panel", "register", "unregister", "demo", "virtual"} {
		all = append(all, leftOut(name))
	}
	return all
}

func (*app) extraTraceCommands() []*cobra.Command { return []*cobra.Command{leftOut("replay")} }

// browse is for the panel, which is not here.
var browse func(context.Context, string) error

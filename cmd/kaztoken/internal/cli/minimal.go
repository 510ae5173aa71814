//go:build minimal

package cli

import "github.com/spf13/cobra"

func (*app) extraCommands() []*cobra.Command      { return nil }
func (*app) extraTraceCommands() []*cobra.Command { return nil }

var extraProblems []problem

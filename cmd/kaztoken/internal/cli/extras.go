//go:build !minimal

package cli

import (
	"github.com/spf13/cobra"

	"kaztoken/firmware/emu"
	"kaztoken/internal/trace/replay"
)

// extraCommands are those that -tags minimal leaves out, for devices with little
// room: the panel, the PKCS#11 module's, and what has a token in software.
func (a *app) extraCommands() []*cobra.Command {
	return []*cobra.Command{a.panelCommand(), a.registerCommand(), a.unregisterCommand(), a.demoCommand(), a.virtualCommand()}
}

// extraTraceCommands are the part of trace that is left out.
func (a *app) extraTraceCommands() []*cobra.Command {
	return []*cobra.Command{a.traceReplayCommand()}
}

// extraProblems are the errors of what is left out.
var extraProblems = []problem{
	{is: of(emu.ErrState), exit: exitFailed, message: "error.file", own: ownText},
	{is: of(replay.ErrNotRepeatable), exit: exitFailed, message: "error.norepeat", own: ownDetails},
	{
		is: as[*differsError], exit: exitFailed, message: "error.replay",
		values: from(func(e *differsError) []any { return []any{"n", e.n} }),
	},
}

//go:build !minimal

package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"kaztoken/internal/trace/replay"
)

// differsError: a replay is not what was recorded.
type differsError struct{ n int }

func (e *differsError) Error() string { return fmt.Sprintf("%d differences", e.n) }

func (a *app) traceReplayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "replay FILE",
		Short: "Do again what was recorded, on a reader in software",
		Long: `Do again what was recorded: the driver sends the APDUs of FILE to a reader in
software, which is described as the recorded one was and has a card that gives the
recorded answers. Every message and request that crosses USB is compared with the
recording, but for bytes that are masked, bSeq, and the time that a card asks for.
No token is needed, and none is touched.

A recording is replayed up to the first thing that a reader in software does not
do: a transfer that fails, a command that the reader refuses. The exit code is 1 if
there is a difference before that.

--json prints an object with the key devices: device, sent, answered, requests
(how many were compared), differences (packet, what, want, got; the first 20),
left (how many were not replayed), why (they were not)`,
		Example: `  kaztoken trace replay problem.pcapng
  kaztoken trace replay problem.pcapng --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.replay(c.Context(), args[0]) },
	}
}

func (a *app) replay(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return &fileError{err}
	}
	defer f.Close() // read only
	r, err := replay.Run(ctx, f)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if a.json {
		if err := a.printJSON(r, "  "); err != nil {
			return err
		}
	} else {
		a.printReplay(r)
	}
	if n := r.Differences(); n > 0 {
		return &differsError{n}
	}
	if !a.json {
		sent, answered := 0, 0
		for _, d := range r.Devices {
			sent += d.Sent
			answered += d.Answered
		}
		a.say("trace.same", "sent", sent, "answered", answered)
	}
	return nil
}

func (a *app) printReplay(r replay.Report) {
	for _, d := range r.Devices {
		fmt.Fprintf(a.Out, "%s: compared %d messages, %d answers, %d requests\n", d.Device, d.Sent, d.Answered, d.Requests)
		if d.Left > 0 {
			fmt.Fprintf(a.Out, "  %d not replayed: %s\n", d.Left, d.Why)
		}
		for _, x := range d.Differences {
			fmt.Fprintf(a.Out, "  packet %d, %s:\n    recorded %s\n    replayed %s\n", x.Packet, x.What, x.Want, x.Got)
		}
	}
}

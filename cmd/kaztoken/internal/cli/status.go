package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kaztoken/bridge"
	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/words"
)

func (a *app) statusCommand() *cobra.Command {
	var socket string
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the service does, and for whom",
		Long: `Show the readers, the cards and the programs that the running service has: who
holds which card, for how long, and who has it for itself.

The service tells it on a socket of its own, beside the one for programs. Root
and the user that the service runs as see everything; others see of programs of
other users only that they are there.

--json prints the object that the service sends, with the keys
  program, pid, uid, socket, started, whole (false: something is left out),
  readers: name, visible, state, power (an idle card has none, whatever programs
    see), atr, protocol, sharing (-1 exclusive), cards (that came and went),
    waiting (requests that wait for the card),
    lock (who has the card for itself: pid, uid, program, since; or null), and
    handles: pid, uid, program, since, share, event, lock
  clients: pid, uid, program, since, version, context, waiting, handles
Of what is left out pid is 0, uid 4294967295 and program empty.`,
		Example: `  kaztoken status
  kaztoken status --socket "$XDG_RUNTIME_DIR/pcsc" --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context(), socket) },
	}
	c.Flags().StringVar(&socket, "socket", "", "`PATH` of the service's socket; without it $"+host.SocketVariable+" or "+host.DefaultSocket)
	return c
}

func (a *app) status(ctx context.Context, socket string) error {
	if socket == "" {
		socket = a.Getenv(host.SocketVariable)
	}
	if socket == "" {
		socket = host.DefaultSocket
	}
	r, err := host.AskStatus(ctx, socket)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r, "  ")
	}
	if err := a.printReport(r); err != nil {
		return err
	}
	if !r.Whole {
		a.say("status.part", "command", "sudo kaztoken status")
	}
	return nil
}

func (a *app) printReport(r host.Report) error {
	now := a.Now()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(cells ...any) {
		for i, c := range cells {
			if i > 0 {
				fmt.Fprint(w, "\t")
			}
			fmt.Fprint(w, words.Clean(fmt.Sprint(c)))
		}
		fmt.Fprintln(w)
	}
	table := func(heads ...any) {
		w.Flush() // the columns of each table are its own
		fmt.Fprintln(&b)
		line(heads...)
	}
	line("SERVICE", fmt.Sprintf("%s (pid %d, user %d), up %s", r.Program, r.PID, r.UID, spell(now.Sub(r.Started))))
	line("SOCKET", r.Socket)
	table("READER", "CARD", "POWER", "PROTOCOL", "ATR", "WAITING")
	for _, d := range r.Readers {
		power := "off"
		if d.Power {
			power = "on"
		}
		line(d.Name, cardWord(d), power, protocolWord(d.Protocol), describe.OrDash(strings.ReplaceAll(d.ATR, " ", "")), d.Waiting)
	}
	held := false
	for _, d := range r.Readers {
		for _, h := range d.Handles {
			if !held {
				table("HELD BY", "USER", "READER", "SHARE", "FOR", "LOCKED FOR")
				held = true
			}
			locked := "-"
			if h.Lock && d.Lock != nil {
				locked = spell(now.Sub(d.Lock.Since))
			}
			line(process(h.Holder), user(h.Holder), d.Name, h.Share, spell(now.Sub(h.Since)), locked)
		}
	}
	if len(r.Clients) > 0 {
		table("PROGRAM", "USER", "PROTOCOL", "HANDLES", "FOR", "WAITS")
	}
	for _, c := range r.Clients {
		waits := "no"
		if c.Waiting {
			waits = "yes"
		}
		line(process(c.Holder), user(c.Holder), c.Version, c.Handles, spell(now.Sub(c.Since)), waits)
	}
	w.Flush() // into memory
	_, err := io.WriteString(a.Out, b.String())
	return err
}

// cardWord is the state of a card for a person.
func cardWord(d bridge.ReaderStatus) string {
	has := func(bit string) bool { return slices.Contains(strings.Split(d.State, "|"), bit) }
	switch {
	case !d.Visible:
		return "coming"
	case has("unknown"):
		return "failing"
	case has("mute"):
		return "mute"
	case has("powered"):
		return "ready"
	case has("present"):
		return "unpowered"
	}
	return "absent"
}

// protocolWord spells a protocol as the other commands do.
func protocolWord(p string) string {
	switch p {
	case "T0":
		return "T=0"
	case "T1":
		return "T=1"
	case "undefined":
		return "-"
	}
	return p
}

// process names a program and its process, if they are to be seen.
func process(h bridge.Holder) string {
	if h.PID == 0 {
		return "?"
	}
	return fmt.Sprintf("%s (pid %d)", describe.OrDash(h.Program), h.PID)
}

func user(h bridge.Holder) string {
	if h.UID == host.Nobody {
		return "another"
	}
	return fmt.Sprint(h.UID)
}

// spell rounds a time to what a person reads: "0.2s", "3m12s".
func spell(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

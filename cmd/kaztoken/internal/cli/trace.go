package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kaztoken/internal/trace"
)

func (a *app) traceCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "trace",
		Short: "Record what goes over USB, read and replay recordings",
		Long: `Record what a command of kaztoken and the token say to each other over USB, read
such recordings and play them again. Wireshark opens them, too.

PINs, keys and what keys decrypt are not in a recording: it may be sent to whoever
helps. Names, certificates and serial numbers are.`,
		Example: `  kaztoken trace record problem.pcapng info
  kaztoken trace show problem.pcapng`,
		Args: cobra.NoArgs,
		RunE: needsSubcommand,
	}
	c.AddCommand(a.traceRecordCommand(), a.traceShowCommand())
	c.AddCommand(a.extraTraceCommands()...)
	return c
}

// clearFlag keeps secrets in a recording. Its name says so.
const clearFlag = "with-pins-and-keys-in-clear"

func (a *app) traceRecordCommand() *cobra.Command {
	var unmasked bool
	c := &cobra.Command{
		Use:   "record FILE COMMAND [ARGUMENT]...",
		Short: "Record what a command does over USB",
		Long: `Run a command of kaztoken as ever, and record into FILE what it does over USB. The
exit code is that of the command. FILE must not exist; only its owner may read it.
It is of use up to the last packet, whatever ends the program.

The bodies of commands that carry a PIN or a key are masked, and so are the
answers that bring what a key decrypted. --` + clearFlag + `
keeps them, if that is confirmed on a terminal.

What a smart-card service does with the token is in no recording but that of the
service: record serve, or stop it and record with --backend usb.`,
		Example: `  kaztoken trace record problem.pcapng info
  kaztoken trace record problem.pcapng cert list --backend usb
  kaztoken trace record service.pcapng serve --socket "$XDG_RUNTIME_DIR/pcsc"`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			file, command := args[0], args[1:]
			if command[0] == "--" { // as people put it before a command that another one runs
				if command = command[1:]; len(command) == 0 {
					return &usageError{c.Args(c, args[:1])}
				}
			}
			return a.record(c, file, command, unmasked)
		},
	}
	c.Flags().SetInterspersed(false) // what follows FILE belongs to COMMAND
	c.Flags().BoolVar(&unmasked, clearFlag, false, "keep PINs and keys; whoever gets the file can use the token")
	return c
}

// record runs a command with a recorder.
func (a *app) record(c *cobra.Command, file string, command []string, unmasked bool) error {
	if command[0] == c.Parent().Name() {
		return &usageError{errors.New("a recording of a recording")}
	}
	if unmasked {
		instead := noTerminalError{"hint.trace.clear", []any{"option", "--" + clearFlag}}
		err := a.withConsole(instead, func(console Console) error {
			ok, err := a.yes(c.Context(), console, "trace.clear")
			if err == nil && !ok {
				err = errCancelled
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	r, err := trace.Create(file, trace.Options{Program: strings.TrimSpace("kaztoken " + a.Version), Unmasked: unmasked})
	if err != nil {
		return &fileError{err}
	}
	env := a.Env
	env.Recorder = r
	code := Main(c.Context(), env, append(globalFlags(c), command...))
	if err := r.Close(); err != nil {
		a.warn("trace.broken")
		a.log.WithError(err).Error("recording")
	}
	switch pipes, packets, lost := r.Count(); {
	case pipes == 0:
		a.warn("trace.nothing", "option", "--backend usb")
	default:
		if lost > 0 {
			a.warn("trace.lost", "n", lost)
		}
		a.say("trace.recorded", "file", file, "n", packets)
	}
	if code != exitOK {
		return &codeError{code}
	}
	return nil
}

// globalFlags are those that were given before the command, to be given again.
func globalFlags(c *cobra.Command) (args []string) {
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed {
			args = append(args, "--"+f.Name+"="+f.Value.String())
		}
	})
	return args
}

func (a *app) traceShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show FILE",
		Short: "Put a recording into words",
		Long: `Put a recording into words: messages of CCID, blocks of T=1, APDUs with the names
of their commands and the meaning of their status words. It reads what kaztoken
trace record and, of Linux' usbmon, Wireshark and tcpdump have recorded from the
plugging-in of a reader on. What is secret is not shown, whether it is masked in
the file or not: ** stands for it.

--json prints one object a line, with the keys
  packet (its number, as Wireshark has it), time, device (counts the devices of
  the file), kind (opened, sent, answered, request, interrupt, failed, junk),
  what (name of the message or request), slot, seq (or null), words, block (of
  T=1), command: header, name, data, le (or null), answer: data, sw, words (or
  null), data (hexadecimal), hidden (bytes of it), lost (packets left out before)`,
		Example: `  kaztoken trace show problem.pcapng
  kaztoken trace show problem.pcapng --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return a.showTrace(c.Context(), args[0]) },
	}
}

func (a *app) showTrace(ctx context.Context, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return &fileError{err}
	}
	defer f.Close() // read only
	var (
		r     = trace.NewReader(f)
		d     trace.Describer
		first trace.Line
		count int
	)
	for ctx.Err() == nil {
		e, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && count == 0:
			a.warn("trace.empty")
			return nil
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, trace.ErrCutOff):
			a.warn("trace.cut")
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", file, err)
		}
		l := d.Describe(e)
		if count++; count == 1 {
			first = l
		}
		if a.json {
			err = a.printJSON(l, "")
		} else {
			err = printLine(a.Out, first, l)
		}
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// arrows point from the host to the right.
var arrows = map[string]string{"sent": "->", "answered": "<-", "interrupt": "<-", "request": "<>", "failed": "!!", "junk": "??", "opened": "**"}

// printLine prints a line for a person. Times count from the first one.
func printLine(w io.Writer, first, l trace.Line) error {
	var b strings.Builder
	if l.Lost > 0 {
		fmt.Fprintf(&b, "%10s    %d packets are missing here\n", "", l.Lost)
	}
	fmt.Fprintf(&b, "%10.6f %s %s", l.Time.Sub(first.Time).Seconds(), arrows[l.Kind], l.What)
	if l.Device > 0 {
		fmt.Fprintf(&b, " (device %d)", l.Device)
	}
	if l.Seq != nil {
		fmt.Fprintf(&b, " slot %d seq %d", *l.Slot, *l.Seq)
	}
	if len(l.Words) > 0 {
		fmt.Fprintf(&b, ": %s", strings.Join(l.Words, ", "))
	}
	b.WriteByte('\n')
	line := func(format string, args ...any) { fmt.Fprintf(&b, "%14s"+format+"\n", append([]any{""}, args...)...) }
	if l.Block != "" {
		line("%s", l.Block)
	}
	if c := l.Command; c != nil {
		text := c.Header
		if c.Data != "" {
			text += " " + c.Data
		}
		if c.Le > 0 {
			text += fmt.Sprintf(" Le=%d", c.Le)
		}
		line("%s: %s", c.Name, text)
	}
	if r := l.Answer; r != nil {
		if r.Data != "" {
			line("%s", r.Data)
		}
		if r.SW != "" {
			line("%s %s", r.SW, r.Words)
		}
	}
	_, err := io.WriteString(w, cleanLines(b.String()))
	return err
}

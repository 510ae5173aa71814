package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kaztoken/ccid"
	"kaztoken/internal/host"
	"kaztoken/internal/iso7816"
)

// maxLine bounds a line of a script: the longest APDU with a separator behind
// every byte, and a comment.
const maxLine = 3*iso7816.MaxExtendedCommand + 4096

func (a *app) apduCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "apdu [HEX...]",
		Short: "Send APDUs to the card as they are",
		Long: `Send command APDUs to the card and print the answers, each with its status word
in words. An APDU is hexadecimal digits, with spaces or colons between bytes if
you like. Each argument is one APDU; arguments of one byte each are one APDU
together. The word reset powers the card off and on.

Without arguments, APDUs are read from standard input, one per line, and
answered as they come; # begins a comment.

An APDU is checked before it is sent, and sent exactly as it is written: a
status word such as 61xx is shown and not acted upon. The exit code is 0
whatever the status words are; they are data. The first APDU that is malformed
(exit code 2) or gets no answer ends the run. PINs in VERIFY, CHANGE REFERENCE
DATA and RESET RETRY COUNTER are never printed or logged, and are taken from
standard input only: other users can see arguments.

--json prints one object per line: command (as far as it may be shown), hidden
(bytes that may not), data, sw, meaning, microseconds; for a reset: reset, atr.`,
		Example: `  kaztoken apdu 00CA018100
  kaztoken apdu "00 A4 00 00 02 3F 00" reset 00:CA:01:81:00
  kaztoken apdu 00 CA 01 81 00
  kaztoken apdu --json < script.txt`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.FixedCompletions([]string{resetWord}, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Everything is checked before anything is sent.
			steps, err := parseArgs(args)
			if err != nil {
				return &usageError{err}
			}
			return a.withCard(cmd.Context(), func(ctx context.Context, s *session) error {
				if len(args) == 0 {
					return a.script(ctx, s)
				}
				for _, step := range steps {
					if err := s.run(ctx, step); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// withCard opens the token that is meant, powers it up and hands it to f.
func (a *app) withCard(ctx context.Context, f func(context.Context, *session) error) error {
	t, err := a.Open(ctx, a.options)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := t.PowerOn(ctx); err != nil {
		return err
	}
	return f(ctx, &session{app: a, token: t})
}

// script runs the steps on standard input, one line each, as they come.
func (a *app) script(ctx context.Context, s *session) error {
	if a.Terminal {
		fmt.Fprintf(a.Err, "%s: one APDU per line, or reset; Ctrl-D ends\n", s.token.Name)
	}
	type line struct {
		text string
		err  error
	}
	// A read of standard input cannot be interrupted: after a cancelled run the
	// goroutine ends with the next line, the end of the input or the process.
	lines := make(chan line)
	quit := make(chan struct{})
	defer close(quit)
	go func() {
		defer close(lines)
		in := bufio.NewScanner(a.In)
		in.Buffer(nil, maxLine)
		for more := true; more; {
			var l line
			if more = in.Scan(); more {
				l.text = in.Text()
			} else if l.err = in.Err(); l.err == nil {
				return
			}
			select {
			case lines <- l:
			case <-quit:
				return
			}
		}
	}()
	for n := 1; ; n++ {
		select {
		case l, ok := <-lines:
			if !ok {
				return nil
			}
			if l.err != nil {
				return fmt.Errorf("line %d: %w", n, l.err)
			}
			step, ok, err := parseStep(l.text)
			if err != nil {
				return &usageError{fmt.Errorf("line %d: %w", n, err)}
			}
			if !ok {
				continue
			}
			if err := s.run(ctx, step); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		case <-ctx.Done():
			return ctx.Err()
		case <-s.token.Done():
			return fmt.Errorf("%s: %w", s.token.Name, s.token.Err())
		}
	}
}

// session is a run of steps with one card.
type session struct {
	*app
	token *host.Token
	resp  []byte // used again
}

// apduJSON is one line of apdu --json for an APDU.
type apduJSON struct {
	Command      string `json:"command"` // as far as it may be shown
	Hidden       int    `json:"hidden"`  // bytes that may not
	Data         string `json:"data"`
	SW           string `json:"sw"`
	Meaning      string `json:"meaning"`
	Microseconds int64  `json:"microseconds"`
}

// resetJSON is one line of apdu --json for a reset.
type resetJSON struct {
	Reset string `json:"reset"` // "cold"
	ATR   string `json:"atr"`
}

func (s *session) run(ctx context.Context, st step) error {
	if st.reset {
		atr, err := s.token.Reset(ctx, true)
		if err != nil {
			return err
		}
		if s.json {
			return s.printJSON(resetJSON{"cold", fmt.Sprintf("%X", atr.Bytes())}, "")
		}
		_, err = fmt.Fprintf(s.Out, "> reset\n< ATR %v\n", atr)
		return err
	}
	part, hidden := shown(st.apdu)
	began := time.Now()
	resp, err := s.token.Transmit(ctx, s.resp[:0], st.apdu)
	took := time.Since(began)
	if slot := s.token.CCID(); slot != nil && errors.Is(err, ccid.ErrNotSupported) {
		return &host.HintError{Err: err, Hint: "hint.chain", Values: []any{"max", slot.MaxCommand()}}
	}
	if err != nil {
		return err
	}
	s.resp = resp
	r, err := iso7816.ParseResponse(resp)
	if err != nil {
		return fmt.Errorf("%s: %w", s.token.Name, err)
	}
	if s.json {
		return s.printJSON(apduJSON{
			Command: fmt.Sprintf("%X", part), Hidden: hidden, Data: fmt.Sprintf("%X", r.Data), SW: r.SW.String(), Meaning: r.SW.Words(),
			Microseconds: took.Microseconds(),
		}, "")
	}
	var b strings.Builder
	b.WriteString("> ")
	dump(&b, part)
	if hidden > 0 {
		fmt.Fprintf(&b, " [%d bytes hidden]", hidden)
	}
	b.WriteString("\n")
	if len(r.Data) > 0 {
		b.WriteString("< ")
		dump(&b, r.Data)
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "< %v %s\n", r.SW, r.SW.Words())
	_, err = fmt.Fprint(s.Out, b.String())
	return err
}

// dump writes bytes in hexadecimal, 32 to a line.
func dump(b *strings.Builder, data []byte) {
	for i := 0; i < len(data); i += 32 {
		if i > 0 {
			b.WriteString("\n  ")
		}
		fmt.Fprintf(b, "% X", data[i:min(i+32, len(data))])
	}
}

// terminal reports whether a person types into f.
func terminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

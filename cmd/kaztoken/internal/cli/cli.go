// Package cli is the command line of kaztoken: one constructor per command,
// all of them over an [Env], so that tests run them in process.
//
// Data goes to Out, talk to Err. Every command that prints a list or a state
// has a --json form whose keys stay.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kaztoken/internal/host"
)

// Env is what the commands know of the world.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Terminal bool   // In is a terminal: a person types
	Version  string // of this program; "" if it was not stamped

	// The ways to a token, in package host.
	Find   func(context.Context, host.Options) ([]host.Candidate, error)
	Open   func(context.Context, host.Options) (*host.Token, error)
	Follow func(host.Options) (*host.Supervisor, error)
}

// System is the world as it is.
func System(version string) Env {
	return Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: terminal(os.Stdin), Version: version,
		Find: host.Find, Open: host.OpenToken, Follow: host.Follow,
	}
}

// app is one run of the program.
type app struct {
	Env
	options host.Options
	json    bool
	level   string
	log     *logrus.Logger
	began   bool // the command line was understood
}

// Main runs the command that args name and returns the exit code.
func Main(ctx context.Context, env Env, args []string) int {
	a := &app{Env: env}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		err = &usageError{err}
	}
	a.complain(cmd, err)
	return exitCode(err)
}

// levels are the values of --log-level, the default first.
var levels = []string{"warn", "error", "info", "debug", "trace"}

const rootLong = `kaztoken drives the KAZTOKEN USB token, its Rutoken relatives and, when told to,
every CCID smart-card reader. It needs neither pcscd nor a kernel driver.

Exit codes:
  0  all went well; for apdu: the card answered, whatever its status word says
  1  failed
  2  the command line or an APDU is malformed, or does not say which token
  3  no token, or no card in the reader
  4  PIN wrong or blocked
  5  the token is there but may not be used: no permission, or another program has it

Data goes to standard output, everything else to standard error.`

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "kaztoken",
		Short: "Drive the KAZTOKEN USB token",
		Long:  rootLong,
		Example: `  kaztoken list
  kaztoken --backend virtual info
  kaztoken --token 1-1.4 apdu "00 CA 01 81 00"`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.begin() },
	}
	c.SetIn(a.In)
	c.SetOut(a.Out)
	c.SetErr(a.Err)
	c.CompletionOptions.HiddenDefaultCmd = false

	f := c.PersistentFlags()
	choice := func(p *string, name string, choices []string, usage string) {
		f.StringVar(p, name, choices[0], usage+": "+strings.Join(choices, ", "))
		must(c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp)))
	}
	choice(&a.options.Backend, "backend", host.BackendNames(), "road to the token")
	if drivers := host.DriverNames(); len(drivers) > 0 {
		choice(&a.options.Driver, "usb-driver", drivers, "how to talk to USB")
	} else {
		f.StringVar(&a.options.Driver, "usb-driver", "", "how to talk to USB: this build has no driver for this system")
	}
	choice(&a.options.Devices, "devices", host.FilterNames(), "which devices count")
	choice(&a.level, "log-level", levels, "what to log on standard error")
	f.StringVar(&a.options.Token, "token", "", "`SELECTOR` of one token among several: serial number, port, bus:address, number or name")
	f.StringVar(&a.options.VirtualState, "virtual-state", "", "`FILE` with the state of the virtual token; with --backend virtual")
	f.BoolVar(&a.json, "json", false, "print JSON")
	must(c.RegisterFlagCompletionFunc("token", a.completeToken))

	c.AddCommand(a.listCommand(), a.infoCommand(), a.apduCommand(), a.virtualCommand(), a.rulesCommand(), a.versionCommand())
	return c
}

// must is for errors that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// begin runs when the command line is understood, before the command.
func (a *app) begin() error {
	level, err := logrus.ParseLevel(a.level)
	if err != nil || !slices.Contains(levels, a.level) {
		return &host.OptionError{Option: "log-level", Value: a.level, Want: levels}
	}
	a.log = logrus.New()
	a.log.SetOutput(a.Err)
	a.log.SetLevel(level)
	a.log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"})
	a.options.Log = a.log
	a.began = true
	return nil
}

// completeToken offers the tokens that are there.
func (a *app) completeToken(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all, err := a.Find(cmd.Context(), a.options)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var words []cobra.Completion
	for _, c := range all {
		word := c.Device.Port
		if c.Device.Serial != "" {
			word = c.Device.Serial
		}
		if word == "" {
			word = fmt.Sprint(c.Index)
		}
		words = append(words, cobra.CompletionWithDesc(word, c.Name))
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// printJSON prints one value: over several lines for a person, or on one for
// a stream.
func (a *app) printJSON(v any, indent string) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	return e.Encode(v)
}

// complain tells the user what went wrong and what can be done.
func (a *app) complain(cmd *cobra.Command, err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(a.Err, "kaztoken: interrupted")
	default:
		fmt.Fprintf(a.Err, "kaztoken: %v\n", err)
	}
	hint := host.Hint(err)
	var u *usageError
	if hint == "" && errors.As(err, &u) && cmd != nil {
		hint = cmd.CommandPath() + " --help shows how"
	}
	if hint != "" {
		fmt.Fprintf(a.Err, "hint: %s\n", hint)
	}
}

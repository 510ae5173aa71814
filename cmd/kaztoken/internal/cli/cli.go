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
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"kaztoken/firmware"
	"kaztoken/internal/doctor"
	"kaztoken/internal/host"
	"kaztoken/internal/registration"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// Env is what the commands know of the world.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	Version  string // of this program; "" if it was not stamped
	Commit   string // that it was built from; "" if it was not stamped

	// Which of the streams are terminals: a person types, or looks.
	Terminal, OutTerminal, ErrTerminal bool

	Console func() (Console, error) // the person's terminal, whatever the streams are
	Getenv  func(string) string
	Now     func() time.Time

	// The ways to a token, in package host.
	Find   func(context.Context, host.Options) ([]host.Candidate, error)
	Open   func(context.Context, host.Options) (*host.Token, error)
	Follow func(host.Options) (*host.Supervisor, error)
	// Changes tells that Find may have another answer; see [host.Changes].
	Changes func(ctx context.Context, o host.Options, signal func()) error
	// Browse opens an address in the person's browser.
	Browse func(ctx context.Context, url string) error

	// Activated is the socket that a service manager has passed, nil for none; and
	// Hangups the signals to read settings again, until stop.
	Activated func() (*net.UnixListener, error)
	Hangups   func() (signals <-chan os.Signal, stop func())

	// Machine is what doctor sees of the machine.
	Machine func(host.Options) (doctor.Machine, error)

	// Recorder listens to what commands do over USB; nil for nobody.
	Recorder host.Recorder

	// Applications says where this user's applications look for PKCS#11 modules.
	Applications func(getenv func(string) string) (registration.System, error)

	// Card makes the channel to the card of an open token.
	Card func(*host.Token) firmware.Card
}

// System is the world as it is.
func System(version string) Env {
	return Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Version: version,
		Terminal: terminal(os.Stdin), OutTerminal: terminal(os.Stdout), ErrTerminal: terminal(os.Stderr),
		Console: openConsole, Getenv: os.Getenv, Now: time.Now,
		Find: host.Find, Open: host.OpenToken, Follow: host.Follow, Changes: host.Changes, Browse: browse,
		Activated: activated, Hangups: hangups, Machine: thisMachine,
		Applications: registration.Here, Card: (*host.Token).Channel,
	}
}

// app is one run of the program.
type app struct {
	Env
	options host.Options
	json    bool
	level   string
	lang    string // --lang; "" for what the environment asks for
	log     *logrus.Logger
	words   words.Words // valid once the command line was understood
	began   bool        // the command line was understood

	settings     settings.Settings // the user's, or the standard ones
	settingsPath string            // "" if there is no place for them
	settingsErr  error             // why they cannot be read

	descriptors map[int]*os.File // those that flags named, by number
}

// Main runs the command that args name and returns the exit code.
func Main(ctx context.Context, env Env, args []string) int {
	a := &app{Env: env}
	a.options.Recorder = env.Recorder
	a.readSettings()
	root := a.root()
	a.lang = langIn(args)
	helped := speak(root, words.For(a.language()))
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		unmark(root)
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !a.began {
		err = &usageError{err}
	}
	if err == nil {
		err = helped()
	}
	for _, f := range a.descriptors {
		f.Close() // read only
	}
	help := ""
	if cmd != nil {
		help = cmd.CommandPath()
	}
	a.complain(err, help)
	return exitCode(err)
}

// langIn finds --lang before the command line is understood, so that a mistake
// in it is told in that language, too.
func langIn(args []string) (lang string) {
	for i, a := range args {
		if value, ok := strings.CutPrefix(a, "--lang="); ok {
			lang = value
		}
		if a == "--lang" && i+1 < len(args) {
			lang = args[i+1]
		}
		if a == "--" {
			break
		}
	}
	return lang
}

// levels are the values of --log-level, the default first.
var levels = []string{"warn", "error", "info", "debug", "trace"}

const rootLong = `kaztoken drives and manages the KAZTOKEN USB token, its Rutoken relatives and,
when told to, every CCID smart-card reader. It needs neither pcscd nor a kernel
driver.

PINs and passwords are typed at a prompt, or read from the first line of a file
(--pin-file and the like) or a line of an open descriptor (--pin-fd). They are
never arguments. What destroys something names the token and asks first; --yes
answers the question and skips no check.

What no flag says is taken from the environment (KAZTOKEN_LANG, KAZTOKEN_BACKEND,
KAZTOKEN_DEVICES), then from the user's settings: kaztoken/config.toml in
$XDG_CONFIG_HOME or the system's folder for settings.

Messages and help are in Kazakh, Russian or English: --lang, KAZTOKEN_LANG, the
settings, or LC_ALL, LC_MESSAGES or LANG. Logs and JSON are in English.

Exit codes:
  0  all went well; for apdu: the card answered, whatever its status word says
  1  failed; what was asked for is not there, or is there already
  2  the command line or an APDU is malformed, or does not say which token
  3  no token, no card in the reader, or it was pulled out at work
  4  PIN wrong or blocked, or its last try was not to be used
  5  the token is there but may not be used: no permission, or another program has it
  6  the token does not allow it: its format or its policy, missing rights, no room

Data goes to standard output, everything else to standard error.`

func (a *app) root() *cobra.Command {
	c := &cobra.Command{
		Use:   "kaztoken",
		Short: "Drive and manage the KAZTOKEN USB token",
		Long:  rootLong,
		Example: `  kaztoken list
  kaztoken --backend virtual info
  kaztoken cert list --lang kk
  kaztoken --token 1-1.4 apdu "00 CA 01 81 00"`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error { return a.begin(c) },
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
	f.StringVar(&a.lang, "lang", "", "`LANGUAGE` of messages: kk, ru or en")
	must(c.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"kk", "ru", "en"}, cobra.ShellCompDirectiveNoFileComp)))
	must(c.RegisterFlagCompletionFunc("token", a.completeToken))

	c.AddCommand(a.listCommand(), a.infoCommand(), a.pinCommand(), a.renameCommand(), a.formatCommand(), a.certCommand(), a.keyCommand(),
		a.objectCommand(), a.signCommand(), a.decryptCommand(), a.randomCommand(), a.checkCommand(), a.apduCommand(), a.serveCommand(), a.statusCommand(), a.traceCommand(), a.doctorCommand(),
		a.rulesCommand(), a.versionCommand())
	c.AddCommand(a.extraCommands()...)
	return c
}

// must is for errors that only a mistake in this program can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// begin runs when the command line is understood, before the command.
func (a *app) begin(c *cobra.Command) error {
	// The parser asks for these only afterwards, but they are mistakes of the command line, too.
	if err := errors.Join(c.ValidateRequiredFlags(), c.ValidateFlagGroups()); err != nil {
		return err
	}
	level, err := logrus.ParseLevel(a.level)
	if err != nil || !slices.Contains(levels, a.level) {
		return &host.OptionError{Option: "log-level", Value: a.level, Want: levels}
	}
	for _, lang := range []string{a.lang, a.Getenv(langVariable)} {
		if _, ok := words.Named(lang); !ok && lang != "" {
			return &host.OptionError{Option: "lang", Value: lang, Want: []string{"kk", "ru", "en"}}
		}
	}
	a.words = words.For(a.language())
	a.log = logrus.New()
	a.log.SetOutput(a.Err)
	a.log.SetLevel(level)
	a.log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: "15:04:05.000"})
	a.options.Log = a.log
	a.began = true
	return a.settle(c)
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

//go:build !minimal

package cli

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/internal/secret"
	"kaztoken/internal/words"
)

// demoIdentity is a key with its certificate and its issuer's, for nobody. It
// comes from testdata/make.sh.
//
//go:embed demo.p12
var demoIdentity []byte

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show everything that can be managed, on a token in software",
		Long: `Show everything that can be managed, on a token in software of its own, which is
gone afterwards: the information window, a log-in with the default PIN, both PIN
changes, ten wrong PINs and the unblocking, a new name, a certificate that comes,
signs and goes, and formatting. Each command is printed as it would be typed,
with what is typed at its prompts (PINs as stars) and its result. A result that
is not as expected ends it with exit code 1.

--json prints an object with the keys passed, commands (how many were run)`,
		Example: `  kaztoken demo
  kaztoken demo --lang ru`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.demo(cmd.Context()) },
	}
}

// PINs of the demonstration. They are those of no token.
const (
	demoUser     = "Aqtobe-1869"
	demoAdmin    = "Qostanay-1879"
	demoWrong    = "00000000"
	demoPassword = "Qazaqstan2024"
)

// demoStep is one command of the demonstration.
type demoStep struct {
	title words.Key // "" if it goes on with what the last title says
	args  []string
	typed []string // at its prompts
	exit  int
	want  []string // what its output contains
}

// demoSteps is the manual, in the language of w.
func demoSteps(w words.Words) []demoStep {
	const user, admin = "12345678", "87654321" // as tokens are delivered
	text := w.Text
	name := map[words.Language]string{words.Kazakh: "Бухгалтерия", words.Russian: "Бухгалтерия", words.English: "Accounting"}[w.Language()]
	steps := []demoStep{
		{title: "demo.info", args: []string{"info"}, want: []string{"0x32D18A58", "262144", "20.04.21.00", text("both")}},
		{title: "demo.login", args: []string{"pin", "verify"}, typed: []string{user}, want: []string{text("defwarn")}},
		{
			title: "demo.change", args: []string{"pin", "change"}, typed: []string{user, demoUser, demoUser},
			want: []string{text("done.change", "role", "user")},
		},
		{
			args: []string{"pin", "change", "--whose", "admin"}, typed: []string{admin, demoAdmin, demoAdmin},
			want: []string{text("done.change", "role", "admin")},
		},
	}
	// The last of ten tries has to be confirmed.
	for left := 9; left >= 0; left-- {
		s := demoStep{
			args: []string{"pin", "verify"}, typed: []string{demoWrong}, exit: exitPIN,
			want: []string{text("error.pin.wrong", "role", "user", "n", left)},
		}
		switch left {
		case 9:
			s.title = "demo.block"
		case 0:
			s.typed = []string{affirmativeIn(w), demoWrong}
		}
		steps = append(steps, s)
	}
	steps = append(steps, []demoStep{
		{args: []string{"pin", "verify"}, exit: exitPIN, want: []string{text("error.pin.blocked", "role", "user"), text("hint.unblock")}},
		{title: "demo.unblock", args: []string{"pin", "unblock"}, typed: []string{demoAdmin}, want: []string{text("done.unblock")}},
		{args: []string{"pin", "verify"}, typed: []string{demoUser}, want: []string{text("done.verify", "role", "user")}},
		{args: []string{"pin", "status"}, want: []string{text("pin.tries", "left", 10, "max", 10)}},
		{title: "demo.rename", args: []string{"rename", name}, typed: []string{demoUser}, want: []string{text("done.rename", "name", name)}},
		{title: "demo.import", args: []string{"cert", "import", "demo.p12"}, typed: []string{demoPassword, demoUser}},
		{args: []string{"cert", "list"}, want: []string{text("personal"), "RSA 2048", text("state.valid")}},
		{args: []string{"cert", "show", "1"}, want: []string{text("valid"), text("nonextract")}},
		{args: []string{"cert", "default", "1"}, want: []string{text("cert.chosen")}},
		{
			title: "demo.use", args: []string{"sign", "--key", "1", "--format", "base64", "letter.txt"}, typed: []string{demoUser},
			want: []string{"=="},
		},
		{
			title: "demo.delete", args: []string{"cert", "delete", "1"}, typed: []string{affirmativeIn(w), demoUser},
			want: []string{text("delete.warn"), text("done.delete", "n", 2)},
		},
		{
			title: "demo.format", args: []string{"format"}, typed: []string{affirmativeIn(w), demoAdmin},
			want: []string{text("format.warn"), text("done.format", "name", "KAZTOKEN"), text("warn.defaults")},
		},
		{args: []string{"check"}, want: []string{text("done.check")}},
		{args: []string{"pin", "verify"}, typed: []string{user}, want: []string{text("defwarn")}},
	}...)
	return steps
}

// affirmativeIn is what a person who means yes types.
func affirmativeIn(w words.Words) string {
	return map[words.Language]string{words.Kazakh: "и", words.Russian: "д", words.English: "y"}[w.Language()]
}

// demoError: a command of the demonstration gave something else than expected.
type demoError struct {
	command string
	exit    int
	missing string // of the output; "" if something else is wrong
	untyped int    // lines that nobody asked for
}

func (e *demoError) Error() string {
	switch {
	case e.missing != "":
		return fmt.Sprintf("%s: the output lacks %q", e.command, e.missing)
	case e.untyped > 0:
		return fmt.Sprintf("%s: %s that nobody asked for", e.command, count(e.untyped, "line"))
	}
	return fmt.Sprintf("%s: exit code %d", e.command, e.exit)
}

func (a *app) demo(ctx context.Context) error {
	out := a.Out
	if a.json {
		out = a.Err
	}
	steps := demoSteps(a.words)
	if _, err := fmt.Fprintln(out, a.words.Text("demo.begin")); err != nil {
		return err
	}
	if err := a.play(ctx, out, steps); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "\n%s\n", a.words.Text("demo.end")); err != nil {
		return err
	}
	return a.report(struct {
		Passed   bool `json:"passed"`
		Commands int  `json:"commands"`
	}{true, len(steps)})
}

// play runs steps on one token in software, which is new, and compares
// what comes with what is expected.
func (a *app) play(ctx context.Context, out io.Writer, steps []demoStep) (err error) {
	dir, err := os.MkdirTemp("", "kaztoken-demo")
	if err != nil {
		return &fileError{err}
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for name, content := range map[string][]byte{"demo.p12": demoIdentity, "letter.txt": []byte("Qazaqstan\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return &fileError{err}
		}
	}
	for _, s := range steps {
		command := "kaztoken " + strings.Join(s.args, " ")
		shown, code, untyped := a.demoRun(ctx, dir, s)
		if err := ctx.Err(); err != nil {
			return err
		}
		var b strings.Builder
		if s.title != "" {
			fmt.Fprintf(&b, "\n== %s ==\n", a.words.Text(s.title))
		}
		fmt.Fprintf(&b, "$ %s\n%s", command, shown)
		if code != exitOK {
			fmt.Fprintln(&b, a.words.Text("demo.exit", "code", code))
		}
		if _, err := io.WriteString(out, b.String()); err != nil {
			return err
		}
		if code != s.exit || untyped > 0 {
			return &demoError{command: command, exit: code, untyped: untyped}
		}
		for _, w := range s.want {
			if !strings.Contains(shown, w) {
				return &demoError{command: command, missing: w}
			}
		}
	}
	return nil
}

// demoRun runs one command in this process, on the token in dir, with somebody
// at the terminal who types what the step says.
func (a *app) demoRun(ctx context.Context, dir string, s demoStep) (shown string, code, untyped int) {
	var screen bytes.Buffer
	env := System(a.Version)
	env.In, env.Out, env.Err = strings.NewReader(""), &screen, &screen
	env.Terminal, env.OutTerminal, env.ErrTerminal = false, false, false
	env.Console = func() (Console, error) { return &typist{screen: &screen, typed: &s.typed}, nil }
	env.Getenv = func(name string) string {
		if name == "XDG_CONFIG_HOME" {
			return dir
		}
		return ""
	}
	env.Now = a.Now
	args := []string{
		"--backend", "virtual", "--virtual-state", filepath.Join(dir, "state"), "--lang", string(a.words.Language()), "--log-level", a.level,
	}
	for _, arg := range s.args {
		if slices.Contains([]string{"demo.p12", "letter.txt"}, arg) {
			arg = filepath.Join(dir, arg)
		}
		args = append(args, arg)
	}
	code = Main(ctx, env, args)
	return strings.ReplaceAll(screen.String(), dir+string(filepath.Separator), ""), code, len(s.typed)
}

// typist is a Console at which somebody types what was written down before.
// Nobody sees a secret: it shows as stars.
type typist struct {
	screen *bytes.Buffer
	typed  *[]string // what is left
}

// errNothingTyped: a command asked for more than the typist knows.
var errNothingTyped = errors.New("the demonstration has nothing more to type")

func (t *typist) Write(b []byte) (int, error) { return t.screen.Write(b) }
func (t *typist) Close() error                { return nil }

func (t *typist) next() (string, error) {
	if len(*t.typed) == 0 {
		return "", errNothingTyped
	}
	line := (*t.typed)[0]
	*t.typed = (*t.typed)[1:]
	return line, nil
}

func (t *typist) ReadLine(context.Context) (string, error) {
	line, err := t.next()
	fmt.Fprintln(t.screen, line)
	return line, err
}

func (t *typist) ReadSecret(context.Context) (*secret.Bytes, error) {
	line, err := t.next()
	fmt.Fprintln(t.screen, strings.Repeat("*", len([]rune(line))))
	return secret.Copy([]byte(line)), err
}

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kaztoken/internal/words"
)

// helpText is one text of the help and where it stands.
type helpText struct{ where, text string }

// helpTexts is every text of the help that people read.
func helpTexts(root *cobra.Command) (all []helpText) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		name := c.CommandPath()
		all = append(all, helpText{name + ", its line", c.Short})
		for _, p := range strings.Split(strings.TrimRight(c.Long, "\n"), "\n\n") {
			all = append(all, helpText{name + ", what it does", p})
		}
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) { all = append(all, helpText{name + " --" + f.Name, f.Usage}) })
		c.PersistentFlags().VisitAll(func(f *pflag.Flag) { all = append(all, helpText{name + " --" + f.Name, f.Usage}) })
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return all
}

// TestHelpIsTranslated: every text of the help has its entry in package words,
// and every entry there is of one.
func TestHelpIsTranslated(t *testing.T) {
	root := (&app{Env: System("")}).root()
	used := map[string]bool{"how to talk to USB: {}": true, "how to talk to USB: this build has no driver for this system": true}
	missing := map[string]bool{}
	for _, h := range helpTexts(root) {
		entry, ok := words.HelpEntry(h.text)
		used[entry] = true
		if !ok && !words.Literal(h.text) && !missing[h.text] {
			missing[h.text] = true
			t.Errorf("%s: add this text in Kazakh and Russian to one of internal/words/help*.go:\n%s", h.where, h.text)
		}
	}
	for _, entry := range words.HelpEntries() {
		if !used[entry] {
			t.Errorf("no help says what internal/words has as:\n%s", entry)
		}
	}
}

// full is an output with no room, as a full disk.
type full struct{}

func (full) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "/dev/stdout", Err: errors.New("no space left on device")}
}

// TestHelpNotWritten: a help that is lost on a full disk is a failure.
func TestHelpNotWritten(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {}, {"help", "pin"}, {"key", "generate", "-h"}} {
		run(t, t.Context(), nil, func(e *Env) { e.Out = full{} }, args...).want(t, exitFailed, "no space left on device")
	}
}

func TestHelpSpeaks(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
	}{
		{"help-ru-key", []string{"--lang", "ru", "key", "--help"}},
		{"help-kk-cert-show", []string{"--lang", "kk", "cert", "show", "--help"}},
		{"help-ru-pin-change", []string{"--lang", "ru", "pin", "change", "--help"}},
		{"help-kk-pin", []string{"--lang", "kk", "pin", "--help"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, t.Context(), nil, nil, c.args...)
			r.want(t, exitOK)
			golden(t, c.name, withoutDrivers(r.out))
		})
	}
	env := func(e *Env) {
		e.Getenv = func(name string) string { return map[string]string{"LANG": "ru_RU.UTF-8"}[name] }
	}
	byFlag := run(t, t.Context(), nil, nil, "pin", "change", "--lang=ru", "--help").out
	for _, args := range [][]string{
		{"help", "pin", "change"}, {"pin", "change", "-h"}, {"pin", "change", "--help"}, {"--lang", "ru", "help", "pin", "change"},
	} {
		r := run(t, t.Context(), nil, env, args...)
		r.want(t, exitOK)
		if r.out != byFlag {
			t.Errorf("%v prints %q, want what --lang=ru gives", args, r.out)
		}
	}
	chosen := t.TempDir()
	if r := run(t, t.Context(), nil, func(e *Env) {
		e.Getenv = func(name string) string { return map[string]string{"XDG_CONFIG_HOME": chosen}[name] }
		config := filepath.Join(chosen, "kaztoken", "config.toml")
		if err := errors.Join(os.Mkdir(filepath.Dir(config), 0o700), os.WriteFile(config, []byte("language = \"ru\"\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}, "pin", "change", "--help"); r.out != byFlag {
		t.Errorf("with Russian in the settings: %q", r.out)
	}
	if r := run(t, t.Context(), nil, env, "pin", "--lang", "en", "--help"); strings.Contains(r.out, "PIN-код") {
		t.Errorf("--lang en prints %q", r.out)
	}
	if r := run(t, t.Context(), nil, env, "__complete", "pin", "ch"); !strings.Contains(r.out, "change\tИзменить PIN-код") {
		t.Errorf("completes to %q", r.out)
	}
}

// TestHelpLayout: no line of prose is too long, the names of flags and commands
// stand in one column, and nothing of the parser's English is left.
func TestHelpLayout(t *testing.T) {
	for _, l := range []words.Language{words.Kazakh, words.Russian} {
		w := words.For(l)
		var walk func(*cobra.Command)
		walk = func(c *cobra.Command) {
			for line := range strings.Lines(c.Long) {
				if n := utf8.RuneCountInString(line); n > 91 {
					t.Errorf("%s in %s: a line of %d columns: %s", c.CommandPath(), l, n, line)
				}
			}
			usage := c.UsageString()
			for _, english := range []string{"Usage", "Flags:", "Examples:", "Available", "[command]", "[flags]", "(default", "help for", "information"} {
				if strings.Contains(usage, english) {
					t.Errorf("%s in %s says %q", c.CommandPath(), l, english)
				}
			}
			if c.HasAvailableLocalFlags() && !strings.Contains(usage, w.Text("help.flags")+":\n") {
				t.Errorf("%s in %s has no heading of flags", c.CommandPath(), l)
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
		walk(Tree(l))
	}
}

func TestMistakenCommandLine(t *testing.T) {
	for _, c := range []struct {
		args   []string
		ru, kk string
	}{
		{[]string{"lits"}, "нет такой команды: lits; похожа на неё: list", "мұндай пәрмен жоқ: lits; ұқсасы: list"},
		{[]string{"pigeon"}, "нет такой команды: pigeon", "мұндай пәрмен жоқ: pigeon"},
		{[]string{"help", "pigeon"}, "нет такой команды: pigeon", "мұндай пәрмен жоқ: pigeon"},
		{[]string{"list", "x"}, "лишний аргумент: x", "артық аргумент: x"},
		{[]string{"list", "--pigeon"}, "нет такого параметра: --pigeon", "мұндай параметр жоқ: --pigeon"},
		{[]string{"list", "-xy"}, "нет такого параметра: x", "мұндай параметр жоқ: x"},
		{[]string{"list", "--token"}, "параметру --token нужно значение", "--token параметріне мән керек"},
		{[]string{"cert", "export", "1", "-o"}, "параметру -o нужно значение", "-o параметріне мән керек"},
		{[]string{"list", "--json=x"}, "параметру --json не подходит значение: x", "--json параметріне бұл мән жарамайды: x"},
		{[]string{"sign", "f"}, "не указан обязательный параметр: key", "міндетті параметр берілмеген: key"},
		{[]string{"cert", "show"}, "нужно аргументов: 1, указано: 0", "аргументтер саны 1 болуы керек, берілгені: 0"},
		{[]string{"cert", "delete"}, "нужно аргументов: не меньше 1, указано: 0", "аргументтер саны кемінде 1 болуы керек, берілгені: 0"},
		{[]string{"sign", "a", "b", "--key", "1"}, "нужно аргументов: не больше 1, указано: 2", "аргументтер саны көп дегенде 1 болуы керек, берілгені: 2"},
	} {
		for lang, want := range map[string]string{"ru": c.ru, "kk": c.kk} {
			r := run(t, t.Context(), nil, nil, append([]string{"--lang", lang}, c.args...)...)
			first, rest, _ := strings.Cut(r.err, "\n")
			if r.code != exitUsage || first != "kaztoken: "+want || strings.Count(rest, "\n") != 1 {
				t.Errorf("%v in %s: exit code %d, %q, want %q and a hint", c.args, lang, r.code, r.err, want)
			}
		}
	}
	// Below every command that has others and does nothing itself.
	for _, c := range (&app{Env: System("")}).root().Commands() {
		if !c.HasSubCommands() || c.Name() == "help" || c.Name() == "panel" {
			continue
		}
		r := run(t, t.Context(), nil, nil, "--lang", "ru", c.Name(), "pigeon")
		if first, _, _ := strings.Cut(r.err, "\n"); r.code != exitUsage || first != "kaztoken: нет такой команды: pigeon" {
			t.Errorf("%s pigeon: exit code %d, %q", c.Name(), r.code, r.err)
		}
	}
	// The last of the parser's texts is of groups of flags.
	err := &usageError{errors.New("if any flags in the group [a b] are set none of the others can be; [a b] were all set")}
	if got, ok := mistaken(words.For(words.Russian), err); got != "эти параметры исключают друг друга: a b" || !ok {
		t.Errorf("%q, %v", got, ok)
	}
	// What a command says is not the parser's.
	for _, err := range []error{errors.New("unknown flag: --x"), &usageError{errors.New("something else")}} {
		if got, ok := mistaken(words.For(words.Russian), err); ok {
			t.Errorf("%v becomes %q", err, got)
		}
	}
}

func TestWrap(t *testing.T) {
	for text, want := range map[string]string{
		"":                "",
		"бір екі үш":      "бір екі\nүш",
		"а  б\nв":         "а б в",
		"тыныштықсыздық":  "тыныштықсыздық",
		"а тыныштықсыз б": "а\nтыныштықсыз\nб",
	} {
		if got := wrap(text, 7); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kaztoken/internal/words"
)

// Tree is every command with its help in a language, for those who write manuals
// and not for running: nothing in it has been connected to the world.
func Tree(l words.Language) *cobra.Command {
	root := (&app{Env: System("")}).root()
	speak(root, words.For(l))
	return root
}

// speak puts the help of a whole tree into a language. The commands are written
// in English and know nothing of it.
//
// Cobra drops the error of a help that cannot be written, so what it was is
// asked afterwards, with wrote.
func speak(root *cobra.Command, w words.Words) (wrote func() error) {
	var failed error
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	root.SetHelpFunc(func(c *cobra.Command, _ []string) {
		var text bytes.Buffer
		fmt.Fprintf(&text, "%s\n\n", c.Long)
		writeUsage(&text, c, w)
		_, failed = c.OutOrStdout().Write(text.Bytes())
	})
	root.SetUsageFunc(func(c *cobra.Command) error {
		writeUsage(c.OutOrStderr(), c, w)
		return nil
	})
	if help, _, err := root.Find([]string{"help"}); err == nil {
		// The original answers an unknown command with success.
		show := help.Run
		help.RunE = func(c *cobra.Command, args []string) error {
			if _, _, err := root.Find(args); err != nil {
				return &usageError{err}
			}
			show(c, args)
			return nil
		}
	}
	speakOf(root, w)
	return func() error { return failed }
}

func speakOf(c *cobra.Command, w words.Words) {
	c.InitDefaultHelpFlag()
	c.Short = w.Help(c.Short)
	c.Long = strings.Join(Paragraphs(c.Long, w), "\n\n")
	// A flag that comes from above is met again below, already translated, and
	// then is nothing that the catalogue knows.
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = w.Help(f.Usage) })
	c.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Usage = w.Help(f.Usage) })
	for _, sub := range c.Commands() {
		speakOf(sub, w)
	}
}

// unmark takes the marks around the names of values away, which whoever shows the
// usage of a flag as it is would show: cobra, to a shell that completes.
func unmark(c *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	c.Flags().VisitAll(plain)
	c.PersistentFlags().VisitAll(plain)
	for _, sub := range c.Commands() {
		unmark(sub)
	}
}

// helpWidth is where prose is wrapped, in columns.
const helpWidth = 80

// Paragraphs are the paragraphs of what a command does, in a language. English
// ones stay as they were written.
func Paragraphs(long string, w words.Words) []string {
	all := strings.Split(strings.TrimRight(long, "\n "), "\n\n")
	for i, p := range all {
		text := w.Help(p)
		if text != p && !strings.Contains(text, "\n") {
			text = wrap(text, helpWidth)
		}
		all[i] = text
	}
	return all
}

// wrap breaks a line at its spaces. A word that is longer than the width has a
// line of its own.
func wrap(text string, width int) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}

// UseLine is how a command is called, in a language.
func UseLine(c *cobra.Command, w words.Words) string {
	return strings.NewReplacer("[command]", w.Text("help.command"), "[flags]", w.Text("help.options")).Replace(c.UseLine())
}

// writeUsage writes what cobra writes, in a language.
func writeUsage(out io.Writer, c *cobra.Command, w words.Words) {
	heading := func(k words.Key) { fmt.Fprintf(out, "\n\n%s:\n", w.Text(k)) }
	flags := func(k words.Key, f *pflag.FlagSet) {
		heading(k)
		fmt.Fprint(out, strings.Join(flagLines(f, w), "\n"))
	}

	fmt.Fprintf(out, "%s:", w.Text("help.usage"))
	if c.Runnable() {
		fmt.Fprintf(out, "\n  %s", UseLine(c, w))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n  %s %s", c.CommandPath(), w.Text("help.command"))
	}
	if len(c.Aliases) > 0 {
		heading("help.aliases")
		fmt.Fprintf(out, "  %s", c.NameAndAliases())
	}
	if c.HasExample() {
		heading("help.examples")
		fmt.Fprint(out, c.Example)
	}
	if c.HasAvailableSubCommands() {
		heading("help.commands")
		var lines []string
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				lines = append(lines, fmt.Sprintf("  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short))
			}
		}
		fmt.Fprint(out, strings.Join(lines, "\n"))
	}
	if c.HasAvailableLocalFlags() {
		flags("help.flags", c.LocalFlags())
	}
	if c.HasAvailableInheritedFlags() {
		flags("help.global", c.InheritedFlags())
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\n\n%s.", w.Text("help.more", "command", c.CommandPath()))
	}
	fmt.Fprintln(out)
}

// flagLines are what pflag writes of flags, which counts bytes where columns are
// meant and knows English.
func flagLines(f *pflag.FlagSet, w words.Words) []string {
	type line struct{ left, right string }
	var all []line
	width := 0
	f.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		l := line{left: "      --" + f.Name}
		if f.Shorthand != "" {
			l.left = "  -" + f.Shorthand + ", --" + f.Name
		}
		var value string
		if value, l.right = FlagUsage(f, w); value != "" {
			l.left += " " + value
		}
		width = max(width, utf8.RuneCountInString(l.left))
		all = append(all, l)
	})
	var lines []string
	for _, l := range all {
		lines = append(lines, fmt.Sprintf("%-*s   %s", width, l.left, l.right)) // runes are counted
	}
	return lines
}

// FlagUsage is what to call the value of a flag, "" if it takes none, and what the
// flag is for, with its default.
func FlagUsage(f *pflag.Flag, w words.Words) (value, usage string) {
	value, usage = pflag.UnquoteUsage(f)
	switch value { // the name of a type, for want of a better one
	case "string":
		value = w.Text("help.value.string")
	case "int":
		value = w.Text("help.value.int")
	case "duration":
		value = w.Text("help.value.duration")
	}
	switch f.DefValue {
	case "", "0", "0s", "false", "[]":
		return value, usage
	}
	format := "%s (%s %s)"
	if f.Value.Type() == "string" {
		format = "%s (%s %q)"
	}
	return value, fmt.Sprintf(format, usage, w.Text("help.default"), f.DefValue)
}

// mistake is a kind of error of the parser of command lines. The groups of its
// pattern have the names of the text's values.
type mistake struct {
	pattern string // a regular expression, compiled when there is a mistake
	text    words.Key
}

// parserMistakes are what cobra and pflag find wrong: the first that fits is taken.
// What the commands themselves find wrong is not here.
var parserMistakes = []mistake{
	{`(?s)^unknown command "(?P<name>.*)" for ".*"\n\nDid you mean this\?\n\t(?P<list>.*)\n$`, "error.command.similar"},
	{`(?s)^unknown command "(?P<name>.*)" for "kaztoken(?: (?:cert|completion|key|object|pin|trace))?"$`, "error.command.unknown"},
	{`(?s)^unknown command "(?P<name>.*)" for ".*"$`, "error.argument"}, // of a command that takes none
	{`(?s)^unknown flag: (?P<flag>.*)$`, "error.flag.unknown"},
	{`(?s)^unknown shorthand flag: '(?P<flag>.*)' in -.*$`, "error.flag.unknown"},
	{`(?s)^flag needs an argument: (?:'.' in )?(?P<flag>-.*)$`, "error.flag.value"},
	{`(?s)^invalid argument "(?P<value>.*)" for "(?P<flag>.*)" flag: .*$`, "error.flag.bad"},
	{`^required flag\(s\) (?P<flags>.*) not set$`, "error.flag.required"},
	{`^if any flags in the group \[(?P<flags>.*)\] are set none of the others can be; .*$`, "error.flag.exclude"},
	{`^accepts (?P<want>\d+) arg\(s\), received (?P<got>\d+)$`, "error.arguments"},
	{`^requires at least (?P<want>\d+) arg\(s\), only received (?P<got>\d+)$`, "error.arguments.least"},
	{`^accepts at most (?P<want>\d+) arg\(s\), received (?P<got>\d+)$`, "error.arguments.most"},
}

// mistaken tells in a language what the parser of the command line found wrong,
// if err comes from it.
func mistaken(w words.Words, err error) (text string, ok bool) {
	var usage *usageError
	if !errors.As(err, &usage) {
		return "", false
	}
	for _, m := range parserMistakes {
		pattern := regexp.MustCompile(m.pattern)
		found := pattern.FindStringSubmatch(usage.Error())
		if found == nil {
			continue
		}
		var values []any
		for i, name := range pattern.SubexpNames() {
			if name != "" {
				values = append(values, name, strings.ReplaceAll(strings.Trim(found[i], `"`), "\n\t", ", "))
			}
		}
		return w.Text(m.text, values...), true
	}
	return "", false
}

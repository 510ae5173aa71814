package cli

import (
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// shellWords splits a line of an example as a shell does, up to a redirection
// or a pipe.
func shellWords(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	in, quoted := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted = !quoted
			in = true
		case !quoted && r == ' ':
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		case !quoted && strings.ContainsRune("<>|", r):
			return words, nil
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("%q ends within quotes", line)
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// TestExamplesParse: every example in the help is a command line that the
// program understands.
func TestExamplesParse(t *testing.T) {
	count := 0
	for _, name := range commandNames() {
		text, err := example(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(text, "\n") {
			args, err := shellWords(strings.TrimSpace(line))
			if err != nil || len(args) < 2 || args[0] != "kaztoken" {
				t.Errorf("%s: example %q, %v", name, line, err)
				continue
			}
			count++
			a := &app{Env: System("")}
			root := a.root()
			cmd, rest, err := root.Find(args[1:])
			if err == nil {
				err = cmd.ParseFlags(rest)
			}
			if err == nil {
				err = cmd.ValidateArgs(cmd.Flags().Args())
			}
			if err == nil {
				err = cmd.ValidateRequiredFlags()
			}
			if err == nil {
				err = a.begin(cmd)
			}
			if err != nil {
				t.Errorf("%s: example %q: %v", name, line, err)
			}
			if name != "" && !strings.HasPrefix(cmd.CommandPath()+" ", "kaztoken "+name+" ") {
				t.Errorf("%s: example %q is of %s", name, line, cmd.CommandPath())
			}
		}
	}
	if count < 60 {
		t.Errorf("%d examples", count)
	}
}

// example is the example text of a command.
func example(name string) (string, error) {
	cmd, _, err := (&app{Env: System("")}).root().Find(strings.Fields(name))
	return cmd.Example, err
}

// TestExamplesCatch proves that a wrong example would be found.
func TestExamplesCatch(t *testing.T) {
	root := (&app{Env: System("")}).root()
	for _, line := range []string{"cert show", "pin status --nonsense", "sign letter.txt"} {
		cmd, rest, err := root.Find(strings.Fields(line))
		for _, check := range []func(*cobra.Command) error{
			func(c *cobra.Command) error { return c.ParseFlags(rest) },
			func(c *cobra.Command) error { return c.ValidateArgs(c.Flags().Args()) },
			func(c *cobra.Command) error { return c.ValidateRequiredFlags() },
		} {
			if err == nil {
				err = check(cmd)
			}
		}
		if err == nil {
			t.Errorf("%q passes", line)
		}
	}
}

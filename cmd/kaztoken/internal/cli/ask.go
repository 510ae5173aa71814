package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kaztoken/internal/words"
)

// errCancelled: the person said no.
var errCancelled = errors.New("cancelled")

// confirmation is the question before something is destroyed.
type confirmation struct {
	yes bool // --yes: the question is answered
}

func (q *confirmation) add(c *cobra.Command) {
	c.Flags().BoolVar(&q.yes, "yes", false, "do not ask; everything else is checked as ever")
}

// confirm names the token and asks. What is lost stands in lines.
func (a *app) confirm(ctx context.Context, q *confirmation, t *token, lines []string, question words.Key, values ...any) error {
	if q.yes {
		return nil
	}
	name, id, err := a.identify(ctx, t)
	if err != nil {
		return err
	}
	return a.withConsole(noTerminalError{hint: "hint.yes"}, func(c Console) error {
		fmt.Fprintln(c, a.words.Text("ask.token", "name", name, "id", id))
		for _, l := range lines {
			fmt.Fprintln(c, "  "+words.Clean(l))
		}
		ok, err := a.yes(ctx, c, question, values...)
		if err == nil && !ok {
			err = errCancelled
		}
		return err
	})
}

// yes asks a question that is no unless the person says yes.
func (a *app) yes(ctx context.Context, c Console, question words.Key, values ...any) (bool, error) {
	fmt.Fprintf(c, "%s %s ", a.words.Text(question, values...), a.words.Text("ask.yesno"))
	line, err := c.ReadLine(ctx)
	if err != nil {
		return false, err
	}
	return slices.Contains(affirmative, strings.ToLower(strings.TrimSpace(line))), nil
}

// affirmative answers are taken in every language: the keyboard may be set to
// another one than the program.
var affirmative = []string{"y", "yes", "д", "да", "и", "иә"}

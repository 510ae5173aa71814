package cli

import (
	"errors"
	"fmt"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/words"
)

// say tells what was done, on standard error.
func (a *app) say(k words.Key, values ...any) {
	fmt.Fprintln(a.Err, a.words.Text(k, values...))
}

// warn tells what the person should know.
func (a *app) warn(k words.Key, values ...any) {
	fmt.Fprintf(a.Err, "%s: %s\n", a.words.Text("frame.warning"), a.words.Text(k, values...))
}

// complain tells what went wrong and what can be done.
func (a *app) complain(err error, help string) {
	var silent *codeError
	if err == nil || errors.As(err, &silent) {
		return
	}
	w := words.For(a.language())
	p := problemOf(err)
	var values []any
	if p.values != nil {
		values = p.values(err)
	}
	text := w.Text(p.message, values...)
	details := ""
	switch p.own {
	case ownText:
		if w.Language() == words.English {
			text = err.Error()
		} else if own, ok := mistaken(w, err); ok {
			text = own
		} else {
			details = err.Error()
		}
	case ownDetails:
		details = err.Error()
	}
	fmt.Fprintf(a.Err, "kaztoken: %s\n", cleanLines(text))
	if details != "" {
		fmt.Fprintf(a.Err, "%s: %s\n", w.Text("frame.details"), cleanLines(details))
	}
	hint := p.hintIn(w, err)
	if hint == "" && p.exit == exitUsage && help != "" {
		hint = w.Text("frame.help", "command", help)
	}
	if hint != "" {
		fmt.Fprintf(a.Err, "%s: %s\n", w.Text("frame.hint"), hint)
	}
}

// cleanLines is [words.Clean] for a text of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = words.Clean(l)
	}
	return strings.Join(lines, "\n")
}

// progress shows, on a terminal, how far a long operation is. The caller calls
// done at its end.
func (a *app) progress(what words.Key) (p firmware.Progress, done func()) {
	if !a.ErrTerminal {
		return nil, func() {}
	}
	text := a.words.Text(what)
	fmt.Fprintf(a.Err, "\r%s… ", text)
	return func(n, total int) {
			fmt.Fprintf(a.Err, "\r%s… %d %%", text, 100*n/max(total, 1))
		}, func() {
			fmt.Fprint(a.Err, "\r\x1b[K")
		}
}

package cli

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"

	"kaztoken/internal/words"
)

// names are what a thing on the token can be called by.
type names struct {
	id    []byte // nil if it has none
	label string
}

func (n names) String() string {
	if len(n.id) == 0 {
		return n.label
	}
	return fmt.Sprintf("%s, ID %X", n.label, n.id)
}

// choose finds the one thing that a selector means: its id in hexadecimal
// digits, its label, its number in the list, the beginning of its id (two
// digits or more), or a part of its label. They are tried in this order,
// without regard to case; list is the command that shows what there is.
//
// The error is a [nothingError] or a [severalError].
func choose[T any](selector, list string, all []T, called func(T) names) (T, error) {
	folded := strings.ToLower(selector)
	number, err := strconv.Atoi(selector)
	if err != nil || len(selector) > 3 {
		number = 0
	}
	meanings := []func(i int, n names) bool{
		func(_ int, n names) bool { return len(n.id) > 0 && hex.EncodeToString(n.id) == folded },
		func(_ int, n names) bool { return strings.EqualFold(n.label, selector) },
		func(i int, _ names) bool { return i+1 == number },
		func(_ int, n names) bool {
			return len(folded) >= 2 && strings.HasPrefix(hex.EncodeToString(n.id), folded)
		},
		func(_ int, n names) bool { return folded != "" && strings.Contains(strings.ToLower(n.label), folded) },
	}
	var none T
	for _, means := range meanings {
		var found []T
		for i, x := range all {
			if means(i, called(x)) {
				found = append(found, x)
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		several := &severalError{selector: selector}
		for _, x := range found {
			several.found = append(several.found, called(x).String())
		}
		return none, several
	}
	return none, &nothingError{selector, list}
}

// chooseAll is [choose] for several selectors. What is meant twice is there
// once.
func chooseAll[T any](selectors []string, list string, all []T, called func(T) names) ([]T, error) {
	var chosen []T
	taken := make([]bool, len(all))
	type numbered struct {
		i int
		x T
	}
	with := make([]numbered, len(all))
	for i, x := range all {
		with[i] = numbered{i, x}
	}
	for _, s := range selectors {
		n, err := choose(s, list, with, func(n numbered) names { return called(n.x) })
		if err != nil {
			return nil, err
		}
		if !taken[n.i] {
			taken[n.i] = true
			chosen = append(chosen, n.x)
		}
	}
	return chosen, nil
}

// parseID reads an id from the command line, nil for "".
func parseID(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	id, err := hex.DecodeString(s)
	if err != nil {
		return nil, &usageError{fmt.Errorf("id %q: want hexadecimal digits, two for each byte", s)}
	}
	return id, nil
}

// writeFile writes what a command gives to a file, and says so; to standard
// output if there is no file. Bytes that are no text are kept from a terminal.
func (a *app) writeFile(path string, data []byte, mode os.FileMode, text bool) error {
	if path == "" || path == "-" {
		if a.OutTerminal && !text {
			return &usageError{fmt.Errorf("%d bytes that are no text would go to the terminal: give a file with -o, or -o - | less", len(data))}
		}
		_, err := a.Out.Write(data)
		return err
	}
	if err := os.WriteFile(path, data, mode); err != nil {
		return &fileError{err}
	}
	a.say("done.file", "file", path, "n", len(data))
	return nil
}

// labelOr gives what to call something whose label may be empty: its id, as
// bytes or hexadecimal digits.
func labelOr[T []byte | string](label string, id T) string {
	if strings.TrimSpace(label) != "" || len(id) == 0 {
		return words.Clean(label)
	}
	if digits, ok := any(id).(string); ok {
		return digits
	}
	return fmt.Sprintf("%X", id)
}

package cli

import (
	"io"
	"strings"
	"unicode/utf8"

	"kaztoken/internal/describe"
	"kaztoken/internal/words"
)

// sheet is a description: a name and a value on each line, in two columns.
// Values may come from a token, so they are cleaned.
type sheet struct{ rows [][2]string }

// line adds a name and a value; further values stand below it. Without any
// there is no line.
func (s *sheet) line(name string, values ...string) {
	if name != "" {
		name += ":"
	}
	for _, v := range values {
		s.rows = append(s.rows, [2]string{name, words.Clean(v)})
		name = ""
	}
}

func (s *sheet) print(w io.Writer) error {
	width := 0
	for _, r := range s.rows {
		width = max(width, utf8.RuneCountInString(r[0]))
	}
	var b strings.Builder
	for _, r := range s.rows {
		b.WriteString(pad(r[0], width) + "  " + r[1])
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printSheet prints a description as it is put into words for panel and commands.
func printSheet(w io.Writer, lines describe.Sheet) error {
	var s sheet
	for _, l := range lines {
		s.line(l.Label, l.Values...)
	}
	return s.print(w)
}

// table is a list with a head. All cells are cleaned.
type table struct{ rows [][]string }

func (t *table) row(cells ...string) {
	clean := make([]string, len(cells))
	for i, c := range cells {
		clean[i] = words.Clean(c)
	}
	t.rows = append(t.rows, clean)
}

func (t *table) print(w io.Writer) error {
	var widths []int
	for _, r := range t.rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var b strings.Builder
	for _, r := range t.rows {
		var line strings.Builder
		for i, c := range r {
			line.WriteString(pad(c, widths[i]) + "  ")
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// pad fills up with spaces to a number of characters.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

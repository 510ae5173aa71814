package words

import (
	"regexp"
	"strings"
	"sync"
)

// helpEntry is a text of the command line's help: the English one, which is
// written beside the command that it describes and found by itself, and those
// that take its place.
//
// A paragraph of prose is one line here, wherever its lines end in the command; one
// with indented lines is as it is printed. A text that ends in {} stands for
// all that go on with a list of names, which stays.
type helpEntry struct{ en, kk, ru string }

// helpIndex finds the entries of the help.
type helpIndex struct {
	texts map[string]helpEntry // every entry by its English text
	lists []helpEntry          // those that end in {}
}

// helpIndexed is made when a text is asked for in another language than English.
var helpIndexed = sync.OnceValue(func() helpIndex {
	x := helpIndex{texts: make(map[string]helpEntry)}
	for _, table := range helpTables {
		for _, e := range table {
			if _, twice := x.texts[e.en]; twice {
				panic("words: two entries of help: " + e.en)
			}
			x.texts[e.en] = e
			if strings.HasSuffix(e.en, "{}") {
				x.lists = append(x.lists, e)
			}
		}
	}
	return x
})

// nameList is what {} stands for: what the program takes literally.
var nameList = regexp.MustCompile(`^[\w-]+(, [\w-]+)*\.?$`)

// Help gives a text of the help in the language of w: the one line of a command,
// one paragraph of what it does, or the usage of a flag. A paragraph of prose
// comes on one line, for the caller to wrap; a text that is not known, or is
// wanted in English, as it was given.
func (w Words) Help(english string) string {
	if w.Language() == English {
		return english
	}
	e, list, ok := helpOf(english)
	if !ok {
		return english
	}
	text := e.ru
	if w.Language() == Kazakh {
		text = e.kk
	}
	return strings.TrimSuffix(text, "{}") + list
}

// HelpEntry is the English text of the entry that [Words.Help] takes for a text;
// ok is false if there is none.
func HelpEntry(english string) (entry string, ok bool) {
	e, _, ok := helpOf(english)
	return e.en, ok
}

// HelpEntries are the English texts of all entries, in no order.
func HelpEntries() []string {
	var all []string
	for en := range helpIndexed().texts {
		all = append(all, en)
	}
	return all
}

// Literal reports whether a paragraph of the help is for the machine, such as a
// command to type, and the same in every language.
func Literal(paragraph string) bool {
	for line := range strings.Lines(paragraph) {
		if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "\t") && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// helpOf finds the entry of a text, and the names that stand for its {}.
func helpOf(english string) (e helpEntry, list string, ok bool) {
	english = unwrap(english)
	all := helpIndexed()
	if e, ok = all.texts[english]; ok {
		return e, "", true
	}
	for _, e := range all.lists {
		if rest, ok := strings.CutPrefix(english, strings.TrimSuffix(e.en, "{}")); ok && nameList.MatchString(rest) {
			return e, rest, true
		}
	}
	return helpEntry{}, "", false
}

// unwrap joins the lines of a paragraph, unless it has some that are indented.
func unwrap(paragraph string) string {
	paragraph = strings.TrimRight(paragraph, " \n")
	if strings.Contains(paragraph, "\n ") || strings.Contains(paragraph, "\n\t") {
		return paragraph
	}
	return strings.Join(strings.Fields(paragraph), " ")
}

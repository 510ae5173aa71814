// Package words holds what the program says to a person, in Kazakh, Russian and
// English: one catalogue for the commands and the panel. Logs and JSON are in
// English and do not come from here.
//
// A text is found by its [Key] and filled with named values:
//
//	words.For(words.Russian).Text("pin.left", "n", 3) // "Осталось 3 попытки"
//
// In a text, {n} is the value named n. {n|попытка|попытки|попыток} is the form
// that belongs to the number n: one, few, many in Russian; one and other in
// English; Kazakh nouns stay the same after a number. {role?user:…|admin:…} is
// the choice that the value of role names.
//
// A text begins in lower case if it stands behind a prefix such as "kaztoken: "
// and ends without a full stop.
package words

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Language is one of the three languages, by its ISO 639-1 code.
type Language string

// The languages.
const (
	Kazakh  Language = "kk"
	Russian Language = "ru"
	English Language = "en"
)

// Languages lists them all, in the order of the texts of an entry.
func Languages() []Language { return []Language{Kazakh, Russian, English} }

// Named gives the language of a code.
func Named(code string) (l Language, ok bool) {
	l = Language(code)
	return l, slices.Contains(Languages(), l)
}

// Preferred is the language that the environment asks for: the first of
// LC_ALL, LC_MESSAGES and LANG that is set decides (POSIX.1-2017 §8.2), and
// what is not Kazakh or Russian is English.
func Preferred(getenv func(string) string) Language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		locale := getenv(name)
		if locale == "" {
			continue
		}
		code, _, _ := strings.Cut(locale, ".")
		code, _, _ = strings.Cut(code, "_")
		if l, ok := Named(strings.ToLower(code)); ok {
			return l
		}
		break
	}
	return English
}

// Key names a text.
type Key string

// entry is one text in every language.
type entry struct {
	key        Key
	kk, ru, en string
}

func (e entry) text(l Language) string {
	switch l {
	case Kazakh:
		return e.kk
	case Russian:
		return e.ru
	}
	return e.en
}

// catalogue is every entry by its key, made when a text is asked for first: a
// service that says nothing keeps none of it in memory. It is not changed after
// it is made.
var catalogue = sync.OnceValue(func() map[Key]entry {
	all := make(map[Key]entry)
	for _, table := range slices.Concat(tables, extraTables) {
		for _, e := range table {
			if _, twice := all[e.key]; twice {
				panic("words: two entries " + string(e.key))
			}
			all[e.key] = e
		}
	}
	return all
})

// Keys lists the keys, sorted.
func Keys() []Key {
	keys := make([]Key, 0, len(catalogue()))
	for k := range catalogue() {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Words are the texts of one language. The zero value is English. They are safe
// for concurrent use.
type Words struct{ language Language }

// For gives the texts of a language; an unknown one is English.
func For(l Language) Words { return Words{l} }

// Language is the language of the texts.
func (w Words) Language() Language {
	if w.language == "" {
		return English
	}
	return w.language
}

// Text fills a text with values, which are given as pairs of a name and a
// value: an integer, a string, or a []string, which becomes one indented line
// each. What came from outside cannot play tricks with the terminal: see
// [Clean].
//
// Text is used to tell people of errors, so it has none of its own: an unknown
// key gives the key, a value that is missing leaves its {name}. The tests of
// this package look for both in the whole program.
func (w Words) Text(k Key, values ...any) string {
	e, ok := catalogue()[k]
	if !ok {
		return string(k)
	}
	var b strings.Builder
	for _, p := range parse(e.text(w.language)) {
		p.fill(&b, w.language, values)
	}
	return b.String()
}

// Date writes a day as the language does.
func (w Words) Date(t time.Time) string {
	if w.Language() == English {
		return t.Format("2006-01-02")
	}
	return t.Format("02.01.2006")
}

// DateTime writes a day and a time of it, with the name of the time zone.
func (w Words) DateTime(t time.Time) string { return w.Date(t) + t.Format(" 15:04:05 MST") }

// Clean replaces what does not print, or changes the direction of writing, with
// U+FFFD: names on a token are chosen by whoever wrote them.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// part is a stretch of a text: plain words, or a value.
type part struct {
	plain   string
	name    string   // of the value; "" for plain words
	forms   []string // by number
	choices []choice // by value
}

type choice struct{ value, text string }

// parse splits a text. A brace that is not closed is plain.
func parse(text string) []part {
	var parts []part
	for text != "" {
		open := strings.IndexByte(text, '{')
		end := strings.IndexByte(text[max(open, 0):], '}')
		if open < 0 || end < 0 {
			return append(parts, part{plain: text})
		}
		if open > 0 {
			parts = append(parts, part{plain: text[:open]})
		}
		parts = append(parts, parseValue(text[open+1:open+end]))
		text = text[open+end+1:]
	}
	return parts
}

// parseValue reads what stands between the braces.
func parseValue(s string) part {
	if name, rest, ok := strings.Cut(s, "?"); ok {
		p := part{name: name}
		for c := range strings.SplitSeq(rest, "|") {
			value, text, _ := strings.Cut(c, ":")
			p.choices = append(p.choices, choice{value, text})
		}
		return p
	}
	name, rest, ok := strings.Cut(s, "|")
	if !ok {
		return part{name: name}
	}
	return part{name: name, forms: strings.Split(rest, "|")}
}

func (p part) fill(b *strings.Builder, l Language, values []any) {
	if p.name == "" {
		b.WriteString(p.plain)
		return
	}
	v, ok := value(p.name, values)
	switch {
	case !ok:
		b.WriteString("{" + p.name + "}")
	case p.forms != nil:
		n, _ := strconv.Atoi(v)
		b.WriteString(p.forms[min(form(l, n), len(p.forms)-1)])
	case p.choices != nil:
		for _, c := range p.choices {
			if c.value == v {
				b.WriteString(c.text)
				return
			}
		}
		b.WriteString(v)
	default:
		b.WriteString(v)
	}
}

// value finds a value by its name and spells it.
func value(name string, values []any) (text string, ok bool) {
	for i := 0; i+1 < len(values); i += 2 {
		if values[i] != name {
			continue
		}
		lines, isList := values[i+1].([]string)
		if !isList {
			return Clean(fmt.Sprint(values[i+1])), true
		}
		var b strings.Builder
		for _, line := range lines {
			b.WriteString("\n  " + Clean(line))
		}
		return b.String(), true
	}
	return "", false
}

// form is the number of the grammatical form that goes with n: in Russian 0 for
// one, 1 for few, 2 for many; else 0 for one and 1 for other (Unicode CLDR,
// plural rules for cardinals of whole numbers).
func form(l Language, n int) int {
	if n < 0 {
		n = -n
	}
	switch {
	case l != Russian && n == 1, l == Russian && n%10 == 1 && n%100 != 11:
		return 0
	case l != Russian, n%10 >= 2 && n%10 <= 4 && (n%100 < 12 || n%100 > 14):
		return 1
	}
	return 2
}

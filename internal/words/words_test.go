package words

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"kaztoken/internal/kzpki"
)

func entries() []entry {
	var all []entry
	for _, table := range slices.Concat(tables, extraTables) {
		all = append(all, table...)
	}
	return all
}

// shape is what must be the same in every language: the names of the values,
// and the choices of each.
func shape(text string) string {
	var names []string
	for _, p := range parse(text) {
		if p.name == "" {
			continue
		}
		name := p.name
		for _, c := range p.choices {
			name += "?" + c.value
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestEveryLanguageSaysTheSame(t *testing.T) {
	if len(Keys()) < 100 {
		t.Fatalf("%d keys", len(Keys()))
	}
	for _, e := range entries() {
		for _, l := range Languages() {
			text := e.text(l)
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s has no %s text", e.key, l)
			}
			if got, want := shape(text), shape(e.en); got != want {
				t.Errorf("%s in %s takes %q, in English %q", e.key, l, got, want)
			}
			if strings.HasSuffix(text, ".") {
				t.Errorf("%s in %s ends with a full stop", e.key, l)
			}
			for _, p := range parse(text) {
				if want := map[Language]int{Kazakh: 0, Russian: 3, English: 2}[l]; p.forms != nil && len(p.forms) != want {
					t.Errorf("%s in %s has %d forms for %s, want %d", e.key, l, len(p.forms), p.name, want)
				}
				if strings.ContainsAny(p.plain, "{}|") {
					t.Errorf("%s in %s has a loose brace or bar in %q", e.key, l, p.plain)
				}
			}
		}
	}
}

// foreign is what may stand in Latin letters in a Kazakh or Russian text.
var foreign = regexp.MustCompile(`--[a-z-]+|kaztoken-pkcs11|kaztoken( [a-z]+)*|openssl pkcs12 -export|chmod 600|` +
	`\b(KAZTOKEN|PIN|RSA|ECDSA|USB|ID|APDU|CLA|FILE|N|UTF-8|SHA-256|RDP|PKCS#15|OpenSC|pcscd|udev|virtual|all|` +
	`CCID|PC/SC|Ctrl-C|Caps Lock|CER|CRT|PEM|P12|PFX|PKCS#11|Linux|macOS|libusb|` +
	`Windows|Microsoft Base Smart Card Crypto Provider)\b`)

// prose is what a text says itself: without values, and every form of it.
func prose(text string) string {
	var b strings.Builder
	for _, p := range parse(text) {
		b.WriteString(p.plain + " " + strings.Join(p.forms, " "))
		for _, c := range p.choices {
			b.WriteString(" " + c.text)
		}
	}
	return b.String()
}

func TestAlphabets(t *testing.T) {
	const kazakhOnly = "әғқңөұүһіӘҒҚҢӨҰҮҺІ"
	for _, e := range entries() {
		for _, l := range []Language{Kazakh, Russian} {
			rest := foreign.ReplaceAllString(prose(e.text(l)), "")
			if i := strings.IndexFunc(rest, func(r rune) bool { return unicode.Is(unicode.Latin, r) }); i >= 0 {
				t.Errorf("%s in %s has Latin letters: %q", e.key, l, rest[i:])
			}
			// One letter of another alphabet within a word looks right and is not.
			for w := range strings.FieldsFuncSeq(e.text(l), func(r rune) bool { return !unicode.IsLetter(r) }) {
				latin := strings.IndexFunc(w, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) >= 0
				if latin && strings.IndexFunc(w, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }) >= 0 {
					t.Errorf("%s in %s mixes alphabets in %q", e.key, l, w)
				}
			}
		}
		if strings.ContainsAny(e.ru, kazakhOnly) {
			t.Errorf("%s: Kazakh letters in the Russian text", e.key)
		}
		if i := strings.IndexFunc(e.en, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }); i >= 0 {
			t.Errorf("%s: Cyrillic letters in the English text", e.key)
		}
		if strings.Contains(e.kk, "PIN") || strings.Contains(e.ru, "ПИН") {
			t.Errorf("%s: it is ПИН код in Kazakh and PIN-код in Russian", e.key)
		}
	}
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		language Language
		key      Key
		values   []any
		want     string
	}{
		{Russian, "pin.left", []any{"n", 1}, "осталась 1 попытка"},
		{Russian, "pin.left", []any{"n", 2}, "остались 2 попытки"},
		{Russian, "pin.left", []any{"n", 5}, "осталось 5 попыток"},
		{Russian, "pin.left", []any{"n", 0}, "осталось 0 попыток"},
		{Russian, "pin.left", []any{"n", 11}, "осталось 11 попыток"},
		{Russian, "pin.left", []any{"n", 21}, "осталась 21 попытка"},
		{Russian, "pin.left", []any{"n", 112}, "осталось 112 попыток"},
		{Russian, "pin.left", []any{"n", 122}, "остались 122 попытки"},
		{English, "pin.left", []any{"n", 1}, "1 try left"},
		{English, "pin.left", []any{"n", 0}, "0 tries left"},
		{English, "pin.left", []any{"n", 11}, "11 tries left"},
		{Kazakh, "pin.left", []any{"n", 3}, "3 әрекет қалды"},
		{"", "pin.left", []any{"n", 3}, "3 tries left"},
		{Russian, "done.change", []any{"role", "admin"}, "PIN-код Администратора изменён"},
		{Kazakh, "done.change", []any{"role", "user"}, "Пайдаланушының ПИН коды өзгертілді"},
		// A value is not a text: what looks like a place for a value stays.
		{English, "done.rename", []any{"name", "{n|a|b}"}, "The token is now called {n|a|b}"},
		{English, "done.rename", []any{"name", "a\x1b[2J\nb\u202e"}, "The token is now called a\ufffd[2J\ufffdb\ufffd"},
		{English, "hint.there", []any{"list", []string{"a", "b\tc"}}, "there is:\n  a\n  b\ufffdc"},
		{English, "hint.there", []any{"list", []string(nil)}, "there is:"},
		// Mistakes of the program are seen and do not stop it.
		{English, "no.such.key", nil, "no.such.key"},
		{English, "done.rename", nil, "The token is now called {name}"},
		{English, "done.rename", []any{"name"}, "The token is now called {name}"},
		{English, "done.change", []any{"role", "nobody"}, "The nobody PIN has been changed"},
	} {
		if got := For(c.language).Text(c.key, c.values...); got != c.want {
			t.Errorf("%s %s %v: got %q, want %q", c.language, c.key, c.values, got, c.want)
		}
	}
}

func TestPreferred(t *testing.T) {
	for _, c := range []struct {
		all, messages, lang string
		want                Language
	}{
		{"", "", "", English},
		{"", "", "kk_KZ.UTF-8", Kazakh},
		{"", "", "ru_RU", Russian},
		{"", "", "ru", Russian},
		{"", "", "RU_ru.KOI8-R", Russian},
		{"", "ru_RU.UTF-8", "kk_KZ.UTF-8", Russian},
		{"kk_KZ.UTF-8", "ru_RU.UTF-8", "ru_RU.UTF-8", Kazakh},
		{"C", "", "ru_RU.UTF-8", English},
		{"C.UTF-8", "", "kk_KZ", English},
		{"", "", "rus", English},
		{"", "", "de_DE.UTF-8", English},
	} {
		env := map[string]string{"LC_ALL": c.all, "LC_MESSAGES": c.messages, "LANG": c.lang}
		if got := Preferred(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%v: got %s, want %s", env, got, c.want)
		}
	}
}

func TestNamed(t *testing.T) {
	for code, want := range map[string]bool{"kk": true, "ru": true, "en": true, "": false, "kz": false, "RU": false} {
		if _, ok := Named(code); ok != want {
			t.Errorf("Named(%q): %v", code, ok)
		}
	}
}

func TestDates(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	for l, want := range map[Language]string{
		Kazakh: "04.03.2026 05:06:07 UTC", Russian: "04.03.2026 05:06:07 UTC", English: "2026-03-04 05:06:07 UTC",
	} {
		if got := For(l).DateTime(at); got != want || !strings.HasPrefix(want, For(l).Date(at)) {
			t.Errorf("%s: %q and %q, want %q", l, got, For(l).Date(at), want)
		}
	}
}

func TestParseKeepsEveryByte(t *testing.T) {
	for _, text := range []string{"", "a", "{", "}", "a{b", "a}b", "{a}", "{a}{b}", "x {n|a|b} y {r?p:q|s:t} z", "{}", "{{a}}"} {
		var b strings.Builder
		for _, p := range parse(text) {
			switch {
			case p.forms != nil:
				fmt.Fprintf(&b, "{%s|%s}", p.name, strings.Join(p.forms, "|"))
			case p.choices != nil:
				var all []string
				for _, c := range p.choices {
					all = append(all, c.value+":"+c.text)
				}
				fmt.Fprintf(&b, "{%s?%s}", p.name, strings.Join(all, "|"))
			case p.name != "":
				fmt.Fprintf(&b, "{%s}", p.name)
			case p.plain != "":
				b.WriteString(p.plain)
			default:
				b.WriteString("{}")
			}
		}
		if b.String() != text {
			t.Errorf("%q comes back as %q", text, b.String())
		}
	}
}

// TestCertificateKeys: every value that package kzpki gives has its words.
func TestCertificateKeys(t *testing.T) {
	for _, k := range kzpki.Keys() {
		if _, ok := catalogue()[Key(k)]; !ok {
			t.Errorf("no words for %s", k)
		}
	}
}

func TestKeysAreSorted(t *testing.T) {
	if keys := Keys(); !slices.IsSorted(keys) || len(keys) != len(entries()) {
		t.Errorf("%d keys of %d entries", len(keys), len(entries()))
	}
}

package words

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func helpEntries() []helpEntry { return slices.Concat(helpTables...) }

// fixed is what stands in a text of help in Latin letters whatever the language.
var fixed = regexp.MustCompile("`[A-Z:]+`" + `|\$?--?[a-z][a-z-]*(=[a-z]+)?|"?\$\{.*\}\S*|[~./][\w./-]*\w|kaztoken( [a-z-]+)*( NAME)?|\b(EF\(DIR\)|PKCS #10|pcsc-lite 2.5|` +
	`CN=(Имя|Аты),O=(Компания),C=KZ|SHA-256|RSA[A-Z]*-?[A-Z]*[\w-]*|[A-Z][A-Z0-9_/+-]+(\.[0-9])?|PORT\+1|[CELO]|serialNumber|title|Base64|` +
	`VERIFY, CHANGE REFERENCE DATA|RESET RETRY COUNTER|61xx|32D18A58|[a-f0-9]{8}|kaztoken|Rutoken|OpenSC|Java|Linux|Debian|pcscd|vpcd|vsmartcard(-vpcd)?|vhci-hcd|` +
	`libpcsclite|p11-kit|systemd|logind|root|udev|uaccess|virtual|reset|apdu|null|false|bash(-completion)?|zsh|fish|powershell|` +
	`unix:PATH|kk|ru|en|user|admin|both|pem|der|raw|hex|sha(1|256|384|512)|base64|service|usb|Wireshark|tcpdump|usbmon|bSeq|T=1|serve|Firefox|Thunderbird|Chromium|snap|Flatpak|readers|groups|users|legacy_slots|(cert|key|pin|object) (list|show|status)|list|status)\b`)

// ordinary are English words that a person wrote; the rest of a paragraph on
// JSON is names of keys.
var ordinary = regexp.MustCompile(`(?i)\b(the|of|an?|is|are|with|and|or|if|in|on|to|for|as|has|have|it|its|who|that|by|prints|each|one|per)\b`)

func TestHelpAlphabets(t *testing.T) {
	for _, e := range helpEntries() {
		for l, text := range map[Language]string{Kazakh: e.kk, Russian: e.ru} {
			json := strings.HasPrefix(e.en, "--json ")
			rest := fixed.ReplaceAllString(text, "")
			if json {
				for _, word := range regexp.MustCompile(`[A-Za-z_]+`).FindAllString(rest, -1) {
					if ordinary.MatchString(word) || !strings.Contains(e.en, word) {
						t.Errorf("%q in %s has the English word %q", e.en, l, word)
					}
				}
			} else if i := strings.IndexFunc(rest, func(r rune) bool { return unicode.Is(unicode.Latin, r) }); i >= 0 {
				t.Errorf("%q in %s has Latin letters: %q", e.en, l, rest[i:])
			}
			for w := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
				latin := strings.IndexFunc(w, func(r rune) bool { return unicode.Is(unicode.Latin, r) }) >= 0
				if latin && strings.IndexFunc(w, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }) >= 0 {
					t.Errorf("%q in %s mixes alphabets in %q", e.en, l, w)
				}
			}
		}
		if strings.ContainsAny(e.ru, "әғқңөұүһіӘҒҚҢӨҰҮҺІ") {
			t.Errorf("%q: Kazakh letters in the Russian text", e.en)
		}
		if i := strings.IndexFunc(e.en, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }); i >= 0 {
			t.Errorf("%q: Cyrillic letters in the English text", e.en)
		}
		if strings.Contains(fixed.ReplaceAllString(e.kk, ""), "PIN") || strings.Contains(e.ru, "ПИН") {
			t.Errorf("%q: it is ПИН код in Kazakh and PIN-код in Russian", e.en)
		}
	}
}

// TestHelpSaysTheSame: what the program takes literally, numbers and the list at
// the end are in every language.
func TestHelpSaysTheSame(t *testing.T) {
	if n := len(helpEntries()); n < 200 {
		t.Fatalf("%d entries", n)
	}
	literal := regexp.MustCompile("`[A-Z:]+`" + `|--[a-z][a-z-]*|\b[A-Z]+\.[0-9]\b|\b[a-z0-9]+_[a-z_]+\b|\b[0-9A-F]{4,}\b|\{\}`)
	of := func(s string) []string {
		all := literal.FindAllString(s, -1)
		slices.Sort(all)
		return slices.Compact(all)
	}
	for _, e := range helpEntries() {
		for l, text := range map[Language]string{Kazakh: e.kk, Russian: e.ru} {
			if strings.TrimSpace(text) == "" || text != strings.TrimSpace(text) {
				t.Errorf("%q in %s is %q", e.en, l, text)
			}
			if got, want := of(text), of(e.en); !slices.Equal(got, want) {
				t.Errorf("%q in %s has %q, want %q", e.en, l, got, want)
			}
			if strings.HasSuffix(e.en, ".") != strings.HasSuffix(text, ".") {
				t.Errorf("%q in %s ends otherwise", e.en, l)
			}
			if strings.HasSuffix(e.en, "{}") != strings.HasSuffix(text, "{}") {
				t.Errorf("%q in %s has its list elsewhere", e.en, l)
			}
			for line := range strings.Lines(text) {
				if n := len([]rune(strings.TrimRight(line, "\n"))); strings.Contains(text, "\n") && n > 90 {
					t.Errorf("%q in %s has a line of %d columns", e.en, l, n)
				}
			}
		}
		if strings.Contains(e.en, "\n") && unwrap(e.en) != e.en {
			t.Errorf("%q has lines that no paragraph of prose has here", e.en)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, c := range []struct {
		language      Language
		english, want string
	}{
		{Russian, "Change a PIN", "Изменить PIN-код"},
		{Kazakh, "Change a PIN", "ПИН кодты өзгерту"},
		{English, "Change a PIN", "Change a PIN"},
		{"", "Change a PIN", "Change a PIN"},
		{Russian, "nobody wrote this", "nobody wrote this"},
		{Russian, "", ""},
		// A paragraph of prose, wherever its lines end.
		{Russian, "Print the version and\nwhat this\nbuild can do.\n", "Вывести версию и возможности этой сборки."},
		{English, "Print the version and\nwhat this\nbuild can do.\n", "Print the version and\nwhat this\nbuild can do.\n"},
		// Lists of names.
		{Russian, "help for udev-rules", "справка по udev-rules"},
		{Kazakh, "road to the token: a, b-c", "токенге баратын жол: a, b-c"},
		{Russian, "road to the token: by land", "road to the token: by land"},
		{Russian, "road to the token: ", "road to the token: "},
		{Russian, "how to talk to USB: this build has no driver for this system", "как работать с USB: в этой сборке нет драйвера для этой системы"},
		{Russian, "Profiles: a, b.", "Профили: a, b."},
	} {
		if got := For(c.language).Help(c.english); got != c.want {
			t.Errorf("%s %q: got %q, want %q", c.language, c.english, got, c.want)
		}
	}
	if got, ok := HelpEntry("help for x"); got != "help for {}" || !ok {
		t.Errorf("entry %q, %v", got, ok)
	}
	if got, ok := HelpEntry("nobody wrote this"); got != "" || ok {
		t.Errorf("entry %q, %v", got, ok)
	}
	if n := len(HelpEntries()); n != len(helpEntries()) {
		t.Errorf("%d entries of %d", n, len(helpEntries()))
	}
}

func TestLiteral(t *testing.T) {
	for p, want := range map[string]bool{
		"\tkaztoken list": true, "#### Linux:": true, "\ta\n\tb\n": true, "To load:\n\ta": false, "words": false, "  words": false,
	} {
		if got := Literal(p); got != want {
			t.Errorf("%q: %v", p, got)
		}
	}
}

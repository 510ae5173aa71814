package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/words"
)

// requests are those of man(7) that pages use.
var requests = []string{".TH", ".SH", ".SS", ".PP", ".TP", ".nf", ".fi", `.\"`}

var (
	bareHyphen = regexp.MustCompile(`(^|[^\\])-`)
	referred   = regexp.MustCompile(`\\fB(kaztoken[^ \n]*?)\\fR\(1\)`)
)

func TestPages(t *testing.T) {
	var english []string
	for _, l := range []words.Language{words.English, words.Russian, words.Kazakh} {
		w := words.For(l)
		pages := book{words: w, version: "v1.2.3"}.pages()
		var names []string
		for name, page := range pages {
			names = append(names, name)
			if !utf8.ValidString(page) {
				t.Errorf("%s in %s is not UTF-8", name, l)
			}
			var sections []string
			for line := range strings.Lines(page) {
				line = strings.TrimSuffix(line, "\n")
				if s, ok := strings.CutPrefix(line, ".SH "); ok {
					sections = append(sections, strings.Trim(s, `"`))
				}
				request, _, _ := strings.Cut(line, " ")
				if strings.HasPrefix(line, ".") && !slices.Contains(requests, request) || strings.HasPrefix(line, "'") || line == "" {
					t.Errorf("%s in %s has the line %q", name, l, line)
				}
				if !strings.HasPrefix(line, ".") && (bareHyphen.MatchString(line) || strings.ContainsAny(line, "'`^~")) {
					t.Errorf("%s in %s: a character that groff replaces in %q", name, l, line)
				}
			}
			want := []string{"man.name", "man.synopsis", "man.description", "man.options", "man.examples", "man.also"}
			if name == "kaztoken" {
				want = []string{"man.name", "man.synopsis", "man.description", "man.commands", "man.options", "man.exit", "man.environment", "man.files", "man.examples", "man.also"}
			} else if slices.Contains(sections, w.Text("man.commands")) {
				want = slices.Insert(want, 3, "man.commands")
			}
			for i, key := range want {
				want[i] = w.Text(words.Key(key))
			}
			if diff := cmp.Diff(want, sections); diff != "" {
				t.Errorf("%s in %s, sections (-want +got):\n%s", name, l, diff)
			}
			for _, m := range referred.FindAllStringSubmatch(page, -1) {
				if _, ok := pages[strings.ReplaceAll(m[1], `\-`, "-")]; !ok {
					t.Errorf("%s in %s refers to %s, which is not there", name, l, m[1])
				}
			}
			if cyrillic := strings.IndexFunc(page, func(r rune) bool { return unicode.Is(unicode.Cyrillic, r) }) >= 0; cyrillic != (l != words.English) {
				t.Errorf("%s in %s: Cyrillic letters: %v", name, l, cyrillic)
			}
			head := `.TH "` + strings.ReplaceAll(strings.ToUpper(name), "-", `\-`) + `" 1 "" "kaztoken v1.2.3" `
			if !strings.Contains(page, "\n"+head) {
				t.Errorf("%s in %s lacks %s", name, l, head)
			}
		}
		slices.Sort(names)
		if l == words.English {
			english = names
		} else if diff := cmp.Diff(english, names); diff != "" {
			t.Errorf("pages in %s (-English +%s):\n%s", l, l, diff)
		}
	}
	for _, name := range []string{"kaztoken", "kaztoken-list", "kaztoken-pin", "kaztoken-pin-change", "kaztoken-cert-export", "kaztoken-completion-bash"} {
		if !slices.Contains(english, name) {
			t.Errorf("no page %s", name)
		}
	}
}

func TestPage(t *testing.T) {
	page := book{words: words.For(words.Russian), version: "v1", date: "2024-05-06"}.pages()["kaztoken-cert-export"]
	for _, part := range []string{
		`.TH "KAZTOKEN\-CERT\-EXPORT" 1 "2024-05-06" "kaztoken v1" "Руководство KAZTOKEN"`,
		".SH \"ИМЯ\"\nkaztoken\\-cert\\-export \\- Записать сертификат в файл\n",
		".SH \"ОБЗОР\"\n\\fBkaztoken cert export\\fR CERTIFICATE [параметры]\n",
		".TP\n\\fB\\-o\\fR, \\fB\\-\\-out\\fR \\fIFILE\\fR\nфайл FILE, в который писать вместо стандартного вывода\n",
		".TP\n\\fB\\-\\-format\\fR \\fIслово\\fR\npem или der (по умолчанию \"pem\")\n",
		".nf\nkaztoken cert export 1\n",
		"\\fBkaztoken\\fR(1),\n\\fBkaztoken\\-cert\\fR(1)\n",
	} {
		if !strings.Contains(page, part) {
			t.Errorf("the page lacks %q:\n%s", part, page)
		}
	}
	first := book{}.pages()["kaztoken"]
	for _, part := range []string{
		".TP\n\\fB4\\fR\nPIN wrong or blocked, or its last try was not to be used\n",
		".TP\n\\fBXDG_CONFIG_HOME\\fR\nfolder of settings; \\(ti/.config by default\n",
	} {
		if !strings.Contains(first, part) {
			t.Errorf("the first page lacks %q", part)
		}
	}
	if strings.Contains(first, "Exit codes:") {
		t.Error("the exit codes are described twice")
	}
}

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"":                 "",
		".profile":         `\&.profile`,
		"'quoted'":         `\(aqquoted\(aq`,
		"a\\b":             `a\eb`,
		"--json":           `\-\-json`,
		"a.b":              "a.b",
		"~/x ^ `":          `\(ti/x \(ha \(ga`,
		"ПИН код — жаңа":   "ПИН код — жаңа",
		`"quoted" \ twice`: `"quoted" \e twice`,
	} {
		if got := escape(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got, want := argument(`say "a-b"`), `"say \(dqa\-b\(dq"`; got != want {
		t.Errorf("argument %s, want %s", got, want)
	}
}

func TestWriteIsReproducible(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for _, dir := range []string{first, second} {
		if err := write(dir, "v1", ""); err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	err := filepath.WalkDir(first, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		count++
		name, _ := filepath.Rel(first, path)
		a, _ := os.ReadFile(path)
		b, err := os.ReadFile(filepath.Join(second, name))
		if err != nil || string(a) != string(b) || len(a) == 0 {
			t.Errorf("%s differs: %v", name, err)
		}
		return nil
	})
	if err != nil || count < 100 {
		t.Errorf("%d files, %v", count, err)
	}
	for _, name := range []string{"man/man1/kaztoken.1", "man/kk/man1/kaztoken-pin.1", "man/ru/man1/kaztoken-pin.1", "completions/kaztoken.bash", "completions/_kaztoken", "completions/kaztoken.fish"} {
		if _, err := os.Stat(filepath.Join(first, name)); err != nil {
			t.Error(err)
		}
	}
	if err := write(t.TempDir(), "", "yesterday"); err == nil {
		t.Error("a date that is none passes")
	}
}

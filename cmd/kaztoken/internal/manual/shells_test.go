//go:build soak && linux

package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// shellCases are lines at whose end Tab is pressed, and what is offered there:
// every word that comes with a description, or the one word without.
var shellCases = []struct {
	line string
	lang string   // of KAZTOKEN_LANG
	want []string // word, or word and the beginning of its description, with a tab between
	only bool     // and nothing else
}{
	{line: "kaztoken pin ", want: []string{"change\tChange", "status\t", "unblock\t", "verify\t"}, only: true},
	{line: "kaztoken pin ", lang: "ru", want: []string{"change\tИзменить PIN-код"}},
	{line: "kaztoken --lang ", want: []string{"en", "kk", "ru"}, only: true},
	{line: "kaztoken cert export --", want: []string{"--format\t", "--out\t", "--token\t", "--lang\tLANGUAGE of"}},
	{line: "kaztoken cert import iden", want: []string{"identity.p12"}, only: true},
	{line: "kaztoken nothing-", only: true},
}

// checkOffers compares what a shell offers, in lines of a word, a tab and its
// description, to a case.
func checkOffers(t *testing.T, line string, got, want []string, only bool) {
	t.Helper()
	for _, w := range want {
		if !slices.ContainsFunc(got, func(g string) bool {
			word, description, _ := strings.Cut(g, "\t")
			wantWord, begins, _ := strings.Cut(w, "\t")
			return word == wantWord && strings.HasPrefix(description, begins)
		}) {
			t.Errorf("%q: %q lacks %q", line, got, w)
		}
	}
	if only && len(got) != len(want) {
		t.Errorf("%q: %q, want only %q", line, got, want)
	}
	for _, g := range got {
		if strings.Contains(g, "`") {
			t.Errorf("%q: %q marks the name of a value as the sources do", line, g)
		}
	}
}

func TestFishCompletion(t *testing.T) {
	dir, env := desk(t)
	for _, c := range shellCases {
		cmd := exec.CommandContext(t.Context(), "fish", "--no-config", "--command", `source completions/kaztoken.fish; complete --do-complete "$LINE"`)
		cmd.Dir, cmd.Env = dir, append(env, "LINE="+c.line, "KAZTOKEN_LANG="+c.lang)
		var errs strings.Builder
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil || errs.Len() > 0 {
			t.Fatalf("%s: %v\n%s", c.line, err, errs.String())
		}
		checkOffers(t, c.line, slices.Collect(nonEmpty(string(out))), c.want, c.only)
	}
}

// zshSession is a person at a zsh, which has found the script by its fpath as an
// installed one is found: the line is typed, the choices are listed by Control-D, and then
// Tab is pressed. Two widgets say when each is done, and what stands in the line.
const zshSession = `
zmodload zsh/zpty
zpty -b person zsh -f -i
zpty -w person "PROMPT= PS2= RPROMPT=; setopt no_beep no_always_last_prompt; COLUMNS=200 LINES=200 LISTMAX=0
fpath=($PWD/completions \$fpath); autoload -Uz compinit; compinit -u -d $PWD/dump
zstyle ':completion:*' list-separator '#'
listed() { print -n '[LISTED]' }; zle -N listed; bindkey '^Xl' listed
line() { print -rn -- \"[LINE:\$BUFFER]\" }; zle -N line; bindkey '^Xb' line
print -r -- '[''READY]'"
zpty -r person said '*\[READY\]*'
zpty -w -n person "$LINE"$'\C-d\C-xl'
zpty -r person said '*\[LISTED\]*'
print -rn -- "$said"
zpty -w -n person $'\t\C-xb'
zpty -r person said '*\[LINE:*\]*'
print -rn -- "$said"
zpty -d person
`

func TestZshCompletion(t *testing.T) {
	dir, env := desk(t)
	for _, c := range shellCases {
		cmd := exec.CommandContext(t.Context(), "zsh", "-f", "-c", zshSession)
		cmd.Dir, cmd.Env = dir, append(env, "LINE="+c.line, "KAZTOKEN_LANG="+c.lang)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.line, err, out)
		}
		said, line, ok := strings.Cut(string(out), "[LINE:")
		_, choices, begun := strings.Cut(said, c.line)
		choices, _, listed := strings.Cut(choices, "[LISTED]")
		if !ok || !begun || !listed {
			t.Fatalf("%s: %q", c.line, out)
		}
		var got []string
		for choice := range nonEmpty(choices) {
			if strings.HasPrefix(c.line, strings.TrimSpace(choice)) {
				continue // the line again, below the choices
			}
			if word, description, ok := strings.Cut(choice, "#"); ok {
				got = append(got, strings.TrimSpace(word)+"\t"+strings.TrimSpace(description))
			} else { // several in a line
				got = append(got, strings.Fields(choice)...)
			}
		}
		checkOffers(t, c.line, got, c.want, c.only)
		// One that is the only one stands in the line, and a space behind it.
		if _, is := strings.CutPrefix(c.line, "kaztoken cert import iden"); is && !strings.HasPrefix(line, "kaztoken cert import identity.p12 ]") {
			t.Errorf("%q becomes %q", c.line, line)
		}
	}
}

// nonEmpty are the lines of a text that hold something.
func nonEmpty(text string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for line := range strings.SplitSeq(text, "\n") {
			if line = strings.TrimRight(line, "\r"); line != "" && !yield(line) {
				return
			}
		}
	}
}

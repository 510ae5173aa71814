package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kaztoken/cmd/kaztoken/internal/cli"
)

// TestMain lets this program be kaztoken, for the scripts that call it.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "kaztoken" {
		os.Exit(cli.Main(context.Background(), cli.System("test"), os.Args[1:]))
	}
	os.Exit(m.Run())
}

// complete is what a person at a bash gets who presses Tab once: it loads the
// script as bash does, sets what bash sets (bash(1), Programmable Completion)
// and calls the function that the script has registered. bash-completion, which
// the script needs, is taken from the system or replaced by the one function
// that the script calls.
const complete = `
set -eu
if [ -r /usr/share/bash-completion/bash_completion ]; then
	set +eu; . /usr/share/bash-completion/bash_completion; set -eu
else
	_get_comp_words_by_ref() {
		words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD
		cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}
	}
fi
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMP_TYPE=9; COMP_KEY=9
COLUMNS=200
call=$(complete -p kaztoken); call=${call##*-F }; call=${call%% *}
compopt() { :; } # bash has it only while it completes
set +eu
$call kaztoken "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
`

// desk is a folder with the scripts, a program kaztoken, and one file to name; and an
// environment that finds them, and no settings of whoever runs the test.
func desk(t *testing.T) (dir string, env []string) {
	t.Helper()
	dir = t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := write(dir, "", ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(dir, "kaztoken")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "identity.p12"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	// The race detector sleeps a second at the end of a program.
	return dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "XDG_CACHE_HOME="+home,
		"TERM=dumb", "KAZTOKEN_LANG=", "LC_ALL=C.UTF-8", "GORACE=atexit_sleep_ms=0")
}

func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Fatal(err) // the project's own scripts are bash's, too
	}
	dir, env := desk(t)
	for _, c := range []struct {
		line string // the last word is where Tab is pressed
		lang string
		want []string // each begins one of the answers
		only bool     // and there are no others
	}{
		{"kaztoken pi", "", []string{"pin"}, true},
		{"kaztoken pin ", "", []string{"change ", "status ", "unblock ", "verify "}, true},
		{"kaztoken --lang ", "", []string{"en", "kk", "ru"}, true},
		{"kaztoken cert export --", "", []string{"--format ", "--out ", "--token ", "--lang "}, false},
		{"kaztoken --backend v", "", []string{"virtual"}, true},
		{"kaztoken pin ", "ru_RU.UTF-8", []string{"change  (Изменить PIN-код)"}, false},
		{"kaztoken nothing-", "", nil, true},
	} {
		cmd := exec.Command(bash, append([]string{"--noprofile", "--norc", "-c", complete, "bash", filepath.Join(dir, "completions", "kaztoken.bash")},
			strings.Split(c.line, " ")...)...)
		cmd.Env = env
		if c.lang != "" {
			cmd.Env = append(slices.Clone(env), "LC_ALL="+c.lang)
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", c.line, err)
		}
		var got []string
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSuffix(line, "\n"); line != "" {
				got = append(got, line)
			}
		}
		for _, want := range c.want {
			if !slices.ContainsFunc(got, func(g string) bool {
				return strings.HasPrefix(strings.Join(strings.Fields(g), " ")+" ", strings.Join(strings.Fields(want), " "))
			}) {
				t.Errorf("%q: %q lacks %q", c.line, got, want)
			}
		}
		if c.only && len(got) != len(c.want) {
			t.Errorf("%q: %q, want only %q", c.line, got, c.want)
		}
	}
}

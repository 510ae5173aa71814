package cli

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"kaztoken/internal/words"
)

// TestDemo runs the demonstration in every language.
func TestDemo(t *testing.T) {
	for _, lang := range words.Languages() {
		t.Run(string(lang), func(t *testing.T) {
			before := temporary(t)
			r := run(t, t.Context(), nil, nil, "demo", "--lang", string(lang))
			r.want(t, exitOK)
			w := words.For(lang)
			for _, s := range demoSteps(w) {
				if command := "$ kaztoken " + strings.Join(s.args, " ") + "\n"; !strings.Contains(r.out, command) {
					t.Errorf("no %q", command)
				}
			}
			if n := strings.Count(r.out, w.Text("error.pin.wrong", "role", "user", "n", 0)); n != 1 {
				t.Errorf("the last of ten wrong PINs is told %d times", n)
			}
			if !strings.HasSuffix(r.out, w.Text("demo.end")+"\n") {
				t.Errorf("ends with %q", r.out[max(0, len(r.out)-100):])
			}
			for _, s := range []string{demoUser, demoAdmin, demoPassword} {
				if strings.Contains(r.out, s) {
					t.Errorf("shows %s", s)
				}
			}
			if after := temporary(t); after != before {
				t.Errorf("leaves %q behind", after)
			}
		})
	}
}

// temporary is what demonstrations have left in the folder for temporary files.
func temporary(t *testing.T) string {
	t.Helper()
	if os.Getenv("TMPDIR") == "" {
		t.Setenv("TMPDIR", t.TempDir())
	}
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "kaztoken-demo") {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// TestDemoIsLoud: a result that is not as expected ends it.
func TestDemoIsLoud(t *testing.T) {
	for _, c := range []struct {
		name string
		step demoStep
		want string
	}{
		{"exit code", demoStep{args: []string{"pin", "verify"}, typed: []string{demoWrong}}, "kaztoken pin verify: exit code 4"},
		{"text", demoStep{args: []string{"pin", "status"}, want: []string{"the moon"}}, `kaztoken pin status: the output lacks "the moon"`},
		{"too little typed", demoStep{args: []string{"pin", "verify"}}, "kaztoken pin verify: exit code 1"},
		{"too much typed", demoStep{args: []string{"pin", "status"}, typed: []string{"x"}}, "kaztoken pin status: 1 line that nobody asked for"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			env := System("")
			env.Out, env.Err = &out, &out
			a := &app{Env: env, level: levels[0], words: words.For(words.English)}
			err := a.play(t.Context(), &out, []demoStep{c.step})
			var d *demoError
			if !errors.As(err, &d) || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
			if exitCode(err) != exitFailed {
				t.Errorf("exit code %d", exitCode(err))
			}
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	run(t, ctx, nil, nil, "demo").want(t, exitFailed, "kaztoken: interrupted")
}

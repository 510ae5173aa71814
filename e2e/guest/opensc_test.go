//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kaztoken/ccid/ccidsim"
)

// openscConf makes OpenSC take the token for what it is, whose ATR it does not
// know, and lets the administrator set a user PIN that is blocked.
const openscConf = `app default {
	card_atr 3b:88:01:4b:41:5a:54:4f:4b:45:4e:82 {
		name = "KAZTOKEN";
		driver = "rutoken_ecp";
	}
}
app opensc-pkcs11 {
	pkcs11 { user_pin_unblock_style = init_pin_in_so_session; }
}
`

// A step is one run of a program, and what it has to say.
type step struct {
	run  string // program and arguments, apart by blanks; 'one argument'
	code int    // its exit code

	// prints are pieces of what it prints, standard error last, in this order;
	// never are pieces it must not print.
	prints, never []string
}

// opensc runs steps in a directory of their own.
type opensc struct {
	dir      string
	env      []string
	kaztoken string // where the program of that name lies
}

func newOpenSC(t testing.TB) *opensc {
	t.Helper()
	o := &opensc{dir: t.TempDir()}
	conf := filepath.Join(o.dir, "opensc.conf")
	if err := os.WriteFile(conf, []byte(openscConf), 0o644); err != nil {
		t.Fatal(err)
	}
	o.env = append(os.Environ(), "OPENSC_CONF="+conf, "LC_ALL=C")
	var err error
	if o.kaztoken, err = filepath.Abs("kaztoken"); err != nil {
		t.Fatal(err)
	}
	return o
}

// run runs one step and returns what it printed.
func (o *opensc) run(t testing.TB, s step) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), stockLimit)
	defer cancel()
	words := s.words()
	if words[0] == "kaztoken" {
		words[0] = o.kaztoken
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Dir, cmd.Env = o.dir, o.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out, talk bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &talk
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v", s.run, err)
	}
	said := out.String() + talk.String()
	if problem := s.judge(cmd.ProcessState.ExitCode(), said); problem != "" {
		t.Fatalf("%s: %s; it said:\n%s", s.run, problem, said)
	}
	return said
}

func (o *opensc) runAll(t testing.TB, steps []step) {
	t.Helper()
	for _, s := range steps {
		o.run(t, s)
	}
}

func (s step) words() (words []string) {
	for i, part := range strings.Split(s.run, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// judge tells what is not as it should be.
func (s step) judge(code int, said string) string {
	if code != s.code {
		return fmt.Sprintf("exit code %d, want %d", code, s.code)
	}
	rest := said
	for _, piece := range s.prints {
		_, after, found := strings.Cut(rest, piece)
		if !found {
			return fmt.Sprintf("%q is missing, or not where it should be", piece)
		}
		rest = after
	}
	for _, piece := range s.never {
		if strings.Contains(said, piece) {
			return fmt.Sprintf("%q should not be there", piece)
		}
	}
	return ""
}

// A chapter is a part of a scenario, which a reader can follow by its name.
type chapter struct {
	name  string
	steps []step
}

// A road leads from OpenSC to a token that keeps its state in a file.
type road struct {
	name string
	bits []int // RSA keys to generate; each takes its time where the token is
	// start opens the road until the end of the test. cut takes the token's power
	// away, and gives it back.
	start func(t *testing.T, state string) (cut func())
}

// openscRoads are those to the same token: with nothing of ours but the card, and
// over USB.
var openscRoads = []road{
	{"vpcd", []int{1024, 1536, 2048}, func(t *testing.T, state string) func() {
		startPCSCD(t, vpcdReaders)
		kill := startVirtual(t, state)
		awaitCard(t, vpcdName)
		return func() {
			kill()
			awaitNoCard(t)
			kill = startVirtual(t, state)
			awaitCard(t, vpcdName)
		}
	}},
	{"usb", []int{1024}, func(t *testing.T, state string) func() {
		// The sister's product id is one that the stock driver lists.
		k := newLastingToken(t, ccidsim.RutokenECP, state)
		k.plug(t)
		k.appear(t)
		startPCSCD(t, onlyUSB)
		awaitCard(t, ccidsim.RutokenECP.ProductName)
		return func() {
			k.unplug(t)
			k.vanish(t)
			awaitNoCard(t)
			k.plug(t)
			k.appear(t)
			awaitCard(t, ccidsim.RutokenECP.ProductName)
		}
	}},
}

// awaitCard waits until the stock service has the token in the reader of that
// name.
func awaitCard(t testing.TB, reader string) {
	t.Helper()
	atr, _, err := stock(t, reader, nil, 0)
	if err != nil || fmt.Sprintf("%X", atr) != tokenATR {
		t.Fatalf("card in %s: % X, %v", reader, atr, err)
	}
}

// awaitNoCard waits until the stock service has seen that the token is gone.
func awaitNoCard(t testing.TB) {
	t.Helper()
	await(t, "the stock service to miss the token", func() (struct{}, bool) {
		_, err := openscATR(t)
		return struct{}{}, err != nil
	})
}

// TestOpenSC makes OpenSC, unmodified, do all it can with the software token, as
// if it were the real one.
func TestOpenSC(t *testing.T) {
	oneCPU(t)
	for _, r := range openscRoads {
		t.Run(r.name, func(t *testing.T) {
			o := newOpenSC(t)
			o.provide(t)
			cut := r.start(t, filepath.Join(t.TempDir(), "state"))
			for _, c := range openscStory(r.bits) {
				if c.name == cutBefore {
					cut()
				}
				t.Run(c.name, func(t *testing.T) {
					began := time.Now()
					o.runAll(t, c.steps)
					t.Logf("%d steps in %.1f s", len(c.steps), time.Since(began).Seconds())
				})
				if t.Failed() {
					break // the rest builds upon it
				}
			}
		})
	}
}

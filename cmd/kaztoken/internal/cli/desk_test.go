package cli

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/internal/registration"
	"kaztoken/internal/words"
)

// The PINs of tests that change them, and the password of demo.p12.
const (
	factoryUser  = "12345678"
	factoryAdmin = "87654321"
	newUser      = "Semey-1718"
	newAdmin     = "Taraz-2000"
)

// desk is a software card that the commands of one test find in the reader, one
// after the other, and the person in front of it.
type desk struct {
	t    *testing.T
	card *emu.Card
	dir  string // of the person's files and settings
	lang words.Language

	typed      []string                          // what the person types next
	nobody     bool                              // there is no terminal
	onTerminal bool                              // the streams go to one
	screen     bytes.Buffer                      // what the terminal showed, streams aside
	wrap       func(firmware.Card) firmware.Card // what is between commands and card
}

// newDesk makes a desk with a card in its factory state, unless options say
// another.
func newDesk(t *testing.T, options ...emu.Option) *desk {
	t.Helper()
	return &desk{t: t, card: newCard(t, options...), dir: t.TempDir(), lang: words.English}
}

// newCard makes a card whose random numbers and generated keys are always the
// same.
func newCard(t *testing.T, options ...emu.Option) *emu.Card {
	t.Helper()
	key := generatedKey(t)
	defaults := []emu.Option{
		emu.WithRandom(rand.New(rand.NewSource(1))),
		emu.WithKeySource(func(int) (*rsa.PrivateKey, error) { return key, nil }),
	}
	return emu.New(append(defaults, options...)...)
}

// generatedKey is the key that software cards of tests generate.
func generatedKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	return keyIn(t, "testdata/generated.pem")
}

// keyIn reads a key from a file (RFC 8017, appendix A.1.2, in PEM).
func keyIn(t *testing.T, name string) *rsa.PrivateKey {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// deskTime is when the tests run: testdata/head.cer has expired, and demo.p12
// has not.
var deskTime = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// file makes a file of the person's and gives its path.
func (d *desk) file(name, content string) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path
}

// files makes the files with PINs that the arguments of tests name.
func (d *desk) files() *desk {
	d.t.Helper()
	for name, content := range map[string]string{
		"user.pin": factoryUser, "admin.pin": factoryAdmin, "wrong.pin": "00000000", "new.pin": newUser, "password": demoPassword,
		"demo.p12": string(demoIdentity), "letter.txt": "Qazaqstan\n",
	} {
		d.file(name, content)
	}
	for _, name := range []string{"head.cer", "small.pem"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			d.t.Fatal(err)
		}
		d.file(name, string(data))
	}
	return d
}

// types says what the person types next.
func (d *desk) types(lines ...string) *desk {
	d.typed = lines
	return d
}

// run runs a command. An argument that begins with @ is a file of the person's.
func (d *desk) run(args ...string) result { return d.runWith(d.t.Context(), "", args...) }

func (d *desk) runWith(ctx context.Context, in string, args ...string) result {
	d.t.Helper()
	all := []string{"--backend", "virtual", "--virtual-state", filepath.Join(d.dir, "virtual.state"), "--lang", string(d.lang)}
	for _, a := range args {
		if name, ok := strings.CutPrefix(a, "@"); ok {
			a = filepath.Join(d.dir, name)
		}
		all = append(all, a)
	}
	r := execute(ctx, strings.NewReader(in), d.edit, all...)
	r.out, r.err = d.shorten(r.out), d.shorten(r.err)
	return r
}

func (d *desk) edit(e *Env) {
	e.Applications = func(func(string) string) (registration.System, error) { return registration.System{Home: d.dir}, nil }
	e.OutTerminal, e.ErrTerminal = d.onTerminal, d.onTerminal
	e.Console = func() (Console, error) {
		if d.nobody {
			return nil, errors.New("nobody there")
		}
		return &typist{&d.screen, &d.typed}, nil
	}
	e.Getenv = func(name string) string {
		if name == "XDG_CONFIG_HOME" {
			return d.dir
		}
		return ""
	}
	e.Now = func() time.Time { return deskTime }
	e.Card = func(*host.Token) firmware.Card {
		d.card.Reset(true)
		if d.wrap != nil {
			return d.wrap(d.card)
		}
		return d.card
	}
}

// shorten leaves the folder out of texts.
func (d *desk) shorten(s string) string { return strings.ReplaceAll(s, d.dir+"/", "") }

// must runs a command that has to succeed.
func (d *desk) must(args ...string) result {
	d.t.Helper()
	r := d.run(args...)
	if r.code != exitOK {
		d.t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
	}
	return r
}

// transcript is a command with all that was said: ? on the terminal, | on
// standard output, ! on standard error, = the exit code.
func (d *desk) transcript(args ...string) string {
	d.t.Helper()
	d.screen.Reset()
	r := d.run(args...)
	var b strings.Builder
	b.WriteString("$ kaztoken")
	for _, a := range args {
		a = strings.TrimPrefix(a, "@")
		if a == "" || a != words.Clean(a) || strings.ContainsAny(a, ` "`) {
			a = fmt.Sprintf("%q", a)
		}
		b.WriteString(" " + a)
	}
	b.WriteString("\n")
	for _, part := range []struct{ mark, text string }{{"?", d.shorten(d.screen.String())}, {"|", r.out}, {"!", r.err}} {
		if part.text == "" {
			continue
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(part.text, "\n"), "\n") {
			b.WriteString(strings.TrimRight(part.mark+" "+line, " ") + "\n")
		}
	}
	fmt.Fprintf(&b, "= %d\n", r.code)
	return b.String()
}

// openFile lets everybody read a file.
func openFile(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

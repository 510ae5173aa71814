package emu

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// transcript is a file of testdata; its format is in its head.
type transcript struct {
	name  string
	lines []string
}

func readTranscript(t testing.TB, name string) transcript {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return transcript{name, strings.Split(strings.TrimSpace(string(b)), "\n")}
}

// step is one exchange of a transcript. A reset has no command.
type step struct {
	line      int
	program   string
	in, want  []byte
	powersOff bool
}

// steps reads a transcript with the variables vars.
func (tr transcript) steps(t testing.TB, vars map[string][]byte) []step {
	t.Helper()
	var all []step
	program := ""
	for i, line := range tr.lines {
		mark, rest, _ := strings.Cut(line, " ")
		switch mark {
		case "", "#":
		case "==":
			program = rest
		case "reset":
			all = append(all, step{line: i + 1, program: program, powersOff: true})
		case ">":
			all = append(all, step{line: i + 1, program: program, in: expand(t, rest, vars)})
		case "<":
			all[len(all)-1].want = expand(t, rest, vars)
		default:
			t.Fatalf("%s:%d: %q", tr.name, i+1, line)
		}
	}
	return all
}

// expand reads "3F 00*7 {modulus 0 256}".
func expand(t testing.TB, s string, vars map[string][]byte) []byte {
	t.Helper()
	var b []byte
	for s != "" {
		var word string
		if strings.HasPrefix(s, "{") {
			word, s, _ = strings.Cut(s[1:], "}")
			s = strings.TrimPrefix(s, " ")
			var name string
			var from, to int
			if _, err := fmt.Sscanf(word, "%s %d %d", &name, &from, &to); err != nil || vars[name] == nil {
				t.Fatalf("%q: %v", word, err)
			}
			b = append(b, vars[name][from:to]...)
			continue
		}
		word, s, _ = strings.Cut(s, " ")
		digits, times, repeated := strings.Cut(word, "*")
		n := 1
		if repeated {
			var err error
			if n, err = strconv.Atoi(times); err != nil {
				t.Fatalf("%q: %v", word, err)
			}
		}
		b = append(b, bytes.Repeat(unhex(t, digits), n)...)
	}
	return b
}

// replay sends a transcript to a card and compares every answer; reopened, if not
// nil, gives the card to go on with after each step.
func replay(t *testing.T, c *Card, steps []step, reopened func(*Card) *Card) {
	t.Helper()
	for _, s := range steps {
		if s.powersOff {
			c.Reset(true)
			continue
		}
		got := transmit(t, c, s.in)
		if diff := cmp.Diff(spaced(s.want), spaced(got)); diff != "" {
			t.Fatalf("line %d, %s: %s: -want +got\n%s", s.line, s.program, spaced(s.in[:min(16, len(s.in))]), diff)
		}
		if reopened != nil {
			c = reopened(c)
		}
	}
}

// traceVars are the variables of token-16.txt, computed without the code under
// test.
func traceVars(t testing.TB) map[string][]byte {
	t.Helper()
	k, imported := testKey(t, "2048"), testKey(t, "2048-other")
	e := big.NewInt(int64(k.E))
	digest := sha256.Sum256([]byte("a form to sign"))
	signature, err := rsa.SignPKCS1v15(nil, k, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	block := new(big.Int).Exp(new(big.Int).SetBytes(signature), e, k.N)
	slices.Reverse(signature)
	plain := new(big.Int).SetBytes(slices.Concat([]byte{2}, bytes.Repeat([]byte{0x5A}, 247), []byte{0}, []byte("secret")))
	return map[string][]byte{
		"modulus":    reversed(k.N, 256),
		"private":    privateBody(imported),
		"public":     publicBody(imported),
		"block":      reversed(block, 256),
		"signature":  signature,
		"plain":      reversed(plain, 256),
		"cryptogram": reversed(new(big.Int).Exp(plain, e, k.N), 256),
	}
}

func TestTraceOfTheReference(t *testing.T) {
	steps := readTranscript(t, "token-16.txt").steps(t, traceVars(t))
	replay(t, New(WithWiped(), testKeys(t)), steps, nil)
}

func TestTraceOfOpenSC(t *testing.T) {
	steps := readTranscript(t, "opensc-0.23.txt").steps(t, nil)
	replay(t, New(WithWiped(), testKeys(t)), steps, nil)
}

// The factory state is what OpenSC makes, but for the guide's PIN policy: minimum
// length 6 and ten tries, in the PIN files and in the AODF; and the time.
func TestFactoryIsOpenSCs(t *testing.T) {
	c := New(WithWiped())
	var formatting []step
	for _, s := range readTranscript(t, "opensc-0.23.txt").steps(t, nil) {
		for _, flag := range []string{"-E", "-C", "-P"} {
			if strings.HasPrefix(s.program, "pkcs15-init "+flag) {
				formatting = append(formatting, s)
			}
		}
	}
	replay(t, c, formatting, nil)

	theirs, ours := listing(c.mf), listing(New().mf)
	if theirs["5000/5032"] == "" || theirs["1000/1000/0002"] == "" {
		t.Fatalf("OpenSC made %v", theirs)
	}
	for path, edit := range map[string]*strings.Replacer{
		"1000/1000/0001": strings.NewReplacer("01 08 01 AA", "01 06 01 AA"),
		"1000/1000/0002": strings.NewReplacer("01 04 01 55", "01 06 01 AA"),
		"5000/6005":      strings.NewReplacer("0A 01 01 02 01 08", "0A 01 01 02 01 06", "0A 01 01 02 01 04", "0A 01 01 02 01 06"),
	} {
		theirs[path] = edit.Replace(theirs[path])
	}
	for _, tree := range []map[string]string{theirs, ours} {
		info := tree["5000/5032"]
		at := strings.Index(info, "18 0F ")
		tree["5000/5032"] = info[:at] + info[at+len("18 0F ")+15*3:]
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("-OpenSC +ours\n%s", diff)
	}
}

// listing is every file by its path: header, and body in hexadecimal.
func listing(mf *file) map[string]string {
	all := make(map[string]string)
	var walk func(f *file, path string)
	walk = func(f *file, path string) {
		all[path] = spaced(f.appendFCI(nil)) + " : " + spaced(f.body)
		for i, k := range f.children {
			below := fmt.Sprintf("%04X", k.id)
			if path != "" {
				below = path + "/" + below
			}
			walk(k, below)
			all[path] += fmt.Sprintf(" %d %04X", i, k.id)
		}
	}
	walk(mf, "")
	return all
}

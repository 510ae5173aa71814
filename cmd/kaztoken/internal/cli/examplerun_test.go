package cli

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"io"
	"net"
	"os"
	osuser "os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/internal/secret"
)

// notRun are commands whose examples are not run, with the reason.
var notRun = map[string]string{
	"trace":  "TestTraceExamples runs them: each needs the recording of the one before",
	"doctor": "TestDoctorExamples runs them: it is the machine that they look at",
}

// endless are examples that go on until they are interrupted: they are, when
// they have said that they are at work.
var endless = regexp.MustCompile(`^(serve\b|virtual\b|panel( --|$)|list --watch\b)`)

// beginning are examples that need a token without what they make.
var beginning = regexp.MustCompile(`^(cert import|key generate|object write [^ ]+( --label notes --pin-file.*)?$)`)

// TestExamplesRun runs every example in the help as a person would who has one
// token, formatted and used, and the files that the examples name. What is the
// machine's is replaced: ports, the folder for sockets, a group, the place where
// the token is plugged in.
func TestExamplesRun(t *testing.T) {
	bench := newBench(t)
	done := map[string]bool{}
	for _, name := range commandNames() {
		first, _, _ := strings.Cut(name, " ")
		if _, not := notRun[first]; not {
			continue
		}
		text, err := example(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(text, "\n") {
			line = strings.TrimSpace(line)
			if !done[line] {
				done[line] = true
				t.Run(line, func(t *testing.T) { bench.run(t, line) })
			}
		}
	}
	if len(done) < 80 {
		t.Errorf("%d examples", len(done))
	}
	for name, reason := range notRun {
		if reason == "" {
			t.Errorf("%s is not run for no reason", name)
		}
	}
}

// bench is where examples are run.
type bench struct {
	options []emu.Option    // of tokens
	key     *rsa.PrivateKey // that tokens generate
	used    []byte          // the state of one that is in use
	vpcd    string          // HOST:PORT of a virtual reader that takes any card
	group   string          // one that is there
	sockets string          // $XDG_RUNTIME_DIR, where a service is
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{key: generatedKey(t)}
	longKey := keyIn(t, "testdata/generated4096.pem")
	b.options = []emu.Option{emu.WithKeySource(func(bits int) (*rsa.PrivateKey, error) {
		if bits == 4096 {
			return longKey, nil
		}
		return b.key, nil
	})}
	b.use(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b.vpcd = l.Addr().String()
	g, err := osuser.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	b.group = g.Name
	s := serveInBackground(t, nil)
	b.sockets = filepath.Dir(s.socket)
	s.announced()
	for _, end := range []string{"", ".status"} {
		if err := os.Symlink(s.socket+end, filepath.Join(b.sockets, "pcsc"+end)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// run runs one example.
func (b *bench) run(t *testing.T, line string) {
	words, err := shellWords(line)
	if err != nil || len(words) < 2 || words[0] != "kaztoken" {
		t.Fatalf("not a command line: %v, %v", words, err)
	}
	d := b.desk(t, strings.TrimPrefix(line, "kaztoken "))
	t.Chdir(d.dir)
	in := ""
	if _, file, ok := strings.Cut(line, " < "); ok {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in = string(data)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	at := &atWork{end: func() {}}
	if endless.MatchString(strings.TrimPrefix(line, "kaztoken ")) {
		at.end = cancel
	}
	out, errs := &bytes.Buffer{}, &bytes.Buffer{}
	env := System("v1.2.3")
	env.In = strings.NewReader(in)
	d.edit(&env)
	env.Out, env.Err = io.MultiWriter(out, at), io.MultiWriter(errs, at)
	env.Console = func() (Console, error) { return &person{}, nil }
	env.Getenv = func(name string) string {
		return map[string]string{"XDG_CONFIG_HOME": d.dir, "PCSCLITE_CSOCK_NAME": filepath.Join(b.sockets, "pcsc")}[name]
	}
	env.Activated = func() (*net.UnixListener, error) { return nil, nil }
	env.Browse = func(context.Context, string) error { return nil }
	env.Open = func(ctx context.Context, o host.Options) (*host.Token, error) {
		if o.Token == "1-1.4" { // the token is plugged in there
			o.Token = ""
		}
		return host.OpenToken(ctx, o)
	}
	if code := Main(ctx, env, b.args(t, d, words[1:])); code != exitOK {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if out.Len()+errs.Len() == 0 {
		t.Error("it says nothing")
	}
	if ctx.Err() == context.DeadlineExceeded {
		t.Error("it does not end: if that is meant, name it in endless")
	}
}

// args puts what the test has into the place of what a machine has.
func (b *bench) args(t *testing.T, d *desk, words []string) []string {
	t.Helper()
	var args []string
	for _, w := range words {
		w = strings.ReplaceAll(w, "$XDG_RUNTIME_DIR", map[bool]string{true: d.dir, false: b.sockets}[words[0] == "serve"])
		w = strings.Replace(w, "~/", d.dir+"/", 1)
		switch {
		case w == "localhost":
			w = b.vpcd
		case strings.HasPrefix(w, "127.0.0.1"):
			w = "127.0.0.1:0"
		case w == "smartcard":
			w = b.group
		}
		args = append(args, w)
	}
	switch words[0] {
	case "serve": // the machine's own socket and its USB devices are not for a test
		args = append(args, "--config", filepath.Join(d.dir, "none"))
		if !slices.Contains(args, "--virtual") {
			args = append(args, "--virtual")
		}
		if !slices.Contains(args, "--socket") {
			args = append(args, "--socket", filepath.Join(shortDir(t), "s"))
		}
	case "register", "unregister": // of a home that is there, and a module that need not be
		database := filepath.Join(d.dir, ".pki", "nssdb")
		if err := os.MkdirAll(database, 0o700); err != nil {
			t.Fatal(err)
		}
		d.file(filepath.Join(".pki", "nssdb", "pkcs11.txt"), pristineList)
		if words[0] == "register" && !slices.Contains(args, "--list") {
			args = append(args, "--module", d.file("libkaztoken-pkcs11.so", ""))
		}
	case "virtual", "status", "demo":
	default:
		args = append([]string{"--backend", "virtual", "--virtual-state", filepath.Join(d.dir, "virtual.state")}, args...)
	}
	return args
}

// desk is a person's folder and token, as an example takes for granted.
func (b *bench) desk(t *testing.T, example string) *desk {
	t.Helper()
	d := newDesk(t)
	root, err := os.ReadFile("testdata/head.cer")
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 others still encrypt like this
	scheme := func() ([]byte, error) { return rsa.EncryptPKCS1v15(rand.Reader, &b.key.PublicKey, []byte("a secret")) }
	if strings.Contains(example, "--oaep") {
		scheme = func() ([]byte, error) {
			return rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, &b.key.PublicKey, []byte("a secret"), nil)
		}
	}
	encrypted, err := scheme()
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{
		"user.pin": factoryUser, "old.pin": factoryUser, "admin.pin": factoryAdmin,
		"new.pin": newUser, "new-user.pin": newUser, "new-admin.pin": newAdmin,
		"me.p12": string(demoIdentity), "p12.txt": demoPassword, "password.txt": demoPassword, "root.cer": string(root),
		"letter.txt": "Qazaqstan\n", "notes.txt": "notes\n", "secret.bin": string(encrypted),
		"script.txt": "# the serial number\n00CA018100\nreset\n",
	} {
		d.file(name, content)
	}
	if !beginning.MatchString(example) {
		d.file("card", string(b.used))
	}
	b.insert(t, d)
	return d
}

// insert gives a desk the token whose state is in its folder.
func (b *bench) insert(t *testing.T, d *desk) {
	t.Helper()
	card, err := emu.Open(filepath.Join(d.dir, "card"), b.options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { card.Close() })
	d.card = card
}

// use makes a token that is in use, and keeps its state.
func (b *bench) use(t *testing.T) {
	t.Helper()
	d := newDesk(t).files()
	b.insert(t, d)
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	d.must("cert", "import", "@demo.p12", "--label", "My name", "--id", "45ab", "--password-file", "@password", "--pin-file", "@user.pin")
	d.must("cert", "import", "@head.cer", "--label", "Root", "--id", "1f", "--pin-file", "@user.pin")
	d.must("object", "write", "@letter.txt", "--label", "notes", "--pin-file", "@user.pin")
	d.must("object", "write", "@letter.txt", "--label", "letter", "--private", "--pin-file", "@user.pin")
	if err := d.card.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if b.used, err = os.ReadFile(filepath.Join(d.dir, "card")); err != nil {
		t.Fatal(err)
	}
}

// atWork ends an example when it says something.
type atWork struct{ end func() }

func (w *atWork) Write(p []byte) (int, error) {
	w.end()
	return len(p), nil
}

// person types what the last question on the terminal asks for.
type person struct{ asked string }

func (p *person) Write(b []byte) (int, error) {
	p.asked = string(b)
	return len(b), nil
}

func (p *person) Close() error { return nil }

func (p *person) ReadLine(context.Context) (string, error) { return "y", nil }

func (p *person) ReadSecret(context.Context) (*secret.Bytes, error) {
	for question, answer := range map[string]string{
		"User PIN: ": factoryUser, "Administrator PIN: ": factoryAdmin,
		"New user PIN: ": newUser, "New administrator PIN: ": newUser, "Confirm the new PIN": newUser,
		"Password of ": demoPassword, "New password of the panel: ": demoPassword, "Repeat the password: ": demoPassword,
	} {
		if strings.HasPrefix(p.asked, question) {
			return secret.Copy([]byte(answer)), nil
		}
	}
	return nil, fmt.Errorf("the person does not know what to type at %q", p.asked)
}

//go:build e2e && linux

// Package pkcs11 has programs that we did not write use the PKCS #11 module, on
// this machine, against kaztoken serve with a token in software.
package pkcs11

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The PINs of a new token.
const (
	userPIN  = "12345678"
	adminPIN = "87654321"
)

// limit bounds one program: RSA-4096 in software takes seconds.
const limit = 2 * time.Minute

// built is where TestMain puts what is tested.
var built struct{ kaztoken, module string }

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "pkcs11")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	built.kaztoken, built.module = filepath.Join(dir, "kaztoken"), filepath.Join(dir, "libkaztoken-pkcs11.so")
	for _, args := range [][]string{
		{"go", "build", "-o", built.kaztoken, "../../cmd/kaztoken"},
		{"../../.ci/pkcs11", dir},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return m.Run(), nil
}

// desk is a service with a token in software, and a folder for the test's files.
type desk struct {
	dir    string
	socket string
	env    []string

	service *exec.Cmd
}

// newDesk starts a service with a new token.
func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir()}
	d.socket = filepath.Join(d.dir, "pcsc")
	d.env = append(os.Environ(),
		"PCSCLITE_CSOCK_NAME="+d.socket, "HOME="+d.dir, "XDG_CONFIG_HOME=", "XDG_RUNTIME_DIR="+d.dir, "GNUTLS_PIN="+userPIN, "LC_ALL=C.UTF-8",
		"OPENSSL_CONF="+d.path("openssl.cnf"))
	d.write(t, "openssl.cnf", "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n"+
		"[pkcs11]\nengine_id = pkcs11\nMODULE_PATH = "+built.module+"\ninit = 0\n[req]\ndistinguished_name = dn\n[dn]\n")
	d.write(t, "pin", userPIN+"\n")

	d.plug(t)
	t.Cleanup(func() { d.unplug(t) })
	return d
}

// plug starts the service with the token, which has what it had when it was there last.
func (d *desk) plug(t *testing.T, options ...string) {
	t.Helper()
	d.service = exec.Command(built.kaztoken, append([]string{
		"serve", "--json", "--socket", d.socket, "--virtual", "--virtual-state", d.path("state"),
	}, options...)...)
	d.service.Env = d.env
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	ready := &firstLine{line: make(chan string, 1)}
	d.service.Stdout, d.service.Stderr = ready, log
	if err := d.service.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ready.line:
	case <-time.After(limit):
		t.Fatal("kaztoken serve is not ready")
	}
}

// unplug stops the service.
func (d *desk) unplug(t *testing.T) {
	t.Helper()
	d.service.Process.Signal(os.Interrupt)
	if err := d.service.Wait(); err != nil {
		log, _ := os.ReadFile(d.path("log"))
		t.Errorf("kaztoken serve: %v\n%s", err, log)
	}
}

// firstLine tells of the first line that is written to it.
type firstLine struct {
	text []byte
	line chan string
	told bool
}

func (f *firstLine) Write(p []byte) (int, error) {
	if !f.told {
		f.text = append(f.text, p...)
		if line, _, ok := bytes.Cut(f.text, []byte("\n")); ok {
			f.told = true
			f.line <- string(line)
		}
	}
	return len(p), nil
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return d.path(name)
}

// try runs a program and gives what it printed on both of its outputs.
func (d *desk) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env, cmd.Dir = d.env, d.dir
	out, err := cmd.CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		t.Fatalf("%v: run make deps-e2e", err)
	}
	return string(out), err
}

// run is try of a program that has to succeed, and to print each of the texts.
func (d *desk) run(t *testing.T, texts []string, args ...string) string {
	t.Helper()
	out, err := d.try(t, args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for _, text := range texts {
		if !strings.Contains(out, text) {
			t.Errorf("%s: no %q in:\n%s", strings.Join(args, " "), text, out)
		}
	}
	return out
}

// tool runs pkcs11-tool as the user with the module.
func (d *desk) tool(t *testing.T, texts []string, args ...string) string {
	t.Helper()
	return d.run(t, texts, append([]string{"pkcs11-tool", "--module", built.module}, args...)...)
}

// login are pkcs11-tool's arguments of a log-in with a PIN of a test.
func login(args ...string) []string { return append([]string{"--login", "--pin", userPIN}, args...) }

// identity makes a key and a certificate, NAME.key, NAME.pem and both in DER, and
// puts them onto the token with an id and NAME as the label.
func (d *desk) identity(t *testing.T, name, id string) {
	t.Helper()
	d.run(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", name+".key", "-out", name+".pem", "-subj", "/CN="+name,
		"-days", "30", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth,emailProtection")
	d.run(t, nil, "openssl", "rsa", "-in", name+".key", "-outform", "der", "-out", name+".key.der")
	d.run(t, nil, "openssl", "x509", "-in", name+".pem", "-outform", "der", "-out", name+".der")
	d.run(t, nil, "openssl", "x509", "-in", name+".pem", "-pubkey", "-noout", "-out", name+".pub")
	d.tool(t, nil, login("--write-object", d.path(name+".key.der"), "--type", "privkey", "--id", id, "--label", name)...)
	d.tool(t, nil, login("--write-object", d.path(name+".der"), "--type", "cert", "--id", id, "--label", name)...)
}

// uri is an object of the token by its label, with the PIN.
func uri(label, kind string) string {
	return "pkcs11:object=" + label + ";type=" + kind + ";pin-value=" + userPIN
}

//go:build e2e && linux

package e2e

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kaztoken/e2e/vm"
)

var (
	runFlag   = flag.String("e2e.run", "", "run only the scenarios that match, in the form of go test's -run")
	benchFlag = flag.Bool("e2e.bench", false, "take the measurements instead of running the scenarios")
	packages  = flag.Bool("e2e.packages", false, "install the packages in the machine, use sudo by a token, and nothing else")
	soakFlag  = flag.Int("e2e.soak", 1, "plug in and send this many times as often")
)

// skippedMark is left behind when the machine cannot be had here, and read by
// whoever sums up a test run: a skip must not pass for a success.
var skippedMark = filepath.Join("..", "build", "e2e-skipped")

// limit bounds the life of the machine. The guest's test binary gets half a
// minute less, so that it can still say where it hung.
func limit() time.Duration {
	if *benchFlag {
		return 20 * time.Minute
	}
	return 13 * time.Minute * time.Duration(*soakFlag)
}

// TestMachine boots one virtual machine, runs the scenarios of e2e/guest in it
// and reports each as a subtest.
func TestMachine(t *testing.T) {
	started := time.Now()
	if err := os.Remove(skippedMark); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	ctx := t.Context()
	parts, err := vm.Prepare(ctx)
	if errors.Is(err, vm.ErrUnsupported) {
		skip(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("qemu-system-x86_64"); err != nil {
		t.Fatalf("%v: run make deps-e2e", err)
	}
	share := t.TempDir()
	build(ctx, t, share)
	for _, name := range []string{"identity", "another"} {
		if err := makeIdentity(share, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeCertificates(ctx, parts, filepath.Join(share, "nss")); err != nil {
		t.Fatal(err)
	}
	getNewer(ctx, t, filepath.Join(share, "newer"))
	t.Logf("kernel %s; built in %v", parts.Version, time.Since(started).Round(time.Millisecond))

	m, output := boot(ctx, t, vm.Config{Parts: parts, Share: share, Command: command(share), Limit: limit(), Counted: *countedFlag})
	results, err := newResults(output)
	if err != nil {
		t.Fatal(err)
	}
	results.report(t)
	if err := errors.Join(results.Close(), m.Wait()); err != nil || t.Failed() {
		t.Errorf("machine: %v\nend of its console:\n%s", err, m.Console(40))
	}
	t.Logf("whole run: %v", time.Since(started).Round(time.Millisecond))
}

// A machine that has said nothing after bootLimit, or ends without a word, is given
// up for another one: on a busy host it happens that the timer of a processor under
// QEMU stands still before the first process runs. It takes five seconds on a
// quiet one.
const (
	bootLimit    = 2 * time.Minute
	bootAttempts = 3
)

// boot starts a machine, which ends with the test, and returns it with its output
// once there is some.
func boot(ctx context.Context, t *testing.T, c vm.Config) (*vm.Machine, io.Reader) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		m, err := vm.Start(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		output := bufio.NewReader(m.Output)
		began := time.Now()
		silent := time.AfterFunc(bootLimit, m.Close)
		_, err = output.Peek(1)
		if silent.Stop() && err == nil {
			t.Cleanup(m.Close)
			return m, output
		}
		m.Close()
		t.Logf("attempt %d: nothing from the machine in %v (%v); end of its console:\n%s",
			attempt, time.Since(began).Round(time.Second), err, m.Console(10))
		if attempt == bootAttempts {
			t.Fatal("giving up")
		}
	}
}

// packageScenarios are those of -e2e.packages.
const packageScenarios = "^TestPackages$|^TestPolkit$|^TestSudo$"

// command is what the guest runs: its test binary, told where on the host QEMU
// finds the certificates of the card it emulates.
func command(share string) string {
	args := []string{
		"GOTRACEBACK=all", "NSS_DATABASE=" + quote("sql:"+filepath.Join(share, "nss")),
		"exec ./guest.test -test.v=test2json -test.timeout=" + (limit() - 30*time.Second).String(),
		fmt.Sprintf("-soak=%d", *soakFlag),
	}
	switch {
	case *benchFlag:
		args = append(args, "-test.run=^TestMeasure")
	case *packages:
		args = append(args, "-test.run="+quote(packageScenarios))
	default:
		args = append(args, "-test.skip="+quote("^TestMeasure|"+packageScenarios))
	}
	if *runFlag != "" {
		args = append(args, "-test.run="+quote(*runFlag))
	}
	return strings.Join(args, " ")
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// javaRuntime is Debian's own, which can compile as well.
const javaRuntime = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"

// build puts what the guest runs into the shared directory: the scenarios and
// the program with both USB drivers, the static program, the stock clients and
// the udev rules.
func build(ctx context.Context, t *testing.T, share string) {
	t.Helper()
	libpcsclite, err := exec.CommandContext(ctx, "pkg-config", "--cflags", "--libs", "libpcsclite").Output()
	if err != nil {
		t.Fatalf("pkg-config libpcsclite: %v: run make deps-e2e", err)
	}
	target := func(name string) string { return filepath.Join(share, name) }
	client := func(name string) []string {
		return append([]string{"", "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", target(name),
			"guest/testdata/" + name + ".c"}, strings.Fields(string(libpcsclite))...)
	}
	commands := [][]string{
		{"CGO_ENABLED=1", "go", "test", "-tags", "e2e", "-c", "-o", target("guest.test"), "./guest"},
		{"CGO_ENABLED=1", "go", "build", "-o", target("kaztoken"), "../cmd/kaztoken"},
		{"CGO_ENABLED=1", "go", "build", "-o", target("gousbidle"), "./guest/testdata/gousbidle"},
		{"CGO_ENABLED=0", "go", "build", "-o", target("static/kaztoken"), "../cmd/kaztoken"},
		{"", "../.ci/ifd", share},
		{"", "../.ci/pkcs11", share},
		{"", "make", "-s", "-C", "..", "install", "BUILD=" + share, "DESTDIR=" + target("installed")},
		client("stockclient"),
		client("waitclient"),
		{"", "gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-I../cmd/libkaztoken-pkcs11", "-o", target("signclient"), "pkcs11/testdata/signclient.c", "-ldl", "-lpthread"},
		{"", javaRuntime, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-Xlint:all", "-d", target("java"), "guest/testdata/SmartCardClient.java"},
		{"", "cp", "guest/testdata/pyscardclient.py", target("pyscardclient.py")},
		{"", "cp", "../udev/70-kaztoken.rules", target("70-kaztoken.rules")},
	}
	if *packages {
		// A pcscd that asks polkit: Debian 12's does not. Its unit forbids what Debian 12's
		// GLib does, so all that it needs comes with it.
		libraries, err := vm.Newer(ctx, "trixie", "pcscd", "libpcsclite1", "libpolkit-gobject-1-0", "libglib2.0-0t64",
			"libmount1", "libblkid1", "libselinux1", "libpcre2-8-0", "libffi8", "zlib1g", "libudev1", "libsystemd0")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(target("polkit"), os.DirFS(filepath.Join(libraries, "..", ".."))); err != nil {
			t.Fatal(err)
		}
		commands = append(commands,
			[]string{"FORMATS=deb", "env", "--chdir=..", "ARCHS=amd64", "udev/packaging/previous", target("previous")},
			[]string{"FORMATS=deb", "env", "--chdir=..", "ARCHS=amd64", "make", "-s", "dist", "BUILD=" + target("packages")})
	}
	for _, args := range commands {
		cmd := exec.CommandContext(ctx, args[1], args[2:]...)
		cmd.Env = append(os.Environ(), args[0])
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// makeCertificates makes the NSS database that QEMU's emulated card takes its
// three certificates from. The card answers with what is in it; nothing checks
// or trusts them.
func makeCertificates(ctx context.Context, parts *vm.Parts, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	certutil := filepath.Join(parts.Packages, "usr", "bin", "certutil")
	if _, err := os.Stat(certutil); err != nil {
		certutil = "certutil" // installed on the host, and so not among the guest's packages
	}
	noise := filepath.Join(dir, "noise")
	if err := os.WriteFile(noise, []byte(strings.Repeat("no secret depends on these keys", 4)), 0o644); err != nil {
		return err
	}
	steps := [][]string{{"-N", "--empty-password"}}
	for i := 1; i <= 3; i++ {
		name := fmt.Sprint("cert", i)
		steps = append(steps, []string{"-S", "-n", name, "-s", "CN=" + name, "-x", "-t", ",,",
			"-m", fmt.Sprint(i), "-v", "1200", "-z", noise})
	}
	for _, args := range steps {
		cmd := exec.CommandContext(ctx, certutil, append(args, "-d", "sql:"+dir)...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(parts.Packages, "usr/lib/x86_64-linux-gnu"))
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("certutil %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// newerSuites are releases of Debian with a later libpcsclite, which speaks other
// protocols, than the one on the host.
var newerSuites = []string{"trixie", "sid"}

// getNewer puts later libraries into a directory per release. Where they cannot be
// had their scenario is skipped, which is said at the end like a machine that did
// not run.
func getNewer(ctx context.Context, t *testing.T, dir string) {
	t.Helper()
	for _, suite := range newerSuites {
		libraries, err := vm.Newer(ctx, suite, "libpcsclite1")
		if err == nil {
			err = os.CopyFS(filepath.Join(dir, suite), os.DirFS(libraries))
		}
		if err != nil {
			mark(t, fmt.Sprintf("make test: passed, but with no newer libpcsclite: %v\n", err))
		}
	}
}

// makeIdentity makes an RSA-2048 key and a certificate of it, NAME.key and
// NAME.pem: in the machine that takes a while.
func makeIdentity(dir, name string) error {
	var key *rsa.PrivateKey
	// OpenSC's driver refuses a key with a number that begins with a zero byte,
	// which one in seventy has: "Invalid arguments".
	for key == nil || min(key.Precomputed.Dp.BitLen(), key.Precomputed.Dq.BitLen(), key.Precomputed.Qinv.BitLen()) <= 1024-8 {
		var err error
		if key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return err
		}
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600),
		os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o644),
	)
}

// skip skips the test and leaves a mark that says so.
func skip(t *testing.T, reason string) {
	t.Helper()
	mark(t, "make test: THE END-TO-END MACHINE DID NOT RUN: "+reason+"\n")
	t.Skip(reason)
}

// mark leaves behind, and says, what was not tested.
func mark(t *testing.T, what string) {
	t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(skippedMark), 0o755), os.WriteFile(skippedMark, []byte(what), 0o644))
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(os.Stderr, what)
}

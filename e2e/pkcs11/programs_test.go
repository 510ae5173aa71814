//go:build e2e && linux

package pkcs11

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGnuTLS: GnuTLS through p11-kit, by the module's path.
func TestGnuTLS(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	by := func(args ...string) []string { return append([]string{"p11tool", "--provider", built.module}, args...) }
	d.run(t, []string{"Label: KAZTOKEN", "serial=32D18A58", "Requires login"}, by("--list-tokens")...)
	d.run(t, []string{"object=two;type=cert"}, by("--list-all")...)
	d.run(t, []string{"object=two;type=private", "CKA_PRIVATE; CKA_SENSITIVE"}, by("--login", "--list-all")...)
	d.run(t, []string{"Signing using RSA-SHA256... ok", "Verifying against public key in the token... ok"},
		by("--login", "--test-sign", "pkcs11:object=two;type=private")...)
}

// TestP11Kit registers the module for a user, and p11-kit lists it.
func TestP11Kit(t *testing.T) {
	d := newDesk(t)
	as := func(args ...string) []string { return args }
	if os.Geteuid() == 0 {
		// p11-kit leaves out what root has registered for itself.
		const nobody = 65534
		as = func(args ...string) []string {
			return append([]string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, args...)
		}
		if err := errors.Join(os.Chown(d.dir, nobody, nobody), os.Chmod(filepath.Dir(built.module), 0o755), os.Chmod(filepath.Dir(d.dir), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	d.run(t, []string{"p11-kit", built.module}, as(built.kaztoken, "register", "--module", built.module)...)
	d.run(t, []string{"kaztoken: " + built.module, "library-description: KAZTOKEN"}, as("p11-kit", "list-modules")...)
	d.run(t, []string{"not registered"}, as(built.kaztoken, "unregister")...)
	if out := d.run(t, nil, as("p11-kit", "list-modules")...); strings.Contains(out, "kaztoken: ") {
		t.Errorf("p11-kit still finds the module:\n%s", out)
	}
}

// freePort is a port of the loopback interface that nobody listens at.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// serve runs a server until the end of the test, and returns when it takes
// connections at a port.
func (d *desk) serve(t *testing.T, port string, args ...string) *bytes.Buffer {
	t.Helper()
	return d.serveAt(t, "tcp", "127.0.0.1:"+port, args...)
}

// serveSocket is serve of a server at a socket.
func (d *desk) serveSocket(t *testing.T, path string, args ...string) *bytes.Buffer {
	t.Helper()
	return d.serveAt(t, "unix", path, args...)
}

func (d *desk) serveAt(t *testing.T, network, address string, args ...string) *bytes.Buffer {
	t.Helper()
	var said bytes.Buffer
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = d.dir, d.env
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("%v: run make deps-e2e", err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
	})
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial(network, address); err == nil {
			c.Close()
			return &said
		}
	}
	t.Fatalf("%s takes no connection:\n%s", args[0], said.Bytes())
	return nil
}

// TestSSH logs in to a real sshd with a key that was made on the token.
func TestSSH(t *testing.T) {
	d := newDesk(t)
	d.tool(t, nil, login("--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "one")...)
	key, err := exec.Command("env", append(d.env, "ssh-keygen", "-D", built.module)...).Output()
	if err != nil || !bytes.HasPrefix(key, []byte("ssh-rsa ")) || !bytes.HasSuffix(bytes.TrimSpace(key), []byte(" one")) {
		t.Fatalf("ssh-keygen -D: %v, %s", err, key)
	}
	d.write(t, "authorized_keys", string(key))
	d.run(t, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", d.path("host"))
	// sshd wants this folder when it is started by root, and drops its rights there.
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Fatal(err)
		}
	}
	port := freePort(t)
	config := d.write(t, "sshd_config", strings.Join([]string{
		"Port " + port, "ListenAddress 127.0.0.1", "HostKey " + d.path("host"), "AuthorizedKeysFile " + d.path("authorized_keys"),
		"StrictModes no", "UsePAM no", "PasswordAuthentication no", "PidFile none", "",
	}, "\n"))
	said := d.serve(t, port, "/usr/sbin/sshd", "-D", "-e", "-f", config)
	who, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	askpass := d.write(t, "askpass", "#!/bin/sh\ncat "+d.path("pin")+"\n")
	if err := os.Chmod(askpass, 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force")
	out, err := d.try(t, "ssh", "-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile="+d.path("known"), "-o", "IdentityAgent=none",
		"-o", "PKCS11Provider="+built.module, "-p", port, who.Username+"@127.0.0.1", "echo", "in")
	if err != nil || !strings.HasSuffix(strings.TrimSpace(out), "in") {
		t.Errorf("ssh: %v\n%s\nsshd said:\n%s", err, out, said.Bytes())
	}
	// The agent takes modules that lie where systems have them, or that it was told of.
	agent := d.path("agent")
	d.serveSocket(t, agent, "ssh-agent", "-D", "-a", agent, "-P", built.module)
	d.env = append(d.env, "SSH_AUTH_SOCK="+agent)
	d.run(t, []string{"Card added"}, "ssh-add", "-s", built.module)
	d.run(t, []string{"one (RSA)"}, "ssh-add", "-l")
	d.run(t, nil, "ssh-add", "-T", d.path("authorized_keys"))
	d.run(t, []string{"Card removed"}, "ssh-add", "-e", built.module)
}

// TestOpenSSL signs through libp11's engine, and authenticates a TLS client to
// openssl's server by openssl and by curl.
func TestOpenSSL(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	d.write(t, "message", "to be signed")
	d.run(t, nil, "openssl", "dgst", "-sha256", "-engine", "pkcs11", "-keyform", "engine", "-sign", uri("two", "private"), "-out", "sig", "message")
	d.run(t, []string{"Verified OK"}, "openssl", "dgst", "-sha256", "-verify", "two.pub", "-signature", "sig", "message")

	d.run(t, nil, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.pem", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=IP:127.0.0.1", "-days", "3")
	port := freePort(t)
	d.serve(t, port, "openssl", "s_server", "-accept", "127.0.0.1:"+port, "-cert", "server.pem", "-key", "server.key",
		"-Verify", "1", "-verify_return_error", "-CAfile", "two.pem", "-www")
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		d.write(t, "request", "GET / HTTP/1.0\r\n\r\n")
		d.run(t, []string{"Verify return code: 0 (ok)", "Client certificate", "Subject: CN=two"}, "sh", "-c", "exec openssl s_client "+version+
			" -connect 127.0.0.1:"+port+" -engine pkcs11 -keyform engine -key '"+uri("two", "private")+"' -cert two.pem -CAfile server.pem -ign_eof <request 2>&1")
	}
	d.run(t, []string{"Client certificate", "Subject: CN=two"}, "curl", "-sS", "--engine", "pkcs11", "--key-type", "ENG", "--key", uri("two", "private"),
		"--cert", "two.pem", "--cacert", "server.pem", "https://127.0.0.1:"+port+"/")
	// libp11 takes all of the file for the PIN, a newline at its end as well.
	source := "?pin-source=file:" + d.write(t, "bare-pin", userPIN)
	d.run(t, []string{"Client certificate", "Subject: CN=two"}, "curl", "-sS", "--engine", "pkcs11", "--cert-type", "ENG", "--cert", "pkcs11:object=two;type=cert",
		"--key-type", "ENG", "--key", "pkcs11:object=two;type=private"+source, "--cacert", "server.pem", "https://127.0.0.1:"+port+"/")
	if out, err := d.try(t, "curl", "-sS", "--cacert", "server.pem", "https://127.0.0.1:"+port+"/"); err == nil {
		t.Errorf("the server let in who has no certificate:\n%s", out)
	}
}

// TestNSS registers the module in a database of NSS, the library of Firefox and
// Chromium, and signs a message with its tools.
func TestNSS(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	db := d.path("nss")
	if err := os.Mkdir(db, 0o700); err != nil {
		t.Fatal(err)
	}
	d.run(t, nil, "certutil", "-N", "-d", "sql:"+db, "--empty-password")
	before, err := os.ReadFile(filepath.Join(db, "pkcs11.txt"))
	if err != nil {
		t.Fatal(err)
	}
	d.run(t, []string{built.module}, built.kaztoken, "register", "--nss", db, "--module", built.module)
	d.run(t, []string{"Library file: " + built.module, "Token Name: KAZTOKEN", "Token Serial Number: 32D18A58", "Login Type: Login required"},
		"modutil", "-dbdir", "sql:"+db, "-list", "KAZTOKEN")
	d.run(t, []string{"rsa      02", "two"}, "certutil", "-K", "-d", "sql:"+db, "-h", "KAZTOKEN", "-f", d.path("pin"))
	d.run(t, []string{"KAZTOKEN:two"}, "certutil", "-L", "-d", "sql:"+db, "-h", "KAZTOKEN", "-f", d.path("pin"))

	// The issuer is the certificate itself, and trusted.
	d.run(t, nil, "certutil", "-A", "-d", "sql:"+db, "-n", "issuer", "-t", "P,P,P", "-i", "two.pem")
	d.write(t, "message", "to be signed")
	d.run(t, nil, "cmsutil", "-S", "-d", "sql:"+db, "-N", "KAZTOKEN:two", "-f", d.path("pin"), "-i", "message", "-o", "message.p7", "-H", "SHA256")
	d.run(t, []string{"Verification successful"}, "openssl", "cms", "-verify", "-inform", "der", "-in", "message.p7", "-CAfile", "two.pem",
		"-purpose", "any", "-out", "verified")

	d.run(t, []string{"not registered"}, built.kaztoken, "unregister", "--nss", db)
	after, err := os.ReadFile(filepath.Join(db, "pkcs11.txt"))
	if err != nil || !bytes.Equal(bytes.TrimSpace(before), bytes.TrimSpace(after)) {
		t.Errorf("the list of modules is not what it was, %v:\n%s", err, after)
	}
	if out, err := d.try(t, "modutil", "-dbdir", "sql:"+db, "-list", "KAZTOKEN"); err == nil {
		t.Errorf("NSS still knows the module:\n%s", out)
	}
}

// javaRuntime is Debian's own, which can compile as well.
const javaRuntime = "/usr/lib/jvm/java-17-openjdk-amd64/bin/java"

// TestJava uses the token as a key store of Java.
func TestJava(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	source, err := filepath.Abs("testdata/KeyStoreClient.java")
	if err != nil {
		t.Fatal(err)
	}
	config := d.write(t, "pkcs11.cfg", "name = kaztoken\nlibrary = "+built.module+"\nslotListIndex = 0\n")
	d.run(t, nil, javaRuntime, "-m", "jdk.compiler/com.sun.tools.javac.Main", "-Xlint:all", "-d", d.dir, source)
	want := []string{"entry two, a key: true", "decrypted: for the token alone"}
	for _, algorithm := range []string{"SHA1withRSA", "SHA256withRSA", "SHA384withRSA", "SHA512withRSA", "RSASSA-PSS"} {
		want = append(want, fmt.Sprintf("%s: verified true", algorithm))
	}
	d.run(t, []string{"two, PrivateKeyEntry"}, filepath.Join(filepath.Dir(javaRuntime), "keytool"), "-keystore", "NONE", "-storetype", "PKCS11",
		"-providerClass", "sun.security.pkcs11.SunPKCS11", "-providerArg", config, "-list", "-storepass:file", d.path("pin"))
	d.run(t, want, javaRuntime, "-cp", d.dir, "KeyStoreClient", config, d.path("pin"))
}

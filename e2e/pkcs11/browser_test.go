//go:build e2e && linux && soak

package pkcs11

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// browserLimit is for a browser to show something.
const browserLimit = 2 * time.Minute

// screen starts an X server without a screen, which takes a number that is free, and
// gives its name.
func (d *desk) screen(t *testing.T) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1000x700x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{w}
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		t.Fatalf("%v: run make soak, or install e2e/soak-packages.txt", err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM) // it takes its lock away
		cmd.Wait()
	})
	defer time.AfterFunc(limit, func() { cmd.Process.Kill() }).Stop() // the line below ends then
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb does not start: %v", err)
	}
	return ":" + strings.TrimSpace(number)
}

// window waits for a window that is called title and is not one of those before.
func (d *desk) window(t *testing.T, title string, before ...string) string {
	t.Helper()
	for end := time.Now().Add(browserLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		out, _ := d.try(t, "xdotool", "search", "--onlyvisible", "--name", "^"+title+"$") // fails while there is none
		if id := strings.TrimSpace(out); id != "" && !strings.Contains(id, " ") && (len(before) == 0 || id != before[0]) {
			return id
		}
	}
	t.Fatalf("no window %q", title)
	return ""
}

// TestBrowser has Chromium, with a window, authenticate itself to a TLS server by the
// token's key: kaztoken register gave it the module, it asks for the PIN in its own dialog,
// and again after a wrong one. A policy, which only the browser of the test sees, says
// which certificate to take.
func TestBrowser(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")

	text, err := os.ReadFile(d.path("two.pem"))
	if err != nil {
		t.Fatal(err)
	}
	client := x509.NewCertPool()
	if !client.AppendCertsFromPEM(text) {
		t.Fatal("no certificate in two.pem")
	}
	came := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case came <- fmt.Sprintf("%s by %s", r.TLS.PeerCertificates[0].Subject, tls.VersionName(r.TLS.Version)):
		default: // its icon, too
		}
		io.WriteString(w, "<!doctype html><title>Welcome</title>")
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that wait for a PIN
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: client}
	server.StartTLS()
	t.Cleanup(server.Close)

	db := d.path(".pki/nssdb") // where Chromium has it
	config := d.path("etc/policies/managed")
	if err := errors.Join(os.MkdirAll(db, 0o700), os.MkdirAll(config, 0o755)); err != nil {
		t.Fatal(err)
	}
	d.write(t, "server.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	d.run(t, nil, "certutil", "-N", "-d", "sql:"+db, "--empty-password")
	d.run(t, nil, "certutil", "-A", "-d", "sql:"+db, "-n", "server", "-t", "P,,", "-i", "server.pem")
	d.run(t, []string{built.module}, built.kaztoken, "register", "--nss", db, "--module", built.module)
	d.write(t, filepath.Join("etc/policies/managed", "test.json"), fmt.Sprintf(`{"AutoSelectCertificateForUrls": ["{\"pattern\":\"%s\",\"filter\":{}}"]}`, server.URL))

	d.env = append(d.env, "DISPLAY="+d.screen(t), "DBUS_SESSION_BUS_ADDRESS=disabled:")
	cmd := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-euc", `mount --bind etc /etc/chromium; exec "$@"`, "sh",
		"chromium", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
		"--disable-sync", "--password-store=basic", "--user-data-dir="+d.path("profile"), "--window-position=0,0", "--window-size=900,600", server.URL)
	cmd.Dir, cmd.Env = d.dir, d.env
	said, err := os.Create(d.path("chromium.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(d.path("chromium.log"))
			t.Logf("Chromium says:\n%s", b)
		}
	})

	enter := func(window, file string) {
		t.Helper()
		d.run(t, nil, "xdotool", "windowfocus", "--sync", window, "type", "--file", d.path(file))
	}
	const asks = "Unlock Security Device"
	d.write(t, "wrong", "00000000\n")
	first := d.window(t, asks)
	enter(first, "wrong")
	enter(d.window(t, asks, first), "pin")
	select {
	case who := <-came:
		if !strings.HasPrefix(who, "CN=two by ") {
			t.Errorf("the server sees %s", who)
		}
		t.Logf("the server sees %s", who)
	case <-time.After(browserLimit):
		t.Fatal("Chromium does not come with the certificate")
	}
	d.window(t, "Welcome - Chromium")
}

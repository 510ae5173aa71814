//go:build e2e && linux

package pkcs11

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// client builds the program of testdata/signclient.c against the module's own
// declarations.
func (d *desk) client(t testing.TB) string {
	t.Helper()
	path := d.path("signclient")
	args := []string{"-O2", "-Wall", "-Wextra", "-Werror", "-I../../cmd/libkaztoken-pkcs11", "-o", path, "testdata/signclient.c", "-ldl", "-lpthread"}
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return path
}

// running is a client that goes on.
type running struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	errs  bytes.Buffer
}

func (d *desk) start(t testing.TB, args ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command(args[0], args[1:]...)}
	r.cmd.Env, r.cmd.Dir, r.cmd.Stderr = d.env, d.dir, &r.errs
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.in, r.lines = in, bufio.NewScanner(out)
	return r
}

// line gives the next line that the client prints, which it has to within limit.
func (r *running) line(t testing.TB) string {
	t.Helper()
	defer time.AfterFunc(limit, func() { r.cmd.Process.Kill() }).Stop()
	if !r.lines.Scan() {
		r.cmd.Wait()
		t.Fatalf("%v ended early: %s", r.cmd.Args, r.errs.Bytes())
	}
	return r.lines.Text()
}

// away are the codes that a call may return while there is no token, or right
// after there was none: nothing else, and above all no signature that is wrong.
var away = map[string]string{"0": "CKR_OK", "0x32": "CKR_DEVICE_REMOVED", "0xe0": "CKR_TOKEN_NOT_PRESENT"}

// TestLoad: four processes of sixteen threads each sign while the token is taken
// away and brought back with its service. Every signature is right, every code is
// one of an absent token, and all of them sign again afterwards.
func TestLoad(t *testing.T) {
	const processes, threads = 4, 16
	d := newDesk(t)
	client := d.client(t)
	d.tool(t, nil, login("--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "one")...)
	var clients []*running
	for range processes {
		clients = append(clients, d.start(t, client, "load", built.module, d.path("pin"), strconv.Itoa(threads)))
	}
	// They have worked before each time, because all of them have signed.
	signed := func() {
		t.Helper()
		for _, c := range clients {
			fmt.Fprintln(c.in, "back")
		}
		for i, c := range clients {
			if line := c.line(t); line != "all" {
				t.Fatalf("process %d: %q", i, line)
			}
		}
	}
	signed()
	for range 3 {
		d.unplug(t)
		d.plug(t)
		signed()
	}
	for _, c := range clients {
		c.in.Close()
	}
	for i, c := range clients {
		summary := c.line(t)
		if !strings.HasSuffix(summary, ", wrong 0") {
			t.Errorf("process %d: %s", i, summary)
		}
		var codes []string
		for c.lines.Scan() {
			codes = append(codes, c.lines.Text())
			if f := strings.Fields(c.lines.Text()); len(f) < 2 || away[f[1]] == "" {
				t.Errorf("process %d: %s", i, c.lines.Text())
			}
		}
		t.Logf("process %d: %s; %s", i, summary, strings.Join(codes, ", "))
		if err := c.cmd.Wait(); err != nil {
			t.Errorf("process %d: %v: %s", i, err, c.errs.Bytes())
		}
	}
}

//go:build e2e && linux

package panel

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programPath is the program as it is shipped, static.
var programPath string

// buildProgram builds it into a folder.
func buildProgram(dir string) (path string, err error) {
	path = filepath.Join(dir, "kaztoken")
	c := exec.Command("go", "build", "-trimpath", "-o", path, "kaztoken/cmd/kaztoken")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return path, nil
}

// home is a person's home: settings, state and files.
type home struct {
	dir string
	env []string
}

func newHome(t *testing.T) *home {
	dir := t.TempDir()
	h := &home{dir: dir, env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}}
	for _, name := range []string{"CONFIG", "STATE", "CACHE", "RUNTIME"} {
		sub := filepath.Join(dir, name)
		if err := os.Mkdir(sub, 0o700); err != nil {
			t.Fatal(err)
		}
		variable := "XDG_" + name + "_HOME"
		if name == "RUNTIME" {
			variable = "XDG_RUNTIME_DIR"
		}
		h.env = append(h.env, variable+"="+sub)
	}
	// No test finds a smart-card service of this machine.
	h.env = append(h.env, "PCSCLITE_CSOCK_NAME="+filepath.Join(dir, "none"))
	return h
}

// settings is the path of the settings.
func (h *home) settings() string { return filepath.Join(h.dir, "CONFIG", "kaztoken", "config.toml") }

// run runs a command of the program to its end.
func (h *home) run(t *testing.T, args ...string) string {
	t.Helper()
	c := exec.Command(programPath, args...)
	c.Env = h.env
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("kaztoken %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// server is a panel that is running.
type server struct {
	home  *home
	args  []string
	entry string // the one-time address
	cmd   *exec.Cmd
	log   *lockedBuffer
	once  sync.Once
	err   error
}

// lockedBuffer collects what a program writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts the panel of a home, which ends with the test.
func (h *home) serve(t *testing.T, args ...string) *server {
	t.Helper()
	return h.start(t, append([]string{"--no-browser"}, args...)...)
}

// start is serve for a panel that may open a browser.
func (h *home) start(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{home: h, args: args, log: new(lockedBuffer)}
	s.cmd = exec.Command(programPath, append([]string{"panel", "--json"}, args...)...)
	s.cmd.Env = h.env
	s.cmd.Stderr = s.log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Errorf("the panel ends with %v\n%s", err, s.log)
		}
	})
	var said struct{ URL string }
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &said)
	}
	if err != nil {
		t.Fatalf("the panel says %q: %v\n%s", line, err, s.log)
	}
	go io.Copy(s.log, out) // ends with the program
	s.entry = said.URL
	return s
}

// virtual starts a panel with a token in software.
func virtual(t *testing.T, args ...string) *server {
	t.Helper()
	return newHome(t).serve(t, append([]string{"--backend", "virtual"}, args...)...)
}

// again makes another one-time address, by a second start, which finds the first.
func (s *server) again(t *testing.T) {
	t.Helper()
	var said struct {
		URL    string
		Reused bool
	}
	out := s.home.run(t, append([]string{"panel", "--json"}, s.args...)...)
	if err := json.Unmarshal([]byte(out), &said); err != nil || !said.Reused {
		t.Fatalf("the second start says %q, %v", out, err)
	}
	s.entry = said.URL
}

// address is where the panel is, without the secret.
func (s *server) address() string {
	u, err := url.Parse(s.entry)
	if err != nil {
		panic(err) // the browser has taken it
	}
	return "http://" + u.Host
}

// stop ends the panel as a service manager would.
func (s *server) stop() error {
	s.once.Do(func() {
		// One that has found another running has ended already.
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && err != os.ErrProcessDone {
			s.err = err
			return
		}
		ended := make(chan error, 1)
		go func() { ended <- s.cmd.Wait() }()
		select {
		case s.err = <-ended:
		case <-time.After(20 * time.Second):
			s.cmd.Process.Kill()
			<-ended
			s.err = fmt.Errorf("it did not end")
		}
	})
	return s.err
}

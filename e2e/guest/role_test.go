//go:build e2e && linux

package guest

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// helper is a process of this binary in one of its roles.
type helper struct {
	role    string
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers chan string
}

// answerLimit bounds a helper's answer. The machine is slow; nothing a helper
// does takes a tenth of it.
const answerLimit = 20 * time.Second

// startHelper starts a role; it ends with the test, or with endHelper.
func startHelper(t testing.TB, role string, env ...string) *helper {
	t.Helper()
	h := &helper{role: role, cmd: exec.Command("/proc/self/exe"), answers: make(chan string)}
	h.cmd.Env = append(append(os.Environ(), roleVariable+"="+role), env...)
	h.cmd.Stderr = t.Output()
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var err error
	if h.in, err = h.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(h.answers)
		for s := bufio.NewScanner(out); s.Scan(); {
			h.answers <- s.Text()
		}
	}()
	t.Cleanup(h.end)
	return h
}

// say sends one command and returns the answer to it.
func (h *helper) say(t testing.TB, format string, args ...any) string {
	t.Helper()
	command := fmt.Sprintf(format, args...)
	if _, err := fmt.Fprintln(h.in, command); err != nil {
		t.Fatalf("%s: %s: %v", h.role, command, err)
	}
	select {
	case answer, ok := <-h.answers:
		if problem, bad := strings.CutPrefix(answer, "error "); bad || !ok {
			t.Fatalf("%s: %s: %s (alive: %v)", h.role, command, problem, ok)
		}
		return answer
	case <-time.After(answerLimit):
		t.Fatalf("%s: %s: no answer in %v", h.role, command, answerLimit)
		return ""
	}
}

func (h *helper) end() {
	h.in.Close()
	killed := time.AfterFunc(answerLimit, func() { h.cmd.Process.Kill() })
	defer killed.Stop()
	for range h.answers { // nothing is read twice, and Wait may close the pipe
	}
	h.cmd.Wait()
}

// serve answers the commands of standard input until it ends.
func serve(do func(command string, args []string) (string, error)) error {
	s := bufio.NewScanner(os.Stdin)
	for s.Scan() {
		words := strings.Fields(s.Text())
		if len(words) == 0 {
			continue
		}
		answer, err := do(words[0], words[1:])
		if err != nil {
			answer = "error " + err.Error()
		}
		fmt.Println(answer)
	}
	return s.Err()
}

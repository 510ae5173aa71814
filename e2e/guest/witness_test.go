//go:build e2e && linux

package guest

import (
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A witness is a program that prints what it is told of. What it says is stamped
// when it comes in, so that it may lie there for a while.
type witness struct {
	name  string
	cmd   *exec.Cmd
	said  chan stampedWord // closed with its output
	words map[string]string
}

type stampedWord struct {
	event string
	at    time.Time
}

// witnessQueue is how many events of a witness may wait to be asked for.
const witnessQueue = 1000

// startWitness starts a program that tells of events with certain words.
func startWitness(t testing.TB, words map[string]string, program string, args ...string) *witness {
	t.Helper()
	w := &witness{name: program, cmd: exec.Command(program, args...), said: make(chan stampedWord, witnessQueue), words: words}
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	w.cmd.Stderr = t.Output()
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(w.said)
		var text string
		buf := make([]byte, 4096)
		for {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			at := time.Now()
			text += string(buf[:n])
			for {
				event, rest, ok := w.first(text)
				if !ok {
					break
				}
				w.said <- stampedWord{event, at}
				text = rest
			}
			text = text[max(0, len(text)-len(buf)):] // longer than any word
		}
	}()
	t.Cleanup(w.end)
	return w
}

// first finds the event that a text tells of first, and what comes behind it.
func (w *witness) first(text string) (event, rest string, ok bool) {
	at := len(text)
	for e, word := range w.words {
		if i := strings.Index(text, word); i >= 0 && i < at {
			at, event, rest, ok = i, e, text[i+len(word):], true
		}
	}
	return event, rest, ok
}

// ready has nothing to wait for: these programs compare what they know with what
// they are told.
func (w *witness) ready(testing.TB) {}

func (w *witness) stamp(t testing.TB, event string) time.Time {
	t.Helper()
	select {
	case s, ok := <-w.said:
		if !ok || s.event != event {
			t.Fatalf("%s told of %q (alive: %v), want %q", w.name, s.event, ok, event)
		}
		return s.at
	case <-time.After(dialogueLimit):
		t.Fatalf("%s: not told of %q in %v", w.name, event, dialogueLimit)
	}
	panic("not reached")
}

func (w *witness) end() {
	if w.cmd.ProcessState != nil {
		return
	}
	w.cmd.Process.Kill()
	for range w.said { // the pipe is read to its end
	}
	w.cmd.Wait()
}

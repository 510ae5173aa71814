package cli

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openPTY makes a pseudo-terminal: the person's side and the program's.
func openPTY(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return person, program
}

// TestTerminal types on a real terminal: a secret is not echoed, a line is, and
// the modes are as before afterwards.
func TestTerminal(t *testing.T) {
	person, program := openPTY(t)
	before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	c := newTTY(program)
	shown := bufio.NewReader(person)
	until := func(end string) string {
		t.Helper()
		var b strings.Builder
		for !strings.HasSuffix(b.String(), end) {
			r, err := shown.ReadByte()
			if err != nil {
				t.Fatalf("after %q: %v", b.String(), err)
			}
			b.WriteByte(r)
		}
		return b.String()
	}
	typing := func(s string) {
		t.Helper()
		if _, err := person.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}

	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer)
	go func() {
		fmt.Fprint(c, "PIN: ")
		s, err := c.ReadSecret(t.Context())
		answers <- answer{string(s.Bytes()), err}
		s.Wipe()
		line, err := c.ReadLine(t.Context())
		answers <- answer{line, err}
		fmt.Fprint(c, "PIN: ")
		_, err = c.ReadSecret(t.Context())
		answers <- answer{"", err}
	}()
	until("PIN: ")
	waitRaw(t, program)
	typing("1234\x7f5\r")
	if a := <-answers; a.err != nil || a.text != "1235" {
		t.Errorf("secret %q, %v", a.text, a.err)
	}
	if echo := until("\n"); strings.ContainsAny(echo, "12345") {
		t.Errorf("the terminal shows %q", echo)
	}
	typing("yes\n")
	if a := <-answers; a.err != nil || a.text != "yes" {
		t.Errorf("line %q, %v", a.text, a.err)
	}
	if echo := until("PIN: "); !strings.Contains(echo, "yes") {
		t.Errorf("the terminal shows %q", echo)
	}
	waitRaw(t, program)
	typing("12\x03") // Ctrl-C is a byte here, not a signal
	if a := <-answers; a.err == nil || !errors.Is(a.err, t.Context().Err()) && a.err.Error() != "context canceled" {
		t.Errorf("Ctrl-C: %v", a.err)
	}
	after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	if err != nil || *after != *before {
		t.Errorf("modes %v before, %v after, %v", before, after, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// waitRaw waits until the terminal echoes nothing any more. What is typed
// sooner is echoed, as on any prompt.
func waitRaw(t *testing.T, f *os.File) {
	t.Helper()
	for {
		m, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if m.Lflag&unix.ECHO == 0 {
			return
		}
	}
}

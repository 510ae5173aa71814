package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func TestReadSecret(t *testing.T) {
	for _, c := range []struct {
		name, typed, want string
		err               error
	}{
		{"a PIN", "12345678\r", "12345678", nil},
		{"a newline", "1\n", "1", nil},
		{"nothing", "\r", "", nil},
		{"letters of two bytes", "әң\r", "әң", nil},
		{"backspace", "12\x7f3\b4\r", "14", nil},
		{"backspace over a letter of two bytes", "1ә\x7f2\r", "12", nil},
		{"backspace too often", "1\x7f\x7f\x7f2\r", "2", nil},
		{"start over", "123\x154\r", "4", nil},
		{"other control characters", "1\x1b\x002\r", "12", nil},
		{"Ctrl-C", "12\x03", "", context.Canceled},
		{"Ctrl-D", "12\x04", "", context.Canceled},
		{"the end", "12", "", io.EOF},
		{"the longest", strings.Repeat("x", maxSecret) + "\r", strings.Repeat("x", maxSecret), nil},
		{"too long", strings.Repeat("x", maxSecret+1) + "\r", "", errTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := strings.NewReader(c.typed)
			var shown bytes.Buffer
			s, err := readSecret(in.ReadByte, &shown)
			defer s.Wipe()
			if !errors.Is(err, c.err) || string(s.Bytes()) != c.want {
				t.Errorf("got %q, %v, want %q, %v", s.Bytes(), err, c.want, c.err)
			}
			if shown.String() != "\r\n" {
				t.Errorf("shows %q, want a new line", shown.String())
			}
		})
	}
}

// pipeTTY is a tty over a pipe, which can be read like one but has no modes.
func pipeTTY(t *testing.T) (*tty, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return newTTY(r), w
}

func TestReadLine(t *testing.T) {
	c, w := pipeTTY(t)
	if _, err := w.WriteString("yes\n\n" + strings.Repeat("x", maxSecret+1)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"yes", ""} {
		if got, err := c.ReadLine(t.Context()); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := c.ReadLine(t.Context()); !errors.Is(err, errTooLong) {
		t.Errorf("a line without end: %v", err)
	}
	w.Close()
	if _, err := c.ReadLine(t.Context()); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestReadLineInterrupted(t *testing.T) {
	c, w := pipeTTY(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.ReadLine(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	// What is typed afterwards is not lost.
	if _, err := w.WriteString("ab\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := c.ReadLine(t.Context()); err != nil || got != "ab" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	// No modes, no secrets.
	c, _ = pipeTTY(t)
	defer c.Close()
	if _, err := c.ReadSecret(t.Context()); err == nil || !strings.Contains(err.Error(), "echo") {
		t.Errorf("a pipe's echo was switched off: %v", err)
	}
}

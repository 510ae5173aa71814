package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf8"

	"golang.org/x/term"

	"kaztoken/internal/secret"
)

// Console is the terminal of a person, which a program can ask whatever its
// standard streams are. Write shows something there.
type Console interface {
	io.WriteCloser
	// ReadLine reads a line that is shown as it is typed, without its end.
	ReadLine(ctx context.Context) (string, error)
	// ReadSecret reads a line that is not shown. The caller wipes it.
	ReadSecret(ctx context.Context) (*secret.Bytes, error)
}

// maxSecret bounds a PIN or password, in bytes, wherever it comes from.
const maxSecret = 4096

// errTooLong: a line has more than maxSecret bytes.
var errTooLong = fmt.Errorf("a PIN, password or answer of more than %d bytes", maxSecret)

// openConsole opens the controlling terminal.
func openConsole() (Console, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return newTTY(f), nil
}

// tty is a Console on a terminal. One goroutine reads it for as long as it is
// open, because a read of a terminal cannot always be interrupted.
type tty struct {
	*os.File
	want  chan struct{} // a byte is wanted
	bytes chan byte
	err   error // valid when bytes is closed
	quit  chan struct{}
}

func newTTY(f *os.File) *tty {
	t := &tty{File: f, want: make(chan struct{}), bytes: make(chan byte), quit: make(chan struct{})}
	go t.read()
	return t
}

// read hands over one byte each time that one is wanted. It ends with Close or,
// if the system cannot interrupt the read, with the next byte or the process.
func (t *tty) read() {
	defer close(t.bytes)
	var b [1]byte
	for {
		select {
		case <-t.want:
		case <-t.quit:
			return
		}
		if _, err := t.File.Read(b[:]); err != nil {
			t.err = err
			return
		}
		select {
		case t.bytes <- b[0]:
			b[0] = 0
		case <-t.quit:
			return
		}
	}
}

// Close lets the terminal go.
func (t *tty) Close() error {
	close(t.quit)
	return t.File.Close()
}

// next is the next byte that is typed.
func (t *tty) next(ctx context.Context) (byte, error) {
	select {
	case t.want <- struct{}{}:
	case b, ok := <-t.bytes: // wanted by a call that gave up, or closed
		if !ok {
			return 0, t.err
		}
		return b, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case b, ok := <-t.bytes:
		if !ok {
			return 0, t.err
		}
		return b, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// ReadLine leaves echo and editing to the terminal.
func (t *tty) ReadLine(ctx context.Context) (string, error) {
	var line []byte
	for {
		b, err := t.next(ctx)
		if err != nil {
			return "", err
		}
		if b == '\n' {
			return string(line), nil
		}
		if len(line) == maxSecret {
			return "", errTooLong
		}
		line = append(line, b)
	}
}

// ReadSecret reads in raw mode, byte by byte into one buffer, so that no copy
// of a part of the secret stays behind.
func (t *tty) ReadSecret(ctx context.Context) (_ *secret.Bytes, err error) {
	fd := int(t.Fd())
	state, err := term.MakeRaw(fd)
	if err != nil {
		return nil, fmt.Errorf("switch the echo off: %w", err)
	}
	defer func() { err = errors.Join(err, term.Restore(fd, state)) }()
	return readSecret(func() (byte, error) { return t.next(ctx) }, t)
}

// Control characters that a line is edited with.
const (
	ctrlC     = 0x03
	ctrlD     = 0x04
	backspace = 0x08
	ctrlU     = 0x15
	del       = 0x7F
)

// readSecret edits a line that is not shown, from bytes as a terminal in raw
// mode gives them, and moves w to the next line.
func readSecret(next func() (byte, error), w io.Writer) (*secret.Bytes, error) {
	buf := make([]byte, 0, maxSecret)
	defer func() { secret.Wipe(buf[:cap(buf)]) }()
	for {
		b, err := next()
		if err != nil {
			io.WriteString(w, "\r\n")
			return nil, err
		}
		switch b {
		case '\r', '\n':
			io.WriteString(w, "\r\n")
			return secret.Copy(buf), nil
		case ctrlC, ctrlD:
			io.WriteString(w, "\r\n")
			return nil, context.Canceled
		case backspace, del:
			_, n := utf8.DecodeLastRune(buf)
			buf = buf[:len(buf)-n]
		case ctrlU:
			buf = buf[:0]
		default:
			if b < ' ' {
				continue
			}
			if len(buf) == maxSecret {
				io.WriteString(w, "\r\n")
				return nil, errTooLong
			}
			buf = append(buf, b)
		}
	}
}

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kaztoken/internal/secret"
	"kaztoken/internal/words"
)

// secretFlags say where a PIN or password comes from: a file or a descriptor.
// There is no way to write one on the command line or into the environment,
// where others can see it.
type secretFlags struct {
	name string // of the flags: "pin", "new-pin", …
	file string
	fd   int
}

// noFD is the value of --…-fd that is not given.
const noFD = -1

// add adds --NAME-file and --NAME-fd.
func (s *secretFlags) add(c *cobra.Command, name, what string) {
	f := c.Flags()
	s.name = name
	f.StringVar(&s.file, name+"-file", "", "read "+what+" from the first line of `FILE`")
	f.IntVar(&s.fd, name+"-fd", noFD, "read "+what+" from a line of the open descriptor `N`; 0 is standard input")
	f.Lookup(name + "-fd").DefValue = "0" // what pflag takes for nothing to show in the help
}

func (s *secretFlags) given() bool { return s.file != "" || s.fd != noFD }

// readSecretFrom reads what the flags name, nil if they name nothing.
func (a *app) readSecretFrom(s *secretFlags) (*secret.Bytes, error) {
	switch {
	case s.file != "" && s.fd != noFD:
		return nil, &usageError{fmt.Errorf("--%s-file and --%s-fd exclude each other", s.name, s.name)}
	case s.file != "":
		f, err := os.Open(s.file)
		if err != nil {
			return nil, &fileError{err}
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0 {
			a.warn("warn.readable", "file", s.file)
		}
		b, err := firstLine(f)
		return b, inFile(s.file, err)
	case s.fd != noFD:
		r, err := a.descriptor(s.fd)
		if err != nil {
			return nil, err
		}
		b, err := firstLine(r)
		return b, inFile(fmt.Sprintf("descriptor %d", s.fd), err)
	}
	return nil, nil
}

// descriptor gives an open descriptor of this process. Several flags may name
// the same one: each takes its next line.
func (a *app) descriptor(fd int) (io.Reader, error) {
	if fd == 0 {
		return a.In, nil
	}
	if fd < 0 {
		return nil, &usageError{fmt.Errorf("descriptor %d cannot be", fd)}
	}
	if r, ok := a.descriptors[fd]; ok {
		return r, nil
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("descriptor %d", fd))
	if _, err := f.Stat(); err != nil {
		return nil, &fileError{err}
	}
	if a.descriptors == nil {
		a.descriptors = make(map[int]*os.File)
	}
	a.descriptors[fd] = f
	return f, nil
}

// firstLine reads a line byte by byte, so that what follows it stays unread,
// and cuts its end. At its end the input may lack the newline.
func firstLine(r io.Reader) (*secret.Bytes, error) {
	buf := make([]byte, 0, maxSecret+2)
	defer func() { secret.Wipe(buf[:cap(buf)]) }()
	for {
		n, err := r.Read(buf[len(buf) : len(buf)+1])
		buf = buf[:len(buf)+n]
		line, ended := bytes.CutSuffix(buf, []byte("\n"))
		if ended || errors.Is(err, io.EOF) {
			line = bytes.TrimSuffix(line, []byte("\r"))
			if len(line) > maxSecret {
				return nil, errTooLong
			}
			if len(line) == 0 {
				return nil, errNoSecret
			}
			return secret.Copy(line), nil
		}
		if err != nil {
			return nil, &fileError{err}
		}
		if len(buf) == cap(buf) {
			return nil, errTooLong
		}
	}
}

var (
	// errNoSecret: the line that should be a PIN or password is empty.
	errNoSecret = errors.New("no PIN or password was entered")
	// errDiffer: a new PIN was typed in two ways.
	errDiffer = errors.New("the two PINs are not the same")
)

// fileError is a file of the host that cannot be read or written.
type fileError struct{ err error }

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

// inFile says which file an error is about.
func inFile(name string, err error) error {
	var f *fileError
	if err == nil || errors.As(err, &f) { // the file system names it
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// noTerminalError: something has to be asked and there is nobody to ask.
type noTerminalError struct {
	hint   words.Key
	values []any
}

func (e *noTerminalError) Error() string { return "there is no terminal to ask on" }

// withConsole hands the terminal to f. Without one the error carries what to do
// instead.
func (a *app) withConsole(instead noTerminalError, f func(Console) error) (err error) {
	c, err := a.Console()
	if err != nil {
		return &instead
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	return f(c)
}

// askSecret gets a secret from where the flags say or else asks for it. Twice
// asks again and compares. The caller wipes the secret.
func (a *app) askSecret(ctx context.Context, s *secretFlags, twice bool, prompt words.Key, values ...any) (*secret.Bytes, error) {
	b, err := a.readSecretFrom(s)
	if b != nil || err != nil {
		return b, err
	}
	instead := noTerminalError{"hint.secret", []any{"file", "--" + s.name + "-file FILE", "fd", "--" + s.name + "-fd N"}}
	err = a.withConsole(instead, func(c Console) error {
		fmt.Fprint(c, a.words.Text(prompt, values...))
		if b, err = c.ReadSecret(ctx); err != nil {
			return err
		}
		if b.Len() == 0 {
			return errNoSecret
		}
		if !twice {
			return nil
		}
		fmt.Fprint(c, a.words.Text("newpin2")+": ")
		again, err := c.ReadSecret(ctx)
		if err != nil {
			return err
		}
		defer again.Wipe()
		if !b.Equal(again.Bytes()) {
			return errDiffer
		}
		return nil
	})
	if err != nil {
		b.Wipe()
		return nil, err
	}
	return b, nil
}

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"kaztoken/bridge/wire"
	"kaztoken/internal/secret"
)

const (
	// DefaultPath is where the service listens.
	DefaultPath = "/run/pcscd/pcscd.comm"
	// PathVariable is the environment variable that names another place.
	PathVariable = "PCSCLITE_CSOCK_NAME"
)

// Getenv looks a variable up in the environment. A library in a program that is
// not Go's replaces it before anything else is done here: Go's own copy of the
// environment is of the time when the program began.
var Getenv = os.Getenv

// Path is the socket that [Dial] takes by default: that of PathVariable, else
// DefaultPath. As in the library, a program that runs with the rights of another
// user does not look at the variable.
func Path() string {
	if os.Getuid() == os.Geteuid() && os.Getgid() == os.Getegid() {
		if path := Getenv(PathVariable); path != "" {
			return path
		}
	}
	return DefaultPath
}

// queueFull is how long to wait when the service has not taken the connections
// before this one; pcscd lets one wait.
const queueFull = 10 * time.Millisecond

// link is one connection that has agreed on a protocol. It belongs to one
// goroutine; only closing nc may come from another.
type link struct {
	nc      io.ReadWriteCloser
	minor   int32 // of the protocol in force
	dialect wire.Dialect
	early   bool  // the event of a wait came before its time
	broken  error // why nothing more can be said on it

	in  []byte // in[:end] was read and belongs to the answer that is being read
	end int
}

// dial connects to the service at a path and agrees on a protocol.
func dial(ctx context.Context, path string) (*link, error) {
	var d net.Dialer
	for {
		nc, err := d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
		switch {
		case err == nil:
			return greet(ctx, nc)
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, context.DeadlineExceeded): // the dialer looks at it itself, and may be first
			return nil, context.DeadlineExceeded
		}
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // who reads it knows the path
		}
		switch {
		case errors.Is(err, os.ErrPermission):
			return nil, &Error{Code: wire.SecurityViolation, Err: err}
		case !errors.Is(err, syscall.EAGAIN):
			return nil, &Error{Code: wire.NoService, Err: err}
		}
		if err := sleep(ctx, queueFull); err != nil {
			return nil, err
		}
	}
}

// greet agrees on a protocol over a new connection, which it owns.
func greet(ctx context.Context, nc net.Conn) (*link, error) {
	l := &link{nc: nc}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err := l.negotiate()
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	if l.nc, err = settle(nc); err != nil {
		return nil, err
	}
	return l, nil
}

// minMinor is the oldest protocol that is spoken here: from 4:4 on a wait
// begins with the state of the readers.
const minMinor = 4

// negotiate offers the newest protocol and, if the service has an older one,
// that one on the same connection.
func (l *link) negotiate() error {
	offered := int32(wire.MaxMinor)
	v, err := l.version(offered)
	if err == nil && v.Result == wire.ServiceStopped && v.Major == wire.Major && v.Minor >= minMinor && v.Minor < offered {
		offered = v.Minor
		v, err = l.version(offered)
	}
	switch {
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		// It closed without reading what it was sent: so it turns clients away.
		return &Error{Code: wire.SecurityViolation, Err: err}
	case err != nil:
		return err
	case v.Result != wire.Success && v.Result != wire.ServiceStopped:
		return v.Result
	}
	l.minor = min(offered, v.Minor)
	l.dialect, _ = wire.DialectOf(l.minor)
	if v.Result != wire.Success || v.Major != wire.Major || l.minor < minMinor {
		return &Error{Code: wire.ServiceStopped, Err: fmt.Errorf(
			"it speaks protocol %v, this program %d:%d to %d:%d", v, wire.Major, minMinor, wire.Major, wire.MaxMinor)}
	}
	return nil
}

func (l *link) version(minor int32) (wire.Version, error) {
	b, err := l.ask(wire.CmdVersion, wire.Version{Major: wire.Major, Minor: minor}.AppendTo(nil), wire.VersionSize)
	if err != nil {
		return wire.Version{}, err
	}
	return wire.ParseVersion(b)
}

// ask sends one command and reads the fixed part of its answer, of size bytes.
// Data goes behind the structure.
func (l *link) ask(command wire.Command, structure []byte, size int, data ...byte) ([]byte, error) {
	msg := make([]byte, 0, wire.HeaderSize+len(structure)+len(data))
	msg = wire.Header{Size: uint32(len(structure)), Command: command}.AppendTo(msg)
	msg = append(append(msg, structure...), data...)
	defer secret.Wipe(msg)
	if err := l.send(msg); err != nil {
		return nil, err
	}
	return l.receive(size)
}

// order is a command without a structure.
func order(command wire.Command) []byte { return wire.Header{Command: command}.AppendTo(nil) }

func (l *link) send(b []byte) error {
	if l.broken != nil {
		return l.broken
	}
	if _, err := l.nc.Write(b); err != nil {
		l.broken = err
	}
	return l.broken
}

// receive reads n bytes; the caller has checked n.
func (l *link) receive(n int) ([]byte, error) {
	if l.broken != nil {
		return nil, l.broken
	}
	b := make([]byte, n)
	early := copy(b, l.in[:l.end])
	l.end = copy(l.in, l.in[early:l.end])
	if _, err := io.ReadFull(l.nc, b[early:]); err != nil {
		l.broken = err
		return nil, err
	}
	return b, nil
}

// malformed ends the link: what the service said makes no sense, so where its
// next answer begins is not known either.
func (l *link) malformed(format string, args ...any) error {
	l.broken = fmt.Errorf("%w: %s", ErrAnswer, fmt.Sprintf(format, args...))
	return l.broken
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

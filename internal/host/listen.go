package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/udev"
)

// DefaultSocket is where every program looks for the PC/SC service that does not
// read another path in PCSCLITE_CSOCK_NAME.
const DefaultSocket = "/run/pcscd/pcscd.comm"

// SocketVariable is the variable in which programs find another path.
const SocketVariable = "PCSCLITE_CSOCK_NAME"

// maxSocket is the longest path of a socket: sun_path of 108 bytes with its zero,
// less what [statusPath] adds.
const maxSocket = 107 - len(statusSuffix)

// greeting bounds how long a service that may be alive has to say so.
const greeting = 2 * time.Second

// ServedError says that another service has the socket.
type ServedError struct {
	Socket string
	Holder udev.Holder // who listens; a PID of 0 if the system does not say
	UID    int         // of the holder; -1 if the system does not say
	// Version is what the holder answered to a client's greeting; the zero Version
	// if it did not answer. One that answers nothing may be about to.
	Version wire.Version
}

func (e *ServedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is served by ", e.Socket)
	if e.Holder.PID == 0 {
		b.WriteString("another process")
	} else {
		fmt.Fprintf(&b, "%v of user %d", e.Holder, e.UID)
	}
	if e.Version == (wire.Version{}) {
		b.WriteString(", which does not answer")
	} else {
		fmt.Fprintf(&b, ", which speaks protocol %v", e.Version)
	}
	return b.String()
}

// stopManaged ends a service whose socket the service manager keeps.
const stopManaged = "sudo systemctl stop pcscd.socket pcscd.service kaztoken.socket kaztoken.service"

// explainListen adds to an error of listen what the user can do about it.
func explainListen(err error) error {
	const option = "--socket PATH"
	var e *ServedError
	switch {
	case errors.As(err, &e):
	case errors.Is(err, fs.ErrPermission):
		return &HintError{err, "hint.root", []any{"option", option}}
	default:
		return err
	}
	switch e.Holder.Name {
	case "pcscd":
		return &HintError{err, "hint.served", []any{"command", stopPCSC, "option", option}}
	case "systemd":
		return &HintError{err, "hint.served", []any{"command", stopManaged, "option", option}}
	}
	return &HintError{err, "hint.socket", []any{"option", option}}
}

// endpoint is the socket of a service and what lies beside it.
type endpoint struct {
	listener net.Listener
	path     string
	made     fs.FileInfo // of the socket, if it was made here
	pid      *os.File    // locked while the service runs; nil without
	named    bool        // pid names this process
}

// listen makes a socket for a service, mode 0666, in a directory that it makes
// with mode 0755 if there is none, and a pid file beside it. The socket of a
// service that has died is removed. A service that lives is a [ServedError].
func listen(ctx context.Context, path string) (_ *endpoint, err error) {
	if len(path) > maxSocket {
		return nil, fmt.Errorf("socket %s: a path of more than %d bytes", path, maxSocket)
	}
	if err := makeDirectory(filepath.Dir(path)); err != nil {
		return nil, err
	}
	e := &endpoint{path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	// Who has the lock is the only one of us who removes and makes sockets here. A
	// service that answers explains why the lock cannot be had.
	locked := e.lock()
	if err := vacate(ctx, path, locked == nil); err != nil {
		return nil, err
	}
	if locked != nil {
		return nil, locked
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // close looks whose it is
	e.listener = l
	if e.made, err = os.Lstat(path); err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, err
	}
	return e, e.writePID()
}

// makeDirectory makes the directory of a socket, unless it is there.
func makeDirectory(dir string) error {
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, 0o755) // whatever the umask took
}

// adopt makes an endpoint of a socket that the service manager has made and
// keeps. The pid file may be missing then.
func adopt(l net.Listener) (*endpoint, error) {
	e := &endpoint{listener: l, path: l.Addr().String()}
	err := e.lock()
	if err == nil {
		err = e.writePID()
	}
	return e, err
}

// PIDFile is the file in which the service of a socket writes its process: the
// one of pcscd for pcscd's own name.
func PIDFile(socket string) string {
	if base, ok := strings.CutSuffix(socket, ".comm"); ok {
		return base + ".pid"
	}
	return socket + ".pid"
}

// lock opens the pid file and locks it. One that another process has locked is a
// [ServedError].
func (e *endpoint) lock() error {
	path := PIDFile(e.path)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o644)
		if err != nil {
			return err
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			defer f.Close()
			return &ServedError{Socket: e.path, Holder: pidIn(f), UID: ownerOf(path)}
		}
		if err == nil {
			// Its owner may have removed it before it was locked here.
			mine, err := f.Stat()
			if now, e2 := os.Lstat(path); err == nil && e2 == nil && os.SameFile(mine, now) {
				e.pid = f
				return nil
			}
			f.Close()
			continue
		}
		f.Close()
		return fmt.Errorf("lock %s: %w", path, err)
	}
}

// pidIn is the process that a pid file names.
func pidIn(f *os.File) udev.Holder {
	text, err := io.ReadAll(io.LimitReader(f, 32))
	if err != nil {
		return udev.Holder{}
	}
	pid, err := strconv.Atoi(strings.TrimRight(string(text), "\n\x00")) // pcscd ends it with a zero byte
	if err != nil || pid <= 0 {
		return udev.Holder{}
	}
	return udev.Holder{PID: pid, Name: programOf(pid)}
}

// ownerOf is the uid of a file's owner, -1 if that is not known.
func ownerOf(path string) int {
	info, err := os.Lstat(path)
	if err != nil {
		return -1
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

func (e *endpoint) writePID() error {
	err := e.pid.Truncate(0)
	if err == nil {
		_, err = e.pid.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	e.named = err == nil
	if err == nil {
		err = e.pid.Chmod(0o644) // whatever the umask took
	}
	return err
}

// vacate makes sure that nobody listens at a path, and removes the socket that
// one who has died left there, if it may.
func vacate(ctx context.Context, path string, remove bool) error {
	before, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if before.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("%s is there and is no socket", path)
	}
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	var d net.Dialer
	c, err := d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	switch {
	case err == nil:
		defer c.Close()
		return servedBy(ctx, path, c)
	case !errors.Is(err, syscall.ECONNREFUSED):
		return err
	case !remove:
		return nil
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(before, now) {
		return fmt.Errorf("%s changed while it was looked at", path) // somebody was faster
	}
	return os.Remove(path)
}

// servedBy asks who is at the other end of a connection.
func servedBy(ctx context.Context, path string, c *net.UnixConn) error {
	e := &ServedError{Socket: path, UID: -1}
	if p, err := bridge.PeerOf(c); err == nil && p.PID > 0 {
		e.Holder, e.UID = udev.Holder{PID: p.PID, Name: programOf(p.PID)}, int(p.UID)
	}
	if v, err := greet(ctx, c); err == nil {
		e.Version = v
	}
	return e
}

// greet says what every client says first.
func greet(ctx context.Context, c net.Conn) (wire.Version, error) {
	if end, ok := ctx.Deadline(); ok {
		c.SetDeadline(end)
	}
	b := wire.Header{Size: wire.VersionSize, Command: wire.CmdVersion}.AppendTo(nil)
	b = wire.Version{Major: wire.Major, Minor: 4}.AppendTo(b)
	if _, err := c.Write(b); err != nil {
		return wire.Version{}, err
	}
	answer := make([]byte, wire.VersionSize)
	if _, err := io.ReadFull(c, answer); err != nil {
		return wire.Version{}, err
	}
	return wire.ParseVersion(answer)
}

// close ends the listening and removes what was made for it.
func (e *endpoint) close() error {
	var errs []error
	if e.listener != nil {
		if err := e.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if e.made != nil {
		if now, err := os.Lstat(e.path); err == nil && os.SameFile(e.made, now) {
			errs = append(errs, os.Remove(e.path))
		}
		e.made = nil
	}
	if e.pid != nil {
		// Another service may have written it; an empty one was made by lock.
		info, err := e.pid.Stat()
		if e.named || err == nil && info.Size() == 0 {
			// While it is locked: who opens it later makes a new one.
			errs = append(errs, os.Remove(e.pid.Name()))
		}
		errs = append(errs, e.pid.Close())
		e.pid = nil
	}
	return errors.Join(errs...)
}

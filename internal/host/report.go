package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"kaztoken/bridge"
)

// Report is what a service says of itself, and its JSON form.
type Report struct {
	Program string    `json:"program"` // "kaztoken v1.2.3"
	PID     int       `json:"pid"`
	UID     uint32    `json:"uid"`
	Socket  string    `json:"socket"`
	Started time.Time `json:"started"`
	// Whole: nothing was taken out. Users other than root and the one that the
	// service runs as see of programs of other users only that they hold a card:
	// PID is 0, UID is [Nobody] and Program is empty.
	Whole bool `json:"whole"`
	bridge.Snapshot
}

// Nobody is the UID that no user has: (uid_t)-1.
const Nobody = ^uint32(0)

// seenBy takes out of a report what a user is not to see.
func (r Report) seenBy(uid uint32) Report {
	if uid == 0 || uid == r.UID {
		r.Whole = true
		return r
	}
	hide := func(h *bridge.Holder) {
		if h.UID != uid {
			h.PID, h.UID, h.Program = 0, Nobody, ""
		}
	}
	r.Clients = slices.DeleteFunc(slices.Clone(r.Clients), func(c bridge.ClientStatus) bool { return c.UID != uid })
	r.Readers = slices.Clone(r.Readers)
	for i := range r.Readers {
		d := &r.Readers[i]
		if d.Lock != nil {
			lock := *d.Lock
			hide(&lock)
			d.Lock = &lock
		}
		d.Handles = slices.Clone(d.Handles)
		for j := range d.Handles {
			hide(&d.Handles[j].Holder)
		}
	}
	return r
}

const (
	// statusSuffix makes the path of the socket for status out of the service's.
	statusSuffix = ".status"
	// maxReport bounds a report, bytes.
	maxReport = 8 << 20
	// maxAskers is how many may ask for a report at once; it is made again for each.
	maxAskers = 8
	// asking is how long one may take to receive it.
	asking = 2 * time.Second
	// acceptPause follows a connection that could not be taken: descriptors are
	// short.
	acceptPause = 50 * time.Millisecond
)

func statusPath(socket string) string { return socket + statusSuffix }

// reporter answers everybody who connects to the status socket with one report
// as a line of JSON. There is no request, so there is nothing to parse.
type reporter struct {
	listener *net.UnixListener
	make     func() Report
	// allow says whether a user may know anything at all.
	allow func(bridge.Peer) bool
	wg    sync.WaitGroup
	busy  chan struct{}

	ctx    context.Context // ends with close
	cancel context.CancelFunc
}

// startReporter listens beside the socket of a service, whose owner is the only
// one who does: what lies there is left from a service that has died.
func startReporter(socket string, report func() Report, allow func(bridge.Peer) bool) (*reporter, error) {
	path := statusPath(socket)
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	r := &reporter{listener: l, make: report, allow: allow, busy: make(chan struct{}, maxAskers)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.wg.Go(r.serve)
	return r, nil
}

func (r *reporter) serve() {
	for {
		c, err := r.listener.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			sleep(r.ctx, nil, acceptPause)
			continue
		}
		select {
		case r.busy <- struct{}{}:
		default:
			c.Close()
			continue
		}
		r.wg.Go(func() {
			defer func() { <-r.busy }()
			defer c.Close()
			r.answer(c)
		})
	}
}

func (r *reporter) answer(c *net.UnixConn) {
	p, err := bridge.PeerOf(c)
	if err != nil || !r.allow(p) {
		return
	}
	line, err := json.Marshal(r.make().seenBy(p.UID))
	if err != nil {
		return // nothing in a report cannot be written
	}
	c.SetWriteDeadline(time.Now().Add(asking))
	c.Write(append(line, '\n'))
}

// close ends the listening, and returns when everybody has been answered.
func (r *reporter) close() error {
	r.cancel()
	err := r.listener.Close() // removes the socket
	r.wg.Wait()
	return err
}

// NoServiceError says that no service of ours answers at a socket, or not to this
// user: that is [fs.ErrPermission].
type NoServiceError struct {
	Socket string
	Err    error // why; a [ServedError] if another service is there
}

func (e *NoServiceError) Error() string {
	var served *ServedError
	if errors.As(e.Err, &served) {
		return served.Error() + " and does not tell its status"
	}
	if errors.Is(e.Err, fs.ErrPermission) {
		return fmt.Sprintf("the service at %s does not tell its status to this user", e.Socket)
	}
	return fmt.Sprintf("no service at %s: %v", e.Socket, e.Err)
}

func (e *NoServiceError) Unwrap() error { return e.Err }

// AskStatus asks the service at a socket for its report. The error is a
// [NoServiceError], or that of ctx; [Hint] says what can be done.
func AskStatus(ctx context.Context, socket string) (Report, error) {
	r, err := askStatus(ctx, socket)
	var none *NoServiceError
	if errors.As(err, &none) && errors.Is(err, fs.ErrNotExist) {
		err = &HintError{err, "hint.serve", []any{"command", "kaztoken serve", "option", "--socket PATH"}}
	}
	return r, err
}

func askStatus(ctx context.Context, socket string) (Report, error) {
	var d net.Dialer
	c, err := d.DialUnix(ctx, "unix", nil, &net.UnixAddr{Name: statusPath(socket), Net: "unix"})
	if err != nil {
		if ctx.Err() != nil {
			return Report{}, ctx.Err()
		}
		return Report{}, noService(ctx, socket, err)
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	data, err := io.ReadAll(io.LimitReader(c, maxReport+1))
	switch {
	case ctx.Err() != nil:
		return Report{}, ctx.Err()
	case err == nil && len(data) == 0:
		err = fmt.Errorf("%s: %w", statusPath(socket), fs.ErrPermission)
	case err == nil && len(data) > maxReport:
		err = fmt.Errorf("%s: a report of more than %d bytes", statusPath(socket), maxReport)
	}
	var r Report
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	if err != nil {
		return Report{}, &NoServiceError{socket, err}
	}
	return r, nil
}

// noService finds out why nobody tells a status: the service is another one, or
// there is none.
func noService(ctx context.Context, socket string, cause error) error {
	if errors.Is(cause, fs.ErrPermission) {
		return &NoServiceError{socket, cause}
	}
	if err := vacate(ctx, socket, false); err != nil {
		var served *ServedError
		if errors.As(err, &served) {
			return &NoServiceError{socket, err}
		}
	}
	if errors.Is(cause, syscall.ECONNREFUSED) {
		cause = fmt.Errorf("%w: what listened there has died", fs.ErrNotExist)
	}
	return &NoServiceError{socket, cause}
}

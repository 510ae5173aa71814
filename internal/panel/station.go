package panel

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/secret"
)

const (
	// linger is how long a token stays open after an operation: the pages and
	// clicks that follow at once need not open it again, and other programs that
	// want it for themselves need not wait for long.
	linger = 3 * time.Second
	// patience bounds what only reads and needs no key made: a token that does not
	// answer has its own, shorter bounds in the driver.
	patience = time.Minute
)

// errGone: the token of a station was pulled out.
var errGone = errors.New("the token has been pulled out")

// station is one plugging-in of one token: from its arrival in the list until it
// leaves it. A token that is plugged in again is another station.
type station struct {
	id    string // in forms; never used again
	entry Entry
	srv   *Server

	ctx    context.Context // ends with the station
	cancel context.CancelFunc

	// turn is held by whoever uses the token, and guards the fields up to mu.
	turn    chan struct{} // capacity 1
	device  Device        // nil while it is closed
	token   *firmware.Token
	used    time.Time // when the last operation ended
	closing bool      // a goroutine waits to close the device

	mu   sync.Mutex // guards the following fields; no I/O while held
	seen seen
	task *task // that runs, or ran last
	gone bool
}

// seen is what was read of a token last, for pages that are asked for while an
// operation runs.
type seen struct {
	info   *firmware.Info
	certs  []firmware.Certificate
	keys   []firmware.Key
	listed bool // certs and keys have been read
}

func newStation(srv *Server, id string, e Entry) *station {
	st := &station{id: id, entry: e, srv: srv, turn: make(chan struct{}, 1)}
	st.ctx, st.cancel = context.WithCancel(srv.ctx)
	return st
}

// end is the end of a plugging-in. Whoever waits for the token gets errGone; an
// operation that runs ends by the error of its channel.
func (st *station) end() {
	st.mu.Lock()
	st.gone = true
	st.mu.Unlock()
	st.cancel()
	st.srv.wg.Go(func() {
		st.turn <- struct{}{}
		st.shut()
		<-st.turn
	})
}

// take waits for the token to be free. ctx bounds the wait alone.
func (st *station) take(ctx context.Context) error {
	select {
	case st.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-st.ctx.Done():
		return st.ended()
	}
	if st.ctx.Err() != nil {
		<-st.turn
		return st.ended()
	}
	return nil
}

// ended says why a station serves nobody any more.
func (st *station) ended() error {
	if st.srv.ctx.Err() != nil {
		return context.Canceled
	}
	return errGone
}

// give ends a turn, and has the token closed when nobody takes another soon.
func (st *station) give() {
	st.used = time.Now()
	switch {
	case st.device == nil || st.closing:
	case st.ctx.Err() != nil:
		st.shut()
	default:
		st.closing = true
		st.srv.wg.Go(st.closeLater)
	}
	<-st.turn
}

// closeLater closes the token when it was not used for a while.
func (st *station) closeLater() {
	timer := time.NewTimer(linger)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-st.ctx.Done():
		}
		st.turn <- struct{}{}
		if rest := linger - time.Since(st.used); st.device != nil && rest > 0 && st.ctx.Err() == nil {
			timer.Reset(rest)
			<-st.turn
			continue
		}
		st.closing = false
		st.shut()
		<-st.turn
		return
	}
}

// shut closes the device. The caller has the turn.
func (st *station) shut() {
	if st.device != nil {
		if err := st.device.Close(); err != nil {
			st.srv.report(err)
		}
		st.device, st.token = nil, nil
	}
}

// do runs f on the token, by itself. ctx bounds the wait for the token; what has
// begun goes to its end even if nobody waits for it any more, because a command
// that is given up half-way leaves a token of which nobody knows the state.
func (st *station) do(ctx context.Context, f func(context.Context, *firmware.Token) error) error {
	if err := st.take(ctx); err != nil {
		return err
	}
	defer st.give()
	ctx = context.WithoutCancel(ctx)
	if st.token == nil {
		if err := st.open(ctx); err != nil {
			return err
		}
	}
	err := f(ctx, st.token)
	if err != nil {
		st.shut() // the next operation begins afresh, whatever was wrong
	}
	return err
}

// open opens the token. The caller has the turn.
func (st *station) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	d, err := st.srv.cfg.Tokens.Open(ctx, st.entry.Key)
	if err != nil {
		return err
	}
	options := []firmware.Option{firmware.WithATR(d.ATR()), firmware.WithClock(st.srv.cfg.Now)}
	if st.srv.cfg.Firmware != nil {
		options = append(options, st.srv.cfg.Firmware(st.entry.Name)...)
	}
	t, err := firmware.Open(ctx, d.Card(), options...)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	st.device, st.token = d, t
	return nil
}

// errOtherToken: another token answers than the one that took the PIN.
var errOtherToken = errors.New("another token is plugged in than the one that was logged in to")

// as runs f with a role logged in, for as long as f takes.
func (st *station) as(ctx context.Context, c credentials, f func(context.Context, *firmware.Token) error) error {
	return st.do(ctx, func(ctx context.Context, t *firmware.Token) (err error) {
		serial, err := serialOf(ctx, t)
		if err != nil {
			return err
		}
		if serial != c.serial {
			return errOtherToken
		}
		if _, err := t.Login(ctx, c.role, c.pin.Bytes()); err != nil {
			return &loginError{err}
		}
		defer func() { err = errors.Join(err, t.Logout(ctx)) }()
		return f(ctx, t)
	})
}

// loginError: the PIN that a session keeps did not log in.
type loginError struct{ err error }

func (e *loginError) Error() string { return e.err.Error() }
func (e *loginError) Unwrap() error { return e.err }

// credentials are what a log-in needs: a copy of the PIN, which its owner wipes.
type credentials struct {
	role   firmware.Role
	pin    *secret.Bytes
	serial string
}

// serialOf is the token's number as eight bytes, "" if it does not tell it.
func serialOf(ctx context.Context, t *firmware.Token) (string, error) {
	i, err := t.Info(ctx)
	if err != nil || !i.ID.Known() {
		return "", err
	}
	return serialIn(i), nil
}

func serialIn(i firmware.Info) string {
	if !i.ID.Known() {
		return ""
	}
	return string(binary.BigEndian.AppendUint64(nil, i.ID.Value))
}

// look reads what the pages show of a token, or, while an operation runs, gives
// what was read last. busy says that it is the latter.
func (st *station) look(ctx context.Context, list bool) (s seen, busy bool, err error) {
	if t := st.running(); t != nil {
		return st.last(), true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err = st.do(ctx, func(ctx context.Context, t *firmware.Token) error {
		i, err := t.Info(ctx)
		if err != nil {
			return err
		}
		s.info = &i
		if list && t.State() == firmware.StatePKCS15 {
			if s.certs, err = certificates(ctx, t); err != nil {
				return err
			}
			if s.keys, err = t.Keys(ctx); err != nil {
				return err
			}
			s.listed = true
		}
		return nil
	})
	if err != nil {
		return st.last(), false, err
	}
	st.mu.Lock()
	if !s.listed {
		st.seen.info = s.info
	} else {
		st.seen = s
	}
	st.mu.Unlock()
	return s, false, nil
}

func (st *station) last() seen {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.seen
}

// running is the task that the token is busy with, nil if there is none.
func (st *station) running() *task {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.task != nil && st.task.running() {
		return st.task
	}
	return nil
}

package pkcs11

import (
	"context"
	"errors"
	"sync"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
)

// token is an open token in a slot.
type token struct {
	slot   *slot
	reader *Reader
	conn   Connection
	users  int // calls that have it open, beside the sessions; guarded by run.mu

	// turn has a value while the token works: who put it there owns all following
	// fields and the contents of objects that are on the token. It is taken before
	// run.mu.
	turn     chan struct{}
	fw       *firmware.Token
	shared   bool // other programs use it, too
	closed   bool
	contents *firmware.Contents

	mu   sync.Mutex // guards last
	last *TokenInfo // that GetTokenInfo gave last
}

// opening bounds how long it may take to open a token.
const opening = 30 * time.Second

// open gives the token in a slot, connected. The caller calls release.
func (s *slot) open() (*token, error) {
	r := s.run
	if t, err := s.use(); t != nil || err != nil {
		return t, err
	}
	// What is there may have changed, and if nothing has, it is opened.
	if _, err := r.look(r.ctx); err != nil {
		return nil, err
	}
	s.opening.Lock() // one opens it, the others find it open
	defer s.opening.Unlock()
	if t, err := s.use(); t != nil || err != nil {
		return t, err
	}
	r.mu.Lock()
	reader := s.reader
	r.mu.Unlock()
	if reader == nil {
		return nil, ErrTokenNotPresent
	}
	ctx, cancel := context.WithTimeout(r.ctx, opening)
	defer cancel()
	conn, err := reader.Open(ctx)
	if err != nil {
		return nil, rvOf(err)
	}
	t := &token{slot: s, reader: reader, conn: conn, turn: make(chan struct{}, 1)}
	_, t.shared = conn.Card().(firmware.Sharer)
	if t.fw, err = firmware.Open(ctx, conn.Card(), firmware.WithATR(conn.ATR())); err != nil {
		err = t.failed(err)
		conn.Close() // the first error says what is wrong
		return nil, err
	}
	r.mu.Lock()
	if s.reader != reader || r.ended {
		r.mu.Unlock()
		conn.Close() // it went while it was opened
		return nil, ErrTokenNotPresent
	}
	s.token, s.objects, t.users = t, map[ObjectHandle]*object{}, 1
	r.wg.Go(t.watch) // before end waits: ended is false
	r.mu.Unlock()
	return t, nil
}

// use is open for a token that is open already; nil if it is not.
func (s *slot) use() (*token, error) {
	s.run.mu.Lock()
	defer s.run.mu.Unlock()
	switch {
	case s.run.ended:
		return nil, ErrCryptokiNotInitialized
	case s.token != nil && !s.token.gone():
		s.token.users++
		return s.token, nil
	}
	return nil, nil
}

// watch empties the slot as soon as the token is gone.
func (t *token) watch() {
	select {
	case <-t.conn.Done():
		t.slot.run.vacate(t.slot, t.reader)
	case <-t.slot.run.ctx.Done():
	}
}

func (t *token) gone() bool {
	select {
	case <-t.conn.Done():
		return true
	default:
		return false
	}
}

// close lets the token go. Only if it is still there has it to be logged out.
func (t *token) close(present bool) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	if t.closed {
		return
	}
	t.closed = true
	if present {
		ctx, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		_ = t.logout(ctx) // closing resets a card that is still open
	} else {
		_ = t.conn.Leave(func() error { return nil }) // with the token, its log-in is gone
	}
	_ = t.conn.Close() // nobody is left to tell
}

// logout ends the log-in, on the card only if no other program of this user goes
// on with it. The caller holds turn.
func (t *token) logout(ctx context.Context) error {
	if _, in := t.fw.LoggedIn(); !in {
		return nil
	}
	err := t.conn.Leave(func() error { return t.fw.Logout(ctx) })
	t.fw.Forget() // which is what is left to do if others go on
	return err
}

// release ends what open began.
func (t *token) release() {
	t.slot.run.mu.Lock()
	t.users--
	t.slot.run.mu.Unlock()
	t.idle()
}

// idle lets a token go that nobody else can use meanwhile, when nobody here does
// any more.
func (t *token) idle() {
	if t.shared {
		return
	}
	r := t.slot.run
	r.mu.Lock()
	if t.slot.token != t || t.slot.sessions > 0 || t.users > 0 {
		r.mu.Unlock()
		return
	}
	t.slot.token, t.slot.objects = nil, nil
	r.mu.Unlock()
	t.close(true)
}

// work carries out what needs the token, while nobody else does; the result is an
// Rv or nil.
func (t *token) work(f func(ctx context.Context) error) error {
	select {
	case t.turn <- struct{}{}:
		return t.working(f)
	case <-t.slot.run.ctx.Done():
		return ErrCryptokiNotInitialized
	}
}

// workSoon is work if the token is free within a time; else done is false.
func (t *token) workSoon(wait time.Duration, f func(ctx context.Context) error) (done bool, err error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case t.turn <- struct{}{}:
		return true, t.working(f)
	case <-t.slot.run.ctx.Done():
		return true, ErrCryptokiNotInitialized
	case <-timer.C:
		return false, nil
	}
}

// working is work of who has the turn, which ends with it.
func (t *token) working(f func(ctx context.Context) error) error {
	defer func() { <-t.turn }()
	if t.closed {
		return ErrDeviceRemoved
	}
	if err := f(t.slot.run.ctx); err != nil {
		return t.failed(err)
	}
	return nil
}

// failed gives the Rv of an error of the token.
func (t *token) failed(err error) error {
	if t.slot.run.ctx.Err() != nil {
		return ErrCryptokiNotInitialized
	}
	if t.gone() {
		return ErrDeviceRemoved
	}
	var role *firmware.RoleError
	if errors.As(err, &role) || errors.Is(err, iso7816.ErrSecurityStatus) {
		t.lostLogin()
	}
	return rvOf(err)
}

// lostLogin makes the sessions public again, because the card says that nobody is
// logged in.
func (t *token) lostLogin() {
	if t.expose() {
		_ = t.conn.Leave(func() error { return nil }) // nothing is left to log out of
	}
}

// expose makes the sessions public, and reports whether they were not.
func (t *token) expose() bool {
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token != t || t.slot.login.role == 0 {
		return false
	}
	t.slot.login = login{}
	t.slot.hidePrivate()
	return true
}

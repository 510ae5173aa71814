package pkcs11

import (
	"context"
	"sync"

	"kaztoken/firmware"
)

// SessionHandle is a CK_SESSION_HANDLE. 0 is none.
type SessionHandle uint

// SessionFlags are those of C_OpenSession.
type SessionFlags uint

// Flags of a session.
const (
	SessionRW     SessionFlags = 2
	SessionSerial SessionFlags = 4
)

// State is a CK_STATE.
type State uint

// The states of a session.
const (
	StateROPublic State = 0
	StateROUser   State = 1
	StateRWPublic State = 2
	StateRWUser   State = 3
	StateRWSO     State = 4
)

// SessionInfo is CK_SESSION_INFO.
type SessionInfo struct {
	Slot        SlotID
	State       State
	Flags       SessionFlags
	DeviceError uint
}

// session is one session of an application with a token.
type session struct {
	handle SessionHandle
	slot   *slot
	token  *token // that it was opened with
	flags  SessionFlags

	mu sync.Mutex // held during a call of the session; guards all following fields. It is taken before everything else
	operations
}

// login says who is logged in.
type login struct{ role firmware.Role }

// maxSessions bounds what a program that closes none can have.
const maxSessions = 1 << 16

// OpenSession is C_OpenSession.
func (m *Module) OpenSession(id SlotID, flags SessionFlags) (SessionHandle, error) {
	r, err := m.begin()
	if err != nil {
		return 0, err
	}
	s, err := r.slot(id)
	if err != nil {
		return 0, err
	}
	if flags&SessionSerial == 0 {
		return 0, ErrSessionParallelNotSupported
	}
	tok, err := s.open()
	if err != nil {
		return 0, err
	}
	defer tok.release() // by then it has a session, or is not needed
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case len(r.sessions) >= maxSessions:
		return 0, ErrSessionCount
	case r.ended:
		return 0, ErrCryptokiNotInitialized
	case s.token != tok:
		return 0, ErrTokenNotPresent
	case s.login.role == firmware.Admin && flags&SessionRW == 0:
		return 0, ErrSessionReadWriteSOExists
	}
	r.lastSession++
	x := &session{handle: r.lastSession, slot: s, token: tok, flags: flags & (SessionRW | SessionSerial)}
	r.sessions[x.handle] = x
	s.sessions++
	if flags&SessionRW != 0 {
		s.writers++
	}
	return x.handle, nil
}

// CloseSession is C_CloseSession.
func (m *Module) CloseSession(h SessionHandle) error {
	r, err := m.begin()
	if err != nil {
		return err
	}
	return r.closeSession(h)
}

func (r *run) closeSession(h SessionHandle) error {
	r.mu.Lock()
	x := r.sessions[h]
	r.mu.Unlock()
	if x == nil {
		return ErrSessionHandleInvalid
	}
	x.mu.Lock() // a call of the session ends first
	defer x.mu.Unlock()
	r.mu.Lock()
	if r.sessions[h] != x {
		r.mu.Unlock()
		return ErrSessionHandleInvalid
	}
	delete(r.sessions, h)
	x.clear()
	s := x.slot
	if s.token != x.token {
		r.mu.Unlock()
		return nil // it died with its token
	}
	for oh, o := range s.objects {
		if o.owner == x {
			delete(s.objects, oh)
		}
	}
	s.sessions--
	if x.flags&SessionRW != 0 {
		s.writers--
	}
	last := s.sessions == 0
	r.mu.Unlock()
	if last { // which logs out, PKCS #11 v3.0 §5.6.2
		x.token.endLogin()
		x.token.idle()
	}
	return nil
}

// endLogin logs out if there is still no session.
func (t *token) endLogin() {
	_ = t.work(func(ctx context.Context) error { // nobody is left to tell
		r := t.slot.run
		r.mu.Lock()
		again := t.slot.token == t && t.slot.sessions > 0
		if !again && t.slot.token == t {
			t.slot.login = login{}
		}
		r.mu.Unlock()
		if again {
			return nil
		}
		return t.logout(ctx)
	})
}

// CloseAllSessions is C_CloseAllSessions.
func (m *Module) CloseAllSessions(id SlotID) error {
	r, err := m.begin()
	if err != nil {
		return err
	}
	s, err := r.slot(id)
	if err != nil {
		return err
	}
	r.mu.Lock()
	var all []SessionHandle
	for h, x := range r.sessions {
		if x.slot == s {
			all = append(all, h)
		}
	}
	r.mu.Unlock()
	for _, h := range all {
		_ = r.closeSession(h) // one that is closed already is what was wanted
	}
	return nil
}

// GetSessionInfo is C_GetSessionInfo.
func (m *Module) GetSessionInfo(h SessionHandle) (SessionInfo, error) {
	r, err := m.begin()
	if err != nil {
		return SessionInfo{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x := r.sessions[h]
	switch {
	case x == nil:
		return SessionInfo{}, ErrSessionHandleInvalid
	case x.token != x.slot.token || x.token.gone():
		return SessionInfo{}, ErrDeviceRemoved
	}
	return SessionInfo{Slot: x.slot.id, State: x.state(), Flags: x.flags}, nil
}

// state is the session's state. The caller holds run.mu.
func (x *session) state() State {
	rw := x.flags&SessionRW != 0
	switch {
	case x.slot.login.role == firmware.Admin:
		return StateRWSO
	case x.slot.login.role == firmware.User && rw:
		return StateRWUser
	case x.slot.login.role == firmware.User:
		return StateROUser
	case rw:
		return StateRWPublic
	}
	return StateROPublic
}

// role is who is logged in.
func (x *session) role() firmware.Role {
	x.slot.run.mu.Lock()
	defer x.slot.run.mu.Unlock()
	return x.slot.login.role
}

// SessionCancel is C_SessionCancel: it ends the operations that flags name, those
// of C_GetMechanismInfo and [FindObjects].
func (m *Module) SessionCancel(h SessionHandle, flags MechanismFlags) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	x.cancel(flags)
	return nil
}

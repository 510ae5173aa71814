package pkcs11

import (
	"context"
	"errors"
	"strings"

	"kaztoken/firmware"
)

// UserType is a CK_USER_TYPE.
type UserType uint

// The types of users.
const (
	UserSO              UserType = 0
	UserNormal          UserType = 1
	UserContextSpecific UserType = 2
)

// Login is C_Login. The PIN is not kept; the caller wipes it. The last try is
// used: the token's flags say that it is the last.
func (m *Module) Login(h SessionHandle, user UserType, pin []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	role := firmware.User
	switch user {
	case UserNormal:
	case UserSO:
		role = firmware.Admin
	case UserContextSpecific:
		if x.waiting() == nil {
			return ErrOperationNotInitialized
		}
	default:
		return ErrUserTypeInvalid
	}
	err = x.token.work(func(ctx context.Context) error {
		if err := x.mayLogin(user, role); err != nil {
			return err
		}
		return x.login(ctx, role, pin)
	})
	if err == nil && user == UserContextSpecific {
		op := x.waiting()
		op.needsPIN, op.refused = false, false
	}
	return err
}

// LoginUser is C_LoginUser: tokens of this kind have one user, without a name.
func (m *Module) LoginUser(h SessionHandle, user UserType, pin, username []byte) error {
	if len(username) > 0 {
		if x, err := m.in(h); err != nil {
			return err
		} else {
			x.mu.Unlock()
		}
		return ErrArgumentsBad
	}
	return m.Login(h, user, pin)
}

// mayLogin checks who is logged in, and what sessions there are.
func (x *session) mayLogin(user UserType, role firmware.Role) error {
	r := x.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	now := x.slot.login.role
	switch {
	case user == UserContextSpecific && now != firmware.User:
		return ErrUserNotLoggedIn
	case user == UserContextSpecific:
		return nil
	case now == role:
		return ErrUserAlreadyLoggedIn
	case now != 0:
		return ErrUserAnotherAlreadyLoggedIn
	case role == firmware.Admin && x.slot.writers < x.slot.sessions:
		return ErrSessionReadOnlyExists
	}
	return nil
}

// login verifies a PIN and notes who is logged in by that. Whoever was before is
// not any more if it fails. It is the body of a work.
func (x *session) login(ctx context.Context, role firmware.Role, pin []byte) error {
	if len(pin) == 0 || len(pin) > x.token.fw.Model().MaxPIN {
		return ErrPINLenRange // the token has compared nothing, so nobody is logged out
	}
	if err := x.token.conn.Join(ctx); err != nil {
		return err
	}
	result, err := x.token.fw.Login(ctx, role, pin, firmware.KeepShared(), firmware.AllowLastTry())
	if err != nil {
		x.token.noteLogin(0)
		_ = x.token.conn.Leave(func() error { return nil }) // nobody is logged in
		return err
	}
	x.token.noteLogin(role)
	x.token.noteDefault(role, result.DefaultPIN)
	return nil
}

// noteLogin makes the sessions those of a role, 0 for nobody.
func (t *token) noteLogin(role firmware.Role) {
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token != t || t.slot.login.role == role {
		return
	}
	t.slot.login.role = role
	if role != firmware.User {
		t.slot.hidePrivate()
	}
}

// noteDefault notes whether a role's PIN is the one of delivery.
func (t *token) noteDefault(role firmware.Role, is bool) {
	r := t.slot.run
	r.mu.Lock()
	defer r.mu.Unlock()
	if t.slot.token == t {
		t.slot.mustChange[role-firmware.Admin] = is
	}
}

// Logout is C_Logout.
func (m *Module) Logout(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return x.token.work(func(ctx context.Context) error {
		if x.role() == 0 {
			return ErrUserNotLoggedIn
		}
		x.token.noteLogin(0)
		x.dropPrivateOperations()
		return x.token.logout(ctx)
	})
}

// InitPIN is C_InitPIN: the SO gives the user a PIN, and unblocks it by that.
func (m *Module) InitPIN(h SessionHandle, pin []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	return x.token.work(func(ctx context.Context) error {
		if x.role() != firmware.Admin {
			return ErrUserNotLoggedIn
		}
		if len(pin) == 0 {
			return ErrPINLenRange
		}
		if err := x.token.fw.Unblock(ctx, pin); err != nil {
			return err
		}
		x.token.noteDefault(firmware.User, string(pin) == string(firmware.DefaultPIN(firmware.User)))
		return nil
	})
}

// SetPIN is C_SetPIN: it changes the PIN of who is logged in, of the user if
// nobody is. If the old PIN is wrong, nobody is logged in afterwards: the token
// compares a PIN only when that is so.
func (m *Module) SetPIN(h SessionHandle, old, new []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	if x.flags&SessionRW == 0 {
		return ErrSessionReadOnly
	}
	return x.token.work(func(ctx context.Context) error {
		was := x.role()
		role := was
		if role == 0 {
			role = firmware.User
		}
		if err := x.login(ctx, role, old); err != nil {
			return err
		}
		err := x.token.fw.ChangePIN(ctx, role, new)
		if err == nil {
			x.token.noteDefault(role, string(new) == string(firmware.DefaultPIN(role)))
		}
		if was == 0 {
			x.token.noteLogin(0)
			err = errors.Join(err, x.token.logout(context.WithoutCancel(ctx)))
		}
		return err
	})
}

// InitToken is C_InitToken: it erases the token and formats it, with pin as the
// SO's PIN and the user's one of delivery. pin has to be the SO's PIN already,
// unless the token has none. label may have blanks at its end.
func (m *Module) InitToken(id SlotID, pin []byte, label string) error {
	r, err := m.begin()
	if err != nil {
		return err
	}
	s, err := r.slot(id)
	if err != nil {
		return err
	}
	tok, err := s.open()
	if err != nil {
		return err
	}
	defer tok.release()
	return tok.work(func(ctx context.Context) error {
		r.mu.Lock()
		busy := s.token == tok && s.sessions > 0
		r.mu.Unlock()
		if busy {
			return ErrSessionExists
		}
		if err := tok.authorise(ctx, pin); err != nil {
			return err
		}
		name := strings.TrimRight(label, " \x00")
		err := tok.fw.Format(ctx, firmware.FormatOptions{Name: name, AdminPIN: pin}, nil)
		tok.contents = nil
		tok.noteDefault(firmware.User, err == nil)
		tok.noteDefault(firmware.Admin, err == nil && string(pin) == string(firmware.DefaultPIN(firmware.Admin)))
		r.mu.Lock()
		if s.token == tok {
			s.objects = map[ObjectHandle]*object{}
		}
		r.mu.Unlock()
		return err
	})
}

// authorise checks the SO's PIN before the token is erased: the token itself asks
// for none.
func (t *token) authorise(ctx context.Context, pin []byte) error {
	if len(pin) == 0 {
		return ErrPINIncorrect
	}
	if s := t.fw.State(); s == firmware.StateWiped || s == firmware.StateHalf {
		return nil
	}
	_, err := t.fw.Login(ctx, firmware.Admin, pin, firmware.AllowLastTry())
	if err != nil {
		return err
	}
	return t.fw.Logout(ctx)
}

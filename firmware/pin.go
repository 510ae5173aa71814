package firmware

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// DefaultPIN is the PIN of a role on a token as it is delivered. The caller owns
// the slice.
func DefaultPIN(r Role) []byte {
	if r == Admin {
		return []byte("87654321")
	}
	return []byte("12345678")
}

// PINStatus is what a token tells of a PIN without it. Unknown numbers are -1.
type PINStatus struct {
	Role      Role
	Left, Max int  // tries
	MinLength int  // bytes
	MaxLength int  // bytes
	Blocked   bool // no try is left
	Verified  bool // logged in, through whatever program
}

// PINStatus asks for the tries that are left and the limits of a PIN. It costs
// no try and needs no log-in.
func (t *Token) PINStatus(ctx context.Context, r Role) (PINStatus, error) {
	var s PINStatus
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		s, err = t.pinStatus(ctx, r)
		return err
	})
	return s, err
}

func (t *Token) pinStatus(ctx context.Context, r Role) (PINStatus, error) {
	s := PINStatus{Role: r, Left: -1, Max: -1, MinLength: -1, MaxLength: t.model.MaxPIN}
	sw, err := t.queryPIN(ctx, r)
	if err != nil {
		return s, fmt.Errorf("tries left of the %v: %w", r, err)
	}
	switch left, ok := sw.Retries(); {
	case ok:
		s.Left, s.Blocked = left, left == 0
	case sw == iso7816.SWBlocked:
		s.Left, s.Blocked = 0, true
	case sw.OK():
		s.Verified = true
	default:
		return s, fmt.Errorf("tries left of the %v: %w", r, &StatusError{SW: sw, INS: insVerify})
	}
	f, ok, err := t.pinFile(ctx, r)
	if err != nil {
		return s, err
	}
	if ok {
		s.MinLength = int(f.properties[1])
		s.Max = int(f.properties[3] >> 4)
		if s.Verified {
			s.Left = s.Max // a right PIN restores the counter, ISO 7816-4:2013 §11.5.6
		}
	}
	return s, nil
}

// queryPIN is VERIFY without data: 63Cx, 6983 or, if the PIN is verified, 9000.
func (t *Token) queryPIN(ctx context.Context, r Role) (iso7816.SW, error) {
	_, sw, err := t.ch.send(ctx, iso7816.Command{CLA: claISO, INS: insVerify, P2: byte(r)})
	return sw, err
}

// pinFile is the FCP of a PIN's RSF, if the card lets it be selected.
//
// Assumed: in 3F00/1000/1000; where the real token keeps its global PINs is not
// public, and a file that is not there, or not a PIN's, just means unknown.
func (t *Token) pinFile(ctx context.Context, r Role) (fcp, bool, error) {
	if f, ok := t.cache.pins[r]; ok {
		return f, f.properties != nil, nil
	}
	if t.state == StateWiped || t.state == StateHalf {
		return fcp{}, false, nil
	}
	f, err := t.selectFile(ctx, sysKeyDF.Append(uint16(r)))
	if err != nil && !refusal(err) {
		return fcp{}, false, err
	}
	if err != nil || f.kind != KindRSF || len(f.properties) != 6 || f.properties[0] != rsfGlobalPIN || !f.hasRules {
		f = fcp{}
	}
	if t.cache.pins == nil {
		t.cache.pins = make(map[Role]fcp)
	}
	t.cache.pins[r] = f
	return f, f.properties != nil, nil
}

// policy is who may change the user PIN, as far as the token tells.
func (t *Token) policy(ctx context.Context) (Policy, error) {
	f, ok, err := t.pinFile(ctx, User)
	if err != nil || !ok {
		return PolicyUnknown, err
	}
	switch p := Policy(f.rules[2]); p {
	case PolicyAdmin, PolicyUser, PolicyBoth:
		return p, nil
	}
	return PolicyUnknown, nil
}

// LoginResult is what there is to say after a log-in.
type LoginResult struct {
	DefaultPIN bool // the PIN is the one that every token is delivered with
}

type login struct{ lastTry, shared bool }

// A LoginOption changes one [Token.Login].
type LoginOption func(*login)

// AllowLastTry lets a log-in use the last try: a wrong PIN then blocks the token.
func AllowLastTry() LoginOption { return func(l *login) { l.lastTry = true } }

// KeepShared lets other programs use the token while somebody is logged in:
// between the operations, no transaction is held. They profit by the log-in, and
// may drop it, which an operation then finds out by the card's refusal
// ([iso7816.ErrSecurityStatus]) or by a *[RoleError]. It is for programs that stay
// logged in for long; on a card that nobody shares it makes no difference.
func KeepShared() LoginOption { return func(l *login) { l.shared = true } }

// Login verifies a PIN, which is not kept. One role is logged in at a time: who
// was before is logged out. The PIN is sent at most once, and not at all if it
// is blocked or if only one try is left and [AllowLastTry] is not given.
//
// The error is a [*PINError] or, when another program was in the way,
// [ErrLoginDisturbed]; neither of the latter has cost a try. After any other
// error the outcome is unknown.
func (t *Token) Login(ctx context.Context, r Role, pin []byte, opts ...LoginOption) (LoginResult, error) {
	var l login
	for _, o := range opts {
		o(&l)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state == StateWiped || t.state == StateHalf {
		return LoginResult{}, &StateError{Op: OpLogin, State: t.state}
	}
	if t.loose && t.role == r {
		t.forget() // what is left of it on the card, login finds out
	}
	if err := t.logout(ctx); err != nil {
		return LoginResult{}, err
	}
	if err := t.begin(ctx); err != nil {
		return LoginResult{}, err
	}
	if err := t.login(ctx, r, pin, l.lastTry); err != nil {
		return LoginResult{}, errors.Join(err, t.end(ctx))
	}
	t.role = r
	result := LoginResult{DefaultPIN: isDefault(r, pin)}
	if l.shared && t.share != nil {
		t.loose = true
		return result, t.end(ctx)
	}
	return result, nil // the transaction is held until the log-out
}

func isDefault(r Role, pin []byte) bool { return subtle.ConstantTimeCompare(pin, DefaultPIN(r)) == 1 }

func (t *Token) login(ctx context.Context, r Role, pin []byte, lastTry bool) error {
	if len(pin) == 0 || len(pin) > t.model.MaxPIN { // no PIN of this card: an empty one would be a query
		return &PINLengthError{Role: r, Got: len(pin), Min: 1, Max: t.model.MaxPIN}
	}
	sw, err := t.queryPIN(ctx, r)
	if err != nil {
		return err
	}
	if sw.OK() { // verified by somebody: the card would not compare
		if err := t.resetAccessRights(ctx); err != nil {
			return err
		}
		if sw, err = t.queryPIN(ctx, r); err != nil {
			return err
		}
	}
	left, counted := sw.Retries()
	switch {
	case sw == iso7816.SWBlocked || counted && left == 0:
		return &PINError{Role: r, Blocked: true, Err: ErrPINBlocked}
	case counted && left == 1 && !lastTry:
		return &PINError{Role: r, Left: 1, Err: ErrLastTry}
	case sw == iso7816.SWReferenceNotFound: // the PIN was never set
		return &StateError{Op: OpLogin, State: StateHalf}
	case !counted:
		return fmt.Errorf("tries left of the %v: %w", r, &StatusError{SW: sw, INS: insVerify})
	}
	_, sw, err = t.ch.send(ctx, iso7816.Command{CLA: claISO, INS: insVerify, P2: byte(r), Data: pin})
	if err != nil { // the PIN may have been right: nobody else is to profit by it
		return errors.Join(err, cleaning(t.resetAccessRights(context.WithoutCancel(ctx))))
	}
	switch left, counted := sw.Retries(); {
	case sw.OK():
		return nil
	case sw == swLoggedIn:
		return errors.Join(ErrLoginDisturbed, t.resetAccessRights(ctx))
	case sw == iso7816.SWBlocked:
		return &PINError{Role: r, Blocked: true, Err: ErrPINBlocked}
	case counted:
		return wrongPIN(r, left)
	case sw == iso7816.SWVerifyFailed:
		now, err := t.queryPIN(ctx, r)
		if err != nil {
			return errors.Join(wrongPIN(r, -1), err)
		}
		left, counted := now.Retries()
		if !counted {
			left = -1
			if now == iso7816.SWBlocked {
				left = 0
			}
		}
		return wrongPIN(r, left)
	}
	return &StatusError{SW: sw, INS: insVerify}
}

// swLoggedIn answers VERIFY of a PIN that is verified already; it is the
// family's own.
const swLoggedIn iso7816.SW = 0x6F86

func wrongPIN(r Role, left int) *PINError {
	return &PINError{Role: r, Left: left, Blocked: left == 0, Err: ErrPINWrong}
}

// resetAccessRights drops every log-in, whoever made it.
func (t *Token) resetAccessRights(ctx context.Context) error {
	_, err := t.ch.do(ctx, iso7816.Command{CLA: claVendor, INS: insResetAccess})
	return err
}

// Logout drops the log-in on the card. Without one it does nothing. It should
// be called with a context that has not ended.
func (t *Token) Logout(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.logout(ctx)
}

func (t *Token) logout(ctx context.Context) error {
	if t.role == 0 {
		return nil
	}
	if t.loose {
		if err := t.begin(ctx); err != nil {
			return fmt.Errorf("log out: %w", err)
		}
	}
	t.forget()
	err := t.resetAccessRights(ctx)
	if err != nil {
		err = fmt.Errorf("log out: %w", err)
	}
	return errors.Join(err, t.end(ctx))
}

// Forget ends a log-in of [KeepShared] for this Token alone: on the card it stays
// for the other programs that are logged in. Another kind of log-in, or none, it
// leaves as it is.
func (t *Token) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.loose {
		t.forget()
	}
}

func (t *Token) forget() {
	t.role, t.loose = 0, false
	t.current.mse, t.used = mse{}, mse{}
}

// ChangePIN gives a role a new PIN. Who is logged in decides: the user changes
// the user's own, the administrator the administrator's own, and the user's
// where the policy lets them ([*PolicyError]). A PIN that is shorter or longer
// than the token takes is a [*PINLengthError].
//
// If the answer is lost, the PIN is either the old or the new one.
func (t *Token) ChangePIN(ctx context.Context, whose Role, newPIN []byte) error {
	return t.operation(ctx, func(ctx context.Context) error {
		if err := t.mayChange(whose); err != nil {
			return err
		}
		return t.setPIN(ctx, whose, newPIN)
	})
}

// mayChange checks what is known without asking the card.
func (t *Token) mayChange(whose Role) error {
	if t.state == StateWiped || t.state == StateHalf {
		return &StateError{Op: OpChangePIN, State: t.state}
	}
	switch {
	case t.role == 0:
		return &RoleError{Op: OpChangePIN}
	case whose == Admin && t.role != Admin:
		return &RoleError{Op: OpChangePIN, Need: Admin}
	}
	return nil
}

// setPIN is CHANGE REFERENCE DATA of a PIN: the log-in is the authority, the old
// PIN is not sent. What the PIN's file says of lengths and policy is checked here
// if it was read already; else it is read only to explain a refusal, which spares
// the usual case a command.
//
// Assumed: the card refuses a PIN shorter than the minimum in its own file; no
// document says so.
func (t *Token) setPIN(ctx context.Context, whose Role, pin []byte) error {
	if len(pin) == 0 || len(pin) > t.model.MaxPIN {
		return &PINLengthError{Role: whose, Got: len(pin), Min: 1, Max: t.model.MaxPIN}
	}
	if _, read := t.cache.pins[whose]; read {
		if err := t.checkPIN(ctx, whose, pin); err != nil {
			return err
		}
	}
	err := t.writeReference(ctx, byte(whose), pin)
	if err == nil || !refusal(err) {
		return err
	}
	if why := t.checkPIN(ctx, whose, pin); why != nil {
		return why
	}
	if errors.Is(err, iso7816.ErrSecurityStatus) && whose == User {
		return &PolicyError{Role: t.role} // the token does not tell its policy
	}
	return err
}

// checkPIN checks a new PIN against what its file says, if it can be read.
func (t *Token) checkPIN(ctx context.Context, whose Role, pin []byte) error {
	f, ok, err := t.pinFile(ctx, whose)
	if err != nil {
		return err
	}
	lowest := 1
	if ok {
		lowest = max(lowest, int(f.properties[1]))
	}
	if len(pin) < lowest || len(pin) > t.model.MaxPIN {
		return &PINLengthError{Role: whose, Got: len(pin), Min: lowest, Max: t.model.MaxPIN}
	}
	if whose != User {
		return nil
	}
	p, err := t.policy(ctx)
	if err == nil && !p.allows(t.role) {
		err = &PolicyError{Role: t.role, Policy: p}
	}
	return err
}

const (
	// firstReference and nextReference are the bytes of a body that fit into the
	// first and the further commands beside the tags in front of them.
	firstReference = maxUpdate - 6
	nextReference  = maxUpdate - 2
)

// writeReference is CHANGE REFERENCE DATA: a PIN by its reference or, with
// reference 0, the body of the selected key RSF. It begins with 80 02 and the
// length of the whole body; each command of the chain has its part of the body
// behind A5 and one raw length byte.
func (t *Token) writeReference(ctx context.Context, reference byte, body []byte) error {
	var buf []byte
	var ends []int
	buf = make([]byte, 0, len(body)+6+2*(len(body)/nextReference+1))
	buf = append(buf, 0x80, 0x02, byte(len(body)>>8), byte(len(body)))
	for n := firstReference; ; n = nextReference {
		n = min(n, len(body))
		buf = append(append(buf, 0xA5, byte(n)), body[:n]...)
		ends = append(ends, len(buf))
		if body = body[n:]; len(body) == 0 {
			break
		}
	}
	defer secret.Wipe(buf)
	parts := make([][]byte, len(ends))
	start := 0
	for i, end := range ends {
		parts[i], start = buf[start:end], end
	}
	_, err := t.ch.chain(ctx, iso7816.Command{INS: insChangeReference, P1: 0x01, P2: reference}, parts)
	return err
}

// Unblock restores the tries of the user PIN; the administrator has to be logged
// in. newPIN, if it is not nil, becomes the user PIN as well; one of a wrong
// length ([*PINLengthError]) is found before anything is done. Where the policy
// leaves a new PIN to the user alone the error is a [*PolicyError], and the tries
// are restored nevertheless.
func (t *Token) Unblock(ctx context.Context, newPIN []byte) error {
	return t.operation(ctx, func(ctx context.Context) error {
		if t.state == StateWiped || t.state == StateHalf {
			return &StateError{Op: OpUnblock, State: t.state}
		}
		if t.role != Admin {
			return &RoleError{Op: OpUnblock, Need: Admin}
		}
		var policy *PolicyError
		if newPIN != nil {
			if err := t.checkPIN(ctx, User, newPIN); err != nil && !errors.As(err, &policy) {
				return err
			}
		}
		_, err := t.ch.do(ctx, iso7816.Command{CLA: claISO, INS: insResetRetry, P1: 0x03, P2: byte(User)})
		switch {
		case err != nil:
			return err
		case policy != nil:
			return policy
		case newPIN == nil:
			return nil
		}
		return t.setPIN(ctx, User, newPIN)
	})
}

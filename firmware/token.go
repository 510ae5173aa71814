package firmware

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/firmware/pkcs15"
	"kaztoken/internal/iso7816"
)

// Token is a token on a [Card]. It is safe for concurrent use; its operations
// run one after the other.
type Token struct {
	mu    sync.Mutex
	ch    channel
	model Model
	clock func() time.Time

	state State
	app   pkcs15.Path // of the PKCS#15 application

	current selection
	// newIsCurrent: the card has shown that an EF that was just made is current.
	newIsCurrent bool
	role         Role // logged in, 0 if nobody is
	// loose: no transaction is held for the log-in, see KeepShared.
	loose bool
	share *sharing
	used  mse // of the last raw operation, see again

	cache cache
	// founded are the directories that the running operation has made, and pending
	// those among them that the ODF does not name yet.
	founded []pkcs15.Path
	pending []pkcs15.ODFEntry
}

// sharing is the use of a [Sharer].
type sharing struct {
	card  Sharer
	depth int  // transactions of ours, one in the other
	stale bool // in this transaction nobody has looked yet what other programs changed
}

// State says how a token is formatted, and so what is safe to do with it.
type State int

// The states of a token.
const (
	// StatePKCS15: in the layout of OpenSC, by us or by OpenSC. Everything is
	// allowed.
	StatePKCS15 State = iota + 1
	// StateVendor: formatted by the vendor's software, whose layout is not
	// public. PINs, information, the list of files and formatting are allowed.
	StateVendor
	// StateHalf: a formatting was interrupted. It can be started again.
	StateHalf
	// StateWiped: erased, with no files at all. It can be formatted.
	StateWiped
)

func (s State) String() string {
	switch s {
	case StatePKCS15:
		return "ready"
	case StateVendor:
		return "formatted by the vendor's software"
	case StateHalf:
		return "half formatted"
	case StateWiped:
		return "not formatted"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Role is who logs in; its value is the reference of its PIN.
type Role byte

// The roles.
const (
	Admin Role = 1
	User  Role = 2
)

func (r Role) String() string {
	switch r {
	case Admin:
		return "administrator"
	case User:
		return "user"
	}
	return fmt.Sprintf("Role(%d)", byte(r))
}

// Policy says who may change the user PIN.
type Policy byte

// The policies; the values are those of the card.
const (
	PolicyUnknown Policy = 0
	PolicyAdmin   Policy = 1
	PolicyUser    Policy = 2
	PolicyBoth    Policy = 3
)

func (p Policy) String() string {
	switch p {
	case PolicyUnknown:
		return "unknown"
	case PolicyAdmin:
		return "administrator"
	case PolicyUser:
		return "user"
	case PolicyBoth:
		return "user and administrator"
	}
	return fmt.Sprintf("Policy(%d)", byte(p))
}

// allows reports whether a role may change the user PIN; an unknown policy
// leaves the answer to the card.
func (p Policy) allows(r Role) bool { return p == PolicyUnknown || byte(p)&byte(r) != 0 }

// Progress is told how far a long operation is. It must not call the token.
type Progress func(done, total int)

// An Option changes what [Open] makes.
type Option func(*Token)

// WithATR tells the model by the answer to reset, which is not checked.
func WithATR(atr []byte) Option { return func(t *Token) { t.model = modelOf(atr) } }

// WithTrace has f called for each APDU, secrets left out. f must not call the
// token.
func WithTrace(f func(Event)) Option { return func(t *Token) { t.ch.trace = f } }

// WithClock replaces time.Now, from which the time of the last change is taken.
func WithClock(now func() time.Time) Option { return func(t *Token) { t.clock = now } }

// Open finds out how the token on a card is formatted. It writes nothing and
// needs no PIN. The card must not be used by the caller in any other way until
// the last use of the token.
func Open(ctx context.Context, c Card, opts ...Option) (*Token, error) {
	t := &Token{model: unknownModel, clock: time.Now}
	// Without an answer nobody knows what is selected: a driver may have reset the
	// card to reach it again.
	t.ch = channel{card: c, lost: t.moved}
	for _, o := range opts {
		o(t)
	}
	if s, ok := c.(Sharer); ok {
		t.share = &sharing{card: s}
	}
	err := t.operation(ctx, func(ctx context.Context) error {
		if t.state != 0 {
			return nil // catchUp has looked already
		}
		return t.recognise(ctx)
	})
	if err != nil {
		return nil, fmt.Errorf("open token: %w", err)
	}
	return t, nil
}

// State says how the token was formatted when it was last used through this
// Token.
func (t *Token) State() State {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state
}

// Model is what is known of tokens of this kind.
func (t *Token) Model() Model { return t.model }

// LoggedIn tells who is logged in through this Token.
func (t *Token) LoggedIn() (Role, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.role, t.role != 0
}

// operation runs one operation by itself and, on a shared card, in a transaction.
// What other programs have changed meanwhile is known then.
func (t *Token) operation(ctx context.Context, f func(context.Context) error) (err error) {
	return t.plainOperation(ctx, func(ctx context.Context) error {
		if err := t.catchUp(ctx); err != nil {
			return err
		}
		t.founded, t.pending = nil, nil
		return f(ctx)
	})
}

// plainOperation is operation for what uses nothing that was read before.
func (t *Token) plainOperation(ctx context.Context, f func(context.Context) error) (err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.end(ctx)) }()
	return f(ctx)
}

// catchUp looks whether another program has changed anything before this
// transaction. The caller holds mu.
func (t *Token) catchUp(ctx context.Context) error {
	if t.share == nil || !t.share.stale {
		return nil
	}
	if err := t.revalidate(ctx); err != nil {
		return err
	}
	t.share.stale = false
	return nil
}

// begin begins a transaction on a shared card. The caller holds mu.
func (t *Token) begin(ctx context.Context) error {
	if t.share == nil {
		return nil
	}
	if t.share.depth++; t.share.depth > 1 {
		return nil
	}
	err := t.share.card.Begin(ctx)
	if errors.Is(err, ErrReset) {
		t.role, t.loose, err = 0, false, nil
	}
	if err != nil {
		t.share.depth--
		return fmt.Errorf("take the token for one operation: %w", err)
	}
	t.share.stale = true
	t.moved()
	return nil
}

// end ends what begin began. A cancelled operation has to give the card back,
// too.
func (t *Token) end(ctx context.Context) error {
	if t.share == nil {
		return nil
	}
	if t.share.depth--; t.share.depth > 0 {
		return nil
	}
	if err := t.share.card.End(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("let other programs use the token: %w", err)
	}
	return nil
}

// need checks that an operation is safe on this token and that one of the roles
// is logged in; without roles, nobody needs to be.
func (t *Token) need(op Op, roles ...Role) error {
	if t.state != StatePKCS15 {
		return &StateError{Op: op, State: t.state}
	}
	if len(roles) == 0 {
		return nil
	}
	for _, r := range roles {
		if t.role == r {
			return nil
		}
	}
	if len(roles) > 1 {
		return &RoleError{Op: op}
	}
	return &RoleError{Op: op, Need: roles[0]}
}

// recognise finds out the state of the token. The usual one costs two commands:
// an ODF in its usual place that names the PINs' directory, which [Token.Format]
// writes last, and OpenSC once it has stored a PIN. It is an operation's body.
func (t *Token) recognise(ctx context.Context) error {
	t.cache, t.state, t.app = cache{}, 0, pkcs15.AppPath()
	whole, err := t.hasODF(ctx)
	if err != nil {
		return err
	}
	if whole {
		t.state = StatePKCS15
		return nil
	}
	began := t.cache.odf != nil // an ODF, but unfinished
	dir, err := t.readFile(ctx, mf.Append(pkcs15.FileDIR))
	if err != nil && !refused(err) {
		return err
	}
	apps, _ := pkcs15.ParseDIR(dir) // what cannot be read is not an application of ours
	for _, a := range apps {
		if !a.IsPKCS15() || len(a.Path) < 4 || len(a.Path)%2 != 0 {
			continue
		}
		if began = true; a.Path.Equal(t.app) {
			continue
		}
		t.cache, t.app = cache{}, a.Path
		if whole, err = t.hasODF(ctx); err != nil {
			return err
		}
		if whole {
			t.state = StatePKCS15
			return nil
		}
	}
	if began {
		t.state = StateHalf
		return nil
	}
	return t.recogniseEmpty(ctx)
}

// hasODF reads the ODF of the application, if there is one, and reports whether
// it names the directory of the PINs.
func (t *Token) hasODF(ctx context.Context) (bool, error) {
	odf, err := t.odf(ctx)
	if err != nil {
		if refused(err) {
			err = nil
		}
		return false, err
	}
	list, _ := pkcs15.ParseODF(odf.entries())
	for _, e := range list {
		if e.Err == nil && e.Type == pkcs15.AODF {
			return true, nil
		}
	}
	return false, nil
}

// recogniseEmpty tells a token without an application: wiped, half formatted or
// the vendor's.
func (t *Token) recogniseEmpty(ctx context.Context) error {
	_, err := t.selectFile(ctx, mf)
	if errors.Is(err, iso7816.ErrNotFound) {
		t.state = StateWiped
		return nil
	}
	if err != nil {
		return err // it is no wiped one, and must not be taken for it
	}
	state := StateVendor
	for _, r := range []Role{User, Admin} {
		sw, err := t.queryPIN(ctx, r)
		switch {
		case err != nil:
			return err
		case sw == iso7816.SWReferenceNotFound:
			state = StateHalf
		case sw == iso7816.SWWrongINS || sw == iso7816.SWWrongCLA:
			return fmt.Errorf("no token of this family: %w: %w", ErrUnsupported, &StatusError{SW: sw, INS: insVerify})
		}
	}
	t.state = state
	return nil
}

// refused reports whether err is a status word of the card.
func refused(err error) bool {
	var se *StatusError
	return errors.As(err, &se)
}

// refusal reports whether err is the card's own answer, sense or nonsense, so
// that the card is there and talks.
func refusal(err error) bool {
	return refused(err) || errors.Is(err, ErrAnswer) || errors.Is(err, iso7816.ErrTLV)
}

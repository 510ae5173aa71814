package panel

import (
	"context"
	"errors"
	"net/http"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/pinpolicy"
	"kaztoken/internal/secret"
	"kaztoken/internal/words"
)

var (
	// errDiffer: a new PIN was typed in two ways.
	errDiffer = errors.New("the two PINs are not the same")
	// errRole: a form asks for a role that there is not, or that it does not offer.
	errRole = errors.New("no such role")
)

// newPIN takes a new PIN out of a form, where it was typed twice, and checks it
// against the person's rules. weak is why it is a bad one that is accepted. The
// caller wipes the PIN.
func (c *call) newPIN(first, second string) (pin *secret.Bytes, weak notice, err error) {
	pin = c.form.secret(first)
	again := c.form.secret(second)
	defer again.Wipe()
	weakness := pinpolicy.Weakness(0)
	switch {
	case pin.Len() == 0:
		err = errNoPIN
	case !pin.Equal(again.Bytes()):
		err = errDiffer
	default:
		weakness, err = c.settings.NewPINs().Check(pin.Bytes())
	}
	if err != nil {
		pin.Wipe()
		return nil, notice{}, err
	}
	if weakness != 0 {
		weak = notice{key: "warn.pin.weak", values: []any{"why", describe.Weakness(weakness)}, bad: true}
	}
	return pin, weak, nil
}

// pinBody is the dialog that changes a PIN.
type pinBody struct {
	Whose   []choice
	Problem *Problem
	Min     int
}

func (c *call) pinForm() {
	if !c.needToken() {
		return
	}
	whose, _ := roleFrom(c.r.URL.Query().Get("whose"))
	c.showPIN(http.StatusOK, whose, nil)
}

func (c *call) showPIN(status int, whose firmware.Role, failure error) {
	role := c.s.role(c.station.id)
	b := pinBody{Min: c.settings.MinPINLength}
	if role == 0 && failure == nil {
		failure = errLoggedOut
	}
	if whose == 0 {
		whose = role
	}
	roles := []firmware.Role{firmware.User}
	if role == firmware.Admin {
		roles = append(roles, firmware.Admin)
		if i := c.station.last().info; i != nil && i.UserPINPolicy.Known() && i.UserPINPolicy.Value == firmware.PolicyUser {
			roles = roles[1:] // the token leaves the user PIN to the user
		}
	}
	for _, r := range roles {
		b.Whose = append(b.Whose, choice{Value: describe.Role(r), Text: c.words.Text(words.Key(describe.Role(r))), Chosen: r == whose})
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "pin", page{Tab: "admin", Title: "pin.change.title", Back: "/", Body: b})
}

func (c *call) changePIN() {
	whose, ok := roleFrom(c.form.line("whose"))
	again := func(err error) { c.showPIN(http.StatusUnprocessableEntity, whose, err) }
	if !ok {
		again(errRole)
		return
	}
	pin, weak, err := c.newPIN("new", "again")
	if err != nil {
		again(err)
		return
	}
	srv, s, st := c.srv, c.s, c.station
	c.with("pin.change.title", "/", "/pin", 0, func(ctx context.Context, t *firmware.Token, _ firmware.Progress) (notice, error) {
		defer pin.Wipe()
		if err := t.ChangePIN(ctx, whose, pin.Bytes()); err != nil {
			return notice{}, err
		}
		s.renew(st.id, whose, pin)
		// Other sessions know the old one, and would lose a try by it.
		srv.forgetLogins(st, func(n *session, r firmware.Role) bool { return n != s && r == whose })
		if weak.some() {
			s.tell(weak)
		}
		return notice{key: "done.change", values: []any{"role", describe.Role(whose)}}, nil
	}, func(err error) { pin.Wipe(); again(err) })
}

// renew keeps a log-in good whose PIN was changed; the PIN stays its owner's.
func (n *session) renew(station string, whose firmware.Role, pin *secret.Bytes) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.logins[station]
	if l == nil || l.role != whose {
		return
	}
	l.wipe()
	l.pin = secret.Copy(pin.Bytes())
}

// dialogBody is a dialog with nothing but what went wrong.
type dialogBody struct {
	Problem *Problem
	Value   string
}

func (c *call) unblockForm() {
	if !c.needToken() {
		return
	}
	c.showUnblock(http.StatusOK, nil)
}

func (c *call) showUnblock(status int, failure error) {
	b := dialogBody{}
	if failure == nil && c.s.role(c.station.id) != firmware.Admin {
		failure = &firmware.RoleError{Op: firmware.OpUnblock, Need: firmware.Admin}
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	if i := c.station.last().info; i != nil && i.User.Known() {
		b.Value = describe.Tries(c.words, i.User.Value)
	}
	c.renderPage(status, "unblock", page{Tab: "admin", Title: "unblock.title", Back: "/", Body: b})
}

func (c *call) unblock() {
	again := func(err error) { c.showUnblock(http.StatusUnprocessableEntity, err) }
	c.with("unblock.title", "/", "/unblock", firmware.Admin, func(ctx context.Context, t *firmware.Token, _ firmware.Progress) (notice, error) {
		return notice{key: "done.unblock"}, t.Unblock(ctx, nil)
	}, again)
}

func (c *call) nameForm() {
	if !c.needToken() {
		return
	}
	name := ""
	if s, _, err := c.station.look(c.r.Context(), false); err == nil && s.info.Name.Known() {
		name = s.info.Name.Value
	}
	c.showName(http.StatusOK, name, nil)
}

func (c *call) showName(status int, name string, failure error) {
	b := dialogBody{Value: words.Clean(name)}
	if failure == nil && c.s.role(c.station.id) == 0 {
		failure = &firmware.RoleError{Op: firmware.OpRename, Need: firmware.User}
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "name", page{Tab: "admin", Title: "name", Back: "/", Body: b})
}

func (c *call) rename() {
	name := c.form.line("name")
	again := func(err error) { c.showName(http.StatusUnprocessableEntity, name, err) }
	c.with("name", "/", "/name", 0, func(ctx context.Context, t *firmware.Token, _ firmware.Progress) (notice, error) {
		return notice{key: "done.rename", values: []any{"name", name}}, t.SetName(ctx, name)
	}, again)
}

package panel

import (
	"context"
	"errors"
	"net/http"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/words"
)

// loginBody is the log-in dialog.
type loginBody struct {
	Reader  string
	Role    string // chosen
	Problem *Problem
	Roles   []loginRole
	// LastTry asks for leave to use the last try.
	LastTry  bool
	ToFormat bool
}

type loginRole struct {
	Role, Tries string
	Few         bool
	Chosen      bool
	Blocked     bool
}

func (c *call) loginForm() {
	if !c.needToken() {
		return
	}
	role, ok := roleFrom(c.r.URL.Query().Get("role"))
	if !ok {
		role = firmware.User
	}
	c.showLogin(http.StatusOK, role, nil)
}

func (c *call) showLogin(status int, role firmware.Role, failure error) {
	b := loginBody{Reader: words.Clean(c.station.entry.Name), Role: describe.Role(role)}
	s, _, err := c.station.look(c.r.Context(), false)
	if failure != nil {
		err = failure
	}
	if err != nil {
		b.Problem = c.problem(err)
	}
	for _, r := range []firmware.Role{firmware.User, firmware.Admin} {
		l := loginRole{Role: describe.Role(r), Chosen: r == role}
		if s.info != nil {
			if p := statusOf(*s.info, r); p.Known() {
				l.Tries = describe.Tries(c.words, p.Value)
				l.Few = p.Value.Left >= 0 && p.Value.Left <= few
				l.Blocked = p.Value.Blocked
				b.LastTry = b.LastTry || p.Value.Left == 1 && c.settings.AskLastTry
			}
		}
		b.Roles = append(b.Roles, l)
	}
	c.renderPage(status, "login", page{Tab: "admin", Title: "login.title", Back: "/", Body: b})
}

func statusOf(i firmware.Info, r firmware.Role) firmware.Field[firmware.PINStatus] {
	if r == firmware.Admin {
		return i.Admin
	}
	return i.User
}

// login compares a PIN, once. The session keeps it if it is right.
func (c *call) login() {
	role, ok := roleFrom(c.form.line("role"))
	if !ok {
		c.srv.plainPage(c.w, c.r, http.StatusBadRequest, "panel.refused.form")
		return
	}
	pin := c.form.secret("pin")
	if pin.Len() == 0 {
		pin.Wipe()
		c.showLogin(http.StatusUnprocessableEntity, role, errNoPIN)
		return
	}
	if c.station.running() != nil {
		pin.Wipe()
		c.showLogin(http.StatusConflict, role, errOccupied)
		return
	}
	var options []firmware.LoginOption
	if c.form.has("last") || !c.settings.AskLastTry {
		options = append(options, firmware.AllowLastTry())
	}
	var (
		result firmware.LoginResult
		serial string
	)
	err := c.station.do(c.r.Context(), func(ctx context.Context, t *firmware.Token) (err error) {
		if serial, err = serialOf(ctx, t); err != nil {
			return err
		}
		if result, err = t.Login(ctx, role, pin.Bytes(), options...); err != nil {
			return err
		}
		return t.Logout(ctx)
	})
	if err != nil {
		pin.Wipe()
		c.showLogin(http.StatusUnprocessableEntity, role, err)
		return
	}
	c.s.logIn(c.station.id, role, pin, serial)
	if c.station.ctx.Err() != nil { // it has left meanwhile, and nobody would log out
		c.s.logOut(c.station.id)
	}
	c.srv.news.tell()
	if result.DefaultPIN && c.settings.WarnDefaultPIN {
		c.redirect("/login/default")
		return
	}
	c.s.tell(notice{key: "panel.loggedin", values: []any{"role", describe.Role(role)}})
	c.redirect(c.tab())
}

// errNoPIN: nothing was typed where a PIN should be.
var errNoPIN = errors.New("no PIN was entered")

// defaultPIN warns of a default PIN, and offers to change it.
func (c *call) defaultPIN() {
	role := firmware.Role(0)
	if c.station != nil {
		role = c.s.role(c.station.id)
	}
	if role == 0 {
		c.redirect("/")
		return
	}
	c.renderPage(http.StatusOK, "default", page{Tab: "admin", Title: "login.title", Back: "/", Body: describe.Role(role)})
}

func (c *call) logout() {
	if c.s.logOut(c.station.id) {
		c.s.tell(notice{key: "panel.loggedout.done"})
	}
	c.srv.news.tell()
	c.redirect(c.tab())
}

// closePanel ends the session, and all that it is logged in to.
func (c *call) closePanel() {
	c.srv.endSession(c.s)
	if c.dialog {
		c.redirect("/")
		return
	}
	c.srv.plainPage(c.w, c.r, http.StatusOK, "panel.closed")
}

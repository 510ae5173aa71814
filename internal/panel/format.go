package panel

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/secret"
	"kaztoken/internal/words"
)

// formatBody is the format dialog. PINs are never in it.
type formatBody struct {
	Problem                       *Problem
	Name                          string
	UserDefault, AdminDefault     bool
	UserMinLength, AdminMinLength string
	UserTries, AdminTries         string
	Policy                        string
	Min, Max                      int // of the lengths
	Foreign                       bool
}

func (c *call) formatForm() {
	if !c.needToken() {
		return
	}
	c.showFormat(http.StatusOK, formatBody{
		Name: "KAZTOKEN", UserDefault: true, AdminDefault: true, UserMinLength: "6", AdminMinLength: "6",
		UserTries: "10", AdminTries: "10", Policy: "both",
	}, nil)
}

func (c *call) showFormat(status int, b formatBody, failure error) {
	b.Min, b.Max = 1, 31
	s, _, err := c.station.look(c.r.Context(), false)
	if failure == nil {
		failure = err
	}
	if failure == nil && !c.mayFormat(s) {
		failure = &firmware.RoleError{Op: firmware.OpFormat, Need: firmware.Admin}
	}
	b.Foreign = s.info != nil && s.info.State == firmware.StateVendor
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "format", page{Tab: "admin", Title: "format.title", Back: "/", Body: b})
}

// mayFormat reports whether the session may format the chosen token. The card asks
// for no log-in: it keeps a passer-by from formatting.
func (c *call) mayFormat(s seen) bool {
	return c.s.role(c.station.id) == firmware.Admin || s.info != nil && open(*s.info)
}

// errNumber: something that should be a number is none.
var errNumber = errors.New("not a number")

// prepareFormat keeps what was typed, and asks before it is done.
func (c *call) prepareFormat() {
	f := c.form
	b := formatBody{
		Name: words.Clean(f.line("name")), UserDefault: f.has("user_default"), AdminDefault: f.has("admin_default"),
		UserMinLength: f.line("user_min"), AdminMinLength: f.line("admin_min"), UserTries: f.line("user_tries"), AdminTries: f.line("admin_tries"),
		Policy: f.line("policy"),
	}
	p := &pending{station: c.station.id, until: c.srv.cfg.Now().Add(pendingLife)}
	p.options.Name = f.line("name")
	fail := func(err error) {
		p.wipe()
		c.showFormat(http.StatusUnprocessableEntity, b, err)
	}
	s, _, err := c.station.look(c.r.Context(), false)
	if err != nil {
		fail(err)
		return
	}
	if !c.mayFormat(s) {
		fail(&firmware.RoleError{Op: firmware.OpFormat, Need: firmware.Admin})
		return
	}
	for _, n := range []struct {
		text  string
		value *int
	}{
		{b.UserMinLength, &p.options.UserMinLength}, {b.AdminMinLength, &p.options.AdminMinLength},
		{b.UserTries, &p.options.UserTries}, {b.AdminTries, &p.options.AdminTries},
	} {
		// 0 would be taken for the standard value
		if *n.value, err = strconv.Atoi(strings.TrimSpace(n.text)); err != nil || *n.value < 1 {
			fail(errNumber)
			return
		}
	}
	switch b.Policy {
	case "user":
		p.options.Policy = firmware.PolicyUser
	case "admin":
		p.options.Policy = firmware.PolicyAdmin
	case "both":
		p.options.Policy = firmware.PolicyBoth
	default:
		fail(errRole)
		return
	}
	for _, g := range []struct {
		role          firmware.Role
		standard      bool
		first, second string
		pin           *[]byte
	}{
		{firmware.User, b.UserDefault, "user_pin", "user_again", &p.options.UserPIN},
		{firmware.Admin, b.AdminDefault, "admin_pin", "admin_again", &p.options.AdminPIN},
	} {
		var pin *secret.Bytes
		if g.standard {
			// A default PIN is one that the rules may forbid.
			if _, err := c.settings.NewPINs().Check(firmware.DefaultPIN(g.role)); err != nil {
				fail(err)
				return
			}
			continue
		}
		if pin, _, err = c.newPIN(g.first, g.second); err != nil {
			fail(err)
			return
		}
		p.pins = append(p.pins, pin)
		*g.pin = pin.Bytes()
	}
	c.s.suspend(p)
	c.srv.news.tell() // there is a time to be minded
	c.redirect("/format/confirm")
}

// suspend keeps a format until the person has answered the warning.
func (n *session) suspend(p *pending) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.pending[p.station]; old != nil {
		old.wipe()
	}
	if n.over {
		p.wipe()
		return
	}
	n.pending[p.station] = p
}

// resume takes a format that waits, nil if there is none or it has waited too long.
func (n *session) resume(station string, now time.Time) *pending {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.pending[station]
	delete(n.pending, station)
	if p != nil && !now.Before(p.until) {
		p.wipe()
		return nil
	}
	return p
}

// waits reports whether a format waits.
func (n *session) waits(station string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pending[station] != nil
}

// confirmBody names the token that is to be erased.
type confirmBody struct {
	Problem  *Problem
	Name, ID string
	Lines    []string
	IDs      []string
}

func (c *call) formatConfirm() {
	if !c.needToken() {
		return
	}
	if !c.s.waits(c.station.id) {
		c.redirect("/format")
		return
	}
	c.renderPage(http.StatusOK, "confirm", page{Tab: "admin", Title: "format.title", Back: "/", Body: c.confirmation()})
}

// confirmation names the chosen token.
func (c *call) confirmation() confirmBody {
	b := confirmBody{Name: c.tokenName(), ID: c.words.Text("unknown")}
	if i := c.station.last().info; i != nil {
		b.ID = describe.Field(c.words, i.ID, describe.TokenID)
	}
	return b
}

func (c *call) cancelFormat() {
	if p := c.s.resume(c.station.id, c.srv.cfg.Now()); p != nil {
		p.wipe()
	}
	c.redirect("/")
}

func (c *call) startFormat() {
	p := c.s.resume(c.station.id, c.srv.cfg.Now())
	if p == nil {
		c.s.tell(notice{key: "panel.expired", bad: true})
		c.redirect("/format")
		return
	}
	srv, s, st, path := c.srv, c.s, c.station, c.srv.cfg.Settings
	standard := p.options.UserPIN == nil || p.options.AdminPIN == nil
	body := func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		serial, err := serialOf(ctx, t)
		if err != nil {
			return notice{}, err
		}
		// The PINs that anybody knows are not the token's any more, whatever comes.
		srv.forgetLogins(st, func(*session, firmware.Role) bool { return true })
		if err := t.Format(ctx, p.options, progress); err != nil {
			return notice{}, err
		}
		srv.forget(path, serial)
		if standard {
			s.tell(notice{key: "warn.defaults", bad: true})
		}
		return notice{key: "done.format", values: []any{"name", p.options.Name}}, nil
	}
	again := func(err error) {
		c.s.tell(notice{key: "panel.failed", values: []any{"why", c.problem(err).Message}, bad: true})
		c.redirect("/")
	}
	if i := st.last().info; i != nil && open(*i) && s.role(st.id) != firmware.Admin {
		t, err := st.begin("format.title", "/", "/", func(ctx context.Context, t *task) error {
			defer p.wipe()
			return st.do(ctx, func(ctx context.Context, token *firmware.Token) error {
				// What was seen may be old: nobody may have a token formatted that he cannot
				// log in to, but one that nobody can.
				i, err := token.Info(ctx)
				if err == nil && !open(i) {
					err = &firmware.RoleError{Op: firmware.OpFormat, Need: firmware.Admin}
				}
				if err != nil {
					return err
				}
				said, err := body(ctx, token, t.progress)
				t.say(said)
				return err
			})
		})
		if err != nil {
			p.wipe()
			again(err)
			return
		}
		c.follow(t, again)
		return
	}
	c.with("format.title", "/", "/", firmware.Admin, func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		defer p.wipe()
		return body(ctx, t, progress)
	}, func(err error) { p.wipe(); again(err) })
}

// policyHelp answers "which policy should I choose?".
func (c *call) policyHelp() {
	c.renderPage(http.StatusOK, "policy", page{Tab: "admin", Title: "which", Back: "/format"})
}

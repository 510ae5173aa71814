package panel

import (
	"context"
	"net/http"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/words"
)

// adminBody is the Administration tab.
type adminBody struct {
	Problem                                             *Problem // the token cannot be read, or the tokens not be listed
	State                                               *Problem // how it is formatted keeps it from being used
	Name                                                string
	ID                                                  string
	PINs                                                []pinLine
	CanName, CanChange, CanUnblock, CanFormat, CanLogin bool
	// Cut says that an operation did not come to its end, and what became of it.
	Cut *cutBody
}

// pinLine is the state of one PIN.
type pinLine struct {
	Role, Text string
	Few        bool // a person should know
}

// cutBody tells what a token that was pulled out was left with.
type cutBody struct {
	What     string
	Findings []string
}

// few is from how many tries left a person is warned.
const few = 3

func (c *call) admin() {
	c.settle()
	b := adminBody{}
	if c.station == nil {
		if _, err := c.srv.all(); err != nil {
			b.Problem = c.problem(err)
		}
		c.render(http.StatusOK, "admin", "admin", "tab.admin", b)
		return
	}
	s, busy, err := c.station.look(c.r.Context(), false)
	if err != nil {
		b.Problem = c.problem(err)
	}
	role := c.s.role(c.station.id)
	if i := s.info; i != nil {
		b.Name = describe.Field(c.words, i.Name, words.Clean)
		b.ID = describe.Field(c.words, i.ID, describe.TokenID)
		whole := i.State == firmware.StatePKCS15
		hasPINs := whole || i.State == firmware.StateVendor
		for _, p := range []firmware.Field[firmware.PINStatus]{i.User, i.Admin} {
			if p.Known() {
				b.PINs = append(b.PINs, pinLine{
					describe.Role(p.Value.Role), describe.Tries(c.words, p.Value), p.Value.Left >= 0 && p.Value.Left <= few,
				})
			}
		}
		if !whole {
			b.State = c.problem(&firmware.StateError{Op: firmware.OpLogin, State: i.State})
		}
		b.CanLogin = hasPINs
		b.CanName = whole && role == firmware.User
		b.CanChange = hasPINs && role != 0
		b.CanUnblock = hasPINs && role == firmware.Admin
		b.CanFormat = role == firmware.Admin || open(*i)
	}
	if busy {
		b.CanName, b.CanChange, b.CanUnblock, b.CanFormat, b.CanLogin = false, false, false, false, false
	} else if s.info != nil {
		b.Cut = c.cut(*s.info)
	}
	c.render(http.StatusOK, "admin", "admin", "tab.admin", b)
}

// open reports whether a token can be formatted without the administrator: nobody
// can log in to it any more, and formatting is the way out.
func open(i firmware.Info) bool {
	if i.State == firmware.StateWiped || i.State == firmware.StateHalf {
		return true
	}
	return i.Admin.Known() && i.Admin.Value.Blocked
}

// settle waits until the tokens have been listed once.
func (c *call) settle() {
	select {
	case <-c.srv.settled:
	case <-c.r.Context().Done():
	}
	c.station = c.srv.chosenBy(c.s)
}

// cut tells what an operation that was cut off has left on a token.
func (c *call) cut(i firmware.Info) *cutBody {
	serial := serialIn(i)
	c.srv.mu.Lock()
	what, ok := c.srv.cut[serial]
	c.srv.mu.Unlock()
	if !ok {
		return nil
	}
	found, err := c.findings()
	if err != nil {
		return nil // it is told with the token's own trouble
	}
	b := &cutBody{What: c.text(what.kind)}
	for _, f := range found {
		b.Findings = append(b.Findings, sentence(describe.Finding(c.words, f)))
	}
	return b
}

// findings compares the token with its directories.
func (c *call) findings() (found []firmware.Finding, err error) {
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	err = c.station.do(ctx, func(ctx context.Context, t *firmware.Token) error {
		found, err = t.Check(ctx)
		return err
	})
	return found, err
}

func (c *call) chooseToken() {
	c.s.mu.Lock()
	c.s.chosen = c.form.line("token")
	c.s.mu.Unlock()
	c.redirect(c.tab())
}

// tab is the tab that a form was on.
func (c *call) tab() string {
	if c.form.line("tab") == "certs" {
		return "/certificates"
	}
	return "/"
}

// information is the information window of the guide.
func (c *call) information() {
	if !c.needToken() {
		return
	}
	s, _, err := c.station.look(c.r.Context(), false)
	b := struct {
		Problem *Problem
		Lines   describe.Sheet
	}{}
	if err != nil {
		b.Problem = c.problem(err)
	}
	if s.info != nil {
		b.Lines = describe.Window(c.words, *s.info, c.station.entry.Name)
	}
	c.renderPage(http.StatusOK, "information", page{Tab: "admin", Title: "info.title", Back: "/", Body: b})
}

// needToken reports whether there is a token for a dialog. Without one the request is
// answered.
func (c *call) needToken() bool {
	c.settle()
	if c.station != nil {
		return true
	}
	c.s.tell(notice{key: "panel.none", bad: true})
	c.redirect("/")
	return false
}

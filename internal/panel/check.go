package panel

import (
	"context"
	"net/http"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
)

// checkBody is what does not fit on a token.
type checkBody struct {
	Problem   *Problem
	What      string // the operation that did not come to its end, if one is known
	Findings  []string
	CanRepair bool
	NeedUser  bool
	InOrder   bool
}

// check compares the token with its directories, and says what can be done.
func (c *call) check() {
	if !c.needToken() {
		return
	}
	b := checkBody{}
	s, _, err := c.station.look(c.r.Context(), false)
	var found []firmware.Finding
	if err == nil {
		found, err = c.findings()
	}
	if err != nil {
		b.Problem = c.problem(err)
	} else {
		if s.info.State != firmware.StatePKCS15 {
			b.Problem = c.problem(&firmware.StateError{Op: firmware.OpRepair, State: s.info.State})
		}
		b.InOrder = len(found) == 0 && b.Problem == nil
		for _, f := range found {
			b.Findings = append(b.Findings, sentence(describe.Finding(c.words, f)))
			b.CanRepair = b.CanRepair || f.Repairable
		}
		serial := serialIn(*s.info)
		c.srv.mu.Lock()
		if what, ok := c.srv.cut[serial]; ok {
			b.What = c.text(what.kind)
		}
		if b.InOrder {
			delete(c.srv.cut, serial) // it has been told
		}
		c.srv.mu.Unlock()
	}
	b.NeedUser = b.CanRepair && c.s.role(c.station.id) != firmware.User
	c.renderPage(http.StatusOK, "check", page{Tab: "admin", Title: "check.title", Back: "/", Body: b})
}

// repair clears what an interrupted operation has left, or completes it.
func (c *call) repair() {
	again := func(err error) {
		c.s.tell(notice{key: "panel.failed", values: []any{"why", c.problem(err).Message}, bad: true})
		c.redirect("/check")
	}
	c.with("check.title", "/", "/check", firmware.User, func(ctx context.Context, t *firmware.Token, _ firmware.Progress) (notice, error) {
		before, err := t.Check(ctx)
		if err != nil {
			return notice{}, err
		}
		if err := t.Repair(ctx); err != nil {
			return notice{}, err
		}
		after, err := t.Check(ctx)
		return notice{key: "done.repair", values: []any{"n", len(before) - len(after)}}, err
	}, again)
}

// taskBody is how far an operation is, or why it was not done.
type taskBody struct {
	ID      string
	What    string
	Percent int
	Known   bool // the operation tells how far it is
	Over    bool
	Problem *Problem
	Next    string
	Format  bool // it must not be pulled out
}

func (c *call) taskPage() {
	t, ok := c.srv.taskWith(c.r.PathValue("id"))
	if !ok {
		c.srv.plainPage(c.w, c.r, http.StatusNotFound, "panel.notfound")
		return
	}
	state := t.state()
	if state.over && state.err == nil { // what came of it is told where it shows
		if state.said.some() {
			c.s.tell(state.said)
		}
		c.redirect(t.next)
		return
	}
	b := taskBody{
		ID: t.id, What: c.text(t.kind), Percent: state.percent(), Known: state.total > 0, Over: state.over, Next: t.next,
		Format: t.kind == "format.title",
	}
	reload := 1
	if state.over {
		reload = 0
		b.Problem, b.Next = c.problem(state.err), t.back
	}
	tab := "admin"
	if t.next == "/certificates" {
		tab = "certs"
	}
	c.renderPage(http.StatusOK, "task", page{Tab: tab, Title: t.kind, Back: b.Next, Reload: reload, Body: b})
}

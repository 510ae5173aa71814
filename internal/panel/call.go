package panel

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// cookieName is the name of the session's cookie. Browsers do not keep the cookies
// of different ports apart: see [Server.cookieName].
const cookieName = "kaztoken-panel"

// call is one request of a session.
type call struct {
	srv      *Server
	w        http.ResponseWriter
	r        *http.Request
	s        *session
	words    words.Words
	settings settings.Settings
	form     *form    // of a POST
	station  *station // the token that the session looks at, nil without any
	dialog   bool     // a script of ours asks, and shows a part of the page
	seen     string   // the mark of the outlook when the request came
}

// settings reads the user's choices. What cannot be read does not count.
func (s *Server) settings() settings.Settings {
	if s.cfg.Settings == "" {
		return settings.Standard()
	}
	chosen, err := settings.Load(s.cfg.Settings)
	if err != nil {
		s.report(err)
		return settings.Standard()
	}
	return chosen
}

// page makes the handler of a page: f answers for a session.
func (s *Server) page(f func(*call)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.callOf(w, r)
		if c == nil {
			return
		}
		// The timer that does this stands still while the machine sleeps.
		s.expire(c.s, idleLimit(c.settings))
		if r.Header.Get(refreshHeader) == "" {
			c.s.use(s.cfg.Now())
		}
		c.seen = markOf(s.outlook(c.s))
		f(c)
	}
}

// callOf finds the session of a request and, of a POST, reads its form and checks
// that the session made it. Without a session the request is answered here, and
// there is no call.
func (s *Server) callOf(w http.ResponseWriter, r *http.Request) *call {
	chosen := s.settings()
	c := &call{
		srv: s, w: w, r: r, settings: chosen, words: words.For(languageOf(chosen.Language, r)),
		dialog: r.Header.Get(dialogHeader) != "",
	}
	cookie, err := r.Cookie(s.cookieName(r.Host))
	if err == nil {
		c.s, _ = s.sessionOf(cookie.Value)
	}
	if c.s == nil {
		s.stranger(w, r)
		return nil
	}
	if l := c.s.speaks(); l != "" {
		c.words = words.For(l)
	}
	c.station = s.chosenBy(c.s)
	return c
}

// cookieName is the name of the session's cookie under a host. A browser sends
// cookies of one port to all others of a host, so that each panel has a name of its
// own and they do not overwrite each other.
func (s *Server) cookieName(host string) string {
	if s.cfg.TLS {
		return "__Host-" + cookieName
	}
	_, port, _ := net.SplitHostPort(host) // "" for the scheme's own
	return cookieName + "-" + port
}

func (s *Server) setCookie(w http.ResponseWriter, r *http.Request, value string) {
	http.SetCookie(w, &http.Cookie{
		Name: s.cookieName(r.Host), Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.cfg.TLS,
	})
}

// chosenBy is the token that a session looks at: the one it chose, or the first.
func (s *Server) chosenBy(n *session) *station {
	stations, _ := s.all()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, st := range stations {
		if st.id == n.chosen {
			return st
		}
	}
	if len(stations) > 0 {
		n.chosen = stations[0].id
		return stations[0]
	}
	n.chosen = ""
	return nil
}

// action makes the handler of a form: f answers, after the form was read and found
// to be one of the session's.
func (s *Server) action(f func(*call)) http.HandlerFunc {
	return s.page(func(c *call) {
		form, err := readForm(c.r)
		defer form.wipe()
		switch {
		case errors.Is(err, errLarge):
			s.plainPage(c.w, c.r, http.StatusRequestEntityTooLarge, "panel.refused.large")
			return
		case err != nil:
			s.plainPage(c.w, c.r, http.StatusBadRequest, "panel.refused.form")
			return
		case !c.s.owns(form.bytes("csrf")):
			s.plainPage(c.w, c.r, http.StatusForbidden, "panel.refused.form")
			return
		}
		c.form = form
		f(c)
	})
}

// operation is an action on the token that the form names, which is the one that
// the person saw.
func (s *Server) operation(f func(*call)) http.HandlerFunc {
	return s.action(func(c *call) {
		stations, _ := s.all()
		c.station = nil
		for _, st := range stations {
			if st.id == c.form.line("token") {
				c.station = st
			}
		}
		if c.station == nil {
			c.s.tell(notice{key: "panel.gone", bad: true})
			c.redirect("/")
			return
		}
		f(c)
	})
}

// dialogHeader marks requests of the panel's own script, which shows a part of the
// answer and follows no redirection by itself.
const dialogHeader = "Panel-Dialog"

// refreshHeader marks requests that no person made.
const refreshHeader = "Panel-Refresh"

// redirect sends the browser to another page, after a form was carried out.
func (c *call) redirect(path string) {
	if c.dialog {
		header := "Panel-Location"
		if opens(path) {
			header = "Panel-Open"
		}
		c.w.Header().Set(header, path)
		c.w.WriteHeader(http.StatusNoContent)
		return
	}
	c.w.Header().Set("Location", path)
	c.w.WriteHeader(http.StatusSeeOther)
}

// opens reports whether a page is shown as a dialog.
func opens(path string) bool {
	path, _, _ = strings.Cut(path, "?")
	return strings.HasPrefix(path, "/task/") || slices.Contains([]string{"/format", "/format/confirm", "/login/default", "/check"}, path)
}

// text is a text of the catalogue as a sentence of its own.
func (c *call) text(k words.Key, values ...any) string { return sentence(c.words.Text(k, values...)) }

// problem tells of an error.
func (c *call) problem(err error) *Problem {
	p := explain(c.srv.cfg, c.words, err)
	return &p
}

// explain tells of the errors that are the panel's own, and has the rest told.
func explain(cfg Config, w words.Words, err error) Problem {
	for _, o := range []struct {
		err  error
		key  words.Key
		gone bool
	}{
		{errGone, "panel.gone", true},
		{errLoggedOut, "panel.loggedout", false},
		{errOtherToken, "panel.othertoken", false},
		{errOccupied, "panel.occupied", false},
		{errNoPIN, "error.pin.empty", false},
		{errDiffer, "error.pin.differ", false},
		{errRole, "panel.refused.form", false},
		{errNumber, "panel.number", false},
		{errNothing, "panel.nothing", false},
		{errNoFile, "panel.nofile", false},
		{errNoSettings, "panel.nosettings", false},
	} {
		if errors.Is(err, o.err) {
			return Problem{Message: sentence(w.Text(o.key)), Gone: o.gone}
		}
	}
	p := cfg.Explain(w, err)
	p.Message, p.Hint = sentence(p.Message), sentence(p.Hint)
	return p
}

// sentence begins a text with a capital letter.
func sentence(s string) string {
	for i, r := range s {
		if i == 0 {
			return strings.ToUpper(string(r)) + s[len(string(r)):]
		}
	}
	return s
}

// with runs f on the chosen token with the session's log-in, in the background,
// and answers: with the result if it comes soon, or else with the page that shows
// how far it is. again answers a failure, with the form where it can be mended.
func (c *call) with(kind words.Key, next, back string, need firmware.Role, f work, again func(error)) {
	cred, err := c.s.credentials(c.station.id)
	if err == nil && need != 0 && cred.role != need {
		cred.pin.Wipe()
		err = &firmware.RoleError{Need: need}
	}
	if err != nil {
		again(err)
		return
	}
	st, s := c.station, c.s
	t, err := st.begin(kind, next, back, func(ctx context.Context, t *task) error {
		defer cred.pin.Wipe()
		err := st.as(ctx, cred, func(ctx context.Context, token *firmware.Token) error {
			said, err := f(ctx, token, t.progress)
			t.say(said)
			return err
		})
		var refused *loginError
		if errors.As(err, &refused) || errors.Is(err, errOtherToken) {
			s.logOut(st.id)
		}
		return err
	})
	if err != nil {
		cred.pin.Wipe()
		again(err)
		return
	}
	c.follow(t, again)
}

// follow answers with what comes of a task.
func (c *call) follow(t *task, again func(error)) {
	if !t.wait(c.r.Context()) {
		c.redirect("/task/" + t.id)
		return
	}
	state := t.state()
	if state.err != nil {
		again(state.err)
		return
	}
	if state.said.some() {
		c.s.tell(state.said)
	}
	c.redirect(t.next)
}

// query is a path with a query.
func query(path string, pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + v.Encode()
}

package panel

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// enter lets a browser in that has a one-time address, and sends it to one without
// a secret in it.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Password != nil || !s.redeem(r.PathValue("secret")) {
		s.plainPage(w, r, http.StatusForbidden, "panel.stranger")
		return
	}
	s.admit(w, r)
}

// admit makes a session and sends the browser to the first page.
func (s *Server) admit(w http.ResponseWriter, r *http.Request) {
	// One browser has one session: the old one's log-ins end here.
	if cookie, err := r.Cookie(s.cookieName(r.Host)); err == nil {
		if old, ok := s.sessionOf(cookie.Value); ok {
			s.endSession(old)
		}
	}
	s.setCookie(w, r, s.newSession())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", "/")
	w.WriteHeader(http.StatusSeeOther)
}

const (
	// doorTries wrong passwords within doorPause close the door until that is over.
	doorTries = 5
	doorPause = time.Minute
)

// door counts wrong passwords, of everybody together: who guesses has many
// addresses.
type door struct {
	mu    sync.Mutex // guards wrong, and lets one password be compared at a time
	wrong []time.Time
}

// enterPassword lets a browser in that has the password.
func (s *Server) enterPassword(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Password == nil {
		s.plainPage(w, r, http.StatusForbidden, "panel.stranger")
		return
	}
	f, err := readForm(r)
	defer f.wipe()
	if err != nil {
		s.plainPage(w, r, http.StatusBadRequest, "panel.refused.form")
		return
	}
	switch s.door.knock(s.cfg.Now(), func() bool { return s.cfg.Password.Matches(f.bytes("password")) }) {
	case doorClosed:
		w.Header().Set("Retry-After", "60")
		s.askPassword(w, r, http.StatusTooManyRequests, "panel.password.wait")
	case doorWrong:
		s.askPassword(w, r, http.StatusForbidden, "panel.password.wrong")
	case doorOpen:
		s.admit(w, r)
	}
}

// The answers of a door.
const (
	doorClosed = iota // too many were wrong, nothing was compared
	doorWrong
	doorOpen
)

// knock compares a password, one at a time. Nobody is answered meanwhile: one who does
// not take his answer would keep everybody else out.
func (d *door) knock(now time.Time, matches func() bool) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wrong = slices.DeleteFunc(d.wrong, func(at time.Time) bool { return now.Sub(at) >= doorPause })
	switch {
	case len(d.wrong) >= doorTries:
		return doorClosed
	case !matches():
		d.wrong = append(d.wrong, now)
		return doorWrong
	}
	return doorOpen
}

// askPassword answers with the page that asks for the password.
func (s *Server) askPassword(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s.write(w, status, "password", page{
		Lang: languageOf(s.settings().Language, r), Title: "title", Assets: assetVersion, Body: problem,
	})
}

package panel

import (
	"net/http"
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
	s.door.mu.Lock()
	defer s.door.mu.Unlock()
	now := s.cfg.Now()
	recent := s.door.wrong[:0]
	for _, at := range s.door.wrong {
		if now.Sub(at) < doorPause {
			recent = append(recent, at)
		}
	}
	s.door.wrong = recent
	if len(recent) >= doorTries {
		w.Header().Set("Retry-After", "60")
		s.askPassword(w, r, http.StatusTooManyRequests, "panel.password.wait")
		return
	}
	if !s.cfg.Password.Matches(f.bytes("password")) {
		s.door.wrong = append(s.door.wrong, now)
		s.askPassword(w, r, http.StatusForbidden, "panel.password.wrong")
		return
	}
	s.admit(w, r)
}

// askPassword answers with the page that asks for the password.
func (s *Server) askPassword(w http.ResponseWriter, r *http.Request, status int, problem string) {
	s.write(w, status, "password", page{
		Lang: languageOf(s.settings().Language, r), Title: "title", Assets: assetVersion, Body: problem,
	})
}

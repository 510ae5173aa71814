package panel

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"sync"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/secret"
	"kaztoken/internal/words"
)

const (
	// maxSessions bounds the sessions of one process; the one that was not used for
	// the longest time makes room.
	maxSessions = 16
	// maxEntries bounds the addresses that wait to be opened, and entryLife how long
	// they can be.
	maxEntries = 16
	entryLife  = 10 * time.Minute
	// pendingLife is how long what was typed into the format dialog waits for the
	// answer to the warning.
	pendingLife = 5 * time.Minute
)

// randomText is a random text of 256 bits that can stand in an address, a cookie or
// a form.
func randomText() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// digest is how sessions and one-time secrets are found: not by themselves, so
// that the time of a look-up tells nothing of them.
type digest [sha256.Size]byte

func digestOf(s string) digest { return sha256.Sum256([]byte(s)) }

// session is one browser.
type session struct {
	key  digest
	csrf string // in every form

	mu       sync.Mutex     // guards the following fields; no I/O while held
	language words.Language // "" for what the browser asks for
	chosen   string         // station
	notices  []notice
	logins   map[string]*login // by station
	pending  map[string]*pending
	used     time.Time
	over     bool
}

// login is a role that a session is logged in as to a token.
type login struct {
	role   firmware.Role
	pin    *secret.Bytes
	serial string
}

func (l *login) wipe() { l.pin.Wipe() }

// pending is a format that waits for the person's word.
type pending struct {
	station string
	options firmware.FormatOptions
	pins    []*secret.Bytes // those of options
	until   time.Time
}

func (p *pending) wipe() {
	for _, b := range p.pins {
		b.Wipe()
	}
}

// entry is a one-time secret that waits to be used.
type entry struct {
	digest digest
	until  time.Time
}

// newEntry makes the secret of an address that can be opened once.
func (s *Server) newEntry() string {
	text := randomText()
	now := s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.entries = slices.DeleteFunc(s.entries, func(e entry) bool { return !now.Before(e.until) })
	if over := len(s.entries) - maxEntries + 1; over > 0 {
		s.entries = slices.Delete(s.entries, 0, over) // the oldest
	}
	s.entries = append(s.entries, entry{digestOf(text), now.Add(entryLife)})
	return text
}

// redeem takes a secret back: it was valid, and is no more.
func (s *Server) redeem(text string) bool {
	d := digestOf(text)
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.entries, func(e entry) bool { return e.digest == d })
	if i < 0 {
		return false
	}
	until := s.entries[i].until
	s.entries = slices.Delete(s.entries, i, i+1)
	return s.cfg.Now().Before(until)
}

// newSession makes a session and gives its cookie's value.
func (s *Server) newSession() string {
	text := randomText()
	n := &session{
		key: digestOf(text), csrf: randomText(), logins: make(map[string]*login), pending: make(map[string]*pending), used: s.cfg.Now(),
	}
	s.mu.Lock()
	var oldest *session
	if len(s.sessions) >= maxSessions {
		for _, o := range s.sessions {
			if oldest == nil || o.lastUse().Before(oldest.lastUse()) {
				oldest = o
			}
		}
		delete(s.sessions, oldest.key)
	}
	s.sessions[n.key] = n
	s.mu.Unlock()
	if oldest != nil {
		oldest.end()
	}
	s.news.tell()
	return text
}

// sessionOf finds the session of a cookie's value.
func (s *Server) sessionOf(text string) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.sessions[digestOf(text)]
	return n, ok
}

// endSession forgets a session and all that it knows.
func (s *Server) endSession(n *session) {
	s.mu.Lock()
	delete(s.sessions, n.key)
	s.mu.Unlock()
	n.end()
	s.news.tell()
}

func (n *session) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	n.forget()
}

// forget logs out of every token. The caller holds mu.
func (n *session) forget() {
	for id, l := range n.logins {
		l.wipe()
		delete(n.logins, id)
	}
	for id, p := range n.pending {
		p.wipe()
		delete(n.pending, id)
	}
}

// owns compares the token of a form.
func (n *session) owns(csrf []byte) bool {
	return subtle.ConstantTimeCompare(csrf, []byte(n.csrf)) == 1
}

func (n *session) lastUse() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.used
}

// use notes that a person does something.
func (n *session) use(now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.used = now
}

// tell keeps something for the next page.
func (n *session) tell(said notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.notices) < 8 {
		n.notices = append(n.notices, said)
	}
}

// told takes what there is to tell.
func (n *session) told() []notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.notices
	n.notices = nil
	return all
}

// logIn keeps a log-in, and takes pin over.
func (n *session) logIn(station string, role firmware.Role, pin *secret.Bytes, serial string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if old := n.logins[station]; old != nil {
		old.wipe()
	}
	if n.over {
		pin.Wipe()
		return
	}
	n.logins[station] = &login{role: role, pin: pin, serial: serial}
}

// logOut forgets the log-in to a token, and reports whether there was one.
func (n *session) logOut(station string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p := n.pending[station]; p != nil {
		p.wipe()
		delete(n.pending, station)
	}
	l := n.logins[station]
	if l == nil {
		return false
	}
	l.wipe()
	delete(n.logins, station)
	return true
}

// role is who is logged in to a token, 0 for nobody.
func (n *session) role(station string) firmware.Role {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.logins[station]; l != nil {
		return l.role
	}
	return 0
}

// errLoggedOut: there is no log-in any more.
var errLoggedOut = errors.New("not logged in")

// credentials gives a copy of the log-in, which the caller wipes.
func (n *session) credentials(station string) (credentials, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.logins[station]
	if l == nil {
		return credentials{}, errLoggedOut
	}
	return credentials{role: l.role, pin: secret.Copy(l.pin.Bytes()), serial: l.serial}, nil
}

// idle logs out of everything if the session was not used for so long, and reports
// whether it did. It drops what has waited too long for an answer. rest is how long it
// will be until there is something to do again.
func (n *session) idle(now time.Time, limit time.Duration) (out bool, rest time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	rest = time.Hour
	for id, p := range n.pending {
		left := p.until.Sub(now)
		if left > 0 {
			rest = min(rest, left)
			continue
		}
		p.wipe()
		delete(n.pending, id)
	}
	if len(n.logins) == 0 || limit <= 0 {
		return false, rest
	}
	if now.Before(n.used) {
		n.used = now // the clock was set back, and gives nobody more time
	}
	if left := limit - now.Sub(n.used); left > 0 {
		return false, min(rest, left)
	}
	n.forget()
	return true, rest
}

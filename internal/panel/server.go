package panel

import (
	"context"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// Config says what a [Server] works with. Fields without a word on nil have to be
// set.
type Config struct {
	Tokens Tokens
	// Settings is the file with the user's choices; "" if there is no place for one.
	Settings string
	// Chosen is told of choices that were changed in the panel; nil for nobody.
	Chosen func(settings.Settings)

	// Explain tells a person of an error in a language.
	Explain func(words.Words, error) Problem
	// Firmware gives further options for the token in a reader; nil for none.
	Firmware func(reader string) []firmware.Option
	// Registered reports whether the applications of this machine find certificates
	// on a token, and what can be done if they do not.
	Registered func(words.Words) Registration
	About      func(context.Context, words.Words) About
	// Diagnose finds out why a token does not work; nil for nothing to find.
	Diagnose func(context.Context, words.Words) (Diagnosis, error)

	// Hosts are what the Host of a request may be: name or address, with the port
	// unless it is the scheme's.
	Hosts []string
	TLS   bool
	// Password lets whoever knows it in, and no one-time address; nil for those
	// addresses.
	Password *Password

	Now func() time.Time // nil is time.Now
	// Trace is told of every request that was answered, and Report of what no person
	// can be told of; nil for nobody. Calls may overlap.
	Trace  func(Exchange)
	Report func(error)
}

// Problem is an error as a person is told of it. The texts begin with a capital
// letter.
type Problem struct {
	Message string
	Details string // what the error says itself, in English; "" for nothing more
	Hint    string // what can be done; "" if nothing is known
	Gone    bool   // the token was pulled out
}

// Exchange is a request and its answer.
type Exchange struct {
	Method string
	Route  string // as the panel knows it: no secret is in it
	Status int
	Took   time.Duration
}

// Registration says whether applications find the certificates of a token.
type Registration struct {
	Done bool
	Hint string // why not, or what can be done; "" for nothing
}

// Server is the panel as an http.Handler. It is safe for concurrent use.
type Server struct {
	cfg   Config
	mux   *http.ServeMux
	pages map[words.Language]map[string]*template.Template
	news  news
	door  door

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	wg      sync.WaitGroup
	settled chan struct{} // closed when the tokens have been listed once

	mu       sync.Mutex // guards the following fields; no I/O while held
	sessions map[digest]*session
	entries  []entry
	stations []*station
	tasks    []*task
	cut      map[string]interruption // by the token's number
	listErr  error
	counter  int
	streams  int       // pages that listen for events
	last     time.Time // when the last request ended
}

// New makes a server and begins to look for tokens. The caller closes it, after it
// has stopped to serve requests.
func New(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	// The clock on the wall: the other one stands still while the machine sleeps, and
	// who wakes it may be somebody else.
	clock := cfg.Now
	cfg.Now = func() time.Time { return clock().Round(0) }
	s := &Server{
		cfg: cfg, pages: templates(), settled: make(chan struct{}), sessions: make(map[digest]*session),
		cut: make(map[string]interruption), last: cfg.Now(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mux = s.routes()
	s.wg.Go(s.follow)
	s.wg.Go(s.mind)
	return s
}

// Entry gives the path of an address that lets one browser in, once and for ten
// minutes. With a password it is the page that asks for it.
func (s *Server) Entry() string {
	if s.cfg.Password != nil {
		return "/"
	}
	return "/enter/" + s.newEntry()
}

// Close forgets all sessions, waits for operations that run and lets the tokens go.
func (s *Server) Close() error {
	s.cancel()
	s.news.tell()
	s.mu.Lock()
	sessions := s.sessions
	s.sessions = make(map[digest]*session)
	s.mu.Unlock()
	for _, n := range sessions {
		n.end()
	}
	s.wg.Wait()
	return nil
}

// Idle is for how long nobody has been there: no page listens for events, none was
// asked for, and no operation runs.
func (s *Server) Idle() time.Duration {
	s.mu.Lock()
	streams, last := s.streams, s.last
	s.mu.Unlock()
	if streams > 0 || slices.ContainsFunc(s.kept(), (*task).running) {
		return 0
	}
	return s.cfg.Now().Sub(last)
}

// attend notes that somebody is there. A page that listens for events comes with +1
// and leaves with -1.
func (s *Server) attend(stream int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams += stream
	s.last = s.cfg.Now()
}

// Evict ends all sessions, as if everybody had closed the panel.
func (s *Server) Evict() {
	for _, n := range s.everybody() {
		s.endSession(n)
	}
}

func (s *Server) report(err error) {
	if err != nil && s.cfg.Report != nil {
		s.cfg.Report(err)
	}
}

// relist is how long after a failure the tokens are listed again, unless there is
// news of them before.
const relist = 3 * time.Second

// follow keeps the stations as the list of tokens has them.
func (s *Server) follow() {
	first := sync.OnceFunc(func() { close(s.settled) })
	for {
		changed := s.cfg.Tokens.Changed()
		list, err := s.cfg.Tokens.List(s.ctx)
		if s.ctx.Err() != nil {
			first()
			s.keepStations(nil, nil)
			return
		}
		s.keepStations(list, err)
		first()
		timer := time.NewTimer(relist)
		again := timer.C
		if err == nil {
			again = nil // nothing is asked for without news
		}
		select {
		case <-changed:
		case <-again:
		case <-s.ctx.Done():
		}
		timer.Stop()
	}
}

// keepStations begins and ends plugging-ins.
func (s *Server) keepStations(list []Entry, err error) {
	s.mu.Lock()
	var ended []*station
	s.stations = slices.DeleteFunc(s.stations, func(st *station) bool {
		stays := slices.ContainsFunc(list, func(e Entry) bool { return e.Key == st.entry.Key })
		if !stays {
			ended = append(ended, st)
		}
		return !stays
	})
	for _, e := range list {
		if i := slices.IndexFunc(s.stations, func(st *station) bool { return st.entry.Key == e.Key }); i < 0 {
			s.counter++
			s.stations = append(s.stations, newStation(s, strconv.Itoa(s.counter), e))
		}
	}
	s.listErr = err
	s.mu.Unlock()
	for _, st := range ended {
		st.end()
		s.forgetLogins(st, func(*session, firmware.Role) bool { return true })
	}
	s.news.tell()
}

// forgetLogins ends the log-ins to a token that stale picks.
func (s *Server) forgetLogins(st *station, stale func(*session, firmware.Role) bool) {
	for _, n := range s.everybody() {
		if r := n.role(st.id); r != 0 && stale(n, r) {
			n.logOut(st.id)
		}
	}
}

// everybody lists the sessions.
func (s *Server) everybody() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.sessions))
}

// all lists the stations, and why the tokens could not be listed.
func (s *Server) all() ([]*station, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.stations), s.listErr
}

// mind logs out of tokens that nobody has done anything with for a while.
func (s *Server) mind() {
	for {
		told := s.news.next()
		limit := idleLimit(s.settings())
		wait := time.Hour
		for _, n := range s.everybody() {
			wait = min(wait, s.expire(n, limit))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-told:
		case <-s.ctx.Done():
			timer.Stop()
			return
		}
		timer.Stop()
	}
}

func idleLimit(chosen settings.Settings) time.Duration {
	return time.Duration(chosen.IdleMinutes) * time.Minute
}

// expire logs a session out of everything if it was not used for limit, and gives how
// long it will be until there is something to do again.
func (s *Server) expire(n *session, limit time.Duration) (rest time.Duration) {
	out, rest := n.idle(s.cfg.Now(), limit)
	if out {
		n.tell(notice{key: "panel.idle", bad: true})
		s.news.tell()
	}
	return rest
}

// news tells everybody that something has changed.
type news struct {
	mu      sync.Mutex // guards changed
	changed chan struct{}
}

// next gives a channel that is closed at the next change.
func (n *news) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

func (n *news) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

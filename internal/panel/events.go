package panel

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// heartbeat is how often a connection for events is written to without any, so
	// that one whose browser has left ends.
	heartbeat = 20 * time.Second
	// breath is the shortest time between two events: progress may come faster.
	breath = 100 * time.Millisecond
)

// events tells a page that something has changed (HTML Standard §9.2, server-sent
// events). The events are
//
//	tokens   the list of tokens, or who is logged in, is another one
//	task     how far a task is: {"id", "percent", "over"}
//	session  the session is over
//
// The page names the mark of the outlook that it shows, so that nothing is missed of
// what happened while it was on its way. Events that come faster than a page can use
// are put together.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	c := s.callOf(w, r)
	if c == nil {
		return
	}
	s.attend(1)
	defer s.attend(-1)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		s.report(fmt.Errorf("events: %w", err))
	}
	send := func(text string) bool {
		_ = control.SetWriteDeadline(time.Now().Add(heartbeat))
		if _, err := fmt.Fprint(w, text); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	known, tasks := s.outlook(c.s), map[string]string{}
	if seen := r.URL.Query().Get("seen"); seen != "" && seen != markOf(known) {
		known = "of another page"
	}
	if !send("retry: 2000\n\n") {
		return
	}
	for {
		told := s.news.next()
		if _, ok := s.sessionWith(c.s.key); !ok {
			send("event: session\ndata: over\n\n")
			return
		}
		var b strings.Builder
		if now := s.outlook(c.s); now != known {
			known = now
			b.WriteString("event: tokens\ndata: changed\n\n")
		}
		for _, t := range s.kept() {
			state := t.state()
			data, err := json.Marshal(struct {
				ID      string `json:"id"`
				Percent int    `json:"percent"`
				Over    bool   `json:"over"`
			}{t.id, state.percent(), state.over})
			if err != nil {
				s.report(err)
				return
			}
			if text := string(data); tasks[t.id] != text {
				tasks[t.id] = text
				fmt.Fprintf(&b, "event: task\ndata: %s\n\n", text)
			}
		}
		if b.Len() > 0 && !send(b.String()) {
			return
		}
		pause := time.NewTimer(breath)
		select {
		case <-pause.C:
		case <-r.Context().Done():
			pause.Stop()
			return
		}
		beat := time.NewTimer(heartbeat)
		select {
		case <-told:
		case <-beat.C:
			if !send(": still here\n\n") {
				return
			}
		case <-r.Context().Done():
		case <-s.ctx.Done():
		}
		beat.Stop()
		if r.Context().Err() != nil || s.ctx.Err() != nil {
			return
		}
	}
}

// sessionWith finds a session by its key.
func (s *Server) sessionWith(key digest) (*session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.sessions[key]
	return n, ok
}

// outlook is what the pages of a session show of the tokens without asking them:
// which there are, who is logged in, and what they are busy with.
func (s *Server) outlook(n *session) string {
	stations, err := s.all()
	var b strings.Builder
	for _, st := range stations {
		fmt.Fprintf(&b, "%s %v", st.id, n.role(st.id))
		if t := st.running(); t != nil {
			b.WriteString(" " + t.id)
		}
		b.WriteString("\n")
	}
	if err != nil {
		b.WriteString(err.Error())
	}
	return b.String()
}

// markOf makes a short mark of an outlook.
func markOf(outlook string) string {
	d := digestOf(outlook)
	return hex.EncodeToString(d[:8])
}

// kept are the tasks that can be looked at.
func (s *Server) kept() []*task {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.tasks)
}

package panel

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"kaztoken/firmware"
	"kaztoken/internal/words"
)

const (
	// prompt is how long an answer waits for its task: most are done by then, and
	// their result is the answer.
	prompt = 400 * time.Millisecond
	// keptTasks bounds the ended tasks that can still be looked at.
	keptTasks = 32
)

// errOccupied: a task runs on the token already.
var errOccupied = errors.New("the token is busy with another operation")

// task is an operation that writes to a token. It has an owner of its own and
// goes on whoever looks.
type task struct {
	id      string
	kind    words.Key // what is being done, for a person
	station *station
	next    string // where to go when it has succeeded
	back    string // and when it has not

	ended chan struct{} // closed at the end

	mu    sync.Mutex // guards the following fields
	done  int
	total int // 0 until the operation tells
	over  bool
	said  notice
	err   error
}

// notice is something that a page tells once.
type notice struct {
	key    words.Key
	values []any
	bad    bool // a warning
}

func (n notice) some() bool { return n.key != "" }

// work is the body of a task. It gives what to tell a person.
type work func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error)

// begin starts a task: run is given the turn by [station.do] or [station.as].
func (st *station) begin(kind words.Key, next, back string, run func(context.Context, *task) error) (*task, error) {
	// Its number is there before anybody can find it.
	t := &task{id: st.srv.number(), kind: kind, station: st, next: next, back: back, ended: make(chan struct{})}
	st.mu.Lock()
	busy := st.task != nil && st.task.running()
	gone := st.gone || st.ctx.Err() != nil
	if !busy && !gone {
		st.task = t
	}
	st.mu.Unlock()
	switch {
	case gone:
		return nil, errGone
	case busy:
		return nil, errOccupied
	}
	st.srv.keep(t)
	st.srv.wg.Go(func() {
		err := run(st.ctx, t)
		t.mu.Lock()
		t.over, t.err = true, err
		t.mu.Unlock()
		st.srv.remember(st, t, err)
		close(t.ended)
		st.srv.news.tell()
	})
	st.srv.news.tell()
	return t, nil
}

// progress is the hook for package firmware.
func (t *task) progress(done, total int) {
	t.mu.Lock()
	t.done, t.total = done, total
	t.mu.Unlock()
	t.station.srv.news.tell()
}

// say keeps what there is to tell when the task ends.
func (t *task) say(n notice) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = n
}

func (t *task) running() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.over
}

// taskState is a task as it is now.
type taskState struct {
	done, total int
	over        bool
	said        notice
	err         error
}

func (t *task) state() taskState {
	t.mu.Lock()
	defer t.mu.Unlock()
	return taskState{t.done, t.total, t.over, t.said, t.err}
}

// percent is how far a task is, 0 to 100.
func (s taskState) percent() int {
	if s.over {
		return 100
	}
	if s.total <= 0 {
		return 0
	}
	return min(99, 100*s.done/s.total)
}

// wait waits a little for the end, and reports whether it has come.
func (t *task) wait(ctx context.Context) bool {
	timer := time.NewTimer(prompt)
	defer timer.Stop()
	select {
	case <-t.ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return !t.running()
}

// number is one that no task has had.
func (s *Server) number() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counter++
	return strconv.Itoa(s.counter)
}

// keep keeps a task to be looked at.
func (s *Server) keep(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks = append(s.tasks, t)
	if over := len(s.tasks) - keptTasks; over > 0 {
		s.tasks = append(s.tasks[:0:0], s.tasks[over:]...)
	}
}

// taskWith finds a task by its number.
func (s *Server) taskWith(id string) (*task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tasks {
		if t.id == id {
			return t, true
		}
	}
	return nil, false
}

// interruption is an operation that did not come to its end.
type interruption struct{ kind words.Key }

// remember keeps in mind a task that a token was pulled out of, for when the token
// comes back. One that was done on it afterwards has put that right, or was told of
// it.
func (s *Server) remember(st *station, t *task, err error) {
	serial := ""
	if i := st.last().info; i != nil {
		serial = serialIn(*i)
	}
	if serial == "" {
		return
	}
	gone := err != nil && explain(s.cfg, words.For(words.English), err).Gone
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case gone:
		s.cut[serial] = interruption{t.kind}
	case err == nil:
		delete(s.cut, serial)
	}
}

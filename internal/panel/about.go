package panel

import (
	"context"
	"net/http"

	"kaztoken/internal/words"
)

// About is what the program knows of itself and of what it found.
type About struct {
	Version, Commit string
	Platform        string // "linux/amd64, go1.26"
	Facts           []Fact
}

// Fact is something that was found, in words of the person's language where it has
// any.
type Fact struct {
	Label words.Key
	Value string
	Bad   bool
}

// Diagnosis is what was found on the way from the plug to the program, in words.
type Diagnosis struct {
	Steps []Step
	// Device is the token that Cause is about, "" for the machine.
	Device      string
	Cause, Todo string // "" if all is good
	Good        string // said then
}

// Step is one thing that was looked at.
type Step struct {
	Text  string
	State StepState
}

// StepState is what came of a step.
type StepState string

// The states of steps.
const (
	StepFine    StepState = "fine"
	StepWrong   StepState = "wrong"
	StepSkipped StepState = "skipped" // something before it is wrong
)

// aboutBody is the About tab.
type aboutBody struct {
	About
	Licences []Licence
	Address  string
}

func (c *call) about() {
	c.render(http.StatusOK, "about", "about", "tab.about", aboutBody{
		About: c.srv.cfg.About(c.r.Context(), c.words), Licences: Licences(), Address: c.r.Host,
	})
}

// diagnostics finds out why a token does not work. The panel lets go of all tokens
// for it, so that they are as any other program would find them.
func (c *call) diagnostics() {
	c.settle()
	b := struct {
		About
		Problem   *Problem
		Tokens    []string
		Diagnosis Diagnosis
	}{About: c.srv.cfg.About(c.r.Context(), c.words)}
	stations, err := c.srv.all()
	for _, st := range stations {
		b.Tokens = append(b.Tokens, words.Clean(st.entry.Name))
		if st.running() != nil {
			err = errOccupied
		}
	}
	if err == nil && c.srv.cfg.Diagnose != nil {
		err = c.alone(stations, func(ctx context.Context) (err error) {
			b.Diagnosis, err = c.srv.cfg.Diagnose(ctx, c.words)
			return err
		})
	}
	if err != nil {
		b.Problem = c.problem(err)
	}
	d := &b.Diagnosis
	d.Todo, d.Good = sentence(d.Todo), sentence(d.Good)
	if d.Device == "" {
		d.Cause = sentence(d.Cause)
	}
	c.renderPage(http.StatusOK, "diagnostics", page{Tab: "about", Title: "diagnostics", Back: "/about", Body: b})
}

// alone runs f while nobody uses any of the tokens and none is open.
func (c *call) alone(stations []*station, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(c.r.Context(), patience)
	defer cancel()
	for _, st := range stations { // always in the same order
		if err := st.take(ctx); err != nil {
			return err
		}
		defer st.give()
		st.shut()
	}
	return f(ctx)
}

//go:build !minimal

package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kaztoken/firmware"
	"kaztoken/internal/doctor"
	"kaztoken/internal/host"
	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// panelTokens are the tokens of this machine for the panel, on the road that flags
// and settings choose. None is held open while nothing is done with it.
type panelTokens struct {
	app   *app
	fixed map[string]bool // flags whose value a flag or the environment gave

	mu      sync.Mutex // guards the following fields; no I/O while held
	options host.Options
	changed chan struct{} // closed at the next change
	cancel  context.CancelFunc
	closed  bool
	wg      sync.WaitGroup
}

func newPanelTokens(a *app, fixed map[string]bool) *panelTokens {
	t := &panelTokens{app: a, fixed: fixed, options: a.options, changed: make(chan struct{})}
	t.watch()
	return t
}

// watch begins to look for changes on the chosen road, instead of another one.
func (t *panelTokens) watch() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cancel != nil {
		t.cancel()
	}
	if t.closed {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.cancel = cancel
	o := t.options
	t.wg.Go(func() {
		if err := t.app.Changes(ctx, o, t.tell); err != nil && ctx.Err() == nil {
			t.app.log.WithError(err).Warn("tokens that come and go are not seen")
		}
	})
}

func (t *panelTokens) close() {
	t.mu.Lock()
	t.closed = true
	t.cancel()
	t.mu.Unlock()
	t.wg.Wait()
}

func (t *panelTokens) tell() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.changed)
	t.changed = make(chan struct{})
}

// Changed implements [panel.Tokens], as do the methods that follow.
func (t *panelTokens) Changed() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

func (t *panelTokens) List(ctx context.Context) ([]panel.Entry, error) {
	all, err := t.find(ctx)
	if errors.Is(err, host.ErrNoToken) {
		return nil, nil
	}
	var list []panel.Entry
	for _, c := range all {
		list = append(list, panel.Entry{Key: c.Attached(), Name: c.Name})
	}
	return list, err
}

func (t *panelTokens) find(ctx context.Context) ([]host.Candidate, error) {
	t.mu.Lock()
	o := t.options
	t.mu.Unlock()
	all, err := t.app.Find(ctx, o)
	if err == nil && o.Token != "" {
		var one host.Candidate
		if one, err = host.Select(o.Token, all); err == nil {
			all = []host.Candidate{one}
		}
	}
	return all, err
}

func (t *panelTokens) Open(ctx context.Context, key string) (panel.Device, error) {
	all, err := t.find(ctx)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	o := t.options
	t.mu.Unlock()
	for _, c := range all {
		if c.Attached() != key {
			continue
		}
		o.Token = c.Name
		h, err := t.app.Open(ctx, o)
		if err != nil {
			return nil, err
		}
		if _, err := h.PowerOn(ctx); err != nil {
			return nil, errors.Join(err, h.Close())
		}
		return panelDevice{h, t.app.Card(h)}, nil
	}
	return nil, fmt.Errorf("%s: %w", key, host.ErrNoToken)
}

// choose takes over what was changed in the panel's settings, unless a flag or the
// environment has the last word.
func (t *panelTokens) choose(s settings.Settings) {
	t.mu.Lock()
	before := t.options
	if !t.fixed["backend"] {
		t.options.Backend = s.Backend
	}
	if !t.fixed["devices"] {
		t.options.Devices = s.Readers
	}
	same := before == t.options
	t.mu.Unlock()
	if !same {
		t.watch()
	}
}

// diagnose finds out why a token does not work on the chosen road.
func (t *panelTokens) diagnose(ctx context.Context, w words.Words) (panel.Diagnosis, error) {
	a := *t.app
	t.mu.Lock()
	a.options = t.options
	t.mu.Unlock()
	r, err := a.examine(ctx)
	if err != nil {
		return panel.Diagnosis{}, err
	}
	states := map[doctor.StepState]panel.StepState{
		doctor.Fine: panel.StepFine, doctor.Wrong: panel.StepWrong, doctor.Skipped: panel.StepSkipped,
	}
	var d panel.Diagnosis
	for _, s := range r.Steps {
		d.Steps = append(d.Steps, panel.Step{Text: w.Text("doctor.step", "step", string(s.Check)), State: states[s.State]})
	}
	if r.Finding == nil {
		d.Good = w.Text("doctor.good")
		return d, nil
	}
	d.Device = words.Clean(r.Finding.Device)
	d.Cause, d.Todo = tellFinding(w, r.Finding)
	return d, nil
}

// panelDevice is an open token for the panel.
type panelDevice struct {
	*host.Token
	card firmware.Card
}

func (d panelDevice) Card() firmware.Card { return d.card }

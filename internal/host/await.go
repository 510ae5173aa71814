package host

import (
	"context"
	"errors"
	"sync"
)

// Await waits until what [Find] gives on the chosen road may have changed: a
// device came or went, or a smart-card service says that something has happened
// to its readers, or ends, or starts. unchanged is asked once everything is being watched,
// so that nothing falls between the caller's own look and this call: if it says
// no, Await returns at once. The error is that of ctx or of the options.
func Await(ctx context.Context, o Options, unchanged func() bool) error {
	r, err := o.road()
	if err != nil {
		return err
	}
	return await(ctx, r, unchanged)
}

func await(ctx context.Context, r road, unchanged func() bool) error {
	watched, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, watch := range watchesOf(r) {
		begun := make(chan struct{})
		wg.Go(func() {
			if watch(watched, sync.OnceFunc(func() { close(begun) })) {
				cancel()
			}
		})
		select {
		case <-begun:
		case <-watched.Done():
		}
	}
	if unchanged() {
		<-watched.Done()
	}
	return ctx.Err()
}

// A watch calls begun when it misses nothing any more, at the latest when it
// returns, and returns true when something has happened. Where there is nothing
// to watch it returns false.
type watch func(ctx context.Context, begun func()) bool

func watchesOf(r road) []watch {
	switch r := r.(type) {
	case *autoRoad:
		return []watch{r.service.watch, r.direct.watch}
	case *serviceRoad:
		return []watch{r.watch}
	case *usbRoad:
		return []watch{r.watch}
	}
	return nil // a token in software neither comes nor goes
}

// watch of a service that is not there waits for it to start.
func (r *serviceRoad) watch(ctx context.Context, begun func()) bool {
	defer begun()
	s, err := r.connect(ctx)
	if err != nil {
		begun()
		return r.awaitService(ctx)
	}
	defer s.Close() // nothing is connected
	bounded, stop := context.WithTimeout(ctx, serviceAnswer)
	defer stop()
	known, err := s.Readers(bounded)
	begun()
	if err != nil && bounded.Err() != nil {
		return r.awaitService(ctx) // it hangs, as if it were not there
	}
	if err == nil {
		_, err = s.Wait(ctx, known)
	}
	return err == nil || ctx.Err() == nil
}

// awaitService tries again and again until there is a service that answers, of
// which nobody tells. It is false if ctx ends before.
func (r *serviceRoad) awaitService(ctx context.Context) bool {
	for delay := backoffMin; sleep(ctx, nil, delay); delay = min(2*delay, backoffMax) {
		if _, _, err := r.readers(ctx); err == nil {
			return true
		}
	}
	return false
}

func (r *usbRoad) watch(ctx context.Context, begun func()) bool {
	defer begun()
	w, err := r.source.Watch()
	if err != nil {
		return false
	}
	defer w.Close() // nothing is left to lose
	begun()
	_, err = w.Next(ctx)
	return err == nil || errors.Is(err, ErrOverrun)
}

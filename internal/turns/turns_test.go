package turns

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

var errEnd = errors.New("end")

// TestOrder: calls do not overlap, and each caller gets its own answer.
func TestOrder(t *testing.T) {
	l := New(nil)
	errs := make([]error, 50)
	got := make(chan struct{})
	running := 0
	for i := range errs {
		errs[i] = errors.New("of this call")
		go func() {
			begun, err := l.Do(t.Context(), func() error {
				running++
				if running != 1 {
					t.Errorf("%d calls at once", running)
				}
				running--
				return errs[i]
			}, func() { t.Error("undone although its caller waited") })
			if !begun || err != errs[i] {
				t.Errorf("call %d: %v, %v", i, begun, err)
			}
			got <- struct{}{}
		}()
	}
	for range errs {
		<-got
	}
	l.End(errEnd)
	<-l.Done()
	if begun, err := l.Do(t.Context(), func() error { return nil }, nil); begun || err != errEnd {
		t.Errorf("after the end: %v, %v", begun, err)
	}
}

// TestLeave: a caller who leaves is let go at once, and what it began is undone
// if it succeeds.
func TestLeave(t *testing.T) {
	failure := errors.New("failure")
	for _, c := range []struct {
		name string
		err  error // of the call
		end  bool  // by the end of the line
		want []string
	}{
		{"cancelled", nil, false, []string{"undone", "last"}},
		{"cancelled, and fails", failure, false, []string{"last"}},
		{"ended", nil, true, []string{"undone", "last"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var did []string
				l := New(func() { did = append(did, "last") })
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				want := context.DeadlineExceeded
				if c.end {
					ctx, want = t.Context(), errEnd
					time.AfterFunc(time.Second, func() { l.End(errEnd) })
				}
				began := time.Now()
				begun, err := l.Do(ctx, func() error {
					time.Sleep(time.Minute) // by this test's clock
					return c.err
				}, func() { did = append(did, "undone") })
				if !begun || !errors.Is(err, want) || time.Since(began) != time.Second {
					t.Errorf("%v, %v after %v", begun, err, time.Since(began))
				}
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if begun, err := l.Do(short, func() error { return nil }, nil); begun || err == nil {
					t.Errorf("a call in the queue: %v, %v", begun, err)
				}
				if !c.end {
					if begun, err := l.Do(t.Context(), func() error { return failure }, nil); !begun || err != failure {
						t.Errorf("the next call: %v, %v", begun, err)
					}
					l.End(errEnd)
				}
				<-l.Done()
				if !slices.Equal(did, c.want) {
					t.Errorf("did %v, want %v", did, c.want)
				}
				if cause := context.Cause(l.Life()); cause != errEnd {
					t.Errorf("ended by %v", cause)
				}
			})
		})
	}
}

// TestOver: a caller whose context has ended begins nothing.
func TestOver(t *testing.T) {
	l := New(nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	begun, err := l.Do(ctx, func() error {
		t.Error("begun")
		return nil
	}, nil)
	if begun || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", begun, err)
	}
	l.End(errEnd)
	<-l.Done()
}

//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

// event is one record of test2json (go doc test2json).
type event struct {
	Action  string
	Test    string
	Output  string
	Elapsed float64 // seconds
}

// outcome is what came of one test in the guest.
type outcome struct {
	name     string
	result   string // pass, fail, skip, or empty if it has none
	elapsed  float64
	output   strings.Builder
	children []*outcome
}

// results turns the output of a Go test binary, as it comes in, into subtests.
type results struct {
	decoder   *json.Decoder
	converter *exec.Cmd
}

// newResults converts with time stamps: without them test2json tells no duration
// of a test either.
func newResults(output io.Reader) (*results, error) {
	r := &results{converter: exec.Command("go", "tool", "test2json", "-t")}
	r.converter.Stdin = output
	events, err := r.converter.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.decoder = json.NewDecoder(events)
	return r, r.converter.Start()
}

// Close waits for the converter; report has to be over.
func (r *results) Close() error { return r.converter.Wait() }

// report reads to the end of the output. A test at top level becomes a subtest
// of t as soon as the next one starts: the results of its own subtests come
// behind its own. What belongs to no test goes to t.
func (r *results) report(t *testing.T) {
	var top *outcome
	byName := make(map[string]*outcome)
	count := 0
	for {
		var e event
		if err := r.decoder.Decode(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				t.Errorf("results: %v", err)
			}
			break
		}
		switch o := byName[e.Test]; {
		case e.Test == "":
			if e.Action == "output" && !strings.HasPrefix(e.Output, "PASS") {
				fmt.Fprint(t.Output(), e.Output)
			}
		case e.Action == "run":
			o = &outcome{name: e.Test}
			byName[e.Test] = o
			if parent := byName[path.Dir(e.Test)]; parent != nil {
				parent.children = append(parent.children, o)
				break
			}
			top.replay(t)
			top = o
			count++
			fmt.Fprintf(t.Output(), "running %s\n", e.Test)
		case o == nil:
			t.Errorf("results: %s of unknown test %s", e.Action, e.Test)
		case e.Action == "output":
			if !isFrame(e.Output) {
				o.output.WriteString(e.Output)
			}
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			o.result, o.elapsed = e.Action, e.Elapsed
		}
	}
	top.replay(t)
	if count == 0 {
		t.Error("no scenario ran")
	}
}

// isFrame reports whether a line is one of the test binary's own, which the
// outer test prints again.
func isFrame(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "=== ") || strings.HasPrefix(line, "--- ")
}

// replay makes a subtest with the outcome of one test and of those within it.
func (o *outcome) replay(t *testing.T) {
	if o == nil {
		return
	}
	t.Run(path.Base(o.name), func(t *testing.T) {
		fmt.Fprint(t.Output(), o.output.String())
		for _, child := range o.children {
			child.replay(t)
		}
		switch o.result {
		case "pass":
			fmt.Fprintf(t.Output(), "%.1f s in the machine\n", o.elapsed)
		case "skip":
			t.SkipNow()
		case "fail":
			t.Fail()
		default:
			t.Error("no result: the machine or its test binary ended here")
		}
	})
}

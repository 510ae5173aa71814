//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/wire"
)

const (
	event = `
		< 00000000 00000000`
	wait46 = `
		> 00000000 13000000 00000000 16000000
		< 02000000
		> 00000000 17000000`
	gate = "\n.\n"
)

var (
	knownReaders = []Reader{{Name: readerName, State: wire.CardReady, ATR: unhex(atrHex)}}
	wait44       = strings.Replace(array44(record), "12000000", "13000000", 1)
	array        = "\n<" + record + free
)

// TestWait: a change is seen whenever the service tells of it. pcscd of protocol
// 4:6 may do so in the midst of its answers.
func TestWait(t *testing.T) {
	before, after := array46(record), array46(connected)
	same := func(greeting, array string) string { return greeting + array + array }
	for _, c := range []struct {
		name        string
		main        string // what the Context's own connection asks for
		wait        string // what that of Wait does
		wantChanged bool
	}{
		{"changed already", greeting46 + after + release, "", true},
		{"4:6", same(greeting46, before) + after + release, version46 + wait46 + array + gate + event + wait46 + array, true},
		{"4:4", same(greeting44, array44(record)) + array44(connected) + release, version44 + wait44 + gate + event + wait44, true},
		{"4:6, between first look and registration", greeting46 + before + after + release, version46 + wait46 + array, true},
		{"4:6, event before the size", same(greeting46, before) + after + release, version46 + `
			> 00000000 13000000 00000000 16000000` + event + `
			< 02000000
			> 00000000 17000000` + array + wait46 + array, true},
		{"4:6, event before the array", same(greeting46, before) + after + release, version46 + wait46 + event + array + wait46 + array, true},
		{"4:6, event within the array", same(greeting46, before) + after + release,
			version46 + wait46 + "\n<" + record + "00000000 00000000" + free + wait46 + array, true},
		{"4:4, event before the array", same(greeting44, array44(record)) + array44(connected) + release,
			version44 + strings.Replace(wait44, "<", "< 00000000 00000000", 1) + wait44, true},
		{"an event of something else", same(greeting46, before) + before + after + release,
			version46 + wait46 + array + event + wait46 + array + event + wait46 + array, true},
		{"number of events in the event", same(greeting46, before) + after + release,
			version46 + wait46 + array + "\n< 05000000 00000000" + wait46 + array, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				scripts := []string{c.main}
				if c.wait != "" {
					scripts = append(scripts, c.wait)
				}
				s := newService(t, scripts...)
				x := dialed(t, s)
				// An hour by this test's clock, in which nothing looks.
				defer time.AfterFunc(time.Hour, func() { close(s.gate) }).Stop()
				now, err := x.Wait(t.Context(), knownReaders)
				if err != nil || len(now) != 1 || now[0].Sharing != 1 {
					t.Errorf("%+v, %v", now, err)
				}
				x.Close()
				s.finish()
			})
		})
	}
}

// TestWaitEnds: what ends a wait without a change.
func TestWaitEnds(t *testing.T) {
	waiting := version46 + wait46 + array
	looked := greeting46 + array46(record) + array46(record)
	for _, c := range []struct {
		name  string
		main  string
		wait  string
		end   func(x *Context, cancel func())
		code  wire.Result
		cause error
	}{
		{"cancelled", looked + release, waiting, func(_ *Context, cancel func()) { cancel() }, wire.Cancelled, context.Canceled},
		{"closed", looked + release, waiting, func(x *Context, _ func()) { x.Close() }, wire.InvalidHandle, ErrClosed},
		{"the service dies", looked + "!", waiting + gate + "!", nil, wire.CommError, io.EOF},
		{"turned away by a service that dies", greeting46 + array46(record) + "!", strings.Split(version46, "<")[0] + "!", nil, wire.CommError, io.ErrClosedPipe},
		{"the service stops", looked + release, waiting + "\n< 00000000 1e001080", nil, wire.ServiceStopped, nil},
		{"malformed", greeting46 + array46(record) + release, version46 + `
			> 00000000 13000000 00000000 16000000
			< ffffffff!`, nil, wire.CommError, ErrAnswer},
		{"turned away", looked + release, strings.Split(version46, "<")[0] + "!", nil, wire.CommError, io.EOF},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, c.main, c.wait)
				x := dialed(t, s)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error)
				go func() {
					_, err := x.Wait(ctx, knownReaders)
					ended <- err
				}()
				if c.end != nil {
					synctest.Wait()
					go c.end(x, cancel)
				} else {
					close(s.gate)
				}
				want(t, <-ended, c.code, c.cause)
				x.Close()
				s.finish()
			})
		})
	}
}

// TestWaitDisturbsNobody: commands go on while a Wait waits.
func TestWaitDisturbsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, greeting46+array46(record)+array46(record)+connect+selectMF+selected+release, version46+wait46+array)
		x := dialed(t, s)
		ended := make(chan error)
		go func() {
			_, err := x.Wait(t.Context(), knownReaders)
			ended <- err
		}()
		synctest.Wait()
		if _, err := shared(t, x).Transmit(t.Context(), nil, unhex("00a4040000")); err != nil {
			t.Error(err)
		}
		x.Close()
		want(t, <-ended, wire.InvalidHandle, ErrClosed)
		s.finish()
	})
}

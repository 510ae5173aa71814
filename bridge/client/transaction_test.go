//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/wire"
	"kaztoken/firmware"
)

const (
	success = `
		< 364beb49 00000000`
	wasReset = `
		< 364beb49 68001080`
	locked = `
		< 364beb49 0b001080`
	reconnected = `
		< 364beb49 02000000 03000000 00000000 01000000 00000000`
	reconnectLocked = `
		< 364beb49 02000000 03000000 00000000 00000000 0b001080`
	ended = `
		< 364beb49 00000000 00000000`
)

// TestBeginAfterReset: whoever finds the card reset has the transaction all the
// same, and is told.
func TestBeginAfterReset(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         error
		code         wire.Result
	}{
		{"reset", begin + wasReset + reconnect + reconnected + begin + success, firmware.ErrReset, 0},
		{"reset, then locked", begin + wasReset + reconnect + reconnected + begin + locked + begin + success, firmware.ErrReset, 0},
		{"reset by one who has it now", begin + wasReset + reconnect + reconnectLocked + begin + wasReset +
			reconnect + reconnected + begin + success, firmware.ErrReset, 0},
		{"reset twice", begin + wasReset + reconnect + reconnected + begin + wasReset + begin + wasReset +
			reconnect + reconnected + begin + success, firmware.ErrReset, 0},
		{"locked, then reset", begin + locked + begin + wasReset + reconnect + reconnected + begin + success, firmware.ErrReset, 0},
		{"locked only", begin + locked + begin + success, nil, 0},
		{"reset and gone", begin + wasReset + reconnect + `
			< 364beb49 02000000 03000000 00000000 00000000 0c001080`, nil, wire.NoSmartcard},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, greeting46+connect+c.script+release)
				x := dialed(t, s)
				err := shared(t, x).Begin(t.Context())
				if c.code != 0 {
					want(t, err, c.code, nil)
				} else if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
					t.Errorf("%v, want %v", err, c.want)
				}
				x.Close()
				s.finish()
			})
		})
	}
}

// TestEndAfterReset: the lock of a handle that was reset is given back.
func TestEndAfterReset(t *testing.T) {
	s := listen(t, greeting46+connect+begin+success+end+`
		< 364beb49 00000000 68001080`+reconnect+reconnected+end+ended+release)
	card := shared(t, dialed(t, s))
	if err := card.Begin(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := card.End(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestEndIsBounded: a service that does not answer holds nobody who gives the
// card back.
func TestEndIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, greeting46+connect+begin+success+end)
		x := dialed(t, s)
		card := shared(t, x)
		if err := card.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		want(t, card.End(context.WithoutCancel(t.Context())), wire.Timeout, context.DeadlineExceeded)
		x.Close()
		if took := time.Since(began); took != parting+farewell {
			t.Errorf("took %v, want %v", took, parting+farewell)
		}
		s.finish()
	})
}

// TestAbandoned: what a caller who has left had asked for is taken back, and the
// next caller gets the answer to its own question.
func TestAbandoned(t *testing.T) {
	heldConnect := strings.Replace(connect, "<", gate+"<", 1)
	for _, c := range []struct {
		name          string
		script        string
		do            func(context.Context, *Context, *Card) error
		hasCard, sent bool
	}{
		{"connect", heldConnect + `
			> 0c000000 06000000 364beb49 00000000 00000000` + ended,
			func(ctx context.Context, x *Context, _ *Card) error {
				_, err := x.Connect(ctx, readerName, wire.ShareShared, 3)
				return err
			}, false, false},
		{"connect in vain", strings.Split(heldConnect, "<")[0] + `
			< 47216956` + nameHex + `02000000 03000000 00000000 00000000 09001080`,
			func(ctx context.Context, x *Context, _ *Card) error {
				_, err := x.Connect(ctx, readerName, wire.ShareShared, 3)
				return err
			}, false, false},
		{"begin", begin + gate + success + end + ended,
			func(ctx context.Context, _ *Context, c *Card) error { return c.Begin(ctx) }, true, false},
		{"transmit", selectMF + gate + selected,
			func(ctx context.Context, _ *Context, c *Card) error {
				_, err := c.Transmit(ctx, nil, unhex("00a4040000"))
				return err
			}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				script := greeting46
				if c.hasCard {
					script += connect
				}
				s := newService(t, script+c.script+array46(record)+release)
				x := dialed(t, s)
				var card *Card
				if c.hasCard {
					card = shared(t, x)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := c.do(ctx, x, card)
				want(t, err, wire.Timeout, context.DeadlineExceeded)
				var e *Error
				if errors.As(err, &e) && e.Sent != c.sent {
					t.Errorf("sent %v, want %v", e.Sent, c.sent)
				}
				// While the service is at it, nobody else gets a turn.
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err = x.Readers(ctx)
				want(t, err, wire.Timeout, context.DeadlineExceeded)
				close(s.gate)
				if all, err := x.Readers(t.Context()); err != nil || len(all) != 1 {
					t.Errorf("afterwards: %v, %v", all, err)
				}
				x.Close()
				s.finish()
			})
		})
	}
}

// TestNotBegun: a caller who leaves before its turn has asked for nothing.
func TestNotBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, greeting46+connect+begin+gate+success+release)
		x := dialed(t, s)
		card := shared(t, x)
		holder := make(chan error)
		go func() { holder <- card.Begin(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := card.Transmit(ctx, nil, unhex("00a4040000"))
		want(t, err, wire.Timeout, context.DeadlineExceeded)
		var e *Error
		if errors.As(err, &e) && e.Sent {
			t.Error("it claims that the command was sent")
		}
		_, err = card.Status(ctx) // over before it begins
		want(t, err, wire.Timeout, context.DeadlineExceeded)
		close(s.gate)
		if err := <-holder; err != nil {
			t.Error(err)
		}
		x.Close()
		s.finish()
	})
}

// TestCloseEnds: Close ends a call that waits for the service.
func TestCloseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, greeting46+connect+begin)
		x := dialed(t, s)
		card := shared(t, x)
		holder := make(chan error)
		go func() { holder <- card.Begin(t.Context()) }()
		synctest.Wait()
		go x.Close()
		want(t, <-holder, wire.InvalidHandle, ErrClosed)
		x.Close()
		s.finish()
	})
}

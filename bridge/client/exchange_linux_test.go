//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"kaztoken/bridge/wire"
	"kaztoken/internal/nap"
)

// eachNap runs a test with naps and without.
func eachNap(t *testing.T, f func(t *testing.T)) {
	for name, n := range map[string]int{"naps": 4, "no naps": 0} {
		t.Run(name, func(t *testing.T) {
			nap.Allow(n)
			defer nap.Allow(0)
			f(t)
		})
	}
}

// pass has the service go on behind a dot of its script, where it is by then.
func (s *service) pass() { s.gate <- struct{}{} }

// TestLateAnswers: over a socket, what a caller who has left had asked for is
// taken back as well, and the next caller gets its own answer.
func TestLateAnswers(t *testing.T) {
	for _, c := range []struct {
		name, script string
		do           func(context.Context, *Card) error
	}{
		{"begin", begin + gate + gate + success + end + ended, func(ctx context.Context, c *Card) error { return c.Begin(ctx) }},
		{"begin in vain", begin + gate + gate + locked, func(ctx context.Context, c *Card) error { return c.Begin(ctx) }},
		{"transmit", selectMF + gate + gate + selected, func(ctx context.Context, c *Card) error {
			_, err := c.Transmit(ctx, nil, unhex("00a4040000"))
			return err
		}},
		{"transmit, half answered", selectMF + strings.Split(selected, "9000")[0] + gate + gate + `
			< 9000`, func(ctx context.Context, c *Card) error {
			_, err := c.Transmit(ctx, nil, unhex("00a4040000"))
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachNap(t, func(t *testing.T) {
				s := listen(t, greeting46+connect+c.script+selectMF+selected+array46(record)+release)
				x := dialed(t, s)
				card := shared(t, x)
				ctx, cancel := context.WithCancel(t.Context())
				failure := make(chan error)
				go func() { failure <- c.do(ctx, card) }()
				s.pass() // the service has the command
				cancel()
				want(t, <-failure, wire.Cancelled, context.Canceled)
				next := make(chan error)
				go func() {
					_, err := card.Transmit(t.Context(), nil, unhex("00a4040000"))
					next <- err
				}()
				s.pass()
				if err := <-next; err != nil {
					t.Errorf("the next caller: %v", err)
				}
				if all, err := x.Readers(t.Context()); err != nil || len(all) != 1 {
					t.Errorf("and another: %v, %v", all, err)
				}
			})
		})
	}
}

// TestSlowAnswer: an answer that takes longer than a nap comes to who waits, and so
// does one in many pieces.
func TestSlowAnswer(t *testing.T) {
	eachNap(t, func(t *testing.T) {
		pieces := ""
		for _, b := range unhex(strings.TrimLeft(strings.TrimSpace(selected), "<")) {
			pieces += "\n< " + hexOf([]byte{b})
		}
		s := listen(t, greeting46+connect+selectMF+gate+selected+selectMF+pieces+release)
		card := shared(t, dialed(t, s))
		done := make(chan error)
		go func() {
			_, err := card.Transmit(t.Context(), nil, unhex("00a4040000"))
			done <- err
		}()
		time.Sleep(2 * nap.Length) // nothing depends on it: shorter, the nap is all that is tested
		s.pass()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if resp, err := card.Transmit(t.Context(), nil, unhex("00a4040000")); err != nil || hexOf(resp) != "9000" {
			t.Errorf("in pieces: % x, %v", resp, err)
		}
	})
}

// TestCloseEndsSocket: Close ends a call that waits for the service, in a nap and
// after it, and the descriptor goes with the last who uses it.
func TestCloseEndsSocket(t *testing.T) {
	eachNap(t, func(t *testing.T) {
		s := listen(t, greeting46+connect+begin+gate)
		x := dialed(t, s)
		card := shared(t, x)
		holder := make(chan error)
		go func() { holder <- card.Begin(context.Background()) }()
		s.pass()
		closed := make(chan error)
		go func() { closed <- x.Close() }()
		want(t, <-holder, wire.InvalidHandle, ErrClosed)
		<-closed
		if _, err := x.conn.link.nc.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
		if n := x.conn.link.nc.(*socket).users; n != 0 {
			t.Errorf("%d still use the descriptor", n)
		}
	})
}

// TestServiceGone: a service that ends takes its clients along.
func TestServiceGone(t *testing.T) {
	eachNap(t, func(t *testing.T) {
		s := listen(t, greeting46+connect+begin+gate+"!")
		card := shared(t, dialed(t, s))
		failure := make(chan error)
		go func() { failure <- card.Begin(t.Context()) }()
		s.pass()
		if err := <-failure; !errors.Is(err, wire.CommError) {
			t.Errorf("got %v", err)
		}
	})
}

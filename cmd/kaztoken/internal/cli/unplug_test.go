package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/words"
	"kaztoken/usb"
)

// pulled is a channel to a card that is pulled out at the n-th APDU, counted
// from 0: before the card gets it, or before its answer comes.
type pulled struct {
	firmware.Card
	left   int
	answer bool // the card carries out what comes last
	sent   int
}

func (p *pulled) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	p.sent++
	if p.left--; p.left >= 0 {
		return p.Card.Transmit(ctx, dst, apdu)
	}
	if p.left < -1 || !p.answer {
		return dst, fmt.Errorf("slot 0: %w", usb.ErrGone)
	}
	if _, err := p.Card.Transmit(ctx, nil, apdu); err != nil {
		return dst, err
	}
	return dst, fmt.Errorf("slot 0: %w: %w", ccid.ErrOutcomeUnknown, usb.ErrGone)
}

// TestPulledOut pulls the token out before and after every APDU of every
// command: it says so, with exit code 3.
func TestPulledOut(t *testing.T) {
	login := []string{"--pin-file", "@user.pin"}
	with := func(more []string, args ...string) []string { return append(args, more...) }
	for _, c := range []struct {
		args    []string
		prepare [][]string
	}{
		{args: []string{"info"}},
		{args: []string{"info", "--json"}},
		{args: []string{"pin", "status"}},
		{args: with(login, "pin", "verify")},
		{args: with(login, "pin", "change", "--new-pin-file", "@new.pin")},
		{args: []string{"pin", "unblock", "--pin-file", "@admin.pin", "--new-pin-file", "@new.pin"}},
		{args: with(login, "rename", "x")},
		{args: []string{"format", "--yes", "--pin-file", "@admin.pin"}},
		{args: with(login, "cert", "import", "@demo.p12", "--password-file", "@password")},
		{args: []string{"cert", "list"}, prepare: [][]string{with(login, "cert", "import", "@head.cer")}},
		{args: with(login, "cert", "delete", "1", "--yes"), prepare: [][]string{with(login, "cert", "import", "@head.cer")}},
		{args: with(login, "key", "generate")},
		{args: with(login, "sign", "--key", "1", "-o", "@sig", "@letter.txt"), prepare: [][]string{with(login, "key", "generate")}},
		{args: with(login, "object", "write", "@letter.txt", "--private")},
		{args: []string{"random"}},
		{args: []string{"check"}},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			t.Parallel() // most of the time goes into waiting for a silent reader
			d := newDesk(t).files()
			lost := 0
			for _, answer := range []bool{false, true} {
				for n := 0; ; n++ {
					d.card, d.wrap, d.lang = newCard(t), nil, words.English
					for _, p := range c.prepare {
						d.must(p...)
					}
					d.lang = words.Languages()[n%3]
					p := &pulled{left: n, answer: answer}
					d.wrap = wrapIn(p)
					r := d.run(c.args...)
					if p.sent <= n {
						if r.code != exitOK {
							t.Errorf("undisturbed: exit code %d: %s", r.code, r.err)
						}
						if answer && lost < n/2 {
							t.Errorf("%d of %d lost answers were told", lost, n)
						}
						break
					}
					w := words.For(d.lang)
					ends := func(message, hint words.Key) bool {
						return strings.HasSuffix(r.err, fmt.Sprintf("kaztoken: %s\n%s: %s\n", w.Text(message), w.Text("frame.hint"), w.Text(hint)))
					}
					unknown := ends("error.gone.outcome", "hint.recheck")
					// Behind the change itself nothing is unknown any more.
					if r.code != exitNoToken || !unknown && !ends("error.gone", "hint.replug") || unknown && !answer {
						t.Errorf("APDU %d, answer lost %v: exit code %d: %q", n, answer, r.code, r.err)
					}
					if unknown {
						lost++
					}
				}
			}
		})
	}
}

// stopped is a channel on which a person presses Ctrl-C at the n-th APDU.
type stopped struct {
	firmware.Card
	left int
	stop context.CancelFunc
	last []byte // the last command that the card got
}

func (s *stopped) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if s.left--; s.left < 0 {
		s.stop()
	}
	if err := ctx.Err(); err != nil {
		return dst, err
	}
	s.last = append(s.last[:0], apdu...)
	return s.Card.Transmit(ctx, dst, apdu)
}

// TestInterruptedLogsOut: whenever a command is interrupted, nobody is logged
// in when it ends.
func TestInterruptedLogsOut(t *testing.T) {
	d := newDesk(t).files()
	for n := 0; ; n++ {
		d.card = newCard(t)
		ctx, cancel := context.WithCancel(t.Context())
		s := &stopped{left: n, stop: cancel}
		d.wrap = func(card firmware.Card) firmware.Card { s.Card = card; return s }
		r := d.runWith(ctx, "", "key", "generate", "--label", "work", "--pin-file", "@user.pin")
		cancel()
		if s.left >= 0 {
			r.want(t, exitOK, "Key pair generated")
			break
		}
		done := strings.HasSuffix(r.err, "Key pair generated: work, ID 63BBDF9D97D1AE65237D1E6317DBF97D33CEE386\n")
		stopped := strings.HasSuffix(r.err, "kaztoken: interrupted\n")
		if done != (r.code == exitOK) || stopped != (r.code == exitFailed) || done && n < 10 {
			t.Errorf("APDU %d: exit code %d: %s", n, r.code, r.err)
		}
		// An empty VERIFY is answered 9000 by a PIN that is verified.
		for _, ref := range []byte{1, 2} {
			resp, err := d.card.Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, ref})
			if err != nil || len(resp) != 2 || resp[0] == 0x90 {
				t.Errorf("APDU %d: PIN %d is answered % X, %v", n, ref, resp, err)
			}
		}
	}
}

// TestLogoutErrorIsTold: an operation that is done does not hide that the
// log-out failed.
func TestLogoutErrorIsTold(t *testing.T) {
	d := newDesk(t).files()
	broken := errors.New("the log-out is lost")
	d.wrap = func(card firmware.Card) firmware.Card {
		return transmitter(func(ctx context.Context, dst, apdu []byte) ([]byte, error) {
			if apdu[0] == 0x80 && apdu[1] == 0x40 {
				return dst, broken
			}
			return card.Transmit(ctx, dst, apdu)
		})
	}
	d.run("pin", "verify", "--pin-file", "@user.pin").want(t, exitFailed, "The user PIN is right", "the log-out is lost")
}

// transmitter is a channel made of one function.
type transmitter func(ctx context.Context, dst, apdu []byte) ([]byte, error)

func (f transmitter) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	return f(ctx, dst, apdu)
}

// wrapIn puts p between commands and card.
func wrapIn(p *pulled) func(firmware.Card) firmware.Card {
	return func(card firmware.Card) firmware.Card { p.Card = card; return p }
}

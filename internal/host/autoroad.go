package host

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge/client"
	"kaztoken/udev"
	"kaztoken/usb"
)

// autoRoad goes through a smart-card service to the tokens that it shows, and
// over USB to those that it does not: what a service has is not fought for.
type autoRoad struct {
	service *serviceRoad
	direct  *usbRoad
	ours    func(context.Context) bool // the service is one of this program
	log     *logrus.Logger
}

// oursWaits bounds how long our own service may take until it shows a token that
// was just plugged in.
const oursWaits = 2 * time.Second

// oursAnswers reports whether a service of this program runs.
func oursAnswers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, askHolders)
	defer cancel()
	_, err := AskStatus(ctx, client.Path())
	return err == nil || errors.Is(err, fs.ErrPermission)
}

// look lists what the service shows and what else there is. alive says that
// there is a service.
func (r *autoRoad) look(ctx context.Context) (served, rest []Candidate, alive bool, err error) {
	pass, all, failure := r.service.readers(ctx)
	if ctx.Err() != nil {
		return nil, nil, false, ctx.Err()
	}
	rest, err = r.direct.find(ctx)
	if failure != nil {
		r.log.WithError(failure).Debug("no way through a smart-card service")
		return nil, rest, false, err
	}
	hidden := func() (h []Candidate) {
		for _, c := range rest {
			if !shows(all, c.Device) {
				h = append(h, c)
			}
		}
		return h
	}
	if len(hidden()) > 0 && r.ours(ctx) {
		// It takes whatever is of its kind, and may be about to.
		pass, all = r.await(ctx, func(now []client.Reader) bool {
			all = now
			return len(hidden()) == 0
		})
	}
	if len(pass) > 0 {
		err = nil // there is something
	}
	return candidatesOf(pass), hidden(), true, err
}

// await waits a little until the service shows what is wanted.
func (r *autoRoad) await(ctx context.Context, enough func([]client.Reader) bool) (pass, all []client.Reader) {
	ctx, cancel := context.WithTimeout(ctx, oursWaits)
	defer cancel()
	s, err := r.service.connect(ctx)
	if err != nil {
		return nil, nil
	}
	defer s.Close() // nothing is connected
	now, err := s.Readers(ctx)
	for err == nil {
		if all = now; enough(all) {
			break
		}
		now, err = s.Wait(ctx, all)
	}
	return r.service.pass(all), all
}

func (r *autoRoad) find(ctx context.Context) ([]Candidate, error) {
	served, rest, _, err := r.look(ctx)
	all := append(served, rest...)
	for i := range rest {
		all[len(served)+i].Index += len(served) // of one answer they are one list
	}
	return all, err
}

func (r *autoRoad) open(ctx context.Context, c Candidate, log *logrus.Logger) (*Token, error) {
	if c.Backend != r.direct.backend {
		return r.service.open(ctx, c, log)
	}
	t, err := r.direct.open(ctx, c, log)
	if err != nil && errors.Is(err, usb.ErrBusy) {
		err = hiddenBy(err, holdersOf(c.Device))
	}
	return t, err
}

// hiddenBy explains a device that a service has and does not show.
func hiddenBy(err error, holders []udev.Holder) error {
	var said *HintError
	if !errors.As(err, &said) {
		return err
	}
	for _, h := range holders {
		if h.Name == pcscd {
			return &HintError{said.Err, "hint.hidden", []any{"command", stopPCSC}}
		}
	}
	return err
}

// follow goes through the service if that is of this program, which takes every
// token that comes, or shows a token, and over USB otherwise.
func (r *autoRoad) follow(log *logrus.Logger) (*Supervisor, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*serviceAnswer)
	defer cancel()
	served, _, alive, err := r.look(ctx)
	if err == nil && alive && (len(served) > 0 || r.ours(ctx)) {
		return r.service.follow(log)
	}
	return r.direct.follow(log)
}

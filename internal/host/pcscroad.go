package host

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge/client"
	"kaztoken/udev"
	"kaztoken/usb"
)

// serviceRoad leads through a smart-card service: pcscd, our own, or the one of
// macOS.
type serviceRoad struct {
	dial    func(context.Context) (smartcards, error)
	filter  string // one of FilterNames
	holders func(reader string) []udev.Holder
}

func newServiceRoad(filter string) *serviceRoad {
	if filter == "" {
		filter = filters[0].name
	}
	return &serviceRoad{dial: dialService, filter: filter, holders: cardHolders}
}

// explainFor makes the function that explains errors at one reader.
func (r *serviceRoad) explainFor(reader string) func(error) error {
	return func(err error) error {
		return explainService(err, func() []udev.Holder { return r.holders(reader) })
	}
}

// connect connects to the service.
func (r *serviceRoad) connect(ctx context.Context) (smartcards, error) {
	bounded, cancel := context.WithTimeout(ctx, serviceAnswer)
	defer cancel()
	s, err := r.dial(bounded)
	return s, r.explainFor("")(late(ctx, bounded, err))
}

// late makes an error of the service out of a bound of ours that has passed.
func late(ctx, bounded context.Context, err error) error {
	if err == nil || bounded.Err() == nil || ctx.Err() != nil {
		return err
	}
	return &HintError{
		Err:    fmt.Errorf("%w: no answer for %v: %w", ErrService, serviceAnswer, err),
		Hint:   "hint.service.restart",
		Values: []any{"command", restartPCSC},
	}
}

// readers lists the readers that the filter passes, and all.
func (r *serviceRoad) readers(ctx context.Context) (pass, all []client.Reader, err error) {
	s, err := r.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer s.Close() // nothing is connected
	bounded, cancel := context.WithTimeout(ctx, serviceAnswer)
	defer cancel()
	all, err = s.Readers(bounded)
	if err != nil {
		return nil, nil, r.explainFor("")(late(ctx, bounded, err))
	}
	return r.pass(all), all, nil
}

// pass gives what the filter passes.
func (r *serviceRoad) pass(all []client.Reader) (pass []client.Reader) {
	for _, reader := range all {
		if ofFamily(r.filter, reader) {
			pass = append(pass, reader)
		}
	}
	return pass
}

func candidatesOf(readers []client.Reader) (all []Candidate) {
	for i, r := range readers {
		all = append(all, readerCandidate(r, i))
	}
	return all
}

func (r *serviceRoad) find(ctx context.Context) ([]Candidate, error) {
	readers, _, err := r.readers(ctx)
	return candidatesOf(readers), err
}

func (r *serviceRoad) open(ctx context.Context, c Candidate, logger *logrus.Logger) (*Token, error) {
	s, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	log := logger.WithFields(logrus.Fields{"reader": c.Name, "backend": c.Backend})
	return &Token{Candidate: c, log: log, channel: newServiceSlot(c, s, r.explainFor(c.Name), log)}, nil
}

// Describe is what is known of the token's USB device: all of it on USB, and
// what the service tells of it elsewhere, once the token has power.
func (t *Token) Describe(ctx context.Context) usb.Info {
	if s, ok := t.channel.(*serviceSlot); ok {
		return s.describe(ctx, t.Device)
	}
	return t.Device
}

// Package roads leads the PKCS #11 module to tokens: through a smart-card service
// to what that shows, over USB to the rest, as the commands of kaztoken go.
package roads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"kaztoken/bridge/pkcs11"
	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/host"
	"kaztoken/usb"
)

// source is a pkcs11.Source over package host.
type source struct{ options host.Options }

// New gives the source of tokens on a road.
func New(o host.Options) pkcs11.Source { return &source{o} }

// Readers lists the tokens.
func (s *source) Readers(ctx context.Context) ([]pkcs11.Reader, error) {
	all, err := host.Find(ctx, s.options)
	if err != nil && !errors.Is(err, host.ErrNoToken) {
		return nil, err
	}
	var readers []pkcs11.Reader
	for _, c := range all {
		readers = append(readers, pkcs11.Reader{
			Name:         c.Name,
			Manufacturer: c.Device.Manufacturer,
			Instance:     fmt.Sprintf("%s %d:%d", c.Backend, c.Device.Bus, c.Device.Addr),
			Unique:       c.Backend == "usb",                                           // the kernel counts addresses on
			Version:      [2]byte{byte(c.Device.Release >> 8), byte(c.Device.Release)}, // bcdDevice
			Open:         func(ctx context.Context) (pkcs11.Connection, error) { return s.open(ctx, c) },
		})
	}
	return readers, nil
}

// Wait waits until Readers may give something else.
func (s *source) Wait(ctx context.Context, known []pkcs11.Reader) error {
	return host.Await(ctx, s.options, func() bool {
		now, err := s.Readers(ctx)
		if err != nil {
			now = nil // as the module takes it
		}
		return slices.EqualFunc(known, now, func(a, b pkcs11.Reader) bool { return a.Name == b.Name && a.Instance == b.Instance })
	})
}

func (s *source) open(ctx context.Context, c host.Candidate) (pkcs11.Connection, error) {
	o := s.options
	o.Backend, o.Token = c.Backend, c.Name
	t, err := host.OpenToken(ctx, o)
	if err != nil {
		return nil, translateOpen(err)
	}
	if _, err := t.PowerOn(ctx); err != nil {
		t.Close() // the first error says what is wrong
		return nil, translateOpen(err)
	}
	return &connection{token: t}, nil
}

// connection is an open token of package host.
type connection struct {
	token *host.Token

	mu   sync.Mutex // guards seat
	seat *seat      // while somebody is logged in through this process
}

func (c *connection) Card() firmware.Card {
	card := c.token.Channel()
	if shared, ok := card.(firmware.Sharer); ok {
		return sharedCard{plainCard{card}, shared}
	}
	return plainCard{card}
}

func (c *connection) ATR() []byte           { return c.token.ATR() }
func (c *connection) Done() <-chan struct{} { return c.token.Done() }
func (c *connection) Close() error          { return c.token.Close() }

// plainCard translates the errors of a card.
type plainCard struct{ card firmware.Card }

func (c plainCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	resp, err := c.card.Transmit(ctx, dst, apdu)
	return resp, translate(err)
}

type sharedCard struct {
	plainCard
	sharer firmware.Sharer
}

func (c sharedCard) Begin(ctx context.Context) error { return translate(c.sharer.Begin(ctx)) }
func (c sharedCard) End(ctx context.Context) error   { return translate(c.sharer.End(ctx)) }

// translateOpen is translate for a token that is not open yet. With a service that
// has ended meanwhile, its tokens are gone.
func translateOpen(err error) error {
	if errors.Is(err, host.ErrService) {
		return fmt.Errorf("%w: %w", pkcs11.ErrTokenNotPresent, err)
	}
	return translate(err)
}

// translate adds to an error of the way the return value that it is.
func translate(err error) error {
	switch {
	case err == nil, errors.Is(err, firmware.ErrReset):
		return err
	case errors.Is(err, usb.ErrGone), errors.Is(err, ccid.ErrNoCard):
		return fmt.Errorf("%w: %w", pkcs11.ErrDeviceRemoved, err)
	case errors.Is(err, host.ErrNoToken):
		return fmt.Errorf("%w: %w", pkcs11.ErrTokenNotPresent, err)
	case errors.Is(err, context.Canceled):
		return err
	}
	return fmt.Errorf("%w: %w", pkcs11.ErrDeviceError, err)
}

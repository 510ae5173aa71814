package pkcs11

import (
	"context"

	"kaztoken/firmware"
)

// Source tells where tokens are: a way to what comes and goes.
type Source interface {
	// Readers lists the places that have a token now, none opened. A system that
	// has no such place gives none.
	Readers(ctx context.Context) ([]Reader, error)
	// Wait returns nil when something has changed since Readers gave known, or may
	// have; else the error of ctx.
	Wait(ctx context.Context, known []Reader) error
}

// Reader is a place that has a token.
type Reader struct {
	Name         string // for people, the same after a replug
	Manufacturer string // of the device; may be empty
	// Instance tells a token from the one that was in the same place before, as
	// far as that can be seen without opening it.
	Instance string
	// Unique says that no token that is plugged in later has the same Instance.
	Unique bool
	// Version of the device, major and minor; zero if it is not known.
	Version [2]byte
	// Open connects to the token. An error that is an Rv is passed on.
	Open func(ctx context.Context) (Connection, error)
}

// Connection is an open token.
type Connection interface {
	// Card is the channel to it, a firmware.Sharer if other programs use it, too.
	Card() firmware.Card
	ATR() []byte
	// Done is closed when the token cannot be reached any more.
	Done() <-chan struct{}
	// Join notes that this process is logged in to the token, or is about to be. It
	// is idempotent.
	Join(ctx context.Context) error
	// Leave ends that. If no other process of the same user is logged in, last is
	// called, which logs out on the token: nobody joins meanwhile. Otherwise the
	// log-in stays for the others, also beyond Close. The error is that of last.
	Leave(last func() error) error
	// Close lets the token go. It is idempotent.
	Close() error
}

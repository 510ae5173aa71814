package panel

import (
	"context"

	"kaztoken/firmware"
)

// Tokens are the tokens of this machine, as the panel finds and opens them. All
// methods are safe for concurrent use.
type Tokens interface {
	// List lists what is plugged in now, without opening anything. None is an empty
	// list and no error.
	List(ctx context.Context) ([]Entry, error)
	// Changed gives a channel that is closed when List may have another answer than
	// it would have had at the call of Changed.
	Changed() <-chan struct{}
	// Open opens a token of a list, powered up. The caller closes it.
	Open(ctx context.Context, key string) (Device, error)
}

// Entry is a token in a list.
type Entry struct {
	Key  string // the same for as long as the token stays plugged in, and of no other
	Name string // of its reader
}

// Device is an open token.
type Device interface {
	// Card is the channel to the card, a [firmware.Sharer] too if other programs
	// reach it at the same time.
	Card() firmware.Card
	// ATR is the answer to reset.
	ATR() []byte
	// Close lets the token go.
	Close() error
}

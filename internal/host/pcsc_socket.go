//go:build !darwin || !cgo

package host

import (
	"context"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
)

// socketService reaches the service over its socket.
type socketService struct{ *client.Context }

func (s socketService) connect(ctx context.Context, reader string) (smartcard, error) {
	card, err := s.Connect(ctx, reader, wire.ShareShared, anyProtocol)
	if err != nil {
		return nil, err
	}
	return card, nil
}

func dialService(ctx context.Context) (smartcards, error) {
	c, err := client.Dial(ctx, "")
	if err != nil {
		return nil, err
	}
	return socketService{c}, nil
}

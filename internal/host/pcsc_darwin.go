//go:build cgo

package host

import (
	"context"

	"kaztoken/bridge/pcsc"
	"kaztoken/bridge/wire"
)

// frameworkService reaches the service of macOS through PCSC.framework.
type frameworkService struct{ *pcsc.Context }

func (s frameworkService) connect(ctx context.Context, reader string) (smartcard, error) {
	card, err := s.Connect(ctx, reader, wire.ShareShared, anyProtocol)
	if err != nil {
		return nil, err
	}
	return card, nil
}

func dialService(ctx context.Context) (smartcards, error) {
	c, err := pcsc.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return frameworkService{c}, nil
}

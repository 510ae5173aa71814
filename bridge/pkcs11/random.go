package pkcs11

import (
	"context"

	"kaztoken/internal/secret"
)

// GenerateRandom is C_GenerateRandom: random bytes of the token.
func (m *Module) GenerateRandom(h SessionHandle, out []byte) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	defer x.mu.Unlock()
	err = x.token.work(func(ctx context.Context) error { return x.token.fw.Random(ctx, out) })
	if err != nil {
		secret.Wipe(out)
	}
	return err
}

// SeedRandom is C_SeedRandom: the token's generator takes no seed.
func (m *Module) SeedRandom(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	x.mu.Unlock()
	return ErrRandomSeedNotSupported
}

// Unsupported answers the functions that no token of this kind can carry out.
func (m *Module) Unsupported(h SessionHandle) error {
	x, err := m.in(h)
	if err != nil {
		return err
	}
	x.mu.Unlock()
	return ErrFunctionNotSupported
}

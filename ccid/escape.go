package ccid

import (
	"context"
	"fmt"
)

func escape(data []byte) Message { return Message{Type: msgEscape, Data: data} }

// Escape sends a vendor command to the reader and appends the answer to dst. It
// is ErrNotSupported unless [WithEscape] was given: some vendor commands
// rewrite the firmware.
func (s *Slot) Escape(ctx context.Context, dst, in []byte) ([]byte, error) {
	const doing = "escape"
	if !s.r.config.escape {
		return dst, s.wrap(doing, fmt.Errorf("vendor commands are not allowed: %w", ErrNotSupported))
	}
	if err := s.enter(ctx); err != nil {
		return dst, s.wrap(doing, err)
	}
	defer s.leave()
	a, err := s.command(ctx, escape(in), limitOf(ctx, s.r.timeouts.Escape))
	if err != nil {
		return dst, s.wrap(doing, err)
	}
	return append(dst, a.Data...), nil
}

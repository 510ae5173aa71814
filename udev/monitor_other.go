//go:build !linux

package udev

import (
	"context"
	"errors"
	"fmt"
)

// Monitor exists on Linux only.
type Monitor struct{}

// Listen gives an error that is [errors.ErrUnsupported].
func Listen() (*Monitor, error) { return nil, fmt.Errorf("uevents: %w", errors.ErrUnsupported) }

// Next gives an error that is [errors.ErrUnsupported].
func (*Monitor) Next(context.Context) (Event, error) {
	return Event{}, fmt.Errorf("uevents: %w", errors.ErrUnsupported)
}

// Close does nothing.
func (*Monitor) Close() error { return nil }

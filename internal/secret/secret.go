// Package secret holds PINs, passwords and key bytes: outside the garbage
// collector's reach where the system allows, never printed, wiped when done.
//
// It protects against accidents (a PIN in a log, in a core file, in swap), not
// against somebody who may read this process's memory.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// redacted is what every way of printing shows.
const redacted = "[redacted]"

// Bytes is a secret of fixed length. The zero value and nil are empty. It is
// safe for concurrent use as long as nobody uses a slice of Bytes after Wipe.
type Bytes struct {
	mu   sync.Mutex
	data []byte
	free func() // gives data back to where it came from; nil on the heap
}

// Take copies b into memory of its own and wipes b.
func Take(b []byte) *Bytes {
	s := Copy(b)
	Wipe(b)
	return s
}

// Copy copies b, which stays as it is.
func Copy(b []byte) *Bytes {
	if len(b) == 0 {
		return &Bytes{}
	}
	s := &Bytes{}
	s.data, s.free = allocate(len(b))
	copy(s.data, b)
	return s
}

// Bytes is the secret itself, not a copy; nil after Wipe.
func (s *Bytes) Bytes() []byte {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// Len is the number of bytes, 0 after Wipe.
func (s *Bytes) Len() int { return len(s.Bytes()) }

// Equal compares in a time that depends on the lengths only.
func (s *Bytes) Equal(b []byte) bool { return subtle.ConstantTimeCompare(s.Bytes(), b) == 1 }

// Wipe overwrites the secret and gives its memory back. It is idempotent.
func (s *Bytes) Wipe() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	Wipe(s.data)
	if s.free != nil {
		s.free()
	}
	s.data, s.free = nil, nil
}

// Format prints "[redacted]" for every verb and flag.
func (s *Bytes) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// MarshalText gives "[redacted]", in JSON as well.
func (s *Bytes) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue gives "[redacted]" to log/slog.
func (s *Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// Wipe overwrites b with zeros.
//
//go:noinline
func Wipe(b []byte) { clear(b) }

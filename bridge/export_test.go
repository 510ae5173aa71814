package bridge

import (
	"bytes"
	"net"
)

// What tests of the outside have to be able to do.

// ResultOf is resultOf.
var ResultOf = resultOf

// SessionActive is sessionActive.
var SessionActive = sessionActive

// Variables is variables.
var Variables = variables

// ErrNoLogind is errNoLogind.
var ErrNoLogind = errNoLogind

// Rooms are the bytes in which connections have requests and answers. Nothing may
// be under way.
func (s *Service) Rooms() (rooms [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		rooms = append(rooms, bytes.Clone(c.in), bytes.Clone(c.out[:cap(c.out)]))
	}
	return rooms
}

// SetPeer has f say who connects.
func (c *Config) SetPeer(f func(net.Conn) (Peer, error)) { c.peer = f }

// SetRandom has f give the numbers of contexts and handles.
func (c *Config) SetRandom(f func() uint32) { c.random = f }

package usbip

import (
	"errors"
	"net"
)

// ErrServerClosed is what Serve returns after Close.
var ErrServerClosed = errors.New("USB/IP server is closed")

// Server exports software devices. The zero value is ready.
type Server struct{}

// Add exports d, plugged in from now on, and gives its bus id.
func (s *Server) Add(d Device) (busID string, err error) { return "", errors.ErrUnsupported }

// Remove unplugs the device of that bus id.
func (s *Server) Remove(busID string) bool { return false }

// Serve accepts connections on l until l fails or Close is called.
func (s *Server) Serve(l net.Listener) error { return errors.ErrUnsupported }

// ServeConn serves one connection and returns when it is over.
func (s *Server) ServeConn(c net.Conn) error { return errors.ErrUnsupported }

// Close unplugs everything and waits for all goroutines.
func (s *Server) Close() error { return nil }

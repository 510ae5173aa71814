//go:build !linux

package bridge

import "net"

// newLink makes a link of a connection, which it takes over.
func newLink(nc net.Conn) (link, error) { return newNetLink(nc), nil }

//go:build !linux

package client

import (
	"io"
	"net"
)

// settle takes over a connection to a service.
func settle(nc net.Conn) (io.ReadWriteCloser, error) { return nc, nil }

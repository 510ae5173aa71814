//go:build !linux

package host

import (
	"errors"
	"net"
)

// peer is the process at the other end of a unix socket.
type peer struct{ pid, uid int }

func peerOf(*net.UnixConn) (peer, error) { return peer{}, errors.ErrUnsupported }

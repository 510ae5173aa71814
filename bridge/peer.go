package bridge

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
)

// Peer is the process at the other end of a connection, as the system vouches
// for it: the one that made the connection. It may have handed it on.
type Peer struct {
	PID    int // 0 if the system does not tell
	UID    uint32
	GID    uint32
	Groups []uint32 // supplementary groups, as far as the system tells
}

func (p Peer) String() string { return fmt.Sprintf("pid %d uid %d", p.PID, p.UID) }

// In reports whether the peer is of a group.
func (p Peer) In(gid uint32) bool { return p.GID == gid || slices.Contains(p.Groups, gid) }

// errNoPeer: the connection is not of a kind that has a peer on this machine.
var errNoPeer = errors.New("the system does not tell who is at the other end")

// PeerOf asks the system who is at the other end of a unix socket.
func PeerOf(conn net.Conn) (Peer, error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return Peer{}, errNoPeer
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("peer: %w", err)
	}
	var peer Peer
	var failed error
	if err := raw.Control(func(fd uintptr) { peer, failed = credentials(int(fd)) }); err != nil {
		return Peer{}, fmt.Errorf("peer: %w", err)
	}
	if failed != nil {
		return Peer{}, fmt.Errorf("peer: %w", failed)
	}
	return peer, nil
}

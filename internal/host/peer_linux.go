package host

import (
	"net"

	"golang.org/x/sys/unix"
)

// peer is the process at the other end of a unix socket: who connected, or who
// began to listen.
type peer struct{ pid, uid int }

func peerOf(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var (
		cred   *unix.Ucred
		failed error
	)
	err = raw.Control(func(fd uintptr) {
		cred, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return peer{}, err
	}
	return peer{int(cred.Pid), int(cred.Uid)}, nil
}

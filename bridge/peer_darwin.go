package bridge

import "golang.org/x/sys/unix"

// credentials reads LOCAL_PEERCRED and LOCAL_PEERPID of a unix socket (unix(4)).
func credentials(fd int) (Peer, error) {
	u, err := unix.GetsockoptXucred(fd, unix.SOL_LOCAL, unix.LOCAL_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	p := Peer{UID: u.Uid}
	if n := min(int(u.Ngroups), len(u.Groups)); n > 0 {
		p.GID, p.Groups = u.Groups[0], append(p.Groups, u.Groups[1:n]...)
	}
	if pid, err := unix.GetsockoptInt(fd, unix.SOL_LOCAL, unix.LOCAL_PEERPID); err == nil {
		p.PID = pid
	}
	return p, nil
}

// programOf is not to be had without cgo.
func programOf(int) string { return "" }

// hangupEvents are those of poll(2) that say that the peer has left.
const hangupEvents = unix.POLLHUP | unix.POLLERR | unix.POLLNVAL

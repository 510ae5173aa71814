package bridge

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxGroups bounds the supplementary groups that are looked at. The kernel
// allows 65536; a process with more than this many is treated as having none.
const maxGroups = 1024

// credentials reads SO_PEERCRED and SO_PEERGROUPS of a unix socket (unix(7)).
func credentials(fd int) (Peer, error) {
	u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, err
	}
	return Peer{PID: int(u.Pid), UID: u.Uid, GID: u.Gid, Groups: peerGroups(fd)}, nil
}

// peerGroups is nil where the kernel does not know the option, which came with
// Linux 4.13.
func peerGroups(fd int) []uint32 {
	groups := make([]uint32, 32)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0 && int(size/4) <= len(groups):
			return groups[:size/4]
		case errno != unix.ERANGE || len(groups) >= maxGroups:
			return nil
		}
		groups = make([]uint32, min(maxGroups, max(2*len(groups), int(size/4))))
	}
}

// programOf is the name of a process, empty if it is not to be had.
func programOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return string(bytes.TrimSuffix(b, []byte("\n")))
}

// hangupEvents are those of poll(2) that say that the peer has left.
const hangupEvents = unix.POLLRDHUP | unix.POLLHUP | unix.POLLERR | unix.POLLNVAL

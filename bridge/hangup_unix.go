//go:build linux || darwin

package bridge

import "golang.org/x/sys/unix"

// hungUp reports whether the peer of a socket has left, or will not send any
// more, whatever of it is still to be read.
func hungUp(fd uintptr) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: hangupEvents}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

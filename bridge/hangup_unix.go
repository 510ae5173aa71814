//go:build linux || darwin

package bridge

import "golang.org/x/sys/unix"

// hungUp reports whether the peer of a socket has left, or will not send any
// more, whatever of it is still to be read.
func hungUp(fd uintptr) bool { return polled(fd, hangupEvents) }

// polled reports whether one of events of poll(2) is there, or an error.
func polled(fd uintptr, events int16) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds, 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

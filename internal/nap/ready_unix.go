//go:build linux || darwin

package nap

import "golang.org/x/sys/unix"

// Ready reports whether one of events of poll(2) is there, or an error. It does not
// wait.
func Ready(fd uintptr, events int16) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		n, err := unix.Poll(fds[:], 0)
		if err != unix.EINTR {
			return err != nil || n > 0
		}
	}
}

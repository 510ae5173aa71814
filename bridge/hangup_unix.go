//go:build linux || darwin

package bridge

import "kaztoken/internal/nap"

// hungUp reports whether the peer of a socket has left, or will not send any
// more, whatever of it is still to be read.
func hungUp(fd uintptr) bool { return nap.Ready(fd, hangupEvents) }

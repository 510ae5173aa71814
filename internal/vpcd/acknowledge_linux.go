package vpcd

import (
	"net"
	"syscall"
)

// newAcknowledge makes a function that tells the peer at once that what came has
// come. vpcd writes the length and the body of a message apart, and its system
// keeps the body back until the length is acknowledged (Nagle's algorithm),
// while ours waits for an answer to send that along with: 40 ms for each
// command. Linux forgets the option (tcp(7), TCP_QUICKACK), so it is set each
// time. Where it cannot be, the card is slow and no worse.
func newAcknowledge(conn net.Conn) func() {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return func() {} // not TCP
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return func() {}
	}
	return func() {
		_ = raw.Control(func(fd uintptr) {
			_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
		})
	}
}

//go:build !minimal

package cli

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/sirupsen/logrus"
)

// ownUserOnly passes connections of the user's own programs alone, where the system
// tells whose a connection of this machine is: others must not even try a secret. The
// panel of root is for whoever root gives the address.
func ownUserOnly(l net.Listener, log *logrus.Logger) net.Listener {
	if os.Getuid() == 0 {
		return l
	}
	return &ownListener{l, log}
}

type ownListener struct {
	net.Listener
	log *logrus.Logger
}

func (l *ownListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		uid, known := peerUID(c)
		if !known || uid == os.Getuid() {
			return c, nil
		}
		l.log.WithField("uid", uid).Warn("connection of another user refused")
		c.Close()
	}
}

// peerUID is the user at the other end of a TCP connection of this machine, as
// Linux lists it (proc_net_tcp(5)).
func peerUID(c net.Conn) (uid int, known bool) {
	here, ok1 := c.LocalAddr().(*net.TCPAddr)
	there, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return 0, false
	}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		uid, known = uidIn(bufio.NewScanner(f), there, here)
		f.Close()
		if known {
			return uid, true
		}
	}
	return 0, false
}

// uidIn finds the owner of the socket that is bound to local and connected to
// remote.
func uidIn(lines *bufio.Scanner, local, remote *net.TCPAddr) (uid int, known bool) {
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 8 || !isAddress(fields[1], local) || !isAddress(fields[2], remote) {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		return uid, err == nil
	}
	return 0, false
}

// isAddress compares an address of the table, "0100007F:1F90": each four bytes in
// the order of the machine.
func isAddress(text string, a *net.TCPAddr) bool {
	host, port, ok := strings.Cut(text, ":")
	if !ok || !strings.EqualFold(port, fmt.Sprintf("%04X", a.Port)) {
		return false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw) != net.IPv4len && len(raw) != net.IPv6len {
		return false
	}
	ip := make(net.IP, 0, len(raw))
	for i := 0; i < len(raw); i += 4 {
		ip = append(ip, nativeOrder(raw[i:i+4])...)
	}
	return ip.Equal(a.IP)
}

// nativeOrder turns four bytes of a number that the kernel printed into the order in
// which they are on the network.
func nativeOrder(b []byte) []byte {
	return binary.NativeEndian.AppendUint32(nil, binary.BigEndian.Uint32(b))
}

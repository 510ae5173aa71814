//go:build !minimal

package cli

import (
	"net"
	"os"
	"testing"
)

// TestPeerOfThisProcess: the system's own table is read as it is.
func TestPeerOfThisProcess(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	served, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	if uid, known := peerUID(served); !known || uid != os.Getuid() {
		t.Errorf("%d, %v", uid, known)
	}
}

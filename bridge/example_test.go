package bridge_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/firmware/emu"
)

// A service with one reader, a token in software, on a socket of its own. A
// program finds it when PCSCLITE_CSOCK_NAME names the socket.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("unix", filepath.Join(dir, "pcscd.comm"))
	if err != nil {
		fmt.Println(err)
		return
	}
	service := bridge.New(bridge.Config{Policy: bridge.SameUser()})
	name := bridge.ReaderName{Base: "DigiFlow LLP. KAZTOKEN", Serial: "32D18A58"}
	detach, err := service.Attach(bridgetest.NewSlot(name.String(), emu.New()))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	served := make(chan error)
	go func() { served <- service.Serve(ctx, ln) }()
	<-service.Started()
	for _, r := range service.Snapshot().Readers {
		fmt.Println(r.Name)
		fmt.Println(r.State, r.ATR)
	}
	detach() // or let Close do it
	cancel()
	fmt.Println(<-served)
	service.Close()
	// Output:
	// DigiFlow LLP. KAZTOKEN (32D18A58) 00 00
	// present|powered|negotiable 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
	// context canceled
}

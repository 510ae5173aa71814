// Command gousbidle opens a USB device with gousb, says so, and then does
// nothing until standard input ends: the measure of what that library's event
// loop costs a process that uses it.
//
// Usage: gousbidle VENDOR PRODUCT (in hex)
package main

import (
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/google/gousb"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "gousbidle:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: gousbidle VENDOR PRODUCT")
	}
	var ids [2]gousb.ID
	for i, arg := range args {
		id, err := strconv.ParseUint(arg, 16, 16)
		if err != nil {
			return err
		}
		ids[i] = gousb.ID(id)
	}
	ctx := gousb.NewContext()
	defer ctx.Close()
	dev, err := ctx.OpenDeviceWithVIDPID(ids[0], ids[1])
	if err != nil || dev == nil {
		return fmt.Errorf("device %v, %v", dev, err)
	}
	defer dev.Close()
	_, done, err := dev.DefaultInterface()
	if err != nil {
		return err
	}
	defer done()
	fmt.Println("open")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

//go:build simulated

package main

import (
	"context"

	"kaztoken/bridge/ifd"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// bus is a bus with one token in software, for the test that drives the library
// from C. It is at bus 1, address 2, and can be opened again and again.
func bus() ifd.Config {
	p := ccidsim.KAZTOKEN
	token := ccidsim.New(p, emu.New(emu.WithATR(p.ATR)))
	info := token.Info()
	info.Bus, info.Addr, info.Port = 1, 2, "1-1"
	return ifd.Config{
		Devices: func(context.Context) ([]usb.Info, error) { return []usb.Info{info}, nil },
		Open: func(context.Context, usb.Info, usb.Interface) (usb.Pipe, error) {
			if token.OpenPipes() > 0 {
				return nil, usb.ErrBusy
			}
			return token.Pipe(), nil
		},
		ThreadSafe: true,
	}
}

package ccidsim_test

import (
	"context"
	"fmt"
	"log"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
)

// A KAZTOKEN in process: card, reader and driver.
func Example() {
	device := ccidsim.New(ccidsim.KAZTOKEN, emu.New())
	interfaces, err := device.Info().Interfaces()
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	reader, err := ccid.Open(ctx, device.Pipe(), interfaces[0])
	if err != nil {
		log.Fatal(err)
	}
	defer reader.Close()
	slot := reader.Slots()[0]
	atr, err := slot.PowerOn(ctx)
	if err != nil {
		log.Fatal(err)
	}
	id, err := slot.Transmit(ctx, nil, []byte{0x00, 0xCA, 0x01, 0x81, 0x00})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(atr)
	fmt.Printf("% X\n", id)
	// Output:
	// 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
	// 00 00 00 00 32 D1 8A 58 90 00
}

package emu_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"kaztoken/firmware/emu"
)

// The token of the user guide: its id, a wrong PIN, and the tries that are left.
func ExampleNew() {
	card := emu.New()
	for _, apdu := range []string{
		"\x00\xCA\x01\x81\x00",
		"\x00\x20\x00\x02\x08" + "00000000",
		"\x00\x20\x00\x02",
		"\x00\x20\x00\x02\x08" + "12345678",
	} {
		answer, err := card.Transmit(context.Background(), nil, []byte(apdu))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("% X\n", answer)
	}
	// Output:
	// 00 00 00 00 32 D1 8A 58 90 00
	// 63 00
	// 63 C9
	// 90 00
}

// A token in a file forgets no wrong PIN.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "token")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		card, err := emu.Open(filepath.Join(dir, "state"), emu.WithPIN(2, []byte("secret"), 3))
		if err != nil {
			log.Fatal(err)
		}
		if _, err := card.Transmit(context.Background(), nil, []byte("\x00\x20\x00\x02\x06sesame")); err != nil {
			log.Fatal(err)
		}
		left, err := card.Transmit(context.Background(), nil, []byte("\x00\x20\x00\x02"))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("% X\n", left)
		if err := card.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 63 C2
	// 63 C1
}

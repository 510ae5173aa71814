package iso7816_test

import (
	"errors"
	"fmt"

	"kaztoken/internal/iso7816"
)

func ExampleATR_Describe() {
	atr, err := iso7816.ParseATR([]byte("\x3B\x88\x01KAZTOKEN\x82"))
	if err != nil {
		fmt.Println(err)
	}
	for _, line := range atr.Describe() {
		fmt.Println(line)
	}
	// Output:
	// TS 3B: direct convention
	// T0 88: TD1 follows, 8 historical bytes
	// TD1 01: T=1, no interface bytes follow
	// historical bytes 4B 41 5A 54 4F 4B 45 4E: "KAZTOKEN"
	// TCK 82: check byte, correct
}

func ExampleSW_Err() {
	answer, err := iso7816.ParseResponse([]byte{0x63, 0xC2})
	if err != nil {
		fmt.Println(err)
	}
	err = answer.SW.Err()
	fmt.Println(err)
	fmt.Println(errors.Is(err, iso7816.ErrVerifyFailed))
	// Output:
	// 63C2 verification failed, 2 tries left
	// true
}

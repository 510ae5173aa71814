package rsapad_test

import (
	"crypto"
	"crypto/sha256"
	"fmt"

	"kaztoken/internal/rsapad"
)

// The block of a signature under a key of 2048 bits; a token turns it into the
// signature.
func ExampleSignPKCS1v15() {
	digest := sha256.Sum256([]byte("contract"))
	block, err := rsapad.SignPKCS1v15(2048/8, crypto.SHA256, digest[:])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes, % x ...\n", len(block), block[:4])
	// Output: 256 bytes, 00 01 ff ff ...
}

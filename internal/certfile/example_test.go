package certfile_test

import (
	"fmt"

	"kaztoken/internal/certfile"
)

// A file from a person: the key, its certificate, and the authorities above it.
func ExampleParse() {
	data, err := certfile.Read("testdata/bouncycastle.p12")
	if err != nil {
		fmt.Println(err)
		return
	}
	c, err := certfile.Parse(data, func() ([]byte, error) { return []byte("kaztoken"), nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("key of", c.Key.N.BitLen(), "bits")
	for _, cert := range c.Certificates {
		fmt.Println(cert.Subject.CommonName)
	}
	// Output:
	// key of 2048 bits
	// Test person
	// Test authority
	// Test root
}

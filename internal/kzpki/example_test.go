package kzpki_test

import (
	"crypto/x509"
	"fmt"
	"time"

	"kaztoken/internal/kzpki"
)

// What a list of certificates says of one.
func ExampleMeaning_Validity() {
	m := kzpki.Describe(&x509.Certificate{
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection},
		NotBefore:   time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:    time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC),
	})
	now := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println(m.Purpose, m.Validity(now), m.Validity(now).Key())
	// Output: signing expired cert.validity.expired
}

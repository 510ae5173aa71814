package firmware_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"testing"

	"kaztoken/firmware"
)

// BenchmarkSign signs with the key that is selected already, the card's own
// arithmetic included: that of math/big, which a real card takes far longer for.
func BenchmarkSign(b *testing.B) {
	for _, bits := range []int{1024, 2048} {
		b.Run(fmt.Sprint(bits), func(b *testing.B) {
			_, private := keyOn(b, &wire{}, bits)
			digest := sha256.Sum256(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := private.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen recognises a token, two commands.
func BenchmarkOpen(b *testing.B) {
	card := newCard()
	b.ReportAllocs()
	for b.Loop() {
		open(b, card)
	}
}

// BenchmarkList opens a token and lists ten certificates: anew each time, or what
// is kept of them.
func BenchmarkList(b *testing.B) {
	card := newCard()
	token := open(b, card)
	longDirectory(10, 10)(b, card, token)
	logout(b, token)
	list := func(b *testing.B, token *firmware.Token) {
		certs, err := token.Certificates(b.Context())
		if err != nil || len(certs) != 10 {
			b.Fatalf("%d certificates, %v", len(certs), err)
		}
	}
	b.Run("anew", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			list(b, open(b, card))
		}
	})
	b.Run("kept", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			list(b, token)
		}
	})
}

// BenchmarkRead reads a data object of 4 KiB, 16 commands.
func BenchmarkRead(b *testing.B) {
	token := open(b, newCard())
	login(b, token, firmware.User)
	o := writeObject(b, token, firmware.NewObject{Label: "large", Data: make([]byte, 4096)})
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.ReadObject(b.Context(), o); err != nil {
			b.Fatal(err)
		}
	}
}

package pkcs15_test

import (
	"errors"
	"fmt"

	"kaztoken/firmware/pkcs15"
)

// A directory of private keys as it is read from the token: entries, then zeros.
func ExampleParsePrKDF() {
	file := pkcs15.NewPrivateKey("signature", []byte{0x42}, 1, 2048, pkcs15.AccessGenerated).AppendTo(nil)
	file = append(file, make([]byte, 2048-len(file))...)

	keys, err := pkcs15.ParsePrKDF(file)
	if err != nil {
		fmt.Println(err)
	}
	for _, k := range keys {
		fmt.Printf("%s %v %d, id %X, file %v\n", k.Label, k.Kind, k.Bits, k.ID, k.Path)
		fmt.Printf("usage: %v\naccess: %v\n", k.Usage, k.Access)
	}
	// Output:
	// signature RSA 2048, id 42, file 3F00/1000/1000/6002/0001
	// usage: decrypt, sign, signRecover, unwrap
	// access: sensitive, alwaysSensitive, neverExtractable, local
}

// A changed entry is written anew; the others stay the bytes they were.
func ExampleCertificate_AppendTo() {
	file := pkcs15.NewCertificate("old name", []byte{0x45}, pkcs15.AppPath(0x0300)).AppendTo(nil)
	file = pkcs15.NewCertificate("other", []byte{0x46}, pkcs15.AppPath(0x0301)).AppendTo(file)

	certificates, err := pkcs15.ParseCDF(file)
	if err != nil {
		fmt.Println(err)
	}
	certificates[0].Label = "new name"
	var rewritten []byte
	for _, x := range certificates {
		rewritten = x.AppendTo(rewritten)
		fmt.Printf("%X\n", rewritten)
		rewritten = rewritten[:0]
	}
	// Output:
	// 3023300E0C086E6577206E616D65030206403003040145A10C300A300804063F0050000300
	// 3020300B0C056F74686572030206403003040146A10C300A300804063F0050000301
}

// The bytes of a new token's application.
func ExampleNewODFEntry() {
	fmt.Printf("EF(DIR)   %X\n", pkcs15.NewApplication("Work").AppendTo(nil))
	fmt.Printf("ODF       %X\n", pkcs15.NewODFEntry(pkcs15.AODF).AppendTo(nil))
	fmt.Printf("TokenInfo %X\n", pkcs15.NewTokenInfo("Work", []byte{0x32, 0xD1, 0x8A, 0x58}, "").AppendTo(nil))
	fmt.Printf("AODF      %X\n", pkcs15.UserPIN(6).AppendTo(nil))
	// Output:
	// EF(DIR)   611A4F0CA000000063504B43532D31355004576F726B51043F005000
	// ODF       A80A300804063F0050006005
	// TokenInfo 301E020100040432D18A580C09416B74697620436F2E8004576F726B03020410
	// AODF      302F300E0C08557365722050494E030206C03003040102A1183016030203980A0101020106020120020120800102040100
}

// An entry of a kind that is not known does not hide the others.
func ExampleParseCDF() {
	file := []byte{0xA3, 0x02, 0x05, 0x00}
	file = pkcs15.NewCertificate("mine", []byte{0x45}, pkcs15.AppPath(0x0300)).AppendTo(file)

	certificates, err := pkcs15.ParseCDF(file)
	if err != nil {
		fmt.Println(err)
	}
	for _, x := range certificates {
		if errors.Is(x.Err, pkcs15.ErrUnknown) {
			fmt.Printf("byte %d: %d bytes kept: %v\n", x.Offset, x.Len, x.Err)
			continue
		}
		fmt.Printf("byte %d: %s\n", x.Offset, x.Label)
	}
	// Output:
	// byte 0: 4 bytes kept: entry not understood: certificate of kind A3
	// byte 4: mine
}

// A directory is read from the card only as far as its entries go.
func ExampleEnd() {
	file := pkcs15.UserPIN(6).AppendTo(pkcs15.AdminPIN(8).AppendTo(nil))
	file = append(file, make([]byte, 256-len(file))...)

	for _, read := range []int{64, 110, 128} {
		n, complete, err := pkcs15.End(file[:read])
		fmt.Println(read, "bytes read: entries to", n, complete, err)
	}
	// Output:
	// 64 bytes read: entries to 61 false <nil>
	// 110 bytes read: entries to 110 false <nil>
	// 128 bytes read: entries to 110 true <nil>
}

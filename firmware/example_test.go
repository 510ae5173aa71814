package firmware_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

// A token tells about itself without a PIN. Where a value does not come from the
// token, its source says so.
func ExampleOpen() {
	ctx := context.Background()
	card := emu.New() // any firmware.Card: a token in a reader, or this one in software
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	info, err := token.Info(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("State:", info.State)
	fmt.Println("Name:", info.Name.Value)
	fmt.Println("Model:", info.Model.Value)
	fmt.Printf("ID: 0x%08X\n", info.ID.Value)
	fmt.Printf("Version: %s (%v)\n", info.Version.Value, info.Version.Source)
	fmt.Printf("Free memory: %d of %d\n", info.FreeMemory.Value, info.TotalMemory.Value)
	fmt.Println("User PIN changed by:", info.UserPINPolicy.Value)
	fmt.Println("Tries left:", info.User.Value.Left)
	// Output:
	// State: ready
	// Name: KAZTOKEN
	// Model: KAZTOKEN
	// ID: 0x32D18A58
	// Version: 1.4 (inferred)
	// Free memory: 53408 of 262144
	// User PIN changed by: user and administrator
	// Tries left: 10
}

// A wrong PIN costs a try; the last one is not used unless the caller says so.
func ExampleToken_Login() {
	ctx := context.Background()
	card := emu.New(emu.WithPIN(2, []byte("12345678"), 3))
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, pin := range []string{"00000000", "11111111", "22222222"} {
		_, err := token.Login(ctx, firmware.User, []byte(pin))
		var pe *firmware.PINError
		if errors.As(err, &pe) {
			fmt.Printf("wrong %v, last try kept %v, left %d\n", errors.Is(err, firmware.ErrPINWrong), errors.Is(err, firmware.ErrLastTry), pe.Left)
		}
	}
	result, err := token.Login(ctx, firmware.User, []byte("12345678"), firmware.AllowLastTry())
	fmt.Println(err, "default PIN:", result.DefaultPIN)
	fmt.Println(token.Logout(ctx))
	// Output:
	// wrong true, last try kept false, left 2
	// wrong true, last try kept false, left 1
	// wrong false, last try kept true, left 1
	// <nil> default PIN: true
	// <nil>
}

// A key made on the token never leaves it; it signs like any other key of Go.
func ExampleToken_GenerateKey() {
	ctx := context.Background()
	card := emu.New()
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := token.Login(ctx, firmware.User, []byte("12345678")); err != nil {
		fmt.Println(err)
		return
	}
	defer token.Logout(ctx)
	key, err := token.GenerateKey(ctx, firmware.GenerateOptions{Bits: 1024, Label: "work"}, func(done, total int) {
		fmt.Printf("%d of %d\n", done, total)
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Label, key.Algorithm, key.Bits, "made here:", key.Local)
	private, err := token.PrivateKey(ctx, key.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	digest := sha256.Sum256([]byte("a document"))
	signature, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(rsa.VerifyPKCS1v15(private.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature))
	// Output:
	// 1 of 5
	// 2 of 5
	// 3 of 5
	// 4 of 5
	// 5 of 5
	// work RSA 1024 made here: true
	// <nil>
}

// Formatting erases everything; what is left out gets the standard values.
func ExampleToken_Format() {
	ctx := context.Background()
	card := emu.New(emu.WithVendorFormat())
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.State())
	if _, err := token.Keys(ctx); err != nil {
		fmt.Println(err)
	}
	err = token.Format(ctx, firmware.FormatOptions{
		Name: "Aliya", UserPIN: []byte("uzyn-pin"), UserMinLength: 8, UserTries: 5, Policy: firmware.PolicyUser,
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	name, err := token.Name(ctx)
	fmt.Println(token.State(), name, err)
	status, err := token.PINStatus(ctx, firmware.User)
	fmt.Println(status.Max, status.MinLength, err)
	// Output:
	// formatted by the vendor's software
	// list keys: list: not on a token that is formatted by the vendor's software
	// ready Aliya <nil>
	// 5 8 <nil>
}

// A .p12 file holds a key and its certificate; on the token they share an ID.
func ExampleToken_Certificates() {
	ctx := context.Background()
	card := emu.New()
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := token.Login(ctx, firmware.User, []byte("12345678")); err != nil {
		fmt.Println(err)
		return
	}
	defer token.Logout(ctx)
	key, certificate := selfSigned("Aliya")
	if _, err := token.ImportIdentity(ctx, firmware.Identity{Key: key, Certificate: certificate}, firmware.ImportOptions{}, nil); err != nil {
		fmt.Println(err)
		return
	}
	certificates, err := token.Certificates(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, c := range certificates {
		fmt.Println(c.Label, c.X509.NotAfter.Format(time.DateOnly), "with a key:", c.Key != nil)
	}
	// The key goes with its last certificate.
	if err := token.Delete(ctx, firmware.Selection{Certificates: certificates}, nil); err != nil {
		fmt.Println(err)
		return
	}
	keys, err := token.Keys(ctx)
	fmt.Println(len(keys), "keys", err)
	// Output:
	// Aliya 2031-01-31 with a key: true
	// 0 keys <nil>
}

// selfSigned is what a .p12 file would hold.
func selfSigned(name string) (*rsa.PrivateKey, *x509.Certificate) {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2031, 1, 31, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return key, certificate
}

// A private data object can be read by the user only.
func ExampleToken_Objects() {
	ctx := context.Background()
	card := emu.New()
	token, err := firmware.Open(ctx, card, firmware.WithATR(card.ATR()))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := token.Login(ctx, firmware.User, []byte("12345678")); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := token.WriteObject(ctx, firmware.NewObject{Label: "note", Application: "diary", Private: true, Data: []byte("a secret")}); err != nil {
		fmt.Println(err)
		return
	}
	if err := token.Logout(ctx); err != nil {
		fmt.Println(err)
		return
	}
	objects, err := token.Objects(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range objects {
		fmt.Println(o.Label, o.Application, o.Size, "private:", o.Private)
		_, err := token.ReadObject(ctx, o)
		fmt.Println(err)
	}
	// Output:
	// note diary 8 private: true
	// read object "note": read: log in as user first
}

package firmware_test

import (
	"context"
	"errors"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

// freeMemory is what the token says is free.
func freeMemory(t testing.TB, token *firmware.Token) int {
	t.Helper()
	info, err := token.Info(t.Context())
	if err != nil || !info.FreeMemory.Known() {
		t.Fatalf("free memory %v, %v", info.FreeMemory, err)
	}
	return info.FreeMemory.Value
}

// TestFullMemory does what takes memory on tokens that have from none to enough
// of it: it succeeds, or it leaves the token as it was to the last byte.
func TestFullMemory(t *testing.T) {
	id := identity(t)
	for _, o := range []operation{
		{name: "import", run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
			_, err := token.ImportIdentity(ctx, id, firmware.ImportOptions{}, nil)
			return err
		})},
		{name: "certificate", run: as(firmware.User, func(ctx context.Context, token *firmware.Token) error {
			_, err := token.ImportCertificate(ctx, id.Certificate.Raw, firmware.ImportOptions{})
			return err
		})},
		{name: "generate", run: as(firmware.User, makeKey)},
		{name: "object", run: store(firmware.NewObject{Label: "x", Private: true, Data: make([]byte, 1000)})},
	} {
		t.Run(o.name, func(t *testing.T) {
			const enough, step = 11000, 307
			done := false
			for free := 0; free <= enough && !done; free += step {
				o.options = []emu.Option{emu.WithFreeMemory(free)}
				card := o.card(t)
				token := open(t, card)
				before := observe(t, token, "before")
				err := o.run(t.Context(), token)
				switch {
				case err == nil:
					done = true
				case !errors.Is(err, firmware.ErrNoSpace):
					t.Errorf("%d free: %v", free, err)
				}
				logout(t, token)
				checkClean(t, token)
				if err == nil {
					continue
				}
				if got := freeMemory(t, token); got != free {
					t.Errorf("%d free before, %d after", free, got)
				}
				if diff := before.diff(observe(t, open(t, card), "after")); diff != "" {
					t.Errorf("%d free: changed\n%s", free, diff)
				}
				audit(t, card, "after")
			}
			if !done {
				t.Errorf("%d bytes are not enough", enough)
			}
		})
	}
}

// TestFewBytesFree uses a token with 4 KiB: what does not fit fails, what fits
// afterwards does not.
func TestFewBytesFree(t *testing.T) {
	ctx := t.Context()
	token := open(t, newCard(emu.WithFreeMemory(4096)))
	login(t, token, firmware.User)
	if _, err := token.ImportIdentity(ctx, identity(t), firmware.ImportOptions{}, nil); !errors.Is(err, firmware.ErrNoSpace) {
		t.Errorf("import: %v", err)
	}
	if err := makeKey(ctx, token); !errors.Is(err, firmware.ErrNoSpace) {
		t.Errorf("generate: %v", err)
	}
	if _, err := token.WriteObject(ctx, firmware.NewObject{Label: "large", Data: make([]byte, 3000)}); !errors.Is(err, firmware.ErrNoSpace) {
		t.Errorf("large object: %v", err)
	}
	o := writeObject(t, token, firmware.NewObject{Label: "small", Data: make([]byte, 1900)})
	if b, err := token.ReadObject(ctx, o); err != nil || len(b) != 1900 {
		t.Errorf("read it: %d bytes, %v", len(b), err)
	}
	checkClean(t, token)
}

// TestDeleteInFullMemory deletes from the middle of a directory that has to be
// made anew, while there is no room for a second one of its size.
func TestDeleteInFullMemory(t *testing.T) {
	ctx := t.Context()
	card := newCard(emu.WithFreeMemory(2080 + 14*(1000+32) + 1500))
	token := open(t, card)
	longDirectory(14, 10)(t, card, token)
	for free := freeMemory(t, token); free > 900; free = freeMemory(t, token) {
		if _, err := token.WriteObject(ctx, firmware.NewObject{Label: "x", Data: make([]byte, min(free-900, 4000))}); err != nil {
			if free < 3100 { // no room for the directory of objects
				break
			}
			t.Fatal(err)
		}
	}
	if free := freeMemory(t, token); free > 2000 {
		t.Fatalf("%d bytes are free", free)
	}
	certs, err := token.Certificates(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := token.Delete(ctx, firmware.Selection{Certificates: certs[3:4]}, nil); err != nil {
		t.Errorf("delete: %v", err)
	}
	if now, err := token.Certificates(ctx); err != nil || len(now) != 13 {
		t.Errorf("%d certificates, %v", len(now), err)
	}
	checkClean(t, token)
	audit(t, card, "after")
	// The directory grows again with the next certificate.
	login(t, token, firmware.User)
	if _, err := token.ImportCertificate(ctx, certs[3].DER, firmware.ImportOptions{ID: []byte{99}}); err != nil {
		t.Errorf("import: %v", err)
	}
	audit(t, card, "after")
}

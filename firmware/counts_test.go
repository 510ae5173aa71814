package firmware_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"kaztoken/firmware"
)

// TestCommands counts the APDUs of each operation, from Open to the log-out. A
// number that grows is a regression. The last column is OpenSC 0.23 for the same
// work on the software card, binding the token included; ours is at most half. The
// log-out, which OpenSC leaves to the next program, does not count in that.
func TestCommands(t *testing.T) {
	large := firmware.Identity{Key: testKey(2048, 0), Certificate: certify(t, "One", 1, testKey(2048, 0), nil, nil)}
	withIdentity := func(t testing.TB, token *firmware.Token) {
		login(t, token, firmware.User)
		importIdentity(t, token, large)
	}
	for _, test := range []struct {
		name    string
		prepare func(testing.TB, *firmware.Token)
		run     func(context.Context, *firmware.Token) error
		want    int
		openSC  int // 0: it has no such operation
	}{
		{name: "open", run: func(context.Context, *firmware.Token) error { return nil }, want: 2},
		{name: "information", run: func(ctx context.Context, k *firmware.Token) error { _, err := k.Info(ctx); return err }, want: 11},
		{name: "list certificates", prepare: withIdentity, want: 10, openSC: 22,
			run: func(ctx context.Context, k *firmware.Token) error { _, err := k.Certificates(ctx); return err }},
		{name: "list keys", prepare: withIdentity, want: 6,
			run: func(ctx context.Context, k *firmware.Token) error { _, err := k.Keys(ctx); return err }},
		{name: "log in and sign", prepare: withIdentity, want: 11, openSC: 23,
			run: as(firmware.User, func(ctx context.Context, k *firmware.Token) error {
				key, err := k.PrivateKey(ctx, idOf(&large.Key.PublicKey))
				if err != nil {
					return err
				}
				digest := sha256.Sum256(nil)
				_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
				return err
			})},
		{name: "import .p12", want: 33, openSC: 71,
			run: as(firmware.User, func(ctx context.Context, k *firmware.Token) error {
				_, err := k.ImportIdentity(ctx, large, firmware.ImportOptions{}, nil)
				return err
			})},
		{name: "generate 1024, the first", want: 20, openSC: 61, run: as(firmware.User, makeKey)},
		{name: "generate 1024, the second", prepare: func(t testing.TB, k *firmware.Token) { furnish(t, nil, k) }, want: 24, run: as(firmware.User, makeKey)},
		{name: "delete key", prepare: func(t testing.TB, k *firmware.Token) { furnish(t, nil, k) }, want: 23, openSC: 79,
			run: as(firmware.User, func(ctx context.Context, k *firmware.Token) error {
				keys, err := k.Keys(ctx)
				if err != nil {
					return err
				}
				return k.Delete(ctx, firmware.Selection{Keys: keys}, nil)
			})},
		{name: "change user PIN", want: 6, openSC: 11,
			run: as(firmware.User, func(ctx context.Context, k *firmware.Token) error { return k.ChangePIN(ctx, firmware.User, newUserPIN) })},
		{name: "rename by the user", want: 8,
			run: as(firmware.User, func(ctx context.Context, k *firmware.Token) error { return k.SetName(ctx, "Renamed") })},
		{name: "rename by the administrator", want: 12,
			run: as(firmware.Admin, func(ctx context.Context, k *firmware.Token) error { return k.SetName(ctx, "Renamed") })},
		{name: "format", want: 48, openSC: 96,
			run: func(ctx context.Context, k *firmware.Token) error {
				return k.Format(ctx, firmware.FormatOptions{}, nil)
			}},
		{name: "check", prepare: withIdentity, want: 31,
			run: func(ctx context.Context, k *firmware.Token) error { _, err := k.Check(ctx); return err }},
	} {
		t.Run(test.name, func(t *testing.T) {
			card := newCard()
			if test.prepare != nil {
				token := open(t, card)
				test.prepare(t, token)
				logout(t, token)
			}
			card.Reset(true)
			w := &wire{card: card}
			if err := test.run(t.Context(), open(t, w)); err != nil {
				t.Fatal(err)
			}
			if len(w.sent) != test.want {
				t.Errorf("%d commands, want %d:\n%q", len(w.sent), test.want, w.names())
			}
			work := len(w.sent)
			if bytes.Equal(w.sent[work-1], []byte{0x80, 0x40, 0, 0}) {
				work--
			}
			if test.openSC > 0 && 2*work > test.openSC {
				t.Errorf("%d is more than half of OpenSC's %d", work, test.openSC)
			}
		})
	}
}

//go:build amd64 || arm64 || loong64 || mips64le || ppc64le || riscv64

package client

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge/wire"
)

// TestCaptured says what the library was captured saying, and understands the
// answers.
func TestCaptured(t *testing.T) {
	for _, c := range []struct {
		name            string
		greeting        string
		minor           int32
		before, between string // arrays
	}{
		{"2.5.1 and its own daemon", greeting46, 6, array46(record), array46(connected)},
		{"2.5.1 and an old daemon", greeting44, 4, array44(record), array44(connected)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := listen(t, c.greeting+c.before+connect+c.between+`
				> 08000000 0b000000 364beb49 00000000
				< 364beb49 00000000`+begin+`
				< 364beb49 00000000`+selectMF+selected+`
				> 18000000 0a000000  364beb49 480d0042 00000000 0c000100 00000000 00000000
				< 364beb49 480d0042 00000000 0c000100 06000000 00000000  12 04 42330012
				> 18010000 0f000000 364beb49 03030900`+zeros(264)+`08010000 1d001080
				< 364beb49 03030900`+atrHex+zeros(246)+`12000000 00000000`+end+`
				< 364beb49 00000000 00000000
				> 0c000000 06000000 364beb49 02000000 00000000
				< 364beb49 02000000 00000000`+release)
			ctx := t.Context()
			x := dialed(t, s)
			if v := x.Version(); v != (wire.Version{Major: 4, Minor: c.minor}) {
				t.Errorf("protocol %v, want 4:%d", v, c.minor)
			}
			readers, err := x.Readers(ctx)
			atr := unhex(atrHex)
			if diff := cmp.Diff([]Reader{{Name: readerName, State: wire.CardReady, ATR: atr}}, readers); diff != "" || err != nil {
				t.Errorf("readers: %v, %s", err, diff)
			}
			card := shared(t, x)
			if card.Reader() != readerName || card.Protocol() != wire.ProtocolT0 {
				t.Errorf("%q, protocol %v", card.Reader(), card.Protocol())
			}
			status, err := card.Status(ctx)
			if diff := cmp.Diff(Status{readerName, wire.CardReady, wire.ProtocolT0, atr}, status); diff != "" || err != nil {
				t.Errorf("status: %v, %s", err, diff)
			}
			if err := card.Begin(ctx); err != nil {
				t.Error(err)
			}
			resp, err := card.Transmit(ctx, []byte{0xAA}, unhex("00a4040000"))
			if err != nil || !bytes.Equal(resp, unhex("aa9000")) {
				t.Errorf("response % x, %v", resp, err)
			}
			features, err := card.Control(ctx, []byte{0xAA}, wire.CtlGetFeatureRequest, nil)
			if err != nil || !bytes.Equal(features, unhex("aa120442330012")) {
				t.Errorf("features % x, %v", features, err)
			}
			if got, err := card.Attribute(ctx, wire.AttrATRString); err != nil || !bytes.Equal(got, atr) {
				t.Errorf("attribute % x, %v", got, err)
			}
			if err := card.End(ctx); err != nil {
				t.Error(err)
			}
			if err := card.Disconnect(ctx, wire.UnpowerCard); err != nil {
				t.Error(err)
			}
			if err := card.Disconnect(ctx, wire.LeaveCard); err != nil {
				t.Errorf("the second time: %v", err)
			}
			_, err = card.Transmit(ctx, nil, unhex("00a4040000"))
			want(t, err, wire.InvalidHandle, ErrClosed)
			for range 2 {
				if err := x.Close(); err != nil {
					t.Error(err)
				}
			}
			_, err = x.Readers(ctx)
			want(t, err, wire.InvalidHandle, ErrClosed)
		})
	}
}

// TestReaders: what the service may have in its array.
func TestReaders(t *testing.T) {
	named := func(name, rest string) string {
		b := append([]byte(name), make([]byte, 128-len(name))...)
		return hexOf(b) + rest
	}
	const (
		empty = "07000000 02000000 02000000"
		fresh = "00000000 04000000 ffffffff" // present, and no ATR yet
	)
	s := listen(t, greeting46+`
		> 00000000 16000000
		< 06000000
		> 00000000 17000000
		< `+named("A 00 00", empty+atrHex+zeros(15)+"000000 12000000 00000000")+
		named("B 00 00", fresh+zeros(36)+"22000000 00000000")+
		free+
		named("bell \a 00 00", fresh+zeros(36)+"00000000 00000000")+
		named("\xff\xfe 00 00", fresh+zeros(36)+"00000000 00000000")+
		named("Қазақстан 00 00", fresh+zeros(36)+"00000000 00000000")+
		release)
	got, err := dialed(t, s).Readers(t.Context())
	want := []Reader{
		{Name: "A 00 00", State: wire.NoCard, Counter: 7, Sharing: 2}, // the ATR is that of the card before
		{Name: "B 00 00", State: wire.CardUnpowered, Sharing: wire.SharingExclusive},
		{Name: "Қазақстан 00 00", State: wire.CardUnpowered, Sharing: wire.SharingExclusive},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, %s", err, diff)
	}
}

// TestReconnect: a handle acknowledges a reset, and takes the protocol that is
// in force then.
func TestReconnect(t *testing.T) {
	s := listen(t, greeting46+connect+array46(connected)+`
		> 08000000 0b000000 364beb49 00000000
		< 364beb49 68001080`+reconnect+`
		< 364beb49 02000000 03000000 00000000 02000000 00000000
		> 20000000 09000000  364beb49 02000000 10000000 05000000 03000000 10000000 0c000100 00000000  00a4040000
		< 364beb49 02000000 10000000 05000000 03000000 10000000 02000000 00000000  6d00`+release)
	card := shared(t, dialed(t, s))
	_, err := card.Status(t.Context())
	want(t, err, wire.CardReset, nil)
	if err := card.Reconnect(t.Context(), wire.ShareShared, wire.ProtocolT0|wire.ProtocolT1, wire.LeaveCard); err != nil {
		t.Fatal(err)
	}
	if resp, err := card.Transmit(t.Context(), nil, unhex("00a4040000")); err != nil || !bytes.Equal(resp, unhex("6d00")) {
		t.Errorf("response % x, %v", resp, err)
	}
}

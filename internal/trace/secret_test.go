package trace_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/internal/trace"
	"kaztoken/usb"
)

// The secrets of the tests. Each stretch of four bytes of them is in nothing else
// that goes over the bus.
var (
	userPIN  = []byte("Aqtau-1961")
	adminPIN = []byte("Oral-1613Oral+1613") // two PINs in one body
	keyBody  = pattern(600, 7)
	plain    = pattern(200, 11)
	open     = pattern(200, 13) // what is no secret
)

// pattern is a text of n bytes without repetition.
func pattern(n int, seed byte) []byte {
	b := make([]byte, n)
	x := uint32(seed) * 2654435761
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// vault is a card that takes everything and gives plain where a key would decrypt,
// and open where a file is read. What nobody has asked for waits for GET RESPONSE.
type vault struct {
	atr     []byte
	waiting []byte
}

func (v *vault) ATR() []byte { return v.atr }
func (v *vault) Reset(bool)  { v.waiting = nil }

func (v *vault) Transmit(_ context.Context, dst, apdu []byte) ([]byte, error) {
	var data []byte
	switch {
	case apdu[1] == 0x2A && apdu[2] == 0x80 && apdu[0]&0x10 == 0:
		data = plain
	case apdu[1] == 0xB0:
		data = open
	case apdu[1] == 0xC0:
		data = v.waiting
	}
	c, err := iso7816.ParseCommand(apdu)
	if err != nil || c.Ne == 0 && len(data) > 0 {
		v.waiting = data
		return append(dst, 0x61, byte(len(data))), nil
	}
	return append(append(dst, data...), 0x90, 0x00), nil
}

// apdus is a session with every secret in it.
func apdus(t testing.TB, extended bool) (all [][]byte) {
	add := func(c iso7816.Command) {
		t.Helper()
		b, err := c.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	add(iso7816.Command{INS: 0xA4, P2: 0x04, Data: []byte{0x3F, 0x00}, Ne: 256})
	add(iso7816.Command{INS: 0x20, P2: 0x02}) // tries left
	add(iso7816.Command{INS: 0x20, P2: 0x02, Data: userPIN})
	add(iso7816.Command{INS: 0xB0, Ne: 200})
	add(iso7816.Command{INS: 0x2C, P1: 0x02, P2: 0x02, Data: adminPIN})
	for rest := keyBody; len(rest) > 0; {
		n := min(len(rest), 250)
		cla := byte(0x10)
		if n == len(rest) {
			cla = 0
		}
		add(iso7816.Command{CLA: cla, INS: 0x24, P1: 0x01, P2: 0x11, Data: rest[:n]})
		rest = rest[n:]
	}
	if extended {
		add(iso7816.Command{INS: 0x24, P1: 0x01, P2: 0x11, Data: keyBody, Extended: true})
	}
	add(iso7816.Command{CLA: 0x10, INS: 0x2A, P1: 0x80, P2: 0x86, Data: bytes.Repeat([]byte{0xC1}, 200)})
	add(iso7816.Command{INS: 0x2A, P1: 0x80, P2: 0x86, Data: bytes.Repeat([]byte{0xC2}, 57), Ne: 256})
	add(iso7816.Command{INS: 0xB0, Ne: 200})
	all = append(all, append([]byte{0x00, 0x20, 0x00, 0x02}, userPIN...)) // without Lc
	return all
}

// session records what the APDUs look like on a reader, and gives the path.
func session(t testing.TB, p ccidsim.Profile, o trace.Options, all [][]byte, faults ...ccidsim.Fault) string {
	t.Helper()
	return sessionWith(t, p, o, all, nil, faults...)
}

// sessionWith is session with options of the driver.
func sessionWith(t testing.TB, p ccidsim.Profile, o trace.Options, all [][]byte, options []ccid.Option, faults ...ccidsim.Fault) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.pcapng")
	r, err := trace.Create(path, o)
	if err != nil {
		t.Fatal(err)
	}
	d := ccidsim.New(p, &vault{atr: p.ATR})
	ifc := interfaceOf(t, d.Info())
	reader, err := ccid.Open(t.Context(), r.Pipe(d.Pipe(), d.Info(), ifc), ifc, append(options, ccid.WithDevice(d.Info()))...)
	if err != nil {
		t.Fatal(err)
	}
	slot := reader.Slots()[0]
	if _, err := slot.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		d.Inject(f)
	}
	for _, apdu := range all {
		// Not every level can carry what is malformed, and faults end some.
		_, err := slot.Transmit(t.Context(), nil, apdu)
		if errors.Is(err, ccid.ErrCardReset) {
			_, err = slot.PowerOn(t.Context())
		}
		if err != nil && len(faults) == 0 && !errors.Is(err, iso7816.ErrAPDU) && !errors.Is(err, ccid.ErrNotSupported) {
			t.Fatalf("% X: %v", apdu[:4], err)
		}
	}
	if err := errors.Join(reader.Close(), r.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func interfaceOf(t testing.TB, dev usb.Info) usb.Interface {
	t.Helper()
	all, err := dev.Interfaces(usb.AllowAnyVendorClass())
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// events reads a recording to its end.
func events(t testing.TB, path string) (all []trace.Event) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := trace.NewReader(f)
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		// How often the endpoint that nobody waits for is read is chance.
		if in := e.Endpoint; e.Device == nil || in != e.Device.Interface.Interrupt.Address || in == 0 {
			all = append(all, e)
		}
	}
}

// shows reports a piece of a secret that shows in b.
func shows(b, secret []byte) []byte {
	const piece = 4
	for i := range len(secret) - piece + 1 {
		if bytes.Contains(b, secret[i:i+piece]) {
			return secret[i : i+piece]
		}
	}
	return nil
}

// TestNoSecret records a session with every secret on every reader, and looks for
// them in the file. The same session without masking is the proof that they were
// there, and that nothing else is missing.
func TestNoSecret(t *testing.T) {
	secrets := map[string][]byte{"user PIN": userPIN, "administrator PIN": adminPIN, "key": keyBody, "plain text": plain}
	for _, p := range ccidsim.Profiles() {
		t.Run(p.Name, func(t *testing.T) {
			all := apdus(t, p.Interface.Reader.Features.Level() != usb.ShortAPDU)
			clear := session(t, p, trace.Options{Unmasked: true}, all)
			masked := session(t, p, trace.Options{}, all)
			for name, secret := range secrets {
				for path, want := range map[string]bool{clear: true, masked: false} {
					b, err := os.ReadFile(path)
					if err != nil {
						t.Fatal(err)
					}
					if got := shows(b, secret); (got != nil) != want {
						t.Errorf("%s: shows % X, want %v", name, got, want)
					}
				}
			}
			compare(t, p, events(t, clear), events(t, masked))
		})
	}
}

// TestNoSecretInPieces: answers come in two transfers each, the first of one packet.
func TestNoSecretInPieces(t *testing.T) {
	all := apdus(t, false)
	options := []ccid.Option{ccid.WithHeaderFirst()}
	for path, want := range map[string]bool{
		sessionWith(t, ccidsim.KAZTOKEN, trace.Options{Unmasked: true}, all, options): true,
		sessionWith(t, ccidsim.KAZTOKEN, trace.Options{}, all, options):               false,
	} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := shows(b, plain); (got != nil) != want {
			t.Errorf("shows % X, want %v", got, want)
		}
		if shows(b, open) == nil {
			t.Error("what is no secret is missing")
		}
	}
}

// TestNoSecretInRepeats: blocks of T=1 are sent again, either way, wherever they are
// in their chain.
func TestNoSecretInRepeats(t *testing.T) {
	all := apdus(t, true)
	for _, where := range []ccidsim.Where{ccidsim.BlockOut, ccidsim.BlockIn} {
		for at := 1; at <= 60; at++ {
			var b []byte
			synctest.Test(t, func(t *testing.T) {
				f := ccidsim.Fault{Where: where, At: at, Kind: ccidsim.BadEDC}
				var err error
				if b, err = os.ReadFile(session(t, ccidsim.TPDUT1LRC, trace.Options{}, all, f)); err != nil {
					t.Fatal(err)
				}
			})
			for _, secret := range [][]byte{userPIN, adminPIN, keyBody, plain} {
				if got := shows(b, secret); got != nil {
					t.Errorf("%v at %d: % X shows", where, at, got)
				}
			}
		}
	}
}

// compare wants two recordings of one session to be the same but for what is
// masked.
func compare(t *testing.T, p ccidsim.Profile, clear, masked []trace.Event) {
	t.Helper()
	if len(clear) != len(masked) {
		t.Fatalf("%d events in clear, %d masked", len(clear), len(masked))
	}
	hidden := 0
	for i, c := range clear {
		m := masked[i]
		if c.Kind != m.Kind || c.Setup != m.Setup || len(c.Data) != len(m.Data) || len(c.Masked) != 0 {
			t.Fatalf("event %d: %v %+v of %d bytes, masked %v %+v of %d bytes", i, c.Kind, c.Setup, len(c.Data), m.Kind, m.Setup, len(m.Data))
		}
		in := make([]bool, len(m.Data))
		for _, s := range m.Masked {
			hidden += s.Length
			for n := s.Offset; n < s.Offset+s.Length; n++ {
				in[n] = true
			}
		}
		for n := range m.Data {
			if !in[n] && m.Data[n] != c.Data[n] {
				t.Fatalf("event %d: byte %d differs and is not among %v", i, n, m.Masked)
			}
		}
		if p.Interface.Reader.Features.Level() == usb.TPDU && len(m.Masked) > 0 && slices.Contains(p.ATR[:3], 0x81) {
			if !codeFits(m.Data[10:]) {
				t.Errorf("event %d: the code of block % X does not fit", i, m.Data[10:])
			}
		}
	}
	if hidden == 0 {
		t.Error("nothing is masked")
	}
	if p.Name != ccidsim.Character.Name && p.Name != ccidsim.ICCDA.Name {
		var public []byte
		for _, e := range masked {
			public = append(public, e.Data...)
		}
		if shows(public, open[:20]) == nil {
			t.Error("what is no secret is missing")
		}
	}
}

func codeFits(b []byte) bool {
	for _, edc := range []t1.EDC{t1.LRC, t1.CRC} {
		if _, err := t1.ParseBlock(b, edc); err == nil {
			return true
		}
	}
	return false
}

// TestNoSecretInFaults: nothing shows either when transfers go wrong, whichever.
func TestNoSecretInFaults(t *testing.T) {
	kinds := []ccidsim.FaultKind{
		ccidsim.Stall, ccidsim.Silence, ccidsim.ShortWrite, ccidsim.Short, ccidsim.Truncate, ccidsim.Long, ccidsim.ZLP,
		ccidsim.WrongSeq, ccidsim.WrongSlot, ccidsim.WrongType, ccidsim.Duplicate,
	}
	for _, p := range []ccidsim.Profile{ccidsim.KAZTOKEN, ccidsim.ExtendedChaining, ccidsim.TPDUT1LRC} {
		all := apdus(t, false)
		for _, kind := range kinds {
			for at := 4; at <= 40; at += 3 {
				var b []byte
				synctest.Test(t, func(t *testing.T) {
					var err error
					if b, err = os.ReadFile(session(t, p, trace.Options{}, all, ccidsim.Fault{At: at, Kind: kind})); err != nil {
						t.Fatal(err)
					}
				})
				for _, secret := range [][]byte{userPIN, adminPIN, keyBody, plain} {
					if got := shows(b, secret); got != nil {
						t.Errorf("%s, %v at %d: % X shows", p.Name, kind, at, got)
					}
				}
			}
		}
	}
}

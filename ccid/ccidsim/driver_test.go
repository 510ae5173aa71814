package ccidsim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// drive opens the driver on a device.
func drive(t testing.TB, d *ccidsim.Device, opts ...ccid.Option) (*ccid.Reader, error) {
	t.Helper()
	all, err := d.Info().Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	return ccid.Open(context.Background(), d.Pipe(), all[0], append(opts, ccid.WithDevice(d.Info()))...)
}

// mustDrive opens the driver and powers slot 0 up.
func mustDrive(t testing.TB, d *ccidsim.Device, opts ...ccid.Option) (*ccid.Reader, *ccid.Slot) {
	t.Helper()
	r, err := drive(t, d, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	s := r.Slots()[0]
	if _, err := s.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	return r, s
}

// rig is a device with a card that may differ from the profile's own.
type rig struct {
	name    string
	profile ccidsim.Profile
	atr     string // empty: the profile's
}

func (r rig) device(card func(atr []byte) ccidsim.Card, t testing.TB) *ccidsim.Device {
	atr := r.profile.ATR
	if r.atr != "" {
		atr = unhex(t, r.atr)
	}
	var cards []ccidsim.Card
	for range r.profile.Interface.Reader.Slots() {
		cards = append(cards, card(atr))
	}
	return ccidsim.New(r.profile, cards...)
}

func plainCard(atr []byte) ccidsim.Card { return emu.New(emu.WithATR(atr)) }

// rigs are all profiles, and those that have both protocols with other cards.
func rigs() (l []rig) {
	for _, p := range ccidsim.Profiles() {
		l = append(l, rig{name: p.Name, profile: p})
	}
	zlp := ccidsim.ExtendedChaining
	zlp.ZLP = true
	return append(l,
		rig{"extended-chaining-zlp", zlp, ""},
		rig{"character-t0", ccidsim.Character, "3B 08 4B 41 5A 54 4F 4B 45 4E"},
		rig{"tpdu-lrc-t0-pps", ccidsim.TPDUT1LRC, "3B 18 95 4B 41 5A 54 4F 4B 45 4E"},
		// TA1 95, TD1 80 (T=0), TD2 31 (T=1): TA3 FE, TB3 45.
		rig{"tpdu-lrc-both", ccidsim.TPDUT1LRC, "3B 98 95 80 31 FE 45 4B 41 5A 54 4F 4B 45 4E 0C"},
		// TA1 95, TD1 91 (T=1): TA2 81 specific mode, TD2 31: TA3 80, TB3 45.
		rig{"tpdu-crc-specific", ccidsim.TPDUT1CRC, "3B 98 95 91 81 31 80 45 4B 41 5A 54 4F 4B 45 4E E2"},
	)
}

func (r rig) protocol(t testing.TB) iso7816.Protocol {
	atr := r.profile.ATR
	if r.atr != "" {
		atr = unhex(t, r.atr)
	}
	a, err := iso7816.ParseATR(atr)
	if err != nil || a.Warning() != nil {
		t.Fatalf("ATR of %s: %v, %v", r.name, err, a.Warning())
	}
	return a.Default()
}

// t0 reports whether the host maps APDUs onto T=0.
func (r rig) t0(t testing.TB) bool {
	level := r.profile.Interface.Reader.Features.Level()
	return r.protocol(t) == iso7816.T0 && (level < usb.ShortAPDU || r.profile.Interface.Protocol == 1)
}

// echoes makes random commands and knows the answers.
type echoes struct {
	rng    *rand.Rand
	memory []byte
	limit  int  // of Nc and Ne
	t0     bool // T=0: no Ne above 256 but with ENVELOPE, and EE for what brings data
}

var edges = []int{0, 1, 2, 23, 31, 32, 33, 42, 54, 63, 64, 65, 107, 118, 128, 182, 192, 246, 247, 254, 255, 256, 257}

func (e *echoes) size(limit int) int {
	switch k := e.rng.IntN(1000); {
	case k < 600:
		return min(edges[e.rng.IntN(len(edges))], limit)
	case k < 996 || limit < 65535:
		return e.rng.IntN(min(limit, 700) + 1)
	}
	return limit - e.rng.IntN(2)
}

// next gives a command and the answer of a card that got all the commands before.
func (e *echoes) next() (apdu, want []byte) {
	c := iso7816.Command{CLA: 0x80, INS: 0xEC, P1: byte(e.rng.Uint32()), P2: byte(e.rng.Uint32())}
	if nc := e.size(min(e.limit, iso7816.MaxExtendedNc)); nc > 0 && e.rng.IntN(4) > 0 {
		c.Data = make([]byte, nc)
		for i := range c.Data {
			c.Data[i] = byte(e.rng.Uint32())
		}
	}
	if e.rng.IntN(4) > 0 {
		c.Ne = e.size(e.limit)
	}
	if e.t0 {
		if len(c.Data) <= iso7816.MaxShortNc {
			c.Ne = min(c.Ne, iso7816.MaxShortNe)
		}
		if len(c.Data) > 0 || c.Ne == 0 {
			c.INS = 0xEE
		}
	}
	c.Extended = e.limit > iso7816.MaxShortNe && e.rng.IntN(4) == 0
	apdu, err := c.AppendTo(nil)
	if err != nil {
		panic(err)
	}
	if len(c.Data) > 0 {
		e.memory = append(e.memory[:0], c.Data...)
	}
	for i := range c.Ne {
		if len(e.memory) > 0 {
			want = append(want, e.memory[i%len(e.memory)])
		} else {
			want = append(want, c.P1+c.P2*byte(i))
		}
	}
	return apdu, append(want, 0x90, 0x00)
}

func (r rig) echoes(t testing.TB, seed uint64) *echoes {
	e := &echoes{rng: rand.New(rand.NewPCG(seed, 2)), limit: iso7816.MaxExtendedNe, t0: r.t0(t)}
	switch level := r.profile.Interface.Reader.Features.Level(); {
	case level == usb.ShortAPDU && r.profile.Interface.Protocol == 0:
		e.limit = 255
	case e.t0:
		e.limit = 4000
	}
	return e
}

// The main test of the product without hardware: program to driver to reader to
// card and back, 2,000 commands of all cases for every profile.
func TestEcho(t *testing.T) {
	for i, r := range rigs() {
		t.Run(r.name, func(t *testing.T) {
			n := 2000
			if testing.Short() {
				n = 200
			}
			synctest.Test(t, func(t *testing.T) {
				d := r.device(plainCard, t)
				reader, slot := mustDrive(t, d)
				e := r.echoes(t, uint64(i))
				var buf []byte
				for k := range n {
					apdu, want := e.next()
					got, err := slot.Transmit(t.Context(), buf[:0], apdu)
					if err != nil {
						t.Fatalf("command %d of %d bytes, answer of %d: %v", k, len(apdu), len(want), err)
					}
					if !bytes.Equal(got, want) {
						t.Fatalf("command %d of %d bytes: answer of %d bytes is not the echo of %d", k, len(apdu), len(got), len(want))
					}
					buf = got
				}
				if err := reader.Close(); err != nil {
					t.Error(err)
				}
				if d.OpenPipes() != 0 {
					t.Error("the pipe was left open")
				}
				noViolations(t, d)
			})
		})
	}
}

// Both slots of a reader work at the same time.
func TestTwoSlotsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice(ccidsim.TwoSlots)
		reader, _ := mustDrive(t, d)
		done := make(chan error, 2)
		for i, s := range reader.Slots() {
			go func() {
				done <- func() error {
					if _, err := s.PowerOn(t.Context()); err != nil {
						return err
					}
					e := &echoes{rng: rand.New(rand.NewPCG(uint64(i), 3)), limit: 1000}
					for range 500 {
						apdu, want := e.next()
						got, err := s.Transmit(t.Context(), nil, apdu)
						if err != nil || !bytes.Equal(got, want) {
							return fmt.Errorf("slot %d: wrong answer of %d bytes, %v", i, len(got), err)
						}
					}
					return nil
				}()
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		reader.Close()
		noViolations(t, d)
	})
}

// A card that is pulled and put in is noticed, and the old connection is void.
func TestCardComesAndGoes(t *testing.T) {
	for _, p := range []ccidsim.Profile{ccidsim.ExtendedAPDU, ccidsim.TPDUT1LRC} {
		t.Run(p.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice(p)
				reader, slot := mustDrive(t, d)
				changed := slot.Changed()
				d.RemoveCard(0)
				<-changed
				time.Sleep(time.Second)
				if got := slot.State(); got != ccid.CardAbsent {
					t.Errorf("state %v, want absent", got)
				}
				if _, err := slot.Transmit(t.Context(), nil, []byte{0x80, 0xEE, 0, 0}); !errors.Is(err, ccid.ErrNoCard) {
					t.Errorf("got %v, want ErrNoCard", err)
				}
				if _, err := slot.PowerOn(t.Context()); !errors.Is(err, ccid.ErrNoCard) {
					t.Errorf("got %v, want ErrNoCard", err)
				}
				changed = slot.Changed()
				d.InsertCard(0, emu.New())
				<-changed
				time.Sleep(time.Second)
				if _, err := slot.Transmit(t.Context(), nil, []byte{0x80, 0xEE, 0, 0}); !errors.Is(err, ccid.ErrCardReset) {
					t.Errorf("got %v, want ErrCardReset", err)
				}
				if _, err := slot.PowerOn(t.Context()); err != nil {
					t.Error(err)
				}
				if _, err := slot.Transmit(t.Context(), nil, []byte{0x80, 0xEE, 0, 0}); err != nil {
					t.Error(err)
				}
				reader.Close()
				noViolations(t, d)
			})
		})
	}
}

// slowCard works for a while on commands with P1 77.
type slowCard struct {
	ccidsim.Card
	took time.Duration
}

func (c slowCard) Duration(apdu []byte) time.Duration {
	if len(apdu) > 2 && apdu[2] == 0x77 {
		return c.took
	}
	return 0
}

func (c slowCard) Incoming(cla, ins byte) bool {
	d, ok := c.Card.(ccidsim.Directed)
	return ok && d.Incoming(cla, ins)
}

// A card that works for nine minutes is waited for, at every level.
func TestPatience(t *testing.T) {
	for _, r := range rigs() {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const took = 100 * time.Second
				d := r.device(func(atr []byte) ccidsim.Card { return slowCard{plainCard(atr), took} }, t)
				reader, slot := mustDrive(t, d)
				start := time.Now()
				got, err := slot.Transmit(t.Context(), nil, []byte{0x80, 0xEE, 0x77, 0})
				if err != nil || !bytes.Equal(got, []byte{0x90, 0x00}) {
					t.Errorf("got % X, %v", got, err)
				}
				if since := time.Since(start); since < took || since > took+2*time.Second {
					t.Errorf("took %v, want %v", since, took)
				}
				reader.Close()
				noViolations(t, d)
			})
		})
	}
}

// A caller that loses patience is let go, and the next command is right.
func TestCancel(t *testing.T) {
	for _, r := range rigs() {
		t.Run(r.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := r.device(func(atr []byte) ccidsim.Card { return slowCard{plainCard(atr), 20 * time.Second} }, t)
				reader, slot := mustDrive(t, d)
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				_, err := slot.Transmit(ctx, nil, []byte{0x80, 0xEE, 0x77, 0})
				if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ccid.ErrOutcomeUnknown) {
					t.Errorf("got %v, want the deadline and an unknown outcome", err)
				}
				if since := time.Since(start); since > 3*time.Second+5*time.Second+100*time.Millisecond {
					t.Errorf("returned after %v", since)
				}
				time.Sleep(30 * time.Second)
				if _, err := slot.PowerOn(t.Context()); err != nil {
					t.Fatal(err)
				}
				got, err := slot.Transmit(t.Context(), nil, []byte{0x00, 0xCA, 0x01, 0x81, 0x08})
				if want := []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58, 0x90, 0}; err != nil || !bytes.Equal(got, want) {
					t.Errorf("got % X, %v, want % X", got, err, want)
				}
				reader.Close()
				noViolations(t, d)
			})
		})
	}
}

// transmit powers a KAZTOKEN up and gives a function that echoes n bytes.
func transmit(tb testing.TB, n int, opts ...ccid.Option) func() {
	d := kaztoken()
	_, slot := mustDrive(tb, d, opts...)
	apdu, err := iso7816.Command{CLA: 0x80, INS: 0xEC, Data: make([]byte, n), Ne: n}.AppendTo(nil)
	if err != nil {
		tb.Fatal(err)
	}
	buf := make([]byte, 0, 258)
	ctx := context.Background()
	return func() {
		if _, err := slot.Transmit(ctx, buf, apdu); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	for name, opts := range map[string][]ccid.Option{"one read": nil, "header first": {ccid.WithHeaderFirst()}} {
		f := transmit(t, 250, opts...)
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations per command, want 0", name, n)
		}
	}
}

// The whole path in process: driver, simulated reader, simulated card.
func BenchmarkTransmit(b *testing.B) {
	for _, n := range []int{5, 64, 250} {
		b.Run(fmt.Sprintf("%d bytes", n), func(b *testing.B) {
			f := transmit(b, n)
			b.ReportAllocs()
			for b.Loop() {
				f()
			}
		})
	}
}

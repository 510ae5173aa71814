package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// challenge is GET CHALLENGE for eight bytes.
var challenge = []byte{0x00, 0x84, 0x00, 0x00, 0x08}

// openSlots brings a simulated device up as the supervisor does, and makes its
// slots. They and the reader are closed at the end of the test.
func openSlots(t *testing.T, d *ccidsim.Device) []*readerSlot {
	t.Helper()
	ifcs, err := d.Info().Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	u, err := bringCCID(t.Context(), d.Pipe(), d.Info(), ifcs[0], silent().WithField("test", t.Name()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { u.Close() })
	r := &Reader{Device: d.Info(), Interface: ifcs[0], unit: u}
	var all []*readerSlot
	for i := range r.CCID().Slots() {
		s := newReaderSlot(r, i)
		t.Cleanup(s.close)
		all = append(all, s)
	}
	return all
}

func kaztokenDevice() *ccidsim.Device {
	return ccidsim.New(ccidsim.KAZTOKEN, emu.New(emu.WithATR(ccidsim.KAZTOKEN.ATR)))
}

// until waits for a state that is as it should be.
func until(t *testing.T, s bridge.Slot, is func(bridge.SlotState) bool) bridge.SlotState {
	t.Helper()
	end := time.NewTimer(10 * time.Second)
	defer end.Stop()
	for {
		changed := s.Changed()
		state := s.State()
		if is(state) {
			return state
		}
		select {
		case <-changed:
		case <-end.C:
			t.Fatalf("the state stays %+v", state)
		}
	}
}

func atr(t *testing.T, b []byte) iso7816.ATR {
	t.Helper()
	a, err := iso7816.ParseATR(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestSlots runs the same life with a token behind a reader and with one in
// software alone.
func TestSlots(t *testing.T) {
	software, err := newCardSlot("")
	if err != nil {
		t.Fatal(err)
	}
	device := kaztokenDevice()
	onUSB := openSlots(t, device)[0]
	for name, c := range map[string]struct {
		slot bridge.Slot
		end  func()
	}{
		"on USB":      {onUSB, func() { device.Unplug(); onUSB.reader.Unplugged() }}, // by the supervisor
		"in software": {software, func() { software.close() }},
	} {
		t.Run(name, func(t *testing.T) {
			s, ctx := c.slot, t.Context()
			if got, want := s.Name(), "DigiFlow LLP. KAZTOKEN 00 00"; got != want {
				t.Errorf("name %q, want %q", got, want)
			}
			info := s.Info()
			if info.Vendor != 0x0A89 || info.Product != 0x0035 || info.Manufacturer != "DigiFlow LLP." || info.ProductName != "KAZTOKEN" ||
				info.Extended || info.MaxInput <= 0 || len(info.Features) != 0 || !cmp.Equal(info.Protocols, []iso7816.Protocol{iso7816.T1}) {
				t.Errorf("info %+v", info)
			}
			first := s.State()
			if want := (bridge.SlotState{Present: true, Insertions: first.Insertions, ATR: atr(t, ccidsim.KAZTOKEN.ATR)}); first != want {
				t.Errorf("state %+v, want %+v", first, want)
			}
			resp, err := s.Transmit(ctx, []byte("kept"), challenge)
			if err != nil || len(resp) != 4+10 || string(resp[:4]) != "kept" {
				t.Errorf("transmit: % X, %v", resp, err)
			}
			if state := s.State(); !state.ATR.IsZero() {
				t.Error("a used card is told as fresh")
			}
			if err := s.PowerOff(ctx); err != nil {
				t.Error(err)
			}
			if resp, err := s.Transmit(ctx, []byte("kept"), challenge); !errors.Is(err, bridge.ErrCardReset) || string(resp) != "kept" {
				t.Errorf("without power: %q, %v", resp, err)
			}
			if err := s.SetProtocol(ctx, iso7816.T0); !errors.Is(err, bridge.ErrProtocolMismatch) && !errors.Is(err, bridge.ErrCardReset) {
				t.Errorf("T=0: %v", err)
			}
			for _, cold := range []bool{true, false} {
				if got, err := s.Reset(ctx, cold); err != nil || got != first.ATR {
					t.Errorf("reset: %v, %v", got, err)
				}
				if err := s.SetProtocol(ctx, iso7816.T1); err != nil {
					t.Error(err)
				}
				if resp, err := s.Transmit(ctx, nil, challenge); err != nil || len(resp) != 10 {
					t.Errorf("after a reset: % X, %v", resp, err)
				}
			}
			if err := s.SetProtocol(ctx, iso7816.T0); !errors.Is(err, bridge.ErrProtocolMismatch) {
				t.Errorf("T=0: %v", err)
			}
			if now := s.State(); !now.Present || now.Insertions != first.Insertions {
				t.Errorf("power and resets count as another card: %+v", now)
			}
			for _, code := range []wire.ControlCode{wire.CtlEscape, wire.CtlVerifyPINDirect, wire.CtlModifyPINDirect, wire.CtlPINProperties, 0x42000123} {
				if got, err := s.Control(ctx, code, []byte("kept"), nil); !errors.Is(err, bridge.ErrNotSupported) || string(got) != "kept" {
					t.Errorf("control %v: %q, %v", code, got, err)
				}
			}
			ended, cancel := context.WithCancel(ctx)
			cancel()
			if _, err := s.Transmit(ended, nil, challenge); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled: %v", err)
			}

			changed := s.Changed()
			c.end()
			if _, err := s.Transmit(ctx, nil, challenge); !errors.Is(err, bridge.ErrGone) {
				t.Errorf("after the end: %v", err)
			}
			<-changed
			if state := until(t, s, func(st bridge.SlotState) bool { return st.Gone }); state != (bridge.SlotState{Gone: true}) {
				t.Errorf("state at the end %+v", state)
			}
			if _, err := s.Reset(ctx, true); !errors.Is(err, bridge.ErrGone) {
				t.Errorf("reset after the end: %v", err)
			}
			if err := s.PowerOff(ctx); !errors.Is(err, bridge.ErrGone) {
				t.Errorf("power off after the end: %v", err)
			}
		})
	}
}

// TestReaderSlotCards takes a card out of one slot of two and puts another in.
func TestReaderSlotCards(t *testing.T) {
	card := func() ccidsim.Card { return emu.New(emu.WithATR(ccidsim.TwoSlots.ATR)) }
	d := ccidsim.New(ccidsim.TwoSlots, card(), nil)
	s := openSlots(t, d)
	if got, want := s[1].Name(), "ccidsim Two Slot Reader (0004) 00 01"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
	if !s[0].Info().Extended {
		t.Error("a reader of extended APDUs does not say so")
	}
	before := s[0].State()
	if !before.Present || before.ATR.IsZero() || s[1].State().Present {
		t.Errorf("slots at the start: %+v, %+v", before, s[1].State())
	}
	d.RemoveCard(0)
	until(t, s[0], func(st bridge.SlotState) bool { return !st.Present })
	if _, err := s[0].Transmit(t.Context(), nil, challenge); !errors.Is(err, bridge.ErrNoCard) {
		t.Errorf("without a card: %v", err)
	}
	if _, err := s[0].Reset(t.Context(), true); !errors.Is(err, bridge.ErrNoCard) {
		t.Errorf("reset without a card: %v", err)
	}
	for i, slot := range s {
		d.InsertCard(i, card())
		state := until(t, slot, func(st bridge.SlotState) bool { return st.Present && st.Insertions != before.Insertions })
		if !state.ATR.IsZero() {
			t.Errorf("slot %d: a card that was not powered up has an ATR", i)
		}
		if _, err := slot.Reset(t.Context(), true); err != nil {
			t.Errorf("slot %d: %v", i, err)
		}
		if got := slot.State(); got.Insertions != state.Insertions || !got.ATR.IsZero() {
			t.Errorf("slot %d: after the reset %+v, before %+v", i, got, state)
		}
	}
}

func TestReaderSlotMute(t *testing.T) {
	s := openSlots(t, ccidsim.New(ccidsim.TwoSlots, emu.New(emu.WithATR([]byte{0x3B}))))[0]
	if state := s.State(); !state.Present || !state.ATR.IsZero() || state.Failing {
		t.Errorf("state %+v", state)
	}
	_, err := s.Reset(t.Context(), true)
	if !errors.Is(err, ccid.ErrMute) {
		t.Errorf("reset: %v", err)
	}
	for _, e := range slotErrors {
		if errors.Is(err, e.service) {
			t.Errorf("a mute card is %v", e.service)
		}
	}
}

// TestReaderSlotFailing has a reader stop to respond, and come back.
func TestReaderSlotFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kaztokenDevice()
		s := openSlots(t, d)[0]
		d.Inject(ccidsim.Fault{Where: ccidsim.Out, Kind: ccidsim.Silence, Times: ccidsim.Forever})
		for try := 0; !s.State().Failing; try++ {
			if _, err := s.Reset(t.Context(), true); err == nil {
				t.Fatal("a reader that is silent answers")
			}
			synctest.Wait()
			if try == 10 {
				t.Fatal("a reader that does not respond is not told as failing")
			}
		}
		time.Sleep(time.Minute)
		if !s.State().Failing {
			t.Error("it still does not respond")
		}
		changed := s.Changed()
		d.ClearFaults()
		<-changed
		if state := s.State(); state.Failing || !state.Present {
			t.Errorf("state of a reader that responds again: %+v", state)
		}
		if _, err := s.Reset(t.Context(), true); err != nil {
			t.Error(err)
		}
	})
}

// TestReaderSlotUnpluggedInside ends a command that the card is at.
func TestReaderSlotUnpluggedInside(t *testing.T) {
	d := kaztokenDevice()
	s := openSlots(t, d)[0]
	begun := make(chan struct{})
	d.SetTrace(func(w ccidsim.Where, msg []byte) {
		if w == ccidsim.Out && msg[0] == 0x6F { // XfrBlock
			close(begun)
		}
	})
	d.Inject(ccidsim.Fault{Where: ccidsim.In, Kind: ccidsim.Silence})
	ended := make(chan error, 1)
	go func() {
		_, err := s.Transmit(context.Background(), nil, challenge)
		ended <- err
	}()
	<-begun
	d.Unplug()
	if err := <-ended; !errors.Is(err, bridge.ErrGone) {
		t.Errorf("transmit: %v", err)
	}
}

func TestReaderSlotPINPad(t *testing.T) {
	p := ccidsim.KAZTOKEN
	p.Interface.Reader.PINSupport = 3
	p.Interface.Reader.LCDLayout = 0x0210
	s := openSlots(t, ccidsim.New(p, emu.New(emu.WithATR(p.ATR))))[0]
	want := []bridge.Feature{
		{Tag: 0x06, Code: 0x42330006}, {Tag: 0x07, Code: 0x42330007}, {Tag: 0x0A, Code: 0x4233000A},
	}
	if diff := cmp.Diff(want, s.Info().Features); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
	got, err := s.Control(t.Context(), wire.CtlPINProperties, nil, nil)
	if want := []byte{0x10, 0x02, 0x07, 0x00}; err != nil || !cmp.Equal(got, want) {
		t.Errorf("PIN properties % X, %v, want % X", got, err, want)
	}
	// A structure without an APDU never reaches the reader.
	for _, code := range []wire.ControlCode{wire.CtlVerifyPINDirect, wire.CtlModifyPINDirect} {
		if _, err := s.Control(t.Context(), code, nil, make([]byte, 19)); !errors.Is(err, bridge.ErrNoRoom) {
			t.Errorf("%v: %v", code, err)
		}
	}
	// The simulated reader has no keys: it refuses what the driver sends.
	verify := append(make([]byte, 15), 5, 0, 0, 0, 0x00, 0x20, 0x00, 0x02, 0x00)
	if _, err := s.Control(t.Context(), wire.CtlVerifyPINDirect, nil, verify); err == nil {
		t.Error("a PIN was entered without keys")
	}
}

func TestSlotName(t *testing.T) {
	dev := usb.Info{Manufacturer: "Maker\x00\n", ProductName: "Thing", Serial: "A\tB"}
	if got, want := slotName(dev, 17, 3), "Maker. Thing (A.B) 11 03"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
	for _, dev := range []usb.Info{{Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN", Serial: "1"}, {Vendor: 1, Product: 2}} {
		if got, want := slotName(dev, 1, 0), Name(dev, 1, 0); got != want {
			t.Errorf("programs know %q as %q", want, got)
		}
	}
}

func TestSlotError(t *testing.T) {
	for _, e := range slotErrors {
		err := slotError(fmt.Errorf("slot 0: transmit: %w", e.driver))
		if !errors.Is(err, e.service) || !errors.Is(err, e.driver) {
			t.Errorf("%v became %v", e.driver, err)
		}
	}
	// A reader that has left explains why the outcome is unknown.
	if err := slotError(fmt.Errorf("%w: %w", ccid.ErrOutcomeUnknown, usb.ErrGone)); !errors.Is(err, bridge.ErrGone) {
		t.Errorf("gone inside a command: %v", err)
	}
	if err := slotError(ccid.ErrMute); err != ccid.ErrMute {
		t.Errorf("a mute card became %v", err)
	}
}

// TestSlotTransmitAllocations: what the service's view adds to the driver's.
func TestSlotTransmitAllocations(t *testing.T) {
	s := openSlots(t, kaztokenDevice())[0]
	dst, ctx := make([]byte, 0, 300), t.Context()
	measure := func(transmit func(context.Context, []byte, []byte) ([]byte, error)) float64 {
		return testing.AllocsPerRun(100, func() {
			if _, err := transmit(ctx, dst, challenge); err != nil {
				t.Fatal(err)
			}
		})
	}
	if direct, through := measure(s.slot.Transmit), measure(s.Transmit); through > direct {
		t.Errorf("%v allocations, and %v of the driver alone", through, direct)
	}
}

func TestCardSlotState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	s, err := newCardSlot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := newCardSlot(path); !errors.Is(err, usb.ErrBusy) || Hint(err) == "" {
		t.Errorf("a file that is in use: %v", err)
	}
	wrong := append([]byte{0x00, 0x20, 0x00, 0x02, 0x08}, "00000000"...)
	if resp, err := s.Transmit(t.Context(), nil, wrong); err != nil || !cmp.Equal(resp, []byte{0x63, 0x00}) {
		t.Errorf("a wrong PIN: % X, %v", resp, err)
	}
	for range 2 {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
	again, err := newCardSlot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.close()
	if resp, err := again.Transmit(t.Context(), nil, wrong[:4]); err != nil || !cmp.Equal(resp, []byte{0x63, 0xC9}) {
		t.Errorf("tries left after a wrong PIN: % X, %v", resp, err)
	}
}

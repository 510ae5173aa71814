//go:build cgo && (linux || darwin)

package pcsc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"kaztoken/bridge/client"
	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

// path is where the library looks for the service. It reads the variable once,
// so that every test has its service at the same place, one after the other.
var path string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pcsc")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "comm")
	os.Setenv(client.PathVariable, path)
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// simulated starts the double.
func simulated(t *testing.T) *pcscsim.Service {
	t.Helper()
	s, err := pcscsim.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const name = "DigiFlow LLP. KAZTOKEN 00 00"

var (
	atr     = []byte{0x3B, 0x88, 0x01, 0x4B, 0x41, 0x5A, 0x54, 0x4F, 0x4B, 0x45, 0x4E, 0x82}
	getID   = []byte{0x00, 0xCA, 0x01, 0x81, 0x00}
	id      = []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58, 0x90, 0x00}
	anyCard = wire.ProtocolT0 | wire.ProtocolT1
)

// plug plugs the token in.
func plug(service *pcscsim.Service) {
	service.Plug(pcscsim.Reader{
		Name: name, Card: emu.New(emu.WithATR(atr)),
		Attributes: map[wire.AttributeID][]byte{wire.AttrVendorName: []byte("DigiFlow LLP.\x00")},
		Control:    map[wire.ControlCode][]byte{wire.CtlGetFeatureRequest: {0x12, 4, 0x42, 0x33, 0, 0x12}},
	})
}

func dial(t *testing.T) *Context {
	t.Helper()
	x, err := Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	return x
}

func connect(t *testing.T) (*Context, *Card) {
	t.Helper()
	x := dial(t)
	card, err := x.Connect(t.Context(), name, wire.ShareShared, anyCard)
	if err != nil {
		t.Fatal(err)
	}
	return x, card
}

// want checks the code of an error.
func want(t *testing.T, err error, code wire.Result) {
	t.Helper()
	var e *client.Error
	if !errors.As(err, &e) || e.Code != code || !errors.Is(err, code) {
		t.Errorf("%v, want %v", err, code)
	}
}

// TestCalls makes every call once, through the C library of this machine.
func TestCalls(t *testing.T) {
	service := simulated(t)
	plug(service)
	ctx := t.Context()
	x, card := connect(t)
	all, err := x.Readers(ctx)
	if err != nil || len(all) != 1 || all[0].Name != name || all[0].State != wire.CardReady || all[0].Sharing != 1 || !bytes.Equal(all[0].ATR, atr) {
		t.Errorf("readers %+v, %v", all, err)
	}
	if card.Reader() != name || card.Protocol() != wire.ProtocolT1 {
		t.Errorf("%q by %v", card.Reader(), card.Protocol())
	}
	s, err := card.Status(ctx)
	if err != nil || s.Reader != name || s.State != wire.CardReady || s.Protocol != wire.ProtocolT1 || !bytes.Equal(s.ATR, atr) {
		t.Errorf("status %+v, %v", s, err)
	}
	if err := card.Begin(ctx); err != nil {
		t.Error(err)
	}
	resp, err := card.Transmit(ctx, []byte{0xAA}, getID)
	if err != nil || !bytes.Equal(resp, append([]byte{0xAA}, id...)) {
		t.Errorf("% x, %v", resp, err)
	}
	if err := card.End(ctx); err != nil {
		t.Error(err)
	}
	if b, err := card.Control(ctx, []byte{0xAA}, wire.CtlGetFeatureRequest, nil); err != nil || len(b) != 7 || b[0] != 0xAA {
		t.Errorf("control % x, %v", b, err)
	}
	if b, err := card.Attribute(ctx, wire.AttrVendorName); err != nil || string(b) != "DigiFlow LLP.\x00" {
		t.Errorf("attribute %q, %v", b, err)
	}
	_, err = card.Attribute(ctx, wire.AttrMaxInput)
	want(t, err, wire.UnsupportedFeature)
	if err := card.Reconnect(ctx, wire.ShareShared, anyCard, wire.ResetCard); err != nil {
		t.Error(err)
	}
	if err := errors.Join(card.Disconnect(ctx, wire.LeaveCard), card.Disconnect(ctx, wire.LeaveCard)); err != nil {
		t.Error(err)
	}
	_, err = card.Transmit(ctx, nil, getID)
	want(t, err, wire.InvalidHandle)

	direct, err := x.Connect(ctx, name, wire.ShareDirect, wire.ProtocolUndefined)
	if err != nil {
		t.Fatal(err)
	}
	if direct.Protocol() == wire.ProtocolUndefined { // scard would panic
		_, err = direct.Transmit(ctx, nil, getID)
		want(t, err, wire.ProtoMismatch)
	}
	if err := errors.Join(x.Close(), x.Close()); err != nil {
		t.Error(err)
	}
	_, err = x.Readers(ctx)
	want(t, err, wire.InvalidHandle)
	if !slices.Contains(service.Said(), pcscsim.Said{Command: wire.CmdReconnect, Disposition: wire.ResetCard}) {
		t.Error("the reset did not reach the service")
	}
}

// TestRefusals: the codes of the library come through.
func TestRefusals(t *testing.T) {
	service := simulated(t)
	x := dial(t)
	_, err := x.Connect(t.Context(), name, wire.ShareShared, anyCard)
	want(t, err, wire.UnknownReader)
	if all, err := x.Readers(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("no reader: %v, %v", all, err)
	}
	_, err = x.Connect(t.Context(), string(make([]byte, 200)), wire.ShareShared, anyCard)
	want(t, err, wire.InvalidParameter)

	plug(service)
	service.Hold(name, true)
	_, err = x.Connect(t.Context(), name, wire.ShareShared, anyCard)
	want(t, err, wire.SharingViolation)
	service.Hold(name, false)
	card, err := x.Connect(t.Context(), name, wire.ShareShared, anyCard)
	if err != nil {
		t.Fatal(err)
	}
	for _, apdu := range [][]byte{nil, make([]byte, wire.MaxData+1)} {
		_, err = card.Transmit(t.Context(), nil, apdu)
		want(t, err, wire.InvalidParameter)
	}
	service.Fail(wire.CmdTransmit, wire.NotTransacted)
	_, err = card.Transmit(t.Context(), nil, getID)
	want(t, err, wire.NotTransacted)
	var e *client.Error
	if errors.As(err, &e) && !e.Sent {
		t.Error("the card may have carried it out, and that is not said")
	}
	service.Refuse(true)
	_, err = Dial(t.Context())
	service.Refuse(false)
	if err == nil || !errors.Is(err, wire.SecurityViolation) && !errors.Is(err, wire.NoService) && !errors.Is(err, wire.CommError) {
		t.Errorf("turned away: %v", err)
	}
}

// TestToken manages a token beside another program that locks and resets it.
func TestToken(t *testing.T) {
	service := simulated(t)
	plug(service)
	ctx := t.Context()
	x, card := connect(t)
	tok, err := firmware.Open(ctx, card, firmware.WithATR(atr))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tok.Login(ctx, firmware.User, firmware.DefaultPIN(firmware.User)); err != nil {
		t.Fatal(err)
	}
	if err := tok.Logout(ctx); err != nil {
		t.Fatal(err)
	}
	service.Reset(name)
	if err := card.Begin(ctx); !errors.Is(err, firmware.ErrReset) {
		t.Errorf("%v, want ErrReset", err)
	}
	if err := card.End(ctx); err != nil {
		t.Error(err)
	}
	service.Reset(name)
	_, err = card.Transmit(ctx, nil, getID)
	want(t, err, wire.CardReset)
	if _, err := tok.Info(ctx); err != nil {
		t.Error(err)
	}
	// A program that ends in a transaction leaves nobody logged in.
	_, other := connect(t)
	if _, err := tok.Login(ctx, firmware.User, firmware.DefaultPIN(firmware.User)); err != nil {
		t.Fatal(err)
	}
	x.Close()
	if err := other.Begin(ctx); !errors.Is(err, firmware.ErrReset) {
		t.Errorf("%v, want ErrReset", err)
	}
}

// TestAbandoned: a call that the library does not return from lets its caller
// go, and what it brings is given back.
func TestAbandoned(t *testing.T) {
	service := simulated(t)
	plug(service)
	ctx := t.Context()
	_, card := connect(t)
	service.Lock(name, true)
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	want(t, card.Begin(short), wire.Timeout)
	service.Lock(name, false)
	_, other := connect(t)
	// The abandoned transaction is given back as soon as it begins.
	for range 2 {
		if err := other.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := other.Transmit(ctx, nil, getID); err != nil {
			t.Error(err)
		}
		if err := other.End(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if resp, err := card.Transmit(ctx, nil, getID); err != nil || !bytes.Equal(resp, id) {
		t.Errorf("% x, %v", resp, err)
	}

	x := dial(t)
	for limit := 10 * time.Millisecond; ; limit *= 2 {
		before := len(service.Said())
		service.Lock(name, true)
		short, cancel := context.WithTimeout(ctx, limit)
		_, err := x.Connect(short, name, wire.ShareShared, anyCard)
		cancel()
		want(t, err, wire.Timeout)
		service.Lock(name, false)
		all, err := x.Readers(ctx) // comes after it
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		said := service.Said()[before:]
		if len(said) == 0 {
			continue // time was over before the call began
		}
		if last := said[len(said)-1]; last.Command != wire.CmdDisconnect {
			t.Errorf("the handle was not given back: %v", last)
		}
		break
	}
}

// TestWait: what comes and goes is seen, and a wait can be ended.
func TestWait(t *testing.T) {
	service := simulated(t)
	x := dial(t)
	ctx := t.Context()
	known, err := x.Readers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		go service.Plug(pcscsim.Reader{Name: name, Card: emu.New(emu.WithATR(atr))})
		if known, err = x.Wait(ctx, known); err != nil || len(known) != 1 || !bytes.Equal(known[0].ATR, atr) {
			t.Fatalf("%+v, %v, want a token", known, err)
		}
		go service.Unplug(name)
		if known, err = x.Wait(ctx, known); err != nil || len(known) != 0 {
			t.Fatalf("%+v, %v, want none", known, err)
		}
	}
	plug(service)
	if known, err = x.Wait(ctx, known); err != nil || len(known) != 1 {
		t.Fatalf("%+v, %v", known, err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err = x.Wait(short, known)
	want(t, err, wire.Timeout)

	ended := make(chan error)
	go func() {
		_, err := x.Wait(ctx, known)
		ended <- err
	}()
	go x.Close()
	want(t, <-ended, wire.InvalidHandle)
}

func TestStateOf(t *testing.T) {
	for f, want := range map[scard.StateFlag]wire.ReaderState{
		scard.StateEmpty:                            wire.NoCard,
		scard.StatePresent:                          wire.CardReady,
		scard.StatePresent | scard.StateInuse:       wire.CardReady,
		scard.StatePresent | scard.StateMute:        wire.CardMute,
		scard.StatePresent | scard.StateUnpowered:   wire.CardUnpowered,
		scard.StateUnavailable | scard.StateUnknown: wire.ReaderFailing,
		0x00070000 | scard.StatePresent:             wire.CardReady,
	} {
		if got := stateOf(f); got != want {
			t.Errorf("%#x: %v, want %v", uint32(f), got, want)
		}
	}
}

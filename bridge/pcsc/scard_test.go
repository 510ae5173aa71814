//go:build cgo && (linux || darwin)

package pcsc

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ebfe/scard"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/client"
	"kaztoken/firmware/emu"
)

// ours starts our own service with a token in software.
func ours(t *testing.T) *bridgetest.Slot {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := bridge.New(bridge.Config{})
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(context.Background(), l); !errors.Is(err, bridge.ErrClosed) {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		s.Close()
		serving.Wait()
	})
	slot := bridgetest.NewSlot(name, emu.New(emu.WithATR(atr)))
	if _, err := s.Attach(slot); err != nil {
		t.Fatal(err)
	}
	// It is shown when the card was tried.
	c, err := client.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all, err := c.Readers(t.Context())
	for err == nil && len(all) == 0 {
		all, err = c.Wait(t.Context(), all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return slot
}

// TestScard uses every function of scard, as programs in Go do, against our own
// service through the C library of this machine.
func TestScard(t *testing.T) {
	slot := ours(t)
	if v := scard.Version(); v == "" {
		t.Error("no version")
	}
	x, err := scard.EstablishContext()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := x.IsValid(); err != nil || !ok {
		t.Errorf("IsValid: %v, %v", ok, err)
	}
	if names, err := x.ListReaders(); err != nil || !slices.Equal(names, []string{name}) {
		t.Errorf("ListReaders: %q, %v", names, err)
	}
	if groups, err := x.ListReaderGroups(); err != nil || len(groups) == 0 {
		t.Errorf("ListReaderGroups: %q, %v", groups, err)
	}
	states := []scard.ReaderState{{Reader: name}}
	if err := x.GetStatusChange(states, 0); err != nil || states[0].EventState&scard.StatePresent == 0 || !bytes.Equal(states[0].Atr, atr) {
		t.Errorf("GetStatusChange: %+v, %v", states, err)
	}

	card, err := x.Connect(name, scard.ShareShared, scard.ProtocolAny)
	if err != nil {
		t.Fatal(err)
	}
	if p := card.ActiveProtocol(); p != scard.ProtocolT1 {
		t.Errorf("ActiveProtocol: %v", p)
	}
	if err := card.BeginTransaction(); err != nil {
		t.Errorf("BeginTransaction: %v", err)
	}
	if resp, err := card.Transmit(getID); err != nil || !bytes.Equal(resp, id) {
		t.Errorf("Transmit: % x, %v", resp, err)
	}
	if err := card.EndTransaction(scard.LeaveCard); err != nil {
		t.Errorf("EndTransaction: %v", err)
	}
	if s, err := card.Status(); err != nil || s.Reader != name || s.State&scard.Present == 0 || s.ActiveProtocol != scard.ProtocolT1 || !bytes.Equal(s.Atr, atr) {
		t.Errorf("Status: %+v, %v", s, err)
	}
	features, err := card.Control(scard.CtlCode(3400), nil)
	if err != nil || len(features) == 0 || len(features)%6 != 0 {
		t.Errorf("Control: % x, %v", features, err)
	}
	if b, err := card.GetAttrib(scard.AttrAtrString); err != nil || !bytes.Equal(b, atr) {
		t.Errorf("GetAttrib: % x, %v", b, err)
	}
	if err := card.SetAttrib(scard.AttrSupressT1IfsRequest, []byte{1}); !errors.Is(err, scard.ErrUnsupportedFeature) {
		t.Errorf("SetAttrib: %v, want ErrUnsupportedFeature", err)
	}
	if err := card.Reconnect(scard.ShareExclusive, scard.ProtocolT1, scard.ResetCard); err != nil {
		t.Errorf("Reconnect: %v", err)
	}
	if err := card.Disconnect(scard.UnpowerCard); err != nil {
		t.Errorf("Disconnect: %v", err)
	}

	cancelled := make(chan error)
	go func() {
		states := []scard.ReaderState{{Reader: name}}
		err := x.GetStatusChange(states, 0)
		if err == nil {
			states[0].CurrentState = states[0].EventState &^ scard.StateChanged
			err = x.GetStatusChange(states, -1)
		}
		cancelled <- err
	}()
	// A cancel that comes before the wait has no effect.
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		if err := x.Cancel(); err != nil {
			t.Errorf("Cancel: %v", err)
		}
		select {
		case err := <-cancelled:
			waiting = false
			if !errors.Is(err, scard.ErrCancelled) {
				t.Errorf("a cancelled wait: %v", err)
			}
		case <-tick.C:
		}
	}
	if err := x.Release(); err != nil {
		t.Errorf("Release: %v", err)
	}
	if faults := slot.Faults(); len(faults) > 0 {
		t.Errorf("the service broke the slot's contract: %v", faults)
	}
}

// TestWaitOurs: our service tells this package of readers that come and go.
func TestWaitOurs(t *testing.T) {
	slot := ours(t)
	x := dial(t)
	known, err := x.Readers(t.Context())
	if err != nil || len(known) != 1 {
		t.Fatalf("%+v, %v", known, err)
	}
	go slot.Unplug()
	if known, err = x.Wait(t.Context(), known); err != nil || len(known) != 0 {
		t.Errorf("%+v, %v, want none", known, err)
	}
}

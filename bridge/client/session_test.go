package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/client"
	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/firmware/pkcs15"
)

const name = "DigiFlow LLP. KAZTOKEN 00 00"

var atr = []byte{0x3B, 0x88, 0x01, 0x4B, 0x41, 0x5A, 0x54, 0x4F, 0x4B, 0x45, 0x4E, 0x82}

// service is one that has a token in software.
type service struct {
	path         string
	minor        int32 // of the protocol that it speaks to the client
	plug, unplug func()
	end          func()
}

// services are those that every test here is run against: the double, in each
// protocol, and our own service.
var services = []struct {
	name  string
	start func(*testing.T) service
}{
	{"4:4", func(t *testing.T) service { return simulated(t, 4) }},
	{"4:5", func(t *testing.T) service { return simulated(t, 5) }},
	{"4:6", func(t *testing.T) service { return simulated(t, 6) }},
	{"ours", ours},
}

// against runs a test against each of them.
func against(t *testing.T, test func(*testing.T, service)) {
	for _, c := range services {
		t.Run(c.name, func(t *testing.T) { test(t, c.start(t)) })
	}
}

func simulated(t *testing.T, minor int32) service {
	t.Helper()
	s, err := pcscsim.Listen(filepath.Join(t.TempDir(), "comm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.SetMinor(minor)
	plug := func() { s.Plug(pcscsim.Reader{Name: name, Card: emu.New(emu.WithATR(atr))}) }
	plug()
	return service{path: s.Path(), minor: minor, plug: plug, unplug: func() { s.Unplug(name) }, end: func() { s.Close() }}
}

func ours(t *testing.T) service {
	t.Helper()
	s := bridge.New(bridge.Config{})
	t.Cleanup(func() { s.Close() })
	path := filepath.Join(t.TempDir(), "comm")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
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
	var slot *bridgetest.Slot
	plug := func() {
		slot = bridgetest.NewSlot(name, emu.New(emu.WithATR(atr)))
		if _, err := s.Attach(slot); err != nil {
			t.Error(err)
		}
	}
	plug()
	return service{path: path, minor: 6, plug: plug, unplug: func() { slot.Unplug() }, end: func() { s.Close() }}
}

func connect(t *testing.T, s service) (*client.Context, *client.Card) {
	t.Helper()
	c, err := client.Dial(t.Context(), s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	// A service may show a reader only when it has tried the card.
	all, err := c.Readers(t.Context())
	for err == nil && len(all) == 0 {
		all, err = c.Wait(t.Context(), all)
	}
	if err != nil {
		t.Fatal(err)
	}
	card, err := c.Connect(t.Context(), name, wire.ShareShared, wire.ProtocolT0|wire.ProtocolT1)
	if err != nil {
		t.Fatal(err)
	}
	return c, card
}

// TestTokenShared: two programs manage one token through the service, in every
// protocol: a log-in keeps the other one away, and a reset is noticed.
func TestTokenShared(t *testing.T) {
	against(t, func(t *testing.T, s service) {
		x, card := connect(t, s)
		_, other := connect(t, s)
		ctx := t.Context()
		if x.Version().Minor != s.minor {
			t.Errorf("protocol %v", x.Version())
		}
		tok, err := firmware.Open(ctx, card, firmware.WithATR(atr))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Login(ctx, firmware.User, firmware.DefaultPIN(firmware.User)); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		if err := other.Begin(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a transaction beside a log-in: %v", err)
		}
		if _, err := tok.Info(ctx); err != nil {
			t.Error(err)
		}
		if err := tok.Logout(ctx); err != nil {
			t.Fatal(err)
		}
		if err := other.Begin(ctx); err != nil {
			t.Fatal(err)
		}
		if err := other.End(ctx); err != nil {
			t.Fatal(err)
		}
		if err := other.Reconnect(ctx, wire.ShareShared, wire.ProtocolT1, wire.ResetCard); err != nil {
			t.Fatal(err)
		}
		// The operation finds the reset and goes on.
		if s, err := tok.PINStatus(ctx, firmware.User); err != nil || s.Verified {
			t.Errorf("after a reset: %+v, %v", s, err)
		}
	})
}

// TestHolderDies: a program that dies when it is logged in leaves nobody logged
// in, and the next one is told of the reset.
func TestHolderDies(t *testing.T) {
	against(t, func(t *testing.T, s service) {
		x, card := connect(t, s)
		_, other := connect(t, s)
		ctx := t.Context()
		tok, err := firmware.Open(ctx, card, firmware.WithATR(atr))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Login(ctx, firmware.User, firmware.DefaultPIN(firmware.User)); err != nil {
			t.Fatal(err)
		}
		x.Close()
		if err := other.Begin(ctx); !errors.Is(err, firmware.ErrReset) {
			t.Fatalf("%v, want ErrReset", err)
		}
		resp, err := other.Transmit(ctx, nil, []byte{0x00, 0x20, 0x00, 0x02})
		if err != nil || !bytes.Equal(resp, []byte{0x63, 0xCA}) {
			t.Errorf("the user PIN: % x, %v; want 63 ca: not verified", resp, err)
		}
		if _, err := tok.Info(ctx); !errors.Is(err, client.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestTransactions: in a transaction nobody else's command reaches the card,
// whatever many programs do.
func TestTransactions(t *testing.T) {
	against(t, func(t *testing.T, s service) {
		var cards []*client.Card
		for range 8 {
			_, card := connect(t, s)
			cards = append(cards, card)
		}
		var wg sync.WaitGroup
		for _, card := range cards {
			wg.Go(func() {
				for range 10 {
					if err := exclusive(t.Context(), card); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// exclusive goes down to the application step by step; another program's step
// between two would lead elsewhere.
func exclusive(ctx context.Context, card *client.Card) (err error) {
	if err := card.Begin(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, card.End(ctx)) }()
	for path := pkcs15.AppPath(); len(path) > 0; path = path[2:] {
		resp, err := card.Transmit(ctx, nil, []byte{0x00, 0xA4, 0x00, 0x00, 0x02, path[0], path[1]})
		if err != nil {
			return err
		}
		if len(resp) != 2 || resp[0] != 0x61 { // the file's parameters are there
			return fmt.Errorf("select %v: % X", path[:2], resp)
		}
	}
	return nil
}

// TestPlugAndUnplug: a Wait sees a token come and go, and the end of the service,
// in every protocol.
func TestPlugAndUnplug(t *testing.T) {
	against(t, func(t *testing.T, s service) {
		x, card := connect(t, s)
		ctx := t.Context()
		known, err := x.Readers(ctx)
		if err != nil || len(known) != 1 || known[0].Sharing != 1 || !bytes.Equal(known[0].ATR, atr) {
			t.Fatalf("%+v, %v", known, err)
		}
		for round := range 5 {
			go s.unplug()
			if known, err = x.Wait(ctx, known); err != nil || len(known) != 0 {
				t.Fatalf("round %d: %+v, %v, want no reader", round, known, err)
			}
			go s.plug()
			if known, err = x.Wait(ctx, known); err != nil || len(known) != 1 {
				t.Fatalf("round %d: %+v, %v, want a reader", round, known, err)
			}
		}
		if _, err := card.Transmit(ctx, nil, []byte{0, 0xCA, 1, 0x81, 0}); !errors.Is(err, wire.ReaderUnavailable) && !errors.Is(err, wire.InvalidValue) {
			t.Errorf("the handle of a token that was replugged: %v", err)
		}
		go s.end()
		if _, err = x.Wait(ctx, known); !errors.Is(err, wire.CommError) && !errors.Is(err, wire.NoService) {
			t.Errorf("the service has ended: %v", err)
		}
	})
}

// Example talks to the card in the first reader.
func Example() {
	dir, err := os.MkdirTemp("", "pcsc")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	service, err := pcscsim.Listen(filepath.Join(dir, "comm"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()
	service.Plug(pcscsim.Reader{Name: name, Card: emu.New(emu.WithATR(atr))})

	talk := func(ctx context.Context) error {
		c, err := client.Dial(ctx, service.Path()) // "" is the one of this machine
		if err != nil {
			return err
		}
		defer c.Close()
		readers, err := c.Readers(ctx)
		if err != nil || len(readers) == 0 {
			return err
		}
		card, err := c.Connect(ctx, readers[0].Name, wire.ShareShared, wire.ProtocolT0|wire.ProtocolT1)
		if err != nil {
			return err
		}
		resp, err := card.Transmit(ctx, nil, []byte{0x00, 0xCA, 0x01, 0x81, 0x00})
		if err != nil {
			return err
		}
		fmt.Printf("%s\n%v, ATR % X\n% X\n", card.Reader(), card.Protocol(), readers[0].ATR, resp)
		return card.Disconnect(ctx, wire.LeaveCard)
	}
	if err := talk(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// DigiFlow LLP. KAZTOKEN 00 00
	// T1, ATR 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
	// 00 00 00 00 32 D1 8A 58 90 00
}

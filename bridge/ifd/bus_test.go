package ifd

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// bus is what is plugged in, in a test.
type bus struct {
	mu      sync.Mutex
	devices []*gadget
	lists   int   // calls of Devices
	listErr error // beside the list
	openErr error
	wrap    func(usb.Pipe) usb.Pipe // if not nil, around every pipe
	log     []string
}

// gadget is one plugged-in device.
type gadget struct {
	*ccidsim.Device
	info usb.Info
}

// card is a new card for a profile.
func card(p ccidsim.Profile) ccidsim.Card { return emu.New(emu.WithATR(p.ATR)) }

// plug makes a device of profile p with a card in every slot, at bus 1 and the
// next address.
func (b *bus) plug(p ccidsim.Profile) *gadget {
	var cards []ccidsim.Card
	for range int(p.Interface.Reader.MaxSlotIndex) + 1 {
		cards = append(cards, card(p))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	g := &gadget{Device: ccidsim.New(p, cards...)}
	g.info = g.Info()
	g.info.Bus, g.info.Addr = 1, len(b.devices)+2
	g.info.Port = fmt.Sprintf("1-%d", len(b.devices)+1)
	b.devices = append(b.devices, g)
	return g
}

// name is what pcscd calls the device.
func (g *gadget) name() string {
	return fmt.Sprintf("usb:%04x/%04x:libudev:0:/dev/bus/usb/%03d/%03d", g.info.Vendor, g.info.Product, g.info.Bus, g.info.Addr)
}

func (b *bus) list(context.Context) ([]usb.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lists++
	var all []usb.Info
	for _, g := range b.devices {
		select {
		case <-g.Gone():
		default:
			all = append(all, g.info)
		}
	}
	return all, b.listErr
}

func (b *bus) open(_ context.Context, dev usb.Info, _ usb.Interface) (usb.Pipe, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.openErr != nil {
		return nil, b.openErr
	}
	for _, g := range b.devices {
		if g.info.Addr == dev.Addr {
			if g.OpenPipes() > 0 {
				return nil, usb.ErrBusy
			}
			p := g.Pipe()
			if b.wrap != nil {
				p = b.wrap(p)
			}
			return p, nil
		}
	}
	return nil, usb.ErrGone
}

// handler makes a handler for the bus, which has to leave no pipe open.
func (b *bus) handler(t testing.TB) *Handler {
	t.Helper()
	t.Cleanup(func() {
		for _, g := range b.devices {
			if n := g.OpenPipes(); n != 0 {
				t.Errorf("%v: %d pipes left open", g.info, n)
			}
		}
	})
	return New(Config{
		Devices: b.list, Open: b.open,
		Known:      func(id usb.ID) bool { return id.Vendor == 0x0A89 },
		ThreadSafe: true, Poll: 0x1234, StopPolling: 0x5678,
		Log: func(p Priority, line string, data []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.log = append(b.log, fmt.Sprint(int(p), " ", line, data != nil))
		},
	})
}

// want compares a response.
func want(t testing.TB, doing string, got, want Response) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", doing, got, want)
	}
}

// ready opens a channel and powers the card up.
func ready(t testing.TB, h *Handler, lun Lun, g *gadget) {
	t.Helper()
	want(t, "create", h.CreateChannelByName(lun, g.name()), Success)
	_, r := h.PowerICC(lun, PowerUp, make([]byte, MaxATR))
	want(t, "power up", r, Success)
}

// echo sends an APDU that the card answers with its data.
func echo(t testing.TB, h *Handler, lun Lun, protocol uint64) {
	t.Helper()
	rx := make([]byte, 300)
	n, r := h.TransmitToICC(lun, protocol, []byte{0x80, 0xEC, 0, 0, 3, 1, 2, 3, 3}, rx)
	want(t, "transmit", r, Success)
	if got := rx[:n]; string(got) != "\x01\x02\x03\x90\x00" {
		t.Fatalf("echo: % X", got)
	}
}

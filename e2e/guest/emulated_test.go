//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"kaztoken/ccid"
	"kaztoken/udev"
	"kaztoken/usb"
)

// QEMU's usb-ccid pretends to be a Gemplus reader.
const emulatedVendor, emulatedProduct, emulatedName = 0x08E6, 0x4433, "Gemplus"

// TestEmulatedReader talks to a reader and a card with nothing of ours in them,
// and wants of both drivers what the stock stack says.
func TestEmulatedReader(t *testing.T) {
	apdus := emulatedAPDUs(500)
	var atr []byte
	var want []stockAnswer
	withEmulatedReader(t, func(usb.Info, usb.Interface) (err error) {
		defer startPCSCD(t, onlyUSB)()
		var clientATR []byte
		if clientATR, want, err = stock(t, emulatedName, apdus, emulatedPause); err != nil {
			return err
		}
		if atr, err = openscATR(t); err != nil {
			return err
		}
		if !bytes.Equal(clientATR, atr) {
			t.Fatalf("stock clients disagree on the ATR: % X, % X", clientATR, atr)
		}
		return nil
	})
	kinds := make(map[string]int)
	for _, a := range want {
		kinds[string(a.bytes[len(a.bytes)-2:])]++
	}
	if len(kinds) < 5 {
		t.Errorf("only %d kinds of answer: the series is too dull", len(kinds))
	}
	t.Logf("%d APDUs, %d kinds of status word", len(apdus), len(kinds))

	eachDriver(t, func(t *testing.T, d driver) {
		withEmulatedReader(t, func(dev usb.Info, ifc usb.Interface) error {
			// Through PC/SC the client sees 61xx and 6Cxx of a T=0 card itself.
			r, stop := openReader(t, d, dev, ifc, ccid.WithAutoGetResponse(false))
			defer stop()
			slot := r.Slots()[0]
			if got := slot.ATR().Bytes(); !bytes.Equal(got, atr) {
				t.Errorf("ATR: got % X, want % X", got, atr)
			}
			for i, apdu := range apdus {
				time.Sleep(emulatedPause)
				ctx, cancel := context.WithTimeout(t.Context(), answerLimit)
				got, err := slot.Transmit(ctx, nil, apdu)
				cancel()
				if errors.Is(err, context.DeadlineExceeded) {
					return err
				}
				if err != nil || !bytes.Equal(got, want[i].bytes) {
					t.Fatalf("APDU %d: % X: got % X, %v, want % X", i, apdu, got, err, want[i].bytes)
				}
			}
			return nil
		})
	})
}

// emulatedPause goes before every command to QEMU's card, and a command that is
// not answered has everything done again with a new card, for a thread of QEMU
// carries the commands out: it looks whether there are any, and then begins to
// wait for one. The command that comes between is left lying. This hits the
// stock stack and us alike.
const (
	emulatedPause    = 10 * time.Millisecond
	emulatedAttempts = 4
)

// withEmulatedReader plugs QEMU's reader in with a new card and runs f, whose
// error says that a command was not answered.
func withEmulatedReader(t *testing.T, f func(usb.Info, usb.Interface) error) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		unplug := plugEmulatedReader(t)
		dev, ifc := appearEmulated(t)
		err := f(dev, ifc)
		unplug()
		if err == nil {
			return
		}
		t.Logf("attempt %d: QEMU's card left a command unanswered: %v", attempt, err)
		if attempt == emulatedAttempts {
			t.Fatal("giving up")
		}
	}
}

func appearEmulated(t *testing.T) (usb.Info, usb.Interface) {
	t.Helper()
	var ifc usb.Interface
	dev := await(t, "QEMU's reader to appear", func() (usb.Info, bool) {
		for _, dev := range findEmulated(t) {
			if dev.Configuration == 0 {
				continue
			}
			ifcs, err := dev.Interfaces()
			if err != nil || len(ifcs) != 1 {
				t.Fatalf("interfaces %v, %v", ifcs, err)
			}
			ifc = ifcs[0]
			return dev, true
		}
		return usb.Info{}, false
	})
	return dev, ifc
}

func vanishEmulated(t *testing.T) {
	t.Helper()
	await(t, "QEMU's reader to vanish", func() (struct{}, bool) {
		return struct{}{}, len(findEmulated(t)) == 0
	})
}

func findEmulated(t *testing.T) (found []usb.Info) {
	t.Helper()
	all, err := udev.Enumerate(udev.Sysfs())
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a device on its way out
		t.Fatal(err)
	}
	for _, dev := range all {
		if dev.Vendor == emulatedVendor && dev.Product == emulatedProduct {
			found = append(found, dev)
		}
	}
	return found
}

// emulatedAPDUs makes a series of commands for QEMU's card, a CAC card as
// libcacard understands it: selections that hit and miss, reads of certificates
// and of buffers in pieces, PINs, and commands it does not know. The answers
// depend on what went before, so both sides get the same series. There is no
// case 4 in it: the card speaks T=0, which has none, and libccid hands one to
// the reader as it is where ISO 7816-3:2006 §12.2.4 has the Le taken off.
func emulatedAPDUs(n int) [][]byte {
	random := rand.New(rand.NewPCG(3, 1))
	applets := [][]byte{
		{0xA0, 0x00, 0x00, 0x00, 0x79, 0x01, 0x00}, {0xA0, 0x00, 0x00, 0x00, 0x79, 0x01, 0x01},
		{0xA0, 0x00, 0x00, 0x00, 0x79, 0x01, 0x02}, {0xA0, 0x00, 0x00, 0x00, 0x79, 0x03, 0x00},
		{0xA0, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00}, {0xA0, 0x00, 0x00, 0x01, 0x16, 0x30, 0x00},
	}
	apdus := make([][]byte, 0, n)
	for len(apdus) < n {
		b := func(below int) byte { return byte(random.IntN(below)) }
		var apdu []byte
		switch random.IntN(8) {
		case 0:
			aid := applets[random.IntN(len(applets))]
			apdu = append([]byte{0x00, 0xA4, 0x04, 0x00, byte(len(aid))}, aid...)
		case 1: // GET CERTIFICATE
			apdu = []byte{0x80, 0x36, 0, 0, b(255) + 1}
		case 2, 3: // READ BUFFER: type, length
			apdu = []byte{0x80, 0x52, 0, b(64), 2, 1 + b(2), 1 + b(120)}
		case 4: // GET PROPERTIES
			apdu = []byte{0x80, 0x56, 1, 0, 0x40}
		case 5: // VERIFY
			apdu = append([]byte{0x00, 0x20, 0, 0, 8}, "12345678"...)
		case 6: // GET RESPONSE with nothing to get, or the rest of a READ BUFFER
			apdu = []byte{0x00, 0xC0, 0, 0, 1 + b(32)}
		default: // unknown
			apdu = []byte{0x90, 0x10 + b(8), b(255), b(255)}
			if nc := random.IntN(3) * 30; nc > 0 {
				apdu = append(apdu, byte(nc))
				apdu = append(apdu, make([]byte, nc)...)
			}
		}
		apdus = append(apdus, apdu)
	}
	return apdus
}

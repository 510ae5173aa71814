package ifd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// TestToken goes the way of pcscd with a token, from plug to unplug.
func TestToken(t *testing.T) {
	var b bus
	g := b.plug(ccidsim.KAZTOKEN)
	h := b.handler(t)
	const lun = Lun(0x00010000)
	want(t, "create", h.CreateChannelByName(lun, g.name()), Success)
	want(t, "presence", h.ICCPresence(lun), Success)
	atr := make([]byte, MaxATR)
	n, r := h.PowerICC(lun, PowerUp, atr)
	want(t, "power up", r, Success)
	if diff := cmp.Diff(ccidsim.KAZTOKEN.ATR, atr[:n]); diff != "" {
		t.Error(diff)
	}
	want(t, "T=0", h.SetProtocolParameters(lun, 1, 0), ProtocolNotSupported)
	want(t, "T=1", h.SetProtocolParameters(lun, 2, 0), Success)
	echo(t, h, lun, 1)
	echo(t, h, lun, rawPCI)
	_, r = h.TransmitToICC(lun, 0, make([]byte, 5), make([]byte, 300))
	want(t, "transmit with T=0", r, ProtocolNotSupported)

	for tag, value := range map[Tag][]byte{
		TagATR: ccidsim.KAZTOKEN.ATR, Tag(wire.AttrATRString): ccidsim.KAZTOKEN.ATR,
		TagSlotsNumber: {1}, TagSimultaneousAccess: {255}, TagThreadSafe: {1}, TagSlotThreadSafe: {1},
		TagPollingKillable: {0}, TagDeviceRemoved: {1},
		Tag(wire.AttrICCPresence): {2}, Tag(wire.AttrICCInterfaceStatus): {1},
		Tag(wire.AttrCurrentProtocolType): {2, 0, 0, 0},
		Tag(wire.AttrVendorName):          []byte("DigiFlow LLP.\x00"), Tag(wire.AttrVendorIFDType): []byte("KAZTOKEN\x00"),
		Tag(wire.AttrVendorIFDVersion): {0, 0, 0, 1}, Tag(wire.AttrVendorIFDSerialNo): {},
		Tag(wire.AttrChannelID): {2, 1, 0x20, 0}, Tag(wire.AttrMaxInput): {0x05, 0x01, 0, 0},
		Tag(wire.AttrAsyncProtocolTypes): {2, 0, 0, 0},
	} {
		got := make([]byte, 64)
		n, r := h.GetCapabilities(lun, tag, got)
		want(t, fmt.Sprint(tag), r, Success)
		if diff := cmp.Diff(value, got[:n]); diff != "" {
			t.Errorf("%v: %s", tag, diff)
		}
	}
	for tag, address := range map[Tag]uint64{TagPollingWithTimeout: 0x1234, TagStopPolling: 0x5678} {
		got := make([]byte, 8)
		n, r := h.GetCapabilities(lun, tag, got)
		want(t, fmt.Sprint(tag), r, Success)
		if p, _ := pointer(uintptr(address)); string(got[:n]) != string(p) {
			t.Errorf("%v: % X, want % X", tag, got[:n], p)
		}
	}
	// As libccid answers for a token (PC/SC part 10 §2.2, §2.6.14).
	for code, answer := range map[wire.ControlCode]string{
		wire.CtlGetFeatureRequest:        "\x12\x04\x42\x33\x00\x12",
		wire.CtlGetFeatureRequestWindows: "\x12\x04\x42\x33\x00\x12",
		wire.CtlUSBPath:                  "1-1:1.0",
	} {
		got := make([]byte, 300)
		n, r := h.Control(lun, code, nil, got)
		want(t, fmt.Sprint(code), r, Success)
		if string(got[:n]) != answer {
			t.Errorf("%v: % X", code, got[:n])
		}
	}
	properties := make([]byte, 300)
	n, r = h.Control(lun, wire.CtlGetTLVProperties, nil, properties)
	want(t, "properties", r, Success)
	if list := string(properties[:n]); !strings.Contains(list, "\x0B\x02\x89\x0A\x0C\x02\x35\x00") || !strings.Contains(list, "\x0A\x04\x00\x00\x00\x00") {
		t.Errorf("properties % X", list)
	}

	n, r = h.PowerICC(lun, PowerDown, nil)
	want(t, "power down", r, Success)
	if n != 0 {
		t.Errorf("an ATR of %d bytes for a card that is off", n)
	}
	_, r = h.TransmitToICC(lun, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
	want(t, "transmit to a card that is off", r, CommunicationError)
	want(t, "presence of a card that is off", h.ICCPresence(lun), Success)
	_, r = h.PowerICC(lun, Reset, atr)
	want(t, "reset", r, Success)
	echo(t, h, lun, 1)

	g.Unplug()
	_, r = h.TransmitToICC(lun, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
	want(t, "transmit to a token that is gone", r, NoSuchDevice)
	want(t, "presence of a token that is gone", h.ICCPresence(lun), ICCNotPresent)
	_, r = h.PowerICC(lun, PowerUp, atr)
	want(t, "power up of a token that is gone", r, NoSuchDevice)
	want(t, "protocol of a token that is gone", h.SetProtocolParameters(lun, 2, 0), NoSuchDevice)
	want(t, "close", h.CloseChannel(lun), Success)
	if v := g.Violations(); len(v) > 0 {
		t.Errorf("the driver broke the rules: %q", v)
	}
}

// TestRefusals drives every function with null pointers, short buffers, wrong
// numbers and after the channel was closed.
func TestRefusals(t *testing.T) {
	const lun = Lun(0x00030000)
	apdu := []byte{0x80, 0xEC, 0, 0, 3, 1, 2, 3, 3}
	buf := func(n int) []byte { return make([]byte, n) }
	withLun := map[string]func(h *Handler, lun Lun) (int, Response){
		"close": func(h *Handler, lun Lun) (int, Response) { return 0, h.CloseChannel(lun) },
		"get":   func(h *Handler, lun Lun) (int, Response) { return h.GetCapabilities(lun, TagSlotsNumber, buf(1)) },
		"set": func(h *Handler, lun Lun) (int, Response) {
			return 0, h.SetCapabilities(lun, TagDeviceRemoved, []byte{1})
		},
		"protocol": func(h *Handler, lun Lun) (int, Response) { return 0, h.SetProtocolParameters(lun, 2, 0) },
		"power":    func(h *Handler, lun Lun) (int, Response) { return h.PowerICC(lun, PowerUp, buf(33)) },
		"transmit": func(h *Handler, lun Lun) (int, Response) { return h.TransmitToICC(lun, 1, apdu, buf(300)) },
		"control": func(h *Handler, lun Lun) (int, Response) {
			return h.Control(lun, wire.CtlGetTLVProperties, nil, buf(300))
		},
		"presence": func(h *Handler, lun Lun) (int, Response) { return 0, h.ICCPresence(lun) },
		"poll":     func(h *Handler, lun Lun) (int, Response) { return 0, h.Poll(lun, time.Hour) },
		"stop":     func(h *Handler, lun Lun) (int, Response) { return 0, h.StopPolling(lun) },
	}
	var b bus
	g := b.plug(ccidsim.KAZTOKEN)
	h := b.handler(t)
	for name, f := range withLun {
		for _, wrong := range []Lun{0, lun, lun + 1, 0xFFFFFFFF, 0x1_0000_0000 + lun, ^Lun(0)} {
			n, r := f(h, wrong)
			want(t, fmt.Sprintf("%s of %v before there is any", name, wrong), r, CommunicationError)
			if n != 0 {
				t.Errorf("%s: %d bytes", name, n)
			}
		}
	}
	want(t, "create with a wrong number", h.CreateChannelByName(0x1_0000_0000, g.name()), CommunicationError)
	want(t, "create a slot that is not there", h.CreateChannelByName(lun+1, g.name()), NoSuchDevice)
	ready(t, h, lun, g)
	want(t, "create a second slot", h.CreateChannelByName(lun+1, g.name()), NoSuchDevice)
	for name, f := range withLun {
		for _, wrong := range []Lun{0, lun + 1, lun | 0xFFFF, 0xFFFFFFFF, 0x1_0000_0000 + lun, ^Lun(0)} {
			_, r := f(h, wrong)
			want(t, fmt.Sprintf("%s of %v beside an open one", name, wrong), r, CommunicationError)
		}
	}

	for _, c := range []struct {
		name string
		call func() (int, Response)
		n    int
		want Response
	}{
		{"get into null", func() (int, Response) { return h.GetCapabilities(lun, TagSlotsNumber, nil) }, 0, CommunicationError},
		{"get into nothing", func() (int, Response) { return h.GetCapabilities(lun, TagSlotsNumber, buf(0)) }, 1, InsufficientBuffer},
		{"get ATR into 11 bytes", func() (int, Response) { return h.GetCapabilities(lun, TagATR, buf(11)) }, 12, InsufficientBuffer},
		{"get ATR into 12 bytes", func() (int, Response) { return h.GetCapabilities(lun, TagATR, buf(12)) }, 12, Success},
		{"get function into 4 bytes", func() (int, Response) { return h.GetCapabilities(lun, TagPollingWithTimeout, buf(3)) }, len(pointerOf(t)), InsufficientBuffer},
		{"get unknown", func() (int, Response) { return h.GetCapabilities(lun, 0x7FFF0001, buf(9)) }, 0, ErrorTag},
		{"set from null", func() (int, Response) { return 0, h.SetCapabilities(lun, TagDeviceRemoved, nil) }, 0, CommunicationError},
		{"set from nothing", func() (int, Response) { return 0, h.SetCapabilities(lun, TagDeviceRemoved, buf(0)) }, 0, CommunicationError},
		{"set unknown", func() (int, Response) { return 0, h.SetCapabilities(lun, TagATR, buf(1)) }, 0, ErrorTag},
		{"protocol 0", func() (int, Response) { return 0, h.SetProtocolParameters(lun, 0, 0) }, 0, ProtocolNotSupported},
		{"protocol raw", func() (int, Response) { return 0, h.SetProtocolParameters(lun, 4, 0) }, 0, ProtocolNotSupported},
		{"protocol both", func() (int, Response) { return 0, h.SetProtocolParameters(lun, 3, 0) }, 0, ProtocolNotSupported},
		{"PTS1", func() (int, Response) { return 0, h.SetProtocolParameters(lun, 2, 1) }, 0, ErrorNotSupported},
		{"power action", func() (int, Response) { return h.PowerICC(lun, 503, buf(33)) }, 0, NotSupported},
		{"power into null", func() (int, Response) { return h.PowerICC(lun, PowerUp, nil) }, 0, CommunicationError},
		{"reset into 11 bytes", func() (int, Response) { return h.PowerICC(lun, Reset, buf(11)) }, 12, InsufficientBuffer},
		{"transmit null", func() (int, Response) { return h.TransmitToICC(lun, 1, nil, buf(300)) }, 0, CommunicationError},
		{"transmit into null", func() (int, Response) { return h.TransmitToICC(lun, 1, apdu, nil) }, 0, CommunicationError},
		{"transmit into nothing", func() (int, Response) { return h.TransmitToICC(lun, 1, apdu, buf(0)) }, 0, InsufficientBuffer},
		{"transmit into 4 bytes", func() (int, Response) { return h.TransmitToICC(lun, 1, apdu, buf(4)) }, 0, InsufficientBuffer},
		{"transmit into 5 bytes", func() (int, Response) { return h.TransmitToICC(lun, 1, apdu, buf(5)) }, 5, Success},
		{"transmit too much", func() (int, Response) { return h.TransmitToICC(lun, 1, buf(wire.MaxData+1), buf(5)) }, 0, NotSupported},
		{"transmit protocol", func() (int, Response) { return h.TransmitToICC(lun, 2, apdu, buf(300)) }, 0, ProtocolNotSupported},
		{"control into null", func() (int, Response) { return h.Control(lun, wire.CtlGetFeatureRequest, nil, nil) }, 6, InsufficientBuffer},
		{"control into 5 bytes", func() (int, Response) { return h.Control(lun, wire.CtlGetFeatureRequest, nil, buf(5)) }, 6, InsufficientBuffer},
		{"control unknown", func() (int, Response) { return h.Control(lun, 0x42000002, apdu, buf(5)) }, 0, ErrorNotSupported},
		{"control too much", func() (int, Response) { return h.Control(lun, wire.CtlVerifyPINDirect, buf(wire.MaxData+1), buf(5)) }, 0, NotSupported},
		{"escape", func() (int, Response) { return h.Control(lun, wire.CtlEscape, apdu, buf(300)) }, 0, ErrorNotSupported},
		{"PIN pad of a token", func() (int, Response) { return h.Control(lun, wire.CtlVerifyPINDirect, buf(30), buf(300)) }, 0, NotSupported},
		{"its properties", func() (int, Response) { return h.Control(lun, wire.CtlPINProperties, nil, buf(300)) }, 0, ErrorNotSupported},
	} {
		n, r := c.call()
		if n != c.n || r != c.want {
			t.Errorf("%s: got %d, %v, want %d, %v", c.name, n, r, c.n, c.want)
		}
	}
	echo(t, h, lun, 1)

	want(t, "close", h.CloseChannel(lun), Success)
	for name, f := range withLun {
		n, r := f(h, lun)
		want(t, name+" after close", r, CommunicationError)
		if n != 0 {
			t.Errorf("%s after close: %d bytes", name, n)
		}
	}
}

func pointerOf(t *testing.T) []byte {
	t.Helper()
	b, ok := pointer(1)
	if !ok {
		t.Fatal("no address")
	}
	if b, ok := pointer(0); ok {
		t.Errorf("a null pointer is % X", b)
	}
	return b
}

// TestCreate is about which device a name means.
func TestCreate(t *testing.T) {
	noReader := ccidsim.KAZTOKEN
	noReader.Interface.Class = 3 // HID
	for _, c := range []struct {
		name   string
		plug   []ccidsim.Profile
		device string // name for the handler; "" is the channel's number
		opens  int    // index of the device that is opened, -1 for none
		want   Response
	}{
		{"by path", []ccidsim.Profile{ccidsim.KAZTOKEN, ccidsim.KAZTOKEN}, "usb:0a89/0035:libudev:0:/dev/bus/usb/001/003", 1, Success},
		{"by address", []ccidsim.Profile{ccidsim.KAZTOKEN, ccidsim.KAZTOKEN}, "usb:0a89/0035:libusb-1.0:1:3:0", 1, Success},
		{"by ids", []ccidsim.Profile{ccidsim.RutokenECP, ccidsim.KAZTOKEN}, "usb:0A89/0035:libhal:/org/freedesktop", 1, Success},
		{"by ids alone", []ccidsim.Profile{ccidsim.RutokenECP, ccidsim.KAZTOKEN}, "usb:0a89/0035", 1, Success},
		{"by nothing", []ccidsim.Profile{ccidsim.ExtendedAPDU, ccidsim.RutokenECP}, "IOUSBHostDevice", 1, Success},
		{"by number", []ccidsim.Profile{ccidsim.ExtendedAPDU, ccidsim.RutokenECP}, "", 1, Success},
		{"a reader that is no token", []ccidsim.Profile{ccidsim.TPDUT1LRC}, "usb:08e6/3437:libudev:0:/dev/bus/usb/001/002", 0, Success},
		{"another interface", []ccidsim.Profile{ccidsim.KAZTOKEN}, "usb:0a89/0035:libudev:1:/dev/bus/usb/001/002", -1, NoSuchDevice},
		{"another device at the address", []ccidsim.Profile{ccidsim.RutokenECP}, "usb:0a89/0035:libudev:0:/dev/bus/usb/001/002", -1, NoSuchDevice},
		{"no reader", []ccidsim.Profile{noReader}, "usb:0a89/0035:libudev:0:/dev/bus/usb/001/002", -1, NoSuchDevice},
		{"nothing plugged in", nil, "usb:0a89/0035:libudev:0:/dev/bus/usb/001/002", -1, NoSuchDevice},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bus
			for _, p := range c.plug {
				b.plug(p)
			}
			h := b.handler(t)
			r := Response(-1)
			if c.device == "" {
				r = h.CreateChannel(0x00050000, 1)
			} else {
				r = h.CreateChannelByName(0x00050000, c.device)
			}
			want(t, "create", r, c.want)
			for i, g := range b.devices {
				if open := g.OpenPipes() > 0; open != (i == c.opens) {
					t.Errorf("device %d: open %v", i, open)
				}
			}
			if r == Success {
				want(t, "close", h.CloseChannel(0x00050000), Success)
			}
		})
	}
}

// TestCreateFails: what the system says is what the host hears, and nothing is
// left behind.
func TestCreateFails(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Response
	}{
		{usb.ErrGone, NoSuchDevice},
		{usb.ErrBusy, CommunicationError},
		{usb.ErrAccess, CommunicationError},
		{usb.ErrTimeout, CommunicationError},
	} {
		var b bus
		g := b.plug(ccidsim.KAZTOKEN)
		b.openErr = fmt.Errorf("open: %w", c.err)
		h := b.handler(t)
		want(t, c.err.Error(), h.CreateChannelByName(0, g.name()), c.want)
		want(t, "presence", h.ICCPresence(0), CommunicationError)
		b.openErr = nil
		ready(t, h, 0, g)
		echo(t, h, 0, 1)
		want(t, "close", h.CloseChannel(0), Success)
	}
	// A list that may be incomplete is good for what is in it.
	var b bus
	g := b.plug(ccidsim.KAZTOKEN)
	b.listErr = errors.New("a device cannot be read")
	h := b.handler(t)
	want(t, "create", h.CreateChannelByName(0, g.name()), Success)
	want(t, "close", h.CloseChannel(0), Success)
	g.Unplug()
	want(t, "create", h.CreateChannelByName(0, g.name()), NoSuchDevice)
}

// TestTries: a device that the host does not say the place of may show up late.
func TestTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bus
		h := b.handler(t)
		h.cfg.Tries, h.cfg.Pause = 10, 100*time.Millisecond
		want(t, "create with nothing there", h.CreateChannel(0, 0), NoSuchDevice)
		if b.lists != 10 {
			t.Errorf("devices were listed %d times", b.lists)
		}
		time.AfterFunc(350*time.Millisecond, func() { b.plug(ccidsim.KAZTOKEN) })
		began := time.Now()
		want(t, "create", h.CreateChannel(0, 0), Success)
		if d := time.Since(began).Round(10 * time.Millisecond); d < 400*time.Millisecond || d > 500*time.Millisecond {
			t.Errorf("it took %v", d)
		}
		want(t, "a second reader, which is not there", h.CreateChannel(0x00010000, 0), NoSuchDevice)
		want(t, "close", h.CloseChannel(0), Success)
		b.lists = 0
		want(t, "create at a place", h.CreateChannelByName(0, "usb:0a89/0035:libudev:0:/dev/bus/usb/009/009"), NoSuchDevice)
		if b.lists != 1 {
			t.Errorf("a device whose place is known was looked for %d times", b.lists)
		}
	})
}

// TestReload: a host that unloads the library without a word and loads it again
// finds it as it was, and begins anew.
func TestReload(t *testing.T) {
	var b bus
	g, other := b.plug(ccidsim.KAZTOKEN), b.plug(ccidsim.RutokenECP)
	h := b.handler(t)
	for range 3 {
		ready(t, h, 0, g)
		ready(t, h, 0x00010000, other)
		echo(t, h, 0, 1)
		echo(t, h, 0x00010000, 1)
	}
	// The same device under another number.
	ready(t, h, 0x00070000, g)
	echo(t, h, 0x00070000, 1)
	want(t, "presence by the old number", h.ICCPresence(0), ICCNotPresent)
	for _, lun := range []Lun{0, 0x00010000, 0x00070000} {
		want(t, "close", h.CloseChannel(lun), Success)
	}
}

// TestSlots: slots of one reader are opened, used and closed one by one, and at
// the same time.
func TestSlots(t *testing.T) {
	var b bus
	g := b.plug(ccidsim.TwoSlots)
	h := b.handler(t)
	const first, second = Lun(0x00020000), Lun(0x00020001)
	want(t, "create", h.CreateChannelByName(first, g.name()), Success)
	value := make([]byte, 1)
	_, r := h.GetCapabilities(first, TagSlotsNumber, value)
	if want(t, "slots", r, Success); value[0] != 2 {
		t.Errorf("%d slots", value[0])
	}
	want(t, "second slot before it is opened", h.ICCPresence(second), CommunicationError)
	want(t, "create", h.CreateChannelByName(second, g.name()), Success)
	for _, lun := range []Lun{first, second} {
		_, r := h.PowerICC(lun, PowerUp, make([]byte, MaxATR))
		want(t, "power up", r, Success)
	}
	var wg sync.WaitGroup
	for _, lun := range []Lun{first, second} {
		wg.Go(func() {
			rx := make([]byte, 300)
			for range 200 {
				if n, r := h.TransmitToICC(lun, 1, []byte{0x80, 0xEC, byte(lun), 1, 2}, rx); r != Success || n != 4 || rx[0] != byte(lun) {
					t.Errorf("%v: %v, % X", lun, r, rx[:n])
					return
				}
			}
		})
		wg.Go(func() { h.Poll(lun, 50*time.Millisecond) })
	}
	wg.Wait()
	want(t, "close of the first", h.CloseChannel(first), Success)
	want(t, "close of the first again", h.CloseChannel(first), CommunicationError)
	echo(t, h, second, 1)
	want(t, "close of the second", h.CloseChannel(second), Success)

	want(t, "create the second first", h.CreateChannelByName(second, g.name()), Success)
	want(t, "create the first then", h.CreateChannelByName(first, g.name()), Success)
	want(t, "close", h.CloseChannel(second), Success)
	want(t, "close", h.CloseChannel(first), Success)
}

// TestDeviceRemoved: after the host's word everything ends at once.
func TestDeviceRemoved(t *testing.T) {
	var b bus
	g := b.plug(ccidsim.TwoSlots)
	h := b.handler(t)
	ready(t, h, 0, g)
	want(t, "set to 0", h.SetCapabilities(0, TagDeviceRemoved, []byte{0}), Success)
	echo(t, h, 0, 1)
	want(t, "presence", h.ICCPresence(0), Success)
	polled := make(chan Response)
	go func() { polled <- h.Poll(0, time.Hour) }()
	want(t, "set to 1", h.SetCapabilities(0, TagDeviceRemoved, []byte{1}), Success)
	want(t, "poll", <-polled, Success)
	want(t, "presence", h.ICCPresence(0), ICCNotPresent)
	_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
	want(t, "transmit", r, NoSuchDevice)
	want(t, "close", h.CloseChannel(0), Success)
}

// TestReplies has a row for each response that an error of the driver may give.
func TestReplies(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Response
	}{
		{nil, Success},
		{usb.ErrGone, NoSuchDevice},
		{usb.ErrClosed, NoSuchDevice},
		{fmt.Errorf("%w: %w", ccid.ErrOutcomeUnknown, usb.ErrGone), NoSuchDevice},
		{ccid.ErrNoCard, ICCNotPresent},
		{ccid.ErrProtocolMismatch, ProtocolNotSupported},
		{ccid.ErrNotSupported, NotSupported},
		{iso7816.ErrAPDU, InsufficientBuffer},
		{usb.ErrTimeout, ResponseTimeout},
		{fmt.Errorf("%w: %w", ccid.ErrOutcomeUnknown, context.DeadlineExceeded), ResponseTimeout},
		{ccid.ErrCardReset, ErrorPowerAction},
		{ccid.ErrMute, ErrorPowerAction},
		{ccid.ErrFaulty, ErrorPowerAction},
		{ccid.ErrProtocol, ErrorPowerAction},
	} {
		if got := responseTo(c.err, ErrorPowerAction); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
	for r, s := range map[Response]string{Success: "SUCCESS", InsufficientBuffer: "INSUFFICIENT_BUFFER", 603: "Response(603)"} {
		if r.String() != s {
			t.Errorf("%d is %v", int(r), r)
		}
	}
}

// TestAllocations: the way of an APDU through the handler takes no memory that
// the driver does not take.
func TestAllocations(t *testing.T) {
	var b bus
	g := b.plug(ccidsim.KAZTOKEN)
	h := b.handler(t)
	ready(t, h, 0, g)
	defer h.CloseChannel(0)
	apdu, rx := []byte{0x80, 0xEC, 0, 0, 16}, make([]byte, 300)
	s := h.slot(0)
	driver := testing.AllocsPerRun(200, func() {
		if _, err := s.Transmit(t.Context(), rx[:0], apdu); err != nil {
			t.Fatal(err)
		}
	})
	handler := testing.AllocsPerRun(200, func() {
		if _, r := h.TransmitToICC(0, 1, apdu, rx); r != Success {
			t.Fatal(r)
		}
		if r := h.ICCPresence(0); r != Success {
			t.Fatal(r)
		}
	})
	if handler > driver {
		t.Errorf("%v allocations, of which the driver's %v", handler, driver)
	}
}

// TestLeaks: channels that come and go, unplugged or closed, leave no goroutine
// behind.
func TestLeaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // waits for every goroutine to end
		var b bus
		g := b.plug(ccidsim.TwoSlots)
		h := b.handler(t)
		for i := range 50 {
			ready(t, h, 0, g)
			want(t, "create", h.CreateChannelByName(1, g.name()), Success)
			echo(t, h, 0, 1)
			done := make(chan Response, 1)
			go func() { done <- h.Poll(0, time.Hour) }()
			if i%2 == 0 {
				g.Unplug()
				g.Replug()
			}
			want(t, "close", h.CloseChannel(1), Success)
			want(t, "close", h.CloseChannel(0), Success)
			<-done
		}
		if len(h.channels) != 0 {
			t.Errorf("%d channels are left", len(h.channels))
		}
	})
}

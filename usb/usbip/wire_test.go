package usbip

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/usb"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The four messages of usbip_protocol.rst, "EXAMPLE".
const (
	cmdIntrIn  = "00000001 00000d05 0001000f 00000001 00000001 00000200 00000040 ffffffff 00000000 00000004 00000000 00000000"
	cmdIntrOut = "00000001 00000d06 0001000f 00000000 00000001 00000000 00000040 ffffffff 00000000 00000004 00000000 00000000"
	retIntrOut = "00000003 00000d06 00000000 00000000 00000000 00000000 00000040 ffffffff 00000000 00000000 00000000 00000000"
	retIntrIn  = "00000003 00000d05 00000000 00000000 00000000 00000000 00000040 ffffffff 00000000 00000000 00000000 00000000"
)

func TestGoldenURB(t *testing.T) {
	in := submit{seq: 0xd05, devID: 0x1000f, in: true, ep: 1, flags: 0x200, length: 64, startFrame: 0xffffffff, interval: 4}
	out := submit{seq: 0xd06, devID: 0x1000f, ep: 1, length: 64, startFrame: 0xffffffff, interval: 4}
	for _, tc := range []struct {
		name    string
		hex     string
		want    submit
		payload uint32
		reply   string
	}{
		{"interrupt IN", cmdIntrIn, in, 0, retIntrIn},
		{"interrupt OUT", cmdIntrOut, out, 64, retIntrOut},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var c command
			if err := c.decode(unhex(t, tc.hex)); err != nil {
				t.Fatal(err)
			}
			if c.code != cmdSubmit || c.submit != tc.want {
				t.Errorf("got %+v, want %+v", c.submit, tc.want)
			}
			if got := c.submit.payload(); got != tc.payload {
				t.Errorf("payload: got %d, want %d", got, tc.payload)
			}
			if got := tc.want.appendTo(nil); !bytes.Equal(got, unhex(t, tc.hex)) {
				t.Errorf("encoded: got % x", got)
			}
			b := bytes.Repeat([]byte{0xaa}, headerSize)
			putRetSubmit(b, &tc.want, 0, 64)
			if !bytes.Equal(b, unhex(t, tc.reply)) {
				t.Errorf("reply: got % x, want %s", b, tc.reply)
			}
		})
	}
}

func TestGoldenUnlink(t *testing.T) {
	const (
		request = "00000002 00000d07 0001000f 00000000 00000000 00000d05 00000000 00000000 00000000 00000000 00000000 00000000"
		reply   = "00000004 00000d07 00000000 00000000 00000000 ffffff98 00000000 00000000 00000000 00000000 00000000 00000000"
	)
	want := unlink{seq: 0xd07, devID: 0x1000f, victim: 0xd05}
	var c command
	if err := c.decode(unhex(t, request)); err != nil {
		t.Fatal(err)
	}
	if c.code != cmdUnlink || c.unlink != want {
		t.Errorf("got %+v, want %+v", c.unlink, want)
	}
	if got := want.appendTo(nil); !bytes.Equal(got, unhex(t, request)) {
		t.Errorf("encoded: got % x", got)
	}
	b := bytes.Repeat([]byte{0xaa}, headerSize)
	putRetUnlink(b, 0xd07, statusConnReset)
	if !bytes.Equal(b, unhex(t, reply)) {
		t.Errorf("reply: got % x, want %s", b, reply)
	}
}

func TestDecodeRefuses(t *testing.T) {
	set := func(offset int, v byte) []byte {
		b := unhex(t, cmdIntrIn)
		b[offset] = v
		return b
	}
	for name, b := range map[string][]byte{
		"short":          unhex(t, cmdIntrIn)[:47],
		"long":           append(unhex(t, cmdIntrIn), 0),
		"command 0":      set(3, 0),
		"a reply":        set(3, 3),
		"direction 2":    set(15, 2),
		"endpoint 16":    set(19, 16),
		"isochronous":    set(35, 1),
		"huge direction": set(12, 0x80),
	} {
		if err := new(command).decode(b); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	b := set(35, 0)
	copy(b[0x20:], []byte{0xff, 0xff, 0xff, 0xff})
	if err := new(command).decode(b); err != nil {
		t.Errorf("number_of_packets ffffffff, as the document has it: %v", err)
	}
}

func TestRequest(t *testing.T) {
	m := submit{setup: [8]byte{0x80, 0x06, 0x00, 0x02, 0x09, 0x04, 0xff, 0x01}}
	s, n := m.request()
	if want := (usb.Setup{RequestType: 0x80, Request: 6, Value: 0x0200, Index: 0x0409}); s != want || n != 0x1ff {
		t.Errorf("got %+v length %d", s, n)
	}
}

// devlist is OP_REP_DEVLIST typed from its table, with one device, bus id "1-1"
// and one interface of class 0b.
func devlist() []byte {
	b := []byte{0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0, 0, 0, 1}
	return append(exportedDevice(b), 0x0b, 0, 0, 0)
}

func exportedDevice(b []byte) []byte {
	path := "/sys/devices/virtual/usb1/1-1"
	b = append(append(b, path...), make([]byte, 256-len(path))...)
	b = append(append(b, "1-1"...), make([]byte, 29)...)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, // busnum, devnum, full speed
		0x0a, 0x89, 0x00, 0x35, 0x01, 0x00, 0, 0, 0, 1, 1, 1)
}

func TestGoldenDevlist(t *testing.T) {
	want := devlist()
	if len(want) != 0x144+4 {
		t.Fatalf("the typed reply has %#x bytes", len(want))
	}
	s := new(Server)
	defer s.Close()
	if _, err := s.Add(newFakeDevice()); err != nil {
		t.Fatal(err)
	}
	got, err := appendDevlist(nil, s.Devices())
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: got\n%s want\n%s", err, hex.Dump(got), hex.Dump(want))
	}
	list, err := readDevlist(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s.Devices(), list); diff != "" {
		t.Errorf("-exported +read:\n%s", diff)
	}
	for n := range want {
		if _, err := readDevlist(bytes.NewReader(want[:n])); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
}

func TestGoldenImport(t *testing.T) {
	want := exportedDevice([]byte{0x01, 0x11, 0x00, 0x03, 0, 0, 0, 0})
	if len(want) != 0x140 {
		t.Fatalf("the typed reply has %#x bytes", len(want))
	}
	e, err := readImport(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if e.BusID != "1-1" || e.DevID() != 0x10001 || e.Speed != SpeedFull || e.Vendor != 0x0a89 || len(e.Interfaces) != 1 {
		t.Errorf("got %+v", e)
	}
	got, err := e.appendTo(opHeader{version: version, code: opRepImport}.appendTo(nil), false)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v: got\n%s want\n%s", err, hex.Dump(got), hex.Dump(want))
	}
	refused := []byte{0x01, 0x11, 0x00, 0x03, 0, 0, 0, 1}
	if _, err := readImport(bytes.NewReader(refused)); err == nil {
		t.Error("a refusal was taken for a device")
	}
}

func TestStrings(t *testing.T) {
	if _, err := appendBusID(nil, strings.Repeat("1", 32)); err == nil {
		t.Error("a bus id without room for its zero was accepted")
	}
	if _, err := appendBusID(nil, "1\x001"); err == nil {
		t.Error("a bus id with a zero in it was accepted")
	}
	if _, err := parseString(bytes.Repeat([]byte{'1'}, 32)); err == nil {
		t.Error("a field that is not closed was accepted")
	}
}

func TestStatusOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want int32
	}{
		{nil, 0},
		{usb.ErrStall, -32},
		{fmt.Errorf("slot 0: %w", usb.ErrStall), -32},
		{usb.ErrGone, -108},
		{usb.ErrClosed, -108},
		{usb.ErrOverflow, -75},
		{usb.ErrTimeout, -110},
		{usb.ErrNoEndpoint, -2},
		{usb.ErrShortWrite, -121},
		{usb.ErrIO, -71},
		{errors.New("anything"), -71},
	} {
		if got := statusOf(tc.err); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.err, got, tc.want)
		}
	}
}

func TestSpeed(t *testing.T) {
	for _, tc := range []struct {
		name string
		size uint16
		want Speed
	}{
		{"64", 64, SpeedFull}, {"512", 512, SpeedHigh}, {"1024", 1024, SpeedSuper},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := bytes.Clone(testDescriptors)
			b[18+9+9+4], b[18+9+9+5] = byte(tc.size), byte(tc.size>>8)
			d, err := parseDescriptors(usb.Info{Descriptors: b})
			if err != nil {
				t.Fatal(err)
			}
			if got := d.speed(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

func TestParseDescriptorsRefuses(t *testing.T) {
	for n := range len(testDescriptors) {
		if _, err := parseDescriptors(usb.Info{Descriptors: testDescriptors[:n]}); err == nil {
			t.Errorf("cut to %d bytes: accepted", n)
		}
	}
}

func TestStringDescriptor(t *testing.T) {
	if got, want := stringDescriptor("Aқ"), []byte{6, 3, 0x41, 0x00, 0x9b, 0x04}; !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
	if got := stringDescriptor(strings.Repeat("x", 300)); len(got) != 254 || got[0] != 254 {
		t.Errorf("a long string: %d bytes, bLength %d", len(got), got[0])
	}
}

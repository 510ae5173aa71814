package usb

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// unhex reads hexadecimal digits between which anything blank may stand.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Descriptors in bytes (USB 2.0 §9.6), written out apart from the code under test.
const (
	outEP  = "07 05 01 02 40 00 00 "
	inEP   = "07 05 82 02 40 00 00 "
	intrEP = "07 05 83 03 08 00 10 "
	// Boot keyboard: interface 0, its HID descriptor (type 21, 9 bytes), one endpoint.
	keyboard = "09 04 00 00 01 03 01 01 00  09 21 11 01 00 01 22 3F 00  07 05 81 03 08 00 0A "
	rutoken  = "36 21 00 01 00 01 02 00 00 00 FC 0D 00 00 FC 0D 00 00" +
		"00 80 25 00 00 80 25 00 00 00 FE 00 00 00 00 00 00 00" +
		"00 00 00 00 40 08 02 00 0F 01 00 00 FF FF 00 00 00 01 "
	plain = "09 04 00 00 02 0B 00 00 00 "
)

// device makes an Info with one configuration, of value 1, around body.
func device(t testing.TB, id ID, body string) Info {
	t.Helper()
	enclosed := unhex(t, body)
	d := unhex(t, "12 01 00 02 00 00 00 40")
	d = append(d, byte(id.Vendor), byte(id.Vendor>>8), byte(id.Product), byte(id.Product>>8))
	d = append(d, unhex(t, "00 01 01 02 00 01")...)
	total := 9 + len(enclosed)
	d = append(d, 9, 2, byte(total), byte(total>>8), 1, 1, 0, 0x80, 50)
	return Info{Vendor: id.Vendor, Product: id.Product, Configuration: 1, Descriptors: append(d, enclosed...)}
}

var kaztoken = ID{0x0A89, 0x0035}

func TestReadersInTheField(t *testing.T) {
	for _, r := range readers {
		t.Run(r.name, func(t *testing.T) {
			ifc := fmt.Sprintf("09 04 %02x 00 %02x %02x 00 %02x 00 ", r.number, r.endpoints, r.class, r.protocol)
			eps := []string{"", "", outEP + inEP, outEP + inEP + intrEP}[r.endpoints]
			body := ifc + r.raw + eps
			if r.id.Vendor == 0x0B97 {
				body = ifc + eps + r.raw // this one has it behind the endpoints
			}
			if r.number > 0 {
				body = keyboard + body
			}
			want := Interface{
				Configuration: 1, Number: r.number, Class: r.class, Protocol: r.protocol,
				Kind: r.kind, Alternates: 1, Reader: r.want, Repairs: r.repairs,
			}
			if r.endpoints >= 2 {
				want.BulkOut = Endpoint{Address: 0x01, Attributes: 2, MaxPacketSize: 64}
				want.BulkIn = Endpoint{Address: 0x82, Attributes: 2, MaxPacketSize: 64}
			}
			if r.endpoints == 3 {
				want.Interrupt = Endpoint{Address: 0x83, Attributes: 3, MaxPacketSize: 8, Interval: 16}
			}
			got, err := device(t, r.id, body).Interfaces()
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff([]Interface{want}, got); d != "" {
				t.Errorf("interface (-want +got):\n%s", d)
			}
			if l := got[0].Reader.Features.Level(); l != r.level {
				t.Errorf("level: got %v, want %v", l, r.level)
			}
			if raw := unhex(t, r.raw); len(r.repairs) == 0 && !bytes.Equal(r.want.AppendTo(nil), raw) {
				t.Errorf("encoded: got % X, want % X", r.want.AppendTo(nil), raw)
			}
		})
	}
}

func TestVendorClassNeedsTheList(t *testing.T) {
	body := "09 04 00 00 02 FF 00 00 00 " + rutoken + outEP + inEP
	listed := ID{0x04E6, 0xE003}
	tests := []struct {
		name string
		id   ID
		body string
		opts []InterfaceOption
		want error
	}{
		{name: "listed", id: listed, body: body},
		{name: "not listed", id: kaztoken, body: body, want: ErrNoReader},
		{name: "added", id: kaztoken, body: body, opts: []InterfaceOption{AllowVendorClass(kaztoken)}},
		{name: "another added", id: kaztoken, body: body, opts: []InterfaceOption{AllowVendorClass(listed)}, want: ErrNoReader},
		{name: "forced", id: kaztoken, body: body, opts: []InterfaceOption{AllowAnyVendorClass()}},
		{name: "no class descriptor", id: listed, body: "09 04 00 00 02 FF 00 00 00 " + outEP + inEP, want: ErrNoReader},
		{name: "another protocol", id: listed, body: "09 04 00 00 02 FF 00 50 00 " + rutoken + outEP + inEP, want: ErrNoReader},
		{name: "bad class descriptor", id: listed, body: "09 04 00 00 02 FF 00 00 00 " + with(rutoken, 44, "00 00 00 00") + outEP + inEP, want: ErrDescriptor},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := device(t, tt.id, tt.body).Interfaces(tt.opts...)
			if !errors.Is(err, tt.want) || (err == nil) != (len(got) == 1) {
				t.Errorf("got %d interfaces, error %v, want %v", len(got), err, tt.want)
			}
		})
	}
	VendorClassReaders()[0] = kaztoken
	if slices.Contains(VendorClassReaders(), kaztoken) {
		t.Error("the list of vendor class readers can be written from outside")
	}
}

// first gives the first n bytes of a descriptor in hexadecimal.
func first(n int, descriptor string) string {
	return strings.Join(strings.Fields(descriptor), "")[:2*n]
}

// with replaces the bytes of a descriptor in hexadecimal from offset at on.
func with(descriptor string, at int, bytes string) string {
	b, r := strings.Join(strings.Fields(descriptor), ""), strings.Join(strings.Fields(bytes), "")
	return b[:2*at] + r + b[2*at+len(r):]
}

func TestInterfaces(t *testing.T) {
	bulk := outEP + inEP
	tests := []struct {
		name    string
		body    string
		want    []Interface // without endpoints and class descriptor
		repairs string      // in the first interface
		err     error
	}{
		{name: "not a reader", body: keyboard, err: ErrNoReader},
		{name: "nothing enclosed", err: ErrNoReader},
		{name: "no class descriptor", body: plain + bulk, err: ErrDescriptor},
		{name: "bLength 35", body: plain + first(35, with(rutoken, 0, "23")) + bulk, err: ErrDescriptor},
		{name: "data ends within the class descriptor", body: plain + bulk + first(40, rutoken), err: ErrDescriptor},
		{name: "chain with a zero length", body: plain + "00 00" + rutoken + bulk, err: ErrDescriptor},
		{name: "chain with a length of 1", body: plain + "01 00" + rutoken + bulk, err: ErrDescriptor},
		{name: "zero length behind the reader", body: plain + rutoken + bulk + "00 04 01",
			want: []Interface{{Alternates: 1}}, repairs: "the configuration descriptor is cut short"},
		{name: "message length 0", body: plain + with(rutoken, 44, "00 00 00 00") + bulk, err: ErrDescriptor},
		{name: "message length 9", body: plain + with(rutoken, 44, "09 00 00 00") + bulk, err: ErrDescriptor},
		{name: "message length 10", body: plain + with(rutoken, 44, "0A 00 00 00") + bulk, err: ErrDescriptor},
		{name: "slot index FF", body: plain + with(rutoken, 4, "FF") + bulk, err: ErrDescriptor},
		{name: "HID descriptor before it", body: plain + "09 21 11 01 00 01 22 3F 00" + rutoken + bulk, want: []Interface{{Alternates: 1}}},
		{name: "type FF", body: plain + with(rutoken, 1, "FF") + bulk, want: []Interface{{Alternates: 1}}},
		{name: "type FF of something else", body: plain + "36 FF" + strings.Repeat("5A", 52) + bulk, err: ErrDescriptor},
		{name: "a longer class descriptor", body: plain + with(rutoken, 0, "38") + "AA BB" + bulk, want: []Interface{{Alternates: 1}}},
		{name: "sub class", body: with(plain, 6, "05") + rutoken + bulk,
			want: []Interface{{SubClass: 5, Alternates: 1}}, repairs: "bInterfaceSubClass 5 is not defined"},
		{name: "protocol 1 with bulk pipes", body: with(plain, 7, "01") + rutoken + bulk,
			want: []Interface{{Protocol: 1, Alternates: 1}}, repairs: "bInterfaceProtocol 1 beside bulk pipes"},
		{name: "protocol 2 with one bulk pipe", body: with(plain, 7, "02") + rutoken + inEP + intrEP,
			want: []Interface{{Protocol: 2, Kind: ICCDB, Alternates: 1}}},
		{name: "version A with notifications", body: with(plain, 7, "01") + rutoken + intrEP,
			want: []Interface{{Protocol: 1, Kind: ICCDA, Alternates: 1}}, repairs: "endpoint 0x83 ignored"},
		{name: "protocol 0 without bulk pipes", body: plain + rutoken + intrEP, err: ErrDescriptor},
		{name: "only bulk IN", body: plain + rutoken + inEP, err: ErrDescriptor},
		{name: "packet size 0", body: plain + rutoken + "07 05 04 02 00 00 00" + bulk,
			want: []Interface{{Alternates: 1}}, repairs: "endpoint 0x04 has a packet size of 0"},
		{name: "endpoint 0 is not ours", body: plain + rutoken + "07 05 00 02 40 00 00" + "07 05 80 02 40 00 00" + bulk, want: []Interface{{Alternates: 1}}},
		{name: "several bulk pipes", body: plain + rutoken + bulk + "07 05 04 02 20 00 00" + "07 05 85 02 20 00 00", want: []Interface{{Alternates: 1}}},
		{name: "two readers", body: plain + rutoken + bulk + with(plain, 2, "01") + rutoken + bulk,
			want: []Interface{{Alternates: 1}, {Number: 1, Alternates: 1}}},
		{name: "two readers, one broken", body: plain + bulk + with(plain, 2, "01") + rutoken + bulk,
			want: []Interface{{Number: 1, Alternates: 1}}, repairs: "left out: interface 0: no class descriptor"},
		{name: "alternate settings", body: plain + rutoken + bulk + with(plain, 3, "01") + rutoken + bulk, want: []Interface{{Alternates: 2}}},
		{name: "only the second alternate setting works", body: with(plain, 4, "00") + with(plain, 3, "01") + rutoken + bulk,
			want: []Interface{{Alternate: 1, Alternates: 2}}},
		{name: "a broken alternate setting", body: plain + bulk + with(plain, 3, "01") + rutoken + bulk, want: []Interface{{Alternate: 1, Alternates: 2}}},
		{name: "the first of two class descriptors", body: plain + with(rutoken, 44, "00 00 00 00") + rutoken + with(rutoken, 50, "10 02") + bulk, want: []Interface{{Alternates: 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := device(t, kaztoken, tt.body).Interfaces()
			if !errors.Is(err, tt.err) {
				t.Fatalf("error: got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if r := strings.Join(got[0].Repairs, "; "); !strings.Contains(r, tt.repairs) || (r == "") != (tt.repairs == "") {
				t.Errorf("repairs: got %q, want %q", r, tt.repairs)
			}
			reader, _, _ := ParseClassDescriptor(unhex(t, rutoken))
			for i, g := range got {
				if g.Kind == CCID && (g.BulkOut.Address != 0x01 || g.BulkIn.Address != 0x82) {
					t.Errorf("bulk endpoints: got %#02x and %#02x", g.BulkOut.Address, g.BulkIn.Address)
				}
				if g.Reader != reader {
					t.Errorf("class descriptor: got %+v", g.Reader)
				}
				g.BulkOut, g.BulkIn, g.Interrupt, g.Reader, g.Repairs = Endpoint{}, Endpoint{}, Endpoint{}, ClassDescriptor{}, nil
				got[i] = g
			}
			for i := range tt.want {
				tt.want[i].Configuration, tt.want[i].Class = 1, 0x0B
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("interfaces (-want +got):\n%s", d)
			}
		})
	}
}

func TestConfigurations(t *testing.T) {
	dev := "12 01 00 02 00 00 00 40 89 0A 35 00 00 01 00 00 00 02"
	const (
		readerLen = 9 + 54 + 7 + 7
		hidLen    = 9 + 9 + 7
	)
	config := func(value byte, total int, body string) string {
		return fmt.Sprintf("09 02 %02x %02x 01 %02x 00 80 32 %s", byte(total), byte(total>>8), value, body)
	}
	reader := plain + rutoken + outEP + inEP
	tests := []struct {
		name   string
		active byte
		raw    string
		want   byte // Configuration of the interface found
		err    error
	}{
		{"in force", 2, config(1, 9+readerLen, reader) + config(2, 9+readerLen, reader), 2, nil},
		{"not in force", 1, config(1, 9+hidLen, keyboard) + config(2, 9+readerLen, reader), 0, ErrNoReader},
		{"unconfigured", 0, config(1, 9+hidLen, keyboard) + config(2, 9+readerLen, reader), 2, nil},
		{"unconfigured, first", 0, config(3, 9+readerLen, reader) + config(2, 9+readerLen, reader), 3, nil},
		{"unknown", 7, config(1, 9+readerLen, reader), 0, ErrDescriptor},
		{"total longer than the data", 1, config(1, 4000, reader), 1, nil},
		{"total longer than the chain", 2, config(1, 4000, keyboard) + config(2, 9+readerLen, reader), 2, nil},
		{"a hole as usbfs leaves it", 2, config(1, 9+hidLen+5, keyboard+"00 00 00 00 00") + config(2, 9+readerLen, reader), 2, nil},
		{"total shorter than the chain", 1, config(1, 20, reader), 0, ErrDescriptor},
		{"total of nothing", 1, config(1, 0, reader), 0, ErrNoReader},
		{"no configuration", 0, "", 0, ErrNoReader},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := Info{Configuration: tt.active, Descriptors: unhex(t, dev+tt.raw)}
			got, err := i.Interfaces()
			if !errors.Is(err, tt.err) {
				t.Fatalf("error: got %v, want %v", err, tt.err)
			}
			if err == nil && got[0].Configuration != tt.want {
				t.Errorf("configuration: got %d, want %d", got[0].Configuration, tt.want)
			}
		})
	}
	for _, raw := range []string{"", "12 01", "12 02 00 02 00 00 00 40 89 0A 35 00 00 01 00 00 00 02"} {
		if _, err := (Info{Descriptors: unhex(t, raw)}).Interfaces(); !errors.Is(err, ErrDescriptor) {
			t.Errorf("device descriptor %q: got %v, want %v", raw, err, ErrDescriptor)
		}
	}
}

// Every prefix of a good device is parsed without a panic, and none finds more
// than the whole.
func TestInterfacesOfTruncatedDescriptors(t *testing.T) {
	whole := device(t, kaztoken, keyboard+with(plain, 2, "01")+rutoken+outEP+inEP+intrEP)
	for n := range whole.Descriptors {
		i := whole
		i.Descriptors = whole.Descriptors[:n:n]
		got, err := i.Interfaces()
		if (err == nil) != (len(got) == 1) {
			t.Errorf("%d bytes: %d interfaces, error %v", n, len(got), err)
		}
	}
}

func TestAppendToRoundTrip(t *testing.T) {
	for _, r := range readers {
		want := Interface{
			Configuration: 5, Number: 3, Class: r.class, Protocol: r.protocol, StringIndex: 4,
			Kind: r.kind, Alternates: 1, Reader: r.want,
		}
		if r.kind == CCID {
			want.BulkOut = Endpoint{Address: 0x02, Attributes: 2, MaxPacketSize: 512}
			want.BulkIn = Endpoint{Address: 0x81, Attributes: 2, MaxPacketSize: 512}
			want.Interrupt = Endpoint{Address: 0x84, Attributes: 3, MaxPacketSize: 16, Interval: 9}
		}
		dev := DeviceDescriptor{
			USB: 0x0200, MaxPacketSize0: 64, Vendor: r.id.Vendor, Product: r.id.Product, Release: 0x0100,
			ManufacturerIndex: 1, ProductIndex: 2, SerialIndex: 3, NumConfigurations: 1,
		}
		raw := Configuration{Value: 5, Attributes: 0x80, MaxPower: 50}.AppendTo(dev.AppendTo(nil), want.AppendTo(nil))
		if back, err := ParseDeviceDescriptor(raw); err != nil || back != dev {
			t.Errorf("%s: device descriptor: got %+v, %v", r.name, back, err)
		}
		if raw[18+4] != 1 {
			t.Errorf("%s: bNumInterfaces %d", r.name, raw[18+4])
		}
		got, err := Info{Vendor: r.id.Vendor, Product: r.id.Product, Descriptors: raw}.Interfaces()
		if err != nil {
			t.Fatalf("%s: %v", r.name, err)
		}
		if d := cmp.Diff([]Interface{want}, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", r.name, d)
		}
	}
}

func FuzzInterfaces(f *testing.F) {
	for _, body := range []string{
		keyboard + with(plain, 2, "01") + rutoken + outEP + inEP + intrEP,
		with(plain, 7, "02") + rutoken,
		plain + rutoken + "07 05 04 02 00 00 00" + outEP + inEP + "00 00",
	} {
		i := device(f, kaztoken, body)
		f.Add(i.Descriptors, i.Configuration)
		f.Add(i.Descriptors, byte(0))
	}
	f.Fuzz(func(t *testing.T, raw []byte, active byte) {
		i := Info{Configuration: active, Descriptors: slices.Clip(raw)}
		got, err := i.Interfaces(AllowAnyVendorClass())
		if (err == nil) != (len(got) > 0) {
			t.Fatalf("%d interfaces beside error %v", len(got), err)
		}
		if err != nil && !errors.Is(err, ErrDescriptor) && !errors.Is(err, ErrNoReader) {
			t.Fatalf("untyped error %v", err)
		}
		if len(got) > 256 {
			t.Fatalf("%d interfaces", len(got))
		}
		for _, g := range got {
			checkReader(t, g.Reader)
			if len(g.Repairs) > maxRepairs || g.Alternates < 1 || active != 0 && g.Configuration != active {
				t.Fatalf("interface %+v", g)
			}
			if bulk := g.BulkOut.MaxPacketSize > 0 && g.BulkIn.MaxPacketSize > 0; bulk != (g.Kind == CCID) {
				t.Fatalf("%v with endpoints %+v, %+v", g.Kind, g.BulkOut, g.BulkIn)
			}
			// What was understood is what comes back from its encoding.
			raw := Configuration{Value: g.Configuration, Attributes: 0x80}.AppendTo(DeviceDescriptor{}.AppendTo(nil), g.AppendTo(nil))
			back, err := Info{Descriptors: raw}.Interfaces(AllowAnyVendorClass())
			if err != nil || len(back) != 1 {
				t.Fatalf("re-encoded %+v: %d interfaces, %v", g, len(back), err)
			}
			g.Alternates, g.Repairs, back[0].Repairs = 1, nil, nil
			if d := cmp.Diff(g, back[0]); d != "" {
				t.Fatalf("re-encoded (-want +got):\n%s", d)
			}
		}
	})
}

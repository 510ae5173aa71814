package udev

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// kernelMessage is the kernel's report about a token, as strace shows it.
const kernelMessage = "add@/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4\x00" +
	"ACTION=add\x00DEVPATH=/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1.4\x00SUBSYSTEM=usb\x00MAJOR=189\x00MINOR=6\x00" +
	"DEVNAME=bus/usb/001/007\x00DEVTYPE=usb_device\x00PRODUCT=a89/35/100\x00TYPE=0/0/0\x00BUSNUM=001\x00DEVNUM=007\x00" +
	"SEQNUM=4711\x00"

var kernelEvent = Event{
	Action: Add, Port: "1-1.4", Bus: 1, Addr: 7, Vendor: 0x0a89, Product: 0x0035, Release: 0x0100, Seqnum: 4711,
}

// udevMessage wraps the properties of a kernel message as the udev daemon does.
func udevMessage(kernel string) []byte {
	_, properties, _ := strings.Cut(kernel, "\x00")
	b := []byte(udevPrefix)
	b = binary.BigEndian.AppendUint32(b, udevMagic)
	b = binary.NativeEndian.AppendUint32(b, udevHeaderBytes)
	b = binary.NativeEndian.AppendUint32(b, udevHeaderBytes)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(properties)))
	b = append(b, make([]byte, 16)...) // hashes for filters
	return append(b, properties...)
}

func TestParseKernel(t *testing.T) {
	edit := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(kernelMessage) }
	for _, r := range []struct {
		name, msg string
		want      func(*Event) // nil: not ours
		bad       bool
	}{
		{name: "add", msg: kernelMessage, want: func(*Event) {}},
		{name: "remove", msg: edit("add@", "remove@", "=add", "=remove"), want: func(e *Event) { e.Action = Remove }},
		{name: "bind", msg: edit("add@", "bind@", "=add", "=bind"), want: func(e *Event) { e.Action = Bind }},
		{name: "change", msg: edit("add@", "change@", "=add", "=change"), want: func(e *Event) { e.Action = Change }},
		{name: "unbind", msg: edit("add@", "unbind@", "=add", "=unbind")},
		{name: "no last NUL", msg: strings.TrimSuffix(kernelMessage, "\x00"), want: func(*Event) {}},
		{
			name: "asked for by udevadm trigger", msg: kernelMessage + "SYNTH_UUID=0\x00",
			want: func(e *Event) { e.Synthetic = true },
		},
		{
			name: "no product ids", msg: edit("PRODUCT=a89/35/100\x00", ""),
			want: func(e *Event) { e.Vendor, e.Product, e.Release = 0, 0, 0 },
		},
		{name: "a field without =", msg: kernelMessage + "junk\x00", want: func(*Event) {}},
		{name: "an interface", msg: edit("DEVTYPE=usb_device", "DEVTYPE=usb_interface")},
		{name: "a root hub", msg: edit("/1-1/1-1.4", "")},
		{name: "a network card", msg: edit("SUBSYSTEM=usb", "SUBSYSTEM=net")},
		{name: "empty", msg: "", bad: true},
		{name: "no header", msg: "libudev\x00ACTION=add\x00", bad: true},
		{name: "no properties", msg: "add@/devices/x", bad: true},
		{name: "header of another action", msg: edit("add@", "remove@"), bad: true},
		{name: "header of another device", msg: edit("1-1.4\x00ACTION", "1-1.3\x00ACTION"), bad: true},
		{name: "no bus", msg: edit("BUSNUM=001\x00", ""), bad: true},
		{name: "address out of range", msg: edit("DEVNUM=007", "DEVNUM=70000"), bad: true},
		{name: "no sequence number", msg: edit("SEQNUM=4711\x00", ""), bad: true},
		{name: "two ids", msg: edit("a89/35/100", "a89/35"), bad: true},
		{name: "id out of range", msg: edit("a89/35/100", "10a89/35/100"), bad: true},
		{name: "not a port", msg: edit("/1-1.4", "/1-1:1.0"), bad: true},
		{name: "a port that climbs", msg: edit("/1-1.4", "/.."), bad: true},
	} {
		t.Run(r.name, func(t *testing.T) {
			got, ok, err := parseKernel([]byte(r.msg))
			if r.bad != (err != nil) || err != nil && !errors.Is(err, errUevent) {
				t.Fatalf("got %+v, %v", got, err)
			}
			if ok != (r.want != nil) {
				t.Fatalf("got %+v, ok %v", got, ok)
			}
			var want Event
			if r.want != nil {
				want = kernelEvent
				r.want(&want)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestParseUdev(t *testing.T) {
	want := kernelEvent
	want.Settled = true
	got, ok, err := parseUdev(udevMessage(kernelMessage))
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if _, ok, err := parseUdev(udevMessage(strings.Replace(kernelMessage, "usb_device", "usb_interface", 1))); ok || err != nil {
		t.Errorf("an interface: %v, %v", ok, err)
	}
	for name, edit := range map[string]func([]byte) []byte{
		"empty":             func([]byte) []byte { return nil },
		"half a header":     func(b []byte) []byte { return b[:udevHeaderBytes-1] },
		"wrong prefix":      func(b []byte) []byte { b[0] = 'L'; return b },
		"wrong magic":       func(b []byte) []byte { b[8]++; return b },
		"properties before": func(b []byte) []byte { binary.NativeEndian.PutUint32(b[16:], 8); return b },
		"properties behind": func(b []byte) []byte { binary.NativeEndian.PutUint32(b[16:], uint32(len(b)+1)); return b },
		"too long":          func(b []byte) []byte { binary.NativeEndian.PutUint32(b[20:], 1<<32-1); return b },
		"cut":               func(b []byte) []byte { return b[:len(b)-1] },
	} {
		if e, ok, err := parseUdev(edit(udevMessage(kernelMessage))); ok || !errors.Is(err, errUevent) {
			t.Errorf("%s: got %+v, %v, %v", name, e, ok, err)
		}
	}
}

func TestActionString(t *testing.T) {
	for a, want := range map[Action]string{Add: "add", Remove: "remove", Bind: "bind", Change: "change", 9: "Action(9)"} {
		if a.String() != want {
			t.Errorf("got %q want %q", a, want)
		}
	}
}

// Whatever comes, an event that is delivered names a possible device, and both
// parsers agree on the same properties.
func FuzzUevent(f *testing.F) {
	f.Add([]byte(kernelMessage))
	f.Add([]byte(strings.ReplaceAll(kernelMessage, "add", "bind")))
	f.Add([]byte("change@/devices/virtual/mem/null\x00ACTION=change\x00SUBSYSTEM=mem\x00SEQNUM=823\x00"))
	f.Add(udevMessage(kernelMessage))
	f.Fuzz(func(t *testing.T, msg []byte) {
		for _, parse := range []func([]byte) (Event, bool, error){parseKernel, parseUdev} {
			e, ok, err := parse(msg)
			if err != nil && (ok || !errors.Is(err, errUevent)) {
				t.Fatalf("%q: ok %v, %v", msg, ok, err)
			}
			if !ok {
				if e != (Event{}) {
					t.Fatalf("%q: %+v is not to be delivered", msg, e)
				}
				continue
			}
			if !validPort(e.Port) || e.Bus > 0xFFFF || e.Addr > 0xFFFF || e.Bus < 0 || e.Addr < 0 || int(e.Action) >= len(actionNames) {
				t.Fatalf("%q: %+v", msg, e)
			}
		}
		e, ok, err := parseKernel(msg)
		if !ok || err != nil {
			return
		}
		e.Settled = true
		if u, ok, err := parseUdev(udevMessage(string(msg))); err != nil || !ok || u != e {
			t.Fatalf("%q: kernel %+v, udev %+v, %v, %v", msg, e, u, ok, err)
		}
	})
}

func BenchmarkParseUevent(b *testing.B) {
	other := []byte("change@/devices/virtual/mem/null\x00ACTION=change\x00DEVPATH=/devices/virtual/mem/null\x00SUBSYSTEM=mem\x00SEQNUM=823\x00")
	for name, msg := range map[string][]byte{"token": []byte(kernelMessage), "other": other} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := parseKernel(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

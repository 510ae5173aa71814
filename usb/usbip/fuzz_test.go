package usbip

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"kaztoken/usb"
)

// FuzzCommand: what decodes encodes to something that decodes to the same.
func FuzzCommand(f *testing.F) {
	f.Add(unhex(f, cmdIntrIn))
	f.Add(unhex(f, cmdIntrOut))
	f.Add((&unlink{seq: 3, devID: 0x10001, victim: 2}).appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again command
		if c.decode(b) != nil {
			return
		}
		var out []byte
		if c.code == cmdSubmit {
			out = c.submit.appendTo(nil)
			if !bytes.Equal(out, b) {
				t.Fatalf("% x became % x", b, out)
			}
		} else {
			out = c.unlink.appendTo(nil)
		}
		if err := again.decode(out); err != nil || again != c {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

// FuzzReplies: a device list and an import reply that are read are written back
// to the bytes that were read, but for what is behind closed strings and in
// padding, so that the second round is exact.
func FuzzReplies(f *testing.F) {
	f.Add(devlist())
	f.Add(exportedDevice([]byte{0x01, 0x11, 0x00, 0x03, 0, 0, 0, 0}))
	f.Add([]byte{0x01, 0x11, 0x00, 0x05, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		if list, err := readDevlist(bytes.NewReader(b)); err == nil {
			out, err := appendDevlist(nil, list)
			if err != nil || len(out) > len(b) {
				t.Fatalf("%d bytes became %d, %v", len(b), len(out), err)
			}
			again, err := readDevlist(bytes.NewReader(out))
			if err != nil {
				t.Fatal(err)
			}
			if second, err := appendDevlist(nil, again); err != nil || !bytes.Equal(second, out) {
				t.Fatalf("% x became % x, %v", out, second, err)
			}
		}
		if e, err := readImport(bytes.NewReader(b)); err == nil {
			out, err := e.appendTo(opHeader{version: version, code: opRepImport}.appendTo(nil), false)
			if err != nil || len(out) > len(b) {
				t.Fatalf("%d bytes became %d, %v", len(b), len(out), err)
			}
		}
	})
}

// FuzzDescriptors: any descriptor set that is accepted is served within its own
// bounds, whatever is asked.
func FuzzDescriptors(f *testing.F) {
	f.Add(testDescriptors, []byte{0x80, 6, 0, 2, 0, 0, 0xff, 0})
	f.Add(testDescriptors, []byte{0, 9, 1, 0, 0, 0, 0, 0, 0x82, 0, 0, 0, 0x82, 0, 2, 0})
	f.Fuzz(func(t *testing.T, b, requests []byte) {
		d, err := parseDescriptors(usb.Info{Descriptors: b, Serial: "1"})
		if err != nil {
			return
		}
		total := 18
		for _, c := range d.configs {
			total += len(c.raw)
		}
		if total != len(b) {
			t.Fatalf("%d of %d bytes are served", total, len(b))
		}
		d.speed()
		c := chapter9{desc: d}
		for ; len(requests) >= 8; requests = requests[8:] {
			m := submit{setup: [8]byte(requests[:8])}
			s, n := m.request()
			data := make([]byte, n)
			got, cleared, ok := c.handle(s, data)
			if got < 0 || got > n || !ok && len(cleared) > 0 {
				t.Fatalf("%+v: %d of %d bytes, % x, %t", s, got, n, cleared, ok)
			}
			for _, e := range cleared {
				if c.halted&(1<<endpointIndex(e)) != 0 {
					t.Fatalf("%+v left endpoint %02x halted", s, e)
				}
			}
		}
	})
}

// FuzzSession feeds a server whatever a peer may send after an import. It must
// end when the peer leaves, with replies that are replies and bounded queues.
func FuzzSession(f *testing.F) {
	device := &submit{seq: 1, devID: 0x10001, in: true, length: 64, setup: [8]byte{0x80, 6, 0, 1, 0, 0, 64, 0}}
	bulk := &submit{seq: 2, devID: 0x10001, in: true, ep: 2, length: 64}
	out := &submit{seq: 4, devID: 0x10001, ep: 1, length: 3}
	f.Add(append(bulk.appendTo(device.appendTo(nil)), (&unlink{seq: 3, victim: 2}).appendTo(nil)...))
	f.Add(append(out.appendTo(nil), 1, 2, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newFakeDevice()
		desc, err := parseDescriptors(d.info)
		if err != nil {
			t.Fatal(err)
		}
		here, there := net.Pipe()
		s := newSession(d, desc, there)
		replies := make(chan []byte)
		go func() {
			r, _ := io.ReadAll(io.LimitReader(here, 64<<20))
			replies <- r
		}()
		go func() {
			here.SetWriteDeadline(time.Now().Add(5 * time.Second))
			here.Write(b)
			here.Close()
		}()
		s.run()
		// How many bytes follow a reply is not in the reply itself, so only those
		// before the first with data are looked at. The last may be cut: the
		// peer leaves when it has said what it had to say.
		for r := <-replies; len(r) >= headerSize; r = r[headerSize:] {
			if r[3] != retSubmit && r[3] != retUnlink {
				t.Fatalf("reply % x", r[:headerSize])
			}
			if !bytes.Equal(r[24:28], []byte{0, 0, 0, 0}) {
				break
			}
		}
		if s.pending < 0 || s.bytes < 0 || s.pending > maxPending || s.bytes > maxBytes {
			t.Fatalf("%d transfers, %d bytes are pending", s.pending, s.bytes)
		}
	})
}

package ccidsim_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/usb"
)

// Whatever comes on bulk OUT, the device answers each message or stalls, unless
// the message is one that is not complete yet; and what it answers is well formed.
func FuzzBulkOut(f *testing.F) {
	powerOn := []byte{0x62, 0, 0, 0, 0, 0, 0, 1, 0, 0}
	bulk := slices.DeleteFunc(ccidsim.Profiles(), func(p ccidsim.Profile) bool { return p.Interface.BulkOut.Address == 0 })
	for i := range bulk {
		f.Add(byte(i), powerOn, []byte{0x6F, 5, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xC1, 1, 0xFE, 0x3E})
		f.Add(byte(i), powerOn, []byte{0x6F, 5, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0xB0, 0, 0, 4})
		f.Add(byte(i), powerOn, []byte{0x61, 7, 0, 0, 0, 0, 1, 1, 0, 0, 0x11, 0x10, 0, 0x4D, 0, 0x20, 0})
		f.Add(byte(i), powerOn, []byte{0x6F, 0, 0, 0, 0, 0, 1, 0, 0x10, 0})
		f.Add(byte(i), powerOn, []byte{0x72, 0, 0, 0, 0, 0, 1, 0, 0, 0})
		f.Add(byte(i), []byte{0xFF}, make([]byte, 64))
	}
	f.Fuzz(func(t *testing.T, profile byte, first, second []byte) {
		p := bulk[int(profile)%len(bulk)]
		synctest.Test(t, func(t *testing.T) {
			d := newDevice(p)
			pipe := d.Pipe()
			for _, msg := range [][]byte{first, second} {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				out := pipe.WriteBulk(ctx, msg)
				buf := make([]byte, 128<<10)
				n, in := pipe.ReadBulk(ctx, buf)
				cancel()
				switch {
				case errors.Is(out, usb.ErrStall) || errors.Is(in, usb.ErrStall):
					if len(msg) >= 10 {
						t.Fatalf("stalled by a message of %d bytes: %v, %v", len(msg), out, in)
					}
					if err := pipe.Recover(context.Background()); err != nil {
						t.Fatal(err)
					}
				case out != nil:
					t.Fatal(out)
				case n == 0:
					if len(msg)%64 != 0 {
						t.Fatalf("no answer to % X: %v", msg, in)
					}
				case n < 10 || n > int(p.Interface.Reader.MaxMessageLength):
					t.Fatalf("answer of %d bytes", n)
				case int(buf[1])|int(buf[2])<<8|int(buf[3])<<16|int(buf[4])<<24 != n-10:
					t.Fatalf("dwLength of % X", buf[:10])
				}
			}
		})
	})
}

// Whatever comes on endpoint 0, the answer fits and nothing panics.
func FuzzControl(f *testing.F) {
	f.Add(byte(2), []byte{0xA1, 0x62, 0, 0, 0x21, 0x21, 0x65, 0, 0, 0x05, 0x00, 0xCA, 0x01, 0x81, 0x08, 0xA1, 0xA0, 0, 0, 1, 0xA1, 0x6F, 0, 0, 8})
	f.Add(byte(3), []byte{0x21, 0x62, 1, 0, 0x00, 0x21, 0x65, 0, 0x10, 0x00, 0x21, 0x65, 0, 0x01, 0x02, 0x00, 0xCA, 0xA1, 0x6F, 0, 0, 8})
	f.Add(byte(0), []byte{0x21, 0x01, 0, 1, 0, 0x80, 0x06, 0, 2, 9})
	f.Fuzz(func(t *testing.T, profile byte, requests []byte) {
		all := ccidsim.Profiles()
		d := newDevice(all[int(profile)%len(all)])
		pipe := d.Pipe()
		// Each request is five bytes, type request value length, and its data.
		for len(requests) >= 5 {
			r := requests[:5]
			requests = requests[5:]
			s := usb.Setup{RequestType: r[0], Request: r[1], Value: uint16(r[2]) | uint16(r[3])<<8}
			data := make([]byte, r[4])
			if !s.In() {
				requests = requests[copy(data, requests):]
			}
			n, err := pipe.Control(t.Context(), s, data)
			if n < 0 || n > len(data) || err != nil && !errors.Is(err, usb.ErrStall) {
				t.Fatalf("% X: %d bytes of %d, %v", r, n, len(data), err)
			}
		}
	})
}

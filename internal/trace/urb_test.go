package trace

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"kaztoken/ccid"
	"kaztoken/usb"
)

// The heads of two packets, typed from struct usbmon_packet.
const (
	submitHex = `
		0700000000000000 53 02 80 04 0100 00 3C  00F1536500000000 40E20100 8DFFFFFF
		12000000 00000000 8006000100001200 00000000 00000000 00000000 00000000`
	completeHex = `
		0700000000000000 43 03 82 04 0100 2D 00  00F1536500000000 41E20100 E0FFFFFF
		02000000 02000000 0000000000000000 00000000 00000000 00000000 00000000 AABB`
)

func TestURB(t *testing.T) {
	at := time.Unix(1700000000, 123456000).UTC()
	for _, c := range []struct {
		name string
		want string
		urb  urb
		data []byte
	}{
		{"submit", submitHex, urb{
			ID: 7, Event: submitted, Type: control, Endpoint: 0x80, Device: 4, Bus: 1, HasSetup: true, Time: at,
			Status: statusInProgress, Length: 18, Setup: setupBytes(usb.Setup{RequestType: 0x80, Request: 6, Value: 0x0100}, 18),
		}, nil},
		{"complete", completeHex, urb{
			ID: 7, Event: completed, Type: bulk, Endpoint: 0x82, Device: 4, Bus: 1, HasData: true, Time: at.Add(time.Microsecond),
			Status: statusStall, Length: 2, Captured: 2,
		}, []byte{0xAA, 0xBB}},
	} {
		want, err := hex.DecodeString(strings.Join(strings.Fields(c.want), ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := append(c.urb.AppendTo(nil), c.data...); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n% X, want\n% X", c.name, got, want)
		}
		u, data, err := parseURB(want)
		if err != nil || u != c.urb || !bytes.Equal(data, c.data) {
			t.Errorf("%s: read %+v, % X, %v", c.name, u, data, err)
		}
		for n := range urbLen {
			if _, _, err := parseURB(want[:n]); !errors.Is(err, ErrRecording) {
				t.Errorf("%s: %d bytes of it: %v", c.name, n, err)
			}
		}
	}
}

func TestMaskedComment(t *testing.T) {
	spans := []Span{{15, 8}, {24, 1}}
	comment := maskedComment(spans)
	if comment != "kaztoken: masked 15+8 24+1" {
		t.Errorf("got %q", comment)
	}
	if got := parseMasked(comment, 25); len(got) != 2 || got[0] != spans[0] || got[1] != spans[1] {
		t.Errorf("read %v", got)
	}
	// What a file says beyond its packet is not believed.
	for _, c := range []string{"", "masked 1+1", "kaztoken: masked 20+6", "kaztoken: masked -1+2", "kaztoken: masked 1+0", "kaztoken: masked x"} {
		if got := parseMasked(c, 25); got != nil {
			t.Errorf("%q: read %v", c, got)
		}
	}
}

// TestWrongSeq: what a key decrypts comes with the bSeq of a command that powered
// the card on. It is no answer to reset for that; the answer to reset itself shows.
func TestWrongSeq(t *testing.T) {
	m := NewMasker(usb.Interface{Reader: usb.ClassDescriptor{Features: usb.ShortAPDUExchange}})
	message := func(kind ccid.MessageType, seq byte, data string) []byte {
		return ccid.Message{Type: kind, Seq: seq, Data: []byte(data)}.AppendTo(nil)
	}
	decipher := message(typeXfrBlock, 7, "\x00\x2A\x80\x86\x01\xC1\x00")
	for range 2 { // the second time, bSeq 7 was that of a secret once
		m.Out(decipher)
		if b := message(typeDataBlock, 7, "plain text\x90\x00"); len(m.In(b)) != 1 || bytes.Contains(b, []byte("plain")) {
			t.Fatalf("the plain text shows: % X", b)
		}
		m.Out(message(typePowerOn, 7, ""))
		atr := message(typeDataBlock, 7, "\x3B\x88\x01KAZTOKEN\x82")
		if spans := m.In(atr); spans != nil {
			t.Errorf("the answer to reset is masked: %v", spans)
		}
		m.Out(message(typeXfrBlock, 8, "\x00\x2A\x80\x86\x01\xC1\x00"))
		if b := message(typeDataBlock, 7, "plain text\x90\x00"); len(m.In(b)) != 1 || bytes.Contains(b, []byte("plain")) {
			t.Errorf("the plain text shows: % X", b)
		}
	}
}

// FuzzMasker: whatever goes by, a masker changes only what it says it has
// changed, and nothing of a length. Each packet of the input begins with its
// direction and its length.
func FuzzMasker(f *testing.F) {
	verify := append([]byte{0x6F, 13, 0, 0, 0, 0, 1, 0, 0, 0}, []byte("\x00\x20\x00\x02\x0812345678")...)
	answer := []byte{0x80, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0x90, 0x00}
	stream := append([]byte{0, byte(len(verify))}, verify...)
	stream = append(append(stream, 1, byte(len(answer))), answer...)
	for level := range byte(4) {
		f.Add(level, byte(0), stream)
	}
	f.Add(byte(3), byte(2), stream)
	f.Fuzz(func(t *testing.T, level, kind byte, stream []byte) {
		features := []usb.Features{0, usb.TPDUExchange, usb.ShortAPDUExchange, usb.ExtendedAPDUExchange}[level%4]
		m := NewMasker(usb.Interface{
			Kind: usb.Kind(kind % 3), BulkIn: usb.Endpoint{MaxPacketSize: 8}, Reader: usb.ClassDescriptor{Features: features},
		})
		for len(stream) > 2 {
			way, n := stream[0], min(int(stream[1]), len(stream)-2)
			b := stream[2 : 2+n : 2+n]
			stream = stream[2+n:]
			before := bytes.Clone(b)
			var spans []Span
			switch way % 4 {
			case 0:
				spans = m.Out(b)
			case 1:
				spans = m.In(b)
			default:
				s := usb.Setup{RequestType: 0x21 | way&0x80, Request: iccdXfrBlock}
				if s.In() {
					s.Request = iccdDataBlock
				}
				spans = m.Control(s, b)
			}
			hidden := make([]bool, len(b))
			for _, s := range spans {
				if s.Offset < 0 || s.Length < 1 || s.Offset+s.Length > len(b) {
					t.Fatalf("span %v of %d bytes", s, len(b))
				}
				for i := s.Offset; i < s.Offset+s.Length; i++ {
					hidden[i] = true
				}
			}
			for i := range b {
				if !hidden[i] && b[i] != before[i] {
					t.Fatalf("byte %d of % X changed in secret, now % X", i, before, b)
				}
			}
			// A whole VERIFY at APDU level is what all this is for.
			if way%4 == 0 && level%4 >= 2 && n > 15 && before[0] == 0x6F && int(before[1]) == n-10 && before[2]|before[3]|before[4] == 0 &&
				before[8] == 0 && before[11] == 0x20 && bytes.Contains(b, before[15:]) && !bytes.Equal(before[15:], bytes.Repeat([]byte{maskByte}, n-15)) {
				t.Fatalf("the PIN of % X shows: % X", before, b)
			}
		}
	})
}

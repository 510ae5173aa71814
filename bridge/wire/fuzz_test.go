package wire

import (
	"bytes"
	"testing"
)

// parsers are all messages: their sizes and what they parse to, encoded again.
var parsers = []struct {
	name string
	size int
	// again encodes what b parses to; it is false for what does not parse.
	again func(b []byte) ([]byte, bool)
}{
	{"Header", 8, func(b []byte) ([]byte, bool) { m, err := ParseHeader(b); return m.AppendTo(nil), err == nil }},
	{"Version", 12, func(b []byte) ([]byte, bool) { m, err := ParseVersion(b); return m.AppendTo(nil), err == nil }},
	{"Establish", 12, func(b []byte) ([]byte, bool) { m, err := ParseEstablish(b); return m.AppendTo(nil), err == nil }},
	{"Release", 8, func(b []byte) ([]byte, bool) { m, err := ParseRelease(b); return m.AppendTo(nil), err == nil }},
	{"Cancel", 8, func(b []byte) ([]byte, bool) { m, err := ParseCancel(b); return m.AppendTo(nil), err == nil }},
	{"Connect", 152, func(b []byte) ([]byte, bool) { m, err := ParseConnect(b); return m.AppendTo(nil), err == nil }},
	{"Reconnect", 24, func(b []byte) ([]byte, bool) { m, err := ParseReconnect(b); return m.AppendTo(nil), err == nil }},
	{"Disconnect", 12, func(b []byte) ([]byte, bool) { m, err := ParseDisconnect(b); return m.AppendTo(nil), err == nil }},
	{"Status", 8, func(b []byte) ([]byte, bool) { m, err := ParseStatus(b); return m.AppendTo(nil), err == nil }},
	{"BeginTransaction", 8, func(b []byte) ([]byte, bool) { m, err := ParseBeginTransaction(b); return m.AppendTo(nil), err == nil }},
	{"EndTransaction", 12, func(b []byte) ([]byte, bool) { m, err := ParseEndTransaction(b); return m.AppendTo(nil), err == nil }},
	{"Transmit", 32, func(b []byte) ([]byte, bool) { m, err := ParseTransmit(b); return m.AppendTo(nil), err == nil }},
	{"Control", 24, func(b []byte) ([]byte, bool) { m, err := ParseControl(b); return m.AppendTo(nil), err == nil }},
	{"Attribute", 280, func(b []byte) ([]byte, bool) { m, err := ParseAttribute(b); return m.AppendTo(nil), err == nil }},
	{"Event", 8, func(b []byte) ([]byte, bool) { m, err := ParseEvent(b); return m.AppendTo(nil), err == nil }},
	{"ReaderEvents", 8, func(b []byte) ([]byte, bool) { m, err := ParseReaderEvents(b); return m.AppendTo(nil), err == nil }},
	{"ReadersSize", 4, func(b []byte) ([]byte, bool) { m, err := ParseReadersSize(b); return m.AppendTo(nil), err == nil }},
	{"Reader", 184, func(b []byte) ([]byte, bool) {
		m, err := ParseReader(b)
		if n := len(m.ATRBytes()); n > MaxATR {
			panic(n)
		}
		if n := len(m.Name.Bytes()); n >= MaxReaderName {
			panic(n)
		}
		return m.AppendTo(nil), err == nil
	}},
}

// FuzzMessages: bytes of the right number parse, and what parses is the same
// bytes again, but for the padding of a record; no other number parses.
func FuzzMessages(f *testing.F) {
	for _, p := range parsers {
		b := make([]byte, p.size)
		for i := range b {
			b[i] = byte(i + 1)
		}
		f.Add(b)
		f.Add(b[1:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, p := range parsers {
			again, ok := p.again(b)
			if ok != (len(b) == p.size) {
				t.Fatalf("%s: %d bytes parse: %v, size %d", p.name, len(b), ok, p.size)
			}
			want := b
			if p.name == "Reader" && ok {
				want = bytes.Clone(b)
				clear(want[173:176])
			}
			if ok && !bytes.Equal(again, want) {
				t.Fatalf("%s:\n% x became\n% x", p.name, b, again)
			}
		}
	})
}

package client

import (
	"bytes"
	"slices"
	"unicode"
	"unicode/utf8"

	"kaztoken/bridge/wire"
)

// Reader is what the service tells everybody of a reader.
type Reader struct {
	Name    string // UTF-8 that can be printed, 1 to 127 bytes
	State   wire.ReaderState
	Counter uint32 // a card that comes or goes changes it
	Sharing int    // number of handles; wire.SharingExclusive if it has one that does not share
	// ATR is the answer to reset of the card; empty if there is none, or if it
	// was not powered up yet.
	ATR      []byte
	Protocol wire.Protocol // in force, ProtocolUndefined before one is chosen
}

// Equal reports whether two answers of the service say the same of a reader.
func (r Reader) Equal(o Reader) bool {
	return r.Name == o.Name && r.State == o.State && r.Counter == o.Counter && r.Sharing == o.Sharing &&
		bytes.Equal(r.ATR, o.ATR) && r.Protocol == o.Protocol
}

// parseReaders reads an array of records and leaves the unused ones out. The
// length of b is a multiple of that of a record.
func parseReaders(b []byte) ([]Reader, error) {
	var all []Reader
	for record := range slices.Chunk(b, wire.ReaderSize) {
		m, err := wire.ParseReader(record)
		if err != nil {
			return nil, err
		}
		name := m.Name.String()
		if name == "" || !Printable(name) {
			continue
		}
		r := Reader{Name: name, State: m.State, Counter: m.Counter, Sharing: int(m.Sharing), Protocol: m.Protocol}
		if m.State&wire.StatePresent != 0 {
			r.ATR = append([]byte(nil), m.ATRBytes()...)
		}
		all = append(all, r)
	}
	return all, nil
}

// Printable reports whether a name can be shown on a terminal as it is: it may
// come from the descriptors of whatever was plugged in.
func Printable(name string) bool {
	if !utf8.ValidString(name) {
		return false
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

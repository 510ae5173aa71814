package ccid

import "kaztoken/usb"

// Quirks are the ways in which one product is not what its descriptor says.
// The zero value is none.
type Quirks struct {
	Chains       bool     // short APDU level, but the firmware chains extended APDUs
	SendZLP      bool     // wants a zero-length packet behind a message that fills its last packet
	CardFixed    bool     // the card cannot be removed, though nothing in the descriptor says so
	AskRates     bool     // answers GET_DATA_RATES with a list that it does not declare
	NoPPS        bool     // PPS does not work
	TwoResets    bool     // needs two resets after a refused SetParameters
	MaxIFSD      int      // hangs on longer blocks; 0 is no limit
	MaxRate      uint32   // fails above this rate, bit/s; 0 is no limit
	Rates        []uint32 // the rates that work, bit/s, instead of what the reader tells
	EntryByKey   bool     // PIN pad: bEntryValidationCondition 02 is the only one that works
	SlotOverride map[int]SlotQuirks
}

// SlotQuirks are those of a slot that differs from the others.
type SlotQuirks struct {
	Level *usb.Level // exchange level, nil for that of the descriptor
	Rates []uint32   // the rates that work, bit/s; nil for those of the reader
}

// deviceQuirks is the table of the products that need it. What applies goes by
// the release number, bcdDevice.
var deviceQuirks = []struct {
	id      usb.ID
	applies func(release uint16) bool // nil: to all
	quirks  Quirks
}{
	// Firmwares that declare the short APDU level and chain all the same.
	{usb.ID{Vendor: 0x046A, Product: 0x00A1}, exactly(0x0100), Quirks{Chains: true}},
	{usb.ID{Vendor: 0x046A, Product: 0x00A7}, nil, Quirks{Chains: true}},
	{usb.ID{Vendor: 0x076B, Product: 0x3031}, nil, Quirks{Chains: true}},
	{usb.ID{Vendor: 0x076B, Product: 0x3A21}, nil, Quirks{Chains: true}},
	{usb.ID{Vendor: 0x076B, Product: 0x6632}, nil, Quirks{Chains: true}},
	{usb.ID{Vendor: 0x0BF8, Product: 0x1024}, nil, Quirks{Chains: true}},
	{usb.ID{Vendor: 0x2F7C, Product: 0x6007}, nil, Quirks{Chains: true}},
	// SPR 532: below 5.04 hangs on answers of n·64 bytes; 48 keeps below that.
	{usb.ID{Vendor: 0x04E6, Product: 0xE003}, below(0x0504), Quirks{MaxIFSD: 48}},
	// AU9540: fails above 200 kbit/s.
	{usb.ID{Vendor: 0x058F, Product: 0x9540}, nil, Quirks{MaxRate: 200_000, TwoResets: true}},
	// OZ776: declares 307200 bit/s and can do nothing but 9600.
	{usb.ID{Vendor: 0x0B97, Product: 0x7762}, nil, Quirks{NoPPS: true, Rates: []uint32{9600}}},
	{usb.ID{Vendor: 0x0B97, Product: 0x7772}, nil, Quirks{NoPPS: true, Rates: []uint32{9600}}},
	// GemPC Twin: declares no list of rates and has one of 40.
	{usb.ID{Vendor: 0x08E6, Product: 0x3437}, nil, Quirks{AskRates: true}},
	{usb.ID{Vendor: 0x08E6, Product: 0x3478}, nil, Quirks{EntryByKey: true}},
	// Gnuk: a token without an interrupt endpoint that does not set the bit
	// for a fixed card.
	{usb.ID{Vendor: 0x234B, Product: 0x0000}, nil, Quirks{CardFixed: true}},
}

func exactly(release uint16) func(uint16) bool {
	return func(r uint16) bool { return r == release }
}

func below(release uint16) func(uint16) bool {
	return func(r uint16) bool { return r < release }
}

// QuirksOf looks a device up in the table of known quirks.
func QuirksOf(dev usb.Info) Quirks {
	for _, q := range deviceQuirks {
		if q.id == dev.ID() && (q.applies == nil || q.applies(dev.Release)) {
			return q.quirks
		}
	}
	return Quirks{}
}

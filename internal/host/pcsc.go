package host

import (
	"context"
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// smartcards is a smart-card service as its clients see it.
type smartcards interface {
	Readers(ctx context.Context) ([]client.Reader, error)
	Wait(ctx context.Context, known []client.Reader) ([]client.Reader, error)
	connect(ctx context.Context, reader string) (smartcard, error) // shared with other programs
	Close() error
}

// smartcard is a card behind such a service.
type smartcard interface {
	firmware.Card
	firmware.Sharer
	Protocol() wire.Protocol
	Status(ctx context.Context) (client.Status, error)
	Control(ctx context.Context, dst []byte, code wire.ControlCode, in []byte) ([]byte, error)
	Attribute(ctx context.Context, id wire.AttributeID) ([]byte, error)
	Reconnect(ctx context.Context, share wire.ShareMode, protocols wire.Protocol, initialization wire.Disposition) error
	Disconnect(ctx context.Context, d wire.Disposition) error
}

// anyProtocol is what a card is connected with.
const anyProtocol = wire.ProtocolT0 | wire.ProtocolT1

// families are the words by which a reader or its card is known to be of a
// filter's devices: the names are those of the maker's USB strings or of the
// service's own list, the historical bytes those of the ATR.
var families = map[string][]string{
	"kaztoken": {"kaztoken"},
	"rutoken":  {"kaztoken", "rutoken"},
}

// ofFamily reports whether a filter passes a reader, of which only the name and
// the card's answer to reset are known. A token is never without its card, so a
// reader that is empty is none.
func ofFamily(filter string, r client.Reader) bool {
	words, ok := families[filter]
	if !ok {
		return true // all
	}
	if r.State&wire.StateAbsent != 0 {
		return false
	}
	text := strings.ToLower(r.Name)
	if atr, err := iso7816.ParseATR(r.ATR); err == nil {
		text += "\n" + strings.ToLower(string(atr.Historical()))
	}
	for _, w := range words {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}

// The end of a reader's name, as pcsc-lite makes them: the serial number if it
// has one, the number of the reader and of the slot.
var nameEnd = regexp.MustCompile(`^.*?(?:\(([^()]+)\) )?[0-9A-F]{2} ([0-9A-F]{2})$`)

// readerCandidate is what a service's reader is to those who choose one.
func readerCandidate(r client.Reader, index int) Candidate {
	c := Candidate{Backend: "pcsc", Index: index, Name: r.Name}
	if m := nameEnd.FindStringSubmatch(r.Name); m != nil {
		c.Device.Serial = m[1]
		slot, _ := strconv.ParseUint(m[2], 16, 8) // two hexadecimal digits
		c.Slot = int(slot)
	}
	return c
}

// shows reports whether one of the readers is a device. A name that has a serial
// number has the device's, if that has one.
func shows(readers []client.Reader, dev usb.Info) bool {
	product := strings.ToLower(strings.TrimSpace(dev.ProductName))
	for _, r := range readers {
		serial := readerCandidate(r, 0).Device.Serial
		if product != "" && strings.Contains(strings.ToLower(r.Name), product) &&
			(serial == "" || dev.Serial == "" || strings.EqualFold(serial, dev.Serial)) {
			return true
		}
	}
	return false
}

// Tags of the properties that PC/SC part 10 §2.5.10.2 has for readers.
const (
	tlvVendor  = 0x0B // wIdVendor
	tlvProduct = 0x0C // wIdProduct
)

// deviceOf asks a service what it knows of the USB device behind a card. What it
// does not tell stays as it is in dev.
func deviceOf(ctx context.Context, card smartcard, dev usb.Info) usb.Info {
	text := func(id wire.AttributeID, to *string) {
		if v, err := card.Attribute(ctx, id); err == nil {
			if s := strings.TrimRight(string(v), "\x00"); s != "" && client.Printable(s) {
				*to = s
			}
		}
	}
	text(wire.AttrVendorName, &dev.Manufacturer)
	text(wire.AttrVendorIFDSerialNo, &dev.Serial)
	if v, err := card.Attribute(ctx, wire.AttrVendorIFDVersion); err == nil && len(v) == 4 {
		dev.Release = uint16(binary.NativeEndian.Uint32(v) >> 16)
	}
	if v, err := card.Attribute(ctx, wire.AttrChannelID); err == nil && len(v) == 4 {
		const channelUSB = 0x0020
		if n := binary.NativeEndian.Uint32(v); n>>16 == channelUSB {
			dev.Bus, dev.Addr = int(n>>8&0xFF), int(n&0xFF)
		}
	}
	properties, err := card.Control(ctx, nil, wire.CtlGetTLVProperties, nil)
	if err != nil {
		return dev
	}
	for len(properties) >= 2 && len(properties) >= 2+int(properties[1]) {
		tag, value := properties[0], properties[2:2+int(properties[1])]
		properties = properties[2+len(value):]
		if len(value) != 2 {
			continue
		}
		switch n := binary.LittleEndian.Uint16(value); tag {
		case tlvVendor:
			dev.Vendor = n
		case tlvProduct:
			dev.Product = n
		}
	}
	return dev
}

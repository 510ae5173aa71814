package usb

import (
	"encoding/binary"
	"fmt"
)

// Bounds of the class descriptor.
const (
	classDescriptorLen = 54      // bLength of CCID rev 1.10 §5.1
	maxMessageLength   = 65556   // header and the longest extended APDU with its answer's SW: 10 + 65546
	minMessageLength   = 64      // below it not even one full-speed packet
	maxSlotIndex       = 15      // keeps the notification bitmap within one packet
	messageHeaderLen   = 10      // CCID rev 1.10 §6.1
	maxIFSD            = 254     // ISO 7816-3:2006 §11.4.2
	assumedClock       = 4000    // kHz, for a reader that names none or an absurd one
	maxPlausibleClock  = 20_000  // kHz
	clockInHz          = 1000000 // a "kHz" value above it was written in Hz
)

// ClassDescriptor is the Smart Card Device Class descriptor, for CCID as well
// as ICCD (CCID rev 1.10 §5.1, ICCD rev 1.0 §5.1).
type ClassDescriptor struct {
	Version        uint16   // bcdCCID; informational, odd values exist
	MaxSlotIndex   byte     // bMaxSlotIndex, number of slots - 1; at most 15 once parsed
	Voltages       byte     // bVoltageSupport: bit 0 5.0 V, bit 1 3.0 V, bit 2 1.8 V; none set: automatic only
	Protocols      uint32   // dwProtocols: bit 0 T=0, bit 1 T=1; at least one once parsed
	DefaultClock   uint32   // dwDefaultClock, kHz; 1..20000 once parsed
	MaximumClock   uint32   // dwMaximumClock, kHz; not below DefaultClock once parsed
	NumClocks      byte     // bNumClockSupported: entries of GET_CLOCK_FREQUENCIES
	DataRate       uint32   // dwDataRate, bit/s
	MaxDataRate    uint32   // dwMaxDataRate, bit/s; not below DataRate once parsed
	NumDataRates   byte     // bNumDataRatesSupported: entries of GET_DATA_RATES
	MaxIFSD        uint32   // dwMaxIFSD, bytes; once parsed at most 254 where the host speaks T=1 itself
	SynchProtocols uint32   // dwSynchProtocols: bit 0 2-wire, bit 1 3-wire, bit 2 I2C
	Mechanical     uint32   // dwMechanical: bit 0 accept, bit 1 eject, bit 2 capture, bit 3 lock
	Features       Features // dwFeatures; one level bit at most, AutoPPS never beside AutoNegotiation once parsed

	// MaxMessageLength is dwMaxCCIDMessageLength, bytes with the 10-byte
	// header, in both directions; 64..65556 once parsed.
	MaxMessageLength uint32

	ClassGetResponse byte   // bClassGetResponse; FF: the class of the command
	ClassEnvelope    byte   // bClassEnvelope; FF: the class of the command
	LCDLayout        uint16 // wLcdLayout: lines in the high byte, characters per line in the low; 0: no display
	PINSupport       byte   // bPINSupport: bit 0 verify, bit 1 modify
	MaxBusySlots     byte   // bMaxCCIDBusySlots; 1..number of slots once parsed
}

// Slots is the number of slots.
func (d ClassDescriptor) Slots() int { return int(d.MaxSlotIndex) + 1 }

// AppendTo appends the 54 bytes of d, of descriptor type 0x21, to dst.
func (d ClassDescriptor) AppendTo(dst []byte) []byte {
	le := binary.LittleEndian
	dst = append(dst, classDescriptorLen, typeFunctional)
	dst = le.AppendUint16(dst, d.Version)
	dst = append(dst, d.MaxSlotIndex, d.Voltages)
	dst = le.AppendUint32(dst, d.Protocols)
	dst = le.AppendUint32(dst, d.DefaultClock)
	dst = le.AppendUint32(dst, d.MaximumClock)
	dst = append(dst, d.NumClocks)
	dst = le.AppendUint32(dst, d.DataRate)
	dst = le.AppendUint32(dst, d.MaxDataRate)
	dst = append(dst, d.NumDataRates)
	dst = le.AppendUint32(dst, d.MaxIFSD)
	dst = le.AppendUint32(dst, d.SynchProtocols)
	dst = le.AppendUint32(dst, d.Mechanical)
	dst = le.AppendUint32(dst, uint32(d.Features))
	dst = le.AppendUint32(dst, d.MaxMessageLength)
	dst = append(dst, d.ClassGetResponse, d.ClassEnvelope)
	dst = le.AppendUint16(dst, d.LCDLayout)
	return append(dst, d.PINSupport, d.MaxBusySlots)
}

// ParseClassDescriptor reads a class descriptor of type 0x21, or of type 0xFF
// if nothing in it is out of order (some readers of the vendor class have
// that). It may be longer than 54 bytes; the rest is ignored.
//
// Readers that work in spite of what they declare are many. Values that no
// driver could use as they stand are put right, and each repair is told as a
// short sentence. What cannot be put right is an error that is ErrDescriptor.
func ParseClassDescriptor(b []byte) (ClassDescriptor, []string, error) {
	switch {
	case len(b) < 2 || b[0] < classDescriptorLen || len(b) < classDescriptorLen:
		return ClassDescriptor{}, nil, fmt.Errorf("class descriptor of less than %d bytes: %w", classDescriptorLen, ErrDescriptor)
	case b[1] != typeFunctional && b[1] != typeVendor:
		return ClassDescriptor{}, nil, fmt.Errorf("class descriptor of type %#02x: %w", b[1], ErrDescriptor)
	}
	le := binary.LittleEndian
	d := ClassDescriptor{
		Version:          le.Uint16(b[2:]),
		MaxSlotIndex:     b[4],
		Voltages:         b[5],
		Protocols:        le.Uint32(b[6:]),
		DefaultClock:     le.Uint32(b[10:]),
		MaximumClock:     le.Uint32(b[14:]),
		NumClocks:        b[18],
		DataRate:         le.Uint32(b[19:]),
		MaxDataRate:      le.Uint32(b[23:]),
		NumDataRates:     b[27],
		MaxIFSD:          le.Uint32(b[28:]),
		SynchProtocols:   le.Uint32(b[32:]),
		Mechanical:       le.Uint32(b[36:]),
		Features:         Features(le.Uint32(b[40:])),
		MaxMessageLength: le.Uint32(b[44:]),
		ClassGetResponse: b[48],
		ClassEnvelope:    b[49],
		LCDLayout:        le.Uint16(b[50:]),
		PINSupport:       b[52],
		MaxBusySlots:     b[53],
	}
	if b[1] == typeVendor && (b[0] != classDescriptorLen || d.reservedBits()) {
		return ClassDescriptor{}, nil, fmt.Errorf("descriptor of type 0xff is not a class descriptor: %w", ErrDescriptor)
	}
	if d.MaxSlotIndex > 127 {
		return ClassDescriptor{}, nil, fmt.Errorf("bMaxSlotIndex %d: %w", d.MaxSlotIndex, ErrDescriptor)
	}
	if d.MaxMessageLength < minMessageLength {
		return ClassDescriptor{}, nil, fmt.Errorf("dwMaxCCIDMessageLength %d: %w", d.MaxMessageLength, ErrDescriptor)
	}
	return d, d.repair(), nil
}

// reservedBits reports whether a bit is set that CCID rev 1.10 reserves.
func (d *ClassDescriptor) reservedBits() bool {
	return d.Voltages&^0x07 != 0 || d.Protocols&^0x03 != 0 || d.SynchProtocols&^0x07 != 0 ||
		d.Mechanical&^0x0F != 0 || d.Features&^featuresBits != 0 || d.PINSupport&^0x03 != 0
}

// repair makes every value usable and says what it changed.
func (d *ClassDescriptor) repair() (repairs []string) {
	say := func(format string, a ...any) { repairs = append(repairs, fmt.Sprintf(format, a...)) }

	if d.MaxSlotIndex > maxSlotIndex {
		say("bMaxSlotIndex %d: only %d slots are used", d.MaxSlotIndex, maxSlotIndex+1)
		d.MaxSlotIndex = maxSlotIndex
	}
	switch slots := d.Slots(); {
	case d.MaxBusySlots == 0:
		say("bMaxCCIDBusySlots 0: taken as 1")
		d.MaxBusySlots = 1
	case int(d.MaxBusySlots) > slots:
		say("bMaxCCIDBusySlots %d: there are only %d slots", d.MaxBusySlots, slots)
		d.MaxBusySlots = byte(slots)
	}
	if d.MaxMessageLength > maxMessageLength {
		say("dwMaxCCIDMessageLength %d: taken as %d", d.MaxMessageLength, maxMessageLength)
		d.MaxMessageLength = maxMessageLength
	}
	if f := d.Features & levelBits; f&(f-1) != 0 {
		say("dwFeatures %v names several exchange levels: the highest is used, %v", d.Features, d.Features.Level())
		d.Features = d.Features&^levelBits | d.Features.Level().bit()
	}
	if d.Features.Has(AutoNegotiation | AutoPPS) {
		say("dwFeatures %v has both kinds of automatic negotiation: bit 0x80 is ignored", d.Features)
		d.Features &^= AutoPPS
	}
	if d.Protocols&3 == 0 {
		say("dwProtocols %#x names neither T=0 nor T=1: the ATR decides", d.Protocols)
		d.Protocols |= 3
	}
	if d.Voltages&7 == 0 {
		say("bVoltageSupport %#02x names no voltage: automatic selection only", d.Voltages)
	}
	d.repairClocks(say)
	d.repairIFSD(say)
	return repairs
}

func (d *ClassDescriptor) repairClocks(say func(string, ...any)) {
	for _, c := range []struct {
		name string
		khz  *uint32
	}{{"dwDefaultClock", &d.DefaultClock}, {"dwMaximumClock", &d.MaximumClock}} {
		if *c.khz > clockInHz {
			say("%s %d: taken as Hz", c.name, *c.khz)
			*c.khz /= 1000
			if *c.khz > clockInHz {
				*c.khz = 0 // nor is that a frequency
			}
		}
	}
	if d.DefaultClock == 0 || d.DefaultClock > maxPlausibleClock {
		say("dwDefaultClock %d kHz: taken as %d", d.DefaultClock, assumedClock)
		d.DefaultClock = assumedClock
	}
	if d.MaximumClock < d.DefaultClock {
		say("dwMaximumClock %d kHz is below the default: taken as %d", d.MaximumClock, d.DefaultClock)
		d.MaximumClock = d.DefaultClock
	}
	if d.MaxDataRate < d.DataRate {
		say("dwMaxDataRate %d bit/s is below the default: %d is the maximum", d.MaxDataRate, d.DataRate)
		d.MaxDataRate = d.DataRate
	}
}

// repairIFSD matters only where the host forms the T=1 blocks itself; at the
// APDU levels any value is harmless and stays.
func (d *ClassDescriptor) repairIFSD(say func(string, ...any)) {
	if d.Protocols&2 == 0 || d.Features.Level() > TPDU || d.MaxIFSD-1 < maxIFSD {
		return
	}
	// Prologue and the longer epilogue have to fit beside the field.
	ifsd := min(maxIFSD, d.MaxMessageLength-messageHeaderLen-3-2)
	say("dwMaxIFSD %d: taken as %d", d.MaxIFSD, ifsd)
	d.MaxIFSD = ifsd
}

// bit is the bit of dwFeatures that declares l.
func (l Level) bit() Features {
	switch l {
	case TPDU:
		return TPDUExchange
	case ShortAPDU:
		return ShortAPDUExchange
	case ExtendedAPDU:
		return ExtendedAPDUExchange
	}
	return 0
}

package ccidsim

import (
	"time"

	"kaztoken/usb"
)

// Profile is a kind of device: what it is called, its reader interface and how
// it behaves where the specification leaves a choice. The profiles here are
// copied by [New]; a changed copy is another profile.
type Profile struct {
	Name string // of the profile, one word: "kaztoken"

	Vendor, Product, Release          uint16 // idVendor, idProduct, bcdDevice
	Manufacturer, ProductName, Serial string // strings, no descriptor if empty

	// Interface is the only interface of the only configuration.
	Interface usb.Interface
	// ClassLast puts the class descriptor behind the endpoints.
	ClassLast bool

	// Clocks (kHz) and DataRates (bit/s) are the answers to
	// GET_CLOCK_FREQUENCIES and GET_DATA_RATES; a nil one stalls.
	Clocks, DataRates []uint32

	// Removable: cards come and go; otherwise the card is part of the device.
	Removable bool
	// Abort: the device knows the abort sequence. Firmware of tokens mostly
	// does not: it stalls the control request and refuses the message.
	Abort bool
	// Escape: vendor commands are echoed; otherwise they are not supported.
	Escape bool

	// QuietAbort: a command that is aborted gets no answer of its own; otherwise
	// it is answered CMD_ABORTED.
	QuietAbort bool
	// ZLP: a message whose length is a multiple of the packet size is followed
	// by a zero-length packet. Most devices do not do that.
	ZLP bool
	// Latency delays every bulk answer, and the end of every ICCD command.
	Latency time.Duration
	// CardVoltages is where cards live, as bVoltageSupport; elsewhere they are
	// mute. 0 is everywhere.
	CardVoltages byte

	// ATR is the answer to reset of a card that suits the device, for example
	// as emu.WithATR.
	ATR []byte
}

// Bits and numbers that several profiles share.
const (
	volts5, volts3, volts18 = 0x01, 0x02, 0x04

	protocolT0, protocolT1 = 0x01, 0x02

	// testVendor is the vendor id of pid.codes, whose products 0001 to 0010
	// belong to nobody and are for tests.
	testVendor = 0x1209
)

func bulkPair(mps int) (out, in usb.Endpoint) {
	return usb.Endpoint{Address: 0x01, Attributes: 0x02, MaxPacketSize: mps},
		usb.Endpoint{Address: 0x82, Attributes: 0x02, MaxPacketSize: mps}
}

func bulkInterface(reader usb.ClassDescriptor) usb.Interface {
	i := usb.Interface{Class: 0x0B, Reader: reader}
	i.BulkOut, i.BulkIn = bulkPair(64)
	return i
}

func interruptInterface(reader usb.ClassDescriptor) usb.Interface {
	i := bulkInterface(reader)
	i.Interrupt = usb.Endpoint{Address: 0x83, Attributes: 0x03, MaxPacketSize: 8, Interval: 24}
	return i
}

// rutokenReader is the class descriptor that the Rutoken ECP publishes.
//
// Assumed: KAZTOKEN has the same; it is the same product relabelled.
var rutokenReader = usb.ClassDescriptor{
	Version: 0x0100, Voltages: volts5, Protocols: protocolT1,
	DefaultClock: 3580, MaximumClock: 3580, DataRate: 9600, MaxDataRate: 9600,
	MaxIFSD:  254,
	Features: usb.ShortAPDUExchange | usb.ICCDRequests | usb.AutoNegotiation, MaxMessageLength: 271,
	ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
}

// kaztokenATR is T=1 at default parameters with historical bytes "KAZTOKEN".
var kaztokenATR = []byte{0x3B, 0x88, 0x01, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N', 0x82}

var (
	// KAZTOKEN is the token: two bulk pipes of 64-byte packets, no interrupt
	// endpoint, short APDUs, messages of 271 bytes, 5 V only.
	KAZTOKEN = Profile{
		Name:   "kaztoken",
		Vendor: 0x0A89, Product: 0x0035, Release: 0x0100,
		Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN",
		Interface: bulkInterface(rutokenReader),
		ATR:       kaztokenATR,
	}

	// RutokenECP is the KAZTOKEN under the product id of its sister, which the
	// CCID drivers of the distributions list.
	RutokenECP = Profile{
		Name:   "rutoken-ecp",
		Vendor: 0x0A89, Product: 0x0030, Release: 0x0100,
		Manufacturer: "Aktiv", ProductName: "Rutoken ECP",
		Interface: bulkInterface(rutokenReader),
		ATR:       kaztokenATR,
	}

	// ICCDA is the SchlumbergerSema e-gate: no endpoint but 0, T=0 in control
	// transfers (ICCD rev 1.0 §7).
	ICCDA = Profile{
		Name:   "iccd-a",
		Vendor: 0x0973, Product: 0x0003, Release: 0x0100,
		Manufacturer: "SchlumbergerSema", ProductName: "SchlumbergerSema e-gate Smart Card",
		Interface: usb.Interface{Class: 0xFF, Protocol: 1, Reader: usb.ClassDescriptor{
			Version: 0x0110, Voltages: volts5, Protocols: protocolT0,
			DefaultClock: 3580, MaximumClock: 3580, DataRate: 9600, MaxDataRate: 9600,
			Features: usb.ICCDRequests | usb.AutoNegotiation, MaxMessageLength: 256,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		}},
		ATR: []byte{0x3B, 0x08, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N'},
	}

	// ICCDB is the Aktiv Rutoken Magistra: no endpoint but 0, APDUs in control
	// transfers (ICCD rev 1.0 §8).
	ICCDB = Profile{
		Name:   "iccd-b",
		Vendor: 0x0A89, Product: 0x0060, Release: 0x0102,
		Manufacturer: "Aktiv", ProductName: "Rutoken Magistra",
		Interface: usb.Interface{Class: 0x0B, Protocol: 2, Reader: usb.ClassDescriptor{
			Version: 0x0100, Voltages: volts5, Protocols: protocolT1,
			DefaultClock: 3580, MaximumClock: 3580, DataRate: 9600, MaxDataRate: 9600,
			MaxIFSD:  254,
			Features: usb.ShortAPDUExchange | usb.ICCDRequests | usb.AutoNegotiation, MaxMessageLength: 261,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		}},
		ATR: kaztokenATR,
	}

	// ExtendedAPDU is a reader that takes any APDU in one message, does
	// everything by itself and tells of cards on an interrupt endpoint.
	ExtendedAPDU = Profile{
		Name:   "extended",
		Vendor: testVendor, Product: 0x0001, Release: 0x0100,
		Manufacturer: "ccidsim", ProductName: "Extended APDU Reader", Serial: "0001",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0110, Voltages: volts5 | volts3 | volts18, Protocols: protocolT0 | protocolT1,
			DefaultClock: 4000, MaximumClock: 4000, DataRate: 10752, MaxDataRate: 200080,
			MaxIFSD: 254,
			Features: usb.ExtendedAPDUExchange | usb.AutoIFSD | usb.AutoNegotiation | usb.AutoBaudRate | usb.AutoClock |
				usb.AutoVoltage | usb.AutoActivation | usb.AutoParameters,
			MaxMessageLength: 65554,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		}),
		Removable: true, Abort: true, Escape: true,
		ATR: kaztokenATR,
	}

	// ExtendedChaining is the FSIJ Gnuk token: extended APDUs through messages
	// of 64 bytes, so that nearly everything is chained. It lists one clock and
	// one rate and stalls the requests for both, as the real one does.
	ExtendedChaining = Profile{
		Name:   "extended-chaining",
		Vendor: 0x234B, Product: 0x0000, Release: 0x0200,
		Manufacturer: "Free Software Initiative of Japan", ProductName: "Gnuk Token", Serial: "0002",
		Interface: bulkInterface(usb.ClassDescriptor{
			Version: 0x0100, Voltages: volts5, Protocols: protocolT1,
			DefaultClock: 3580, MaximumClock: 3580, NumClocks: 1,
			DataRate: 9600, MaxDataRate: 9600, NumDataRates: 1,
			MaxIFSD:          254,
			Features:         usb.ExtendedAPDUExchange | usb.AutoNegotiation | usb.AutoParameters,
			MaxMessageLength: 64,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		}),
		Abort: true,
		ATR:   kaztokenATR,
	}

	// TPDUT1LRC is the Gemplus GemPC Twin with a T=1 card at default
	// parameters: the host does PPS, parameters, S(IFS) and the voltage.
	TPDUT1LRC = Profile{
		Name:   "tpdu-t1-lrc",
		Vendor: 0x08E6, Product: 0x3437, Release: 0x0100,
		Manufacturer: "Gemplus", ProductName: "GemPC Twin",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0100, Voltages: volts5 | volts3 | volts18, Protocols: protocolT0 | protocolT1,
			DefaultClock: 4000, MaximumClock: 4000, DataRate: 10752, MaxDataRate: 344086,
			MaxIFSD:          254,
			Features:         usb.TPDUExchange | usb.NAD | usb.AutoBaudRate | usb.AutoClock,
			MaxMessageLength: 271, MaxBusySlots: 1,
		}),
		Removable: true, Abort: true, Escape: true,
		ATR: kaztokenATR,
	}

	// TPDUT1CRC is the HSIC reader, which does nothing by itself, with a T=1
	// card that uses CRC, 512/16 and blocks of 254 bytes.
	TPDUT1CRC = Profile{
		Name:   "tpdu-t1-crc",
		Vendor: 0x1D99, Product: 0x0016, Release: 0x0100,
		Manufacturer: "HSIC", ProductName: "CCID-Reader",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0110, Voltages: volts5 | volts3, Protocols: protocolT0 | protocolT1,
			DefaultClock: 4000, MaximumClock: 4000, NumClocks: 1,
			DataRate: 10752, MaxDataRate: 250000, NumDataRates: 6,
			MaxIFSD:          254,
			Features:         usb.TPDUExchange,
			MaxMessageLength: 271, MaxBusySlots: 1,
		}),
		Clocks:    []uint32{4000},
		DataRates: []uint32{10752, 15625, 31250, 62500, 125000, 250000},
		Removable: true, Abort: true,
		// TA1 95, TD1 81, TD2 71, TA3 FE, TB3 45, TC3 01: 512/16, IFSC 254,
		// BWI 4, CWI 5, CRC.
		ATR: []byte{0x3B, 0x98, 0x95, 0x81, 0x71, 0xFE, 0x45, 0x01, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N', 0x4C},
	}

	// TPDUT0 is a T=0 reader that runs the PPS when it is given parameters,
	// with a T=0 card that uses 512/16.
	TPDUT0 = Profile{
		Name:   "tpdu-t0",
		Vendor: testVendor, Product: 0x0003, Release: 0x0100,
		Manufacturer: "ccidsim", ProductName: "T=0 Reader", Serial: "0003",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0110, Voltages: volts5 | volts3 | volts18, Protocols: protocolT0,
			DefaultClock: 4000, MaximumClock: 4000, DataRate: 10752, MaxDataRate: 344086,
			Features:         usb.TPDUExchange | usb.AutoPPS | usb.AutoBaudRate | usb.AutoClock,
			MaxMessageLength: 272, ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		}),
		Removable: true, Abort: true,
		// TA1 95, no TD1: T=0.
		ATR: []byte{0x3B, 0x18, 0x95, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N'},
	}

	// Character is the O2Micro OZ776: the host runs T=0 and T=1 down to the
	// characters. The class descriptor stands behind the endpoints. It declares
	// 307,200 bit/s and can do no more than 9,600.
	Character = Profile{
		Name:   "character",
		Vendor: 0x0B97, Product: 0x7762, Release: 0x0110,
		Manufacturer: "O2Micro", ProductName: "CCID Reader",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0100, Voltages: volts5 | volts3, Protocols: protocolT0 | protocolT1,
			DefaultClock: 4000, MaximumClock: 4000, DataRate: 9600, MaxDataRate: 307200,
			MaxIFSD:          254,
			Features:         usb.AutoBaudRate | usb.AutoClock,
			MaxMessageLength: 271, MaxBusySlots: 1,
		}),
		ClassLast: true,
		DataRates: []uint32{9600},
		Removable: true, Abort: true,
		ATR: kaztokenATR,
	}

	// TwoSlots is a reader of two slots that work at the same time, with cards
	// that come and go. But for bMaxCCIDBusySlots it is the AF Care One.
	TwoSlots = Profile{
		Name:   "two-slots",
		Vendor: testVendor, Product: 0x0002, Release: 0x0108,
		Manufacturer: "ccidsim", ProductName: "Two Slot Reader", Serial: "0004",
		Interface: interruptInterface(usb.ClassDescriptor{
			Version: 0x0110, MaxSlotIndex: 1, Voltages: volts5 | volts3 | volts18, Protocols: protocolT0 | protocolT1,
			DefaultClock: 4000, MaximumClock: 4000, DataRate: 10752, MaxDataRate: 200080,
			MaxIFSD: 254,
			Features: usb.ExtendedAPDUExchange | usb.AutoIFSD | usb.AutoNegotiation | usb.AutoBaudRate | usb.AutoClock |
				usb.AutoVoltage | usb.AutoActivation | usb.AutoParameters,
			MaxMessageLength: 65554,
			ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 2,
		}),
		Removable: true, Abort: true,
		ATR: kaztokenATR,
	}
)

// Profiles lists every profile of this package.
func Profiles() []Profile {
	return []Profile{
		KAZTOKEN, RutokenECP, ICCDA, ICCDB, ExtendedAPDU, ExtendedChaining,
		TPDUT1LRC, TPDUT1CRC, TPDUT0, Character, TwoSlots,
	}
}

// String descriptor indices.
const (
	manufacturerString = 1 + iota
	productString
	serialString
)

// info makes what the operating system would tell of the device.
func (p Profile) info() usb.Info {
	dev := usb.DeviceDescriptor{
		USB: 0x0200, MaxPacketSize0: 64,
		Vendor: p.Vendor, Product: p.Product, Release: p.Release,
		NumConfigurations: 1,
	}
	if p.Manufacturer != "" {
		dev.ManufacturerIndex = manufacturerString
	}
	if p.ProductName != "" {
		dev.ProductIndex = productString
	}
	if p.Serial != "" {
		dev.SerialIndex = serialString
	}
	ifc := p.Interface.AppendTo(nil)
	if p.ClassLast {
		class := ifc[9 : 9+54]
		ifc = append(append(append([]byte(nil), ifc[:9]...), ifc[9+54:]...), class...)
	}
	config := usb.Configuration{Value: 1, Attributes: 0x80, MaxPower: 50} // bus powered, 100 mA
	return usb.Info{
		Vendor: p.Vendor, Product: p.Product, Release: p.Release,
		Manufacturer: p.Manufacturer, ProductName: p.ProductName, Serial: p.Serial,
		Configuration: 1,
		Descriptors:   config.AppendTo(dev.AppendTo(nil), ifc),
	}
}

// level is the exchange level.
func (p *Profile) level() usb.Level { return p.Interface.Reader.Features.Level() }

func (p *Profile) has(f usb.Features) bool { return p.Interface.Reader.Features.Has(f) }

// payload is the most data that one bulk message carries.
func (p *Profile) payload() int { return int(p.Interface.Reader.MaxMessageLength) - headerLen }

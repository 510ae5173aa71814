package usb

import "fmt"

// Features is dwFeatures of the class descriptor: what the reader does by
// itself and at which level it exchanges data (CCID rev 1.10 §5.1).
type Features uint32

// The bits of dwFeatures. What is clear is left to the host.
const (
	AutoParameters       Features = 0x00000002 // parameters are configured from the ATR
	AutoActivation       Features = 0x00000004 // the card is activated on insertion
	AutoVoltage          Features = 0x00000008 // the voltage is selected by the reader
	AutoClock            Features = 0x00000010 // the clock follows the parameters in force
	AutoBaudRate         Features = 0x00000020 // the bit rate follows Fi/Di and the clock
	AutoNegotiation      Features = 0x00000040 // the reader negotiates parameters itself; never with AutoPPS
	AutoPPS              Features = 0x00000080 // the reader runs the PPS for the parameters in force
	ClockStop            Features = 0x00000100 // the card's clock can be stopped
	NAD                  Features = 0x00000200 // T=1 node addresses other than 00 are taken
	AutoIFSD             Features = 0x00000400 // the first T=1 exchange announces IFSD
	ICCDRequests         Features = 0x00000800 // the host sends only what is valid for a USB-ICC (ICCD rev 1.0 §6)
	TPDUExchange         Features = 0x00010000 // exchange level: TPDU
	ShortAPDUExchange    Features = 0x00020000 // exchange level: short APDU
	ExtendedAPDUExchange Features = 0x00040000 // exchange level: short and extended APDU
	WakeUp               Features = 0x00100000 // wakes the host on insertion and removal

	levelBits    = TPDUExchange | ShortAPDUExchange | ExtendedAPDUExchange
	featuresBits = AutoParameters | AutoActivation | AutoVoltage | AutoClock | AutoBaudRate | AutoNegotiation |
		AutoPPS | ClockStop | NAD | AutoIFSD | ICCDRequests | levelBits | WakeUp
)

// Level is the unit that one XfrBlock carries.
type Level byte

// The exchange levels, lowest first. A reader has exactly one.
const (
	Character Level = iota
	TPDU
	ShortAPDU
	ExtendedAPDU
)

func (l Level) String() string {
	switch l {
	case Character:
		return "character"
	case TPDU:
		return "TPDU"
	case ShortAPDU:
		return "short APDU"
	case ExtendedAPDU:
		return "extended APDU"
	}
	return fmt.Sprintf("Level(%d)", byte(l))
}

// Level gives the exchange level: the highest of those whose bit is set,
// Character if none is.
func (f Features) Level() Level {
	switch {
	case f&ExtendedAPDUExchange != 0:
		return ExtendedAPDU
	case f&ShortAPDUExchange != 0:
		return ShortAPDU
	case f&TPDUExchange != 0:
		return TPDU
	}
	return Character
}

// Has reports whether every bit of g is set.
func (f Features) Has(g Features) bool { return f&g == g }

// String gives dwFeatures as eight hexadecimal digits.
func (f Features) String() string { return fmt.Sprintf("%08X", uint32(f)) }

var featureWords = []struct {
	bit  Features
	word string
}{
	{AutoParameters, "automatic parameter configuration from the ATR"},
	{AutoActivation, "automatic activation of the card on insertion"},
	{AutoVoltage, "automatic voltage selection"},
	{AutoClock, "automatic clock frequency change"},
	{AutoBaudRate, "automatic bit rate change"},
	{AutoNegotiation, "automatic parameter negotiation"},
	{AutoPPS, "automatic PPS"},
	{ClockStop, "card clock can be stopped"},
	{NAD, "NAD other than 00 accepted"},
	{AutoIFSD, "automatic IFSD exchange"},
	{ICCDRequests, "only requests valid for a USB-ICC"},
	{WakeUp, "USB wake-up on insertion and removal"},
}

// Words describes f for a person, one property each, exchange level first.
func (f Features) Words() []string {
	words := []string{f.Level().String() + " level exchange"}
	for _, w := range featureWords {
		if f.Has(w.bit) {
			words = append(words, w.word)
		}
	}
	if r := f &^ featuresBits; r != 0 {
		words = append(words, "reserved bits "+r.String())
	}
	return words
}

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"kaztoken/ccid"
	"kaztoken/internal/describe"
	"kaztoken/internal/host"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// infoJSON is the output of info --json.
type infoJSON struct {
	Token     *windowJSON    `json:"token"` // null if the card cannot be asked
	Name      string         `json:"name"`
	Index     int            `json:"index"`
	Backend   string         `json:"backend"`
	Driver    string         `json:"driver"` // "" if a smart-card service has the device
	USB       *usbJSON       `json:"usb"`    // null if it does not tell, either
	Interface *interfaceJSON `json:"interface"`
	Reader    *readerJSON    `json:"reader"`
	Slot      slotJSON       `json:"slot"`
	ATRWords  []string       `json:"atr_words"`
	Error     string         `json:"error"` // why the card has no power
}

type interfaceJSON struct {
	Number        byte     `json:"number"`
	Class         string   `json:"class"`    // two hexadecimal digits
	Protocol      string   `json:"protocol"` // two hexadecimal digits
	Kind          string   `json:"kind"`
	BulkOut       string   `json:"bulk_out"` // endpoint address, two hexadecimal digits; "" if there is none
	BulkIn        string   `json:"bulk_in"`
	Interrupt     string   `json:"interrupt"`
	MaxPacketSize int      `json:"max_packet_size"`
	Repairs       []string `json:"repairs"`
}

type readerJSON struct {
	Version          string    `json:"version"` // of the class specification
	Slots            int       `json:"slots"`
	BusySlots        int       `json:"busy_slots"`
	Level            string    `json:"level"`
	Features         string    `json:"features"` // dwFeatures, eight hexadecimal digits
	FeatureWords     []string  `json:"feature_words"`
	MaxMessageLength uint32    `json:"max_message_length"`
	MaxIFSD          uint32    `json:"max_ifsd"`
	Protocols        []string  `json:"protocols"`
	Voltages         []string  `json:"voltages"`
	ClockKHz         [2]uint32 `json:"clock_khz"` // default, maximum
	BitRate          [2]uint32 `json:"bit_rate"`  // default, maximum
	PINPad           []string  `json:"pin_pad"`
	Display          string    `json:"display"`
}

// describeReader tells what is known of a reader and its slot.
func describeReader(ctx context.Context, t *host.Token) infoJSON {
	i := infoJSON{
		Name: t.Name, Index: t.Index, Backend: t.Backend, Driver: t.Driver, USB: usbIfKnown(t.Describe(ctx)),
		Slot: slotOf(t.Slot()), ATRWords: append([]string{}, t.Slot().ATR.Describe()...),
	}
	if t.CCID() == nil {
		return i
	}
	ifc, r := t.Interface, t.Interface.Reader
	i.Interface = &interfaceJSON{
		Number: ifc.Number, Class: fmt.Sprintf("%02x", ifc.Class), Protocol: fmt.Sprintf("%02x", ifc.Protocol),
		Kind: ifc.Kind.String(), BulkOut: endpoint(ifc.BulkOut), BulkIn: endpoint(ifc.BulkIn), Interrupt: endpoint(ifc.Interrupt),
		MaxPacketSize: ifc.BulkIn.MaxPacketSize, Repairs: append([]string{}, ifc.Repairs...),
	}
	i.Reader = &readerJSON{
		Version: release(r.Version), Slots: r.Slots(), BusySlots: int(r.MaxBusySlots),
		Level: r.Features.Level().String(), Features: r.Features.String(), FeatureWords: r.Features.Words(),
		MaxMessageLength: r.MaxMessageLength, MaxIFSD: r.MaxIFSD,
		Protocols: bits(r.Protocols, "T=0", "T=1"),
		Voltages:  bits(uint32(r.Voltages), "5 V", "3 V", "1.8 V"),
		ClockKHz:  [2]uint32{r.DefaultClock, r.MaximumClock},
		BitRate:   [2]uint32{r.DataRate, r.MaxDataRate},
		PINPad:    bits(uint32(r.PINSupport), "verify", "modify"),
		Display:   display(r.LCDLayout),
	}
	return i
}

// slotOf describes a slot as far as it is known.
func slotOf(s host.SlotInfo) slotJSON {
	j := slotJSON{Slot: s.Slot, State: s.State, Protocol: s.Protocol}
	if !s.ATR.IsZero() {
		j.ATR = fmt.Sprintf("%X", s.ATR.Bytes())
	}
	return j
}

func endpoint(e usb.Endpoint) string {
	if e.Address == 0 {
		return ""
	}
	return fmt.Sprintf("%02x", e.Address)
}

// bits names the bits that are set in v, from bit 0 on.
func bits(v uint32, names ...string) []string {
	set := []string{}
	for i, name := range names {
		if v&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return set
}

// display spells wLcdLayout (CCID rev 1.10 §5.1).
func display(layout uint16) string {
	if layout == 0 {
		return ""
	}
	return fmt.Sprintf("%d lines of %d characters", layout>>8, layout&0xFF)
}

// printReader prints i for a person: a name, a value, further lines below it.
func printReader(w io.Writer, t *host.Token, i infoJSON) error {
	var b strings.Builder
	line := func(name string, values ...string) {
		for n, v := range values {
			if n > 0 {
				name = ""
			} else if name != "" {
				name += ":"
			}
			fmt.Fprintf(&b, "%-15s%s\n", name, v)
		}
	}
	line("Token", i.Name)
	line("Backend", i.Backend)
	if i.Driver != "" {
		line("USB driver", i.Driver)
	}
	if i.USB != nil {
		printUSB(line, i.USB)
	}
	if i.Interface != nil {
		printInterface(line, t, i)
	}
	line("Slot", fmt.Sprintf("%d, card %s", i.Slot.Slot, i.Slot.State))
	if i.Slot.ATR != "" {
		line("ATR", append([]string{t.Slot().ATR.String()}, i.ATRWords...)...)
	}
	if i.Slot.Protocol != "" {
		words := i.Slot.Protocol
		if s := t.CCID(); s != nil {
			words += ", " + parameters(s)
		}
		line("Protocol", words)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// printUSB prints the device.
func printUSB(line func(name string, values ...string), u *usbJSON) {
	line("USB id", fmt.Sprintf("%s:%s, release %s", u.Vendor, u.Product, u.Release))
	line("Manufacturer", describe.OrDash(u.Manufacturer))
	line("Product", describe.OrDash(u.ProductName))
	line("Serial number", describe.OrDash(u.Serial))
	line("Port", describe.OrDash(u.Port))
	if u.Bus != 0 {
		line("Address", fmt.Sprintf("bus %d, device %d", u.Bus, u.Address))
	}
}

// printInterface prints the interface and what its reader declares.
func printInterface(line func(name string, values ...string), t *host.Token, i infoJSON) {
	line("Interface", fmt.Sprintf("%d, %s, class %s, protocol %s", i.Interface.Number, i.Interface.Kind, i.Interface.Class, i.Interface.Protocol))
	line("Endpoints", endpoints(t.Interface))
	line("Repaired", i.Interface.Repairs...)
	line("Specification", fmt.Sprintf("CCID %s, %s", i.Reader.Version, count(i.Reader.Slots, "slot")))
	line("Exchange", fmt.Sprintf("%s level, messages of up to %d bytes", i.Reader.Level, i.Reader.MaxMessageLength))
	line("Features", append([]string{i.Reader.Features}, i.Reader.FeatureWords...)...)
	line("Protocols", strings.Join(i.Reader.Protocols, ", "))
	line("Voltages", describe.OrDash(strings.Join(i.Reader.Voltages, ", ")))
	line("Clock", span(i.Reader.ClockKHz, "kHz"))
	line("Bit rate", span(i.Reader.BitRate, "bit/s"))
	line("IFSD", fmt.Sprintf("up to %d bytes", i.Reader.MaxIFSD))
	line("PIN pad", describe.OrDash(strings.Join(i.Reader.PINPad, ", ")))
	line("Display", describe.OrDash(i.Reader.Display))
}

// endpoints spells which pipes an interface has.
func endpoints(ifc usb.Interface) string {
	if ifc.BulkIn.Address == 0 {
		words := "control pipe only"
		if ifc.Interrupt.Address != 0 {
			words = fmt.Sprintf("control pipe, interrupt %02x", ifc.Interrupt.Address)
		}
		return words
	}
	words := fmt.Sprintf("bulk out %02x, bulk in %02x, packets of %d bytes", ifc.BulkOut.Address, ifc.BulkIn.Address, ifc.BulkIn.MaxPacketSize)
	if ifc.Interrupt.Address == 0 {
		return words + ", no interrupt"
	}
	return words + fmt.Sprintf(", interrupt %02x", ifc.Interrupt.Address)
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// span spells a default and a maximum.
func span(v [2]uint32, unit string) string {
	if v[0] == v[1] {
		return fmt.Sprintf("%d %s", v[0], unit)
	}
	return fmt.Sprintf("%d to %d %s", v[0], v[1], unit)
}

// parameters says who runs the protocol and, if it is us, at which speed
// (ISO 7816-3:2006 §7.1).
func parameters(s *ccid.Slot) string {
	if s.Level() >= usb.ShortAPDU {
		return "run by the reader"
	}
	fidi := s.Parameters().FiDi
	return fmt.Sprintf("F=%d D=%d", iso7816.F(fidi>>4), iso7816.D(fidi&0xF))
}

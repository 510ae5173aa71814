package iso7816

import (
	"fmt"
	"strings"
)

// Describe explains the ATR in English, one line per character or field, each
// with its name and value in front: "TD1 01: T=1". The last line is the
// warning, if there is one. The zero ATR gives no lines.
func (a ATR) Describe() []string {
	if a.IsZero() {
		return nil
	}
	var lines []string
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }

	line("TS %02X: %s", a.raw[0], a.convention())
	line("T0 %02X: %s", a.at(1), joinWords(followers(a.at(1)>>4, 1), plural(int(a.at(1)&0xF), "historical byte")))
	for ib := range a.InterfaceBytes() {
		line("%s %02X: %s", ib.Name(), ib.Value, ib.words())
	}
	if h := a.Historical(); len(h) > 0 {
		line("historical bytes %s: %s", hexString(h), joinWords(historicalWords(h)...))
	}
	if a.tck != 0 {
		verdict := "check byte, correct"
		if a.fault&FaultTCK != 0 {
			verdict = "check byte, wrong"
		}
		line("TCK %02X: %s", a.at(int(a.tck)), verdict)
	}
	if err := a.Warning(); err != nil {
		line("%v", err)
	}
	return lines
}

func (a *ATR) convention() string {
	switch {
	case a.undecoded:
		return "inverse convention, not decoded by the reader"
	case a.raw[0] == 0x3B:
		return "direct convention"
	case a.Inverse():
		return "inverse convention"
	}
	return "unknown convention"
}

// joinWords joins what is not empty with commas.
func joinWords(words ...string) string {
	var s []string
	for _, w := range words {
		if w != "" {
			s = append(s, w)
		}
	}
	return strings.Join(s, ", ")
}

func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// followers names the interface bytes of a group that y announces.
func followers(y byte, group int) string {
	var s []string
	for i := range 4 {
		if y&(1<<i) != 0 {
			s = append(s, fmt.Sprintf("T%c%d", 'A'+i, group))
		}
	}
	switch len(s) {
	case 0:
		return "no interface bytes follow"
	case 1:
		return s[0] + " follows"
	}
	return strings.Join(s, " ") + " follow"
}

// words explains one interface byte.
func (ib InterfaceByte) words() string {
	v := ib.Value
	switch {
	case ib.Kind == 'D':
		t := Protocol(v & 0xF).String()
		if Protocol(v&0xF) == globalT {
			t = "global interface bytes (T=15)"
		}
		return joinWords(t, followers(v>>4, ib.Group+1))
	case ib.Kind == 'B' && ib.Group <= 2:
		return "programming voltage, obsolete"
	case ib.Kind == 'A' && ib.Group == 1:
		s := fmt.Sprintf("F=%d, D=%d, clock up to %s MHz", F(v>>4), D(v&0xF), mega(FMax(v>>4)))
		if !fiDiKnown(v) {
			s += ", reserved value"
		}
		return s
	case ib.Kind == 'C' && ib.Group == 1:
		if v == 0xFF {
			return "least guard time, 12 etu in T=0, 11 in T=1"
		}
		return fmt.Sprintf("extra guard time %d etu", v)
	case ib.Kind == 'A' && ib.Group == 2:
		return specificModeWords(v)
	case ib.Kind == 'C' && ib.Group == 2:
		if v == 0 {
			return fmt.Sprintf("waiting time integer, reserved value, read as %d", defaultWI)
		}
		return fmt.Sprintf("waiting time integer %d", v)
	case ib.is('A', T1):
		switch v {
		case 0:
			return fmt.Sprintf("card information field size, reserved value, read as %d", defaultIFSC)
		case 0xFF:
			return "card information field size, reserved value, read as 254"
		}
		return fmt.Sprintf("card information field size %d", v)
	case ib.is('B', T1):
		s := fmt.Sprintf("block waiting integer %d, character waiting integer %d", v>>4, v&0xF)
		if v>>4 > maxBWI {
			s += fmt.Sprintf(", reserved value, read as %d", maxBWI)
		}
		return s
	case ib.is('C', T1):
		if v&1 != 0 {
			return "blocks end with a CRC"
		}
		return "blocks end with an LRC"
	case ib.is('A', globalT):
		return joinWords(ClockStop(v>>6).String(), classWords(v&0x3F))
	case ib.is('B', globalT):
		switch {
		case v == 0:
			return "SPU contact not used"
		case v&0x80 != 0:
			return "proprietary use of the SPU contact"
		}
		return "standard use of the SPU contact"
	}
	return fmt.Sprintf("no meaning known for %v", ib.Protocol)
}

// mega writes kHz as MHz.
func mega(khz int) string {
	if r := khz % 1000 / 100; r != 0 {
		return fmt.Sprintf("%d.%d", khz/1000, r)
	}
	return fmt.Sprint(khz / 1000)
}

func specificModeWords(ta2 byte) string {
	parameters := "parameters of TA1"
	if ta2&0x10 != 0 {
		parameters = "parameters known to its maker only"
	}
	change := "a warm reset may change the mode"
	if ta2&0x80 != 0 {
		change = "cannot change the mode"
	}
	return joinWords("specific mode", Protocol(ta2&0xF).String(), parameters, change)
}

// classWords names the classes of operating conditions, ISO 7816-3:2006 table 10.
func classWords(classes byte) string {
	var s []string
	for i, w := range [...]string{"A 5 V", "B 3 V", "C 1.8 V"} {
		if classes&(1<<i) != 0 {
			s = append(s, w)
		}
	}
	if len(s) == 0 {
		return "no class of operating conditions"
	}
	return "classes " + strings.Join(s, ", ")
}

// historicalWords explains historical bytes, ISO 7816-4:2013 §12.1.1: the
// category indicator, and what follows it where the category says how to read
// it; text, where they look like text.
func historicalWords(h []byte) []string {
	switch body := h[1:]; {
	case printable(h):
		return []string{fmt.Sprintf("%q", h)}
	case h[0] == 0x00 && len(body) >= 3:
		n := len(body) - 3
		return append(compactTLVWords(body[:n]), statusWords(body[n:]))
	case h[0] == 0x80 && len(body) > 0 && body[0] == 0x4F: // PC/SC part 3 §3.1.3.2.3
		return []string{"storage card, application identifier " + hexString(body[min(2, len(body)):])}
	case h[0] == 0x80 && len(body) > 0:
		return compactTLVWords(body)
	case h[0] == 0x80:
		return []string{"nothing in them"}
	case h[0] == 0x10 && len(body) == 1:
		return []string{fmt.Sprintf("DIR data reference %02X", body[0])}
	}
	return []string{"proprietary"}
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x20 || c > 0x7E {
			return false
		}
	}
	return true
}

// compactTLVWords explains COMPACT-TLV objects: a byte with tag and length in
// its nibbles, then the value.
func compactTLVWords(b []byte) []string {
	var words []string
	for len(b) > 0 {
		tag, n := b[0]>>4, int(b[0]&0xF)
		if b = b[1:]; n > len(b) {
			return append(words, "cut short")
		}
		words = append(words, compactWords(tag, b[:n]))
		b = b[n:]
	}
	return words
}

func compactWords(tag byte, value []byte) string {
	name := [16]string{
		0x1: "country code", 0x2: "issuer number", 0x3: "card service data",
		0x4: "initial access data", 0x5: "issuer data", 0x6: "pre-issuing data",
		0x7: "card capabilities", 0x8: "status", 0xF: "application identifier",
	}[tag]
	switch {
	case name == "":
		name = fmt.Sprintf("object %X", tag)
	case tag == 0x7 && len(value) == 3:
		return capabilityWords(value)
	case tag == 0x8 && len(value) == 3:
		return statusWords(value)
	}
	switch {
	case len(value) == 0:
		return name
	case tag != 0xF && len(value) > 1 && printable(value):
		return fmt.Sprintf("%s %q", name, value)
	}
	return name + " " + hexString(value)
}

// capabilityWords explains the third software function table, ISO
// 7816-4:2013 table 118.
func capabilityWords(v []byte) string {
	s := "card capabilities " + hexString(v)
	if v[2]&0x80 != 0 {
		s += ", command chaining"
	}
	if v[2]&0x40 != 0 {
		s += ", extended length"
	}
	return s
}

// statusWords explains life cycle status, SW1 and SW2.
func statusWords(v []byte) string {
	return fmt.Sprintf("life cycle status %02X, status %02X%02X", v[0], v[1], v[2])
}

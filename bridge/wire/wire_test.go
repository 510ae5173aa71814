package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestHostOrder: numbers are in the order of this machine, whichever that is.
func TestHostOrder(t *testing.T) {
	want := make([]byte, 12)
	for i, n := range []uint32{4, 6, uint32(ServiceStopped)} {
		binary.NativeEndian.PutUint32(want[4*i:], n)
	}
	if got := (Version{4, 6, ServiceStopped}).AppendTo(nil); !bytes.Equal(got, want) {
		t.Errorf("got % x, want % x", got, want)
	}
}

func TestBodySize(t *testing.T) {
	// The sizes of protocol 4:6; -1 closes the connection.
	sizes := map[Command]int{
		0x00: -1, 0x01: 12, 0x02: 8, 0x03: -1, 0x04: 152, 0x05: 24, 0x06: 12, 0x07: 8, 0x08: 12, 0x09: 32, 0x0A: 24, 0x0B: 8,
		0x0C: -1, 0x0D: 8, 0x0E: -1, 0x0F: 280, 0x10: 280, 0x11: 12, 0x12: 0, 0x13: 0, 0x14: 0, 0x15: 0, 0x16: 0, 0x17: 0,
		0x18: -1, 0x99: -1, 0xFFFFFFFF: -1,
	}
	differ := map[Dialect]map[Command]int{
		Legacy: {0x16: -1, 0x17: -1},
		Old:    {0x13: 8, 0x14: 8, 0x15: -1, 0x16: -1, 0x17: -1},
	}
	for _, d := range []Dialect{Array, Legacy, Old} {
		for c, want := range sizes {
			if other, ok := differ[d][c]; ok {
				want = other
			}
			got, ok := c.BodySize(d)
			if !ok {
				got = -1
			}
			if got != want || got > MaxBody {
				t.Errorf("%v in dialect %v: %d, want %d", c, d, got, want)
			}
		}
	}
}

func TestDialectOf(t *testing.T) {
	for minor, want := range map[int32]string{2: "", 3: "old", 4: "legacy", 5: "legacy", 6: "array", 7: "", -1: ""} {
		d, ok := DialectOf(minor)
		if ok != (want != "") || ok && d.String() != want {
			t.Errorf("4:%d is %v, %v, want %q", minor, d, ok, want)
		}
	}
	if !Legacy.WaitAnswers() || Array.WaitAnswers() || Old.WaitAnswers() {
		t.Error("only 4:4 and 4:5 answer a wait")
	}
	if Legacy.StopAlwaysAnswers() || Array.StopAlwaysAnswers() || !Old.StopAlwaysAnswers() {
		t.Error("only 4:3 always answers the end of a wait")
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("n", MaxReaderName-1)
	for _, c := range []struct {
		name string
		ok   bool
	}{
		{"", true}, {"KAZTOKEN 00 00", true}, {"Ключ 00 00", true}, {long, true},
		{long + "n", false}, {"a\x00b", false},
	} {
		n, err := NameOf(c.name)
		if (err == nil) != c.ok || !c.ok && !errors.Is(err, ErrMessage) {
			t.Errorf("NameOf(%q): %v, want success %v", c.name, err, c.ok)
		}
		if c.ok && n.String() != c.name {
			t.Errorf("%q became %q", c.name, n)
		}
	}
	n := ReaderName(bytes.Repeat([]byte{'n'}, MaxReaderName))
	if got := n.String(); got != long {
		t.Errorf("a name without end has %d bytes, want %d", len(got), len(long))
	}
}

func TestATR(t *testing.T) {
	var r Reader
	r.SetATR(bytes.Repeat([]byte{0x3B}, 40))
	if got := len(r.ATRBytes()); got != MaxATR {
		t.Errorf("%d bytes kept, want %d", got, MaxATR)
	}
	r.SetATR([]byte{0x3B, 0x00})
	if got := r.ATRBytes(); !bytes.Equal(got, []byte{0x3B, 0x00}) || r.ATR[2] != 0 {
		t.Errorf("got % x and % x behind it", got, r.ATR[2:])
	}
	r.ATRLength = 34 // pcscd's "not initialised"
	if got := r.ATRBytes(); got != nil {
		t.Errorf("got % x for a length of 34", got)
	}
}

func TestStrings(t *testing.T) {
	for _, c := range []struct {
		v    fmt.Stringer
		want string
	}{
		{CmdTransmit, "Transmit"}, {CmdGetReadersStateArray, "GetReadersStateArray"}, {Command(0), "Command(0x00)"},
		{Command(0x18), "Command(0x18)"}, {Command(0xFFFFFFFF), "Command(0xffffffff)"},
		{Array, "array"}, {Dialect(9), "Dialect(9)"},
		{ScopeUser, "user"}, {ScopeTerminal, "terminal"}, {ScopeSystem, "system"}, {ScopeGlobal, "global"}, {Scope(9), "Scope(9)"},
		{ShareExclusive, "exclusive"}, {ShareShared, "shared"}, {ShareDirect, "direct"}, {ShareMode(0), "ShareMode(0)"},
		{ProtocolUndefined, "undefined"}, {ProtocolT0 | ProtocolT1, "T0|T1"}, {ProtocolRaw, "raw"}, {ProtocolT15 | ProtocolAnyOld, "T15|any"}, {Protocol(0x30), "0x30"},
		{LeaveCard, "leave"}, {ResetCard, "reset"}, {UnpowerCard, "unpower"}, {EjectCard, "eject"}, {Disposition(4), "Disposition(4)"},
		{CardReady, "present|powered|negotiable"}, {NoCard, "absent"}, {CardMute, "present|mute"}, {ReaderFailing, "unknown"}, {ReaderState(0), "none"}, {StateSpecific | 0x100, "specific|0x100"},
		{CtlGetFeatureRequest, "GetFeatureRequest"}, {CtlGetTLVProperties, "GetTLVProperties"}, {ControlCode(0x42000002), "ControlCode(0x42000002)"},
		{AttrATRString, "ATR_STRING"}, {AttributeID(1), "AttributeID(0x00000001)"},
		{Version{4, 6, Success}, "4:6"},
		{SharingViolation, "SCARD_E_SHARING_VIOLATION"}, {CardReset, "SCARD_W_RESET_CARD"}, {Success, "SCARD_S_SUCCESS"}, {Result(7), "Result(0x00000007)"},
	} {
		if got := c.v.String(); got != c.want {
			t.Errorf("%#v is %q, want %q", c.v, got, c.want)
		}
	}
}

func TestResultIsError(t *testing.T) {
	if err := Success.Err(); err != nil {
		t.Errorf("success is the error %v", err)
	}
	err := fmt.Errorf("connect: %w", SharingViolation.Err())
	if !errors.Is(err, SharingViolation) || errors.Is(err, CardReset) {
		t.Errorf("%v is not told apart from others", err)
	}
	var r Result
	if !errors.As(err, &r) || r != SharingViolation {
		t.Errorf("errors.As gives %v", r)
	}
	if want := "connect: in use by another program (SCARD_E_SHARING_VIOLATION)"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	if got := Result(0x80100099).Error(); !strings.Contains(got, "0x80100099") {
		t.Errorf("an unknown code is %q", got)
	}
}

func TestExpand(t *testing.T) {
	for in, want := range map[Protocol]Protocol{
		ProtocolT1: ProtocolT1, ProtocolAnyOld: ProtocolT0 | ProtocolT1, ProtocolAnyOld | ProtocolRaw: ProtocolT0 | ProtocolT1 | ProtocolRaw,
	} {
		if got := in.Expand(); got != want {
			t.Errorf("%v expands to %v, want %v", in, got, want)
		}
	}
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	in := (&Transmit{1, ProtocolT1, 16, 5, 3, 16, 258, Success}).AppendTo(nil)
	out := make([]byte, 0, TransmitSize)
	allocs := testing.AllocsPerRun(100, func() {
		m, err := ParseTransmit(in)
		if err != nil {
			t.Fatal(err)
		}
		m.RecvLength = 2
		out = m.AppendTo(out[:0])
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

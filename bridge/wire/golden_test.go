//go:build 386 || amd64 || arm || arm64 || loong64 || mips64le || mipsle || ppc64le || riscv64 || wasm

package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// The bytes below were captured between pcsc-lite's own library and daemon on a
// little-endian machine, so that is where they are compared.

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \n\t", r) {
			return -1
		}
		return r
	}, s))
	if err != nil {
		panic(err)
	}
	return b
}

func zeros(n int) string { return strings.Repeat("00", n) }

// nameHex is the 128-byte field of the reader of the captures.
var nameHex = "4b415a20 54657374 205b4343 49445d20 28313233 34292030 30203030" + zeros(100)

// atrHex is its card's answer to reset, 18 bytes.
const atrHex = "3b6e0000 4b415a54 4f4b454e 20312e30 0001"

func name(t *testing.T) ReaderName {
	t.Helper()
	n, err := NameOf("KAZ Test [CCID] (1234) 00 00")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// message is what every message of this package is.
type message interface{ AppendTo([]byte) []byte }

// reparse encodes what a message parses to.
func reparse[M message](parse func([]byte) (M, error)) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		m, err := parse(b)
		if err != nil {
			return nil, err
		}
		return m.AppendTo(nil), nil
	}
}

// reparsePointer is reparse for messages whose methods have a pointer receiver.
func reparsePointer[M any, P interface {
	*M
	message
}](parse func([]byte) (M, error)) func([]byte) ([]byte, error) {
	return func(b []byte) ([]byte, error) {
		m, err := parse(b)
		if err != nil {
			return nil, err
		}
		return P(&m).AppendTo(nil), nil
	}
}

func TestCaptured(t *testing.T) {
	n := name(t)
	record := Reader{Name: n, State: CardReady}
	record.SetATR(unhex(atrHex))
	connected := record
	connected.Sharing, connected.Protocol = 1, ProtocolT0
	attribute := Attribute{Handle: 0x49EB4B36, ID: AttrATRString, Length: 264, Result: NoService}
	answered := Attribute{Handle: 0x49EB4B36, ID: AttrATRString, Length: 18}
	copy(answered.Value[:], unhex(atrHex))
	const handle Handle = 0x49EB4B36

	var (
		version     = reparse(ParseVersion)
		establish   = reparse(ParseEstablish)
		connect     = reparsePointer[Connect](ParseConnect)
		transmit    = reparsePointer[Transmit](ParseTransmit)
		attrib      = reparsePointer[Attribute](ParseAttribute)
		reader      = reparsePointer[Reader](ParseReader)
		transaction = reparse(ParseBeginTransaction)
	)
	for _, c := range []struct {
		name    string
		header  string // of a client's message
		command Command
		body    string
		message message
		reparse func([]byte) ([]byte, error)
	}{
		{"1 version", "0c000000 11000000", CmdVersion, "04000000 04000000 00000000", Version{4, 4, Success}, version},
		{"1 answer of 1.9.9", "", 0, "04000000 04000000 00000000", Version{4, 4, Success}, version},
		{"1 answer of 2.5.1", "", 0, "04000000 06000000 00000000", Version{4, 6, Success}, version},
		{"2 version of 2.5.1", "0c000000 11000000", CmdVersion, "04000000 06000000 00000000", Version{4, 6, Success}, version},
		{"2 refused", "", 0, "04000000 04000000 1e001080", Version{4, 4, ServiceStopped}, version},
		{"3 establish", "0c000000 01000000", CmdEstablishContext, "02000000 00000000 00000000", Establish{Scope: ScopeSystem}, establish},
		{"3 answer", "", 0, "02000000 47216956 00000000", Establish{ScopeSystem, 0x56692147, Success}, establish},
		{"4 record", "", 0, nameHex + "00000000 34000000 00000000" + atrHex + zeros(15) + "000000 12000000 00000000", &record, reader},
		{"4 record of a card in use", "", 0, nameHex + "00000000 34000000 01000000" + atrHex + zeros(15) + "000000 12000000 01000000", &connected, reader},
		{"4 record not used", "", 0, zeros(184), &Reader{}, reader},
		{"5 size", "", 0, "02000000", ReadersSize(2), reparse(ParseReadersSize)},
		{"5 reader events", "", 0, "02000000 00000000", ReaderEvents{2, Success}, reparse(ParseReaderEvents)},
		{"5 stopped", "", 0, "00000000 00000000", Event{}, reparse(ParseEvent)},
		{"6 cancel", "08000000 0d000000", CmdCancel, "9345ac05 00000000", Cancel{0x05AC4593, Success}, reparse(ParseCancel)},
		{"6 cancelled", "", 0, "00000000 02001080", Event{0, Cancelled}, reparse(ParseEvent)},
		{"7 connect", "98000000 04000000", CmdConnect, "47216956" + nameHex + "02000000 03000000 00000000 00000000 00000000",
			&Connect{Context: 0x56692147, Reader: n, Share: ShareShared, Preferred: ProtocolT0 | ProtocolT1}, connect},
		{"7 answer", "", 0, "47216956" + nameHex + "02000000 03000000 364beb49 01000000 00000000",
			&Connect{0x56692147, n, ShareShared, ProtocolT0 | ProtocolT1, handle, ProtocolT0, Success}, connect},
		{"8 status", "08000000 0b000000", CmdStatus, "364beb49 00000000", Status{handle, Success}, reparse(ParseStatus)},
		{"8 after a reset", "", 0, "364beb49 68001080", Status{handle, CardReset}, reparse(ParseStatus)},
		{"9 begin", "08000000 07000000", CmdBeginTransaction, "364beb49 00000000", BeginTransaction{handle, Success}, transaction},
		{"9 locked", "", 0, "364beb49 0b001080", BeginTransaction{handle, SharingViolation}, transaction},
		{"10 transmit", "20000000 09000000", CmdTransmit, "364beb49 01000000 10000000 05000000 03000000 10000000 0c000100 00000000",
			&Transmit{handle, ProtocolT0, 16, 5, 3, 16, 65548, Success}, transmit},
		{"10 answer", "", 0, "364beb49 01000000 10000000 05000000 03000000 10000000 02000000 00000000",
			&Transmit{handle, ProtocolT0, 16, 5, 3, 16, 2, Success}, transmit},
		{"11 no room", "", 0, "364beb49 01000000 10000000 05000000 03000000 10000000 12000000 08001080",
			&Transmit{handle, ProtocolT0, 16, 5, 3, 16, 18, InsufficientBuffer}, transmit},
		{"11 protocol", "", 0, "364beb49 01000000 10000000 05000000 03000000 10000000 00000000 0f001080",
			&Transmit{handle, ProtocolT0, 16, 5, 3, 16, 0, ProtoMismatch}, transmit},
		{"12 control", "18000000 0a000000", CmdControl, "364beb49 480d0042 00000000 0c000100 00000000 00000000",
			Control{Handle: handle, Code: CtlGetFeatureRequest, RecvLength: 65548}, reparse(ParseControl)},
		{"12 answer", "", 0, "364beb49 480d0042 00000000 0c000100 06000000 00000000",
			Control{handle, CtlGetFeatureRequest, 0, 65548, 6, Success}, reparse(ParseControl)},
		{"12 unknown", "", 0, "364beb49 480d0042 00000000 0c000100 00000000 1f001080",
			Control{handle, CtlGetFeatureRequest, 0, 65548, 0, UnsupportedFeature}, reparse(ParseControl)},
		{"13 attribute", "18010000 0f000000", CmdGetAttribute, "364beb49 03030900" + zeros(264) + "08010000 1d001080", &attribute, attrib},
		{"13 answer", "", 0, "364beb49 03030900" + atrHex + zeros(246) + "12000000 00000000", &answered, attrib},
		{"14 end", "0c000000 08000000", CmdEndTransaction, "364beb49 00000000 00000000", EndTransaction{handle, LeaveCard, Success}, reparse(ParseEndTransaction)},
		{"14 without begin", "", 0, "364beb49 00000000 16001080", EndTransaction{handle, LeaveCard, NotTransacted}, reparse(ParseEndTransaction)},
		{"15 disconnect", "0c000000 06000000", CmdDisconnect, "364beb49 02000000 00000000", Disconnect{handle, UnpowerCard, Success}, reparse(ParseDisconnect)},
		{"16 release", "08000000 02000000", CmdReleaseContext, "47216956 00000000", Release{0x56692147, Success}, reparse(ParseRelease)},
		{"17 scope 9", "", 0, "09000000 00000000 11001080", Establish{9, 0, InvalidValue}, establish},
		{"17 unknown reader", "", 0, "47216956" + nameHex + "02000000 03000000 00000000 00000000 09001080",
			&Connect{0x56692147, n, ShareShared, ProtocolT0 | ProtocolT1, 0, 0, UnknownReader}, connect},
		{"18 reconnect", "18000000 05000000", CmdReconnect, "c3ceef2d 02000000 03000000 00000000 00000000 00000000",
			Reconnect{Handle: 0x2DEFCEC3, Share: ShareShared, Preferred: ProtocolT0 | ProtocolT1}, reparse(ParseReconnect)},
		{"18 answer", "", 0, "c3ceef2d 02000000 03000000 00000000 01000000 00000000",
			Reconnect{0x2DEFCEC3, ShareShared, ProtocolT0 | ProtocolT1, LeaveCard, ProtocolT0, Success}, reparse(ParseReconnect)},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(c.body)
			if got := c.message.AppendTo([]byte("x")); !bytes.Equal(got[1:], want) || got[0] != 'x' {
				t.Errorf("encodes to\n% x, want\n% x", got[1:], want)
			}
			if got, err := c.reparse(want); err != nil || !bytes.Equal(got, want) {
				t.Errorf("parsed and encoded:\n% x, %v, want\n% x", got, err, want)
			}
			for _, wrong := range [][]byte{want[:len(want)-1], append(want[:len(want):len(want)], 0), nil} {
				if _, err := c.reparse(wrong); err == nil {
					t.Errorf("%d bytes are taken for a message of %d", len(wrong), len(want))
				}
			}
			if c.header == "" {
				return
			}
			h, err := ParseHeader(unhex(c.header))
			if err != nil || h.Command != c.command || int(h.Size) != len(want) || !bytes.Equal(h.AppendTo(nil), unhex(c.header)) {
				t.Errorf("header %+v, %v, want %v of %d bytes", h, err, c.command, len(want))
			}
			for d := range Old + 1 {
				if size, ok := c.command.BodySize(d); !ok || size != len(want) {
					t.Errorf("BodySize(%v) = %d, %v, want %d", d, size, ok, len(want))
				}
			}
		})
	}
}

// TestCapturedWithoutBody is the messages that are a header alone.
func TestCapturedWithoutBody(t *testing.T) {
	for _, c := range []struct {
		bytes string
		want  []Command
	}{
		{"00000000 12000000", []Command{CmdGetReadersState}},
		{"00000000 13000000 00000000 16000000", []Command{CmdWaitReaderStateChange, CmdGetReadersStateSize}},
		{"00000000 17000000", []Command{CmdGetReadersStateArray}},
		{"00000000 15000000", []Command{CmdGetReaderEvents}},
		{"00000000 14000000", []Command{CmdStopWaiting}},
	} {
		b := unhex(c.bytes)
		for _, want := range c.want {
			h, err := ParseHeader(b[:HeaderSize])
			if err != nil || h != (Header{0, want}) {
				t.Errorf("%s: %+v, %v, want %v", c.bytes, h, err, want)
			}
			if size, ok := want.BodySize(Array); !ok || size != 0 {
				t.Errorf("BodySize of %v = %d, %v, want 0", want, size, ok)
			}
			b = b[HeaderSize:]
		}
		if len(b) != 0 {
			t.Errorf("%s: %d bytes left", c.bytes, len(b))
		}
	}
}

// TestParsed compares fields, not bytes, where one field could stand in for
// another.
func TestParsed(t *testing.T) {
	c, err := ParseConnect(unhex("01000000" + nameHex + "02000000 03000000 04000000 05000000 06000000"))
	if want := (Connect{1, name(t), 2, 3, 4, 5, 6}); err != nil || c != want {
		t.Errorf("Connect %+v, %v, want %+v", c, err, want)
	}
	tr, err := ParseTransmit(unhex("01000000 02000000 03000000 04000000 05000000 06000000 07000000 08000000"))
	if want := (Transmit{1, 2, 3, 4, 5, 6, 7, 8}); err != nil || tr != want {
		t.Errorf("Transmit %+v, %v, want %+v", tr, err, want)
	}
	ctl, err := ParseControl(unhex("01000000 02000000 03000000 04000000 05000000 06000000"))
	if want := (Control{1, 2, 3, 4, 5, 6}); err != nil || ctl != want {
		t.Errorf("Control %+v, %v, want %+v", ctl, err, want)
	}
	rec, err := ParseReconnect(unhex("01000000 02000000 03000000 04000000 05000000 06000000"))
	if want := (Reconnect{1, 2, 3, 4, 5, 6}); err != nil || rec != want {
		t.Errorf("Reconnect %+v, %v, want %+v", rec, err, want)
	}
	r, err := ParseReader(unhex(nameHex + "01000000 02000000 ffffffff" + zeros(33) + "abcdef 04000000 05000000"))
	if want := (Reader{Name: name(t), Counter: 1, State: 2, Sharing: SharingExclusive, ATRLength: 4, Protocol: 5}); err != nil || r != want {
		t.Errorf("Reader %+v, %v, want %+v", r, err, want)
	}
}

package wire

import (
	"fmt"
	"strings"
)

// ShareMode is dwShareMode of [Connect] and [Reconnect].
type ShareMode uint32

// The share modes.
const (
	ShareExclusive ShareMode = 1
	ShareShared    ShareMode = 2
	ShareDirect    ShareMode = 3 // to the reader; it needs no card
)

func (s ShareMode) String() string {
	switch s {
	case ShareExclusive:
		return "exclusive"
	case ShareShared:
		return "shared"
	case ShareDirect:
		return "direct"
	}
	return fmt.Sprintf("ShareMode(%d)", uint32(s))
}

// Valid reports whether s is one of the three.
func (s ShareMode) Valid() bool { return s >= ShareExclusive && s <= ShareDirect }

// Protocol is a set of protocols, or the one in force.
type Protocol uint32

// The protocols.
const (
	ProtocolUndefined Protocol = 0
	ProtocolT0        Protocol = 1
	ProtocolT1        Protocol = 2
	ProtocolRaw       Protocol = 4
	ProtocolT15       Protocol = 8
	ProtocolAnyOld    Protocol = 0x1000 // of old programs: T=0 or T=1
)

// Expand replaces ProtocolAnyOld by what it stands for.
func (p Protocol) Expand() Protocol {
	if p&ProtocolAnyOld != 0 {
		p = p&^ProtocolAnyOld | ProtocolT0 | ProtocolT1
	}
	return p
}

// String joins the names: "T0|T1".
func (p Protocol) String() string {
	if p == ProtocolUndefined {
		return "undefined"
	}
	return bits(uint32(p), []bitName{
		{uint32(ProtocolT0), "T0"}, {uint32(ProtocolT1), "T1"}, {uint32(ProtocolRaw), "raw"},
		{uint32(ProtocolT15), "T15"}, {uint32(ProtocolAnyOld), "any"},
	})
}

type bitName struct {
	bit  uint32
	name string
}

// bits joins the names of the bits in v.
func bits(v uint32, names []bitName) string {
	var parts []string
	for _, n := range names {
		if v&n.bit != 0 {
			parts = append(parts, n.name)
			v &^= n.bit
		}
	}
	if v != 0 {
		parts = append(parts, fmt.Sprintf("%#x", v))
	}
	return strings.Join(parts, "|")
}

// Disposition says what to do with the card: dwInitialization of [Reconnect],
// dwDisposition of [Disconnect] and [EndTransaction].
type Disposition uint32

// The dispositions.
const (
	LeaveCard   Disposition = 0
	ResetCard   Disposition = 1 // warm reset
	UnpowerCard Disposition = 2
	EjectCard   Disposition = 3 // not in Reconnect
)

func (d Disposition) String() string {
	switch d {
	case LeaveCard:
		return "leave"
	case ResetCard:
		return "reset"
	case UnpowerCard:
		return "unpower"
	case EjectCard:
		return "eject"
	}
	return fmt.Sprintf("Disposition(%d)", uint32(d))
}

// Valid reports whether d is one of the four.
func (d Disposition) Valid() bool { return d <= EjectCard }

// Connect makes a handle (struct connect_struct, 152 bytes).
type Connect struct {
	Context   Context
	Reader    ReaderName
	Share     ShareMode
	Preferred Protocol // acceptable protocols
	Handle    Handle   // in the answer; 0 unless Result is Success
	Active    Protocol // in the answer
	Result    Result
}

// AppendTo appends the 152 bytes of the message to b.
func (m *Connect) AppendTo(b []byte) []byte {
	b = put(b, uint32(m.Context))
	b = append(b, m.Reader[:]...)
	return put(b, uint32(m.Share), uint32(m.Preferred), uint32(m.Handle), uint32(m.Active), uint32(m.Result))
}

// ParseConnect reads a [Connect].
func ParseConnect(b []byte) (Connect, error) {
	if err := check("Connect", b, ConnectSize); err != nil {
		return Connect{}, err
	}
	return Connect{
		Context: Context(u32(b, 0)), Reader: ReaderName(b[4:132]),
		Share: ShareMode(u32(b, 132)), Preferred: Protocol(u32(b, 136)),
		Handle: Handle(u32(b, 140)), Active: Protocol(u32(b, 144)), Result: Result(u32(b, 148)),
	}, nil
}

// Reconnect renews a handle (struct reconnect_struct, 24 bytes).
type Reconnect struct {
	Handle         Handle
	Share          ShareMode
	Preferred      Protocol
	Initialization Disposition
	Active         Protocol // in the answer
	Result         Result
}

// AppendTo appends the 24 bytes of the message to b.
func (m Reconnect) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Handle), uint32(m.Share), uint32(m.Preferred), uint32(m.Initialization), uint32(m.Active), uint32(m.Result))
}

// ParseReconnect reads a [Reconnect].
func ParseReconnect(b []byte) (Reconnect, error) {
	if err := check("Reconnect", b, ReconnectSize); err != nil {
		return Reconnect{}, err
	}
	return Reconnect{
		Handle: Handle(u32(b, 0)), Share: ShareMode(u32(b, 4)), Preferred: Protocol(u32(b, 8)),
		Initialization: Disposition(u32(b, 12)), Active: Protocol(u32(b, 16)), Result: Result(u32(b, 20)),
	}, nil
}

// Disconnect ends a handle (struct disconnect_struct, 12 bytes).
type Disconnect struct {
	Handle      Handle
	Disposition Disposition
	Result      Result
}

// AppendTo appends the 12 bytes of the message to b.
func (m Disconnect) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Handle), uint32(m.Disposition), uint32(m.Result))
}

// ParseDisconnect reads a [Disconnect].
func ParseDisconnect(b []byte) (Disconnect, error) {
	if err := check("Disconnect", b, DisconnectSize); err != nil {
		return Disconnect{}, err
	}
	return Disconnect{Handle: Handle(u32(b, 0)), Disposition: Disposition(u32(b, 4)), Result: Result(u32(b, 8))}, nil
}

// Status asks whether a handle is still good; what it tells of the card, the
// client takes from the readers' records (struct status_struct, 8 bytes).
type Status struct {
	Handle Handle
	Result Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m Status) AppendTo(b []byte) []byte { return put(b, uint32(m.Handle), uint32(m.Result)) }

// ParseStatus reads a [Status].
func ParseStatus(b []byte) (Status, error) {
	if err := check("Status", b, StatusSize); err != nil {
		return Status{}, err
	}
	return Status{Handle: Handle(u32(b, 0)), Result: Result(u32(b, 4))}, nil
}

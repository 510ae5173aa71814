package wire

import "fmt"

// Command is the second word of a [Header] (enum pcsc_msg_commands).
type Command uint32

// The commands. A daemon answers one that it does not know, or one of the three
// retired ones, by closing the connection.
const (
	CmdEstablishContext      Command = 0x01
	CmdReleaseContext        Command = 0x02
	CmdListReaders           Command = 0x03 // retired
	CmdConnect               Command = 0x04
	CmdReconnect             Command = 0x05
	CmdDisconnect            Command = 0x06
	CmdBeginTransaction      Command = 0x07
	CmdEndTransaction        Command = 0x08
	CmdTransmit              Command = 0x09 // data follows the structure, both ways
	CmdControl               Command = 0x0A // data follows the structure, both ways
	CmdStatus                Command = 0x0B
	CmdGetStatusChange       Command = 0x0C // retired
	CmdCancel                Command = 0x0D // on a connection of its own
	CmdCancelTransaction     Command = 0x0E // retired
	CmdGetAttribute          Command = 0x0F
	CmdSetAttribute          Command = 0x10
	CmdVersion               Command = 0x11
	CmdGetReadersState       Command = 0x12 // answered by the array of before 4:6
	CmdWaitReaderStateChange Command = 0x13 // answered as [Dialect.WaitAnswers] says, and by one [Event] later
	CmdStopWaiting           Command = 0x14 // answered by an [Event] if none was sent yet, in 4:3 always
	CmdGetReaderEvents       Command = 0x15 // 4:5 and later
	CmdGetReadersStateSize   Command = 0x16 // 4:6
	CmdGetReadersStateArray  Command = 0x17 // 4:6; answered by as many records as the last size said
)

var commands = [...]string{
	CmdEstablishContext: "EstablishContext", CmdReleaseContext: "ReleaseContext", CmdListReaders: "ListReaders",
	CmdConnect: "Connect", CmdReconnect: "Reconnect", CmdDisconnect: "Disconnect",
	CmdBeginTransaction: "BeginTransaction", CmdEndTransaction: "EndTransaction",
	CmdTransmit: "Transmit", CmdControl: "Control", CmdStatus: "Status", CmdGetStatusChange: "GetStatusChange",
	CmdCancel: "Cancel", CmdCancelTransaction: "CancelTransaction",
	CmdGetAttribute: "GetAttribute", CmdSetAttribute: "SetAttribute", CmdVersion: "Version",
	CmdGetReadersState: "GetReadersState", CmdWaitReaderStateChange: "WaitReaderStateChange",
	CmdStopWaiting: "StopWaiting", CmdGetReaderEvents: "GetReaderEvents",
	CmdGetReadersStateSize: "GetReadersStateSize", CmdGetReadersStateArray: "GetReadersStateArray",
}

func (c Command) String() string {
	if int64(c) < int64(len(commands)) && commands[c] != "" {
		return commands[c]
	}
	return fmt.Sprintf("Command(%#02x)", uint32(c))
}

// BodySize is the size that the header of c has to name in dialect d, bytes. It
// is false for a command that d does not have.
func (c Command) BodySize(d Dialect) (size int, ok bool) {
	switch c {
	case CmdEstablishContext:
		return EstablishSize, true
	case CmdReleaseContext:
		return ReleaseSize, true
	case CmdConnect:
		return ConnectSize, true
	case CmdReconnect:
		return ReconnectSize, true
	case CmdDisconnect:
		return DisconnectSize, true
	case CmdBeginTransaction:
		return BeginTransactionSize, true
	case CmdEndTransaction:
		return EndTransactionSize, true
	case CmdTransmit:
		return TransmitSize, true
	case CmdControl:
		return ControlSize, true
	case CmdStatus:
		return StatusSize, true
	case CmdCancel:
		return CancelSize, true
	case CmdGetAttribute, CmdSetAttribute:
		return AttributeSize, true
	case CmdVersion:
		return VersionSize, true
	case CmdGetReadersState:
		return 0, true
	case CmdWaitReaderStateChange, CmdStopWaiting:
		if d == Old {
			return EventSize, true
		}
		return 0, true
	case CmdGetReaderEvents:
		return 0, d != Old
	case CmdGetReadersStateSize, CmdGetReadersStateArray:
		return 0, d == Array
	}
	return 0, false
}

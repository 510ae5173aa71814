package wire

// Transmit carries an APDU (struct transmit_struct, 32 bytes). The command APDU
// follows the message of a client, the response APDU that of the daemon if
// Result is [Success].
type Transmit struct {
	Handle       Handle
	SendProtocol Protocol // ioSendPciProtocol
	// SendPCILength, RecvProtocol and RecvPCILength come from the client and go
	// back as they came. The length of a PCI is 16 where a long has 64 bits and 8
	// elsewhere; RecvProtocol is 3 when the program gave no structure.
	SendPCILength uint32
	SendLength    uint32 // cbSendLength: bytes of the command APDU
	RecvProtocol  uint32
	RecvPCILength uint32
	// RecvLength is the room of the client, bytes; in the answer the length of
	// the response APDU, also if that does not fit.
	RecvLength uint32
	Result     Result
}

// AppendTo appends the 32 bytes of the message to b.
func (m *Transmit) AppendTo(b []byte) []byte {
	b = order.AppendUint32(b, uint32(m.Handle))
	b = order.AppendUint32(b, uint32(m.SendProtocol))
	b = order.AppendUint32(b, m.SendPCILength)
	b = order.AppendUint32(b, m.SendLength)
	b = order.AppendUint32(b, m.RecvProtocol)
	b = order.AppendUint32(b, m.RecvPCILength)
	b = order.AppendUint32(b, m.RecvLength)
	return order.AppendUint32(b, uint32(m.Result))
}

// ParseTransmit reads a [Transmit] without its data.
func ParseTransmit(b []byte) (Transmit, error) {
	if err := check("Transmit", b, TransmitSize); err != nil {
		return Transmit{}, err
	}
	return Transmit{
		Handle: Handle(u32(b, 0)), SendProtocol: Protocol(u32(b, 4)), SendPCILength: u32(b, 8), SendLength: u32(b, 12),
		RecvProtocol: u32(b, 16), RecvPCILength: u32(b, 20), RecvLength: u32(b, 24), Result: Result(u32(b, 28)),
	}, nil
}

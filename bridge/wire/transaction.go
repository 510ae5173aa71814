package wire

// BeginTransaction locks the card for a handle (struct begin_struct, 8 bytes).
type BeginTransaction struct {
	Handle Handle
	Result Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m BeginTransaction) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Handle), uint32(m.Result))
}

// ParseBeginTransaction reads a [BeginTransaction].
func ParseBeginTransaction(b []byte) (BeginTransaction, error) {
	if err := check("BeginTransaction", b, BeginTransactionSize); err != nil {
		return BeginTransaction{}, err
	}
	return BeginTransaction{Handle: Handle(u32(b, 0)), Result: Result(u32(b, 4))}, nil
}

// EndTransaction takes the lock back (struct end_struct, 12 bytes).
type EndTransaction struct {
	Handle      Handle
	Disposition Disposition
	Result      Result
}

// AppendTo appends the 12 bytes of the message to b.
func (m EndTransaction) AppendTo(b []byte) []byte {
	return put(b, uint32(m.Handle), uint32(m.Disposition), uint32(m.Result))
}

// ParseEndTransaction reads an [EndTransaction].
func ParseEndTransaction(b []byte) (EndTransaction, error) {
	if err := check("EndTransaction", b, EndTransactionSize); err != nil {
		return EndTransaction{}, err
	}
	return EndTransaction{Handle: Handle(u32(b, 0)), Disposition: Disposition(u32(b, 4)), Result: Result(u32(b, 8))}, nil
}

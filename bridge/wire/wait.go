package wire

// Event is the one message that a daemon sends of itself: something about a
// reader changed, or the wait ended otherwise. [CmdWaitReaderStateChange] asks
// for one. It is also the answer to [CmdStopWaiting], and in 4:3 the body of both
// commands (struct wait_reader_state_change, 8 bytes).
type Event struct {
	Timeout uint32 // timeOut: no client reads it here
	Result  Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m Event) AppendTo(b []byte) []byte { return put(b, m.Timeout, uint32(m.Result)) }

// ParseEvent reads an [Event].
func ParseEvent(b []byte) (Event, error) {
	if err := check("Event", b, EventSize); err != nil {
		return Event{}, err
	}
	return Event{Timeout: u32(b, 0), Result: Result(u32(b, 4))}, nil
}

// ReaderEvents answers [CmdGetReaderEvents] (struct get_reader_events, 8 bytes).
type ReaderEvents struct {
	// Count is a number that every arrival and removal of a reader changes, 1 to
	// 32767.
	Count  uint32
	Result Result
}

// AppendTo appends the 8 bytes of the message to b.
func (m ReaderEvents) AppendTo(b []byte) []byte { return put(b, m.Count, uint32(m.Result)) }

// ParseReaderEvents reads a [ReaderEvents].
func ParseReaderEvents(b []byte) (ReaderEvents, error) {
	if err := check("ReaderEvents", b, ReaderEventsSize); err != nil {
		return ReaderEvents{}, err
	}
	return ReaderEvents{Count: u32(b, 0), Result: Result(u32(b, 4))}, nil
}

// ReadersSize answers [CmdGetReadersStateSize] by the number of records that the
// array of [CmdGetReadersStateArray] will have (4 bytes).
type ReadersSize int32

// AppendTo appends the 4 bytes of the message to b.
func (m ReadersSize) AppendTo(b []byte) []byte { return put(b, uint32(m)) }

// ParseReadersSize reads a [ReadersSize].
func ParseReadersSize(b []byte) (ReadersSize, error) {
	if err := check("ReadersSize", b, ReadersSizeSize); err != nil {
		return 0, err
	}
	return ReadersSize(u32(b, 0)), nil
}

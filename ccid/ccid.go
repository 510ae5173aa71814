// Package ccid drives smart-card readers and tokens over one claimed USB
// interface: the bulk messages of CCID rev 1.10, both control-pipe forms of
// ICCD rev 1.0, and above them whatever the reader leaves to the host, down to
// the procedure bytes of T=0 and the blocks of T=1.
//
// [Open] makes a [Reader] of a [usb.Pipe]; a reader has one or more [Slot]s.
// PowerOn brings the card of a slot to the point where Transmit works:
//
//	r, err := ccid.Open(ctx, pipe, ifc)
//	...
//	defer r.Close()
//	slot := r.Slots()[0]
//	atr, err := slot.PowerOn(ctx)
//	...
//	resp, err := slot.Transmit(ctx, nil, []byte{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00})
//
// # One command, one answer
//
// Every answer is checked against slot and sequence number of the command; what
// does not match is stale and is dropped (CCID rev 1.10 §4). A command whose
// last byte left the host is never sent twice. If its answer cannot be had,
// Transmit returns an error that is [ErrOutcomeUnknown] and wraps the cause.
// After that, and whenever the driver had to resynchronise with the reader, the
// card counts as reset: every Transmit returns [ErrCardReset], without I/O,
// until the owner calls PowerOn or Reset, which then cycles the power.
//
// # Waiting
//
// Every wait has a limit (see [Timeouts]) and ends when its context does, and
// at once with [usb.ErrGone] when the device goes. A reader asks for more time
// with a time extension; that moves the limit. Cancelling a command aborts it
// in the reader first (CCID rev 1.10 §5.3.1, §6.1.13), which takes at most the
// limit of the abort.
//
// # Concurrency
//
// All methods are safe for concurrent use. A slot runs one call at a time, in
// the order in which the calls arrive at its gate; as many slots are busy
// together as the reader declares. The calling goroutine does the I/O. Of
// several that wait, one reads the bulk-IN endpoint and leaves the answers of
// the others with them, so a token with one slot costs no hand-over. A reader
// has goroutines of its own only if it has an interrupt endpoint or must be
// polled for its card.
//
// The numbers of CCID and USB are little-endian, those of ISO 7816 big-endian.
package ccid

package emu

import (
	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// chain is a command of several blocks (ISO 7816-4:2013 §5.3.3): all but the last
// have class 10. Only CHANGE REFERENCE DATA and PSO are chained on this card.
type chain struct {
	open        bool // a block came and more are due
	ins, p1, p2 byte
	target      *file // what the collected data is for
	limit       int   // how many bytes it will be
	data        []byte
}

// continuedBy reports whether cmd is the next block.
func (ch *chain) continuedBy(cmd iso7816.Command) bool {
	return (cmd.CLA == 0x00 || cmd.CLA == 0x10) && cmd.INS == ch.ins && cmd.P1 == ch.p1 && cmd.P2 == ch.p2
}

// begin starts collecting limit bytes for target.
func (ch *chain) begin(cmd iso7816.Command, target *file, limit int) {
	ch.ins, ch.p1, ch.p2 = cmd.INS, cmd.P1, cmd.P2
	ch.target, ch.limit = target, limit
}

// add collects b; false if that is more than the limit.
func (ch *chain) add(b []byte) bool {
	if len(ch.data)+len(b) > ch.limit {
		return false
	}
	ch.data = append(ch.data, b...)
	return true
}

// full reports that all bytes are there.
func (ch *chain) full() bool { return len(ch.data) == ch.limit }

// drop ends the chain and wipes what was collected: it may be a key or a PIN.
func (ch *chain) drop() {
	secret.Wipe(ch.data)
	*ch = chain{data: ch.data[:0]}
}

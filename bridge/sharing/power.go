package sharing

import (
	"slices"

	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// due is a set of what a reader has to do by itself. The lowest bit comes first.
type due byte

const (
	dueReset   due = 1 << iota // who held the lock is gone
	duePowerUp                 // a card came
	dueIdle                    // nobody has used the card for a while
)

// order has a reader do something by itself as soon as it has the turn, before
// all that wait for it.
func (m *Machine) order(r *Reader, d due) {
	r.due |= d
	if r.busy == nil {
		m.release(r)
	}
}

// distrust has the card reset because nobody knows what the one who left had
// proved to it. The others hear of it at once.
func (m *Machine) distrust(r *Reader) {
	if r.gone || r.due&dueReset != 0 {
		return
	}
	m.mark(r, CardWasReset)
	r.unsettled++
	m.order(r, dueReset)
}

// Own is the operation in which a reader does its own work. Whoever looks after
// the reader does the work while it is in state Working, like that of any
// operation.
func (r *Reader) Own() *Op { return &r.own }

// stepOwn takes one of the things that are due.
func (m *Machine) stepOwn(op *Op) {
	r := op.reader
	switch {
	case r.due&dueReset != 0:
		r.due &^= dueReset
		op.unsettles = true // distrust has counted it
		if r.power {
			op.work.Kind = WarmReset
			return
		}
	case r.due&duePowerUp != 0:
		r.due &^= duePowerUp
		if r.present && !r.power {
			op.work.Kind = PowerUp
			return
		}
	case r.due&dueIdle != 0:
		r.due &^= dueIdle
		if r.idle && r.power {
			op.unsettle() // nobody may count on the power now
			op.work.Kind = PowerDown
			return
		}
	}
	m.finish(op, wire.Success)
}

// rest looks whether the card is in use, and begins an idle period if it is not.
// A handle to the reader alone does not use the card.
func (m *Machine) rest(r *Reader) {
	if !r.power || r.gone || r.used(nil) {
		r.idle = false
	} else if !r.idle {
		r.idle = true
		r.idleNumber++
		m.effects.Readers = append(m.effects.Readers, r)
	}
}

// used reports whether a handle other than h uses the card.
func (r *Reader) used(h *Handle) bool {
	return slices.ContainsFunc(r.handles, func(o *Handle) bool { return o != h && o.share != wire.ShareDirect })
}

// Idle reports whether the card has power and nobody uses it; each idle period
// has another number.
func (r *Reader) Idle() (number uint64, idle bool) { return r.idleNumber, r.idle }

// IdleOver says that an idle period has lasted long enough: the power is taken
// from the card, and no client sees that.
func (m *Machine) IdleOver(r *Reader, number uint64) {
	if r.idle && number == r.idleNumber {
		m.order(r, dueIdle)
	}
}

// powered takes over how work on the power or the protocol of the card ended. It
// gives the result that counts.
func (m *Machine) powered(op *Op, work Work, out Outcome) wire.Result {
	r := op.reader
	insertion := op.kind == opOwn && work.Kind == PowerUp
	switch {
	case op.epoch != r.epoch:
		return wire.NoSmartcard // it was another card
	case out.Result == wire.NoSmartcard:
		m.cardGone(r)
		if !r.published {
			m.publish(r)
		}
		return out.Result
	case out.Result == wire.ReaderUnavailable:
		r.power, r.idle = false, false
		if insertion {
			m.fail(r)
		}
		return out.Result
	case work.Kind == PowerDown:
		r.power, r.idle = false, false
		return wire.Success
	case work.Kind == ProtocolWork && out.Result == wire.Success:
		r.protocol = wire.ProtocolT0
		if work.Protocol == iso7816.T1 {
			r.protocol = wire.ProtocolT1
		}
		return out.Result
	case work.Kind == ProtocolWork:
		// The card has to be powered up before anything else.
		r.power, r.idle = false, false
		return out.Result
	}
	state := wire.CardReady
	if out.Result != wire.Success {
		state, out.ATR = wire.CardMute, iso7816.ATR{}
	}
	if insertion {
		m.cardCame(r, state, out.ATR)
		return out.Result
	}
	m.setState(r, state, out.ATR)
	r.power = state == wire.CardReady
	m.rest(r)
	return out.Result
}

// setState is setCard for a card that stays. Clients wait for its falling mute,
// and for its recovery, not for its resets.
func (m *Machine) setState(r *Reader, state wire.ReaderState, atr iso7816.ATR) {
	changed := (r.state^state)&wire.StateSwallowed != 0
	r.setCard(state, atr)
	if changed {
		m.signal()
	}
}

package t1

// failed counts one failure. It reports false with the step that ends the
// patience if there is no repeat left.
func (h *Host) failed() (Step, bool) {
	h.failures++
	h.repeats++
	if h.repeats > maxRepeats {
		return h.giveUp(), false
	}
	if h.failures < maxFailures {
		return Step{}, true
	}
	switch {
	case h.state != super:
		return h.lostStep(), false
	case h.request == IFS && !h.silent:
		return h.finish(nil), false // refused: the size stays as it was
	case h.request == AbortChain:
		return h.lostStep(), false
	}
	return h.giveUp(), false
}

// lostStep is rule 7.4: a card that never said anything right is reset, any
// other is resynchronised.
func (h *Host) lostStep() Step {
	if !h.heard {
		return h.giveUp()
	}
	return h.resynch()
}

// failure answers an invalid or unexpected block, or none (rules 7.1 to 7.3):
// an R-block or a request is repeated as it was, after anything else an
// R-block asks for the card's block again.
func (h *Host) failure(code byte) Step {
	if s, ok := h.failed(); !ok {
		return s
	}
	switch pcb := h.last[1]; {
	case pcb&SBlock == RBlock, h.state == super:
		return h.resend()
	}
	return h.send(RBlock|h.nr<<4|code, nil)
}

// repeatI sends the outstanding I-block again (rule 7.5): byte for byte the
// same, unless the card has shrunk IFSC since. It must never grow, or bytes are
// lost if the card did accept the first one.
func (h *Host) repeatI() Step {
	if s, ok := h.failed(); !ok {
		return s
	}
	if h.secure {
		return h.resynch()
	}
	return h.sendPart(min(h.part, h.maxPart()))
}

// resynch starts S(RESYNCH request) (rule 6).
func (h *Host) resynch() Step {
	h.resynchs++
	if h.resynchs > maxResynchs {
		return h.giveUp()
	}
	return h.sendRequest(Resynch)
}

// resynched goes on after S(RESYNCH response). Both sides count from 0 again
// and unfinished chains are void. The command is sent again, from its first
// byte, only if the card cannot have had all of it.
func (h *Host) resynched() Step {
	h.ns, h.nr, h.outstanding = 0, 0, false
	h.ifsc = min(h.ifsc, h.p.IFSC)
	h.failures, h.silent = 0, true
	switch {
	case h.verdict != nil:
		return h.finish(h.verdict)
	case h.final:
		return h.finish(ErrOutcomeUnknown)
	case h.abort:
		return h.finish(ErrAborted)
	}
	h.off = 0
	return h.sendPart(h.maxPart())
}

// giveUp leaves it to a card reset.
func (h *Host) giveUp() Step {
	if h.verdict != nil {
		return h.kill(h.verdict)
	}
	if h.silent {
		return h.kill(ErrMute)
	}
	return h.kill(ErrProtocol)
}

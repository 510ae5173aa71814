package t1

// Receive takes the bytes that came in answer to the block last sent, whatever
// they are. The slice is not kept.
func (h *Host) Receive(block []byte) Step {
	if !h.busy() {
		return h.unasked()
	}
	h.silent = false
	b, err := h.parse(block)
	if err == ErrEDC {
		return h.failure(ErrorEDC)
	}
	if err != nil {
		return h.failure(ErrorOther)
	}
	h.heard = true
	if h.state == super {
		return h.receiveResponse(b)
	}
	switch b.Kind() {
	case IBlock:
		return h.receiveI(b)
	case RBlock:
		return h.receiveR(b)
	}
	return h.receiveS(b)
}

// Fail takes the reader's word that no block came.
func (h *Host) Fail(c Cause) Step {
	if !h.busy() {
		return h.unasked()
	}
	switch c {
	case CauseTimeout:
		if h.state == aborted && h.verdict != nil {
			// The card aborted our chain and waits for us without having said
			// so: resynchronisation settles the numbers.
			return h.resynch()
		}
		return h.failure(ErrorOther)
	case CauseParity:
		h.silent = false
		return h.failure(ErrorEDC)
	case CauseOverrun:
		h.silent = false
		return h.failure(ErrorOther)
	}
	return h.kill(ErrDead)
}

func (h *Host) busy() bool { return h.state != idle && h.state != dead }

// unasked answers a call for which there is no exchange: the link's owner is
// confused, and a block that nobody asked for must not be believed later.
func (h *Host) unasked() Step { return Step{Kind: ResetCard, Err: ErrDead} }

// parse reads a block and finds out which CRC the card speaks: until the first
// error-free block the other form is tried too. A card that speaks it has
// refused what we sent so far (R-block, EDC error), so that a change of form
// repeats nothing that was accepted.
func (h *Host) parse(raw []byte) (Block, error) {
	b, err := ParseBlock(raw, h.edc)
	if err == ErrEDC && h.edc != LRC && !h.heard {
		other := CRC ^ CRCInverted ^ h.edc
		if o, oerr := ParseBlock(raw, other); oerr == nil {
			h.edc, b, err = other, o, nil
		}
	}
	if err == nil && b.NAD != h.p.NAD<<4|h.p.NAD>>4 {
		return Block{}, ErrBlock
	}
	return b, err
}

func (h *Host) receiveI(b Block) Step {
	if b.Seq() != h.nr {
		// In receive this is the part before once more: our acknowledgement was
		// lost, and the data must not be appended again.
		return h.failure(ErrorOther)
	}
	if b.More() && len(b.INF) == 0 {
		// Legal nowhere, harmless once, endless otherwise.
		if h.repeats++; h.repeats > maxRepeats {
			return h.kill(ErrProtocol)
		}
	}
	if h.outstanding {
		// An I-block acknowledges ours; in the middle of our chain it is an
		// early answer and the rest of the command is dropped.
		h.ns ^= 1
		h.outstanding = false
	}
	h.nr ^= 1
	h.failures, h.ifsRequests, h.silent, h.verdict = 0, 0, true, nil
	h.final = true // the card has decided, whatever it had seen

	h.total += len(b.INF)
	if h.total <= h.p.MaxResponse {
		h.dst = append(h.dst, b.INF...)
	}
	switch {
	case h.total > maxResponse:
		h.verdict = h.outcome(ErrTooLong)
		return h.resynch()
	case b.More():
		h.state = receive
		if h.abort {
			return h.sendRequest(AbortChain)
		}
		return h.send(RBlock|h.nr<<4, nil)
	case h.total > h.p.MaxResponse:
		return h.finish(h.outcome(ErrTooLong))
	case len(h.dst)-h.base < 2:
		return h.finish(h.outcome(ErrShort))
	}
	return h.finish(nil)
}

func (h *Host) receiveR(b Block) Step {
	switch h.state {
	case aborted:
		if b.PCB&(ErrorEDC|ErrorOther) != 0 {
			// A complaint, not the right to send: the card may be at its new
			// chain already, which must not answer the next command.
			return h.failure(ErrorOther)
		}
		h.ns = b.Seq()
		if h.verdict == nil {
			h.verdict = h.outcome(ErrAborted)
		}
		return h.finish(h.verdict)
	case sent, chain:
		if b.Seq() == h.ns {
			return h.repeatI()
		}
	}
	if h.state != chain {
		return h.failure(ErrorOther)
	}
	h.ns ^= 1
	h.outstanding = false
	h.off += h.part
	h.failures, h.ifsRequests, h.silent = 0, 0, true
	if h.abort {
		return h.sendRequest(AbortChain)
	}
	return h.sendPart(h.maxPart())
}

// receiveS handles what the card asks for while it has the word.
func (h *Host) receiveS(b Block) Step {
	switch b.PCB {
	case WTX:
		h.failures, h.silent = 0, true
		s := h.send(WTX|SResponse, b.INF)
		s.WTX = b.INF[0]
		return s
	case IFS:
		size := b.INF[0]
		h.ifsRequests++
		if size == 0 || size > MaxINF || h.ifsRequests > maxIFS {
			return h.failure(ErrorOther)
		}
		h.ifsc = int(size)
		h.failures, h.silent = 0, true
		return h.send(IFS|SResponse, b.INF)
	case AbortChain:
		h.abortRequests++
		if h.abortRequests > maxAborts {
			return h.failure(ErrorOther)
		}
		switch h.state {
		case chain: // our chain: the command is dropped
			h.verdict = ErrAborted
		case receive: // its own chain: what came of it is void
			h.dst = h.dst[:h.base]
		}
		h.state = aborted
		h.failures, h.silent = 0, true
		return h.send(AbortChain|SResponse, nil)
	}
	// S(RESYNCH request) is not for the card to send, and no answer is awaited.
	return h.failure(ErrorOther)
}

// receiveResponse handles whatever comes while our own S-block request is out.
func (h *Host) receiveResponse(b Block) Step {
	if b.PCB != h.request|SResponse || h.request == IFS && b.INF[0] != h.ifs {
		return h.failure(ErrorOther)
	}
	switch h.request {
	case IFS:
		h.ifsd = int(h.ifs)
		return h.finish(nil)
	case AbortChain:
		// Whether the card counts the block that we answered by the request is
		// not settled by the standard. With numbers in doubt it would take our
		// next complaint for an acknowledgement, and a part would be lost.
		h.verdict = h.outcome(ErrAborted)
		return h.resynch()
	}
	return h.resynched()
}

package t1

// put makes a block in the buffer, without its code.
func (h *Host) put(pcb byte, inf []byte) {
	h.last[0], h.last[1], h.last[2] = h.p.NAD, pcb, byte(len(inf))
	h.lastLen = PrologueLen + copy(h.last[PrologueLen:PrologueLen+MaxINF], inf)
}

// resend hands out the block in the buffer, with the code now in force.
func (h *Host) resend() Step {
	return Step{Kind: Send, Block: h.edc.appendTo(h.last[:h.lastLen:cap(h.last)], 0)}
}

func (h *Host) send(pcb byte, inf []byte) Step {
	h.put(pcb, inf)
	return h.resend()
}

// sendPart sends the I-block that begins at off, of at most limit bytes.
func (h *Host) sendPart(limit int) Step {
	inf := h.apdu[h.off:]
	pcb := h.ns << 6
	h.state = sent
	if len(inf) > limit {
		inf = inf[:limit]
		pcb |= More
		h.state = chain
	} else {
		h.final = true
	}
	h.part = len(inf)
	h.outstanding = true
	return h.send(pcb, inf)
}

func (h *Host) sendRequest(pcb byte) Step {
	h.state, h.request, h.failures, h.silent = super, pcb, 0, true
	if pcb == IFS {
		return h.send(pcb, []byte{h.ifs})
	}
	return h.send(pcb, nil)
}

package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"kaztoken/ccid"
	"kaztoken/internal/trace"
	"kaztoken/usb"
)

// comparison goes along a session while the driver works.
type comparison struct {
	session *session

	mu     sync.Mutex // guards all following fields
	at     int        // the event that is due
	ended  bool
	report Device
	asks   asking
}

// seqAt is the place of bSeq in a message, which is not compared: time extensions
// of the card shift it.
const seqAt = 6

// met takes what has happened in the replay.
func (c *comparison) met(kind trace.Kind, b []byte, setup usb.Setup, status int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || kind != trace.Requested && c.asks.of(kind, b) {
		return
	}
	if c.at == len(c.session.events) {
		// Where the recording ends, the driver may still put things in order.
		c.ended = true
		return
	}
	e := c.session.events[c.at]
	if e.Kind != kind || e.Setup != setup {
		c.differ(e, kind.String(), b)
		c.ended = true
		return
	}
	c.at++
	switch kind {
	case trace.Sent:
		c.report.Sent++
	case trace.Answered:
		c.report.Answered++
	case trace.Requested:
		c.report.Requests++
	}
	if !same(e, b) || e.Status != status {
		c.differ(e, kind.String(), b)
	}
}

// differ notes a difference.
func (c *comparison) differ(e trace.Event, what string, got []byte) {
	if len(c.report.Differences) < maxDifferences {
		want := trace.BytesOf(e.Data, e.Masked)
		g := trace.BytesOf(append([]byte(nil), got...), e.Masked)
		c.report.Differences = append(c.report.Differences, Difference{e.Packet, what, want.Hex(), g.Hex()})
	}
}

// same compares what is known of a recorded event with bytes.
func same(e trace.Event, b []byte) bool {
	if len(e.Data) != len(b) {
		return false
	}
	want := trace.BytesOf(e.Data, e.Masked)
	for i, v := range b {
		if v != want.Data[i] && !want.Hidden[i] && !(i == seqAt && e.Kind != trace.Requested) {
			return false
		}
	}
	return true
}

// end stops the comparison; what is due is left.
func (c *comparison) end(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.report.Why == "" || c.at < len(c.session.events) {
		c.report.Why = why
	}
}

func (c *comparison) goesOn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.at < len(c.session.events)
}

func (c *comparison) position() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *comparison) result() Device {
	c.mu.Lock()
	defer c.mu.Unlock()
	if left := len(c.session.events) - c.at; left > 0 {
		c.report.Left += left
		if c.report.Why == "" {
			c.report.Why = "the replay went another way"
		}
	}
	return c.report
}

// step has the driver do what comes next in the recording. It says why that
// cannot be, "" if it was done.
func (c *comparison) step(ctx context.Context, r *ccid.Reader, cards []*card) (why string) {
	at := c.position()
	e := c.session.events[at]
	if e.Kind != trace.Sent {
		return fmt.Sprintf("packet %d: an answer that the replay does not have", e.Packet)
	}
	m, _ := ccid.ParseMessage(e.Data) // it is one
	if int(m.Slot) >= len(cards) {
		return fmt.Sprintf("packet %d: slot %d of %d", e.Packet, m.Slot, len(cards))
	}
	slot, card := r.Slots()[m.Slot], cards[m.Slot]
	var err error
	switch m.Type.String() {
	case "IccPowerOn":
		if atr := c.session.atr(m.Slot, at); atr != nil {
			card.atr = atr
		}
		_, err = slot.PowerOn(ctx)
	case "IccPowerOff":
		next := c.session.next(at, m.Slot)
		switch next {
		case "IccPowerOn":
			if atr := c.session.atr(m.Slot, at); atr != nil {
				card.atr = atr
			}
			_, err = slot.Reset(ctx, true)
		case "":
			err = r.Close()
		default:
			err = slot.PowerOff(ctx)
		}
	case "XfrBlock":
		command, answer, ok := c.session.exchange(at, m.Slot)
		if !ok && c.session.why != "" {
			return c.session.why // that was where the rest of it would be
		}
		if !ok {
			return fmt.Sprintf("packet %d: the APDU or its answer is not whole", e.Packet)
		}
		card.next = answer
		_, err = slot.Transmit(ctx, nil, command)
	default:
		return fmt.Sprintf("packet %d: %v by itself", e.Packet, m.Type)
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err().Error()
	}
	return "" // an error of the driver shows in what it sends
}

// next names the next command after event n in a slot, "" if there is none.
func (s *session) next(n int, slot byte) string {
	for _, e := range s.events[n+1:] {
		if e.Kind != trace.Sent {
			continue
		}
		if m, err := ccid.ParseMessage(e.Data); err == nil && m.Slot == slot {
			return m.Type.String()
		}
	}
	return ""
}

// apdu is a whole APDU of a slot.
type apdu struct {
	at   int // the event that ends it
	sent bool
	data []byte
}

// join puts the APDUs of all slots together, once. The protocol in force is known
// from what came before.
func (s *session) join() map[byte][]apdu {
	if s.apdus != nil {
		return s.apdus
	}
	s.apdus = make(map[byte][]apdu)
	joiners := make(map[byte]*trace.Joiner)
	for i, e := range s.events {
		if e.Kind != trace.Sent && e.Kind != trace.Answered {
			continue
		}
		m, err := ccid.ParseMessage(e.Data)
		if err != nil {
			continue
		}
		j := joiners[m.Slot]
		if j == nil {
			j = trace.NewJoiner(s.device.Interface.Reader.Features.Level())
			joiners[m.Slot] = j
		}
		take := j.Answered
		if e.Kind == trace.Sent {
			take = j.Sent
		}
		if all, whole := take(m, trace.BytesOf(e.Data, e.Masked).From(len(e.Data)-len(m.Data))); whole {
			s.apdus[m.Slot] = append(s.apdus[m.Slot], apdu{i, e.Kind == trace.Sent, all.Data})
		}
	}
	return s.apdus
}

// exchange gives the APDU that begins with event n, and its answer.
func (s *session) exchange(n int, slot byte) (command, answer []byte, ok bool) {
	all := s.join()[slot]
	first, _ := slices.BinarySearchFunc(all, n, func(a apdu, n int) int { return cmp.Compare(a.at, n) })
	if first+1 >= len(all) || !all[first].sent || all[first+1].sent {
		return nil, nil, false
	}
	return all[first].data, all[first+1].data, true
}

// tap listens to the control requests of a pipe.
type tap struct {
	usb.Pipe
	c *comparison
}

func (t tap) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	n, err := t.Pipe.Control(ctx, s, data)
	status := int32(0)
	switch {
	case errors.Is(err, usb.ErrStall):
		status = stalled
	case err != nil:
		status = withdrawn
	}
	b := data
	if s.In() {
		b = data[:n]
	}
	t.c.met(trace.Requested, b, s, status)
	return n, err
}

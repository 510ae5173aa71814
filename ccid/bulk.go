package ccid

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kaztoken/usb"
)

// bulkLink carries the messages of CCID over the bulk endpoints.
//
// A caller takes out, sends its command and enters it as pending. Of those who
// wait for answers the one who gets in reads the endpoint: it takes whatever
// message comes, leaves it with the slot that it belongs to, and goes on until
// its own is there. Where both are needed, out is taken before in.
type bulkLink struct {
	r          *Reader
	pipe       usb.Pipe
	mps        int // wMaxPacketSize of bulk-IN
	maxMessage int // dwMaxCCIDMessageLength

	out  chan struct{} // held while sending; guards the following fields
	next byte          // bSeq of the next command
	wait boundedContext

	in          chan struct{} // held while reading; guards the following fields
	rx          []byte        // what came of the message at the front of the stream
	have        int           // bytes of it
	headerFirst bool          // read one packet, then the rest
	terminates  bool          // the reader was seen to end a transfer with an empty packet
	drops       int           // messages dropped since one was taken

	mu      sync.Mutex // guards the following fields; no I/O while held
	pending []pending  // by slot
	broken  error      // why the link has to be resynchronised, nil if in order
	fault   fault
}

// pending is what a slot waits for and what came of it.
type pending struct {
	active   bool
	seq      byte
	answered bool  // the answer is in the first n bytes of the slot's rx
	n        int   //
	extended bool  // the card asked for more time
	factor   byte  // with this multiplier
	err      error // the link broke down
}

// How an answer fails to be one.
var (
	errMalformed = fmt.Errorf("malformed answer: %w", ErrProtocol)
	errOutOfSync = fmt.Errorf("too many stale answers: %w", ErrProtocol)
	errEndless   = fmt.Errorf("too many time extensions: %w", ErrProtocol)
	errWrongType = fmt.Errorf("wrong type of answer: %w", ErrProtocol)
)

// maxDrops bounds the stale messages before a taken one.
const maxDrops = 32

func newBulkLink(r *Reader) *bulkLink {
	mps := r.ifc.BulkIn.MaxPacketSize
	l := &bulkLink{
		r: r, pipe: r.pipe, mps: mps, maxMessage: int(r.desc.MaxMessageLength),
		out: make(chan struct{}, 1), in: make(chan struct{}, 1),
		headerFirst: r.headerFirst,
		pending:     make([]pending, len(r.slots)),
	}
	// A buffer takes the longest message up to the end of its last packet, and
	// one packet more for a transfer that was cut at an odd place.
	size := roundUp(l.maxMessage, mps) + mps
	l.rx = make([]byte, size)
	for _, s := range r.slots {
		s.rx = make([]byte, size)
	}
	return l
}

// roundUp gives the smallest positive multiple of m that is not below n.
func roundUp(n, m int) int { return max(1, (n+m-1)/m) * m }

func (l *bulkLink) payload() int { return l.maxMessage - headerLen }

// roundTrip implements link.
func (l *bulkLink) roundTrip(ctx context.Context, s *Slot, m Message, limit time.Duration) (Message, error) {
	s.sent = false
	if len(m.Data) > l.payload() {
		return Message{}, fmt.Errorf("%v with %d bytes, the reader takes %d: %w", m.Type, len(m.Data), l.payload(), ErrNotSupported)
	}
	if err := l.synchronise(ctx, s, m.Type); err != nil {
		return Message{}, err
	}
	start := time.Now()
	if err := l.send(ctx, s, m); err != nil {
		return Message{}, err
	}
	deadline := start.Add(limit)
	for extensions := 0; ; {
		p, err := l.await(ctx, s, deadline)
		if extensions++; err == nil && s.tooMany(extensions) {
			err = errEndless
		}
		if err != nil {
			return Message{}, l.giveUp(s, m.Type, err)
		}
		if p.extended {
			deadline = s.extend(m.Type, p.seq, p.factor, start, limit)
			continue
		}
		a := decode(s.rx[:p.n])
		if l.r.hook != nil {
			s.traceAnswer(m.Type, s.rx[:p.n], time.Since(start))
		}
		if a.Type != m.Type.answer() && !(a.Type == msgSlotStatus && a.Status().Failed()) {
			return Message{}, l.giveUp(s, m.Type, fmt.Errorf("%v: %w", a.Type, errWrongType))
		}
		return a, nil
	}
}

// extend gives the new deadline after a time extension. It counts from now, so
// extensions do not add up, and together they end at the total of a command
// (CCID rev 1.10 §6.2.6, bmCommandStatus 2).
func (s *Slot) extend(t MessageType, seq, factor byte, start time.Time, limit time.Duration) time.Time {
	if s.r.hook != nil {
		e := Event{Kind: EventTimeExtension, Slot: int(s.index), Seq: seq, Type: t, Factor: factor, Elapsed: time.Since(start)}
		if factor == 0xFF { // one family of tokens says so that it waits for its button
			e.Kind = EventUserPresence
		}
		s.r.hook(e)
	}
	deadline := time.Now().Add(s.timing.extended(factor))
	if total := s.r.timeouts.Total; total > 0 {
		if end := start.Add(max(total, limit)); deadline.After(end) {
			deadline = end
		}
	}
	return deadline
}

// take gets hold of out or in.
func (l *bulkLink) take(ctx context.Context, lock chan struct{}) error {
	select {
	case lock <- struct{}{}:
		return nil
	default:
	}
	select {
	case lock <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.r.done:
		return l.r.Err()
	}
}

// send writes one command and enters it as pending.
func (l *bulkLink) send(ctx context.Context, s *Slot, m Message) error {
	if err := l.take(ctx, l.out); err != nil {
		return err
	}
	defer func() { <-l.out }()
	l.mu.Lock()
	broken := l.broken
	l.mu.Unlock()
	if broken != nil { // by another slot, this very moment
		return fmt.Errorf("%v: %w: %w", m.Type, ErrCardReset, broken)
	}
	err := l.write(ctx, s, m, l.r.timeouts.BulkOut)
	// A message that the reader did not take to its end is none.
	s.sent = !errors.Is(err, usb.ErrShortWrite) && !errors.Is(err, usb.ErrStall)
	return err
}

// write is send for a caller that holds out and knows the state of the link.
func (l *bulkLink) write(ctx context.Context, s *Slot, m Message, limit time.Duration) error {
	m.Slot, m.Seq = s.index, l.next
	l.next++
	s.tx = m.AppendTo(s.tx[:0])
	select { // a knock too late for the command before
	case <-s.mail:
	default:
	}
	l.mu.Lock()
	l.pending[s.index] = pending{active: true, seq: m.Seq}
	l.mu.Unlock()
	if l.r.hook != nil {
		s.traceCommand(s.tx)
	}
	if err := l.put(ctx, s.tx, limit); err != nil {
		l.forget(s)
		l.breakDown(err)
		return fmt.Errorf("%v: %w", m.Type, err)
	}
	return nil
}

// put writes one message. The length is in the header, so the end of a message
// that fills its last packet needs no mark (CCID rev 1.10 §6).
func (l *bulkLink) put(ctx context.Context, msg []byte, limit time.Duration) error {
	bound := l.wait.until(ctx, time.Now().Add(min(limit, l.r.timeouts.BulkOut)))
	err := l.pipe.WriteBulk(bound, msg)
	if err == nil && l.r.quirks.SendZLP && len(msg)%max(1, l.r.ifc.BulkOut.MaxPacketSize) == 0 {
		err = l.pipe.WriteBulk(bound, nil)
	}
	if errors.Is(err, usb.ErrTimeout) {
		if e := expired(ctx); e != nil {
			return e
		}
	}
	return err
}

// await waits until the pending command of s is answered or extended.
func (l *bulkLink) await(ctx context.Context, s *Slot, deadline time.Time) (pending, error) {
	for {
		reading, err := l.queue(ctx, s, deadline)
		if err != nil {
			return pending{}, err
		}
		if reading {
			p, err := l.lead(ctx, s, deadline)
			if err != nil && !final(err) && !abortable(err) {
				err = l.breakDown(err) // before another reads, who would not hear of it
			}
			<-l.in
			return p, err
		}
		if p, ok := l.collect(s); ok {
			return p, p.err
		}
	}
}

// queue waits for in, or for another to knock at the door with an answer.
func (l *bulkLink) queue(ctx context.Context, s *Slot, deadline time.Time) (reading bool, err error) {
	select {
	case l.in <- struct{}{}:
		return true, nil
	default:
	}
	s.timer.Reset(time.Until(deadline))
	defer s.timer.Stop()
	select {
	case l.in <- struct{}{}:
		return true, nil
	case <-s.mail:
		return false, nil
	case <-s.timer.C:
		return false, usb.ErrTimeout
	case <-ctx.Done():
		return false, ctx.Err()
	case <-l.r.done:
		return false, l.r.Err()
	}
}

// lead reads messages until there is something for s. The caller holds in.
func (l *bulkLink) lead(ctx context.Context, s *Slot, deadline time.Time) (pending, error) {
	for {
		if p, ok := l.collect(s); ok {
			return p, p.err
		}
		if err := l.receive(ctx, s, deadline); err != nil {
			return pending{}, err
		}
	}
}

// collect takes what there is for s.
func (l *bulkLink) collect(s *Slot) (p pending, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p = l.pending[s.index]
	switch {
	case p.answered, p.err != nil:
		l.pending[s.index] = pending{}
		return p, true
	case p.extended:
		l.pending[s.index].extended = false
		return p, true
	}
	return p, false
}

// forget takes back the pending command of s: its answer will be stale.
func (l *bulkLink) forget(s *Slot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending[s.index] = pending{}
}

// receive makes one transfer and passes on the message that it completes. No
// error and no message is possible. The caller holds in and s's gate.
//
// A message that fills its last packet and is not followed by an empty one
// does not end a transfer that asks for more. So a transfer for a whole message
// is looked at every now and then, until the reader has shown that it ends
// them; and if it shows the contrary, messages are read by their header.
func (l *bulkLink) receive(ctx context.Context, s *Slot, deadline time.Time) error {
	at := deadline
	if !l.headerFirst && !l.terminates {
		if peek := time.Now().Add(peekInterval); peek.Before(at) {
			at = peek
		}
	}
	want := l.want()
	n, err := l.pipe.ReadBulk(s.wait.until(ctx, at), l.rx[l.have:l.have+want])
	l.have += n
	ended := err == nil && n < want
	if l.have == 0 && ended {
		return l.dropped() // an empty packet: the end of a transfer before
	}
	whole, bad := l.whole()
	switch {
	case bad != nil:
		return bad
	case whole:
		if ended && l.have%l.mps == 0 {
			l.terminates = true
		}
		if errors.Is(err, usb.ErrTimeout) {
			l.headerFirst = true
		}
		return l.deliver()
	case ended:
		return fmt.Errorf("%d bytes: %w", l.have, errMalformed)
	case errors.Is(err, usb.ErrTimeout):
		if e := expired(ctx); e != nil {
			return e
		}
		if time.Now().Before(deadline) {
			return nil
		}
	}
	return err
}

// want is how much to ask for: always whole packets, or the reader might send
// more than there is room for.
func (l *bulkLink) want() int {
	due := l.maxMessage
	switch {
	case l.have >= headerLen:
		due = int(messageLen(l.rx)) // checked by whole
	case l.headerFirst:
		due = headerLen
	}
	return min(roundUp(due-l.have, l.mps), (len(l.rx)-l.have)/l.mps*l.mps)
}

// whole reports whether rx holds a whole message. The length in the header is
// not believed beyond what the reader declared.
func (l *bulkLink) whole() (bool, error) {
	if l.have < headerLen {
		return false, nil
	}
	n := messageLen(l.rx)
	if n > uint64(l.maxMessage) {
		return false, fmt.Errorf("dwLength %d: %w", n-headerLen, errMalformed)
	}
	return uint64(l.have) >= n, nil
}

// deliver gives the message at the front of rx to the slot that waits for it,
// or drops it.
func (l *bulkLink) deliver() error {
	b, n := l.rx[:l.have], int(messageLen(l.rx))
	taken := l.hand(n)
	if !taken && l.r.hook != nil {
		l.r.hook(Event{Kind: EventDropped, Slot: int(b[5]), Seq: b[6], Type: MessageType(b[0])})
	}
	l.have = 0
	if rest := b[n:]; len(rest) > 0 {
		l.keep(rest, n)
	}
	if !taken {
		return l.dropped()
	}
	l.drops = 0
	if l.have > 0 {
		if whole, err := l.whole(); whole || err != nil {
			return errors.Join(err, l.deliver())
		}
	}
	return nil
}

// hand gives the first n bytes of rx to the slot that they are for, if that
// slot waits for them. The buffer changes hands, the bytes stay.
func (l *bulkLink) hand(n int) bool {
	slot, seq := int(l.rx[5]), l.rx[6]
	if slot >= len(l.pending) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, s := &l.pending[slot], l.r.slots[slot]
	if !p.active || p.answered || p.seq != seq {
		return false
	}
	if decode(l.rx[:n]).Status().TimeExtension() { // of any type: some send it as SlotStatus
		p.extended, p.factor = true, l.rx[8]
	} else {
		p.answered, p.n, p.extended = true, n, false // an extension nobody saw yet is over
		s.rx, l.rx = l.rx, s.rx
	}
	s.knock()
	return true
}

func (s *Slot) knock() {
	select {
	case s.mail <- struct{}{}:
	default:
	}
}

// keep looks at what came behind a message of n bytes in the same transfer. A
// reader that leaves out empty packets runs messages together; others pad.
func (l *bulkLink) keep(rest []byte, n int) {
	if n%l.mps == 0 && len(rest) >= headerLen && MessageType(rest[0]).isAnswer() &&
		messageLen(rest) <= uint64(l.maxMessage) {
		l.headerFirst = true
		l.have = copy(l.rx, rest)
		return
	}
	if l.r.hook != nil {
		l.r.hook(Event{Kind: EventJunk, Slot: -1, Hidden: len(rest)})
	}
}

// dropped counts a message or empty packet that nobody can use.
func (l *bulkLink) dropped() error {
	if l.drops++; l.drops > maxDrops {
		l.drops = 0
		return errOutOfSync
	}
	return nil
}

// drain throws away what the reader has to say, until it is silent for d.
func (l *bulkLink) drain(ctx context.Context, s *Slot, d time.Duration) error {
	l.have, l.drops = 0, 0
	for range maxDrops {
		_, err := l.pipe.ReadBulk(s.wait.until(ctx, time.Now().Add(d)), l.rx[:len(l.rx)/l.mps*l.mps])
		if errors.Is(err, usb.ErrTimeout) {
			return expired(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ask makes one round trip for a caller that holds both out and in, whatever
// the state of the link.
func (l *bulkLink) ask(ctx context.Context, s *Slot, m Message, limit time.Duration) (Message, error) {
	deadline := time.Now().Add(limit)
	if err := l.write(ctx, s, m, limit); err != nil {
		return Message{}, err
	}
	defer l.forget(s)
	for {
		p, err := l.lead(ctx, s, deadline)
		switch {
		case err != nil:
			return Message{}, err
		case p.extended:
			continue
		}
		a := decode(s.rx[:p.n])
		if l.r.hook != nil {
			s.traceAnswer(m.Type, s.rx[:p.n], 0)
		}
		if a.Type != m.Type.answer() {
			return Message{}, fmt.Errorf("%v: %v: %w", m.Type, a.Type, errWrongType)
		}
		return a, nil
	}
}

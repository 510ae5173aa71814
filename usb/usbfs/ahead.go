//go:build linux

package usbfs

import (
	"bytes"
	"context"
	"time"
)

// readAhead asks for the answer to a message that is just leaving: else nobody
// would ask for it before this program has woken up and learned that the message
// has left. A reader that has no answer yet says so, as to any read that waits (USB
// 2.0 §8.4.5, NAK). It is asked for as much as after the last message; nothing of
// it is seen before the caller reads.
func (p *pipe) readAhead() {
	l := p.in
	if l == nil {
		return
	}
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	default:
		return // somebody reads
	}
	p.mu.Lock()
	n := p.answer
	if p.err != nil || l.ahead {
		n = 0
	}
	p.mu.Unlock()
	if n == 0 || l.rest != nil {
		return
	}
	if _, err := l.fill(n); err != nil {
		return // the read itself will tell
	}
	l.stop = nil
	p.mu.Lock()
	if p.err != nil {
		p.mu.Unlock()
		return
	}
	l.ahead, l.state, l.reset = true, submitted, false
	p.flying++
	p.mu.Unlock()
	p.submit(l)
}

// takeBack forgets a read ahead, and what it has brought. The caller has the turn
// of l, or is alone.
func (p *pipe) takeBack(l *lane) {
	clear(l.rest)
	l.rest = nil
	p.mu.Lock()
	ahead := l.ahead
	l.ahead = false
	if l == p.in {
		p.answer = 0
	}
	p.mu.Unlock()
	if !ahead {
		return
	}
	p.discard(l)
	p.mu.Lock()
	l.deadline, l.done = time.Time{}, nil
	waits, lead := l.pending(), p.leader == nil
	if waits && lead {
		p.leader = l
	}
	p.mu.Unlock()
	if waits && (lead || p.follow(context.Background(), l)) {
		p.lead(context.Background(), l)
	}
	p.mu.Lock()
	l.state = idle
	p.mu.Unlock()
	clear(l.buf)
}

// readAnswer is read of an endpoint that may be read ahead. How much was asked
// for then need not be how much is asked for now; what is short ends a read.
func (p *pipe) readAnswer(ctx context.Context, l *lane, buf []byte) (got int, err error) {
	if len(buf) == 0 {
		return 0, nil
	}
	if err := p.enter(ctx, l); err != nil {
		return 0, err
	}
	defer p.leave(l)
	p.mu.Lock()
	if p.wrote {
		p.wrote, p.answer = false, len(buf)
	}
	p.mu.Unlock()
	if l.rest != nil {
		got = copy(buf, l.rest)
		clear(l.rest[:got])
		l.rest = l.rest[got:]
		if got == len(buf) {
			if len(l.rest) == 0 && !l.short {
				l.rest = nil
			}
			return got, nil
		}
		l.rest = nil
		if l.short {
			return got, nil
		}
	}
	for {
		p.mu.Lock()
		ahead := l.ahead
		p.mu.Unlock()
		if !ahead {
			if _, err := l.fill(len(buf) - got); err != nil {
				return got, err
			}
		}
		asked := int(l.urb.bufferLength)
		n, err := p.transfer(ctx, l)
		n = min(n, asked)
		b := l.buf[:n]
		m := copy(buf[got:], b)
		got += m
		if m < n || n < asked && got == len(buf) {
			l.rest, l.short = bytes.Clone(b[m:]), n < asked
		}
		clear(b)
		if err != nil || n < asked || got == len(buf) {
			return got, err
		}
	}
}

package ifd

import (
	"errors"
	"sync"
	"sync/atomic"

	"kaztoken/bridge"
	"kaztoken/bridge/descriptors"
	"kaztoken/ccid"
	"kaztoken/usb"
)

// channel is one open reader, or one that is being opened.
type channel struct {
	h    *Handler
	name string // by which the host opened it

	// Written before ready is set.
	dev    usb.Info
	ifc    usb.Interface
	reader *ccid.Reader
	slots  []*slot

	ready  bool // open; guarded by Handler.mu
	broken bool // not to be used any more; guarded by Handler.mu

	endOnce sync.Once
	ended   chan struct{} // closed when nobody is to wait any more
}

// slot is a slot of an open reader.
type slot struct {
	*ccid.Slot
	channel *channel
	info    bridge.Info
	opened  bool          // guarded by Handler.mu
	stop    chan struct{} // capacity 1: the next or present poll is to return
	failing atomic.Bool   // the reader did not respond when last asked

	mu   sync.Mutex // guards the following fields; no I/O while held
	seen sight
	told bool // that the reader has left
}

// sight is what a host has been told of a slot.
type sight struct {
	cards   uint64
	present bool
}

func (c *channel) adopt(r *ccid.Reader) {
	c.reader = r
	info := descriptors.Info(c.dev, c.ifc)
	for _, s := range r.Slots() {
		own := &slot{Slot: s, channel: c, info: info, stop: make(chan struct{}, 1)}
		descriptors.SetProperties(&own.info, s.TLVProperties())
		c.slots = append(c.slots, own)
	}
}

// end lets nobody wait any more.
func (c *channel) end() { c.endOnce.Do(func() { close(c.ended) }) }

// close closes the reader. One that is broken may never let go.
func (c *channel) close() {
	c.end()
	if c.reader == nil {
		return
	}
	c.h.mu.Lock()
	broken := c.broken
	c.h.mu.Unlock()
	if broken {
		go func() {
			defer func() { recover() }() // it has panicked before
			c.reader.Close()             // nobody waits for what it says
		}()
		return
	}
	if err := c.reader.Close(); err != nil && !errors.Is(err, usb.ErrGone) {
		c.h.log(Debug, nil, "%v: close: %v", c.dev, err)
	}
}

package bridge

import "kaztoken/bridge/wire"

// awaitStart waits until answers may tell of readers. The first client connects
// while the service is still starting: it is what starts it.
func (c *conn) awaitStart() error {
	select {
	case <-c.s.started:
		return nil
	default:
	}
	gone, stop := c.link.watch()
	defer stop()
	select {
	case <-c.s.started:
		return nil
	case <-gone:
		if c.s.isClosing() {
			return ErrClosed
		}
		return errHungUp
	}
}

// tell sends what make makes of the state of the readers. No event comes between
// the making and the sending: what it tells of goes out first.
func (c *conn) tell(make func(b []byte) []byte) error {
	if err := c.awaitStart(); err != nil {
		return err
	}
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	c.lock()
	b := make(c.out[:0])
	c.s.settle()
	c.unlock()
	if cap(b) > cap(c.out) {
		c.out = b[:0]
	}
	if len(b) > smallRoom {
		c.small = 0
	}
	if len(b) == 0 {
		return nil
	}
	return c.write(b)
}

// array sends one of the arrays.
func (c *conn) array(make func(b []byte) []byte) error { return c.tell(make) }

func (c *conn) wait() error {
	return c.tell(func(b []byte) []byte {
		b = c.s.machine.Wait(c.client, b)
		if c.client.Pending() {
			c.startNet()
		}
		return b
	})
}

func (c *conn) stopWaiting() error {
	return c.tell(func(b []byte) []byte {
		if c.s.machine.Stop(c.client) {
			b = wire.Event{}.AppendTo(b)
		}
		return b
	})
}

func (c *conn) readerEvents() error {
	return c.tell(func(b []byte) []byte { return c.s.machine.ReaderEvents().AppendTo(b) })
}

func (c *conn) arraySize() error {
	return c.tell(func(b []byte) []byte { return c.s.machine.ArraySize(c.client).AppendTo(b) })
}

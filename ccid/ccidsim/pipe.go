package ccidsim

import (
	"context"
	"fmt"
	"sync"

	"kaztoken/usb"
)

var errClosed = fmt.Errorf("software device: %w", usb.ErrClosed)

// pipe is the in-process face of a Device.
type pipe struct {
	d      *Device
	gone   <-chan struct{}
	closed chan struct{}
	once   sync.Once
}

// Pipe opens the device's reader interface in process. Any number may be open;
// they share the device as processes that know nothing of each other would, so
// one at a time is what makes sense. A transfer that the device can serve at
// once allocates nothing. A pipe dies with [Device.Unplug] and stays dead after
// [Device.Replug].
func (d *Device) Pipe() usb.Pipe {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pipes++
	return &pipe{d: d, gone: d.gone, closed: make(chan struct{})}
}

// OpenPipes counts the pipes that were opened and not closed.
func (d *Device) OpenPipes() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pipes
}

func (p *pipe) session() session { return session{p.gone, p.closed} }

func (p *pipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	return p.d.control(ctx, p.session(), s, data)
}

func (p *pipe) WriteBulk(ctx context.Context, msg []byte) error {
	return p.d.out(ctx, p.session(), p.d.profile.Interface.BulkOut.Address, msg)
}

func (p *pipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	p.checkRead(buf, p.d.bulkIn.mps)
	return p.d.in(ctx, p.session(), p.d.profile.Interface.BulkIn.Address, buf)
}

func (p *pipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	p.checkRead(buf, p.d.interrupt.mps)
	return p.d.in(ctx, p.session(), p.d.profile.Interface.Interrupt.Address, buf)
}

// checkRead complains of reads that risk an overflow: not whole packets.
func (p *pipe) checkRead(buf []byte, mps int) {
	if mps > 0 && (len(buf) == 0 || len(buf)%mps != 0) {
		p.d.mu.Lock()
		p.d.violation("read of %d bytes is no multiple of %d", len(buf), mps)
		p.d.mu.Unlock()
	}
}

func (p *pipe) Recover(ctx context.Context) error {
	if err := p.session().over(); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return ended(ctx)
	}
	i := &p.d.profile.Interface
	p.d.ClearHalt(i.BulkIn.Address)
	p.d.ClearHalt(i.BulkOut.Address)
	return nil
}

func (p *pipe) Close() error {
	p.once.Do(func() {
		close(p.closed)
		p.d.mu.Lock()
		p.d.pipes--
		p.d.mu.Unlock()
	})
	return nil
}

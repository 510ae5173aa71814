//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/google/gousb"

	"kaztoken/usb"
)

const (
	// controlTimeout bounds a control transfer whose context has no deadline.
	controlTimeout = time.Second
	// maxControlTimeout bounds every control transfer: a device must have
	// answered a request by then (USB 2.0 §9.2.6.1), and nothing can cancel it.
	maxControlTimeout = 5 * time.Second
)

// device is what a pipe needs of one opened device with our interface claimed:
// gousb, or a fake in tests. Errors are those of gousb or of package usb.
type device interface {
	control(timeout time.Duration, s usb.Setup, data []byte) (int, error)
	// transfer runs one bulk or interrupt transfer on one of the interface's
	// endpoints until it is done or ctx is. Bytes moved are counted beside errors.
	transfer(ctx context.Context, address byte, data []byte) (int, error)
	// clearHalt resets the halt and the toggles of both sides, or fails.
	clearHalt(address byte) error
	// reselect sets the alternate setting in force again, which resets all
	// endpoints of the interface. No transfer may be under way.
	reselect() error
	// gone looks whether the device is still there, without traffic to it.
	gone() bool
	// close releases everything. No transfer may be under way.
	close() error
}

// errPaused ends an interrupt transfer that Recover has to interrupt.
var errPaused = fmt.Errorf("%w: interrupted by a recovery", usb.ErrIO)

// pipe implements usb.Pipe over a device.
type pipe struct {
	dev device
	ifc usb.Interface

	out, in, interrupt call

	// controlling serialises control transfers: gousb keeps their timeout in a
	// field of the device.
	controlling sync.Mutex

	// recovering is held by Recover from end to end. It is taken before gate.
	recovering sync.Mutex

	// gate is held for reading during every transfer, and for writing by those
	// who may not work beside one: reselect and close.
	gate sync.RWMutex

	mu    sync.Mutex // guards the following
	ended error      // why no transfer can begin: ErrGone or ErrClosed

	once   sync.Once
	failed error // what Close found
}

// end makes all calls end with cause, now and in future. The first cause stays.
func (p *pipe) end(cause error) {
	p.mu.Lock()
	if p.ended == nil {
		p.ended = cause
	}
	cause = p.ended
	p.mu.Unlock()
	p.out.terminate(cause)
	p.in.terminate(cause)
	p.interrupt.terminate(cause)
}

func (p *pipe) whyEnded() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ended
}

func (p *pipe) WriteBulk(ctx context.Context, msg []byte) error {
	e := p.ifc.BulkOut.Address
	p.gate.RLock()
	defer p.gate.RUnlock()
	n, err := p.transfer(ctx, &p.out, e, msg)
	if err == nil && n < len(msg) {
		err = fmt.Errorf("%w: %d of %d bytes", usb.ErrShortWrite, n, len(msg))
	}
	if err != nil {
		return fmt.Errorf("bulk OUT %#02x: %w", e, err)
	}
	return nil
}

func (p *pipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	e := p.ifc.BulkIn.Address
	p.gate.RLock()
	defer p.gate.RUnlock()
	n, err := p.transfer(ctx, &p.in, e, buf)
	if err != nil {
		return n, fmt.Errorf("bulk IN %#02x: %w", e, err)
	}
	return n, nil
}

func (p *pipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	e := p.ifc.Interrupt.Address
	for {
		p.gate.RLock()
		n, err := p.transfer(ctx, &p.interrupt, e, buf)
		p.gate.RUnlock()
		if n == 0 && errors.Is(err, errPaused) {
			p.awaitRecovery() // then go on as if nothing had been
			continue
		}
		if err != nil {
			return n, fmt.Errorf("interrupt IN %#02x: %w", e, err)
		}
		return n, nil
	}
}

// awaitRecovery returns when no recovery is under way.
func (p *pipe) awaitRecovery() {
	p.recovering.Lock()
	defer p.recovering.Unlock()
}

// transfer runs one transfer under c. The caller holds gate for reading.
func (p *pipe) transfer(ctx context.Context, c *call, address byte, data []byte) (int, error) {
	if address == 0 {
		return 0, usb.ErrNoEndpoint
	}
	if err := c.begin(ctx); err != nil {
		return 0, err
	}
	n, err := p.dev.transfer(c, address, data)
	n = max(0, min(n, len(data)))
	cause := c.end()
	if err == nil {
		return n, nil // a cancellation that came too late
	}
	if cause != nil && errors.Is(err, gousb.TransferCancelled) {
		return n, cause
	}
	return n, p.judge(err)
}

// judge translates an error of the device, and ends the pipe if it means that
// the device is gone.
func (p *pipe) judge(err error) error {
	err = translate(err)
	if !errors.Is(err, usb.ErrGone) && errors.Is(err, usb.ErrIO) && p.dev.gone() {
		// The kernel reports errors of the wire until the hub has noticed, and
		// then it is the file that is dead: ask it.
		err = fmt.Errorf("%w: %w", usb.ErrGone, err)
	}
	if errors.Is(err, usb.ErrGone) {
		p.end(usb.ErrGone)
	}
	return err
}

// Control runs in the calling goroutine and cannot be cancelled once it began:
// it ends with the device's answer or at its timeout, which is the deadline, 1 s
// if there is none, never more than 5 s. Cancellation is honoured before and after.
func (p *pipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	n, err := p.control(ctx, s, data)
	if err != nil {
		return n, fmt.Errorf("control request %02x %02x: %w", s.RequestType, s.Request, err)
	}
	return n, nil
}

func (p *pipe) control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	if len(data) > math.MaxUint16 {
		return 0, fmt.Errorf("%d bytes of data", len(data))
	}
	p.controlling.Lock()
	defer p.controlling.Unlock()
	p.gate.RLock()
	defer p.gate.RUnlock()
	if err := p.whyEnded(); err != nil {
		return 0, err
	}
	left, limited, err := timeLeft(ctx)
	if err != nil {
		return 0, err
	}
	timeout := controlTimeout
	if limited {
		// libusb counts milliseconds and takes none for no limit.
		timeout = min((left + time.Millisecond - 1).Truncate(time.Millisecond), maxControlTimeout)
	}
	n, err := p.dev.control(timeout, s, data)
	n = max(0, min(n, len(data))) // gousb gives libusb's negative code for a count
	switch {
	case err != nil:
		err = p.judge(err)
		if errors.Is(err, usb.ErrTimeout) && ctx.Err() != nil {
			err = causeOf(ctx.Err())
		}
	case n < len(data) && !s.In():
		err = fmt.Errorf("%w: %d of %d bytes", usb.ErrShortWrite, n, len(data))
	}
	return n, err
}

// Recover clears the halt of both bulk endpoints. If that is refused, or cannot
// be done so that the host's toggles are reset too, it sets the alternate
// setting again; a pending ReadInterrupt is withdrawn for that moment and
// submitted again without its caller's notice.
func (p *pipe) Recover(ctx context.Context) error {
	if err := p.recover(ctx); err != nil {
		return fmt.Errorf("recovering interface %d: %w", p.ifc.Number, err)
	}
	return nil
}

func (p *pipe) recover(ctx context.Context) error {
	p.recovering.Lock()
	defer p.recovering.Unlock()
	err := p.clearHalts(ctx)
	if _, _, late := timeLeft(ctx); err == nil || late != nil || p.whyEnded() != nil {
		return err
	}

	p.interrupt.hold(errPaused)
	defer p.interrupt.resume()
	p.gate.Lock()
	defer p.gate.Unlock()
	if err := p.whyEnded(); err != nil {
		return err
	}
	if rerr := p.dev.reselect(); rerr != nil {
		return errors.Join(err, p.judge(rerr))
	}
	return nil
}

func (p *pipe) clearHalts(ctx context.Context) error {
	p.controlling.Lock() // it may take control transfers
	defer p.controlling.Unlock()
	p.gate.RLock()
	defer p.gate.RUnlock()
	var all error
	for _, e := range [...]usb.Endpoint{p.ifc.BulkOut, p.ifc.BulkIn} {
		if e.Address == 0 {
			continue
		}
		if err := p.whyEnded(); err != nil {
			return err
		}
		if _, _, err := timeLeft(ctx); err != nil {
			return err
		}
		// Both are tried: the device's side of the second is worth resetting
		// even if the first was refused.
		if err := p.dev.clearHalt(e.Address); err != nil {
			all = errors.Join(all, fmt.Errorf("clear-halt %#02x: %w", e.Address, p.judge(err)))
		}
	}
	return all
}

// Close waits for the transfers it withdraws. A control transfer that is under
// way is waited for until its timeout.
func (p *pipe) Close() error {
	p.once.Do(func() {
		p.end(usb.ErrClosed)
		p.gate.Lock()
		defer p.gate.Unlock()
		p.failed = p.dev.close()
	})
	return p.failed
}

package ifd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/wire"
	"kaztoken/ccid/ccidsim"
	"kaztoken/usb"
)

// panicPipe panics where it is told to.
type panicPipe struct {
	usb.Pipe
	where string
	armed *bool
}

func (p panicPipe) perhaps(where string) {
	if *p.armed && p.where == where {
		var none []byte
		_ = none[len(where)]
	}
}

func (p panicPipe) WriteBulk(ctx context.Context, msg []byte) error {
	p.perhaps("write")
	return p.Pipe.WriteBulk(ctx, msg)
}

func (p panicPipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	p.perhaps("read")
	return p.Pipe.ReadBulk(ctx, buf)
}

func (p panicPipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	n, err := p.Pipe.ReadInterrupt(ctx, buf)
	p.perhaps("interrupt")
	return n, err
}

// TestContain: a panic of the driver is a failure of the call, and the end of
// that channel alone.
func TestContain(t *testing.T) {
	for _, where := range []string{"write", "read", "interrupt"} {
		t.Run(where, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				armed := false
				var b bus
				b.wrap = func(p usb.Pipe) usb.Pipe { return panicPipe{p, where, &armed} }
				g, other := b.plug(ccidsim.TwoSlots), b.plug(ccidsim.KAZTOKEN)
				h := b.handler(t)
				ready(t, h, 0, g)
				ready(t, h, 0x00010000, other)
				time.Sleep(2 * time.Second)
				want(t, "presence", h.ICCPresence(0), Success)
				p := poll(h, 0, time.Hour)

				armed = true
				if where == "interrupt" {
					g.RemoveCard(0)
					synctest.Wait()
				} else {
					_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
					want(t, "transmit", r, CommunicationError)
				}
				synctest.Wait()
				select {
				case <-p:
				default:
					t.Error("the poll goes on")
				}
				armed = false
				want(t, "presence", h.ICCPresence(0), CommunicationError)
				_, r := h.TransmitToICC(0, 1, []byte{0, 0xA4, 0, 0}, make([]byte, 300))
				want(t, "transmit", r, CommunicationError)
				echo(t, h, 0x00010000, 1)
				if log := strings.Join(b.log, "\n"); !strings.Contains(log, "3 ") || !strings.Contains(log, "index out of range") {
					t.Errorf("log:\n%s", log)
				}
				want(t, "close", h.CloseChannel(0), Success)
				time.Sleep(10 * time.Second)
				g.Unplug()
				g.Replug()
				if where == "interrupt" {
					g.InsertCard(0, card(ccidsim.TwoSlots))
				}
				ready(t, h, 0, g)
				echo(t, h, 0, 1)
				want(t, "close", h.CloseChannel(0), Success)
				want(t, "close", h.CloseChannel(0x00010000), Success)
			})
		})
	}
}

// TestContainOpen: the driver panics before there is a channel.
func TestContainOpen(t *testing.T) {
	armed := true
	var b bus
	b.wrap = func(p usb.Pipe) usb.Pipe { return panicPipe{p, "write", &armed} }
	g := b.plug(ccidsim.KAZTOKEN)
	h := b.handler(t)
	want(t, "create", h.CreateChannelByName(0, g.name()), CommunicationError)
	want(t, "presence", h.ICCPresence(0), CommunicationError)
	want(t, "close", h.CloseChannel(0), CommunicationError)
	armed = false
	ready(t, h, 0, g)
	echo(t, h, 0, 1)
	want(t, "close", h.CloseChannel(0), Success)
}

// callLimit is how long a host waits at the most for a device that says nothing:
// the driver's limit of an exchange, 4 minutes, and of bringing the device back.
const callLimit = 5 * time.Minute

// story does what a host does, whatever it is told, and says if an answer is out
// of place or late.
func story(h *Handler, lun Lun, name string) (err error) {
	call := func(doing string, f func() (n int, r Response), ok func(n int, r Response) bool) Response {
		began := time.Now()
		n, r := f()
		if d := time.Since(began); err == nil && (d > callLimit || !ok(n, r)) {
			err = fmt.Errorf("%s: %d, %v, after %v", doing, n, r, d)
		}
		return r
	}
	room := func(room, least int) func(n int, r Response) bool {
		return func(n int, r Response) bool { return r == Success && n >= least && n <= room || r != Success && n == 0 }
	}
	nothing := room(0, 0)
	if call("create", func() (int, Response) { return 0, h.CreateChannelByName(lun, name) }, nothing) != Success {
		return err
	}
	rx := make([]byte, 300)
	apdu := []byte{0x80, 0xEC, 0, 0, 3, 1, 2, 3, 3}
	for range 2 {
		call("presence", func() (int, Response) { return 0, h.ICCPresence(lun) }, nothing)
		call("power", func() (int, Response) { return h.PowerICC(lun, PowerUp, rx[:MaxATR]) }, room(MaxATR, 2))
		call("protocol", func() (int, Response) { return 0, h.SetProtocolParameters(lun, 2, 0) }, nothing)
		call("transmit", func() (int, Response) { return h.TransmitToICC(lun, 1, apdu, rx) }, room(len(rx), 2))
		call("control", func() (int, Response) { return h.Control(lun, wire.CtlGetTLVProperties, nil, rx) }, room(len(rx), 1))
		call("poll", func() (int, Response) { return 0, h.Poll(lun, 10*time.Millisecond) }, nothing)
	}
	call("close", func() (int, Response) { return 0, h.CloseChannel(lun) }, func(n int, r Response) bool { return r == Success })
	return err
}

// TestFaults has every fault befall every transfer of the story: it ends in
// bounded time, and once the fault has passed the reader works.
func TestFaults(t *testing.T) {
	transfers := 0
	for _, kind := range ccidsim.BusFaults() {
		for at := 1; ; at++ {
			done := false
			synctest.Test(t, func(t *testing.T) {
				var b bus
				g := b.plug(ccidsim.KAZTOKEN)
				h := b.handler(t)
				g.Inject(ccidsim.Fault{Where: ccidsim.Any, At: at, Kind: kind, Value: 3})
				if err := story(h, 0, g.name()); err != nil {
					t.Errorf("%v at %d: %v", kind, at, err)
				}
				done = g.Transfers(ccidsim.Any) < at
				g.ClearFaults()
				g.Unplug()
				g.Replug()
				ready(t, h, 0, g)
				echo(t, h, 0, 1)
				want(t, "close", h.CloseChannel(0), Success)
			})
			if done || t.Failed() {
				break
			}
			transfers++
		}
	}
	if transfers < 100 {
		t.Errorf("only %d transfers were disturbed", transfers)
	}
}

// noisePipe answers everything with what a hostile device sends.
type noisePipe struct {
	noise  []byte
	once   sync.Once
	closed chan struct{}
}

func (p *noisePipe) take(ctx context.Context, buf []byte) (int, error) {
	if len(p.noise) == 0 {
		var expired <-chan time.Time
		if d, ok := ctx.Deadline(); ok {
			expired = time.After(time.Until(d))
		}
		select {
		case <-expired:
			return 0, usb.ErrTimeout
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-p.closed:
			return 0, usb.ErrClosed
		}
	}
	n := min(int(p.noise[0]), len(buf), len(p.noise)-1)
	copy(buf, p.noise[1:1+n])
	p.noise = p.noise[1+n:]
	return n, nil
}

func (p *noisePipe) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	return p.take(ctx, data)
}
func (p *noisePipe) WriteBulk(context.Context, []byte) error { return nil }
func (p *noisePipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	return p.take(ctx, buf)
}
func (p *noisePipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	return 0, usb.ErrNoEndpoint
}
func (p *noisePipe) Recover(context.Context) error { return nil }
func (p *noisePipe) Close() error                  { p.once.Do(func() { close(p.closed) }); return nil }

// FuzzDevice: whatever a device sends, the host gets answers that are in order,
// and none of them comes from a panic.
func FuzzDevice(f *testing.F) {
	f.Add([]byte{})
	// GetSlotStatus, IccPowerOn with the ATR, an echo: right, and cut short.
	dialogue := []byte("\x0a\x81\x00\x00\x00\x00\x00\x01\x01\x00\x00" + "\x0a\x81\x00\x00\x00\x00\x00\x02\x01\x00\x00" +
		"\x16\x80\x0c\x00\x00\x00\x00\x03\x00\x00\x00\x3b\x88\x01KAZTOKEN\x82" +
		"\x0f\x80\x05\x00\x00\x00\x00\x04\x00\x00\x00\x01\x02\x03\x90\x00")
	f.Add(dialogue)
	f.Add(dialogue[:40])
	f.Fuzz(func(t *testing.T, noise []byte) {
		if len(noise) > 1<<12 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			var b bus
			g := b.plug(ccidsim.KAZTOKEN)
			h := b.handler(t)
			h.cfg.Open = func(context.Context, usb.Info, usb.Interface) (usb.Pipe, error) {
				return &noisePipe{noise: noise, closed: make(chan struct{})}, nil
			}
			if err := story(h, 0, g.name()); err != nil {
				t.Error(err)
			}
			for _, line := range b.log {
				if strings.HasPrefix(line, fmt.Sprint(int(Critical))) {
					t.Error(line)
				}
			}
		})
	})
}

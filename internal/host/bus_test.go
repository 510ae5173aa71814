package host

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/udev"
	"kaztoken/usb"
)

// bus is a USB bus for tests: a Source, a Driver and the readers behind it.
type bus struct {
	mu      sync.Mutex
	devices map[address]*gadget
	reports chan report
	watches int // opened
	ended   int // closed

	opened, closed int // pipes

	log      *logrus.Logger // of the supervisor; nil drops it
	listErr  error
	readable int // number of the bus that is listed in spite of listErr
	watchErr error
	open     func(ctx context.Context, g *gadget, try int) error // before a pipe is given out
	power    func(ctx context.Context, g *gadget, try int) error // while a reader powers up
}

type report struct {
	Notice
	err error
}

// gadget is one plugged-in device.
type gadget struct {
	info  usb.Info
	gone  chan struct{} // closed by unplug
	opens int
	ups   int
}

func newBus() *bus {
	return &bus{devices: make(map[address]*gadget)}
}

// token is a KAZTOKEN at an address.
func token(busNo, addr int) usb.Info {
	ifc := usb.Interface{
		Class:   0x0B,
		BulkOut: usb.Endpoint{Address: 0x02, Attributes: 2, MaxPacketSize: 64},
		BulkIn:  usb.Endpoint{Address: 0x81, Attributes: 2, MaxPacketSize: 64},
		Reader: usb.ClassDescriptor{
			Version: 0x0100, Voltages: 1, Protocols: 2, DefaultClock: 3580, MaximumClock: 3580, DataRate: 9600, MaxDataRate: 9600,
			MaxIFSD: 254, Features: 0x00020840, MaxMessageLength: 271, ClassGetResponse: 0xFF, ClassEnvelope: 0xFF, MaxBusySlots: 1,
		},
	}
	desc := usb.DeviceDescriptor{USB: 0x0200, MaxPacketSize0: 64, Vendor: 0x0a89, Product: 0x0035, NumConfigurations: 1}.AppendTo(nil)
	desc = usb.Configuration{Value: 1, Attributes: 0x80, MaxPower: 50}.AppendTo(desc, ifc.AppendTo(nil))
	return usb.Info{
		Bus: busNo, Addr: addr, Port: fmt.Sprintf("%d-1", busNo), Vendor: 0x0a89, Product: 0x0035, Release: 0x0100,
		Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN", Configuration: 1, Descriptors: desc,
	}
}

// plug attaches a device without telling anybody.
func (b *bus) plug(info usb.Info) *gadget {
	b.mu.Lock()
	defer b.mu.Unlock()
	g := &gadget{info: info, gone: make(chan struct{})}
	b.devices[addressOf(info)] = g
	return g
}

// unplug detaches what is at an address without telling anybody but the
// transfers in flight.
func (b *bus) unplug(info usb.Info) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if g := b.devices[addressOf(info)]; g != nil {
		close(g.gone)
		delete(b.devices, addressOf(info))
	}
}

func (b *bus) say(a Action, info usb.Info) {
	b.reports <- report{Notice: Notice{Action: a, Bus: info.Bus, Addr: info.Addr, Time: time.Now()}}
}

func (b *bus) Devices(ctx context.Context) ([]usb.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []usb.Info
	for _, g := range b.devices {
		if b.listErr == nil || g.info.Bus == b.readable {
			list = append(list, g.info)
		}
	}
	return list, b.listErr
}

func (b *bus) Watch() (Watch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.watchErr != nil {
		return nil, b.watchErr
	}
	b.watches++
	return &busWatch{bus: b}, nil
}

type busWatch struct {
	*bus
	once sync.Once
}

func (w *busWatch) Next(ctx context.Context) (Notice, error) {
	select {
	case r := <-w.reports:
		return r.Notice, r.err
	case <-ctx.Done():
		return Notice{}, ctx.Err()
	}
}

func (w *busWatch) Close() error {
	w.once.Do(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended++
	})
	return nil
}

func (b *bus) driver() Driver {
	return Driver{Name: "test", Open: func(ctx context.Context, dev usb.Info, ifc usb.Interface) (usb.Pipe, error) {
		b.mu.Lock()
		g := b.devices[addressOf(dev)]
		if g == nil {
			b.mu.Unlock()
			return nil, usb.ErrGone
		}
		g.opens++
		try := g.opens
		b.mu.Unlock()
		if b.open != nil {
			if err := b.open(ctx, g, try); err != nil {
				return nil, err
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.opened++
		return &busPipe{bus: b, gadget: g}, nil
	}}
}

// busPipe counts how often it is closed; no test transfers over it.
type busPipe struct {
	usb.Pipe
	*bus
	gadget *gadget
	once   sync.Once
}

func (p *busPipe) Close() error {
	p.once.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.closed++
	})
	return nil
}

// busReader is a reader that ends when its gadget does or when told to fail.
type busReader struct {
	pipe *busPipe
	done chan struct{}
	once sync.Once
	err  error
}

func (r *busReader) Done() <-chan struct{} { return r.done }
func (r *busReader) Err() error            { <-r.done; return r.err }
func (r *busReader) Unplugged()            { r.fail(usb.ErrGone) }
func (r *busReader) Close() error          { r.fail(usb.ErrClosed); return r.pipe.Close() }
func (r *busReader) fail(err error)        { r.once.Do(func() { r.err = err; close(r.done) }) }

func (*busReader) slots() []SlotInfo { return nil }

func (b *bus) bring(ctx context.Context, p usb.Pipe, _ usb.Info, _ usb.Interface, _ *logrus.Entry, _ ...ccid.Option) (unit, error) {
	pipe := p.(*busPipe)
	b.mu.Lock()
	pipe.gadget.ups++
	try := pipe.gadget.ups
	b.mu.Unlock()
	if b.power != nil {
		if err := b.power(ctx, pipe.gadget, try); err != nil {
			return nil, errors.Join(err, pipe.Close())
		}
	}
	r := &busReader{pipe: pipe, done: make(chan struct{})}
	go func() {
		select {
		case <-pipe.gadget.gone:
			r.fail(usb.ErrGone)
		case <-r.done:
		}
	}()
	return r, nil
}

// supervise runs body with a supervisor over b inside a bubble of fake time,
// and checks that nothing is left after Close.
func supervise(t *testing.T, b *bus, body func(t *testing.T, s *Supervisor, sub *Subscription)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		// Fake time runs only while every goroutine waits for something of its
		// own bubble, so the channels are made here.
		b.reports = make(chan report, 8*noticeQueue)
		for _, g := range b.devices {
			g.gone = make(chan struct{})
		}
		s, err := Supervise(Config{
			Source: b, Driver: b.driver(), bring: b.bring, Log: b.log,
			holders: func(usb.Info) []udev.Holder { return []udev.Holder{{PID: 42, Name: "pcscd"}} },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() // when body gives up
		synctest.Wait() // the first list is made
		sub := s.Subscribe()
		body(t, s, sub)
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for {
			if _, err := sub.Next(t.Context()); err != nil {
				if !errors.Is(err, ErrClosed) {
					t.Errorf("Next after Close: %v, want ErrClosed", err)
				}
				break
			}
		}
		// A goroutine that is left makes synctest.Test fail.
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.opened != b.closed {
			t.Errorf("%d pipes opened, %d closed", b.opened, b.closed)
		}
		if b.watches != b.ended {
			t.Errorf("%d watches opened, %d closed", b.watches, b.ended)
		}
		if n := len(s.letting); n != 0 {
			t.Errorf("%d addresses still remembered", n)
		}
	})
}

// expect takes the next event and checks its kind; it waits at most d of the
// bubble's time.
func expect(t *testing.T, sub *Subscription, want Kind, d time.Duration) Event {
	t.Helper()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	ev, err := sub.Next(ctx)
	if err != nil {
		t.Fatalf("no event within %v, want %v", d, want)
	}
	if ev.Kind != want {
		t.Fatalf("event %v (%v), want %v", ev.Kind, ev.Err, want)
	}
	return ev
}

// quiet checks that no event comes within d of the bubble's time.
func quiet(t *testing.T, sub *Subscription, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if ev, err := sub.Next(ctx); err == nil {
		t.Fatalf("event %v (%v), want none", ev.Kind, ev.Err)
	}
}

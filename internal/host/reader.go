package host

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/usb"
)

const (
	// A reader that fails is tried again after these times, doubled each time.
	backoffMin = 1 * time.Second
	backoffMax = 30 * time.Second
	// After a plug the permissions of the device node come late: its owner sets
	// them when it has heard of the device itself. Tries begin this far apart,
	// doubled each time, and end after accessMax.
	accessMin = 50 * time.Millisecond
	accessMax = 2 * time.Second
)

// device is one plugged-in device from its arrival to its end. A replug makes
// a new one, also at the same address.
type device struct {
	info   usb.Info
	ctx    context.Context
	cancel context.CancelFunc
	claims []*claim
	after  <-chan struct{} // closed when the device before it at this address has let go
	done   chan struct{}   // closed when every claim has ended

	reported time.Time // when its arrival was; zero if only a list has it. Guarded by Supervisor.mu
}

// claim is one reader interface of a device, which the supervisor wants.
type claim struct {
	*device
	ifc   usb.Interface
	index int
	name  string
	kick  chan struct{} // capacity 1: something changed, it may open now
	tried bool          // was open before. Belongs to the goroutine of serve
	log   *logrus.Entry

	// Guarded by Supervisor.mu.
	reader  *Reader // nil unless it has arrived
	failure error   // why it has not, nil if that is not known yet
	told    bool    // an event has carried the report of the arrival
	awaited bool    // Settled waits for it
}

// Reader is one reader interface of a plugged-in device, opened and powered
// up. It is valid until its Removed event or until Done of the reader beneath.
type Reader struct {
	Device    usb.Info
	Interface usb.Interface
	Driver    string // name of the USB driver
	// Index numbers the readers of this supervisor: the lowest number free when
	// the reader arrived.
	Index int

	unit unit
}

// unit is what the supervisor itself needs of an open reader.
type unit interface {
	Done() <-chan struct{}
	Err() error
	Unplugged() // ends everything that waits, and does not wait itself
	Close() error
	slots() []SlotInfo
}

// usbUnit is the driver of this process.
type usbUnit struct{ *ccid.Reader }

func (u usbUnit) slots() []SlotInfo {
	var all []SlotInfo
	for _, s := range u.Slots() {
		all = append(all, slotInfo(s))
	}
	return all
}

// CCID is the open reader beneath, on which cards are talked to; nil if a
// smart-card service has it. The supervisor closes it; nobody else may.
func (r *Reader) CCID() *ccid.Reader {
	if u, ok := r.unit.(usbUnit); ok {
		return u.Reader
	}
	return nil
}

// Slots is what is known of the slots of the reader, and of their cards.
func (r *Reader) Slots() []SlotInfo { return r.unit.slots() }

// Name gives a slot of the reader its name, see [Name].
func (r *Reader) Name(slot int) string { return Name(r.Device, r.Index, slot) }

// Name makes the name of a slot in the manner of PC/SC: maker, product, the
// serial number if there is one, the number of the reader and of the slot as
// two hexadecimal digits each: "DigiFlow LLP. KAZTOKEN (32D18A58) 00 00".
func Name(dev usb.Info, index, slot int) string {
	return fmt.Sprintf("%s %02X %02X", title(dev), index, slot)
}

// title is the part of the name that belongs to the device.
func title(dev usb.Info) string {
	maker, product := strings.TrimSpace(dev.Manufacturer), strings.TrimSpace(dev.ProductName)
	if product == "" {
		product = fmt.Sprintf("%04x:%04x", dev.Vendor, dev.Product)
	}
	// Many makers begin the product with their own name.
	if maker != "" && !strings.HasPrefix(product, maker) {
		product = maker + " " + product
	}
	if dev.Serial != "" {
		product += " (" + dev.Serial + ")"
	}
	return product
}

// begin starts the work for a device that a list has, unless it is in work.
func (s *Supervisor) begin(info usb.Info, reported time.Time) {
	a := addressOf(info)
	s.mu.Lock()
	old := s.devices[a]
	s.mu.Unlock()
	if old != nil {
		if sameDevice(old.info, info) {
			return
		}
		s.end(a, time.Time{}) // another one, and the report of it was lost
	}
	ifcs := s.cfg.Filter.interfaces(info)
	if len(ifcs) == 0 {
		return
	}
	d := &device{info: info, reported: reported, done: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(s.ctx)
	s.mu.Lock()
	d.after = s.letting[a]
	s.devices[a] = d
	for _, ifc := range ifcs {
		c := &claim{device: d, ifc: ifc, index: s.take(), kick: make(chan struct{}, 1)}
		c.name = fmt.Sprintf("%s %02X", title(info), c.index)
		c.log = s.log.WithFields(logrus.Fields{
			"reader": c.name, "id": info.ID(), "port": info.Port, "bus": info.Bus, "addr": info.Addr, "driver": s.cfg.Driver.Name,
		})
		d.claims = append(d.claims, c)
	}
	s.mu.Unlock()
	for _, c := range d.claims {
		for _, repair := range c.ifc.Repairs {
			c.log.WithField("interface", c.ifc.Number).Debug("descriptor: " + repair)
		}
	}
	s.wg.Go(func() { s.hold(a, d) })
}

// hold runs the claims of a device and returns when the last has ended.
func (s *Supervisor) hold(a address, d *device) {
	defer close(d.done)
	defer d.cancel()
	if d.after != nil {
		<-d.after // ends soon: its context has ended
	}
	ended := make(chan struct{})
	for _, c := range d.claims {
		s.wg.Go(func() {
			s.serve(c)
			s.mu.Lock()
			s.answered(c)
			s.mu.Unlock()
			ended <- struct{}{}
		})
	}
	for range d.claims {
		<-ended
	}
	s.mu.Lock()
	if s.letting[a] == d.done {
		delete(s.letting, a)
	}
	s.mu.Unlock()
}

// end ends the device at an address, if there is one: it is marked and
// reported as gone first, its reader is closed after that, because closing
// waits for transfers.
func (s *Supervisor) end(a address, reported time.Time) {
	s.mu.Lock()
	d := s.devices[a]
	if d == nil {
		s.mu.Unlock()
		return
	}
	delete(s.devices, a)
	s.letting[a] = d.done
	d.cancel()
	gone := make(map[*claim]*Reader)
	for _, c := range d.claims {
		if c.reader != nil {
			gone[c] = c.reader
			s.removed(c, usb.ErrGone, reported)
		}
		s.taken[c.index] = false
	}
	s.mu.Unlock()
	for c, r := range gone {
		r.unit.Unplugged()
		c.log.WithField("cause", usb.ErrGone).Info("reader removed")
	}
}

// removed reports the end of a claim's reader, unless it is reported already.
// The caller holds mu.
func (s *Supervisor) removed(c *claim, err error, reported time.Time) bool {
	if c.reader == nil {
		return false
	}
	ev := Event{Kind: Removed, Name: c.name, Device: c.info, Reader: c.reader, Err: err, Reported: reported}
	c.reader = nil
	s.post(ev)
	return true
}

// take finds the lowest reader number that is free. The caller holds mu.
func (s *Supervisor) take() int {
	i := slices.Index(s.taken, false)
	if i < 0 {
		i = len(s.taken)
		s.taken = append(s.taken, false)
	}
	s.taken[i] = true
	return i
}

// adopt takes the report of an arrival for the device that a list had before
// the report was read: both speak of the same plug. A device that was reported
// is another one.
func (s *Supervisor) adopt(a address, reported time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[a]
	if d == nil || !d.reported.IsZero() {
		return false
	}
	d.reported = reported
	return true
}

// reportOf gives the report of the claim's arrival to the first event that
// asks for it. The caller holds mu.
func (c *claim) reportOf() time.Time {
	if c.told {
		return time.Time{}
	}
	c.told = true
	return c.reported
}

func (s *Supervisor) has(a address) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.devices[a] != nil
}

// nudge tells the claims of a device that something about it changed.
func (s *Supervisor) nudge(a address) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.devices[a]; d != nil {
		for _, c := range d.claims {
			select {
			case c.kick <- struct{}{}:
			default:
			}
		}
	}
}

// missing lists the addresses in work that a list does not have.
func (s *Supervisor) missing(there, touched map[address]bool) []address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Collect(maps.Keys(s.devices)), func(a address) bool { return there[a] || touched[a] })
}

// serve keeps one claim open until its device ends.
func (s *Supervisor) serve(c *claim) {
	for delay := backoffMin; ; delay = min(2*delay, backoffMax) {
		select {
		case <-c.kick: // older than this try
		default:
		}
		began := time.Now()
		r, err := s.open(c)
		if c.ctx.Err() != nil {
			if r != nil {
				r.unit.Close()
			}
			return
		}
		if err == nil {
			s.arrived(c, r, time.Since(began))
			up := time.Now()
			select {
			case <-r.unit.Done():
				err = r.unit.Err()
				if err == nil {
					err = usb.ErrGone
				}
				s.mu.Lock()
				first := s.removed(c, err, time.Time{})
				s.mu.Unlock()
				if first {
					c.log.WithField("cause", err).Info("reader removed")
					s.lookAgain() // the report of an unplug may still be on its way
				}
			case <-c.ctx.Done():
			}
			if err := r.unit.Close(); err != nil && !errors.Is(err, usb.ErrGone) {
				c.log.WithError(err).Debug("reader closed with an error")
			}
			if time.Since(up) > backoffMax {
				delay = backoffMin
			}
		} else {
			s.failed(c, err)
		}
		// Opening and closing are reported as changes too, so only a failure
		// that comes before anything was opened may listen to them.
		var kick <-chan struct{}
		if errors.Is(err, usb.ErrAccess) || errors.Is(err, usb.ErrBusy) {
			kick = c.kick
		}
		if !sleep(c.ctx, kick, delay) {
			return
		}
	}
}

// open opens the claim's interface and powers its slots up. Without
// permission it tries again while the node may still be getting it.
func (s *Supervisor) open(c *claim) (*Reader, error) {
	began := time.Now()
	for wait := accessMin; ; wait *= 2 {
		p, err := s.cfg.Driver.Open(c.ctx, c.info, c.ifc)
		if err == nil {
			var opts []ccid.Option
			if s.plugged(c.device) && !c.tried {
				opts = append(opts, ccid.WithFresh())
			}
			c.tried = true
			u, err := s.cfg.bring(c.ctx, p, c.info, c.ifc, c.log, opts...)
			if err != nil {
				return nil, explain(err, c.info, s.cfg.holders)
			}
			return &Reader{Device: c.info, Interface: c.ifc, Driver: s.cfg.Driver.Name, Index: c.index, unit: u}, nil
		}
		left := accessMax - time.Since(began)
		if !errors.Is(err, usb.ErrAccess) || !s.plugged(c.device) || left <= 0 {
			return nil, explain(err, c.info, s.cfg.holders)
		}
		c.log.WithField("retry", min(wait, left)).Debug("no permission yet")
		if !sleep(c.ctx, c.kick, min(wait, left)) {
			return nil, c.ctx.Err()
		}
	}
}

// plugged reports whether a device was plugged in before our eyes.
func (s *Supervisor) plugged(d *device) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !d.reported.IsZero()
}

// arrived reports an open reader, unless its device has ended meanwhile.
func (s *Supervisor) arrived(c *claim, r *Reader, took time.Duration) {
	s.mu.Lock()
	ended := c.ctx.Err() != nil
	if !ended {
		c.reader, c.failure = r, nil
		s.post(Event{Kind: Arrived, Name: c.name, Device: c.info, Reader: r, Reported: c.reportOf()})
		s.answered(c)
	}
	s.mu.Unlock()
	if !ended {
		c.log.WithField("dur", took).Info("reader arrived")
	}
}

// failed reports a failure that differs from the one reported last. A device
// that is gone is not a failure: the report of that is on its way, or the list
// will tell.
func (s *Supervisor) failed(c *claim, err error) {
	if errors.Is(err, usb.ErrGone) {
		s.lookAgain()
		return
	}
	s.mu.Lock()
	known := c.failure != nil && c.failure.Error() == err.Error()
	if !known && c.ctx.Err() == nil {
		c.failure = err
		s.post(Event{Kind: Failed, Name: c.name, Device: c.info, Err: err, Reported: c.reportOf()})
		s.answered(c)
	}
	s.mu.Unlock()
	if known {
		c.log.WithError(err).Debug("reader still fails")
	} else {
		log := c.log.WithError(err)
		if hint := Hint(err); hint != "" {
			log = log.WithField("hint", hint)
		}
		log.Warn("reader cannot be used")
	}
}

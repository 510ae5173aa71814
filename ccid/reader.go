package ccid

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Reader is one reader interface of a device: a transport and one or more
// slots. Make one with [Open].
type Reader struct {
	pipe usb.Pipe
	ifc  usb.Interface
	desc usb.ClassDescriptor // what ifc declares, with quirks applied
	config
	link  link
	slots []*Slot
	busy  chan struct{} // one place per slot that may be busy; nil: no limit needed

	clocks []uint32 // kHz, ascending; nil if the reader has no list
	rates  []uint32 // bit/s, ascending; nil if the reader has no list

	wg sync.WaitGroup // the goroutines of the watch over the cards

	closing atomic.Bool
	quit    chan struct{} // closed by Close: no new calls

	done     chan struct{} // closed when the reader is gone or closed
	doneOnce sync.Once
	err      error         // why; set before done is closed
	released chan struct{} // closed when pipe is closed
	closeErr error         // of pipe; set before released is closed

	mu          sync.Mutex // guards the following field
	unsupported [256]bool  // commands that the reader said it does not know
}

// link carries CCID commands to the device and brings their answers.
type link interface {
	// roundTrip sends m for slot s and waits for its answer, up to limit and
	// what time extensions add. It fills in slot and sequence number. The
	// Data of the answer is valid until the next round trip of the slot. The
	// caller holds the slot's gate. s.sent says afterwards whether the
	// last byte of m may have left the host; after an error that leaves the
	// reader or the card in an unknown state, the slot counts as lost.
	roundTrip(ctx context.Context, s *Slot, m Message, limit time.Duration) (Message, error)
	// open brings the device to a known state.
	open(ctx context.Context) error
	// abort ends the command of type t that the reader is busy with in slot s.
	// The card counts as lost. The caller holds the slot's gate.
	abort(s *Slot, t MessageType, cause error)
	// interrupt begins the same for a caller that does not. What it returns ends
	// it, for a caller that does by then.
	interrupt(ctx context.Context, s *Slot) (finish func())
	// payload is the longest abData, bytes.
	payload() int
}

// Open takes a reader into use: p becomes its property, also if Open fails.
// Stale data is discarded, the slots are asked for their cards, and the watch
// over the cards begins. No card is powered up.
//
// Errors are those of the transport, and ErrFaulty for a reader that does not
// answer GetSlotStatus in three attempts.
func Open(ctx context.Context, p usb.Pipe, ifc usb.Interface, opts ...Option) (_ *Reader, err error) {
	r := &Reader{
		pipe: p, ifc: ifc, desc: ifc.Reader, config: newConfig(opts),
		quit: make(chan struct{}), done: make(chan struct{}), released: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			r.end(err)
			r.Close()
			err = fmt.Errorf("open %v reader: %w", ifc.Kind, err)
		}
	}()
	r.applyQuirks()
	n := r.desc.Slots()
	if busy := int(max(r.desc.MaxBusySlots, 1)); busy < n {
		r.busy = make(chan struct{}, busy)
	}
	for i := range n {
		r.slots = append(r.slots, newSlot(r, byte(i)))
	}
	switch ifc.Kind {
	case usb.ICCDA:
		r.link = newICCDA(r)
	case usb.ICCDB:
		r.link = newICCDB(r)
	default:
		if ifc.BulkIn.MaxPacketSize < 1 || ifc.BulkOut.Address == 0 {
			return nil, fmt.Errorf("no bulk endpoints: %w", usb.ErrNoEndpoint)
		}
		r.link = newBulkLink(r)
	}
	for _, s := range r.slots {
		s.adoptLink()
	}
	opened := time.Now()
	if err := r.link.open(ctx); err != nil {
		return nil, err
	}
	r.readLists(ctx)
	if err := expired(ctx); err != nil {
		return nil, err
	}
	r.startWatch(opened)
	return r, nil
}

// applyQuirks corrects what the descriptor declares.
func (r *Reader) applyQuirks() {
	q := r.quirks
	if q.MaxRate != 0 {
		r.desc.MaxDataRate = min(r.desc.MaxDataRate, q.MaxRate)
	}
	if q.MaxIFSD != 0 && (r.desc.MaxIFSD == 0 || int(r.desc.MaxIFSD) > q.MaxIFSD) {
		r.desc.MaxIFSD = uint32(q.MaxIFSD)
	}
	r.rates = slices.Clone(q.Rates)
}

// Interface is what Open was told of the interface.
func (r *Reader) Interface() usb.Interface { return r.ifc }

// Slots are the slots, in the order of their numbers. There is at least one.
func (r *Reader) Slots() []*Slot { return slices.Clone(r.slots) }

// ClockFrequencies is the reader's list of clocks, kHz, ascending; nil if it
// has none.
func (r *Reader) ClockFrequencies() []uint32 { return slices.Clone(r.clocks) }

// DataRates is the reader's list of bit rates, bit/s, ascending; nil if it has
// none.
func (r *Reader) DataRates() []uint32 { return slices.Clone(r.rates) }

// Done is closed when the device is gone or the reader is closed. Every call
// in progress ends then, and Err says why.
func (r *Reader) Done() <-chan struct{} { return r.done }

// Err is nil until Done is closed, then an error that is usb.ErrGone or
// usb.ErrClosed.
func (r *Reader) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// refusal is why no new call is taken, nil if one is.
func (r *Reader) refusal() error {
	if err := r.Err(); err != nil {
		return err
	}
	select {
	case <-r.quit:
		return usb.ErrClosed
	default:
		return nil
	}
}

// Unplugged tells the reader that the system saw its device leave. Everything
// that waits ends at once with usb.ErrGone. Close is still due.
func (r *Reader) Unplugged() { r.end(usb.ErrGone) }

// end is the end of the reader, for whatever reason; the first one counts. It
// does not wait: a transport may be slow to let go of its transfers.
func (r *Reader) end(cause error) {
	r.doneOnce.Do(func() {
		r.err = cause
		close(r.done)
		for _, s := range r.slots {
			s.removed()
		}
		go func() {
			r.closeErr = r.pipe.Close()
			close(r.released)
		}()
	})
}

// ended passes err on, and ends the reader if that is what err means.
func (r *Reader) ended(err error) error {
	if err == nil {
		return nil
	}
	if final(err) {
		r.end(err)
		return r.err
	}
	// A transfer that fails because the reader has ended just now.
	if e := r.Err(); e != nil {
		return e
	}
	return err
}

// Close aborts what is in progress, switches the cards off and releases the
// interface; it takes two seconds at the most, beside the transport's own
// time. Calls in progress end with usb.ErrClosed. The error is that of releasing. Close is
// idempotent.
func (r *Reader) Close() error {
	if r.closing.CompareAndSwap(false, true) {
		close(r.quit)
		r.powerDown()
		r.end(usb.ErrClosed)
	}
	<-r.done
	<-r.released
	r.wg.Wait()
	return r.closeErr
}

// powerDown leaves every card without power, as far as that is possible in a
// second or so. New calls are already refused.
func (r *Reader) powerDown() {
	if r.link == nil || r.Err() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, s := range r.slots {
		// Who has the gate may be about to leave; only a command that lasts is
		// aborted.
		finish := func() {}
		if !s.enterBy(ctx, closeGrace) {
			finish = r.link.interrupt(ctx, s)
			if !s.enterBy(ctx, closeTimeout) {
				return
			}
		}
		finish()
		if s.powered() {
			s.command(ctx, iccPowerOff(), closeTimeout)
		}
		<-s.gate
	}
}

// knows reports whether the reader may know command t: it has not said the
// contrary, and the command is valid for a USB-ICC if that is what it is.
func (r *Reader) knows(t MessageType) bool {
	if r.desc.Features.Has(usb.ICCDRequests) {
		switch t {
		case msgIccPowerOn, msgIccPowerOff, msgGetSlotStatus, msgXfrBlock, msgAbort, msgEscape, msgGetParameters:
		case msgSecure:
			if r.desc.PINSupport == 0 {
				return false
			}
		default:
			return false
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.unsupported[t]
}

// learn remembers a reader's word that it does not know command t. Of those
// that every reader knows it is not believed.
func (r *Reader) learn(t MessageType) {
	switch t {
	case msgIccPowerOn, msgIccPowerOff, msgGetSlotStatus, msgXfrBlock:
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unsupported[t] = true
}

// acquire takes one of the places for busy slots.
func (r *Reader) acquire(ctx context.Context) error {
	if r.busy == nil {
		return nil
	}
	select {
	case r.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-r.done:
		return r.Err()
	}
}

func (r *Reader) release() {
	if r.busy != nil {
		<-r.busy
	}
}

// cardFixed reports that the card cannot be taken out.
func (r *Reader) cardFixed() bool {
	return r.ifc.Kind != usb.CCID || r.quirks.CardFixed || r.desc.Features.Has(usb.ICCDRequests)
}

// offers reports whether the reader speaks p.
func (r *Reader) offers(p iso7816.Protocol) bool {
	if r.ifc.Kind == usb.ICCDA {
		return p == iso7816.T0
	}
	return p <= iso7816.T1 && r.desc.Protocols>>p&1 != 0
}

package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kaztoken/bridge"
	"kaztoken/bridge/descriptors"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// readerSlot is a slot of a reader on USB as the PC/SC service sees it. It adds
// nothing to the way of an APDU but the translation of errors.
type readerSlot struct {
	name   string
	info   bridge.Info
	reader *ccid.Reader
	slot   *ccid.Slot

	// fresh: nobody has used the card since it was powered up for its reader's
	// arrival, as number cards.
	fresh atomic.Bool
	cards uint64

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	faulty chan struct{} // capacity 1: the reader did not respond

	mu      sync.Mutex    // guards the following fields; no I/O while held
	changed chan struct{} // closed at the next change of State
	failing bool
}

// newReaderSlot makes a slot of an open reader, whose card was powered up if it
// has one. It is to be closed.
func newReaderSlot(r *Reader, index int) *readerSlot {
	s := &readerSlot{
		reader: r.CCID(), slot: r.CCID().Slots()[index],
		name: slotName(r.Device, r.Index, index), faulty: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	s.info = descriptors.Info(r.Device, r.Interface)
	descriptors.SetProperties(&s.info, s.slot.TLVProperties())
	s.cards = s.slot.Cards()
	s.fresh.Store(s.slot.State() == ccid.CardReady)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	changed := s.slot.Changed() // before anybody looks at State
	s.wg.Go(func() { s.watch(changed) })
	return s
}

// close ends the watch over the slot. The reader belongs to the supervisor.
func (s *readerSlot) close() {
	s.cancel()
	s.wg.Wait()
}

// slotName is [Name] as far as a reader's name can be it for programs: without
// what cannot be printed, and short enough.
func slotName(dev usb.Info, index, slot int) string {
	base := title(dev)
	if dev.Serial != "" {
		base = strings.TrimSuffix(base, " ("+dev.Serial+")")
	}
	return bridge.ReaderName{Base: descriptors.Printable(base), Serial: descriptors.Printable(dev.Serial), Index: byte(index), Slot: byte(slot)}.String()
}

// Waiting for a reader that does not respond to come back: the driver leaves it
// alone for a while itself.
const (
	recoveryMin = 1 * time.Second
	recoveryMax = 30 * time.Second
)

// watch passes the driver's word of changes on, and asks a reader that did not
// respond until it does.
func (s *readerSlot) watch(changed <-chan struct{}) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	timer.Stop()
	pause := recoveryMin
	for {
		select {
		case <-changed:
			changed = s.slot.Changed()
			s.tell(nil)
			if s.reader.Err() != nil {
				return // that was the last
			}
		case <-s.faulty:
			pause = recoveryMin
			s.tell(func() { s.failing = true })
			timer.Reset(pause)
		case <-timer.C:
			if _, err := s.slot.Status(s.ctx); errors.Is(err, ccid.ErrFaulty) {
				pause = min(2*pause, recoveryMax)
				timer.Reset(pause)
				continue
			}
			s.tell(func() { s.failing = false })
		case <-s.ctx.Done():
			return
		}
	}
}

// tell makes a change, and tells of it.
func (s *readerSlot) tell(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if change != nil {
		change()
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// Name implements [bridge.Slot], as do the methods that follow.
func (s *readerSlot) Name() string { return s.name }

func (s *readerSlot) Info() bridge.Info { return s.info }

func (s *readerSlot) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *readerSlot) State() bridge.SlotState {
	s.mu.Lock()
	failing := s.failing
	s.mu.Unlock()
	if s.reader.Err() != nil {
		return bridge.SlotState{Gone: true}
	}
	// The number first: a card that comes in between is seen as a change later.
	state := bridge.SlotState{Failing: failing, Insertions: s.slot.Cards()}
	switch s.slot.State() {
	case ccid.CardUnknown, ccid.CardAbsent:
	case ccid.CardReady:
		state.Present = true
		if s.fresh.Load() && state.Insertions == s.cards {
			state.ATR = s.slot.ATR()
		}
	default:
		state.Present = true
	}
	return state
}

func (s *readerSlot) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	s.used()
	atr, err := s.slot.Reset(ctx, cold)
	return atr, s.failed(err)
}

func (s *readerSlot) PowerOff(ctx context.Context) error {
	s.used()
	return s.failed(s.slot.PowerOff(ctx))
}

func (s *readerSlot) SetProtocol(ctx context.Context, p iso7816.Protocol) error {
	s.used()
	return s.failed(s.slot.SetProtocol(ctx, p))
}

func (s *readerSlot) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	s.used()
	dst, err := s.slot.Transmit(ctx, dst, apdu)
	if err != nil {
		return dst, s.failed(err)
	}
	return dst, nil
}

func (s *readerSlot) Control(ctx context.Context, code wire.ControlCode, dst, in []byte) ([]byte, error) {
	var err error
	switch code {
	case wire.CtlVerifyPINDirect:
		s.used()
		dst, err = s.slot.VerifyPIN(ctx, dst, in)
	case wire.CtlModifyPINDirect:
		s.used()
		dst, err = s.slot.ModifyPIN(ctx, dst, in)
	case wire.CtlPINProperties:
		if len(s.info.Features) == 0 {
			return dst, fmt.Errorf("%s: %v: %w", s.name, code, bridge.ErrNotSupported)
		}
		return append(dst, s.reader.PINProperties()...), nil
	case wire.CtlEscape:
		dst, err = s.slot.Escape(ctx, dst, in)
	default:
		return dst, fmt.Errorf("%s: %v: %w", s.name, code, bridge.ErrNotSupported)
	}
	return dst, s.failed(err)
}

// used notes that the card is not fresh from its reset any more.
func (s *readerSlot) used() {
	if s.fresh.Load() {
		s.fresh.Store(false)
	}
}

// failed translates an error of the driver.
func (s *readerSlot) failed(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ccid.ErrFaulty) {
		select {
		case s.faulty <- struct{}{}:
		default:
		}
	}
	return slotError(err)
}

// slotErrors is what errors of the driver mean to the service. The first that
// fits counts: a reader that has left explains everything else.
var slotErrors = []struct{ driver, service error }{
	{usb.ErrGone, bridge.ErrGone},
	{usb.ErrClosed, bridge.ErrGone},
	{ccid.ErrNoCard, bridge.ErrNoCard},
	{ccid.ErrCardReset, bridge.ErrCardReset},
	{ccid.ErrProtocolMismatch, bridge.ErrProtocolMismatch},
	{ccid.ErrNotSupported, bridge.ErrNotSupported},
	{iso7816.ErrAPDU, bridge.ErrNoRoom},
}

// slotError adds to an error what it means to the service, if it means anything.
func slotError(err error) error {
	for _, e := range slotErrors {
		if errors.Is(err, e.driver) {
			return fmt.Errorf("%w: %w", e.service, err)
		}
	}
	return err
}

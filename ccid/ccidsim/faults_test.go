package ccidsim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/ccid/t1"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// countingCard counts how often each ECHO was carried out, by P1 and P2.
type countingCard struct {
	slowCard
	count map[[2]byte]int
}

func (c countingCard) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if len(apdu) >= 4 && apdu[0] == 0x80 && (apdu[1] == 0xEC || apdu[1] == 0xEE) {
		c.count[[2]byte(apdu[2:4])]++
	}
	return c.slowCard.Transmit(ctx, dst, apdu)
}

// Bounds of single calls, on the clock of the driver: the hard limit of an
// exchange and what comes after it; ten minutes where the card keeps asking.
const (
	callBound    = 5 * time.Minute
	endlessBound = 11 * time.Minute
)

// session is one use of a reader that meets a fault somewhere.
type session struct {
	t      *testing.T
	rig    rig
	d      *ccidsim.Device
	count  map[[2]byte]int
	reader *ccid.Reader
	slot   *ccid.Slot
	bound  time.Duration
	errs   []error
	gone   bool
	failed bool
	// endless faults end when the first call has failed.
	endless bool
	spare   func() ccidsim.Card
}

func newSession(t *testing.T, r rig) *session {
	s := &session{t: t, rig: r, count: map[[2]byte]int{}, bound: callBound}
	took := 2500 * time.Millisecond
	if r.profile.Interface.BulkOut.Address == 0 {
		took = 50 * time.Millisecond // every 10 ms of it are a transfer
	}
	s.spare = func() ccidsim.Card {
		atr := r.profile.ATR
		if r.atr != "" {
			atr = unhex(t, r.atr)
		}
		return countingCard{slowCard{plainCard(atr), took}, s.count}
	}
	s.d = r.device(func([]byte) ccidsim.Card { return s.spare() }, t)
	return s
}

func (s *session) errorf(format string, args ...any) {
	s.t.Helper()
	s.failed = true
	s.t.Errorf(format, args...)
}

// typed are the errors that a caller can tell apart.
var typed = []error{
	usb.ErrGone, usb.ErrStall, usb.ErrTimeout, usb.ErrOverflow, usb.ErrShortWrite, usb.ErrIO, usb.ErrClosed,
	ccid.ErrNoCard, ccid.ErrMute, ccid.ErrProtocolMismatch, ccid.ErrNotSupported, ccid.ErrOutcomeUnknown,
	ccid.ErrCardReset, ccid.ErrProtocol, ccid.ErrFaulty, t1.ErrAborted,
}

// call runs one call of the driver and judges its error and its time.
func (s *session) call(what string, f func() error) error {
	s.t.Helper()
	start := time.Now()
	err := f()
	if took := time.Since(start); took > s.bound {
		s.errorf("%s took %v: %v", what, took, err)
	}
	if err == nil {
		return nil
	}
	s.errs = append(s.errs, fmt.Errorf("%s: %w", what, err))
	var slot *ccid.SlotError
	known := errors.As(err, &slot)
	for _, e := range typed {
		known = known || errors.Is(err, e)
	}
	if !known {
		s.errorf("%s: error of no type: %v", what, err)
	}
	if s.endless {
		s.d.ClearFaults()
	}
	select {
	case <-s.d.Gone():
		s.gone = true
		if !errors.Is(err, usb.ErrGone) {
			s.errorf("%s: the device is gone, got %v", what, err)
		}
	default:
		if errors.Is(err, usb.ErrGone) {
			s.errorf("%s: the device is there, got %v", what, err)
		}
	}
	return err
}

// again brings the card back to work after an error: at the first attempt, or
// when the driver's own pause after a reader that failed twice is over.
func (s *session) again() bool {
	s.t.Helper()
	if s.gone {
		return false
	}
	if s.d.Profile().Removable && s.slotEmpty() {
		s.d.InsertCard(0, s.spare())
	}
	for attempt := 0; ; attempt++ {
		err := s.call("power on again", func() error { _, err := s.slot.PowerOn(context.Background()); return err })
		switch {
		case err == nil:
			return true
		case s.gone:
			return false
		case attempt == 2:
			s.errorf("the card does not come back: %v", s.errs)
			return false
		}
		time.Sleep(2 * time.Second)
	}
}

func (s *session) slotEmpty() bool {
	_, err := s.slot.Status(context.Background())
	return err == nil && s.slot.State() == ccid.CardAbsent
}

// transmit sends one ECHO, again if the driver says that the card has not got it,
// and compares what the driver says with what the card did.
func (s *session) transmit(name string, id byte, c iso7816.Command) bool {
	s.t.Helper()
	c.CLA, c.INS, c.P2 = 0x80, 0xEE, id
	apdu, err := c.AppendTo(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	var want []byte
	for i := range c.Ne {
		want = append(want, c.Data[i%len(c.Data)])
	}
	want = append(want, 0x90, 0x00)
	tag := [2]byte(apdu[2:4])
	for attempt := 0; ; attempt++ {
		var got []byte
		err := s.call(name, func() (err error) {
			got, err = s.slot.Transmit(context.Background(), nil, apdu)
			return err
		})
		switch n := s.count[tag]; {
		case n > 1:
			s.errorf("%s was carried out %d times: %v, %v", name, n, err, s.errs)
		case err == nil && n != 1:
			s.errorf("%s has an answer and was carried out %d times", name, n)
		case err == nil && !bytes.Equal(got, want):
			s.errorf("%s: wrong answer of %d bytes, want %d", name, len(got), len(want))
		case err != nil && n == 1 && !errors.Is(err, ccid.ErrOutcomeUnknown):
			s.errorf("%s was carried out, the driver says: %v", name, err)
		}
		if err == nil {
			return true
		}
		if s.slot.State() != ccid.CardReady && !s.again() {
			return false
		}
		if errors.Is(err, ccid.ErrOutcomeUnknown) {
			return true // the caller must not repeat it
		}
		if attempt == 3 {
			s.errorf("%s does not get through: %v", name, s.errs)
			return false
		}
	}
}

// run is the session: open, power up, parameters, a short and a chained APDU, a
// time extension, status, one more APDU, close.
func (s *session) run() {
	s.t.Helper()
	for attempt := 0; s.reader == nil; attempt++ {
		err := s.call("open", func() (err error) { s.reader, err = drive(s.t, s.d); return err })
		if err != nil && (s.gone || attempt == 2) {
			if !s.gone {
				s.errorf("the reader does not open: %v", s.errs)
			}
			return
		}
	}
	defer func() {
		s.call("close", s.reader.Close)
		if n := s.d.OpenPipes(); n != 0 {
			s.errorf("%d pipes left open", n)
		}
		if v := s.d.Violations(); len(v) > 0 {
			s.errorf("violations: %q\nafter %v", v, s.errs)
		}
		if s.gone {
			select {
			case <-s.reader.Done():
			default:
				s.errorf("the device is gone and the reader is not done")
			}
		}
	}()
	s.slot = s.reader.Slots()[0]
	if err := s.call("power on", func() error { _, err := s.slot.PowerOn(context.Background()); return err }); err != nil && !s.again() {
		return
	}
	chained := iso7816.Command{Data: make([]byte, 70), Ne: 70}
	for i := range chained.Data {
		chained.Data[i] = byte(i)
	}
	_ = s.transmit("short", 1, iso7816.Command{Data: []byte{1, 2, 3, 4, 5}, Ne: 5}) &&
		s.transmit("chained", 2, chained) &&
		s.transmit("slow", 3, iso7816.Command{P1: 0x77}) &&
		s.status() &&
		s.transmit("last", 4, iso7816.Command{Data: []byte{6}, Ne: 1})
}

func (s *session) status() bool {
	s.t.Helper()
	err := s.call("status", func() error { _, err := s.slot.Status(context.Background()); return err })
	return err == nil || s.slot.State() == ccid.CardReady || s.again()
}

// counts are the transfers of a session without faults.
func counts(t *testing.T, r rig) map[ccidsim.Where]int {
	n := map[ccidsim.Where]int{}
	synctest.Test(t, func(t *testing.T) {
		s := newSession(t, r)
		s.run()
		if len(s.errs) > 0 {
			t.Fatalf("without a fault: %v", s.errs)
		}
		for _, w := range []ccidsim.Where{ccidsim.Out, ccidsim.In, ccidsim.Control, ccidsim.BlockOut, ccidsim.BlockIn} {
			n[w] = s.d.Transfers(w)
		}
	})
	return n
}

// meet runs a session that meets a fault.
func meet(t *testing.T, r rig, f ccidsim.Fault) {
	t.Helper()
	name := f.String()
	if f.Value != 0 {
		name = fmt.Sprintf("%s, %02X", name, f.Value)
	}
	switch {
	case f.Times == ccidsim.Forever:
		name += " for ever"
	case f.Times > 1:
		name += fmt.Sprintf(", %d times", f.Times)
	}
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newSession(t, r)
			s.endless = f.Times == ccidsim.Forever
			if s.endless {
				s.bound = endlessBound
			}
			s.d.Inject(f)
			s.run()
			if s.failed {
				t.Logf("errors on the way: %v", s.errs)
			}
			s.d.Unplug()
		})
	})
}

// Every fault of bus and reader at every transfer of a session.
func TestBusFaults(t *testing.T) {
	for _, r := range rigs() {
		switch r.name {
		case "kaztoken", "iccd-a", "iccd-b", "extended", "extended-chaining", "tpdu-t1-crc", "tpdu-t0", "character", "two-slots":
		default:
			continue // the reader's side of these is that of another
		}
		t.Run(r.name, func(t *testing.T) {
			n := counts(t, r)
			for _, w := range []ccidsim.Where{ccidsim.Out, ccidsim.In, ccidsim.Control} {
				for at := 1; at <= n[w]; at++ {
					for _, kind := range ccidsim.BusFaults() {
						if kind == ccidsim.Truncate && r.name == "iccd-b" {
							continue // nothing says how long an answer is
						}
						for _, value := range values(w, kind) {
							meet(t, r, ccidsim.Fault{Where: w, At: at, Kind: kind, Value: value})
						}
					}
				}
			}
		})
	}
}

// values are the variants of a kind of fault. A reader that carried a command out
// does not then claim to have been busy.
func values(w ccidsim.Where, k ccidsim.FaultKind) []int {
	switch k {
	case ccidsim.CardOut:
		return []int{0}
	case ccidsim.Delay:
		return []int{4000}
	case ccidsim.TimeExt:
		return []int{1, 0xFF}
	case ccidsim.ErrorCode:
		if w == ccidsim.Out {
			return []int{0xE0, 0xF2, 0xFB, 0xFE, 0x01}
		}
		return []int{0xFB, 0xFD, 0xFE}
	}
	return []int{0}
}

// Every fault of the card's contacts at every block, once and for ever.
func TestBlockFaults(t *testing.T) {
	for _, r := range rigs() {
		if level := r.profile.Interface.Reader.Features.Level(); level >= usb.ShortAPDU {
			continue // the reader speaks to the card, not we
		}
		t.Run(r.name, func(t *testing.T) {
			n := counts(t, r)
			for _, w := range []ccidsim.Where{ccidsim.BlockOut, ccidsim.BlockIn} {
				for at := 1; at <= n[w]; at++ {
					for _, kind := range ccidsim.BlockFaults() {
						values := []int{0}
						if kind == ccidsim.IFSRequest {
							values = []int{0, 1, 254, 255}
						}
						for _, value := range values {
							for _, times := range []int{1, 2, 3, ccidsim.Forever} {
								meet(t, r, ccidsim.Fault{Where: w, At: at, Kind: kind, Value: value, Times: times})
							}
						}
					}
				}
			}
		})
	}
}

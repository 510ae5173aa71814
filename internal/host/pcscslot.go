package host

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

const (
	// serviceAnswer bounds how long a service may take for what needs no card. One
	// that was started by the question looks at its readers first.
	serviceAnswer = 10 * time.Second
	// cardFree bounds how long a connection waits for another program.
	cardFree = 30 * time.Second
	// parting bounds how long letting a card go may take.
	parting = 2 * time.Second
)

// serviceSlot is the channel through a smart-card service, which other programs
// use at the same time.
type serviceSlot struct {
	name    string // of the reader
	slot    int
	service smartcards
	explain func(error) error
	log     *logrus.Entry

	life   context.Context // ends with Close
	cancel context.CancelFunc
	watch  sync.Once // starts to look whether the reader is still there
	wg     sync.WaitGroup
	close  func() error // once

	mu    sync.Mutex // guards all following fields; no I/O while held
	card  smartcard  // nil before PowerOn
	atr   iso7816.ATR
	state ccid.CardState
	// open: somebody is logged in to the card, or may be.
	open bool
	done chan struct{}
	err  error // why done is closed
}

func newServiceSlot(c Candidate, service smartcards, explain func(error) error, log *logrus.Entry) *serviceSlot {
	s := &serviceSlot{name: c.Name, slot: c.Slot, service: service, explain: explain, log: log, done: make(chan struct{})}
	s.life, s.cancel = context.WithCancel(context.Background())
	s.close = sync.OnceValue(s.end)
	return s
}

// failed turns an error into one that is of USB, too. One after which nothing
// can be reached ends the channel.
func (s *serviceSlot) failed(err error) error {
	if err == nil || errors.Is(err, firmware.ErrReset) {
		return err
	}
	err = s.explain(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, usb.ErrGone), errors.Is(err, wire.CommError), errors.Is(err, wire.ServiceStopped), errors.Is(err, wire.NoService):
		s.lost(err)
	case errors.Is(err, ccid.ErrNoCard):
		s.state, s.atr = ccid.CardAbsent, iso7816.ATR{}
	case errors.Is(err, ccid.ErrCardReset):
		s.state = ccid.CardLost
	}
	return err
}

// lost ends the channel. The caller holds mu.
func (s *serviceSlot) lost(err error) {
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// PowerOn connects to the card. If it is connected already, it takes it as it is.
func (s *serviceSlot) PowerOn(ctx context.Context) (iso7816.ATR, error) {
	if card := s.connected(); card != nil {
		return s.renew(ctx, card, wire.LeaveCard)
	}
	bounded, cancel := context.WithTimeout(ctx, cardFree)
	defer cancel()
	card, err := s.service.connect(bounded, s.name)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		err = client.Failed("connect to reader "+s.name, wire.SharingViolation)
	}
	if err != nil {
		return iso7816.ATR{}, s.failed(err)
	}
	s.mu.Lock()
	s.card = card
	s.mu.Unlock()
	return s.look(ctx, card)
}

// Reset resets the card for all programs.
func (s *serviceSlot) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	card := s.connected()
	if card == nil {
		return s.PowerOn(ctx)
	}
	how := wire.ResetCard
	if cold {
		how = wire.UnpowerCard
	}
	return s.renew(ctx, card, how)
}

func (s *serviceSlot) renew(ctx context.Context, card smartcard, how wire.Disposition) (iso7816.ATR, error) {
	if err := card.Reconnect(ctx, wire.ShareShared, anyProtocol, how); err != nil {
		return iso7816.ATR{}, s.failed(err)
	}
	if how != wire.LeaveCard {
		s.mu.Lock()
		s.open = false
		s.mu.Unlock()
	}
	return s.look(ctx, card)
}

// look asks for the ATR of a card that has just been connected. It does so in a
// transaction: services do not tell of a card while another program uses it, and
// have whoever asks again wait in no queue.
func (s *serviceSlot) look(ctx context.Context, card smartcard) (iso7816.ATR, error) {
	if err := card.Begin(ctx); err != nil && !errors.Is(err, firmware.ErrReset) {
		return iso7816.ATR{}, s.failed(err)
	}
	status, err := card.Status(ctx)
	if e := card.End(ctx); err == nil {
		err = e
	}
	if err != nil {
		return iso7816.ATR{}, s.failed(err)
	}
	atr, err := iso7816.ParseATR(status.ATR)
	if err != nil {
		return iso7816.ATR{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.atr, s.state = atr, ccid.CardReady
	return atr, nil
}

func (s *serviceSlot) connected() smartcard {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.card
}

func (s *serviceSlot) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	card := s.connected()
	if card == nil {
		return dst, ccid.ErrCardReset
	}
	before := s.note(apdu)
	resp, err := card.Transmit(ctx, dst, apdu)
	if err != nil {
		return resp, s.failed(err)
	}
	s.outcome(apdu, resp, before)
	return resp, nil
}

const (
	insVerify      = 0x20
	claVendor      = 0x80
	insResetAccess = 0x40 // RESET ACCESS RIGHTS, with class 80
)

// verifies reports whether a command compares a PIN, and so may log in.
func verifies(apdu []byte) bool { return len(apdu) > 5 && apdu[1] == insVerify }

// note keeps in mind that a command may log in, whatever becomes of it, and says
// whether somebody was logged in before.
func (s *serviceSlot) note(apdu []byte) (before bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.open
	s.open = before || verifies(apdu)
	return before
}

// outcome keeps in mind who is logged in after a command that was answered.
func (s *serviceSlot) outcome(apdu, resp []byte, before bool) {
	done := len(resp) >= 2 && resp[len(resp)-2] == 0x90 && resp[len(resp)-1] == 0x00
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case verifies(apdu) && !done:
		s.open = before
	case len(apdu) >= 2 && apdu[0] == claVendor && apdu[1] == insResetAccess && done:
		s.open = false
	}
}

// Begin and End make the channel a [firmware.Sharer].
func (s *serviceSlot) Begin(ctx context.Context) error {
	card := s.connected()
	if card == nil {
		return ccid.ErrCardReset
	}
	err := card.Begin(ctx)
	if errors.Is(err, firmware.ErrReset) {
		s.mu.Lock()
		s.open = false
		s.mu.Unlock()
	}
	return s.failed(err)
}

func (s *serviceSlot) End(ctx context.Context) error {
	card := s.connected()
	if card == nil {
		return ccid.ErrCardReset
	}
	return s.failed(card.End(ctx))
}

func (s *serviceSlot) info() SlotInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := SlotInfo{Slot: s.slot, State: s.state.String(), ATR: s.atr}
	if s.card != nil {
		switch s.card.Protocol() {
		case wire.ProtocolT0:
			i.Protocol = iso7816.T0.String()
		case wire.ProtocolT1:
			i.Protocol = iso7816.T1.String()
		}
	}
	return i
}

// describe asks the service for the USB device.
func (s *serviceSlot) describe(ctx context.Context, dev usb.Info) usb.Info {
	card := s.connected()
	if card == nil {
		return dev
	}
	ctx, cancel := context.WithTimeout(ctx, serviceAnswer)
	defer cancel()
	return deviceOf(ctx, card, dev)
}

// Done is closed when the reader is gone or the service has ended. From the
// first call on the service is asked to tell.
func (s *serviceSlot) Done() <-chan struct{} {
	s.watch.Do(func() { s.wg.Go(s.untilGone) })
	return s.done
}

// untilGone waits until the reader is gone.
func (s *serviceSlot) untilGone() {
	known, err := s.service.Readers(s.life)
	for err == nil && slices.ContainsFunc(known, func(r client.Reader) bool { return r.Name == s.name }) {
		known, err = s.service.Wait(s.life, known)
	}
	if s.life.Err() != nil {
		return
	}
	if err == nil {
		err = usb.ErrGone
	} else {
		err = s.explain(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost(err)
}

func (s *serviceSlot) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// LeaveOpen has a later [Token.Close] leave the card as it is although somebody is
// logged in to it: another program, which goes on with the log-in. It holds until
// the next PIN is verified.
func (t *Token) LeaveOpen() {
	if s, ok := t.channel.(*serviceSlot); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = false
	}
}

// Close lets the card go and leaves it as it is for other programs; one that
// somebody is still logged in to is reset, because they would be, too.
func (s *serviceSlot) Close() error { return s.close() }

func (s *serviceSlot) end() error {
	s.cancel()
	s.watch.Do(func() {}) // starts no more
	var err error
	s.mu.Lock()
	card, how, gone := s.card, wire.LeaveCard, s.err != nil
	if s.open {
		how = wire.ResetCard
	}
	s.mu.Unlock()
	if card != nil {
		ctx, cancel := context.WithTimeout(context.Background(), parting)
		defer cancel()
		if err = card.Disconnect(ctx, how); err != nil {
			err = s.explain(err)
		}
	}
	if gone || errors.Is(err, usb.ErrGone) {
		err = nil // nothing is left to let go
	}
	err = errors.Join(err, s.service.Close())
	s.wg.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost(ErrClosed)
	return err
}

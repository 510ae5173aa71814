package host

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/firmware"
	"kaztoken/internal/iso7816"
)

// Token is an open token, whatever road leads to it. All methods are safe for
// concurrent use. Close ends it.
type Token struct {
	Candidate
	Driver string // name of the USB driver; "" if a smart-card service has the device

	log     *logrus.Entry
	channel channel
}

// channel is what a road leads to: the card in one slot.
type channel interface {
	PowerOn(ctx context.Context) (iso7816.ATR, error)
	Reset(ctx context.Context, cold bool) (iso7816.ATR, error)
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
	info() SlotInfo
	Done() <-chan struct{} // closed when nothing can be reached any more
	Err() error            // why; nil before that
	Close() error
}

// SlotInfo is what is known of a slot and its card without asking it.
type SlotInfo struct {
	Slot     int
	State    string      // as [ccid.CardState] names it
	ATR      iso7816.ATR // zero without power
	Protocol string      // "T=0", "T=1"; "" without power
}

// usbSlot is the channel of the driver of this process.
type usbSlot struct {
	*ccid.Slot
	reader *ccid.Reader
}

func (s usbSlot) Done() <-chan struct{} { return s.reader.Done() }
func (s usbSlot) Err() error            { return s.reader.Err() }
func (s usbSlot) Close() error          { return s.reader.Close() }
func (s usbSlot) info() SlotInfo        { return slotInfo(s.Slot) }

func slotInfo(s *ccid.Slot) SlotInfo {
	i := SlotInfo{Slot: s.Index(), State: s.State().String(), ATR: s.ATR()}
	if s.State() == ccid.CardReady {
		i.Protocol = s.Protocol().String()
	}
	return i
}

// PowerOn powers the card up and makes it ready for Transmit; through a service,
// it connects to the card. The errors are those of [ccid.Slot.PowerOn], an empty
// slot is [ccid.ErrNoCard], and [usb.ErrBusy] if another program has the card.
func (t *Token) PowerOn(ctx context.Context) (iso7816.ATR, error) {
	began := time.Now()
	atr, err := t.channel.PowerOn(ctx)
	if err != nil {
		return atr, fmt.Errorf("%s: %w", t.Name, err)
	}
	t.log.WithFields(logrus.Fields{"atr": atr, "protocol": t.Slot().Protocol, "dur": time.Since(began)}).Debug("card powered up")
	return atr, nil
}

// Reset resets the card, cold or warm, and makes it ready again.
func (t *Token) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	atr, err := t.channel.Reset(ctx, cold)
	if err != nil {
		return atr, fmt.Errorf("%s: %w", t.Name, err)
	}
	t.log.WithFields(logrus.Fields{"atr": atr, "cold": cold}).Debug("card reset")
	return atr, nil
}

// Transmit sends one command APDU as it is and appends the response, status
// word included, to dst; see [ccid.Slot.Transmit].
func (t *Token) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	began := time.Now()
	resp, err := t.channel.Transmit(ctx, dst, apdu)
	if t.log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		t.logExchange(apdu, resp[len(dst):], err, time.Since(began))
	}
	if err != nil {
		return resp, fmt.Errorf("%s: %w", t.Name, err)
	}
	return resp, nil
}

// logExchange logs one APDU by its header, lengths and status word. Bodies are
// never logged here.
func (t *Token) logExchange(apdu, resp []byte, err error, took time.Duration) {
	f := logrus.Fields{"len": len(apdu), "dur": took}
	if len(apdu) >= 4 {
		f["cla"], f["ins"] = fmt.Sprintf("%02X", apdu[0]), fmt.Sprintf("%02X", apdu[1])
		f["p1p2"] = fmt.Sprintf("%02X%02X", apdu[2], apdu[3])
	}
	if err != nil {
		f[logrus.ErrorKey] = err
	} else if r, err := iso7816.ParseResponse(resp); err == nil {
		f["sw"], f["answer"] = r.SW, len(r.Data)
	}
	t.log.WithFields(f).Debug("APDU")
}

// ATR is the answer to the last reset, empty while the card has no power. It
// is the caller's.
func (t *Token) ATR() []byte { return t.Slot().ATR.Bytes() }

// Slot is what is known of the slot and its card.
func (t *Token) Slot() SlotInfo { return t.channel.info() }

// Done is closed when the token cannot be reached any more, and Err says why.
func (t *Token) Done() <-chan struct{} { return t.channel.Done() }

// Err is why Done is closed, nil while it is not.
func (t *Token) Err() error { return t.channel.Err() }

// CCID is the slot of the driver in this process, nil if the road leads through
// a service, which has it.
func (t *Token) CCID() *ccid.Slot {
	if s, ok := t.channel.(usbSlot); ok {
		return s.Slot
	}
	return nil
}

// Channel is the token as package firmware uses it: a [firmware.Sharer], too, if
// other programs reach the card at the same time.
func (t *Token) Channel() firmware.Card {
	if s, ok := t.channel.(firmware.Sharer); ok {
		return sharedToken{t, s}
	}
	return t
}

// sharedToken is a token that other programs use at the same time.
type sharedToken struct {
	*Token
	sharer firmware.Sharer
}

func (t sharedToken) Begin(ctx context.Context) error { return t.named(t.sharer.Begin(ctx)) }
func (t sharedToken) End(ctx context.Context) error   { return t.named(t.sharer.End(ctx)) }

func (t *Token) named(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", t.Name, err)
}

// Close lets the token go: on USB it switches the card off and releases the
// interface; through a service it leaves the card as it is for other programs,
// but resets it if somebody is still logged in. It is idempotent.
func (t *Token) Close() error { return t.channel.Close() }

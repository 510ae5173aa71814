package host

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/internal/iso7816"
)

// Token is an open token: one slot of one reader, whatever road leads to it.
// All methods are safe for concurrent use. Close ends it.
type Token struct {
	Candidate
	Driver string // name of the USB driver

	log    *logrus.Entry
	reader *ccid.Reader
	slot   *ccid.Slot
}

// PowerOn powers the card up and makes it ready for Transmit. The errors are
// those of [ccid.Slot.PowerOn]; an empty slot is [ccid.ErrNoCard].
func (t *Token) PowerOn(ctx context.Context) (iso7816.ATR, error) {
	began := time.Now()
	atr, err := t.slot.PowerOn(ctx)
	if err != nil {
		return atr, fmt.Errorf("%s: %w", t.Name, err)
	}
	t.log.WithFields(logrus.Fields{"atr": atr, "protocol": t.slot.Protocol(), "dur": time.Since(began)}).Debug("card powered up")
	return atr, nil
}

// Reset resets the card, cold or warm, and makes it ready again.
func (t *Token) Reset(ctx context.Context, cold bool) (iso7816.ATR, error) {
	atr, err := t.slot.Reset(ctx, cold)
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
	resp, err := t.slot.Transmit(ctx, dst, apdu)
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
func (t *Token) ATR() []byte { return t.slot.ATR().Bytes() }

// Reader is the reader that the token is, or is in.
func (t *Token) Reader() *ccid.Reader { return t.reader }

// Card is the slot.
func (t *Token) Card() *ccid.Slot { return t.slot }

// Close switches the card off and lets the interface go. It is idempotent.
func (t *Token) Close() error { return t.reader.Close() }

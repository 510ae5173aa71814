package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/sirupsen/logrus"

	"kaztoken/ccid"
	"kaztoken/usb"
)

// openReader opens a claimed interface; p becomes its property. What a card
// answers is what callers see, 61xx and 6Cxx too.
func openReader(ctx context.Context, p usb.Pipe, dev usb.Info, ifc usb.Interface, log *logrus.Entry, opts ...ccid.Option) (*ccid.Reader, error) {
	opts = append([]ccid.Option{ccid.WithDevice(dev), ccid.WithAutoGetResponse(false)}, opts...)
	if log.Logger.IsLevelEnabled(logrus.DebugLevel) {
		opts = append(opts, ccid.WithTrace(tracer(log)))
	}
	return ccid.Open(ctx, p, ifc, opts...)
}

// bringCCID opens a claimed interface and powers its cards up. Slots without a
// card are fine. A token whose card does not come up has failed; a reader whose
// card can be changed has not.
func bringCCID(ctx context.Context, p usb.Pipe, dev usb.Info, ifc usb.Interface, log *logrus.Entry, opts ...ccid.Option) (unit, error) {
	r, err := openReader(ctx, p, dev, ifc, log, opts...)
	if err != nil {
		return nil, err
	}
	removable := ifc.Interrupt.Address != 0
	for _, s := range r.Slots() {
		atr, err := s.PowerOn(ctx)
		log := log.WithField("slot", s.Index())
		switch {
		case err == nil:
			log.WithFields(logrus.Fields{"atr": atr, "protocol": s.Protocol()}).Debug("card powered up")
		case errors.Is(err, ccid.ErrNoCard):
			log.Debug("no card")
		case removable && r.Err() == nil && ctx.Err() == nil:
			log.WithError(err).Warn("card does not power up")
		default:
			return nil, errors.Join(fmt.Errorf("power up: %w", err), r.Close())
		}
	}
	return usbUnit{r}, nil
}

// tracer makes the hook that logs what happens on a reader: the incidents at
// debug level, every message at trace level. The driver hides what carries a
// PIN before the hook sees it.
func tracer(log *logrus.Entry) func(ccid.Event) {
	return func(e ccid.Event) {
		level := logrus.DebugLevel
		switch e.Kind {
		case ccid.EventCommand, ccid.EventAnswer:
			level = logrus.TraceLevel
		}
		if !log.Logger.IsLevelEnabled(level) {
			return
		}
		f := logrus.Fields{}
		if e.Slot >= 0 {
			f["slot"] = e.Slot
		}
		switch e.Kind {
		case ccid.EventState:
			f["state"] = e.State
		case ccid.EventTimeExtension:
			f["factor"] = e.Factor
		case ccid.EventCommand, ccid.EventAnswer:
			f["seq"], f["type"] = e.Seq, e.Type
		}
		if len(e.Data) > 0 {
			f["data"] = fmt.Sprintf("% X", e.Data)
		}
		if e.Hidden > 0 {
			f["hidden"] = e.Hidden
		}
		if e.Elapsed > 0 {
			f["dur"] = e.Elapsed
		}
		if e.Err != nil {
			f[logrus.ErrorKey] = e.Err
		}
		log.WithFields(f).Log(level, e.Kind)
	}
}

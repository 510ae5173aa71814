package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"kaztoken/ccid"
	"kaztoken/internal/words"
	"kaztoken/udev"
	"kaztoken/usb"
)

// HintError is an error together with what the user can do about it.
type HintError struct {
	Err    error
	Hint   words.Key // for a person
	Values []any     // of the hint
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// HintIn gives what the user can do about err in a language, "" if nothing is
// known.
func HintIn(w words.Words, err error) string {
	var h *HintError
	switch {
	case errors.As(err, &h):
		return w.Text(h.Hint, h.Values...)
	case errors.Is(err, ccid.ErrNoCard):
		return w.Text("hint.card")
	case errors.Is(err, ccid.ErrMute):
		return w.Text("hint.turn")
	case errors.Is(err, ccid.ErrOutcomeUnknown):
		return w.Text("hint.outcome")
	case errors.Is(err, usb.ErrGone):
		return w.Text("hint.replug")
	}
	return ""
}

// Hint is [HintIn] in English.
func Hint(err error) string { return HintIn(words.For(words.English), err) }

// holdersOf names the other processes that have a device open, as far as this
// user may know.
func holdersOf(dev usb.Info) []udev.Holder {
	all, _ := udev.Holders(udev.Proc(), dev.Bus, dev.Addr) // what cannot be seen is not named
	var others []udev.Holder
	for _, h := range all {
		if h.PID != os.Getpid() {
			others = append(others, h)
		}
	}
	return others
}

// pcscd is the stock smart-card service.
const pcscd = "pcscd"

const (
	stopPCSC     = "sudo systemctl stop pcscd.socket pcscd.service"
	stopScdaemon = "gpgconf --kill scdaemon"
)

// heldBy adds to an error how to make the holders let go.
func heldBy(holders []udev.Holder, err error) *HintError {
	for _, h := range holders {
		switch h.Name {
		case pcscd:
			return &HintError{err, "hint.through", []any{"option", "--backend pcsc", "command", stopPCSC}}
		case scdaemon:
			return &HintError{err, "hint.stop", []any{"command", stopScdaemon}}
		}
	}
	if len(holders) > 0 {
		return &HintError{Err: err, Hint: "hint.end"}
	}
	return &HintError{err, "hint.who", []any{"fuser", "sudo fuser -v /dev/bus/usb/*/*", "command", stopPCSC}}
}

// explain adds to an error of opening a device what the user can do about it.
func explain(err error, dev usb.Info, holders func(usb.Info) []udev.Holder) error {
	var said *HintError
	switch {
	case errors.As(err, &said):
		return err
	case errors.Is(err, usb.ErrAccess):
		return &HintError{
			Err:  fmt.Errorf("%s: %w", dev, err),
			Hint: "hint.udev",
			Values: []any{
				"command", "kaztoken udev-rules | sudo tee /etc/udev/rules.d/" + udev.RulesFile +
					" && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb",
				"group", "sudo groupadd -rf " + udev.Group + " && sudo usermod -aG " + udev.Group + " $USER",
			},
		}
	case errors.Is(err, usb.ErrBusy):
		by := "another program"
		hs := holders(dev)
		if len(hs) > 0 {
			var names []string
			for _, h := range hs {
				names = append(names, h.String())
			}
			by = strings.Join(names, ", ")
		}
		return heldBy(hs, fmt.Errorf("%s: held by %s: %w", dev, by, err))
	}
	if strings.Contains(err.Error(), dev.String()) {
		return err
	}
	return fmt.Errorf("%s: %w", dev, err)
}

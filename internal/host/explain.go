package host

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"kaztoken/ccid"
	"kaztoken/udev"
	"kaztoken/usb"
)

// HintError is an error together with what the user can do about it.
type HintError struct {
	Err  error
	Hint string // for a person, without a full stop at the end
}

func (e *HintError) Error() string { return e.Err.Error() }
func (e *HintError) Unwrap() error { return e.Err }

// Hint gives what the user can do about err, "" if nothing is known.
func Hint(err error) string {
	var h *HintError
	switch {
	case errors.As(err, &h):
		return h.Hint
	case errors.Is(err, ccid.ErrNoCard):
		return "put a card into the reader"
	case errors.Is(err, ccid.ErrMute):
		return "take the card or the token out, put it in the right way round, and try again"
	case errors.Is(err, ccid.ErrOutcomeUnknown):
		return "the card may or may not have run the command: read back what it was to change before you send it again"
	case errors.Is(err, usb.ErrGone):
		return "plug the token in again"
	}
	return ""
}

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

// wayOut says how to make the holders let go.
func wayOut(holders []udev.Holder) string {
	const stopPCSC = "sudo systemctl stop pcscd.socket pcscd.service"
	for _, h := range holders {
		switch h.Name {
		case "pcscd":
			return "stop it: " + stopPCSC
		case "scdaemon":
			return "stop it: gpgconf --kill scdaemon"
		}
	}
	if len(holders) > 0 {
		return "end that program and try again"
	}
	return "see who it is: sudo fuser -v /dev/bus/usb/*/*; if it is pcscd: " + stopPCSC
}

// explain adds to an error of opening a device what the user can do about it.
func explain(err error, dev usb.Info, holders func(usb.Info) []udev.Holder) error {
	switch {
	case errors.Is(err, usb.ErrAccess):
		return &HintError{
			Err: fmt.Errorf("%s: %w", dev, err),
			Hint: "install the udev rule: kaztoken udev-rules | sudo tee /etc/udev/rules.d/" + udev.RulesFile +
				" && sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb" +
				"\nif you are not at the machine's own screen, before that: sudo groupadd -rf " + udev.Group +
				" && sudo usermod -aG " + udev.Group + " $USER, and log in again",
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
		return &HintError{Err: fmt.Errorf("%s: held by %s: %w", dev, by, err), Hint: wayOut(hs)}
	}
	if strings.Contains(err.Error(), dev.String()) {
		return err
	}
	return fmt.Errorf("%s: %w", dev, err)
}

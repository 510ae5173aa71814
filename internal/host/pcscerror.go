package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"kaztoken/bridge/client"
	"kaztoken/bridge/wire"
	"kaztoken/ccid"
	"kaztoken/udev"
	"kaztoken/usb"
)

// ErrService: there is no smart-card service, or it does not do its work.
var ErrService = errors.New("smart-card service does not work")

// serviceError is what went wrong at a smart-card service, together with the
// errors that it is on other roads, so that who asks does not have to know which
// road was taken.
type serviceError struct {
	err error
	is  []error
}

func (e *serviceError) Error() string   { return e.err.Error() }
func (e *serviceError) Unwrap() []error { return append([]error{e.err}, e.is...) }

// meanings are the codes of a service that another road has an error for.
var meanings = []struct {
	code wire.Result
	is   error
}{
	{wire.UnknownReader, usb.ErrGone},
	{wire.ReaderUnavailable, usb.ErrGone},
	{wire.InvalidValue, usb.ErrGone}, // of a handle whose reader is gone
	{wire.NoSmartcard, ccid.ErrNoCard},
	{wire.CardRemoved, ccid.ErrNoCard},
	{wire.UnresponsiveCard, ccid.ErrMute},
	{wire.UnpoweredCard, ccid.ErrMute},
	{wire.ProtoMismatch, ccid.ErrProtocolMismatch},
	{wire.CardReset, ccid.ErrCardReset},
	{wire.NotTransacted, ccid.ErrProtocol},
	{wire.SharingViolation, usb.ErrBusy},
	{wire.SecurityViolation, usb.ErrAccess},
	{wire.NoService, ErrService},
	{wire.ServiceStopped, ErrService},
	{wire.CommError, ErrService},
	{wire.NoMemory, ErrService},
	{wire.InternalError, ErrService},
}

const (
	serveCommand = "kaztoken serve"
	restartPCSC  = "sudo systemctl restart pcscd.service"
)

// explainService says what an error of a service is on other roads, and what the
// user can do about it. holders names who has a card for itself, and may be
// empty.
func explainService(err error, holders func() []udev.Holder) error {
	var said *HintError
	var e *client.Error
	if err == nil || errors.As(err, &said) || !errors.As(err, &e) || errors.Is(err, context.Canceled) {
		return err
	}
	out := &serviceError{err: err}
	for _, m := range meanings {
		if e.Code == m.code {
			out.is = append(out.is, m.is)
		}
	}
	if e.Sent {
		out.is = append(out.is, ccid.ErrOutcomeUnknown)
	}
	switch e.Code {
	case wire.NoService:
		return &HintError{out, "hint.service", []any{"command", serveCommand, "option", "--backend usb"}}
	case wire.SecurityViolation:
		return &HintError{Err: out, Hint: "hint.service.denied"}
	case wire.CommError, wire.NoMemory, wire.InternalError:
		return &HintError{out, "hint.service.restart", []any{"command", restartPCSC}}
	case wire.SharingViolation:
		return heldCard(out, holders())
	}
	return out
}

// heldCard adds to an error who has the card for itself, and how to make them
// let go.
func heldCard(err error, holders []udev.Holder) error {
	if len(holders) == 0 {
		return &HintError{err, "hint.exclusive", []any{"program", "GnuPG", "command", stopScdaemon}}
	}
	var names []string
	for _, h := range holders {
		names = append(names, h.String())
	}
	err = fmt.Errorf("held by %s: %w", strings.Join(names, ", "), err)
	for _, h := range holders {
		if h.Name == scdaemon {
			return &HintError{err, "hint.stop", []any{"command", stopScdaemon}}
		}
	}
	return &HintError{Err: err, Hint: "hint.end"}
}

// scdaemon is GnuPG's, which keeps a card for itself as long as it runs.
const scdaemon = "scdaemon"

// askHolders bounds how long a service may take to tell who has a card.
const askHolders = time.Second

// cardHolders finds who has the card in a reader for itself. Our own service
// tells; of another only GnuPG can be guessed.
func cardHolders(reader string) []udev.Holder {
	ctx, cancel := context.WithTimeout(context.Background(), askHolders)
	defer cancel()
	report, err := AskStatus(ctx, client.Path())
	if err != nil {
		return running(os.DirFS("/proc"), scdaemon)
	}
	var all []udev.Holder
	add := func(pid int, program string) {
		if h := (udev.Holder{PID: pid, Name: program}); pid != 0 && pid != os.Getpid() {
			for _, o := range all {
				if o == h {
					return
				}
			}
			all = append(all, h)
		}
	}
	for _, r := range report.Readers {
		if r.Name != reader {
			continue
		}
		if r.Lock != nil {
			add(r.Lock.PID, r.Lock.Program)
		}
		for _, h := range r.Handles {
			if h.Share == wire.ShareExclusive.String() {
				add(h.PID, h.Program)
			}
		}
	}
	return all
}

// running finds the processes of a program, as far as this user may know.
func running(proc fs.FS, program string) []udev.Holder {
	dirs, err := fs.ReadDir(proc, ".")
	if err != nil {
		return nil // what cannot be seen is not named
	}
	var all []udev.Holder
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if comm, err := fs.ReadFile(proc, d.Name()+"/comm"); err == nil && strings.TrimSpace(string(comm)) == program {
			all = append(all, udev.Holder{PID: pid, Name: program})
		}
	}
	return all
}

//go:build !minimal

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// softwareRoads are the roads to a token in software, which the smallest build
// leaves out.
var softwareRoads = []string{"virtual"}

// plugHint is what can be done where no token is.
const plugHint = "hint.plug"

// virtual is the road to a KAZTOKEN in software, within this process, whose
// state is in a file. It is made when the token is opened for the first time.
func virtual(path string) *usbRoad {
	// What is known of it without opening it does not depend on the state.
	info := ccidsim.New(ccidsim.KAZTOKEN, emu.New()).Info()
	return &usbRoad{
		backend: "virtual",
		source:  single{info},
		driver: Driver{"virtual", func(context.Context, usb.Info, usb.Interface) (usb.Pipe, error) {
			return openVirtual(path)
		}},
		filter:  AnyReader,
		inspect: func(*Candidate) {},
	}
}

// virtualPipe is the pipe of a virtual token and has the token with it.
type virtualPipe struct {
	usb.Pipe
	close func() error
}

// Close gives the state file free, when no command is under way any more.
func (p *virtualPipe) Close() error { return p.close() }

func openVirtual(path string) (usb.Pipe, error) {
	path, err := statePath(path)
	if err != nil {
		return nil, err
	}
	card, err := emu.Open(path, emu.WithATR(ccidsim.KAZTOKEN.ATR))
	if err != nil {
		return nil, ExplainState(path, err)
	}
	dev := ccidsim.New(ccidsim.KAZTOKEN, card)
	p := dev.Pipe()
	return &virtualPipe{p, sync.OnceValue(func() error {
		err := p.Close()
		dev.Unplug() // waits for the card
		return errors.Join(err, card.Close())
	})}, nil
}

// statePath gives the file of [Options.VirtualState], and makes the folder of
// the one by default.
func statePath(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	base, err := stateHome()
	if err != nil {
		return "", &HintError{Err: fmt.Errorf("no folder for the state of the virtual token: %w", err), Hint: "hint.state.file"}
	}
	dir := filepath.Join(base, "kaztoken")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", &HintError{Err: fmt.Errorf("state of the virtual token: %w", err), Hint: "hint.state.file"}
	}
	return filepath.Join(dir, "virtual.state"), nil
}

// stateHome is where programs keep what they would miss after a restart (XDG
// Base Directory Specification 0.8: a path that is not absolute does not count).
func stateHome() (string, error) {
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	if runtime.GOOS == "darwin" {
		return os.UserConfigDir()
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}

// ExplainState adds to an error of [emu.Open] what the user can do about it. A
// state that is open elsewhere is [usb.ErrBusy] too.
func ExplainState(path string, err error) error {
	switch {
	case errors.Is(err, emu.ErrInUse):
		return &HintError{Err: stateBusy{err}, Hint: "hint.state.busy"}
	case errors.Is(err, emu.ErrState):
		return &HintError{Err: err, Hint: "hint.state.bad", Values: []any{"file", path}}
	}
	return err
}

// stateBusy is what a busy interface is on USB.
type stateBusy struct{ error }

func (e stateBusy) Unwrap() error        { return e.error }
func (e stateBusy) Is(target error) bool { return target == usb.ErrBusy }

// single is the Source of one device that neither comes nor goes.
type single struct{ dev usb.Info }

func (s single) Devices(context.Context) ([]usb.Info, error) { return []usb.Info{s.dev}, nil }

func (s single) Watch() (Watch, error) { return &still{closed: make(chan struct{})}, nil }

// still is a Watch that has nothing to report.
type still struct {
	once   sync.Once
	closed chan struct{}
}

func (w *still) Next(ctx context.Context) (Notice, error) {
	select {
	case <-ctx.Done():
		return Notice{}, ctx.Err()
	case <-w.closed:
		return Notice{}, errWatchClosed
	}
}

func (w *still) Close() error {
	w.once.Do(func() { close(w.closed) })
	return nil
}

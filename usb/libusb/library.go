//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"fmt"
	"sync"

	"github.com/google/gousb"
)

// library is one initialised libusb with gousb's event loop, shared by all that
// is open.
type library struct {
	ctx  *gousb.Context
	refs int // guarded by shared
}

// shared guards the library that the next Open uses. It is the newest one;
// older ones live until what was opened through them is closed.
var shared struct {
	sync.Mutex
	newest *library
}

// acquire gives a library with a reference added. With fresh it is a new one,
// which has just looked at all devices. existed tells that it was there before.
func acquire(fresh bool) (l *library, existed bool, err error) {
	shared.Lock()
	defer shared.Unlock()
	if l := shared.newest; l != nil && !fresh {
		l.refs++
		return l, true, nil
	}
	ctx, err := newContext()
	if err != nil {
		return nil, false, err
	}
	shared.newest = &library{ctx: ctx, refs: 1}
	return shared.newest, false, nil
}

// release gives a reference back. The last one ends the event loop and waits for
// it: up to 100 ms, during which others may open and close.
func (l *library) release() error {
	shared.Lock()
	l.refs--
	last := l.refs == 0
	if last && shared.newest == l {
		shared.newest = nil
	}
	shared.Unlock()
	if !last {
		return nil
	}
	return l.ctx.Close()
}

// newContext turns the panic of gousb.NewContext into an error.
func newContext() (ctx *gousb.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(error)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("initialising libusb: %w", translate(e))
		}
	}()
	return gousb.NewContext(), nil
}

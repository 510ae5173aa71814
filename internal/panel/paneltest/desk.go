// Package paneltest is the machine that a panel runs on, for tests: tokens in
// software that are plugged in and pulled out by the test.
package paneltest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/panel"
)

// ErrGone is the error of a token that was pulled out.
var ErrGone = errors.New("pulled out")

// Desk is a machine with tokens. It is a [panel.Tokens]. All methods are safe for
// concurrent use.
type Desk struct {
	// Wrap, if it is set before the first token is opened, is put between the panel
	// and every card.
	Wrap func(name string, c firmware.Card) firmware.Card

	mu      sync.Mutex // guards the following fields
	plugged []*plug
	changed chan struct{}
	number  int
	failure error
}

// plug is one plugging-in of a card.
type plug struct {
	key, name string
	gone      chan struct{}
	held      chan struct{} // capacity 1: the card serves one caller at a time
	card      *emu.Card
	opened    int
}

// New makes a desk without tokens.
func New() *Desk { return &Desk{changed: make(chan struct{})} }

// Plug puts a card into a reader.
func (d *Desk) Plug(name string, card *emu.Card) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.number++
	d.plugged = append(d.plugged, &plug{
		key: fmt.Sprintf("%s#%d", name, d.number), name: name, card: card, gone: make(chan struct{}), held: make(chan struct{}, 1),
	})
	d.tell()
}

// Unplug pulls the card out of a reader. Commands that run end with [ErrGone].
func (d *Desk) Unplug(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range d.plugged {
		if p.name == name {
			close(p.gone)
			d.plugged = append(d.plugged[:i:i], d.plugged[i+1:]...)
			break
		}
	}
	d.tell()
}

// Fail has List fail, or with nil work again.
func (d *Desk) Fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
	d.tell()
}

// Opened counts the tokens that are open now.
func (d *Desk) Opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for _, p := range d.plugged {
		n += p.opened
	}
	return n
}

// tell tells of a change. The caller holds mu.
func (d *Desk) tell() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// List implements [panel.Tokens], as do the methods that follow.
func (d *Desk) List(context.Context) ([]panel.Entry, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failure != nil {
		return nil, d.failure
	}
	var list []panel.Entry
	for _, p := range d.plugged {
		list = append(list, panel.Entry{Key: p.key, Name: p.name})
	}
	return list, nil
}

func (d *Desk) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

func (d *Desk) Open(_ context.Context, key string) (panel.Device, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.plugged {
		if p.key != key {
			continue
		}
		if p.opened > 0 {
			return nil, fmt.Errorf("%s: open already", p.name)
		}
		p.opened++
		dev := &device{desk: d, plug: p}
		dev.channel = dev
		if d.Wrap != nil {
			dev.channel = d.Wrap(p.name, dev)
		}
		return dev, nil
	}
	return nil, fmt.Errorf("%s: %w", key, ErrGone)
}

// device is an open card. Each opening begins with a reset.
type device struct {
	desk    *Desk
	plug    *plug
	channel firmware.Card
	reset   bool
	once    sync.Once
}

func (d *device) Card() firmware.Card { return d.channel }
func (d *device) ATR() []byte         { return d.plug.card.ATR() }

func (d *device) Close() error {
	d.once.Do(func() {
		d.desk.mu.Lock()
		defer d.desk.mu.Unlock()
		d.plug.opened--
	})
	return nil
}

// Transmit passes a command to the card, unless it is pulled out.
func (d *device) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	select {
	case d.plug.held <- struct{}{}:
		defer func() { <-d.plug.held }()
	case <-d.plug.gone:
		return dst, ErrGone
	}
	select {
	case <-d.plug.gone:
		return dst, ErrGone
	default:
	}
	if !d.reset {
		d.plug.card.Reset(true)
		d.reset = true
	}
	return d.plug.card.Transmit(ctx, dst, apdu)
}

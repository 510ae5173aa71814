package ccid

import (
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Option changes how a reader is driven. See [Open].
type Option func(*config)

type config struct {
	hook        func(Event)
	contain     func(any)
	device      usb.Info
	quirks      *Quirks // nil: by device
	timeouts    Timeouts
	protocol    iso7816.Protocol
	protocolSet bool
	voltages    []Voltage
	getResponse bool
	headerFirst bool
	escape      bool
	fresh       bool
	poll        time.Duration
}

func newConfig(opts []Option) config {
	c := config{getResponse: true, poll: 800 * time.Millisecond}
	for _, o := range opts {
		o(&c)
	}
	if c.quirks == nil {
		q := QuirksOf(c.device)
		c.quirks = &q
	}
	c.timeouts = c.timeouts.withDefaults()
	return c
}

// WithDevice tells which device the interface belongs to: the quirks of the
// product are applied and its ids are told to who asks for properties.
func WithDevice(dev usb.Info) Option { return func(c *config) { c.device = dev } }

// WithQuirks replaces what the table knows about the product.
func WithQuirks(q Quirks) Option { return func(c *config) { c.quirks = &q } }

// WithTrace has f called for everything that happens on the reader, from the
// goroutine in which it happens and with locks held: f must return soon and
// must not call the reader. It may be called from several goroutines at once.
// Bodies of commands that carry a PIN never reach f.
func WithTrace(f func(Event)) Option { return func(c *config) { c.hook = f } }

// WithContain has f told of a panic in a goroutine of the reader's own, with the
// value of the panic, and ends the reader; else a panic ends the process, as
// everywhere. It is for libraries, whose process is another's.
func WithContain(f func(any)) Option { return func(c *config) { c.contain = f } }

// WithFresh says that the device was plugged in just now and nobody has talked to
// it: it cannot have anything left to say to a former owner, and 20 ms of listening
// for that are left out. If it has all the same, opening is as long as ever.
func WithFresh() Option { return func(c *config) { c.fresh = true } }

// WithProtocol selects the protocol for cards that offer more than one. A card
// that does not offer it fails to power on with ErrProtocolMismatch. Default is
// the card's first.
func WithProtocol(p iso7816.Protocol) Option {
	return func(c *config) { c.protocol, c.protocolSet = p, true }
}

// WithVoltageOrder sets the voltages to try at power-on, instead of those of
// the descriptor from 5 V down with automatic selection as the last resort.
// Readers that select the voltage themselves are not asked.
func WithVoltageOrder(v ...Voltage) Option { return func(c *config) { c.voltages = v } }

// WithTimeouts changes limits. See [WithLimit] for a single call.
func WithTimeouts(t Timeouts) Option { return func(c *config) { c.timeouts = t } }

// WithAutoGetResponse says whether the driver answers 61xx and 6Cxx itself
// where it maps APDUs onto T=0, as ISO 7816-3:2006 §12.2 describes. Default is
// true; users of PC/SC expect to see these status words and want false.
func WithAutoGetResponse(on bool) Option { return func(c *config) { c.getResponse = on } }

// WithHeaderFirst has every answer read in two transfers, of one packet first
// and then of the rest. Default is one transfer, and two as soon as the reader
// shows that it does not end its transfers properly.
func WithHeaderFirst() Option { return func(c *config) { c.headerFirst = true } }

// WithEscape allows vendor commands, which are off by default.
func WithEscape() Option { return func(c *config) { c.escape = true } }

// WithPollInterval sets how often a reader with a removable card and no
// interrupt endpoint is asked for its card while idle, 0 for never. Default is
// 800 ms.
func WithPollInterval(d time.Duration) Option { return func(c *config) { c.poll = d } }

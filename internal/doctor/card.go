package doctor

import (
	"errors"
	"time"

	"kaztoken/usb"
)

// card asks the cards of the tokens.
func (x *examination) card() (*Finding, bool) {
	if x.Card == nil {
		return nil, true
	}
	for _, dev := range x.tokens {
		slept := x.suspended(dev) // asking wakes it up, or is to
		c := x.Card(x.ctx, dev)
		if c.Err != nil && x.ctx.Err() == nil {
			if errors.Is(c.Err, usb.ErrBusy) {
				return about(dev, "card.busy", ClassOutOfReach, "error", c.Err.Error()), false
			}
			if slept || x.suspended(dev) {
				return about(dev, "card.suspended", ClassNoToken, "command",
					"echo on | sudo tee /sys/"+devicesDir+"/"+dev.Port+"/power/control"), false
			}
			return about(dev, "card.silent", ClassOther, "error", c.Err.Error()), false
		}
		x.cards = append(x.cards, c)
	}
	return nil, false
}

// format looks how the tokens are formatted.
func (x *examination) format() (*Finding, bool) {
	for i, c := range x.cards {
		switch c.Format {
		case FormatVendor:
			return about(x.tokens[i], "format.vendor", ClassNotAllowed), false
		case FormatHalf:
			return about(x.tokens[i], "format.half", ClassNotAllowed, "command", "kaztoken format"), false
		case FormatWiped:
			return about(x.tokens[i], "format.wiped", ClassNotAllowed, "command", "kaztoken format"), false
		}
	}
	return nil, len(x.cards) == 0
}

// pin looks for PINs that are blocked.
func (x *examination) pin() (*Finding, bool) {
	known := false
	for i, c := range x.cards {
		known = known || c.User.Known || c.Admin.Known
		switch {
		case c.User.Blocked && c.Admin.Blocked:
			return about(x.tokens[i], "pin.both", ClassPIN, "command", "kaztoken format"), false
		case c.User.Blocked:
			return about(x.tokens[i], "pin.user", ClassPIN, "command", "kaztoken pin unblock"), false
		case c.Admin.Blocked:
			return about(x.tokens[i], "pin.admin", ClassPIN), false
		}
	}
	return nil, !known
}

// clock compares the clock with the certificates, and with the day when this
// program was made: no clock is right that is before it.
func (x *examination) clock() (*Finding, bool) {
	wrong := func(f *Finding) (*Finding, bool) {
		f.Class = ClassOther
		return f, false
	}
	const command = "sudo timedatectl set-ntp true"
	if !x.Program.IsZero() && x.Now.Before(x.Program.Add(-24*time.Hour)) {
		return wrong(&Finding{ID: "clock.behind", Values: []any{"now", x.Now, "command", command}})
	}
	looked := false
	for i, c := range x.cards {
		var newest *Certificate
		for _, cert := range c.Certificates {
			looked = true
			if x.Now.Before(cert.NotBefore) {
				return wrong(about(x.tokens[i], "clock.early", ClassOther, "name", cert.Name, "now", x.Now, "from", cert.NotBefore, "command", command))
			}
			if newest == nil || cert.NotAfter.After(newest.NotAfter) {
				newest = &cert
			}
		}
		if newest != nil && x.Now.After(newest.NotAfter) {
			return wrong(about(x.tokens[i], "clock.expired", ClassOther, "name", newest.Name, "now", x.Now, "until", newest.NotAfter))
		}
	}
	return nil, !looked
}

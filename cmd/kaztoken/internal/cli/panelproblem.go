//go:build !minimal

package cli

import (
	"errors"

	"kaztoken/firmware"
	"kaztoken/internal/panel"
	"kaztoken/internal/words"
	"kaztoken/usb"
)

// panelHints are the hints of commands for somebody who has the panel in front of
// him: what he can press there. A hint that is "" does not help in the panel.
var panelHints = map[words.Key]words.Key{
	"hint.unblock":  "panel.hint.unblock",
	"hint.dead":     "panel.hint.dead",
	"hint.last":     "panel.hint.last",
	"hint.again":    "panel.hint.again",
	"hint.recheck":  "panel.hint.recheck",
	"hint.vendor":   "panel.hint.vendor",
	"hint.format":   "panel.hint.format",
	"hint.space":    "panel.hint.space",
	"hint.repair":   "panel.hint.repair",
	"hint.settings": "panel.hint.settings",
	"hint.list":     "",
}

// explainToPanel tells a person of an error in the panel: with the words of the
// commands, but for what can be done about it.
func (a *app) explainToPanel(w words.Words, err error) panel.Problem {
	p := problemOf(err)
	var values []any
	if p.values != nil {
		values = p.values(err)
	}
	told := panel.Problem{Message: w.Text(p.message, values...), Gone: errors.Is(err, usb.ErrGone)}
	switch p.own {
	case ownText, ownDetails:
		told.Details = cleanLines(err.Error())
	}
	if other, ok := panelHints[p.hint]; !ok {
		told.Hint = p.hintIn(w, err)
	} else if other != "" {
		told.Hint = w.Text(other)
	}
	if told.Gone {
		told.Hint = w.Text("panel.hint.recheck")
	}
	var last *firmware.PINError
	if errors.As(err, &last) && errors.Is(err, firmware.ErrLastTry) {
		told.Hint = w.Text("panel.hint.last")
	}
	return told
}

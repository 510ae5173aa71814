//go:build minimal

package host

import "kaztoken/bridge"

// The smallest build has no token in software.
var softwareRoads []string

const plugHint = "hint.plug.only"

// virtual is not reached: no backend has its name.
func virtual(string) *usbRoad { return nil }

type cardSlot struct{ bridge.Slot }

// newCardSlot says that there is none.
func newCardSlot(string) (*cardSlot, error) {
	return nil, &OptionError{"backend", "virtual", BackendNames()}
}

func (*cardSlot) close() error { return nil }

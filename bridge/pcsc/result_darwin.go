//go:build cgo

package pcsc

import (
	"github.com/ebfe/scard"

	"kaztoken/bridge/wire"
)

// resultOf is the code that an error of the library is. PCSC.framework numbers
// one code as Windows does, whose number in pcsc-lite means something else there.
func resultOf(e scard.Error) wire.Result {
	switch e {
	case 0x80100022: // SCARD_E_UNSUPPORTED_FEATURE
		return wire.UnsupportedFeature
	case 0x8010001F: // SCARD_E_UNEXPECTED
		return wire.UnknownError
	}
	return wire.Result(e)
}

//go:build cgo

package pcsc

import (
	"github.com/ebfe/scard"

	"kaztoken/bridge/wire"
)

// resultOf is the code that an error of the library is.
func resultOf(e scard.Error) wire.Result { return wire.Result(e) }

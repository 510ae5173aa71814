//go:build linux && race

package nap

import "sync/atomic"

// messages is for the race detector, which knows of read(2) and write(2) that what
// was done before a message happens before its receipt, and not of sendmsg(2).
var messages atomic.Int64

func sending()  { messages.Add(1) }
func received() { messages.Load() }

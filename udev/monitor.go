package udev

import "errors"

// ErrOverrun: reports were lost, because they came faster than they were read
// or one could not be understood. What is attached is not known any more: list
// the devices again. The monitor goes on.
var ErrOverrun = errors.New("uevents were lost")

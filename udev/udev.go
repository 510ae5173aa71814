// Package udev tells which USB devices a Linux machine has, which come and go,
// and who is allowed to open them. It is pure Go and needs neither libudev nor
// a running udev daemon.
//
// [Enumerate] and [Read] look at sysfs, with no traffic to the devices.
// [Listen] subscribes to the kernel's uevents; nothing is polled, and a waiting
// [Monitor] costs no thread. [Holders] finds the processes that have a device
// node open. [Rules] makes the udev rules file from the table of devices that
// [Lookup] knows; the file that ships is 70-kaztoken.rules beside this source.
//
// The order that loses nothing is: Listen, then Enumerate, then [Monitor.Next]
// until [ErrOverrun], then Enumerate again. A device may then show up twice but
// is never missed.
package udev

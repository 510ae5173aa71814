// Package pcscsim is a smart-card service for the tests of its clients: readers
// that come and go at a word, other programs that lock, reset or hold a card, and
// answers that are refused or never come. It speaks the protocols 4:4 to 4:6 of
// pcsc-lite over a unix socket, so its own library can be a client, too.
//
// It follows what the daemon of pcsc-lite does, where clients notice; it has no
// limits, power management or access rights.
package pcscsim

// Package pcsc reaches the system's smart-card service through its C library, by
// way of ebfe/scard: libpcsclite on Linux, PCSC.framework on macOS, where no
// socket leads to it. It is the only importer of scard, and empty in builds
// without cgo and for other systems.
//
// It has the shape of bridge/client and shares its types. What differs is that a
// call of the library cannot be interrupted: a caller whose context.Context ends
// leaves it behind, and it occupies the Context until it returns. What it brought
// is given back then. Close does not wait for it either.
//
// scard has its edges, which are kept away from here: it panics when it is to
// send an empty APDU, or in a protocol that is neither T=0 nor T=1, and it
// allocates 64 KB for each answer, which are wiped.
package pcsc

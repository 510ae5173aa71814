// Package firmware manages a KAZTOKEN, or a relative of the Rutoken ECP family,
// as its firmware is seen from outside: through APDUs on a channel that somebody
// else provides.
//
// [Open] finds out how the token is formatted and what may safely be done with
// it. On a token in the PKCS#15 layout of OpenSC, which [Token.Format] writes as
// well, everything may be; on one formatted by the vendor's own software, whose
// layout is not public, only what needs no knowledge of it.
//
// # Order of writes
//
// The power may fail at any APDU. Every operation therefore writes what nobody
// refers to first and ends with one UPDATE BINARY that makes it valid: an entry
// in a directory, a path in the ODF, the application's entry in EF(DIR). What an
// interrupted operation leaves behind is found by [Token.Check] and cleared or
// completed by [Token.Repair].
//
// # Other programs
//
// A [Card] that is also a [Sharer] is used by other programs too. Each operation
// then runs in a transaction of its own; a log-in holds one until the log-out.
// What was read from the token is kept, and dropped when the time of the last
// change in EF(TokenInfo) has moved; an operation that uses nothing of it does not
// look.
//
// A [Token] is safe for concurrent use: its operations run one after the other.
package firmware

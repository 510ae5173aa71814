// Package pkcs11 is a PKCS #11 module without its C: a [Module] has a method for
// each function of the standard (OASIS PKCS #11 v2.40 and v3.0), named like it
// without the prefix, that takes and gives Go values. cmd/libkaztoken-pkcs11 puts
// the C calling conventions around it.
//
// Tokens come from a [Source]; what is done on one goes through package firmware.
// What needs no secret (digests, verifying, encrypting, certificates and public
// keys that are no token objects) is done in this process.
//
// # Errors
//
// The error of every method is nil or an [Rv], whose text is the standard's name
// of the code.
//
// # Log-in
//
// A PIN goes to the token and is not kept. The log-in is the token's own, so that
// another program may end it: the next operation that needs it then finds
// [ErrUserNotLoggedIn], and the module's sessions are public again. On a token that
// other programs use at the same time, each operation is a transaction of its own.
//
// # Concurrency
//
// All methods are safe for concurrent use. Operations on one token run one after
// the other; operations of one session, too.
package pkcs11

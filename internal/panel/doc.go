// Package panel is the control panel of the user guide as a local web page, in
// Kazakh, Russian and English.
//
// A [Server] is an http.Handler. Its pages are made on the server and work without
// JavaScript; with it, dialogs are modal, tokens come and go by themselves and long
// operations show how far they are. What is done on a token is done by package
// firmware: the panel has no logic of its own.
//
// # Who may use it
//
// Whoever starts the program gets an address with a secret that works once; it
// becomes a session, which is a cookie of the browser and ends with the process.
// Every request is checked for the host that it names and for where it comes from,
// every form has a token of its session, and a page may load nothing but the
// panel's own files. Beyond loopback a password takes the place of the secret.
//
// # Logged in
//
// A log-in belongs to a session and to one plugging-in of a token. The card itself
// is logged in to for the time of one operation only, so that other programs are
// kept waiting no longer than that, and never work with rights that a person gave
// to the panel. For this the session keeps the PIN, in memory that package secret
// locks and wipes: at log-out, after some minutes without use, when the token is
// pulled out, when it is formatted, when the card refuses it, and at the end. It is
// only ever sent to the token that took it, which its number shows.
//
// # Long operations
//
// What writes to a token is a task. It runs to its end whether or not somebody looks,
// and can be looked at again from any session. One operation runs on a token at a
// time; pages that only show something show what was read last meanwhile.
package panel

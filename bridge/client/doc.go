// Package client is a PC/SC client in pure Go: it says to the smart-card service
// what libpcsclite would, over the same socket. The service is pcscd, from
// pcsc-lite 1.8.24 on, or anything else that speaks its protocols 4:4 to 4:6.
//
// [Dial] makes a [Context], which lists the readers, waits for changes and makes
// a [Card]. A Card is a firmware.Card and, because other programs use it at the
// same time, a firmware.Sharer.
//
// A Context is one connection, as in the library, and its commands go one after
// the other: a Connect that waits for another program keeps the Context's other
// commands waiting. Only [Context.Wait] has a connection of its own, for as long
// as it waits.
//
// Every call ends when its context.Context does. What the service has begun by
// then cannot be taken back: the next command waits for its end, its answer is
// dropped, and a card or a lock that it brought is given back.
//
// Everything that comes from the service is checked, and an answer that makes no
// sense ends the connection. Bodies of commands and answers are wiped as soon as
// they have been passed on.
//
// Sources: pcsc-lite 1.8.24 to 2.5.1, src/winscard_clnt.c and src/winscard_msg.c.
package client

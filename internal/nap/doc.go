// Package nap waits for descriptors in poll(2), in the thread that asks.
//
// Go's network poller is made for many connections that are silent most of the
// time. In a conversation of short questions and answers it costs more than
// the conversation: for every wait the goroutine gives its processor (the P of
// Go's scheduler) away, a thread goes to sleep in epoll, the monitor of the
// runtime is woken and goes to sleep as well. A system call that blocks costs
// nearly the same, since the monitor takes its processor after 20 µs and has to
// be woken when it ends.
//
// So a wait begins with a nap: for a moment the goroutine keeps its processor
// while its thread sleeps in the kernel. What answers within that moment wakes
// the thread that asked, and nothing else in the process. Then the processor is
// given away as in any other system call.
//
// A processor that is kept cannot run other goroutines, therefore [Allow]
// bounds how many are at the same time. It is none until the program says
// otherwise, and should be less than there are. A garbage collection does not
// wait for a nap: the signal that asks a goroutine to stop ends it.
package nap

package nap

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Length bounds a nap. A command to a card that does not compute takes 1 to 2 ms
// on a full-speed bus, a program needs less than that to think of the next.
const Length = 2 * time.Millisecond

// turn is how long goroutines that nap go on before one of them lets the scheduler
// in. It must come by within 10 ms or the runtime's monitor wants the processor
// back; if it finds the goroutine in a system call it takes it, and from then on it
// looks for more to take every 20 µs. That was five thread switches per command.
const turn = 4 * time.Millisecond

// maxThreads bounds the calls of [Linger] that sleep after their nap: each holds a
// thread, and the runtime dies where it cannot have another.
const maxThreads = 16

var (
	allowed            atomic.Int32
	napping, lingering atomic.Int32 // calls with and without a processor
)

var (
	start  = time.Now()
	turned atomic.Int64 // when the scheduler was let in last, ns from start
)

// letIn does that if it is time. The caller is going to wait, so nobody waits for it.
func letIn() {
	last, now := turned.Load(), time.Since(start).Nanoseconds()
	if now-last >= turn.Nanoseconds() && turned.CompareAndSwap(last, now) {
		runtime.Gosched()
	}
}

// Allow lets as many as n goroutines keep their processors at the same time.
func Allow(n int) { allowed.Store(int32(max(0, n))) }

// Yield lets the core go on with other threads that want it, as sched_yield(2).
func Yield() { unix.RawSyscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// take counts a call, unless there are limit already.
func take(counted *atomic.Int32, limit int32) bool {
	if counted.Add(1) <= limit {
		return true
	}
	counted.Add(-1)
	return false
}

// Poll waits until one of fds is ready, as poll(2) has it, and reports whether
// one is; it is false when limit is over. A negative limit is for ever. Nobody
// may close one of fds meanwhile.
func Poll(fds []unix.PollFd, limit time.Duration) (bool, error) {
	ready, left, err := begin(fds, limit)
	if ready || err != nil || left == 0 {
		return ready, err
	}
	return give(fds, left)
}

// Linger is Poll that gives up at once after a nap if many threads wait already.
func Linger(fds []unix.PollFd, limit time.Duration) (bool, error) {
	ready, left, err := begin(fds, limit)
	if ready || err != nil || left == 0 || !take(&lingering, maxThreads) {
		return ready, err
	}
	defer lingering.Add(-1)
	return give(fds, left)
}

// begin takes a nap, if one is allowed, and tells what is left of limit.
func begin(fds []unix.PollFd, limit time.Duration) (ready bool, left time.Duration, err error) {
	if !take(&napping, allowed.Load()) {
		if limit == 0 {
			ready, err = keep(fds, 0)
		}
		return ready, limit, err
	}
	defer napping.Add(-1)
	letIn()
	length := Length
	if limit >= 0 {
		length = min(length, limit)
		limit -= length
	}
	ready, err = keep(fds, length)
	return ready, limit, err
}

// keep is ppoll(2) without word to Go's scheduler. A signal ends it: most likely
// it is the one that asks this goroutine to stop.
func keep(fds []unix.PollFd, length time.Duration) (bool, error) {
	ts := unix.NsecToTimespec(length.Nanoseconds())
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(unsafe.SliceData(fds))), uintptr(len(fds)),
		uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
	switch errno {
	case 0:
		return n > 0, nil
	case unix.EINTR:
		return false, nil
	}
	return false, os.NewSyscallError("ppoll", errno)
}

// give is ppoll(2) as any other system call.
func give(fds []unix.PollFd, limit time.Duration) (bool, error) {
	var ts *unix.Timespec
	if limit >= 0 {
		// The kernel leaves in it what is left when a signal comes.
		left := unix.NsecToTimespec(limit.Nanoseconds())
		ts = &left
	}
	for {
		n, err := unix.Ppoll(fds, ts, nil)
		if err != unix.EINTR {
			return n > 0, os.NewSyscallError("ppoll", err)
		}
	}
}

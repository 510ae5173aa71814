//go:build linux

package nap

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pipe gives the end of a pipe that can be waited for, and what makes it ready.
func pipe(t testing.TB) (fds []unix.PollFd, fill func()) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(p[0])
		unix.Close(p[1])
	})
	return []unix.PollFd{{Fd: int32(p[0]), Events: unix.POLLIN}}, func() {
		if _, err := unix.Write(p[1], []byte{0}); err != nil {
			t.Error(err)
		}
	}
}

// allow runs a test without naps, with one, and with more than are wanted.
func allow(t *testing.T, f func(t *testing.T)) {
	for _, n := range []int{-1, 0, 1, 100} {
		t.Run(fmt.Sprint(n, " allowed"), func(t *testing.T) {
			Allow(n)
			defer Allow(0)
			f(t)
			if napping.Load() != 0 || lingering.Load() != 0 {
				t.Errorf("%d nap and %d linger afterwards", napping.Load(), lingering.Load())
			}
		})
	}
}

var waits = map[string]func([]unix.PollFd, time.Duration) (bool, error){"Poll": Poll, "Linger": Linger}

func TestReady(t *testing.T) {
	allow(t, func(t *testing.T) {
		for name, wait := range waits {
			for _, limit := range []time.Duration{0, time.Microsecond, time.Hour, -1} {
				fds, fill := pipe(t)
				fill()
				if ready, err := wait(fds, limit); !ready || err != nil || fds[0].Revents != unix.POLLIN {
					t.Errorf("%s, ready before, %v: got %t, %v, %#x", name, limit, ready, err, fds[0].Revents)
				}
			}
			for _, after := range []time.Duration{0, Length / 2, 3 * Length} {
				fds, fill := pipe(t)
				late := time.AfterFunc(after, fill)
				if ready, err := wait(fds, -1); !ready || err != nil {
					t.Errorf("%s, ready after %v: got %t, %v", name, after, ready, err)
				}
				late.Stop()
			}
		}
	})
}

func TestLimit(t *testing.T) {
	allow(t, func(t *testing.T) {
		for name, wait := range waits {
			for _, limit := range []time.Duration{0, Length / 2, Length, 3 * Length} {
				fds, _ := pipe(t)
				begin := time.Now()
				ready, err := wait(fds, limit)
				// A signal may end a nap, and with it as much of the limit.
				if took := time.Since(begin); ready || err != nil || took < limit-Length {
					t.Errorf("%s for %v: got %t, %v after %v", name, limit, ready, err, took)
				}
			}
		}
	})
}

// The scheduler is let in as often as it has to be, and not more often, however
// short the naps are.
func TestScheduler(t *testing.T) {
	Allow(1)
	defer Allow(0)
	fds, fill := pipe(t)
	fill()
	begin, times := time.Now(), 0
	for last := turned.Load(); time.Since(begin) < 10*turn; {
		if ready, err := Poll(fds, -1); !ready || err != nil {
			t.Fatalf("got %t, %v", ready, err)
		}
		if now := turned.Load(); now != last {
			last = now
			times++
		}
	}
	if most := int(time.Since(begin)/turn) + 1; times < 1 || times > most {
		t.Errorf("%d times in %v", times, time.Since(begin))
	}
}

// What cannot be waited for is ready, so that nobody waits for it.
func TestNoDescriptor(t *testing.T) {
	allow(t, func(t *testing.T) {
		for name, wait := range waits {
			fds := []unix.PollFd{{Fd: 1 << 30, Events: unix.POLLIN}}
			if ready, err := wait(fds, -1); !ready || err != nil || fds[0].Revents != unix.POLLNVAL {
				t.Errorf("%s: got %t, %v, %#x", name, ready, err, fds[0].Revents)
			}
		}
	})
}

// No more than are allowed keep their processors: others wait as ever.
func TestAllow(t *testing.T) {
	fds, _ := pipe(t)
	for _, tt := range []struct {
		allowed int
		nap     int32 // already
		left    time.Duration
		name    string
	}{
		{-1, 0, 3 * Length, "less than none"},
		{0, 0, 3 * Length, "none"},
		{1, 0, 2 * Length, "the only one"},
		{1, 1, 3 * Length, "the second"},
		{2, 1, 2 * Length, "the second of two"},
	} {
		Allow(tt.allowed)
		napping.Add(tt.nap)
		ready, left, err := begin(fds, 3*Length)
		if ready || err != nil || left != tt.left {
			t.Errorf("%s: got %t, %v, %v left", tt.name, ready, err, left)
		}
		napping.Add(-tt.nap)
		if n := napping.Load(); n != 0 {
			t.Errorf("%s: %d nap still", tt.name, n)
		}
	}
	Allow(0)
}

// No more than maxThreads of those who linger hold a thread: others find out at
// once.
func TestBounds(t *testing.T) {
	Allow(1)
	defer Allow(0)
	fds, fill := pipe(t)
	var group sync.WaitGroup
	for range maxThreads {
		group.Go(func() {
			if ready, err := Linger(append([]unix.PollFd(nil), fds...), time.Hour); !ready || err != nil {
				t.Errorf("got %t, %v", ready, err)
			}
		})
	}
	for lingering.Load() < maxThreads {
		runtime.Gosched()
	}
	if ready, err := Linger(append([]unix.PollFd(nil), fds...), time.Hour); ready || err != nil {
		t.Errorf("one too many: got %t, %v", ready, err)
	}
	fill()
	group.Wait()
}

// A collection of garbage does not wait for those who nap.
func TestStopTheWorld(t *testing.T) {
	fds, _ := pipe(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if ready, err := keep(fds, time.Hour); ready || err != nil {
			t.Errorf("got %t, %v", ready, err)
		}
	}()
	for {
		runtime.GC()
		select {
		case <-done:
			return
		default:
		}
	}
}

func TestNoAllocations(t *testing.T) {
	allow(t, func(t *testing.T) {
		fds, fill := pipe(t)
		fill()
		if n := testing.AllocsPerRun(100, func() { Poll(fds, time.Hour); Linger(fds, -1) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

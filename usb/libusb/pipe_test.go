//go:build cgo && !nolibusb && (linux || darwin)

package libusb

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/gousb"

	"kaztoken/usb"
)

var testInterface = usb.Interface{
	Configuration: 1,
	BulkOut:       usb.Endpoint{Address: 0x01, Attributes: 2, MaxPacketSize: 64},
	BulkIn:        usb.Endpoint{Address: 0x82, Attributes: 2, MaxPacketSize: 64},
	Interrupt:     usb.Endpoint{Address: 0x83, Attributes: 3, MaxPacketSize: 8},
	Alternates:    1,
}

// answer is how a transfer ends by itself.
type answer struct {
	data []byte
	n    int // of an OUT transfer
	err  error
	late bool // data is in, but the transfer ends with its context only
}

// fakeDevice behaves as gousb does: a transfer waits for its answer or for the
// context, and then has the status "cancelled" with the bytes that are there.
type fakeDevice struct {
	answers map[byte]chan answer
	began   chan byte // told of every transfer, if not nil

	mu         sync.Mutex
	timeouts   []time.Duration // of control transfers
	controlled func(data []byte) (int, error)
	halts      []byte // cleared
	clearErr   error
	reselected int
	reselErr   error
	isGone     bool
	running    int // transfers
	closed     int
	closeErr   error
}

func newFake() (*fakeDevice, *pipe) {
	d := &fakeDevice{answers: map[byte]chan answer{0x01: make(chan answer, 8), 0x82: make(chan answer, 8), 0x83: make(chan answer, 8)}}
	return d, &pipe{dev: d, ifc: testInterface}
}

func (d *fakeDevice) control(timeout time.Duration, s usb.Setup, data []byte) (int, error) {
	d.mu.Lock()
	d.timeouts = append(d.timeouts, timeout)
	f := d.controlled
	d.mu.Unlock()
	if f == nil {
		time.Sleep(timeout)
		return int(gousb.ErrorTimeout), gousb.ErrorTimeout
	}
	return f(data)
}

func (d *fakeDevice) transfer(ctx context.Context, address byte, data []byte) (int, error) {
	d.mu.Lock()
	d.running++
	if d.closed > 0 {
		panic("transfer after close")
	}
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		d.running--
		d.mu.Unlock()
	}()
	if d.began != nil {
		d.began <- address
	}
	select {
	case a := <-d.answers[address]:
		n := a.n + copy(data, a.data)
		if a.late {
			<-ctx.Done()
			return n, gousb.TransferCancelled
		}
		return n, a.err
	case <-ctx.Done():
		return 0, gousb.TransferCancelled
	}
}

func (d *fakeDevice) clearHalt(address byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.halts = append(d.halts, address)
	return d.clearErr
}

func (d *fakeDevice) reselect() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running > 0 {
		panic("reselect beside a transfer")
	}
	d.reselected++
	return d.reselErr
}

func (d *fakeDevice) gone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.isGone
}

func (d *fakeDevice) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running > 0 {
		panic("close beside a transfer")
	}
	d.closed++
	return d.closeErr
}

func TestReadBulk(t *testing.T) {
	for _, tc := range []struct {
		name    string
		answer  answer
		timeout time.Duration
		n       int
		want    error
	}{
		{"short packet", answer{data: []byte{1, 2, 3}}, 0, 3, nil},
		{"empty packet", answer{}, 0, 0, nil},
		{"full", answer{data: make([]byte, 64)}, 0, 64, nil},
		{"stall", answer{err: gousb.TransferStall}, 0, 0, usb.ErrStall},
		{"overflow with bytes", answer{data: []byte{1}, err: gousb.TransferOverflow}, 0, 1, usb.ErrOverflow},
		{"wire error", answer{err: gousb.TransferError}, 0, 0, usb.ErrIO},
		{"withdrawn by the kernel", answer{err: gousb.TransferCancelled}, 0, 0, usb.ErrIO},
		{"refused at submission", answer{err: gousb.ErrorBusy}, 0, 0, usb.ErrBusy},
		{"deadline with bytes", answer{data: []byte{1, 2}, late: true}, time.Second, 2, usb.ErrTimeout},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, p := newFake()
				ctx := context.Background()
				if tc.timeout > 0 {
					ctx = within(tc.timeout)
				}
				d.answers[0x82] <- tc.answer
				buf := make([]byte, 64)
				n, err := p.ReadBulk(ctx, buf)
				if n != tc.n || !errors.Is(err, tc.want) || (err == nil) != (tc.want == nil) {
					t.Errorf("got %d, %v, want %d, %v", n, err, tc.n, tc.want)
				}
				if !bytes.Equal(buf[:n], tc.answer.data[:n]) {
					t.Errorf("got % x", buf[:n])
				}
				if !errors.Is(err, usb.ErrGone) { // the next transfer works
					d.answers[0x82] <- answer{data: []byte{9}}
					if n, err := p.ReadBulk(context.Background(), buf); n != 1 || err != nil {
						t.Errorf("afterwards: %d, %v", n, err)
					}
				}
			})
		})
	}
}

func TestWriteBulk(t *testing.T) {
	d, p := newFake()
	d.answers[0x01] <- answer{n: 3}
	if err := p.WriteBulk(context.Background(), []byte{1, 2, 3}); err != nil {
		t.Error(err)
	}
	d.answers[0x01] <- answer{n: 2}
	if err := p.WriteBulk(context.Background(), []byte{1, 2, 3}); !errors.Is(err, usb.ErrShortWrite) {
		t.Errorf("2 of 3 bytes: %v", err)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.WriteBulk(cancelled, []byte{1}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNoEndpoint(t *testing.T) {
	d, _ := newFake()
	p := &pipe{dev: d}
	if err := p.WriteBulk(context.Background(), nil); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Error(err)
	}
	if _, err := p.ReadBulk(context.Background(), nil); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Error(err)
	}
	if _, err := p.ReadInterrupt(context.Background(), nil); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Error(err)
	}
	if err := p.Recover(context.Background()); err != nil || len(d.halts) != 0 {
		t.Errorf("Recover of nothing: %v, % x", err, d.halts)
	}
}

// TestGone: the first sign of an unplug ends everything, whichever it is.
func TestGone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer answer
		gone   bool
	}{
		{"no device at completion", answer{err: gousb.TransferNoDevice}, false},
		{"no device at submission", answer{err: gousb.ErrorNoDevice}, false},
		{"wire error, the file is dead", answer{err: gousb.TransferError}, true},
		{"I/O error, the file is dead", answer{err: gousb.ErrorIO}, true},
		{"withdrawn, the file is dead", answer{err: gousb.TransferCancelled}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, p := newFake()
				d.isGone = tc.gone
				pending := make(chan error)
				go func() {
					_, err := p.ReadInterrupt(context.Background(), make([]byte, 8))
					pending <- err
				}()
				synctest.Wait()
				d.answers[0x82] <- tc.answer
				start := time.Now()
				if _, err := p.ReadBulk(context.Background(), make([]byte, 64)); !errors.Is(err, usb.ErrGone) {
					t.Errorf("ReadBulk: %v", err)
				}
				if err := <-pending; !errors.Is(err, usb.ErrGone) {
					t.Errorf("the pending read: %v", err)
				}
				if time.Since(start) != 0 {
					t.Errorf("it took %v", time.Since(start))
				}
				if err := p.WriteBulk(context.Background(), []byte{1}); !errors.Is(err, usb.ErrGone) {
					t.Errorf("the next write: %v", err)
				}
				if _, err := p.Control(context.Background(), usb.Setup{}, nil); !errors.Is(err, usb.ErrGone) {
					t.Errorf("the next request: %v", err)
				}
				if err := p.Recover(context.Background()); !errors.Is(err, usb.ErrGone) {
					t.Errorf("Recover: %v", err)
				}
				if err := p.Close(); err != nil || d.closed != 1 {
					t.Errorf("Close: %v, closed %d times", err, d.closed)
				}
			})
		})
	}
}

func TestControl(t *testing.T) {
	for _, tc := range []struct {
		name    string
		timeout time.Duration // 0: no deadline
		want    time.Duration
	}{
		{"no deadline", 0, time.Second},
		{"near deadline", 200 * time.Millisecond, 200 * time.Millisecond},
		{"less than libusb can count", 10 * time.Microsecond, time.Millisecond},
		{"not a whole number of milliseconds", 1500 * time.Microsecond, 2 * time.Millisecond},
		{"far deadline", time.Minute, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, p := newFake()
				ctx := context.Background()
				if tc.timeout > 0 {
					ctx = within(tc.timeout)
				}
				n, err := p.Control(ctx, usb.Setup{RequestType: 0xa1}, make([]byte, 4))
				if n != 0 || !errors.Is(err, usb.ErrTimeout) {
					t.Errorf("got %d, %v", n, err)
				}
				if len(d.timeouts) != 1 || d.timeouts[0] != tc.want {
					t.Errorf("timeout: got %v, want %v", d.timeouts, tc.want)
				}
			})
		})
	}
}

func TestControlResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newFake()
		set := func(n int, err error) { d.controlled = func([]byte) (int, error) { return n, err } }
		in, out := usb.Setup{RequestType: 0xa1}, usb.Setup{RequestType: 0x21}

		set(3, nil)
		if n, err := p.Control(context.Background(), in, make([]byte, 4)); n != 3 || err != nil {
			t.Errorf("short IN: %d, %v", n, err)
		}
		if n, err := p.Control(context.Background(), out, make([]byte, 4)); n != 3 || !errors.Is(err, usb.ErrShortWrite) {
			t.Errorf("short OUT: %d, %v", n, err)
		}
		set(int(gousb.ErrorPipe), gousb.ErrorPipe)
		if n, err := p.Control(context.Background(), in, make([]byte, 4)); n != 0 || !errors.Is(err, usb.ErrStall) {
			t.Errorf("refused: %d, %v", n, err)
		}
		if _, err := p.Control(context.Background(), in, make([]byte, 0x10000)); err == nil {
			t.Error("65536 bytes were accepted")
		}
		cancelled, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := p.Control(cancelled, in, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if _, err := p.Control(within(-1), in, nil); !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("expired: %v", err)
		}

		// Cancelled while it runs: the request ends at its timeout, with the reason.
		d.controlled = nil
		ctx, cancel := context.WithCancel(context.Background())
		go func() {
			time.Sleep(100 * time.Millisecond)
			cancel()
		}()
		start := time.Now()
		if _, err := p.Control(ctx, in, nil); !errors.Is(err, context.Canceled) || time.Since(start) != controlTimeout {
			t.Errorf("cancelled in the middle: %v after %v", err, time.Since(start))
		}
	})
}

func TestRecover(t *testing.T) {
	d, p := newFake()
	if err := p.Recover(context.Background()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(d.halts, []byte{0x01, 0x82}) || d.reselected != 0 {
		t.Errorf("cleared % x, reselected %d times", d.halts, d.reselected)
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.Recover(cancelled); !errors.Is(err, context.Canceled) || d.reselected != 0 {
		t.Errorf("cancelled: %v", err)
	}
	if err := p.Recover(within(-1)); !errors.Is(err, usb.ErrTimeout) {
		t.Errorf("expired: %v", err)
	}
	d.clearErr, d.reselErr = gousb.ErrorPipe, gousb.ErrorIO
	if err := p.Recover(context.Background()); !errors.Is(err, usb.ErrStall) || !errors.Is(err, usb.ErrIO) {
		t.Errorf("both refused: %v", err)
	}
}

// TestRecoverReselects: when clear-halt does not do, the interface is selected
// anew, and an interrupt read that is pending lives through it.
func TestRecoverReselects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newFake()
		d.clearErr = errToggle
		got := make(chan []byte)
		go func() {
			buf := make([]byte, 8)
			n, err := p.ReadInterrupt(context.Background(), buf)
			if err != nil {
				t.Error(err)
			}
			got <- buf[:n]
		}()
		synctest.Wait()
		for range 3 {
			if err := p.Recover(context.Background()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if d.reselected != 3 {
			t.Errorf("reselected %d times", d.reselected)
		}
		d.answers[0x83] <- answer{data: []byte{0x50, 0x03}}
		if b := <-got; !bytes.Equal(b, []byte{0x50, 0x03}) {
			t.Errorf("the interrupt read got % x", b)
		}
	})
}

// TestRecoverTruncates: bytes of an interrupt transfer that a recovery cut in
// two are not mistaken for a message.
func TestRecoverTruncates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newFake()
		d.clearErr = errToggle
		d.answers[0x83] <- answer{data: []byte{0x50}, late: true}
		done := make(chan struct{})
		go func() {
			defer close(done)
			if n, err := p.ReadInterrupt(context.Background(), make([]byte, 8)); n != 1 || !errors.Is(err, usb.ErrIO) {
				t.Errorf("got %d, %v", n, err)
			}
		}()
		synctest.Wait()
		if err := p.Recover(context.Background()); err != nil {
			t.Error(err)
		}
		<-done
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, p := newFake()
		d.closeErr = errors.New("release")
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := p.ReadBulk(context.Background(), make([]byte, 64)); !errors.Is(err, usb.ErrClosed) {
				t.Errorf("ReadBulk: %v", err)
			}
		})
		all.Go(func() {
			if _, err := p.ReadInterrupt(within(time.Hour), make([]byte, 8)); !errors.Is(err, usb.ErrClosed) {
				t.Errorf("ReadInterrupt: %v", err)
			}
		})
		all.Go(func() {
			if err := p.WriteBulk(context.Background(), []byte{1}); !errors.Is(err, usb.ErrClosed) {
				t.Errorf("WriteBulk: %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			all.Go(func() {
				if err := p.Close(); !errors.Is(err, d.closeErr) {
					t.Errorf("Close: %v", err)
				}
			})
		}
		all.Wait()
		if d.closed != 1 {
			t.Errorf("closed %d times", d.closed)
		}
		if _, err := p.ReadBulk(context.Background(), make([]byte, 64)); !errors.Is(err, usb.ErrClosed) {
			t.Errorf("afterwards: %v", err)
		}
		if _, err := p.Control(context.Background(), usb.Setup{}, nil); !errors.Is(err, usb.ErrClosed) {
			t.Errorf("Control afterwards: %v", err)
		}
		if err := p.Recover(context.Background()); !errors.Is(err, usb.ErrClosed) {
			t.Errorf("Recover afterwards: %v", err)
		}
	})
}

// TestCloseWaitsForControl: nothing can cancel it, and nothing may be released
// under it.
func TestCloseWaitsForControl(t *testing.T) {
	d, p := newFake()
	began, release := make(chan struct{}), make(chan struct{})
	d.controlled = func([]byte) (int, error) {
		close(began)
		<-release
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.closed > 0 {
			t.Error("closed under a control transfer")
		}
		return 0, nil
	}
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := p.Control(context.Background(), usb.Setup{}, nil); err != nil {
			t.Error(err)
		}
	})
	<-began
	all.Go(func() { p.Close() })
	for p.whyEnded() == nil { // Close has begun
		runtime.Gosched()
	}
	close(release)
	all.Wait()
	if d.closed != 1 {
		t.Errorf("closed %d times", d.closed)
	}
}

// TestTurmoil runs everything at once, under the race detector: no deadlock, and
// the fake panics on what may not overlap.
func TestTurmoil(t *testing.T) {
	d, p := newFake()
	d.clearErr = errToggle
	d.controlled = func([]byte) (int, error) { return 0, nil }
	var all sync.WaitGroup
	until := func(f func() error) {
		all.Go(func() {
			for {
				if err := f(); errors.Is(err, usb.ErrClosed) {
					return
				}
			}
		})
	}
	until(func() error {
		_, err := p.ReadBulk(within(100*time.Microsecond), make([]byte, 64))
		return err
	})
	until(func() error {
		ctx, cancel := context.WithCancel(context.Background())
		go cancel()
		return p.WriteBulk(ctx, []byte{1})
	})
	until(func() error {
		select {
		case d.answers[0x83] <- answer{data: []byte{1}}:
		default:
		}
		_, err := p.ReadInterrupt(context.Background(), make([]byte, 8))
		return err
	})
	until(func() error {
		_, err := p.Control(context.Background(), usb.Setup{}, nil)
		return err
	})
	for range 40 {
		if err := p.Recover(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	p.Close()
	all.Wait()
}

func TestTransferAllocatesNothing(t *testing.T) {
	d, p := newFake()
	ctx := within(time.Hour)
	buf := make([]byte, 64)
	data := answer{data: make([]byte, 64)}
	if n := testing.AllocsPerRun(100, func() {
		d.answers[0x01] <- answer{n: 64}
		if err := p.WriteBulk(ctx, buf); err != nil {
			t.Fatal(err)
		}
		d.answers[0x82] <- data
		if _, err := p.ReadBulk(ctx, buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations per bulk pair", n)
	}
}

var _ usb.Pipe = (*pipe)(nil)

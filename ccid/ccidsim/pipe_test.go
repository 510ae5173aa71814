package ccidsim_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// deadline is a context that has nothing but a deadline: its Done never closes.
type deadline struct {
	context.Context
	at time.Time
}

func (d deadline) Deadline() (time.Time, bool) { return d.at, true }
func (deadline) Done() <-chan struct{}         { return nil }
func (deadline) Err() error                    { return nil }

func within(d time.Duration) context.Context {
	return deadline{context.Background(), time.Now().Add(d)}
}

func TestReadsInPackets(t *testing.T) {
	d := kaztoken()
	p := d.Pipe()
	talk(t, p, `
		> 62 00 00 00 00 00 00 01 00 00
		< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR+`
		> 6F 05 00 00 00 00 01 00 00 00 80 EC 00 01 64 ; 112 bytes to come`)
	ctx := t.Context()
	first := make([]byte, 64)
	if n, err := p.ReadBulk(ctx, first); n != 64 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	rest := make([]byte, 128)
	n, err := p.ReadBulk(ctx, rest)
	if n != 48 || err != nil {
		t.Fatalf("got %d, %v", n, err)
	}
	if err := same(append(first, rest[:n]...), unhex(t, "80 66 00 00 00 00 01 00 00 00"+seq(0, 100)+"90 00")); err != nil {
		t.Error(err)
	}
	noViolations(t, d)
}

func TestReadThatIsNoWholePacket(t *testing.T) {
	d := kaztoken()
	p := d.Pipe()
	talk(t, p, `> 65 00 00 00 00 00 00 00 00 00`)
	if _, err := p.ReadBulk(t.Context(), make([]byte, 4)); !errors.Is(err, usb.ErrOverflow) {
		t.Errorf("got %v, want ErrOverflow", err)
	}
	wantViolation(t, d, "multiple")
}

// A message of whole packets leaves a larger read open; what came is not lost.
func TestReadStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := kaztoken()
		p := d.Pipe()
		talk(t, p, `
			> 62 00 00 00 00 00 00 01 00 00
			< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR+`
			> 6F 05 00 00 00 00 01 00 00 00 80 EC 00 01 34`)
		start := time.Now()
		n, err := p.ReadBulk(within(time.Second), make([]byte, 320))
		if n != 64 || !errors.Is(err, usb.ErrTimeout) {
			t.Errorf("got %d, %v, want 64 bytes and ErrTimeout", n, err)
		}
		if took := time.Since(start); took != time.Second {
			t.Errorf("took %v", took)
		}
	})
}

func TestEndsOfWaiting(t *testing.T) {
	tests := []struct {
		name string
		end  func(d *ccidsim.Device, p usb.Pipe, cancel context.CancelFunc)
		want error
	}{
		{"cancel", func(_ *ccidsim.Device, _ usb.Pipe, cancel context.CancelFunc) { cancel() }, context.Canceled},
		{"unplug", func(d *ccidsim.Device, _ usb.Pipe, _ context.CancelFunc) { d.Unplug() }, usb.ErrGone},
		{"close", func(_ *ccidsim.Device, p usb.Pipe, _ context.CancelFunc) { p.Close() }, usb.ErrClosed},
		{"context deadline", func(*ccidsim.Device, usb.Pipe, context.CancelFunc) { time.Sleep(time.Minute) }, usb.ErrTimeout},
	}
	calls := map[string]func(ctx context.Context, p usb.Pipe) error{
		"bulk in": func(ctx context.Context, p usb.Pipe) error {
			n, err := p.ReadBulk(ctx, make([]byte, 64))
			if n != 0 {
				return io.ErrUnexpectedEOF
			}
			return err
		},
		"interrupt": func(ctx context.Context, p usb.Pipe) error {
			if _, err := p.ReadInterrupt(ctx, make([]byte, 8)); err != nil { // the first is there at once
				return err
			}
			_, err := p.ReadInterrupt(ctx, make([]byte, 8))
			return err
		},
		"bulk out": func(ctx context.Context, p usb.Pipe) error {
			return p.WriteBulk(ctx, []byte{0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		},
		"control": func(ctx context.Context, p usb.Pipe) error {
			_, err := p.Control(ctx, usb.Setup{RequestType: 0xA1, Request: 3}, make([]byte, 4))
			return err
		},
	}
	for _, tt := range tests {
		for name, call := range calls {
			t.Run(tt.name+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDevice(ccidsim.ExtendedAPDU)
					d.Inject(ccidsim.Fault{Where: ccidsim.Out, Kind: ccidsim.NAK}, ccidsim.Fault{Where: ccidsim.Control, Kind: ccidsim.NAK})
					p := d.Pipe()
					ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
					defer cancel()
					got := make(chan error, 1)
					go func() { got <- call(ctx, p) }()
					synctest.Wait()
					select {
					case err := <-got:
						t.Fatalf("ended at once with %v", err)
					default:
					}
					tt.end(d, p, cancel)
					if err := <-got; !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
				})
			})
		}
	}
}

func TestUnplugReplug(t *testing.T) {
	d := kaztoken()
	p := d.Pipe()
	gone := d.Gone()
	d.Unplug()
	d.Unplug()
	select {
	case <-gone:
	default:
		t.Error("Gone is open after Unplug")
	}
	if err := p.WriteBulk(t.Context(), make([]byte, 10)); !errors.Is(err, usb.ErrGone) {
		t.Errorf("got %v, want ErrGone", err)
	}
	d.Replug()
	if err := p.Recover(t.Context()); !errors.Is(err, usb.ErrGone) {
		t.Errorf("old pipe: got %v, want ErrGone", err)
	}
	fresh := d.Pipe()
	talk(t, fresh, `
		> 65 00 00 00 00 00 00 00 00 00
		< 81 00 00 00 00 00 00 01 00 01`)
	if got := d.OpenPipes(); got != 2 {
		t.Errorf("%d pipes open, want 2", got)
	}
	p.Close()
	fresh.Close()
	fresh.Close()
	if got := d.OpenPipes(); got != 0 {
		t.Errorf("%d pipes open, want 0", got)
	}
	if _, err := fresh.ReadBulk(t.Context(), make([]byte, 64)); !errors.Is(err, usb.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	noViolations(t, d)
}

func TestNoEndpoint(t *testing.T) {
	p := kaztoken().Pipe()
	if _, err := p.ReadInterrupt(t.Context(), make([]byte, 8)); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Errorf("got %v, want ErrNoEndpoint", err)
	}
	p = newDevice(ccidsim.ICCDB).Pipe()
	if err := p.WriteBulk(t.Context(), make([]byte, 10)); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Errorf("got %v, want ErrNoEndpoint", err)
	}
	if _, err := p.ReadBulk(t.Context(), make([]byte, 64)); !errors.Is(err, usb.ErrNoEndpoint) {
		t.Errorf("got %v, want ErrNoEndpoint", err)
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		profile := ccidsim.KAZTOKEN
		profile.Latency = 7 * time.Millisecond
		p := ccidsim.New(profile, emu.New()).Pipe()
		start := time.Now()
		talk(t, p, `
			> 65 00 00 00 00 00 00 00 00 00
			< 81 00 00 00 00 00 00 01 00 01`)
		if took := time.Since(start); took != 7*time.Millisecond {
			t.Errorf("took %v, want 7ms", took)
		}
	})
}

// exchange powers a KAZTOKEN up and gives a function that echoes 250 bytes.
func exchange(tb testing.TB) func() {
	p := kaztoken().Pipe()
	ctx := tb.Context()
	buf := make([]byte, 320)
	round := func(msg []byte) {
		if err := p.WriteBulk(ctx, msg); err != nil {
			tb.Fatal(err)
		}
		if _, err := p.ReadBulk(ctx, buf); err != nil {
			tb.Fatal(err)
		}
	}
	round([]byte{0x62, 0, 0, 0, 0, 0, 0, 1, 0, 0})
	echo := append([]byte{0x6F, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0xEC, 0, 0, 250}, make([]byte, 251)...)
	echo[1], echo[2] = byte(len(echo)-10), byte((len(echo)-10)>>8)
	echo[len(echo)-1] = 250
	return func() {
		echo[6]++
		round(echo)
	}
}

func TestTransferDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, exchange(t)); n != 0 {
		t.Errorf("%v allocations per exchange, want 0", n)
	}
}

func BenchmarkExchange(b *testing.B) {
	f := exchange(b)
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}

package trace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// disk is a file that takes nothing until it is released, and then fails if that
// is wanted.
type disk struct {
	released chan struct{}
	err      error

	mu   sync.Mutex
	file bytes.Buffer
}

func (d *disk) Write(b []byte) (int, error) {
	<-d.released
	if d.err != nil {
		return 0, d.err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.file.Write(b)
}

func (d *disk) Close() error { return nil }

// flood is a pipe that is faster than any disk.
type flood struct{ usb.Pipe }

func (flood) WriteBulk(context.Context, []byte) error { return nil }

// floodDisk records n messages of 32 KiB, without waiting for the disk.
func floodDisk(t *testing.T, d *disk, n int) *Recorder {
	t.Helper()
	r := begin(d, Options{})
	dev := ccidsim.New(ccidsim.KAZTOKEN, emu.New()).Info()
	all, err := dev.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	p := r.Pipe(flood{}, dev, all[0])
	msg := ccid.Message{Type: typeXfrBlock, Data: bytes.Repeat([]byte{0x00, 0xB0}, 16<<10)}.AppendTo(nil)
	for range n {
		if err := p.WriteBulk(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestSlowDisk: transfers do not wait for the disk. What had no room is counted,
// and missed where it would have been.
func TestSlowDisk(t *testing.T) {
	d := &disk{released: make(chan struct{})}
	r := floodDisk(t, d, 1000)
	r.mu.Lock()
	waiting := len(r.pending)
	r.mu.Unlock()
	if waiting > bufferLimit+100<<10 {
		t.Errorf("%d bytes wait", waiting)
	}
	close(d.released)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	pipes, kept, lost := r.Count()
	if pipes != 1 || kept+lost != 2000 || lost < 1000 {
		t.Errorf("%d pipes, %d packets kept, %d left out", pipes, kept, lost)
	}
	sent := 0
	for reader := NewReader(&d.file); ; {
		e, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == Sent {
			sent++
		}
	}
	if sent < 100 || sent > 500 {
		t.Errorf("%d messages in the file", sent)
	}
}

// TestLost: the packet behind those that were left out says how many they were.
func TestLost(t *testing.T) {
	d := &disk{released: make(chan struct{})}
	r := floodDisk(t, d, 0)
	r.mu.Lock()
	r.dropped = 3
	r.mu.Unlock()
	all, err := ccidsim.New(ccidsim.KAZTOKEN, emu.New()).Info().Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{inner: flood{}, r: r, ifc: all[0], device: 1}
	if err := p.WriteBulk(t.Context(), []byte{0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	close(d.released)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	var lost []uint64
	for reader := NewReader(&d.file); ; {
		e, err := reader.Next()
		if err != nil {
			break
		}
		lost = append(lost, e.Lost)
	}
	if len(lost) != 2 || lost[0] != 0 || lost[1] != 3 { // the device, the message
		t.Errorf("missing before events: %v", lost)
	}
}

// TestFullDisk: a recording that cannot be written says so at its end, and
// disturbs nobody.
func TestFullDisk(t *testing.T) {
	full := errors.New("no space left")
	d := &disk{released: make(chan struct{}), err: full}
	close(d.released)
	r := floodDisk(t, d, 10)
	if err := r.Close(); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if err := r.Close(); !errors.Is(err, full) {
		t.Errorf("again: got %v", err)
	}
}

// TestCloseMeanwhile: a recording ends while its pipe is at work and others end it,
// too.
func TestCloseMeanwhile(t *testing.T) {
	d := &disk{released: make(chan struct{})}
	close(d.released)
	r := floodDisk(t, d, 0)
	all, err := ccidsim.New(ccidsim.KAZTOKEN, emu.New()).Info().Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	p := &pipe{inner: flood{}, r: r, ifc: all[0], device: 1}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				if err := p.WriteBulk(context.Background(), []byte{0x65, 0, 0, 0, 0, 0, 0, 0, 0, 0}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

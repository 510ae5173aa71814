package usbip

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"kaztoken/usb"
)

// TestEnumeration is what a Linux kernel asks when a full speed device appears.
func TestEnumeration(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	config := testDescriptors[18:]
	for _, tc := range []struct {
		name         string
		requestType  byte
		request      byte
		value, index uint16
		length       int
		want         []byte
		status       int32
	}{
		{"device, first look", 0x80, 6, 0x0100, 0, 64, testDescriptors[:18], 0},
		{"set address", 0x00, 5, 9, 0, 0, nil, 0},
		{"device", 0x80, 6, 0x0100, 0, 18, testDescriptors[:18], 0},
		{"device qualifier", 0x80, 6, 0x0600, 0, 10, nil, -32},
		{"BOS", 0x80, 6, 0x0f00, 0, 5, nil, -32},
		{"configuration, head", 0x80, 6, 0x0200, 0, 9, config[:9], 0},
		{"configuration", 0x80, 6, 0x0200, 0, len(config), config, 0},
		{"configuration, room for more", 0x80, 6, 0x0200, 0, 255, config, 0},
		{"second configuration", 0x80, 6, 0x0201, 0, 9, nil, -32},
		{"languages", 0x80, 6, 0x0300, 0, 255, []byte{4, 3, 9, 4}, 0},
		{"product", 0x80, 6, 0x0302, 0x0409, 255, []byte("\x12\x03K\x00A\x00Z\x00T\x00O\x00K\x00E\x00N\x00"), 0},
		{"no such string", 0x80, 6, 0x0304, 0x0409, 255, nil, -32},
		{"get configuration, none", 0x80, 8, 0, 0, 1, []byte{0}, 0},
		{"get interface, unconfigured", 0x81, 10, 0, 0, 1, nil, -32},
		{"set configuration 2", 0x00, 9, 2, 0, 0, nil, -32},
		{"set configuration", 0x00, 9, 1, 0, 0, nil, 0},
		{"get configuration", 0x80, 8, 0, 0, 1, []byte{1}, 0},
		{"get interface", 0x81, 10, 0, 0, 1, []byte{0}, 0},
		{"get status", 0x80, 0, 0, 0, 2, []byte{0, 0}, 0},
		{"set remote wakeup", 0x00, 3, 1, 0, 0, nil, 0},
		{"get status, wakeup", 0x80, 0, 0, 0, 2, []byte{2, 0}, 0},
		{"clear remote wakeup", 0x00, 1, 1, 0, 0, nil, 0},
		{"interface status", 0x81, 0, 0, 0, 2, []byte{0, 0}, 0},
		{"status of no interface", 0x81, 0, 0, 1, 2, nil, -32},
		{"test mode", 0x00, 3, 2, 0x0400, 0, nil, -32},
		{"set interface 0 alternate 1", 0x01, 11, 1, 0, 0, nil, 0},
		{"get interface, 1", 0x81, 10, 0, 0, 1, []byte{1}, 0},
		{"status of an endpoint not there now", 0x82, 0, 0, 0x82, 2, nil, -32},
		{"set interface 0 alternate 0", 0x01, 11, 0, 0, 0, nil, 0},
		{"set interface, no alternate 2", 0x01, 11, 2, 0, 0, nil, -32},
		{"set interface 1", 0x01, 11, 0, 1, 0, nil, -32},
		{"endpoint status", 0x82, 0, 0, 0x82, 2, []byte{0, 0}, 0},
		{"halt", 0x02, 3, 0, 0x82, 0, nil, 0},
		{"endpoint status, halted", 0x82, 0, 0, 0x82, 2, []byte{1, 0}, 0},
		{"clear halt", 0x02, 1, 0, 0x82, 0, nil, 0},
		{"endpoint status, cleared", 0x82, 0, 0, 0x82, 2, []byte{0, 0}, 0},
		{"halt of endpoint 0", 0x02, 3, 0, 0, 0, nil, -32},
		{"clear halt of endpoint 0", 0x02, 1, 0, 0, 0, nil, 0},
		{"clear halt of no endpoint", 0x02, 1, 0, 0x04, 0, nil, -32},
		{"set descriptor", 0x00, 7, 0x0100, 0, 0, nil, -32},
		{"class request, refused by the device", 0xa1, 3, 0, 0, 4, nil, -32},
		{"reserved type", 0xe0, 1, 0, 0, 4, nil, -32},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c.t = t
			seq := c.request(tc.requestType, tc.request, tc.value, tc.index, tc.length, nil)
			if got := c.wantSubmit(seq, tc.status, len(tc.want), tc.requestType&0x80 != 0); !bytes.Equal(got, tc.want) {
				t.Errorf("got % x, want % x", got, tc.want)
			}
		})
	}
	// SET_CONFIGURATION, SET_INTERFACE back to 0, and the clear-halt.
	want := []byte{0x01, 0x82, 0x83, 0x01, 0x82, 0x83, 0x82}
	if d.mu.Lock(); !bytes.Equal(d.cleared, want) {
		t.Errorf("ClearHalt: got % x, want % x", d.cleared, want)
	}
	d.mu.Unlock()
}

func TestClassRequests(t *testing.T) {
	d := newFakeDevice()
	d.control = func(_ context.Context, s usb.Setup, data []byte) (int, error) {
		if s == (usb.Setup{RequestType: 0x81, Request: 6, Value: 0x2200}) {
			return copy(data, []byte{0x06}), nil // a HID report descriptor, say
		}
		if s.In() {
			return copy(data, []byte{0xfc, 0x0d, 0x00, 0x00}), nil
		}
		if s != (usb.Setup{RequestType: 0x21, Request: 1, Value: 0x0500}) || !bytes.Equal(data, []byte{1, 2, 3}) {
			return 0, usb.ErrIO
		}
		return 0, nil
	}
	_, c := dial(t, d)
	seq := c.request(0xa1, 2, 0, 0, 256, nil)
	if got := c.wantSubmit(seq, 0, 4, true); !bytes.Equal(got, []byte{0xfc, 0x0d, 0, 0}) {
		t.Errorf("got % x", got)
	}
	seq = c.request(0x21, 1, 0x0500, 0, 3, []byte{1, 2, 3})
	c.wantSubmit(seq, 0, 3, false)
	seq = c.request(0x21, 1, 0x0600, 0, 3, []byte{1, 2, 3})
	c.wantSubmit(seq, -71, 0, false)

	seq = c.request(0x81, 6, 0x2200, 0, 64, nil)
	if got := c.wantSubmit(seq, 0, 1, true); !bytes.Equal(got, []byte{0x06}) {
		t.Errorf("descriptor of the class: got % x", got)
	}

	// The URB and the setup packet disagree about the length: the smaller counts.
	seq = c.submit(0x80, 2, nil, func(m *submit) { m.setup = [8]byte{0xa1, 2, 0, 0, 0, 0, 4, 0} })
	c.wantSubmit(seq, 0, 2, true)
	// They disagree about the direction.
	seq = c.submit(0x80, 4, nil, func(m *submit) { m.setup = [8]byte{0x21, 1, 0, 0, 0, 0, 4, 0} })
	c.wantSubmit(seq, -32, 0, true)
}

func TestBulk(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	for _, n := range []int{0, 1, 63, 64, 65, 271, 65556} {
		data := bytes.Repeat([]byte{byte(n)}, n)
		seq := c.submit(0x01, n, data)
		c.wantSubmit(seq, 0, n, false)
		if got := <-d.out; !bytes.Equal(got[1:], data) {
			t.Fatalf("%d bytes: the device got %d", n, len(got)-1)
		}
		d.in[0x82] <- fakeTransfer{data: data}
		c.wantIn(0x82, max(n, 64), data)
	}

	// A message longer than the URB goes into the next one.
	d.in[0x82] <- fakeTransfer{data: bytes.Repeat([]byte{7}, 100)}
	c.wantIn(0x82, 64, bytes.Repeat([]byte{7}, 64))
	c.wantIn(0x82, 64, bytes.Repeat([]byte{7}, 36))

	// Bytes before an error reach the host beside it.
	d.in[0x82] <- fakeTransfer{data: []byte{1, 2}, err: usb.ErrOverflow}
	seq := c.submit(0x82, 64, nil)
	if got := c.wantSubmit(seq, -75, 2, true); !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("got % x", got)
	}
}

// TestOrder: transfers of one endpoint are served in order, those of others in
// between.
func TestOrder(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	first, second := c.submit(0x82, 64, nil), c.submit(0x82, 64, nil)
	interrupt := c.submit(0x83, 8, nil)
	out := c.submit(0x01, 2, []byte{1, 2})
	c.wantSubmit(out, 0, 2, false)
	d.in[0x83] <- fakeTransfer{data: []byte{0x50, 3}}
	c.wantSubmit(interrupt, 0, 2, true)
	d.in[0x82] <- fakeTransfer{data: []byte{1}}
	d.in[0x82] <- fakeTransfer{data: []byte{2}}
	for i, seq := range []uint32{first, second} {
		if got := c.wantSubmit(seq, 0, 1, true); got[0] != byte(i+1) {
			t.Errorf("transfer %d got % x", i, got)
		}
	}
}

func TestShortNotOK(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	d.in[0x82] <- fakeTransfer{data: []byte{1, 2, 3}}
	seq := c.submit(0x82, 64, nil, func(m *submit) { m.flags = flagShortNotOK })
	c.wantSubmit(seq, -121, 3, true)
	d.in[0x82] <- fakeTransfer{data: make([]byte, 64)}
	seq = c.submit(0x82, 64, nil, func(m *submit) { m.flags = flagShortNotOK })
	c.wantSubmit(seq, 0, 64, true)
}

func TestHalt(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	c.wantSubmit(c.request(0x00, 9, 1, 0, 0, nil), 0, 0, false)

	d.in[0x82] <- fakeTransfer{err: usb.ErrStall}
	d.in[0x82] <- fakeTransfer{data: []byte{1}}
	c.wantSubmit(c.submit(0x82, 64, nil), -32, 0, true)
	c.wantSubmit(c.submit(0x82, 64, nil), -32, 0, true) // still halted, the data is kept
	c.wantSubmit(c.submit(0x01, 1, []byte{1}), 0, 1, false)
	c.wantSubmit(c.request(0x02, 1, 0, 0x82, 0, nil), 0, 0, false)
	c.wantIn(0x82, 64, []byte{1})

	d.mu.Lock()
	d.refuse = usb.ErrStall
	d.mu.Unlock()
	c.wantSubmit(c.submit(0x01, 1, []byte{1}), -32, 0, false)
	c.wantSubmit(c.submit(0x01, 1, []byte{1}), -32, 0, false)
	c.wantSubmit(c.request(0x01, 11, 0, 0, 0, nil), 0, 0, false) // SET_INTERFACE
	c.wantSubmit(c.submit(0x01, 1, []byte{1}), 0, 1, false)
}

func TestUnlink(t *testing.T) {
	d := newFakeDevice()
	d.busy = make(chan byte, 64)
	_, c := dial(t, d)

	// With the device.
	victim := c.submit(0x82, 64, nil)
	<-d.busy
	c.wantUnlink(c.unlink(victim), -104)

	// Queued behind another.
	active, queued := c.submit(0x82, 64, nil), c.submit(0x82, 64, nil)
	<-d.busy
	c.wantUnlink(c.unlink(queued), -104)
	d.in[0x82] <- fakeTransfer{data: []byte{1}}
	c.wantSubmit(active, 0, 1, true)

	// Completed before, or never heard of.
	c.wantUnlink(c.unlink(active), 0)
	c.wantUnlink(c.unlink(0xdeadbeef), 0)
}

// TestUnlinkPartial: a transfer cancelled half way gives what it has.
func TestUnlinkPartial(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	d.in[0x82] <- fakeTransfer{data: []byte{1, 2, 3}, partial: true}
	victim := c.submit(0x82, 128, nil)
	unlink := c.unlink(victim)
	// The unlink may overtake the start of the transfer; then nothing was taken.
	got := c.read()
	switch got {
	case reply{retUnlink, unlink, -104, 0}:
		if len(d.in[0x82]) != 1 {
			t.Error("the device's data is lost")
		}
	case reply{retSubmit, victim, -104, 3}:
		b := make([]byte, 3)
		if _, err := io.ReadFull(c.conn, b); err != nil || !bytes.Equal(b, []byte{1, 2, 3}) {
			t.Errorf("got % x, %v", b, err)
		}
		c.wantUnlink(unlink, 0)
	default:
		t.Fatalf("got %+v", got)
	}
}

// TestUnlinkLosesNothing races unlinks against data many times: every byte the
// device gave must arrive, in order, and every transfer must be answered once.
func TestUnlinkLosesNothing(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	const rounds = 500
	next := byte(0)
	go func() {
		for i := range rounds {
			d.in[0x82] <- fakeTransfer{data: []byte{byte(i)}}
		}
	}()
	for got := 0; got < rounds; {
		victim := c.submit(0x82, 64, nil)
		unlink := c.unlink(victim)
		r := c.read()
		if r == (reply{retUnlink, unlink, -104, 0}) {
			continue
		}
		if r.code != retSubmit || r.seq != victim || r.status != 0 || r.actual != 1 {
			t.Fatalf("got %+v", r)
		}
		var b [1]byte
		if _, err := io.ReadFull(c.conn, b[:]); err != nil || b[0] != next {
			t.Fatalf("got %d, %v, want %d", b[0], err, next)
		}
		next++
		got++
		c.wantUnlink(unlink, 0)
	}
}

func TestUnlinkControl(t *testing.T) {
	d := newFakeDevice()
	began := make(chan struct{})
	d.control = func(ctx context.Context, _ usb.Setup, _ []byte) (int, error) {
		close(began)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	_, c := dial(t, d)
	victim := c.request(0xa1, 2, 0, 0, 4, nil)
	<-began
	c.wantUnlink(c.unlink(victim), -104)
	c.wantSubmit(c.request(0x80, 8, 0, 0, 1, nil), 0, 1, true)
}

func TestLimits(t *testing.T) {
	d := newFakeDevice()
	_, c := dial(t, d)
	c.wantSubmit(c.submit(0x82, MaxTransfer+1, nil), -12, 0, true)
	c.wantSubmit(c.submit(0x82, 0, nil, func(m *submit) { m.length = 0xffffffff }), -12, 0, true)
	c.wantSubmit(c.submit(0x01, MaxTransfer+1, make([]byte, MaxTransfer+1)), -12, 0, false)
	c.wantSubmit(c.submit(0x04, 1, []byte{1}), -2, 0, false)
	c.wantSubmit(c.submit(0x81, 1, nil), -2, 0, true)

	for range maxPending {
		c.submit(0x82, 64, nil)
	}
	c.wantSubmit(c.submit(0x82, 64, nil), -12, 0, true)
	d.in[0x82] <- fakeTransfer{data: []byte{1}}
	c.wantSubmit(c.seq-maxPending, 0, 1, true)
	d.in[0x82] <- fakeTransfer{data: []byte{2}}
	c.wantSubmit(c.seq-maxPending+1, 0, 1, true)
	c.wantSubmit(c.submit(0x01, 1, []byte{1}), 0, 1, false)
}

func TestProtocolErrorEnds(t *testing.T) {
	for name, b := range map[string][]byte{
		"command 7": {0, 0, 0, 7}, "isochronous": unhex(t, cmdIntrIn[:9*8-1]+" 00000001"),
	} {
		t.Run(name, func(t *testing.T) {
			_, c := dial(t, newFakeDevice())
			c.write(append(b, make([]byte, headerSize-len(b))...))
			c.wantClosed()
		})
	}
}

func TestUnplug(t *testing.T) {
	for name, unplug := range map[string]func(*Server, *fakeDevice){
		"gone":   func(_ *Server, d *fakeDevice) { close(d.gone) },
		"error":  func(_ *Server, d *fakeDevice) { d.in[0x82] <- fakeTransfer{err: usb.ErrGone} },
		"remove": func(s *Server, _ *fakeDevice) { s.Remove("1-1") },
		"close":  func(s *Server, _ *fakeDevice) { s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			d := newFakeDevice()
			s, c := dial(t, d, newFakeDevice())
			c.submit(0x82, 64, nil)
			c.submit(0x83, 64, nil)
			unplug(s, d)
			c.wantClosed()
			if name == "close" {
				if _, err := s.Add(newFakeDevice()); !errors.Is(err, ErrServerClosed) {
					t.Errorf("Add after Close: %v", err)
				}
				return
			}
			// The connection is closed a moment before the device is forgotten.
			for len(s.Devices()) > 1 {
				runtime.Gosched()
			}
			if _, err := Import(connect(t, s), "1-1"); err == nil {
				t.Error("a device that is gone was imported")
			}
			// The port is free for the next one, which is a new device.
			id, err := s.Add(newFakeDevice())
			if err != nil || id != "1-1" {
				t.Fatalf("Add: %q, %v", id, err)
			}
			e, err := Import(connect(t, s), "1-1")
			if err != nil || e.DevNum != 3 {
				t.Errorf("after the replug: %+v, %v", e, err)
			}
		})
	}
}

func TestImport(t *testing.T) {
	s, _ := dial(t, newFakeDevice(), newFakeDevice())
	list, err := List(connect(t, s))
	if err != nil || len(list) != 2 || list[0].BusID != "1-1" || list[1].BusID != "1-2" {
		t.Fatalf("List: %+v, %v", list, err)
	}
	if _, err := Import(connect(t, s), "1-1"); err == nil {
		t.Error("a device was imported twice")
	}
	if _, err := Import(connect(t, s), "1-3"); err == nil {
		t.Error("a device that is not there was imported")
	}

	// When the importer leaves, the next may come.
	c := connect(t, s)
	if _, err := Import(c, "1-2"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for {
		if _, err := Import(connect(t, s), "1-2"); err == nil {
			break
		}
	}
}

func TestBadRequests(t *testing.T) {
	s, _ := dial(t, newFakeDevice())
	for name, b := range map[string][]byte{
		"version":     {0x01, 0x06, 0x80, 0x05, 0, 0, 0, 0},
		"code":        {0x01, 0x11, 0x80, 0x07, 0, 0, 0, 0},
		"open bus id": append([]byte{0x01, 0x11, 0x80, 0x03, 0, 0, 0, 0}, bytes.Repeat([]byte{'1'}, 32)...),
	} {
		c := &client{t: t, conn: connect(t, s)}
		c.write(b)
		t.Run(name, func(t *testing.T) {
			c.t = t
			c.wantClosed()
		})
	}
	if _, err := s.Add(&fakeDevice{}); err == nil {
		t.Error("a device without descriptors was added")
	}
}

func TestServe(t *testing.T) {
	s := new(Server)
	conn := connect(t, s)
	if list, err := List(conn); err != nil || len(list) != 0 {
		t.Errorf("List: %+v, %v", list, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.Remove("1-1") {
		t.Error("Remove of nothing")
	}
}

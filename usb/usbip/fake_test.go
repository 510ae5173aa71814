package usbip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"

	"kaztoken/usb"
)

// testDescriptors is a full speed device with a bulk pair (01, 82), an
// interrupt endpoint (83) and a second alternate setting without endpoints.
// Typed from USB 2.0 tables 9-8, 9-10, 9-12 and 9-13.
var testDescriptors = []byte{
	0x12, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x08, 0x89, 0x0a, 0x35, 0x00, 0x00, 0x01, 0x01, 0x02, 0x00, 0x01,
	// configuration 1: 48 bytes, 1 interface, bus powered with remote wakeup
	0x09, 0x02, 0x30, 0x00, 0x01, 0x01, 0x00, 0xa0, 0x32,
	0x09, 0x04, 0x00, 0x00, 0x03, 0x0b, 0x00, 0x00, 0x00,
	0x07, 0x05, 0x01, 0x02, 0x40, 0x00, 0x00,
	0x07, 0x05, 0x82, 0x02, 0x40, 0x00, 0x00,
	0x07, 0x05, 0x83, 0x03, 0x08, 0x00, 0x10,
	0x09, 0x04, 0x00, 0x01, 0x00, 0x0b, 0x00, 0x00, 0x00,
}

// fakeDevice gives back on 82 and 83 what the test puts into their channels,
// and remembers everything else.
type fakeDevice struct {
	info usb.Info
	gone chan struct{}
	in   map[byte]chan fakeTransfer
	out  chan []byte // what came on 01
	busy chan byte   // if not nil: told of every In that begins

	mu      sync.Mutex
	cleared []byte
	control func(ctx context.Context, s usb.Setup, data []byte) (int, error)
	refuse  error       // of the next Out
	rest    [256][]byte // of messages longer than the transfer; one goroutine per endpoint
}

// fakeTransfer is data, an error, or both. partial makes In wait for its
// context after it moved the data.
type fakeTransfer struct {
	data    []byte
	err     error
	partial bool
}

func newFakeDevice() *fakeDevice {
	return &fakeDevice{
		info: usb.Info{Descriptors: testDescriptors, Manufacturer: "DigiFlow LLP.", ProductName: "KAZTOKEN", Vendor: 0x0a89, Product: 0x35},
		gone: make(chan struct{}),
		in:   map[byte]chan fakeTransfer{0x82: make(chan fakeTransfer, 64), 0x83: make(chan fakeTransfer, 64)},
		out:  make(chan []byte, 64),
	}
}

func (d *fakeDevice) Info() usb.Info        { return d.info }
func (d *fakeDevice) Gone() <-chan struct{} { return d.gone }

func (d *fakeDevice) Control(ctx context.Context, s usb.Setup, data []byte) (int, error) {
	if d.control == nil {
		return 0, usb.ErrStall
	}
	return d.control(ctx, s, data)
}

func (d *fakeDevice) Out(ctx context.Context, ep byte, data []byte) error {
	d.mu.Lock()
	err := d.refuse
	d.refuse = nil
	d.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case d.out <- append([]byte{ep}, data...):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *fakeDevice) In(ctx context.Context, ep byte, buf []byte) (int, error) {
	if d.busy != nil {
		d.busy <- ep
	}
	if rest := d.rest[ep]; len(rest) > 0 {
		n := copy(buf, rest)
		d.rest[ep] = rest[n:]
		return n, nil
	}
	select {
	case t := <-d.in[ep]:
		n := copy(buf, t.data)
		d.rest[ep] = t.data[n:]
		if t.partial {
			<-ctx.Done()
			return n, ctx.Err()
		}
		return n, t.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (d *fakeDevice) ClearHalt(ep byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cleared = append(d.cleared, ep)
}

// client is the importing side, as vhci-hcd writes its messages.
type client struct {
	t    testing.TB
	conn net.Conn
	seq  uint32
	dev  uint32
}

// dial starts a server with the devices and imports "1-1".
func dial(t testing.TB, devices ...Device) (*Server, *client) {
	t.Helper()
	s := new(Server)
	for i, d := range devices {
		if id, err := s.Add(d); err != nil || id != fmt.Sprintf("1-%d", i+1) {
			t.Fatalf("Add: %q, %v", id, err)
		}
	}
	t.Cleanup(func() { s.Close() })
	conn := connect(t, s)
	e, err := Import(conn, "1-1")
	if err != nil {
		t.Fatal(err)
	}
	return s, &client{t: t, conn: conn, dev: e.DevID()}
}

// connect gives the client end of a connection served by s. It is a TCP one:
// like a kernel, a test may have more in flight than the server has read.
func connect(t testing.TB, s *Server) net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); c.Close() })
	return c
}

// submit sends one CMD_SUBMIT and gives its seqnum. data is sent for OUT.
func (c *client) submit(address byte, length int, data []byte, change ...func(*submit)) uint32 {
	c.t.Helper()
	c.seq++
	m := submit{seq: c.seq, devID: c.dev, in: address&0x80 != 0, ep: address & 0x0f, length: uint32(length)}
	for _, f := range change {
		f(&m)
	}
	c.write(append(m.appendTo(nil), data...))
	return m.seq
}

// request sends a control transfer.
func (c *client) request(requestType, request byte, value, index uint16, length int, data []byte) uint32 {
	c.t.Helper()
	return c.submit(requestType&0x80, length, data, func(m *submit) {
		m.setup = [8]byte{requestType, request, byte(value), byte(value >> 8), byte(index), byte(index >> 8), byte(length), byte(length >> 8)}
	})
}

func (c *client) unlink(victim uint32) uint32 {
	c.t.Helper()
	c.seq++
	c.write((&unlink{seq: c.seq, devID: c.dev, victim: victim}).appendTo(nil))
	return c.seq
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.conn.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// reply is a RET_SUBMIT or RET_UNLINK.
type reply struct {
	code, seq uint32
	status    int32
	actual    int
}

// wantSubmit reads one RET_SUBMIT and gives its payload. in says that the
// transfer it belongs to was an IN one.
func (c *client) wantSubmit(seq uint32, status int32, actual int, in bool) []byte {
	c.t.Helper()
	if got, want := c.read(), (reply{retSubmit, seq, status, actual}); got != want {
		c.t.Fatalf("got %+v, want %+v", got, want)
	}
	if !in {
		return nil
	}
	b := make([]byte, actual)
	if _, err := io.ReadFull(c.conn, b); err != nil {
		c.t.Fatal(err)
	}
	return b
}

func (c *client) wantUnlink(seq uint32, status int32) {
	c.t.Helper()
	if got, want := c.read(), (reply{retUnlink, seq, status, 0}); got != want {
		c.t.Fatalf("got %+v, want %+v", got, want)
	}
}

func (c *client) read() reply {
	c.t.Helper()
	var b [headerSize]byte
	if _, err := io.ReadFull(c.conn, b[:]); err != nil {
		c.t.Fatal(err)
	}
	return reply{
		binary.BigEndian.Uint32(b[0:]), binary.BigEndian.Uint32(b[4:]),
		int32(binary.BigEndian.Uint32(b[20:])), int(binary.BigEndian.Uint32(b[24:])),
	}
}

// wantClosed checks that the server closes the connection and sends nothing
// more. It is a reset if the server had not read everything.
func (c *client) wantClosed() {
	c.t.Helper()
	if b, err := io.ReadAll(c.conn); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(b) != 0 {
		c.t.Fatalf("after the end: % x, %v", b, err)
	}
}

func (c *client) wantIn(address byte, length int, want []byte) {
	c.t.Helper()
	seq := c.submit(address, length, nil)
	if got := c.wantSubmit(seq, 0, len(want), true); !bytes.Equal(got, want) {
		c.t.Fatalf("got % x, want % x", got, want)
	}
}

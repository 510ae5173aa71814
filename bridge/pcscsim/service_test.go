package pcscsim_test

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"

	"kaztoken/bridge/pcscsim"
	"kaztoken/bridge/wire"
	"kaztoken/firmware/emu"
)

// peer is a client that says what the test wants.
type peer struct {
	t  *testing.T
	nc net.Conn
}

func dial(t *testing.T, s *pcscsim.Service) peer {
	t.Helper()
	nc, err := net.Dial("unix", s.Path())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return peer{t, nc}
}

func (p peer) ask(command wire.Command, size int, body ...byte) []byte {
	p.t.Helper()
	structure := len(body)
	if command == wire.CmdTransmit {
		structure = wire.TransmitSize
	}
	if _, err := p.nc.Write(append(wire.Header{Size: uint32(structure), Command: command}.AppendTo(nil), body...)); err != nil {
		p.t.Fatal(err)
	}
	return p.read(size)
}

func (p peer) read(size int) []byte {
	p.t.Helper()
	b := make([]byte, size)
	if _, err := io.ReadFull(p.nc, b); err != nil {
		p.t.Fatal(err)
	}
	return b
}

// connect greets, establishes a context and connects.
func (p peer) connect(minor int32, name string) wire.Connect {
	p.t.Helper()
	v, err := wire.ParseVersion(p.ask(wire.CmdVersion, wire.VersionSize, wire.Version{Major: 4, Minor: minor}.AppendTo(nil)...))
	if err != nil || v.Result != wire.Success {
		p.t.Fatalf("version %v, %v", v.Result, err)
	}
	e, err := wire.ParseEstablish(p.ask(wire.CmdEstablishContext, wire.EstablishSize, wire.Establish{}.AppendTo(nil)...))
	if err != nil || e.Context == 0 {
		p.t.Fatalf("establish %+v, %v", e, err)
	}
	n, err := wire.NameOf(name)
	if err != nil {
		p.t.Fatal(err)
	}
	m := wire.Connect{Context: e.Context, Reader: n, Share: wire.ShareShared, Preferred: wire.ProtocolT0 | wire.ProtocolT1}
	m, err = wire.ParseConnect(p.ask(wire.CmdConnect, wire.ConnectSize, m.AppendTo(nil)...))
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

func listen(t *testing.T) *pcscsim.Service {
	t.Helper()
	s, err := pcscsim.Listen(filepath.Join(t.TempDir(), "comm"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestVersion: a client of another protocol is told which one there is.
func TestVersion(t *testing.T) {
	for _, c := range []struct {
		service, client int32
		want            wire.Version
	}{
		{4, 4, wire.Version{Major: 4, Minor: 4}},
		{4, 6, wire.Version{Major: 4, Minor: 4, Result: wire.ServiceStopped}},
		{6, 4, wire.Version{Major: 4, Minor: 4}},
		{6, 7, wire.Version{Major: 4, Minor: 6, Result: wire.ServiceStopped}},
		{6, 3, wire.Version{Major: 4, Minor: 6, Result: wire.ServiceStopped}},
	} {
		s := listen(t)
		s.SetMinor(c.service)
		got, err := wire.ParseVersion(dial(t, s).ask(wire.CmdVersion, wire.VersionSize, wire.Version{Major: 4, Minor: c.client}.AppendTo(nil)...))
		if err != nil || got != c.want {
			t.Errorf("4:%d to 4:%d: %+v, %v, want %+v", c.client, c.service, got, err, c.want)
		}
	}
}

// TestCard: what is exchanged reaches the card, and what others do to it is seen.
func TestCard(t *testing.T) {
	const name = "R 00 00"
	s := listen(t)
	s.SetMinor(6)
	s.Plug(pcscsim.Reader{Name: name, Card: emu.New(emu.WithATR([]byte{0x3B, 0x00}))})
	p := dial(t, s)
	m := p.connect(6, name)
	if m.Result != wire.Success || m.Handle == 0 || m.Active != wire.ProtocolT1 {
		t.Fatalf("connect %+v", m)
	}
	transmit := func() (wire.Transmit, []byte) {
		t.Helper()
		ask := wire.Transmit{Handle: m.Handle, SendProtocol: m.Active, SendLength: 5, RecvLength: wire.MaxData}
		got, err := wire.ParseTransmit(p.ask(wire.CmdTransmit, wire.TransmitSize, append(ask.AppendTo(nil), 0x00, 0xCA, 0x01, 0x81, 0x00)...))
		if err != nil {
			t.Fatal(err)
		}
		return got, p.read(int(got.RecvLength))
	}
	if got, resp := transmit(); got.Result != wire.Success || len(resp) != 10 || resp[8] != 0x90 {
		t.Errorf("%+v, % x", got, resp)
	}
	status := func() wire.Result {
		got, err := wire.ParseStatus(p.ask(wire.CmdStatus, wire.StatusSize, wire.Status{Handle: m.Handle}.AppendTo(nil)...))
		if err != nil {
			t.Fatal(err)
		}
		return got.Result
	}
	for _, step := range []struct {
		do   func()
		want wire.Result
	}{
		{func() {}, wire.Success},
		{func() { s.Lock(name, true) }, wire.SharingViolation},
		{func() { s.Lock(name, false) }, wire.Success},
		{func() { s.Fail(wire.CmdStatus, wire.InternalError) }, wire.InternalError},
		{func() {}, wire.Success},
		{func() { s.Reset(name) }, wire.CardReset},
		{func() {
			ask := wire.Reconnect{Handle: m.Handle, Share: wire.ShareShared, Preferred: wire.ProtocolT1}
			p.ask(wire.CmdReconnect, wire.ReconnectSize, ask.AppendTo(nil)...)
		}, wire.Success},
		{func() { s.Insert(name, nil) }, wire.CardRemoved},
		{func() { s.Unplug(name) }, wire.ReaderUnavailable},
	} {
		step.do()
		if got := status(); got != step.want {
			t.Errorf("status %v, want %v", got, step.want)
		}
	}
}

// TestEvents: whoever waits is told once, and a dead client's lock resets the
// card.
func TestEvents(t *testing.T) {
	const name = "R 00 00"
	s := listen(t)
	watcher := dial(t, s)
	watcher.ask(wire.CmdVersion, wire.VersionSize, wire.Version{Major: 4, Minor: 4}.AppendTo(nil)...)
	watcher.ask(wire.CmdWaitReaderStateChange, wire.LegacyReaders*wire.ReaderSize)
	s.Plug(pcscsim.Reader{Name: name, Card: emu.New(emu.WithATR([]byte{0x3B, 0x00}))})
	watcher.read(wire.EventSize)
	r, err := wire.ParseReader(watcher.ask(wire.CmdGetReadersState, wire.LegacyReaders*wire.ReaderSize)[:wire.ReaderSize])
	if err != nil || r.Name.String() != name || r.State != wire.CardReady || r.ATRLength != 2 {
		t.Errorf("%+v, %v", r, err)
	}

	holder, other := dial(t, s), dial(t, s)
	h, o := holder.connect(4, name), other.connect(4, name)
	holder.ask(wire.CmdBeginTransaction, wire.BeginTransactionSize, wire.BeginTransaction{Handle: h.Handle}.AppendTo(nil)...)
	watcher.ask(wire.CmdWaitReaderStateChange, wire.LegacyReaders*wire.ReaderSize)
	holder.nc.Close()
	watcher.read(wire.EventSize) // the handle is gone
	st, err := wire.ParseStatus(other.ask(wire.CmdStatus, wire.StatusSize, wire.Status{Handle: o.Handle}.AppendTo(nil)...))
	if err != nil || st.Result != wire.CardReset {
		t.Errorf("after the death of the holder: %v, %v", st.Result, err)
	}

	s.Refuse(true)
	refused := dial(t, s)
	if _, err := refused.nc.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a client that is turned away reads %v", err)
	}
}

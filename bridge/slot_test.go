package bridge_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/sharing"
	"kaztoken/bridge/wire"
	"kaztoken/internal/iso7816"
)

// TestResults is the table of errors, a row for each code.
func TestResults(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("slot 0: transmit: %w", err) }
	for _, c := range []struct {
		err  error
		want wire.Result
		// What programs get to hear of it: of TRANSMIT, CONTROL, and of RECONNECT
		// with a reset.
		transmit, control, reset wire.Result
	}{
		{nil, wire.Success, wire.Success, wire.Success, wire.Success},
		{wrap(bridge.ErrGone), wire.ReaderUnavailable, wire.ReaderUnavailable, wire.ReaderUnavailable, wire.ReaderUnavailable},
		{wrap(bridge.ErrNoCard), wire.NoSmartcard, wire.NoSmartcard, wire.NoSmartcard, wire.NoSmartcard},
		{wrap(bridge.ErrCardReset), wire.CardReset, wire.CardReset, wire.CardReset, wire.UnresponsiveCard},
		{wrap(bridge.ErrProtocolMismatch), wire.ProtoMismatch, wire.NotTransacted, wire.NotTransacted, wire.UnresponsiveCard},
		{wrap(bridge.ErrNotSupported), wire.UnsupportedFeature, wire.NotTransacted, wire.UnsupportedFeature, wire.UnresponsiveCard},
		{wrap(bridge.ErrNoRoom), wire.InsufficientBuffer, wire.NotTransacted, wire.InsufficientBuffer, wire.UnresponsiveCard},
		{wrap(context.Canceled), wire.ReaderUnavailable, wire.ReaderUnavailable, wire.ReaderUnavailable, wire.ReaderUnavailable},
		{wrap(os.ErrInvalid), wire.NotTransacted, wire.NotTransacted, wire.NotTransacted, wire.UnresponsiveCard},
	} {
		t.Run(fmt.Sprint(c.err), func(t *testing.T) {
			if got := bridge.ResultOf(c.err); got != c.want {
				t.Errorf("%v, want %v", got.String(), c.want.String())
			}
			for _, call := range []struct {
				of   bridgetest.Call
				want wire.Result
				do   func(p *program) wire.Result
			}{
				{bridgetest.Transmit, c.transmit, func(p *program) wire.Result { return second(p.transmit(0, 0xEE, 0, 0)) }},
				{bridgetest.Control, c.control, func(p *program) wire.Result { return second(p.control(wire.CtlEscape, 100)).Result }},
				{bridgetest.WarmReset, c.reset, func(p *program) wire.Result { return p.reconnect(wire.ResetCard) }},
			} {
				slot := echo()
				slot.OnControl(func(_ wire.ControlCode, dst, _ []byte) ([]byte, error) { return dst, nil })
				slot.Hook(func(_ context.Context, made bridgetest.Call) error {
					if made == call.of {
						return c.err
					}
					return nil
				})
				s := begin(t, bridge.Config{}, slot)
				p := s.connected()
				p.want(string(call.of), call.do(p), call.want)
			}
		})
	}
}

func TestReaderName(t *testing.T) {
	long := strings.Repeat("L", 200)
	for _, c := range []struct {
		name bridge.ReaderName
		want string
	}{
		{bridge.ReaderName{Base: "DigiFlow LLP. KAZTOKEN"}, "DigiFlow LLP. KAZTOKEN 00 00"},
		{bridge.ReaderName{Base: "DigiFlow LLP. KAZTOKEN", Serial: "32D18A58"}, "DigiFlow LLP. KAZTOKEN (32D18A58) 00 00"},
		{bridge.ReaderName{Base: "KAZ Test", Interface: "CCID", Serial: "1234"}, "KAZ Test [CCID] (1234) 00 00"},
		{bridge.ReaderName{Base: "KAZ Test", Interface: "CCID 1234", Serial: "1234", Index: 1}, "KAZ Test [CCID 1234] 01 00"},
		{bridge.ReaderName{Base: "R", Interface: "Жа", Index: 0x1F, Slot: 0xA0}, "R [....] 1F A0"},
		{bridge.ReaderName{Base: "a\x00b", Serial: "\x00"}, "a.b (.) 00 00"},
		{bridge.ReaderName{Base: long, Index: 2}, long[:121] + " 02 00"},
		{bridge.ReaderName{Base: long[:110], Interface: "Interface", Serial: "serial"}, long[:110] + " [Interface 00 00"},
	} {
		got := c.name.String()
		if got != c.want || len(got) > 127 {
			t.Errorf("%+v: %q, want %q", c.name, got, c.want)
		}
		if _, err := wire.NameOf(got); err != nil {
			t.Error(err)
		}
	}
}

func TestAttributes(t *testing.T) {
	native := func(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
	s := begin(t, bridge.Config{}, echo())
	p := s.connected()
	for _, c := range []struct {
		id   wire.AttributeID
		want []byte
	}{
		{wire.AttrVendorName, []byte("DigiFlow LLP.\x00")},
		{wire.AttrVendorIFDType, []byte("KAZTOKEN\x00")},
		{wire.AttrVendorIFDVersion, native(0x0100 << 16)},
		{wire.AttrVendorIFDSerialNo, []byte("32D18A58\x00")},
		{wire.AttrChannelID, native(0x00200104)},
		{wire.AttrAsyncProtocolTypes, native(3)},
		{wire.AttrMaxInput, native(271)},
		{wire.AttrCurrentProtocolType, native(2)},
		{wire.AttrICCPresence, []byte{2}},
		{wire.AttrICCInterfaceStatus, []byte{1}},
		{wire.AttrATRString, bridgetest.EchoATR},
		{wire.AttrDeviceFriendlyName, []byte(readerName + "\x00")},
		{wire.AttrDeviceSystemName, []byte(readerName + "\x00")},
	} {
		m := p.attribute(wire.CmdGetAttribute, c.id, wire.MaxAttribute)
		if m.Result != wire.Success || !bytes.Equal(m.Value[:m.Length], c.want) || !bytes.Equal(m.Value[m.Length:], make([]byte, wire.MaxAttribute-int(m.Length))) {
			t.Errorf("%v: % x, %v, want % x", c.id, m.Value[:m.Length], m.Result.String(), c.want)
		}
	}
	for _, m := range []wire.Attribute{
		p.attribute(wire.CmdGetAttribute, 0x12345678, wire.MaxAttribute),
		p.attribute(wire.CmdSetAttribute, wire.AttrATRString, wire.MaxAttribute),
	} {
		if m.Result != wire.UnsupportedFeature || m.Length != wire.MaxAttribute {
			t.Errorf("%v, length %d", m.Result.String(), m.Length)
		}
	}
	if m := p.attribute(wire.CmdGetAttribute, wire.AttrATRString, 3); m.Result != wire.InsufficientBuffer || m.Length != uint32(len(bridgetest.EchoATR)) {
		t.Errorf("no room: %v, length %d", m.Result.String(), m.Length)
	}

	// A reader of which little is known, empty.
	slot := bridgetest.NewSlot(readerName, nil)
	slot.SetInfo(bridge.Info{})
	s = begin(t, bridge.Config{}, slot)
	p = s.established(4)
	p.want("connect", p.connect(wire.ShareDirect).Result, wire.Success)
	for _, c := range []struct {
		id   wire.AttributeID
		want []byte // nil: the reader does not have it
	}{
		{wire.AttrVendorName, nil}, {wire.AttrVendorIFDType, nil}, {wire.AttrVendorIFDVersion, nil}, {wire.AttrChannelID, nil},
		{wire.AttrAsyncProtocolTypes, nil}, {wire.AttrMaxInput, nil},
		{wire.AttrVendorIFDSerialNo, []byte{}}, {wire.AttrATRString, []byte{}}, {wire.AttrCurrentProtocolType, native(0)},
		{wire.AttrICCPresence, []byte{0}}, {wire.AttrICCInterfaceStatus, []byte{0}},
	} {
		m := p.attribute(wire.CmdGetAttribute, c.id, wire.MaxAttribute)
		if c.want == nil {
			p.want(c.id.String(), m.Result, wire.UnsupportedFeature)
		} else if m.Result != wire.Success || !bytes.Equal(m.Value[:m.Length], c.want) {
			t.Errorf("%v: % x, %v", c.id, m.Value[:m.Length], m.Result.String())
		}
	}
}

func TestControl(t *testing.T) {
	tlv := []byte{0x12, 4, 0x42, 0x33, 0x00, 0x12}
	properties := []byte{1, 2, 0, 0, 3, 1, 0, 9, 1, 0, 10, 4, 0, 0, 0, 0, 11, 2, 0x89, 0x0A, 12, 2, 0x35, 0x00}
	extended := bytes.Clone(properties)
	extended[14] = 1 // 0x10000
	slot := echo()
	escapes := make(chan []byte, 2)
	slot.OnControl(func(code wire.ControlCode, dst, in []byte) ([]byte, error) {
		switch code {
		case wire.CtlEscape:
			escapes <- bytes.Clone(in)
			return append(dst, 0xAA, 0xBB, 0xCC), nil
		case wire.CtlMCTReaderDirect:
			return append(dst, make([]byte, 5000)...), nil
		case 1:
			return append(dst, make([]byte, wire.MaxData+1)...), nil
		}
		return dst, bridge.ErrNotSupported
	})
	s := begin(t, bridge.Config{}, slot)
	p := s.connected()
	for _, c := range []struct {
		name string
		code wire.ControlCode
		room uint32
		want []byte
		err  wire.Result
		n    uint32 // with an error
	}{
		{"features", wire.CtlGetFeatureRequest, 6, tlv, 0, 0},
		{"features, as on Windows", wire.CtlGetFeatureRequestWindows, 65548, tlv, 0, 0},
		{"features, no room", wire.CtlGetFeatureRequest, 5, nil, wire.InsufficientBuffer, 6},
		{"properties", wire.CtlGetTLVProperties, 256, properties, 0, 0},
		{"path", wire.CtlUSBPath, 256, []byte("1-1:1.0"), 0, 0},
		{"of the reader", wire.CtlEscape, 3, []byte{0xAA, 0xBB, 0xCC}, 0, 0},
		{"of the reader, no room", wire.CtlEscape, 2, nil, wire.InsufficientBuffer, 3},
		{"of the reader, long", wire.CtlMCTReaderDirect, 65548, make([]byte, 5000), 0, 0},
		{"unknown", 0x42009999, 256, nil, wire.UnsupportedFeature, 0},
		{"impossible", 1, 256, nil, wire.NotTransacted, 0},
	} {
		resp, m := p.control(c.code, c.room, 1, 2, 3)
		if m.Result != c.err || !bytes.Equal(resp, c.want) || m.Result != wire.Success && m.Returned != c.n || m.Code != c.code || m.RecvLength != c.room {
			t.Errorf("%s: % x, %+v", c.name, resp, m)
		}
	}
	for range cap(escapes) {
		if got := <-escapes; !bytes.Equal(got, []byte{1, 2, 3}) {
			t.Errorf("the reader got % x", got)
		}
	}

	// A reader with a PIN pad and long APDUs.
	slot = echo()
	info := bridgetest.Info
	info.Extended = true
	info.Path = ""
	info.Features = []bridge.Feature{{Tag: bridge.FeatureVerifyPINDirect, Code: wire.CtlVerifyPINDirect}}
	slot.SetInfo(info)
	s = begin(t, bridge.Config{}, slot)
	p = s.connected()
	if resp, _ := p.control(wire.CtlGetFeatureRequest, 256); !bytes.Equal(resp, append([]byte{6, 4, 0x42, 0x33, 0x00, 0x06}, tlv...)) {
		t.Errorf("features % x", resp)
	}
	if resp, _ := p.control(wire.CtlGetTLVProperties, 256); !bytes.Equal(resp, extended) {
		t.Errorf("properties % x", resp)
	}
	_, m := p.control(wire.CtlUSBPath, 256)
	p.want("path", m.Result, wire.UnsupportedFeature)

	// And one that makes the list itself, empty and without a card.
	slot = bridgetest.NewSlot(readerName, nil)
	slot.SetInfo(bridge.Info{Properties: []byte{1, 2, 3}})
	s = begin(t, bridge.Config{}, slot)
	p = s.established(4)
	p.connect(wire.ShareDirect)
	if resp, _ := p.control(wire.CtlGetTLVProperties, 256); !bytes.Equal(resp, []byte{1, 2, 3}) {
		t.Errorf("properties % x", resp)
	}
}

func TestAttach(t *testing.T) {
	s := begin(t, bridge.Config{})
	slot := bridgetest.NewSlot(readerName, nil)
	slot.InsertPowered(bridgetest.NewEcho())
	detach := s.attach(slot)
	if _, err := s.service.Attach(echo()); !errors.Is(err, sharing.ErrDuplicate) {
		t.Errorf("the same name: %v", err)
	}
	if _, err := s.service.Attach(bridgetest.NewSlot("", nil)); !errors.Is(err, sharing.ErrName) {
		t.Errorf("no name: %v", err)
	}
	eventually(t, "the reader is there", func() bool { return s.reader().Visible })
	s.alive(s.connected())
	if n := slot.Calls(bridgetest.ColdReset) + slot.Calls(bridgetest.WarmReset); n != 0 {
		t.Errorf("a card that was powered was reset %d times", n)
	}
	detach()
	detach()
	if n := len(s.service.Snapshot().Readers); n != 0 {
		t.Errorf("%d readers", n)
	}
	detach = s.attach(echo())
	detach()
}

// TestDetachWaits: detach ends a call that is under way, and returns after it.
func TestDetachWaits(t *testing.T) {
	slot := echo()
	working := make(chan struct{})
	slot.Hook(func(ctx context.Context, call bridgetest.Call) error {
		if call == bridgetest.Transmit {
			close(working)
			<-ctx.Done()
		}
		return nil
	})
	s := begin(t, bridge.Config{})
	detach := s.attach(slot)
	eventually(t, "the reader is there", func() bool { return s.reader().Visible })
	p, q := s.connected(), s.connected()
	q.want("begin", q.begin(), wire.Success)
	q.want("end", q.end(wire.LeaveCard), wire.Success)
	p.send(wire.CmdTransmit, p.transmitBody(4, 258), 0, 0xEE, 0, 0)
	<-working
	q.send(wire.CmdTransmit, q.transmitBody(4, 258), 0, 0xEE, 0, 0)
	eventually(t, "the second waits", func() bool { return s.reader().Waiting == 1 })
	detach()
	p.want("the command under way", second(p.transmitAnswer()), wire.ReaderUnavailable)
	q.want("the one that waits", second(q.transmitAnswer()), wire.ReaderUnavailable)
	p.want("status", p.status(), wire.InvalidValue)
	p.want("disconnect", p.disconnect(wire.ResetCard), wire.Success)
}

// TestUnplug: three kinds of waiting programs hear of it.
func TestUnplug(t *testing.T) {
	for range 20 {
		slot := echo()
		s := begin(t, bridge.Config{})
		detach := s.attach(slot)
		eventually(t, "the reader is there", func() bool { return s.reader().Visible })
		holder, waits, connects, begins := s.connected(), s.established(4), s.established(4), s.connected()
		holder.want("begin", holder.begin(), wire.Success)
		waits.wait()
		connects.send(wire.CmdConnect, connects.connectBody(wire.ShareShared))
		eventually(t, "the connect waits", func() bool { return s.reader().Waiting == 1 })
		begins.send(wire.CmdBeginTransaction, wire.BeginTransaction{Handle: begins.handle}.AppendTo(nil))
		slot.Unplug()
		waits.want("event", waits.event().Result, wire.Success)
		connects.want("connect", connects.connectAnswer().Result, wire.ReaderUnavailable)
		// Before, it has to wait; after, its handle leads nowhere.
		switch r := parse(begins, wire.BeginTransactionSize, wire.ParseBeginTransaction).Result; r {
		case wire.ReaderUnavailable, wire.InvalidValue, wire.SharingViolation:
		default:
			t.Errorf("begin: %v", r.String())
		}
		if got := waits.wait(); len(got) != 0 {
			t.Errorf("%d readers", len(got))
		}
		detach()
		slot = echo()
		s.attach(slot)
		waits.want("event", waits.event().Result, wire.Success)
		if got := waits.wait(); len(got) != 1 || got[0].State != wire.CardReady || got[0].Counter != 0 {
			t.Errorf("readers %+v", got)
		}
	}
}

// TestFailing: a reader that does not work for a while.
func TestFailing(t *testing.T) {
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	p, q := s.connected(), s.established(4)
	slot.Fail(true)
	eventually(t, "it is known", func() bool { return s.reader().State == wire.ReaderFailing.String() })
	p.want("transmit", second(p.transmit(0, 0xEE, 0, 0)), wire.ReaderUnavailable)
	p.want("begin", p.begin(), wire.ReaderUnavailable)
	q.want("connect", q.connect(wire.ShareShared).Result, wire.ReaderUnavailable)
	slot.Fail(false)
	eventually(t, "it works", func() bool { return s.reader().State == wire.CardReady.String() })
	p.want("transmit", second(p.transmit(0, 0xEE, 0, 0)), wire.CardReset)
	p.want("reconnect", p.reconnect(wire.LeaveCard), wire.Success)
	s.alive(p)
}

// TestProtocols: the one that the reader does not speak is left out.
func TestProtocols(t *testing.T) {
	slot := echo()
	info := bridgetest.Info
	info.Protocols = []iso7816.Protocol{iso7816.T0}
	slot.SetInfo(info)
	s := begin(t, bridge.Config{}, slot)
	p := s.established(4)
	if m := p.connect(wire.ShareShared); m.Result != wire.Success || m.Active != wire.ProtocolT0 {
		t.Errorf("%+v", m)
	}
	if a, b := slot.Calls(bridgetest.SetT1), slot.Calls(bridgetest.SetT0); a != 1 || b != 1 {
		t.Errorf("T=1 tried %d times, T=0 %d", a, b)
	}
}

func TestSnapshot(t *testing.T) {
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	before := time.Now()
	holder := s.connected()
	holder.want("begin", holder.begin(), wire.Success)
	waits := s.established(6)
	waits.send(wire.CmdWaitReaderStateChange, nil)
	eventually(t, "it waits", func() bool { return s.service.Snapshot().Clients[1].Waiting })
	got := s.service.Snapshot()
	times := func(h *bridge.Holder) {
		if h.Since.Before(before.Add(-time.Second)) || h.Since.After(time.Now()) {
			t.Errorf("since %v", h.Since)
		}
		h.Since = time.Time{}
	}
	for i := range got.Clients {
		times(&got.Clients[i].Holder)
	}
	times(got.Readers[0].Lock)
	times(&got.Readers[0].Handles[0].Holder)
	me := bridge.Holder{PID: os.Getpid(), UID: uint32(os.Geteuid())}
	if runtime.GOOS == "linux" {
		comm, err := os.ReadFile("/proc/self/comm")
		if err != nil {
			t.Fatal(err)
		}
		me.Program = strings.TrimSpace(string(comm))
	}
	want := bridge.Snapshot{
		Readers: []bridge.ReaderStatus{{
			Name: readerName, Visible: true, State: "present|powered|negotiable", Power: true, ATR: "3B 84 80 01 45 43 48 4F 04",
			Protocol: "T1", Sharing: 1, Lock: &me,
			Handles: []bridge.HandleStatus{{Holder: me, Share: "shared", Event: "none", Lock: true}},
		}},
		Clients: []bridge.ClientStatus{
			{Holder: me, Version: "4:4", Context: true, Handles: 1},
			{Holder: me, Version: "4:6", Context: true, Waiting: true},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b, err := json.Marshal(got.Readers[0].Handles[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{`"pid"`, `"uid"`, `"program"`, `"since"`, `"share":"shared"`, `"event":"none"`, `"lock":true`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("%s has no %s", b, key)
		}
	}
	empty := begin(t, bridge.Config{})
	if b, err := json.Marshal(empty.service.Snapshot()); err != nil || string(b) != `{"readers":[],"clients":[]}` {
		t.Errorf("%s, %v", b, err)
	}
}

// TestTrace: what happened is told, and never what was in an APDU.
func TestTrace(t *testing.T) {
	events := make(chan bridge.Event, 100)
	s := begin(t, bridge.Config{Trace: func(e bridge.Event) { events <- e }}, echo())
	p := s.connected()
	pin := []byte("31415926")
	p.transmit(append([]byte{0, 0x20, 0, 2, byte(len(pin))}, pin...)...)
	p.transmit(append([]byte{0, 0xEE, 0, 0}, pin...)...)
	p.nc.Close()
	var all []bridge.Event
	for e := range events {
		all = append(all, e)
		if e.Kind == bridge.EventDisconnected {
			break
		}
	}
	var transmits, kinds []string
	for _, e := range all {
		kinds = append(kinds, e.Kind.String())
		if e.Command == wire.CmdTransmit {
			transmits = append(transmits, fmt.Sprintf("%02X %v %v %s", e.INS, e.SW, e.Result.String(), e.Reader))
		}
		text := fmt.Sprintf("%v %+v %#v", e, e, e)
		for _, secret := range []string{string(pin), fmt.Sprintf("%x", pin), strings.Trim(fmt.Sprint(pin), "[]"), strings.Trim(fmt.Sprintf("%#v", pin), "[]byte{}")} {
			if strings.Contains(text, secret) {
				t.Errorf("an event has the PIN: %s", text)
			}
		}
	}
	if diff := cmp.Diff([]string{"20 9000 SCARD_S_SUCCESS " + readerName, "EE 9000 SCARD_S_SUCCESS " + readerName}, transmits); diff != "" {
		t.Errorf("transmits, -want +got:\n%s", diff)
	}
	for _, want := range []string{"attached", "card", "connected", "request", "disconnected"} {
		if !strings.Contains(strings.Join(kinds, " "), want) {
			t.Errorf("no %s in %v", want, kinds)
		}
	}
}

// TestLegacySlots: some libraries expect more records.
func TestLegacySlots(t *testing.T) {
	s := begin(t, bridge.Config{LegacySlots: 48}, echo())
	p := s.established(4)
	p.send(wire.CmdGetReadersState, nil)
	if got := p.records(48); len(got) != 1 {
		t.Errorf("%d readers", len(got))
	}
	p.send(wire.CmdWaitReaderStateChange, nil)
	p.records(48)
	s.connected()
	p.want("event", p.event().Result, wire.Success)
}

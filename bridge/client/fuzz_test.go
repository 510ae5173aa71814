package client

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"kaztoken/bridge/wire"
	"kaztoken/firmware"
)

// FuzzAnswers: whatever a service answers, calls end, their errors are typed,
// what they return keeps its promises, and no more is allocated than a bound.
func FuzzAnswers(f *testing.F) {
	name, err := wire.NameOf("R 00 00")
	if err != nil {
		f.Fatal(err)
	}
	reader := wire.Reader{Name: name, State: wire.CardReady}
	reader.SetATR([]byte{0x3B, 0x00})
	record := reader.AppendTo(nil)
	version := u32(4, 6, 0)
	greeting := append(version, u32(2, 7, 0)...)
	connected := (&wire.Connect{Context: 7, Reader: name, Share: 2, Preferred: 3, Handle: 9, Active: 2}).AppendTo(nil)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	f.Add([]byte(""), []byte{})
	f.Add([]byte("rr"), join(greeting, u32(1), record, u32(2), record, record))
	f.Add([]byte("crstbtekadx"), join(greeting, connected, u32(1), record, u32(1), record, u32(9, 0),
		u32(9, 2, 16, 5, 3, 16, 2, 0), []byte{0x90, 0}, u32(9, 0), u32(9, 2, 16, 5, 3, 16, 3, 0), []byte{1, 0x90, 0}, u32(9, 0, 0),
		u32(9, uint32(wire.CtlGetFeatureRequest), 0, 65548, 2, 0), []byte{1, 2},
		(&wire.Attribute{Handle: 9, ID: wire.AttrATRString, Length: 2}).AppendTo(nil), u32(9, 0, 0)))
	f.Add([]byte("cbb"), join(greeting, connected, u32(9, uint32(wire.CardReset)), u32(9, 2, 3, 0, 2, 0), u32(9, 0), u32(9, uint32(wire.SharingViolation)), u32(9, 0)))
	f.Add([]byte("w"), join(greeting, u32(1), record, version, u32(0, 0, 1), record, u32(1), record))
	f.Fuzz(func(t *testing.T, calls, answers []byte) {
		if len(calls) > 64 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			p := &playback{rest: answers}
			ctx, cancel := context.WithTimeout(t.Context(), 1e12)
			defer cancel()
			// The connection of a Wait goes on where the other one stopped.
			x, err := open(ctx, func(ctx context.Context) (*link, error) { return greet(ctx, p) })
			check(t, Failed("connect", err))
			if err != nil {
				return
			}
			var card *Card
			for _, call := range calls {
				if card == nil && bytes.IndexByte([]byte("stbekad"), call) >= 0 {
					continue
				}
				checkCall(t, ctx, x, &card, call)
			}
			if p.longest > maxReaders*wire.ReaderSize {
				t.Errorf("%d bytes read at once", p.longest)
			}
			x.Close()
		})
	})
}

// check allows the errors that the package documents.
func check(t *testing.T, err error) {
	var e *Error
	if err != nil && !errors.Is(err, firmware.ErrReset) && (!errors.As(err, &e) || e.Code == wire.Success || e.Op == "") {
		t.Errorf("error %#v", err)
	}
}

// checkCall makes the call that a letter stands for.
func checkCall(t *testing.T, ctx context.Context, x *Context, card **Card, call byte) {
	readers := func(all []Reader, err error) {
		check(t, err)
		if err != nil && all != nil {
			t.Error("readers with an error")
		}
		for _, r := range all {
			if r.Name == "" || len(r.Name) >= wire.MaxReaderName || !Printable(r.Name) || len(r.ATR) > wire.MaxATR {
				t.Errorf("reader %+v", r)
			}
		}
	}
	data := func(b []byte, err error, low, high int) {
		check(t, err)
		if err == nil && (len(b) < low || len(b) > high) || err != nil && len(b) != 0 {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	}
	switch c := *card; call {
	case 'r':
		readers(x.Readers(ctx))
	case 'w':
		all, err := x.Readers(ctx)
		readers(all, err)
		if err == nil {
			readers(x.Wait(ctx, all))
		}
	case 'c':
		c, err := x.Connect(ctx, "R 00 00", wire.ShareShared, wire.ProtocolT0|wire.ProtocolT1)
		check(t, err)
		if err == nil {
			*card = c
			if !inForce(c.Protocol(), wire.ShareShared) || c.handle == 0 {
				t.Errorf("connected by %v", c.Protocol())
			}
		}
	case 's':
		s, err := c.Status(ctx)
		check(t, err)
		if err == nil && (s.Reader != "R 00 00" || len(s.ATR) > wire.MaxATR) {
			t.Errorf("status %+v", s)
		}
	case 't':
		b, err := c.Transmit(ctx, nil, []byte{0, 0xA4, 4, 0, 0})
		data(b, err, 2, wire.MaxData)
	case 'b':
		check(t, c.Begin(ctx))
	case 'e':
		check(t, c.End(ctx))
	case 'k':
		b, err := c.Control(ctx, nil, wire.CtlGetFeatureRequest, nil)
		data(b, err, 0, wire.MaxData)
	case 'a':
		b, err := c.Attribute(ctx, wire.AttrATRString)
		data(b, err, 0, wire.MaxAttribute)
	case 'd':
		check(t, c.Disconnect(ctx, wire.LeaveCard))
	case 'x':
		x.Close()
	}
}

package ccid

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// iccdB is the interface of Rutoken Magistra, iccdA that of e-gate.
func iccdB() usb.Interface {
	d := kaztokenClass()
	d.MaxMessageLength = 261
	return usb.Interface{Kind: usb.ICCDB, Class: 0x0B, Protocol: 2, Alternates: 1, Reader: d}
}

func iccdA() usb.Interface {
	d := kaztokenClass()
	d.Protocols, d.Features, d.MaxMessageLength = 1, 0x840, 256
	return usb.Interface{Kind: usb.ICCDA, Class: 0xFF, Protocol: 1, Alternates: 1, Reader: d}
}

const openICCDB = `
c   21 63 00 00 00 00 00 00    ; off, on, off
c   21 62 01 00 00 00 00 00
c   21 63 00 00 00 00 00 00
c   A1 81 00 00 00 00 03 00 / 00 01 00
`

const powerICCDB = `
c   A1 81 00 00 00 00 03 00 / 00 01 00
c   21 62 01 00 00 00 00 00    ; power on
c   A1 6F 00 00 00 00 22 00 / 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
`

func TestICCDB(t *testing.T) {
	bubble(t, iccdB(), openICCDB+powerICCDB+`
c   21 65 00 00 00 00 07 00 / 00 A4 00 0C 02 3F 00    ; send 7 bytes, bLevelParameter 00
c   A1 6F 00 00 00 00 03 01 / 80 05 00    ; ask again in 5x10 ms
c   A1 6F 00 00 00 00 03 01 / 00 90 00
c   21 65 00 00 00 00 04 00 / 00 70 00 00
c   A1 6F 00 00 00 00 03 01 / 40 40 FE    ; mute
c   21 65 00 01 00 00 05 01 / 00 DA 00 00 00 01 00 `+data(254)+`    ; more than a message: parts
c   A1 6F 00 00 00 00 03 01 / 10
c   21 65 00 02 00 00 02 00 / FE FF
c   A1 6F 00 00 00 00 03 01 / 01 AA BB
c   21 65 00 10 00 00 00 00
c   A1 6F 00 00 00 00 03 01 / 03 CC
c   21 65 00 10 00 00 00 00
c   A1 6F 00 00 00 00 03 01 / 02 90 00
c   21 63 00 00 00 00 00 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		if s.State() != CardPresent {
			t.Errorf("state %v", s.State())
		}
		atr, err := s.PowerOn(t.Context())
		if err != nil || atr.String() != kaztokenATR {
			t.Fatal(atr, err)
		}
		start := time.Now()
		got, err := transmit(t, s, "00 A4 00 0C 02 3F 00")
		want(t, got, err, "90 00")
		if d := time.Since(start); d != 50*time.Millisecond {
			t.Errorf("took %v", d)
		}
		if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, ErrMute) || !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		got, err = transmit(t, s, "00 DA 00 00 00 01 00 "+data(256))
		want(t, got, err, "AA BB CC 90 00")
		if err := s.PowerOff(t.Context()); err != nil || s.State() != CardPresent {
			t.Errorf("%v, %v", s.State(), err)
		}
	})
}

func TestICCDBTrouble(t *testing.T) {
	const apdu = "c 21 65 00 00 00 00 04 00 / 00 70 00 00\n"
	for _, tt := range []struct {
		name, script string
		is           error
		unsent       bool
		state        CardState
	}{
		{"command refused", "c! 21 65 00 00 00 00 04 00 / 00 70 00 00\nc A1 81 00 00 00 00 03 00 / 00 00 00\n", nil, true, CardLost},
		{"answer refused", apdu + "c! A1 6F 00 00 00 00 03 01\nc A1 81 00 00 00 00 03 00 / 00 01 00\n", nil, false, CardPresent},
		{"nothing works", apdu + "c! A1 6F 00 00 00 00 03 01\nc! A1 81 00 00 00 00 03 00\n", nil, false, CardLost},
		{"empty answer", apdu + "c A1 6F 00 00 00 00 03 01\n", errMalformed, false, CardLost},
		{"unknown answer", apdu + "c A1 6F 00 00 00 00 03 01 / 77\n", errMalformed, false, CardLost},
		{"asked again for ever", apdu + "c A1 6F 00 00 00 00 03 01 / 80 FF FF\n", usb.ErrTimeout, false, CardLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, iccdB(), openICCDB+tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 0, kaztokenATR)
				r.link.(*iccdb).powered = true
				_, err := transmit(t, s, "00 70 00 00")
				p.check()
				if err == nil || tt.is != nil && !errors.Is(err, tt.is) || errors.Is(err, ErrOutcomeUnknown) == tt.unsent || s.State() != tt.state {
					t.Errorf("got %v in state %v", err, s.State())
				}
				// Whatever it was, the way back is a power-up behind off, on, off.
				p.lax = false
				p.say("c 21 63 00 00 00 00 00 00\nc 21 62 01 00 00 00 00 00\nc 21 63 00 00 00 00 00 00" + powerICCDB)
				if _, err := s.PowerOn(t.Context()); err != nil || s.State() != CardReady {
					t.Error(s.State(), err)
				}
			})
		})
	}
}

func TestICCDBCancelled(t *testing.T) {
	bubble(t, iccdB(), openICCDB+"c 21 65 00 00 00 00 04 00 / 00 70 00 00\nc A1 6F 00 00 00 00 03 01 / 80 FF FF\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 0, kaztokenATR)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		_, err := s.Transmit(ctx, nil, unhex(t, "00 70 00 00"))
		if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrOutcomeUnknown) || time.Since(start) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
	})
}

func TestICCDA(t *testing.T) {
	bubble(t, iccdA(), `
c   21 63 00 00 00 00 00 00
c   21 63 00 00 00 00 00 00    ; off, status, on
c   A1 A0 00 00 00 00 01 00 / 00
c   A1 62 00 00 00 00 21 00 / 3B 00
c   21 65 00 00 00 00 05 00 / 00 70 00 00 00    ; case 1 gets a fifth byte
c   A1 A0 00 00 00 00 01 00 / 41    ; busy
c   A1 A0 00 00 00 00 01 00 / 20
c   A1 6F 00 00 00 00 02 00 / 90 00
c   21 65 00 00 00 00 05 00 / 00 B0 00 00 04
c   A1 A0 00 00 00 00 01 00 / 10
c   A1 6F 00 00 00 00 04 00 / DE AD BE EF
c   A1 A0 00 00 00 00 01 00 / 20
c   A1 6F 00 00 00 00 02 00 / 90 00
c   21 65 00 00 00 00 05 00 / 00 A4 00 00 02    ; with data, and a response
c   A1 A0 00 00 00 00 01 00 / 10
c   21 65 00 00 00 00 02 00 / 3F 00
c   A1 A0 00 00 00 00 01 00 / 20
c   A1 6F 00 00 00 00 02 00 / 61 02
c   21 65 00 00 00 00 05 00 / 00 C0 00 00 02
c   A1 A0 00 00 00 00 01 00 / 10
c   A1 6F 00 00 00 00 02 00 / 6F 00
c   A1 A0 00 00 00 00 01 00 / 20
c   A1 6F 00 00 00 00 02 00 / 90 00
c   21 65 00 00 00 00 05 00 / 00 70 00 00 00
c   A1 A0 00 00 00 00 01 00 / 80    ; mute
c   21 63 00 00 00 00 00 00    ; the way back
c   21 63 00 00 00 00 00 00
c   A1 A0 00 00 00 00 01 00 / 00
c   A1 62 00 00 00 00 21 00 / 3B 00
c   21 65 00 00 00 00 05 00 / 00 70 00 00 00
c!  A1 A0 00 00 00 00 01 00
c   A1 A0 00 00 00 00 01 00 / 80
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		if _, err := s.PowerOn(t.Context()); err != nil || s.Protocol() != iso7816.T0 || s.Level() != usb.TPDU {
			t.Fatal(s.Protocol(), err)
		}
		for _, tt := range [][2]string{
			{"00 70 00 00", "90 00"}, {"00 B0 00 00 04", "DE AD BE EF 90 00"}, {"00 A4 00 00 02 3F 00 00", "6F 00 90 00"},
		} {
			got, err := transmit(t, s, tt[0])
			want(t, got, err, tt[1])
		}
		mute := func() {
			if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, ErrMute) || !errors.Is(err, ErrOutcomeUnknown) || s.State() != CardLost {
				t.Errorf("got %v in state %v", err, s.State())
			}
		}
		mute()
		if _, err := s.PowerOn(t.Context()); err != nil {
			t.Error(err)
		}
		mute()
	})
}

func TestControlLinksGone(t *testing.T) {
	for _, ifc := range []usb.Interface{iccdA(), iccdB()} {
		t.Run(fmt.Sprint(ifc.Kind), func(t *testing.T) {
			p := newScript(t, 64, "")
			p.Close()
			if _, err := Open(t.Context(), p, ifc); !errors.Is(err, usb.ErrClosed) {
				t.Errorf("got %v", err)
			}
		})
	}
}

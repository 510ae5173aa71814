package iso7816

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPPS(t *testing.T) {
	for _, r := range []struct {
		wire string
		want PPS
		fidi byte
	}{
		{"FF 11 95 7B", PPS{Protocol: T1, PPS1: 0x95, HasPPS1: true}, 0x95},
		{"FF 01 FE", PPS{Protocol: T1}, 0x11},
		{"FF 10 18 F7", PPS{Protocol: T0, PPS1: 0x18, HasPPS1: true}, 0x18},
		{"FF 11 18 F6", PPS{Protocol: T1, PPS1: 0x18, HasPPS1: true}, 0x18},
		{"FF 00 FF", PPS{Protocol: T0}, 0x11},
		{"FF 71 96 01 02 1B", PPS{
			Protocol: T1, PPS1: 0x96, HasPPS1: true, PPS2: 1, HasPPS2: true, PPS3: 2, HasPPS3: true,
		}, 0x96},
		{"FF 60 00 00 9F", PPS{HasPPS2: true, HasPPS3: true}, 0x11},
	} {
		t.Run(r.wire, func(t *testing.T) {
			wire := unhex(t, r.wire)
			got, err := ParsePPS(wire)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(r.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if enc := r.want.AppendTo([]byte{0xAA}); !bytes.Equal(enc[1:], wire) || r.want.Len() != len(wire) {
				t.Errorf("encoded % X, Len %d, want % X", enc[1:], r.want.Len(), wire)
			}
			if got.FiDi() != r.fidi {
				t.Errorf("FiDi: got %02X want %02X", got.FiDi(), r.fidi)
			}
		})
	}
}

func TestParsePPSRefuses(t *testing.T) {
	for name, wire := range map[string]string{
		"nothing":            "",
		"two bytes":          "FF 00",
		"wrong PPSS":         "3B 00 3B",
		"wrong PCK":          "FF 00 FE",
		"reserved bit 8":     "FF 81 7E",
		"T=15":               "FF 0F F0",
		"PPS1 missing":       "FF 10 EF",
		"one byte too much":  "FF 00 FF 00",
		"PPS1 not announced": "FF 01 95 6B",
	} {
		if p, err := ParsePPS(unhex(t, wire)); !errors.Is(err, ErrPPS) {
			t.Errorf("%s: got %+v, %v, want ErrPPS", name, p, err)
		}
	}
}

// ISO 7816-3:2006 §9.3.
func TestPPSAccept(t *testing.T) {
	fast := PPS{Protocol: T1, PPS1: 0x95, HasPPS1: true}
	full := PPS{Protocol: T1, PPS1: 0x95, HasPPS1: true, PPS2: 1, HasPPS2: true, PPS3: 0, HasPPS3: true}
	plain := PPS{Protocol: T1}
	for _, r := range []struct {
		name    string
		request PPS
		reply   string
		fidi    byte // 0: refused
	}{
		{"echo", fast, "FF 11 95 7B", 0x95},
		{"PPS1 refused", fast, "FF 01 FE", 0x11},
		{"plain echo", plain, "FF 01 FE", 0x11},
		{"all echoed", full, "FF 71 95 01 00 1A", 0x95},
		{"PPS2 and PPS3 refused", full, "FF 11 95 7B", 0x95},
		{"only PPS2 echoed", full, "FF 21 01 DF", 0x11},
		{"another speed", fast, "FF 11 94 7A", 0},
		{"another protocol", fast, "FF 10 95 7A", 0},
		{"another PPS2", full, "FF 71 95 02 00 19", 0},
		{"PPS1 that was not asked for", plain, "FF 11 11 FF", 0},
		{"PPS3 that was not asked for", fast, "FF 51 95 00 3B", 0},
		{"wrong PCK", fast, "FF 11 95 7C", 0},
		{"longer than the request", plain, "FF 01 FE 00", 0},
		{"cut short", fast, "FF 11", 0},
		{"a block instead", fast, "00 C1 01 FE 3E", 0},
		{"silence", fast, "", 0},
	} {
		t.Run(r.name, func(t *testing.T) {
			got, err := r.request.Accept(unhex(t, r.reply))
			if r.fidi == 0 {
				if !errors.Is(err, ErrPPS) {
					t.Errorf("got %+v, %v, want ErrPPS", got, err)
				}
				return
			}
			if err != nil || got.FiDi() != r.fidi || got.Protocol != r.request.Protocol {
				t.Errorf("got %+v, %v, want FiDi %02X", got, err, r.fidi)
			}
		})
	}
}

// What is accepted encodes back to the same bytes, and a reply is agreed to
// only if it says nothing that was not asked for.
func FuzzParsePPS(f *testing.F) {
	f.Add([]byte{0xFF, 0x11, 0x95, 0x7B}, []byte{0xFF, 0x11, 0x95, 0x7B})
	f.Add([]byte{0xFF, 0x11, 0x95, 0x7B}, []byte{0xFF, 0x01, 0xFE})
	f.Add([]byte{0xFF, 0x71, 0x96, 0x01, 0x02, 0x1B}, []byte{0xFF, 0x11, 0x96, 0x78})
	f.Fuzz(func(t *testing.T, request, reply []byte) {
		p, err := ParsePPS(request)
		if err != nil {
			if !errors.Is(err, ErrPPS) {
				t.Fatalf("% X: %v", request, err)
			}
			return
		}
		if enc := p.AppendTo(nil); !bytes.Equal(enc, request) || len(enc) > MaxPPS {
			t.Fatalf("% X became % X", request, enc)
		}
		if got, err := p.Accept(request); err != nil || got != p {
			t.Fatalf("% X: the echo gives %+v, %v", request, got, err)
		}
		got, err := p.Accept(reply)
		if err != nil {
			return
		}
		if len(reply) > len(request) || got.Protocol != p.Protocol ||
			got.FiDi() != p.FiDi() && got.FiDi() != DefaultFiDi {
			t.Fatalf("% X agreed to % X", request, reply)
		}
	})
}

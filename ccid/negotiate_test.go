package ccid

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// Cards of the tests. All but the first offer more than the default speed.
const (
	atrT1     = kaztokenATR
	atrT0     = "3B 00"
	atrT1Fast = "3B 90 95 81 31 FE 45 9E" // T=1, TA1 95, IFSC 254, BWI 4, CWI 5: the TCK does not matter
	atrT0Fast = "3B 10 95"                // T=0, TA1 95
	atrBoth   = "3B 90 95 80 01 84"       // T=0 first, T=1 too, TA1 95
)

// dialogue writes scripts in which sequence numbers count by themselves: "##"
// in a command takes the next one, "@@" in an answer repeats it.
func dialogue(from byte, lines ...string) string {
	var b strings.Builder
	for _, l := range lines {
		if strings.Contains(l, "##") {
			l = strings.ReplaceAll(l, "##", fmt.Sprintf("%02X", from))
			from++
		}
		b.WriteString(strings.ReplaceAll(l, "@@", fmt.Sprintf("%02X", from-1)) + "\n")
	}
	return b.String()
}

// powerUp is the dialogue that reads an ATR on a reader that walks no voltages.
func powerUp(atr string) []string {
	n := len(strings.Fields(atr))
	return []string{
		"> 65 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 01 00 00",
		"> 62 00 00 00 00 00 ## 00 00 00", fmt.Sprintf("< 80 %02X 00 00 00 00 @@ 00 00 00 %s", n, atr),
	}
}

// coldReset is powerUp on a card that has power.
func coldReset(atr string) []string {
	p := powerUp(atr)
	return append([]string{
		"> 65 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 00 00 00",
		"> 63 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 01 00 00",
	}, p[2:]...)
}

func TestNegotiation(t *testing.T) {
	const (
		pps95T1  = "> 6F 04 00 00 00 00 ## 00 00 00 FF 11 95 7B"
		pps95T0  = "> 6F 04 00 00 00 00 ## 00 00 00 FF 10 95 7A"
		set95T1  = "> 61 07 00 00 00 00 ## 01 00 00 95 10 00 45 00 FE 00"
		set95T1b = "> 61 07 00 00 00 00 ## 01 00 00 95 10 00 4D 00 20 00"
		set95T0  = "> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00"
		set11T1  = "> 61 07 00 00 00 00 ## 01 00 00 11 10 00 45 00 FE 00"
		set11T0  = "> 61 05 00 00 00 00 ## 00 00 00 11 00 00 0A 00"
		rate95   = "> 73 08 00 00 00 00 ## 00 00 00 A0 0F 00 00 48 E8 01 00"
		parsOK   = "< 82 00 00 00 00 00 @@ 00 00 00" // dwLength 0 is allowed
		rateOK   = "< 84 08 00 00 00 00 @@ 00 00 00 A0 0F 00 00 48 E8 01 00"
		ifs      = "> 6F 05 00 00 00 00 ## 00 00 00 00 C1 01 FE 3E"
		mute     = "< 80 00 00 00 00 00 @@ 40 FE 00"
		ifsOK    = "< 80 05 00 00 00 00 @@ 00 00 00 00 E1 01 FE 1E"
	)
	block := func(s string) string {
		return fmt.Sprintf("< 80 %02X 00 00 00 00 @@ 00 00 00 %s", len(strings.Fields(s)), s)
	}
	refuse := func(status, code string) string { return "< 82 00 00 00 00 00 @@ " + status + " " + code + " 00" }
	for _, tt := range []struct {
		name     string
		features usb.Features
		atr      string
		opts     []Option
		script   [][]string // behind the power-up
		protocol iso7816.Protocol
		fidi     byte
		err      error
	}{
		{name: "reader negotiates", features: 0x0002004A, atr: atrT1Fast, protocol: 1, fidi: 0x11},
		{name: "reader negotiates, both protocols", features: 0x0002004A, atr: atrBoth, protocol: 1, fidi: 0x95, script: [][]string{{
			"> 6C 00 00 00 00 00 ## 00 00 00", "< 82 07 00 00 00 00 @@ 00 00 01 95 10 00 4D 00 20 00"}}},
		{name: "reader negotiates and does not tell", features: 0x0002004A, atr: atrBoth, protocol: 0, fidi: 0x11, script: [][]string{{
			"> 6C 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 40 00 00"}}},
		{name: "reader chose the other", features: 0x0002004A, atr: atrBoth, opts: []Option{WithProtocol(1)}, err: ErrProtocolMismatch, script: [][]string{{
			"> 6C 00 00 00 00 00 ## 00 00 00", "< 82 05 00 00 00 00 @@ 00 00 00 11 00 00 0A 00"}}},
		{name: "USB-ICC", features: 0x00020848, atr: atrBoth, protocol: 0, fidi: 0x11},
		{name: "USB-ICC that needs S(IFS)", features: 0x00010848, atr: atrT1Fast, protocol: 1, fidi: 0x11, script: [][]string{{ifs, ifsOK}}},
		{name: "reader runs the PPS", features: 0x000100BA, atr: atrT1Fast, protocol: 1, fidi: 0x95, script: [][]string{{set95T1, parsOK, ifs, ifsOK}}},
		{name: "reader runs the PPS and S(IFS)", features: 0x000104BA, atr: atrT1Fast, protocol: 1, fidi: 0x95, script: [][]string{{set95T1, parsOK}}},
		{name: "reader runs the PPS, speed refused", features: 0x000104BA, atr: atrT1Fast, protocol: 1, fidi: 0x11,
			script: [][]string{{set95T1, refuse("40", "0A"), set11T1, parsOK}}},
		{name: "reader runs the PPS, card mute", features: 0x000104BA, atr: atrT1Fast, protocol: 1, fidi: 0x11,
			script: [][]string{{set95T1, refuse("40", "FE")}, coldReset(atrT1Fast), {set11T1, parsOK}}},
		{name: "reader runs the PPS, selected protocol", features: 0x000204BA, atr: atrBoth, opts: []Option{WithProtocol(1)}, protocol: 1, fidi: 0x95,
			script: [][]string{{set95T1b, parsOK}}},
		{name: "host: default speed, reader knows the parameters", features: 0x0001003A, atr: atrT0, protocol: 0, fidi: 0x11},
		{name: "host: default speed", features: 0x00010038, atr: atrT0, protocol: 0, fidi: 0x11, script: [][]string{{set11T0, parsOK}}},
		{name: "host: PPS", features: 0x00010038, atr: atrT1Fast, protocol: 1, fidi: 0x95,
			script: [][]string{{pps95T1, block("FF 11 95 7B"), set95T1, parsOK, ifs, ifsOK}}},
		{name: "host: PPS, reader knows the parameters of the ATR", features: 0x0001003A, atr: atrT0Fast, protocol: 0, fidi: 0x95,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, parsOK}}},
		{name: "host: PPS1 refused", features: 0x00010038, atr: atrT0Fast, protocol: 0, fidi: 0x11,
			script: [][]string{{pps95T0, block("FF 00 FF"), set11T0, parsOK}}},
		{name: "host: PPS and command 73", features: 0x00010008, atr: atrT0Fast, protocol: 0, fidi: 0x95,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, parsOK, rate95, rateOK}}},
		{name: "host: command 73 not known", features: 0x00010008, atr: atrT0Fast, protocol: 0, fidi: 0x95,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, parsOK, rate95, "< 81 00 00 00 00 00 @@ 40 00 00"}}},
		{name: "host: command 73 fails", features: 0x00010008, atr: atrT0Fast, protocol: 0, fidi: 0x11,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, parsOK, rate95, "< 84 00 00 00 00 00 @@ 40 0E 00"},
				coldReset(atrT0Fast), {set11T0, parsOK}}},
		{name: "host: the other protocol", features: 0x00010438, atr: atrBoth, opts: []Option{WithProtocol(1)}, protocol: 1, fidi: 0x95,
			script: [][]string{{pps95T1, block("FF 11 95 7B"), set95T1b, parsOK}}},
		{name: "host: PPS fails", features: 0x00010038, atr: atrT0Fast, protocol: 0, fidi: 0x11,
			script: [][]string{{pps95T0, "< 80 00 00 00 00 00 @@ 40 FE 00"}, coldReset(atrT0Fast), {set11T0, parsOK}}},
		{name: "host: PPS for the other protocol fails", features: 0x00010438, atr: atrBoth, opts: []Option{WithProtocol(1)}, err: ErrProtocolMismatch,
			script: [][]string{{pps95T1, block("FF 10 95 7A")}, coldReset(atrBoth)}},
		{name: "SetParameters not known", features: 0x00010038, atr: atrT0, protocol: 0, fidi: 0x11,
			script: [][]string{{set11T0, "< 81 00 00 00 00 00 @@ 40 00 00"}}},
		{name: "SetParameters not known, after a PPS", features: 0x00010038, atr: atrT0Fast, protocol: 0, fidi: 0x11,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, "< 81 00 00 00 00 00 @@ 40 00 00"}, coldReset(atrT0Fast)}},
		{name: "speed refused after a PPS", features: 0x00010038, atr: atrT0Fast, protocol: 0, fidi: 0x11,
			script: [][]string{{pps95T0, block("FF 10 95 7A"), set95T0, refuse("40", "0A")}, coldReset(atrT0Fast), {set11T0, parsOK}}},
		{name: "protocol refused", features: 0x00010038, atr: atrT0, err: ErrProtocolMismatch, script: [][]string{{set11T0, refuse("40", "07")}}},
		{name: "waiting time fixed", features: 0x00010038, atr: atrT0, protocol: 0, fidi: 0x11, script: [][]string{{set11T0, refuse("40", "0D"),
			"> 6C 00 00 00 00 00 ## 00 00 00", "< 82 05 00 00 00 00 @@ 00 00 00 11 00 00 14 00"}}},
		{name: "guard time fixed, and nobody knows to what", features: 0x00010038, atr: atrT0, protocol: 0, fidi: 0x11, script: [][]string{{set11T0, refuse("40", "0C"),
			"> 6C 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 40 00 00"}}},
		{name: "two resets", features: 0x00010038, atr: atrT0, protocol: 0, fidi: 0x11, opts: []Option{WithQuirks(Quirks{TwoResets: true})},
			script: [][]string{{set11T0, refuse("40", "0B")}, coldReset(atrT0), coldReset(atrT0)}},
		{name: "no PPS", features: 0x00010038, atr: atrT0Fast, protocol: 0, fidi: 0x11, opts: []Option{WithQuirks(Quirks{NoPPS: true})},
			script: [][]string{{set11T0, parsOK}}},
		{name: "silent card after S(IFS)", features: 0x00010038, atr: atrT1, err: ErrMute, script: [][]string{
			{"> 61 07 00 00 00 00 ## 01 00 00 11 10 00 4D 00 20 00", parsOK, ifs, mute, ifs, mute, ifs, mute},
			coldReset(atrT1),
			{"> 61 07 00 00 00 00 ## 01 00 00 11 10 00 4D 00 20 00", parsOK, ifs, mute, ifs, mute, ifs, mute},
		}},
		{name: "not offered by the card", features: 0x0002004A, atr: atrT0, opts: []Option{WithProtocol(1)}, err: ErrProtocolMismatch},
		{name: "T=14", features: 0x00010038, atr: "3B 80 0E 8E", err: ErrProtocolMismatch},
		{name: "IFSC of the reader", features: 0x000104BA, atr: atrT1Fast, protocol: 1, fidi: 0x95,
			script: [][]string{{set95T1, "< 82 07 00 00 00 00 @@ 00 00 01 95 10 00 45 00 7B 00"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := powerUp(tt.atr)
			for _, s := range tt.script {
				lines = append(lines, s...)
			}
			bubble(t, bulkInterface(features(tt.features|usb.AutoVoltage)), dialogue(1, lines...), func(t *testing.T, r *Reader, p *scriptPipe) {
				s := r.Slots()[0]
				_, err := s.PowerOn(t.Context())
				p.check()
				if tt.err != nil {
					if !errors.Is(err, tt.err) || s.State() == CardReady {
						t.Errorf("got %v in state %v", err, s.State())
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := s.Parameters(); got.Protocol != tt.protocol || got.FiDi != tt.fidi || s.State() != CardReady {
					t.Errorf("got %+v in state %v", got, s.State())
				}
				if tt.name == "IFSC of the reader" && s.t1.IFSC() != 123 {
					t.Errorf("IFSC %d", s.t1.IFSC())
				}
				if tt.name == "waiting time fixed" && s.timing.wi != 20 {
					t.Errorf("WI %d", s.timing.wi)
				}
			}, tt.opts...)
		})
	}
}

func TestSpecificMode(t *testing.T) {
	// TA1 95, TD1 T=0 with TA2: specific mode, T=0, at the speed of TA1 or at
	// one that nobody tells.
	const byTA1, implicit = "3B 90 95 10 00", "3B 90 95 10 10"
	for _, tt := range []struct {
		name     string
		features usb.Features
		atr      string
		max      uint32
		script   []string
		fidi     byte
		err      error
	}{
		{"at TA1", 0x00010038, byTA1, 500_000, []string{"> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00", "< 82 00 00 00 00 00 @@ 00 00 00"}, 0x95, nil},
		{"too fast for the reader", 0x00010038, byTA1, 100_000, nil, 0, ErrProtocolMismatch},
		{"refused", 0x00010038, byTA1, 500_000, []string{
			"> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00", "< 82 00 00 00 00 00 @@ 40 0A 00",
			"> 65 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 00 00 00",
			"> 63 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 01 00 00",
			"> 62 00 00 00 00 00 ## 00 00 00", "< 80 05 00 00 00 00 @@ 00 00 00 " + byTA1,
			"> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00", "< 82 00 00 00 00 00 @@ 40 0A 00",
		}, 0, ErrProtocolMismatch},
		{"implicit", 0x00010038, implicit, 500_000, nil, 0, ErrProtocolMismatch},
		{"implicit, reader knows", 0x0001003A, implicit, 500_000, nil, 0x11, nil},
		{"implicit, reader negotiates", 0x00010078, implicit, 500_000, nil, 0x11, nil},
		{"reader runs the PPS", 0x000100B8, byTA1, 500_000, []string{"> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00", "< 82 00 00 00 00 00 @@ 00 00 00"}, 0x95, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := features(tt.features)
			d.MaxDataRate = tt.max
			bubble(t, bulkInterface(d), dialogue(1, append(powerUp(tt.atr), tt.script...)...), func(t *testing.T, r *Reader, p *scriptPipe) {
				s := r.Slots()[0]
				_, err := s.PowerOn(t.Context())
				p.check()
				if !errors.Is(err, tt.err) || err == nil && s.Parameters().FiDi != tt.fidi {
					t.Errorf("got %02X, %v", s.Parameters().FiDi, err)
				}
			})
		})
	}
}

func TestChooseFiDi(t *testing.T) {
	six := []uint32{10752, 15625, 31250, 62500, 125000, 250000}
	for _, tt := range []struct {
		want       byte
		clock      uint32
		rate, max  uint32
		rates      []uint32
		fidi       byte
		accordance string
	}{
		{0x11, 4000, 10752, 500000, nil, 0x11, "nothing asked"},
		{0x95, 4000, 10752, 344086, nil, 0x95, "125000"},
		{0x97, 4000, 10752, 344086, nil, 0x96, "500000 is too fast, 250000 is not"},
		{0x97, 4000, 10752, 500000, nil, 0x97, "500000"},
		{0x96, 4000, 10752, 250000, six, 0x96, "listed"},
		{0x97, 4000, 10752, 500000, six, 0x96, "500000 is not listed"},
		{0x18, 4000, 10752, 250000, six, 0x11, "129032 and its parts are not listed, default"},
		{0x38, 4000, 10752, 250000, nil, 0x38, "64516"},
		{0x38, 4000, 10752, 250000, []uint32{64000}, 0x38, "within 1 %"},
		{0x38, 4000, 10752, 250000, []uint32{63000}, 0x11, "not within 1 %"},
		{0x13, 4000, 10752, 43009, nil, 0x13, "2 bit/s above the maximum"},
		{0x13, 4000, 10752, 43007, nil, 0x12, "3 bit/s above"},
		{0x95, 8000, 21505, 500000, nil, 0x11, "512 goes up to 5 MHz"},
		{0x31, 4000, 10752, 500000, nil, 0x31, "slower than the default, and asked for"},
		{0x71, 4000, 10752, 500000, nil, 0x11, "reserved F"},
		{0x1F, 4000, 10752, 500000, nil, 0x11, "reserved D"},
		{0x95, 4000, 9600, 9600, []uint32{9600}, 0x11, "one rate only"},
	} {
		d := &usb.ClassDescriptor{DefaultClock: tt.clock, DataRate: tt.rate, MaxDataRate: tt.max}
		if got := chooseFiDi(tt.want, d, tt.rates); got != tt.fidi {
			t.Errorf("TA1 %02X at %d kHz, %d..%d, %v (%s): got %02X, want %02X", tt.want, tt.clock, tt.rate, tt.max, tt.rates, tt.accordance, got, tt.fidi)
		}
	}
}

func TestVoltages(t *testing.T) {
	for _, tt := range []struct {
		features usb.Features
		support  byte
		opts     []Option
		want     string
	}{
		{0x00020840, 1, nil, "[5 V automatic]"},
		{0x00010030, 7, nil, "[5 V 3 V 1.8 V automatic]"},
		{0x00010030, 6, nil, "[3 V 1.8 V automatic]"},
		{0x00010038, 7, nil, "[automatic]"},
		{0x00010034, 7, nil, "[automatic]"},
		{0x00010030, 0, nil, "[automatic]"},
		{0x00010030, 7, []Option{WithVoltageOrder(Voltage1V8, Voltage3V)}, "[1.8 V 3 V automatic]"},
	} {
		r := &Reader{config: newConfig(tt.opts), desc: usb.ClassDescriptor{Features: tt.features, Voltages: tt.support}}
		if got := fmt.Sprint(r.voltages()); got != tt.want {
			t.Errorf("%v, %d: got %s, want %s", tt.features, tt.support, got, tt.want)
		}
	}
}

func TestPowerOnTrouble(t *testing.T) {
	on := func(v int, answer string) []string {
		return []string{fmt.Sprintf("> 62 00 00 00 00 00 ## %02X 00 00", v), "< " + answer}
	}
	off := []string{"> 63 00 00 00 00 00 ## 00 00 00", "< 81 00 00 00 00 00 @@ 01 00 00"}
	const (
		inactive = "< 81 00 00 00 00 00 @@ 01 00 00"
		active   = "< 81 00 00 00 00 00 @@ 00 00 00"
		atr      = "80 02 00 00 00 00 @@ 00 00 00 3B 00"
	)
	failing := func(status, code string) string { return "80 00 00 00 00 00 @@ " + status + " " + code + " 00" }
	for _, tt := range []struct {
		name     string
		features usb.Features
		support  byte
		status   string
		script   [][]string
		err      error
	}{
		{"no card", 0x0002004A, 7, "< 81 00 00 00 00 00 @@ 02 00 00", nil, ErrNoCard},
		{"no card, as a failure", 0x0002004A, 7, "< 81 00 00 00 00 00 @@ 42 FE 00", nil, ErrNoCard},
		{"removed meanwhile", 0x00020042, 1, inactive, [][]string{on(1, failing("42", "FE"))}, ErrNoCard},
		{"mute at every voltage", 0x00020042, 3, inactive, [][]string{on(1, failing("41", "FE")), off, on(2, failing("41", "F5")), off,
			on(0, failing("41", "F8")), off}, ErrMute},
		{"bad TCK, then parity, then well", 0x00020042, 3, inactive, [][]string{on(1, failing("41", "F7")), off, on(2, failing("41", "FD")), off, on(0, atr)}, nil},
		{"hardware error", 0x00020042, 3, inactive, [][]string{on(1, failing("41", "FB")), off}, ErrMute},
		{"active before, once more from cold", 0x00020042, 1, active, [][]string{on(1, failing("40", "FE")), off, on(1, atr)}, nil},
		{"bPowerSelect 00 refused", 0x0002004A, 3, inactive, [][]string{on(0, failing("41", "07")), on(1, failing("41", "FE")), off, on(2, atr)}, nil},
		{"bPowerSelect 01 refused", 0x00020042, 3, inactive, [][]string{on(1, failing("41", "07")), on(2, atr)}, nil},
		{"no ATR", 0x0002004A, 7, inactive, [][]string{on(0, "80 00 00 00 00 00 @@ 00 00 00"), off}, ErrMute},
		{"time extension", 0x0002004A, 7, inactive, [][]string{on(0, "80 00 00 00 00 00 @@ 80 01 00"), {"< " + atr}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := features(tt.features)
			d.Voltages = tt.support
			lines := []string{"> 65 00 00 00 00 00 ## 00 00 00", tt.status}
			for _, s := range tt.script {
				lines = append(lines, s...)
			}
			bubble(t, bulkInterface(d), dialogue(1, lines...), func(t *testing.T, r *Reader, p *scriptPipe) {
				s := r.Slots()[0]
				_, err := s.PowerOn(t.Context())
				p.check()
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v", err)
				}
				if err == nil && s.State() != CardReady {
					t.Errorf("state %v", s.State())
				}
			})
		})
	}
}

func TestSetProtocol(t *testing.T) {
	lines := append(powerUp(atrBoth),
		"> 6F 04 00 00 00 00 ## 00 00 00 FF 10 95 7A", "< 80 04 00 00 00 00 @@ 00 00 00 FF 10 95 7A",
		"> 61 05 00 00 00 00 ## 00 00 00 95 00 00 0A 00", "< 82 00 00 00 00 00 @@ 00 00 00")
	lines = append(lines, coldReset(atrBoth)...)
	lines = append(lines,
		"> 6F 04 00 00 00 00 ## 00 00 00 FF 11 95 7B", "< 80 04 00 00 00 00 @@ 00 00 00 FF 11 95 7B",
		"> 61 07 00 00 00 00 ## 01 00 00 95 10 00 4D 00 20 00", "< 82 00 00 00 00 00 @@ 00 00 00")
	bubble(t, bulkInterface(features(0x00010438)), dialogue(1, lines...), func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		if _, err := s.PowerOn(t.Context()); err != nil || s.Protocol() != iso7816.T0 {
			t.Fatal(s.Protocol(), err)
		}
		for range 2 { // the second time there is nothing to do
			if err := s.SetProtocol(t.Context(), iso7816.T1); err != nil || s.Protocol() != iso7816.T1 {
				t.Fatal(s.Protocol(), err)
			}
		}
	})
}

func TestPPSCharacters(t *testing.T) {
	bubble(t, bulkInterface(features(0x00000030)), dialogue(1,
		"> 6F 04 00 00 00 00 ## 00 03 00 FF 11 95 7B", "< 80 03 00 00 00 00 @@ 00 00 00 FF 11 95",
		"> 6F 00 00 00 00 00 ## 00 01 00", "< 80 01 00 00 00 00 @@ 00 00 00 7B",
		"> 6F 04 00 00 00 00 ## 00 03 00 FF 11 95 7B", "< 80 03 00 00 00 00 @@ 00 00 00 FF 01 FE",
	), func(t *testing.T, r *Reader, p *scriptPipe) {
		for _, want := range []byte{0x95, 0x11} {
			if got, err := r.slots[0].pps(t.Context(), iso7816.T1, 0x95); got != want || err != nil {
				t.Errorf("got %02X, %v", got, err)
			}
		}
	})
}

func TestQuirks(t *testing.T) {
	dev := func(v, p, r uint16) usb.Info { return usb.Info{Vendor: v, Product: p, Release: r} }
	if !QuirksOf(dev(0x046A, 0x00A1, 0x0100)).Chains || QuirksOf(dev(0x046A, 0x00A1, 0x0101)).Chains {
		t.Error("046A:00A1 chains in release 1.00 only")
	}
	if QuirksOf(dev(0x04E6, 0xE003, 0x0503)).MaxIFSD != 48 || QuirksOf(dev(0x04E6, 0xE003, 0x0510)).MaxIFSD != 0 {
		t.Error("04E6:E003 is limited below release 5.04 only")
	}
	bubble(t, bulkInterface(features(0x00010438)), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		if r.desc.MaxDataRate != 200_000 {
			t.Errorf("rate %d", r.desc.MaxDataRate)
		}
	}, WithDevice(dev(0x058F, 0x9540, 0)))
	bubble(t, bulkInterface(features(0x00010438)), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, atrT1)
		if err := s.setUpT1(t.Context(), s.ATR(), 32); err != nil || s.t1.IFSD() != 48 {
			t.Errorf("IFSD %d, %v", s.t1.IFSD(), err)
		}
		s.set(CardPresent)
	}, WithDevice(dev(0x04E6, 0xE003, 0x0500)))
	level := usb.ExtendedAPDU
	bubble(t, bulkInterface(features(0x00010000)), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		if s := r.slots[0]; s.Level() != usb.ExtendedAPDU || !s.chains || s.rates()[0] != 10753 {
			t.Errorf("level %v, rates %v", s.Level(), s.rates())
		}
	}, WithQuirks(Quirks{SlotOverride: map[int]SlotQuirks{0: {Level: &level, Rates: []uint32{10753}}}}))
	bubble(t, bulkInterface(kaztokenClass()), "> 6F 36 00 00 00 00 01 00 00 00 "+data(54)+"\n>\n< 80 02 00 00 00 00 01 00 00 00 90 00\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, atrT1)
		apdu := data(54)
		if _, err := transmit(t, s, apdu); err != nil {
			t.Error(err)
		}
	}, WithQuirks(Quirks{SendZLP: true}))
}

func TestUSBICCIsAskedOnlyWhatItKnows(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		for name, err := range map[string]error{
			"ResetParameters": func() error { _, err := s.ResetParameters(t.Context()); return err }(),
			"SetDataRate":     func() error { _, _, err := s.SetDataRate(t.Context(), 1, 1); return err }(),
			"StopClock":       func() error { _, err := s.StopClock(t.Context(), true); return err }(),
			"T0APDU":          s.SetT0Classes(t.Context(), T0Classes{}),
			"Mechanical":      s.Mechanical(t.Context(), EjectCard),
			"VerifyPIN":       func() error { _, err := s.VerifyPIN(t.Context(), nil, make([]byte, 23)); return err }(),
			"Escape":          func() error { _, err := s.Escape(t.Context(), nil, []byte{1}); return err }(),
		} {
			if !errors.Is(err, ErrNotSupported) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

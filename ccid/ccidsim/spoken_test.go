package ccidsim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
)

// seq writes n bytes counting up from first.
func seq(first, n int) string {
	var sb strings.Builder
	for i := range n {
		fmt.Fprintf(&sb, "%02X ", byte(first+i))
	}
	return sb.String()
}

func kaztoken() *ccidsim.Device { return ccidsim.New(ccidsim.KAZTOKEN, emu.New()) }

func TestShortAPDU(t *testing.T) {
	d := kaztoken()
	talk(t, d.Pipe(), `
		> 65 00 00 00 00 00 00 00 00 00  ; GetSlotStatus
		< 81 00 00 00 00 00 00 01 00 01  ; present, not powered
		> 62 00 00 00 00 00 01 01 00 00  ; IccPowerOn 5 V
		< 80 0C 00 00 00 00 01 00 00 00 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82
		> 65 00 00 00 00 00 02 00 00 00
		< 81 00 00 00 00 00 02 00 00 00
		> 6F 07 00 00 00 00 05 00 00 00 00 A4 00 0C 02 3F 00
		< 80 02 00 00 00 00 05 00 00 00 90 00
		> 6F 05 00 00 00 00 06 00 00 00 00 CA 01 81 00
		< 80 0A 00 00 00 00 06 00 00 00 00 00 00 00 32 D1 8A 58 90 00
		> 6C 00 00 00 00 00 07 00 00 00  ; GetParameters
		< 82 07 00 00 00 00 07 00 00 01 11 10 00 4D 00 20 00
		> 63 00 00 00 00 00 08 00 00 00
		< 81 00 00 00 00 00 08 01 00 01
	`)
	noViolations(t, d)
	if got := d.Executed(0); got != 2 {
		t.Errorf("%d APDUs executed, want 2", got)
	}
}

// Answers whose messages are whole packets: payloads of 54, 118, 182, 246.
func TestWholePackets(t *testing.T) {
	for _, zlp := range []bool{false, true} {
		p := ccidsim.KAZTOKEN
		p.ZLP = zlp
		d := ccidsim.New(p, emu.New())
		pipe := d.Pipe()
		talk(t, pipe, `
			> 62 00 00 00 00 00 00 01 00 00
			< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR)
		for i, n := range []int{54, 118, 182, 246} {
			talk(t, pipe, fmt.Sprintf(`> 6F 05 00 00 00 00 %02X 00 00 00 80 EC 00 01 %02X`, i+1, n-2))
			buf := make([]byte, n+10)
			if got, err := pipe.ReadBulk(t.Context(), buf); got != len(buf) || err != nil {
				t.Fatalf("got %d bytes, %v, want %d", got, err, len(buf))
			}
			if err := same(buf, unhex(t, fmt.Sprintf("80 %02X 00 00 00 00 %02X 00 00 00", n, i+1)+seq(0, n-2)+"90 00")); err != nil {
				t.Error(err)
			}
			if zlp {
				if got, err := pipe.ReadBulk(t.Context(), make([]byte, 64)); got != 0 || err != nil {
					t.Errorf("got %d bytes, %v, want the zero-length packet", got, err)
				}
			}
		}
		noViolations(t, d)
	}
}

func TestVoltageWalk(t *testing.T) {
	p := ccidsim.TPDUT1CRC
	p.CardVoltages = 0x02
	d := ccidsim.New(p, newScripted(t, "3B 00"))
	talk(t, d.Pipe(), `
		> 62 00 00 00 00 00 01 00 00 00  ; automatic: not with this reader
		< 80 00 00 00 00 00 01 41 07 00
		> 62 00 00 00 00 00 02 01 00 00  ; 5 V
		< 80 00 00 00 00 00 02 41 FE 00  ; mute
		> 63 00 00 00 00 00 03 00 00 00
		< 81 00 00 00 00 00 03 01 00 01
		> 62 00 00 00 00 00 04 02 00 00  ; 3 V
		< 80 02 00 00 00 00 04 00 00 00 3B 00
	`)
	noViolations(t, d)
}

func TestParametersAndPPS(t *testing.T) {
	d := ccidsim.New(ccidsim.TPDUT1CRC, emu.New(emu.WithATR(ccidsim.TPDUT1CRC.ATR)))
	talk(t, d.Pipe(), `
		c A1 02 00 00 00 00 04 00 < A0 0F 00 00
		c A1 03 00 00 00 00 18 00 < 00 2A 00 00 09 3D 00 00 12 7A 00 00 24 F4 00 00 48 E8 01 00 90 D0 03 00
		> 62 00 00 00 00 00 00 01 00 00
		< 80 11 00 00 00 00 00 00 00 00 3B 98 95 81 71 FE 45 01 4B 41 5A 54 4F 4B 45 4E 4C
		> 6C 00 00 00 00 00 01 00 00 00
		< 82 05 00 00 00 00 01 00 00 00 11 00 00 0A 00
		> 6F 04 00 00 00 00 09 00 00 00 FF 11 95 7B
		< 80 04 00 00 00 00 09 00 00 00 FF 11 95 7B
		> 61 07 00 00 00 00 0A 01 00 00 95 11 00 45 00 FE 00
		< 82 07 00 00 00 00 0A 00 00 01 95 11 00 45 00 FE 00
		> 73 08 00 00 00 00 0D 00 00 00 A0 0F 00 00 48 E8 01 00
		< 84 08 00 00 00 00 0D 00 00 00 A0 0F 00 00 48 E8 01 00
		> 6F 06 00 00 00 00 0E 00 00 00 00 C1 01 FE 54 4E
		< 80 06 00 00 00 00 0E 00 00 00 00 E1 01 FE 57 75
	`)
	noViolations(t, d)
}

func TestRefusedParameters(t *testing.T) {
	tests := []struct {
		name, send, want, about string
	}{
		{"Fi/Di too fast", "61 07 00 00 00 00 01 01 00 00 97 11 00 45 00 FE 00", "82 00 00 00 00 00 01 40 0A 01", ""},
		{"LRC for a CRC card", "61 07 00 00 00 00 01 01 00 00 95 10 00 45 00 FE 00", "82 00 00 00 00 00 01 40 0B 01", "byte 0B"},
		{"guard time", "61 07 00 00 00 00 01 01 00 00 95 11 01 45 00 FE 00", "82 00 00 00 00 00 01 40 0C 01", "byte 0C"},
		{"waiting integers", "61 07 00 00 00 00 01 01 00 00 95 11 00 4D 00 FE 00", "82 00 00 00 00 00 01 40 0D 01", "byte 0D"},
		{"clock stop", "61 07 00 00 00 00 01 01 00 00 95 11 00 45 07 FE 00", "82 00 00 00 00 00 01 40 0E 01", "byte 0E"},
		{"IFSC", "61 07 00 00 00 00 01 01 00 00 95 11 00 45 00 20 00", "82 00 00 00 00 00 01 40 0F 01", "byte 0F"},
		{"NAD", "61 07 00 00 00 00 01 01 00 00 95 11 00 45 00 FE 12", "82 00 00 00 00 00 01 40 10 01", "byte 10"},
		{"T=0 for a T=1 card", "61 05 00 00 00 00 01 00 00 00 11 00 00 0A 00", "82 00 00 00 00 00 01 40 07 00", "T=0"},
		{"2-wire", "61 07 00 00 00 00 01 80 00 00 95 11 00 45 00 FE 00", "82 00 00 00 00 00 01 40 07 80", ""},
		{"length", "61 05 00 00 00 00 01 01 00 00 95 11 00 45 00", "82 00 00 00 00 00 01 40 01 00", "length"},
		{"rate", "73 08 00 00 00 00 01 00 00 00 A0 0F 00 00 00 00 01 00", "84 00 00 00 00 00 01 40 0E 00", "rate"},
		{"clock", "73 08 00 00 00 00 01 00 00 00 A1 0F 00 00 48 E8 01 00", "84 00 00 00 00 00 01 40 0A 00", "clock"},
		{"reserved byte", "65 00 00 00 00 00 01 00 01 00", "81 00 00 00 00 00 01 40 08 00", "reserved"},
		{"dwLength", "65 01 00 00 00 00 01 00 00 00", "81 00 00 00 00 00 01 40 01 00", "dwLength"},
		{"data where none belong", "65 01 00 00 00 00 01 00 00 00 00", "81 00 00 00 00 00 01 40 01 00", "data"},
		{"slot", "65 00 00 00 00 01 01 00 00 00", "81 00 00 00 00 01 01 42 05 00", "slot"},
		{"unknown", "7F 00 00 00 00 00 01 00 00 00", "81 00 00 00 00 00 01 40 00 00", "7F"},
		{"escape", "6B 00 00 00 00 00 01 00 00 00", "83 00 00 00 00 00 01 40 00 00", ""},
		{"mechanical", "71 00 00 00 00 00 01 01 00 00", "81 00 00 00 00 00 01 40 00 00", ""},
		{"block before SetParameters", "6F 05 00 00 00 00 01 00 00 00 00 C1 01 FE 3E", "80 00 00 00 00 00 01 40 F6 00", "T=0"},
		{"level parameter", "6F 05 00 00 00 00 01 00 01 00 00 C1 01 FE 3E", "80 00 00 00 00 00 01 40 08 00", "wLevelParameter"},
		{"power select", "62 00 00 00 00 00 01 03 00 00", "80 00 00 00 00 00 01 40 07 00", "power select"},
		{"same bSeq", "65 00 00 00 00 00 00 00 00 00", "81 00 00 00 00 00 00 00 00 00", "twice"},
		{"abort without the request", "72 00 00 00 00 00 01 00 00 00", "81 00 00 00 00 00 01 00 00 00", "Abort"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := ccidsim.New(ccidsim.TPDUT1CRC, emu.New(emu.WithATR(ccidsim.TPDUT1CRC.ATR)))
			talk(t, d.Pipe(), `
				> 62 00 00 00 00 00 00 01 00 00
				< 80 11 00 00 00 00 00 00 00 00 3B 98 95 81 71 FE 45 01 4B 41 5A 54 4F 4B 45 4E 4C
				> `+tt.send+`
				< `+tt.want)
			if tt.about == "" {
				noViolations(t, d)
			} else {
				wantViolation(t, d, tt.about)
			}
		})
	}
}

func TestSpeedMismatch(t *testing.T) {
	d := ccidsim.New(ccidsim.TPDUT1CRC, emu.New(emu.WithATR(ccidsim.TPDUT1CRC.ATR)))
	talk(t, d.Pipe(), `
		> 62 00 00 00 00 00 00 01 00 00
		< 80 11 00 00 00 00 00 00 00 00 3B 98 95 81 71 FE 45 01 4B 41 5A 54 4F 4B 45 4E 4C
		> 6F 04 00 00 00 00 09 00 00 00 FF 11 95 7B
		< 80 04 00 00 00 00 09 00 00 00 FF 11 95 7B
		> 61 07 00 00 00 00 0A 01 00 00 95 11 00 45 00 FE 00
		< 82 07 00 00 00 00 0A 00 00 01 95 11 00 45 00 FE 00
		> 6F 06 00 00 00 00 0E 00 00 00 00 C1 01 FE 54 4E ; the rate was not set
		< 80 00 00 00 00 00 0E 40 FE 00
	`)
	wantViolation(t, d, "bit/s")
}

const t1Ready = `
	> 62 00 00 00 00 00 00 01 00 00
	< 80 0C 00 00 00 00 00 00 00 00 ` + kaztokenATR + `
	> 61 07 00 00 00 00 0A 01 00 00 11 10 00 4D 00 20 00
	< 82 07 00 00 00 00 0A 00 00 01 11 10 00 4D 00 20 00
`

func TestT1ChainsBothWays(t *testing.T) {
	card := newScripted(t, kaztokenATR,
		"00 D6 00 00 28"+seq(0, 40), "9000",
		"00 B0 00 00 30", seq(0x80, 32)+seq(0xA0, 16)+"9000")
	d := ccidsim.New(ccidsim.TPDUT1LRC, card)
	talk(t, d.Pipe(), t1Ready+`
		> 6F 24 00 00 00 00 10 00 00 00 00 20 20 00 D6 00 00 28 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A E5
		< 80 04 00 00 00 00 10 00 00 00 00 90 00 90
		> 6F 11 00 00 00 00 11 00 00 00 00 40 0D 1B 1C 1D 1E 1F 20 21 22 23 24 25 26 27 56
		< 80 06 00 00 00 00 11 00 00 00 00 00 02 90 00 92
		> 6F 09 00 00 00 00 12 00 00 00 00 00 05 00 B0 00 00 30 85
		< 80 24 00 00 00 00 12 00 00 00 00 60 20 80 81 82 83 84 85 86 87 88 89 8A 8B 8C 8D 8E 8F 90 91 92 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F 40
		> 6F 04 00 00 00 00 13 00 00 00 00 80 00 80
		< 80 16 00 00 00 00 13 00 00 00 00 00 12 A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 AA AB AC AD AE AF 90 00 82
	`)
	noViolations(t, d)
}

func TestT1WTX(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newScripted(t, kaztokenATR, "00 84 00 00 08", "A1 B2 C3 D4 E5 F6 07 18 90 00")
		d := ccidsim.New(ccidsim.TPDUT1LRC, card)
		pipe := d.Pipe()
		talk(t, pipe, t1Ready)
		card.took = 5 * time.Second
		talk(t, pipe, `
			> 6F 09 00 00 00 00 10 00 00 00 00 00 05 00 84 00 00 08 89
			< 80 05 00 00 00 00 10 00 00 00 00 C3 01 05 C7 ; BWT is 1.43 s
			> 6F 05 00 00 00 00 11 05 00 00 00 E3 01 05 E7
		`)
		start := time.Now()
		buf := make([]byte, 64)
		n, err := pipe.ReadBulk(t.Context(), buf)
		if err != nil {
			t.Fatal(err)
		}
		if err := same(buf[:n], unhex(t, "80 0E 00 00 00 00 11 00 00 00 00 00 0A A1 B2 C3 D4 E5 F6 07 18 90 00 92")); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("answer after %v, want 5s", took)
		}
		noViolations(t, d)
	})
}

// The card's reactions to a host in trouble, one script each.
func TestT1Recovery(t *testing.T) {
	// Wrapped makes the XfrBlock of a block.
	wrap := func(seq int, block string) string {
		n := len(strings.Fields(block))
		return fmt.Sprintf("> 6F %02X 00 00 00 00 %02X 00 00 00 %s\n", n, seq, block)
	}
	expect := func(seq int, block string) string {
		if code, ok := strings.CutPrefix(block, "error "); ok {
			return fmt.Sprintf("< 80 00 00 00 00 00 %02X 40 %s 00\n", seq, code)
		}
		n := len(strings.Fields(block))
		return fmt.Sprintf("< 80 %02X 00 00 00 00 %02X 00 00 00 %s\n", n, seq, block)
	}
	const (
		apdu = "00 00 05 00 84 00 00 02 83"
		next = "00 40 05 00 84 00 00 02 C3"
		good = "00 00 04 A1 B2 90 00 87"
		more = "00 40 04 A1 B2 90 00 C7"
	)
	tests := []struct {
		name     string
		fault    []ccidsim.Fault
		blocks   []string // host, card, host, card …
		executed int
	}{
		{"bad LRC from the card", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.BadEDC}},
			[]string{apdu, "00 00 04 A1 B2 90 00 86", "00 81 00 81", good}, 1},
		{"bad LRC from the host", []ccidsim.Fault{{Where: ccidsim.BlockOut, At: 1, Kind: ccidsim.BadEDC}},
			[]string{apdu, "00 81 00 81", apdu, good}, 1},
		{"block to the card lost", []ccidsim.Fault{{Where: ccidsim.BlockOut, At: 1, Kind: ccidsim.Lost}},
			[]string{apdu, "error FE", "00 82 00 82", "00 82 00 82", apdu, good}, 1},
		{"second block to the card lost", []ccidsim.Fault{{Where: ccidsim.BlockOut, At: 2, Kind: ccidsim.Lost}},
			[]string{apdu, good, next, "error FE", "00 92 00 92", "00 92 00 92", next, more}, 2},
		{"block from the card lost", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.Lost}},
			[]string{apdu, "error FE", "00 82 00 82", good}, 1},
		{"wrong number", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.WrongNumber}},
			[]string{apdu, more, "00 82 00 82", good}, 1},
		{"R-block instead", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.RBlock}},
			[]string{apdu, "00 92 00 92", "00 82 00 82", good}, 1},
		{"R-block for the next", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.RNext}},
			[]string{apdu, "00 82 00 82", apdu, good}, 1},
		{"RESYNCH by the host", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.Garbage}},
			[]string{apdu, "5A A5 00 FF 13", "00 C0 00 C0", "00 E0 00 E0", apdu, good}, 2},
		{"RESYNCH by the card", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.ResynchRequest}},
			[]string{apdu, "00 C0 00 C0", "00 82 00 82", good}, 1},
		{"WTX twice", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.WTX, Times: 2, Value: 0}},
			[]string{apdu, "00 C3 01 01 C3", "wtx 00 E3 01 01 E3", "00 C3 01 01 C3", "wtx 00 E3 01 01 E3", good}, 1},
		{"IFS of the card", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.IFSRequest, Value: 254}},
			[]string{apdu, "00 C1 01 FE 3E", "00 E1 01 FE 1E", good}, 1},
		{"IFS 0", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.IFSRequest, Value: 0}},
			[]string{apdu, "00 C1 01 00 C0", "00 82 00 82", "00 C1 01 00 C0", "00 E1 01 00 E0", good}, 1},
		{"abort where nothing is chained", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.AbortRequest}},
			[]string{apdu, "00 C2 00 C2", "00 E2 00 E2", good}, 1},
		{"abort of the host's chain", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.AbortRequest}},
			[]string{"00 20 05 00 84 00 00 02 A3", "00 C2 00 C2", "00 E2 00 E2", "00 90 00 90", next, good}, 1},
		{"IFSD refused", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.Refuse, Times: 2}},
			[]string{"00 C1 01 FE 3E", "00 82 00 82", "00 C1 01 FE 3E", "00 82 00 82", "00 C1 01 FE 3E", "00 E1 01 FE 1E"}, 0},
		{"IFSD wrong echo", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.WrongEcho}},
			[]string{"00 C1 01 FE 3E", "00 E1 01 FF 1F", "00 C1 01 FE 3E", "00 E1 01 FE 1E"}, 0},
		{"parity", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.Parity}},
			[]string{apdu, "error FD", "00 81 00 81", good}, 1},
		{"overrun", []ccidsim.Fault{{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.Overrun}},
			[]string{apdu, "error FC", "00 82 00 82", good}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			script := t1Ready
			for i := 0; i < len(tt.blocks); i += 2 {
				host := tt.blocks[i]
				if b, ok := strings.CutPrefix(host, "wtx "); ok {
					script += fmt.Sprintf("> 6F 05 00 00 00 00 %02X 01 00 00 %s\n", 0x10+i, b)
				} else {
					script += wrap(0x10+i, host)
				}
				script += expect(0x10+i, tt.blocks[i+1])
			}
			synctest.Test(t, func(t *testing.T) {
				d := ccidsim.New(ccidsim.TPDUT1LRC, newScripted(t, kaztokenATR, "00 84 00 00 02", "A1B29000"))
				d.Inject(tt.fault...)
				talk(t, d.Pipe(), script)
				noViolations(t, d)
				if got := d.Executed(0); got != tt.executed {
					t.Errorf("executed %d times, want %d", got, tt.executed)
				}
			})
		})
	}
}

func TestT1Violations(t *testing.T) {
	tests := []struct{ name, block, want, about string }{
		{"bad LRC", "00 00 05 00 84 00 00 02 82", "00 81 00 81", "error detection code"},
		{"wrong number", "00 40 05 00 84 00 00 02 C3", "00 82 00 82", "number 0"},
		{"INF longer than IFSC", "00 00 21 " + seq(0, 33) + "01", "00 82 00 82", "IFSC"},
		{"S(WTX request)", "00 C3 01 01 C3", "00 82 00 82", "card's to send"},
		{"response to nothing", "00 E1 01 20 C0", "00 82 00 82", "not asked for"},
		{"RESYNCH without cause", "00 C0 00 C0", "00 E0 00 E0", "RESYNCH"},
		{"NAD with reserved bits is not the card's affair here", "00 00 05 00 84 00 00 02 83", "00 00 04 A1 B2 90 00 87", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := ccidsim.New(ccidsim.TPDUT1LRC, newScripted(t, kaztokenATR, "00 84 00 00 02", "A1B29000"))
			talk(t, d.Pipe(), t1Ready+
				fmt.Sprintf("> 6F %02X 00 00 00 00 10 00 00 00 %s\n", len(strings.Fields(tt.block)), tt.block)+
				fmt.Sprintf("< 80 %02X 00 00 00 00 10 00 00 00 %s\n", len(strings.Fields(tt.want)), tt.want))
			if tt.about == "" {
				noViolations(t, d)
			} else {
				wantViolation(t, d, tt.about)
			}
		})
	}
}

const t0ATR = "3B 00"

const t0Ready = `
	> 62 00 00 00 00 00 00 01 00 00
	< 80 02 00 00 00 00 00 00 00 00 3B 00
	> 61 05 00 00 00 00 0B 00 00 00 11 00 00 0A 00
	< 82 05 00 00 00 00 0B 00 00 00 11 00 00 0A 00
`

func TestT0(t *testing.T) {
	card := newScripted(t, t0ATR,
		"00 A4 04 00 08 31 32 33 34 35 36 37 38", "61 0A",
		"00 C0 00 00 0A", "6F 08 84 06 A0 00 00 00 03 00 90 00",
		"00 B0 00 00 00", "DE AD BE EF 90 00")
	d := ccidsim.New(ccidsim.TPDUT0, card)
	talk(t, d.Pipe(), t0Ready+`
		> 6F 0D 00 00 00 00 40 00 00 00 00 A4 04 00 08 31 32 33 34 35 36 37 38
		< 80 02 00 00 00 00 40 00 00 00 61 0A
		> 6F 05 00 00 00 00 41 00 00 00 00 C0 00 00 0A
		< 80 0C 00 00 00 00 41 00 00 00 6F 08 84 06 A0 00 00 00 03 00 90 00
		> 6F 05 00 00 00 00 42 00 00 00 00 B0 00 00 00
		< 80 02 00 00 00 00 42 00 00 00 6C 04
		> 6F 05 00 00 00 00 43 00 00 00 00 B0 00 00 04
		< 80 06 00 00 00 00 43 00 00 00 DE AD BE EF 90 00
	`)
	noViolations(t, d)
	if got := d.Executed(0); got != 3 {
		t.Errorf("%d APDUs executed, want 3: the 6Cxx is answered before", got)
	}
}

func TestT0Envelope(t *testing.T) {
	apdu := "00 DB 00 00 00 01 00 " + seq(0, 256) + "00 05"
	card := newScripted(t, t0ATR, apdu, "01 02 03 04 05 90 00")
	d := ccidsim.New(ccidsim.TPDUT0, card)
	b := strings.Fields(apdu)
	talk(t, d.Pipe(), t0Ready+`
		> 6F 04 01 00 00 00 40 00 00 00 00 C2 00 00 FF `+strings.Join(b[:255], " ")+`
		< 80 02 00 00 00 00 40 00 00 00 90 00
		> 6F 0F 00 00 00 00 41 00 00 00 00 C2 00 00 0A `+strings.Join(b[255:], " ")+`
		< 80 02 00 00 00 00 41 00 00 00 61 05
		> 6F 05 00 00 00 00 42 00 00 00 00 C0 00 00 03
		< 80 05 00 00 00 00 42 00 00 00 01 02 03 61 02
		> 6F 05 00 00 00 00 43 00 00 00 00 C0 00 00 03
		< 80 02 00 00 00 00 43 00 00 00 6C 02
		> 6F 05 00 00 00 00 44 00 00 00 00 C0 00 00 02
		< 80 04 00 00 00 00 44 00 00 00 04 05 90 00
	`)
	noViolations(t, d)
}

func TestT0PPSByTheReader(t *testing.T) {
	d := ccidsim.New(ccidsim.TPDUT0, emu.New(emu.WithATR(ccidsim.TPDUT0.ATR)))
	talk(t, d.Pipe(), `
		> 62 00 00 00 00 00 00 02 00 00
		< 80 0B 00 00 00 00 00 00 00 00 3B 18 95 4B 41 5A 54 4F 4B 45 4E
		> 61 05 00 00 00 00 0B 00 00 00 95 00 00 0A 00
		< 82 05 00 00 00 00 0B 00 00 00 95 00 00 0A 00
		> 6F 05 00 00 00 00 41 00 00 00 00 CA 01 81 08
		< 80 0A 00 00 00 00 41 00 00 00 00 00 00 00 32 D1 8A 58 90 00
		> 6F 04 00 00 00 00 42 00 00 00 FF 10 95 7A ; the reader does that
		< 80 00 00 00 00 00 42 40 F6 00
	`)
	wantViolation(t, d, "PPS")
}

func TestCharacterT0(t *testing.T) {
	synctest.Test(t, spokenCharacterT0)
}

func spokenCharacterT0(t *testing.T) {
	card := newScripted(t, t0ATR, "00 B0 00 00 04", "AA BB CC DD 90 00", "00 D6 00 00 02 01 02", "90 00")
	d := ccidsim.New(ccidsim.Character, card)
	d.Inject(
		ccidsim.Fault{Where: ccidsim.BlockIn, At: 1, Kind: ccidsim.WTX},
		ccidsim.Fault{Where: ccidsim.BlockIn, At: 4, Kind: ccidsim.OneByOne},
	)
	talk(t, d.Pipe(), t0Ready+`
		> 6F 05 00 00 00 00 60 00 01 00 00 B0 00 00 04  ; header, expect 1
		< 80 01 00 00 00 00 60 00 00 00 60              ; NULL
		> 6F 00 00 00 00 00 61 00 01 00
		< 80 01 00 00 00 00 61 00 00 00 B0
		> 6F 00 00 00 00 00 62 00 06 00
		< 80 06 00 00 00 00 62 00 00 00 AA BB CC DD 90 00
		> 6F 05 00 00 00 00 63 00 01 00 00 D6 00 00 02
		< 80 01 00 00 00 00 63 00 00 00 D6
		> 6F 02 00 00 00 00 64 00 01 00 01 02
		< 80 01 00 00 00 00 64 00 00 00 90
		> 6F 00 00 00 00 00 65 00 01 00
		< 80 01 00 00 00 00 65 00 00 00 00
		> 6F 05 00 00 00 00 66 00 01 00 00 D6 00 00 02  ; one by one
		< 80 01 00 00 00 00 66 00 00 00 29
		> 6F 01 00 00 00 00 67 00 01 00 01
		< 80 01 00 00 00 00 67 00 00 00 29
		> 6F 01 00 00 00 00 68 00 02 00 02
		< 80 02 00 00 00 00 68 00 00 00 90 00
	`)
	noViolations(t, d)
	if got := d.Executed(0); got != 3 {
		t.Errorf("%d APDUs executed, want 3", got)
	}
}

func TestCharacterT1(t *testing.T) {
	d := ccidsim.New(ccidsim.Character, newScripted(t, kaztokenATR))
	talk(t, d.Pipe(), t1Ready+`
		> 6F 05 00 00 00 00 63 00 03 00 00 C1 01 FE 3E
		< 80 03 00 00 00 00 63 00 00 00 00 E1 01
		> 6F 00 00 00 00 00 64 00 02 00
		< 80 02 00 00 00 00 64 00 00 00 FE 1E
	`)
	noViolations(t, d)
}

func TestExtendedChaining(t *testing.T) {
	synctest.Test(t, spokenChaining)
}

func spokenChaining(t *testing.T) {
	card := newScripted(t, kaztokenATR,
		"00 DA 01 01 64"+seq(0, 100), "9000",
		"00 CA 01 01 78", seq(0, 120)+"9000")
	d := ccidsim.New(ccidsim.ExtendedChaining, card)
	talk(t, d.Pipe(), `
		c A1 02 00 00 00 00 04 00 !
		> 62 00 00 00 00 00 00 01 00 00
		< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR+`
		> 6F 36 00 00 00 00 20 00 01 00 00 DA 01 01 64 `+seq(0, 49)+`
		< 80 00 00 00 00 00 20 00 00 10
		> 6F 33 00 00 00 00 21 00 02 00 `+seq(49, 51)+`
		< 80 02 00 00 00 00 21 00 00 00 90 00
		> 6F 05 00 00 00 00 22 00 00 00 00 CA 01 01 78
		< 80 36 00 00 00 00 22 00 00 01 `+seq(0, 54)+`
		> 6F 00 00 00 00 00 23 00 10 00
		< 80 36 00 00 00 00 23 00 00 03 `+seq(54, 54)+`
		> 6F 00 00 00 00 00 24 00 10 00
		< 80 0E 00 00 00 00 24 00 00 02 `+seq(108, 12)+`90 00
	`)
	noViolations(t, d)
}

// A long command arrives in several transfers, each of whole packets.
func TestMessageInSeveralTransfers(t *testing.T) {
	d := ccidsim.New(ccidsim.ExtendedAPDU, emu.New())
	talk(t, d.Pipe(), `
		> 62 00 00 00 00 00 00 00 00 00
		< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR+`
		> 6F 80 00 00 00 00 01 00 00 00 80 EC 00 00 7A `+seq(0, 49)+`
		> `+seq(49, 64)+`
		> `+seq(113, 9)+` 02
		< 80 04 00 00 00 00 01 00 00 00 00 01 90 00
	`)
	noViolations(t, d)
}

func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newScripted(t, kaztokenATR, "00 84 00 00 02", "A1B29000")
		d := ccidsim.New(ccidsim.ExtendedAPDU, card)
		pipe := d.Pipe()
		talk(t, pipe, `
			> 62 00 00 00 00 00 00 00 00 00
			< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR)
		card.took = 2500 * time.Millisecond
		talk(t, pipe, `
			> 6F 05 00 00 00 00 06 00 00 00 00 84 00 00 02
			< 80 00 00 00 00 00 06 80 01 00 ; after a second
			c 21 01 00 08 00 00 00 00       ; ABORT slot 0, seq 08
			< 80 00 00 00 00 00 06 40 FF 00
			> 65 00 00 00 00 00 07 00 00 00
			< 81 00 00 00 00 00 07 40 FF 00
			> 72 00 00 00 00 00 08 00 00 00
			< 81 00 00 00 00 00 08 00 00 00
			> 6F 05 00 00 00 00 09 00 00 00 00 84 00 00 02
			< 80 00 00 00 00 00 09 80 01 00
			< 80 00 00 00 00 00 09 80 01 00
			< 80 04 00 00 00 00 09 00 00 00 A1 B2 90 00
		`)
		noViolations(t, d)
		d.Unplug()
	})
}

func TestTokenKnowsNoAbort(t *testing.T) {
	d := kaztoken()
	talk(t, d.Pipe(), `
		c 21 01 00 00 00 00 00 00 !
		> 72 00 00 00 00 00 00 00 00 00
		< 81 00 00 00 00 00 00 41 00 00
	`)
	noViolations(t, d)
}

func TestTwoSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := newScripted(t, kaztokenATR, "00 84 00 00 02", "A1B29000")
		d := ccidsim.New(ccidsim.TwoSlots, slow, emu.New())
		pipe := d.Pipe()
		talk(t, pipe, `
			i 50 0F ; both present, both changed
			> 62 00 00 00 00 00 00 00 00 00
			< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR+`
			> 62 00 00 00 00 01 01 00 00 00
			< 80 0C 00 00 00 01 01 00 00 00 `+kaztokenATR)
		slow.took = 900 * time.Millisecond
		talk(t, pipe, `
			> 6F 05 00 00 00 00 02 00 00 00 00 84 00 00 02
			> 6F 05 00 00 00 01 03 00 00 00 00 CA 01 81 00
			< 80 0A 00 00 00 01 03 00 00 00 00 00 00 00 32 D1 8A 58 90 00
			< 80 04 00 00 00 00 02 00 00 00 A1 B2 90 00
		`)
		noViolations(t, d)
		d.RemoveCard(1)
		talk(t, pipe, `
			i 50 09 ; slot 0 present, slot 1 changed and absent
			> 6F 05 00 00 00 01 04 00 00 00 00 CA 01 81 00
			< 80 00 00 00 00 01 04 42 FE 00
			> 65 00 00 00 00 01 05 00 00 00
			< 81 00 00 00 00 01 05 02 00 01
		`)
		d.InsertCard(1, emu.New())
		talk(t, pipe, `
			i 50 0D
			> 65 00 00 00 00 01 06 00 00 00
			< 81 00 00 00 00 01 06 01 00 01
		`)
		d.HardwareError(0, 1)
		talk(t, pipe, `i 51 00 02 01`)
		noViolations(t, d)
	})
}

func TestBusySlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ccidsim.ExtendedAPDU
		p.Latency = 100 * time.Millisecond
		d := ccidsim.New(p, emu.New())
		pipe := d.Pipe()
		talk(t, pipe, `
			> 62 00 00 00 00 00 00 00 00 00
			> 63 00 00 00 00 00 01 00 00 00
			< 81 00 00 00 00 00 01 40 E0 00
			< 80 0C 00 00 00 00 00 00 00 00 `+kaztokenATR)
		wantViolation(t, d, "busy")
	})
}

func TestICCDB(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		card := newScripted(t, kaztokenATR, "00 A4 00 0C 02 3F 00", "9000", "00 CA 01 01 05", "01 02 03 04 05 90 00")
		d := ccidsim.New(ccidsim.ICCDB, card)
		pipe := d.Pipe()
		talk(t, pipe, `
			c 21 63 00 00 00 00 00 00
			c A1 81 00 00 00 00 03 00 < 40 01 00
			c 21 62 01 00 00 00 00 00
			c A1 6F 00 00 00 00 22 00 < 00 `+kaztokenATR+`
			c A1 81 00 00 00 00 03 00 < 40 00 00`)
		card.took = 50 * time.Millisecond
		talk(t, pipe, `
			c 21 65 00 00 00 00 07 00 / 00 A4 00 0C 02 3F 00
			c A1 6F 00 00 00 00 03 01 < 80 05 00 ; ask again in 5x10 ms`)
		time.Sleep(50 * time.Millisecond)
		card.took = 0
		talk(t, pipe, `
			c A1 6F 00 00 00 00 03 01 < 00 90 00
			c 21 65 00 01 00 00 02 00 / 00 CA            ; first part
			c A1 6F 00 00 00 00 03 01 < 10               ; go on
			c 21 65 00 02 00 00 03 00 / 01 01 05         ; last part
			c A1 6F 00 00 00 00 05 00 < 01 01 02 03 04   ; first part of the answer
			c 21 65 00 10 00 00 00 00                    ; continue
			c A1 6F 00 00 00 00 05 00 < 02 05 90 00
			c A1 6F 00 00 00 00 05 00 !                  ; nothing to read`)
		wantViolation(t, d, "nothing to read")
		card.wrong = fmt.Errorf("dead")
		talk(t, pipe, `
			c 21 65 00 00 00 00 04 00 / 00 CA 01 01
			c A1 6F 00 00 00 00 03 01 < 40 40 FE`)
	})
}

func TestICCDA(t *testing.T) {
	d := ccidsim.New(ccidsim.ICCDA, emu.New(emu.WithATR(ccidsim.ICCDA.ATR)))
	talk(t, d.Pipe(), `
		c 21 63 00 00 00 00 00 00
		c A1 A0 00 00 00 00 01 00 < 00
		c A1 62 00 00 00 00 21 00 < 3B 08 4B 41 5A 54 4F 4B 45 4E
		c 21 65 00 00 00 00 05 00 / 00 CA 01 81 08  ; data from the card
		c A1 A0 00 00 00 00 01 00 < 10
		c A1 6F 00 00 00 00 05 00 < 00 00 00 00 32
		c A1 6F 00 00 00 00 03 00 < D1 8A 58
		c A1 A0 00 00 00 00 01 00 < 20
		c A1 6F 00 00 00 00 02 00 < 90 00
		c A1 A0 00 00 00 00 01 00 < 00
		c 21 65 00 00 00 00 05 00 / 00 A4 00 0C 02  ; data to the card
		c A1 A0 00 00 00 00 01 00 < 10
		c 21 65 00 00 00 00 02 00 / 3F 00
		c A1 A0 00 00 00 00 01 00 < 20
		c A1 6F 00 00 00 00 02 00 < 90 00
		c 21 65 00 00 00 00 05 00 / 80 EE 00 00 00  ; neither
		c A1 A0 00 00 00 00 01 00 < 20
		c A1 6F 00 00 00 00 02 00 < 90 00
		c 21 65 00 00 00 00 05 00 / 00 CA 01 81 00  ; wrong Le
		c A1 A0 00 00 00 00 01 00 < 20
		c A1 6F 00 00 00 00 02 00 < 6C 08
	`)
	noViolations(t, d)
}

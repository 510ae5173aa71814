package t1

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// hx reads typed hex; spaces are for the reader.
func hx(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// xor completes a typed block with its LRC, counted here and not by the code
// under test.
func xor(s string) []byte {
	b := hx(s)
	var sum byte
	for _, c := range b {
		sum ^= c
	}
	return append(b, sum)
}

func TestEDCCheckValues(t *testing.T) {
	digits := []byte("123456789")
	for _, tt := range []struct {
		edc  EDC
		in   []byte
		want string
	}{
		{LRC, hx("00 C1 01 FE"), "3E"},
		{CRC, digits, "6F91"},
		{CRC, hx("00 C1 01 FE"), "544E"},
		{CRCInverted, digits, "906E"},
		{CRCInverted, hx("00 C1 01 FE"), "ABB1"},
	} {
		got := tt.edc.appendTo(bytes.Clone(tt.in), 0)[len(tt.in):]
		if !bytes.Equal(got, hx(tt.want)) || len(got) != tt.edc.Len() {
			t.Errorf("%v of % X: got %X want %s", tt.edc, tt.in, got, tt.want)
		}
	}
}

func TestParseBlock(t *testing.T) {
	for _, tt := range []struct {
		name string
		edc  EDC
		in   []byte
		want string // Block.String
		err  error
	}{
		{"I", LRC, hx("00 00 02 90 00 92"), "I(0,0) 2 bytes", nil},
		{"I with M", LRC, xor("00 60 03 01 02 03"), "I(1,1) 3 bytes", nil},
		{"I of no bytes", LRC, hx("00 40 00 40"), "I(1,0) 0 bytes", nil},
		{"I with low bits of PCB", LRC, xor("00 5F 01 AA"), "I(1,0) 1 bytes", nil},
		{"I of 254 bytes", LRC, xor("00 00 FE" + strings.Repeat("5A", 254)), "I(0,0) 254 bytes", nil},
		{"R", LRC, hx("00 90 00 90"), "R(1)", nil},
		{"R EDC", LRC, hx("00 81 00 81"), "R(0) EDC error", nil},
		{"R other", LRC, hx("00 92 00 92"), "R(1) other error", nil},
		{"RESYNCH request", LRC, hx("00 C0 00 C0"), "S(RESYNCH request)", nil},
		{"RESYNCH response", LRC, hx("00 E0 00 E0"), "S(RESYNCH response)", nil},
		{"IFS request", LRC, hx("00 C1 01 FE 3E"), "S(IFS request 254)", nil},
		{"IFS response", LRC, hx("00 E1 01 FE 1E"), "S(IFS response 254)", nil},
		{"ABORT request", LRC, hx("00 C2 00 C2"), "S(ABORT request)", nil},
		{"ABORT response", LRC, hx("00 E2 00 E2"), "S(ABORT response)", nil},
		{"WTX request", LRC, hx("00 C3 01 05 C7"), "S(WTX request 5)", nil},
		{"WTX response", LRC, hx("00 E3 01 05 E7"), "S(WTX response 5)", nil},
		{"with node addresses", LRC, hx("10 C1 01 FE 2E"), "S(IFS request 254)", nil},
		{"CRC", CRC, hx("00 C1 01 FE 54 4E"), "S(IFS request 254)", nil},
		{"CRC inverted", CRCInverted, hx("00 C1 01 FE AB B1"), "S(IFS request 254)", nil},
		{"padded", LRC, hx("00 90 00 90 00 00"), "R(1)", nil},

		{"nothing", LRC, nil, "", ErrBlock},
		{"prologue only", LRC, hx("00 90 00"), "", ErrBlock},
		{"prologue and half a CRC", CRC, hx("00 90 00 90"), "", ErrBlock},
		{"LEN FF", LRC, xor("00 00 FF" + strings.Repeat("00", 255)), "", ErrBlock},
		{"shorter than LEN", LRC, hx("00 00 03 90 00 93"), "", ErrBlock},
		{"bad LRC", LRC, hx("00 40 02 90 00 D3"), "", ErrEDC},
		{"bad CRC", CRC, hx("00 C1 01 FE 54 4F"), "", ErrEDC},
		{"the other CRC", CRC, hx("00 C1 01 FE AB B1"), "", ErrEDC},
		{"longer than LEN says", LRC, hx("00 00 01 90 00 92"), "", ErrEDC},
		{"R with INF", LRC, xor("00 80 01 00"), "", ErrBlock},
		{"R error 3", LRC, hx("00 83 00 83"), "", ErrBlock},
		{"R error 4", LRC, hx("00 84 00 84"), "", ErrBlock},
		{"R reserved bit 6", LRC, hx("00 A0 00 A0"), "", ErrBlock},
		{"RESYNCH with INF", LRC, xor("00 E0 01 00"), "", ErrBlock},
		{"IFS without INF", LRC, hx("00 C1 00 C1"), "", ErrBlock},
		{"IFS of two bytes", LRC, xor("00 C1 02 20 20"), "", ErrBlock},
		{"ABORT with INF", LRC, xor("00 C2 01 00"), "", ErrBlock},
		{"WTX without INF", LRC, hx("00 C3 00 C3"), "", ErrBlock},
		{"Vpp error request", LRC, hx("00 C4 00 C4"), "", ErrBlock},
		{"Vpp error response", LRC, hx("00 E4 00 E4"), "", ErrBlock},
		{"S reserved bit 5", LRC, xor("00 D1 01 20"), "", ErrBlock},
		{"S reserved type", LRC, hx("00 DF 00 DF"), "", ErrBlock},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := ParseBlock(tt.in, tt.edc)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error: got %v want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if b.String() != tt.want {
				t.Errorf("got %s want %s", b, tt.want)
			}
			n := PrologueLen + len(b.INF) + tt.edc.Len()
			if got := b.AppendTo(nil, tt.edc); !bytes.Equal(got, tt.in[:n]) {
				t.Errorf("encodes to % X", got)
			}
		})
	}
}

// Every PCB is what ISO 7816-3:2006 table 14 ff. say, no more and no less.
func TestEveryPCB(t *testing.T) {
	legal := map[byte]int{ // R and S: PCB to LEN
		0x80: 0, 0x81: 0, 0x82: 0, 0x90: 0, 0x91: 0, 0x92: 0,
		0xC0: 0, 0xE0: 0, 0xC1: 1, 0xE1: 1, 0xC2: 0, 0xE2: 0, 0xC3: 1, 0xE3: 1,
	}
	for pcb := range 256 {
		for n := range 3 {
			raw := append([]byte{0, byte(pcb), byte(n)}, make([]byte, n)...)
			raw = append(raw, byte(pcb)^byte(n))
			_, err := ParseBlock(raw, LRC)
			want, known := legal[byte(pcb)]
			ok := pcb < 0x80 || known && want == n
			if (err == nil) != ok {
				t.Errorf("PCB %02X LEN %d: got %v", pcb, n, err)
			}
		}
	}
}

func TestAppendToRefusesLongINF(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("255 bytes of INF were encoded")
		}
	}()
	Block{INF: make([]byte, 255)}.AppendTo(nil, LRC)
}

func FuzzParseBlock(f *testing.F) {
	for _, s := range []string{
		"00 00 02 90 00 92", "00 90 00 90", "00 C1 01 FE 3E", "00 C1 01 FE 54 4E", "00 C1 01 FE AB B1",
		"00 C3 01 05 C7", "00 00 FF 00", "00 A0 00 A0", "00 90 00 90 00 00", "",
	} {
		for e := range 3 {
			f.Add(hx(s), byte(e))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte, e byte) {
		edc := EDC(e % 3)
		b, err := ParseBlock(raw, edc)
		if err != nil {
			if err != ErrEDC && err != ErrBlock {
				t.Fatalf("error of no known kind: %v", err)
			}
			return
		}
		n := PrologueLen + len(b.INF) + edc.Len()
		if got := b.AppendTo(nil, edc); !bytes.Equal(got, raw[:n]) {
			t.Fatalf("% X encodes to % X", raw[:n], got)
		}
		_ = b.String()
	})
}

package ccidsim

import (
	"time"

	"kaztoken/internal/iso7816"
)

const (
	insGetResponse = 0xC0
	insEnvelope    = 0xC2
)

// nullEvery stands for the waiting time that one NULL byte gives a T=0 card.
const nullEvery = 800 * time.Millisecond

// t0Card is the card's side of T=0 (ISO 7816-3:2006 §10, §12.2) on top of a card
// that knows APDUs.
type t0Card struct {
	icc *icc

	// held is a response that waits: data and status word. again is set if it
	// waits for the same header with the right P3 (6Cxx), else GET RESPONSE
	// fetches it (61xx).
	held    []byte
	again   bool
	heldFor [4]byte

	envelope []byte // an APDU that comes in pieces
	out      []byte // what the card sends

	// Character level: a command whose data are on their way.
	header [5]byte
	need   int
	data   []byte
	single bool // asks for one byte at a time
}

func (t *t0Card) reset(i *icc) {
	t.icc = i
	t.held, t.envelope, t.data = t.held[:0], t.envelope[:0], t.data[:0]
	t.need = 0
}

// exchange is one TPDU as a reader at TPDU level brings it: header and data.
func (t *t0Card) exchange(tpdu []byte) reply {
	switch f := t.icc.s.d.faults.next(BlockOut); f.Kind {
	case Lost, BadEDC:
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	}
	out, took := t.run(tpdu[:5], tpdu[5:])
	if out == nil {
		return reply{code: errICCMute}
	}
	switch f := t.icc.s.d.faults.next(BlockIn); f.Kind {
	case Lost:
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	case BadProcedure:
		return reply{code: errProcedureByte}
	case WTX:
		took += time.Duration(f.value(1)) * nullEvery
	}
	return reply{block: out, wait: took}
}

// run carries out one command TPDU and gives response data and status word, nil
// if the card is mute.
func (t *t0Card) run(header, data []byte) (out []byte, took time.Duration) {
	ne := int(header[4])
	if ne == 0 {
		ne = 256
	}
	if len(data) == 0 {
		if len(t.held) > 0 && t.again && [4]byte(header) == t.heldFor && ne == len(t.held)-2 {
			t.out = append(t.out[:0], t.held...)
			t.held = t.held[:0]
			return t.out, 0
		}
		if len(t.held) > 0 && !t.again && header[1] == insGetResponse {
			return t.rest(ne), 0
		}
	}
	t.held = t.held[:0]
	if header[1] == insEnvelope {
		return t.piece(data)
	}
	t.envelope = t.envelope[:0]

	apdu := append(append(t.data[:0], header...), data...)
	t.data = apdu
	took = t.icc.duration(apdu)
	resp, err := t.icc.transmit(t.icc.s.d.ctx, t.out[:0], apdu)
	t.out = resp
	if err != nil || len(resp) < 2 {
		return nil, took
	}
	n := len(resp) - 2
	if len(data) > 0 || n == 0 || n == ne {
		return resp, took
	}
	// T=0 sends exactly P3 bytes or none: the card would have refused the wrong
	// Le before it did anything, so the answer waits for the right one.
	t.held = append(t.held[:0], resp...)
	t.again, t.heldFor = true, [4]byte(header)
	t.out = append(t.out[:0], 0x6C, byte(n))
	return t.out, took
}

// piece takes a part of an APDU in an ENVELOPE command. The APDU is whole when
// its length fields say so, or when a piece of less than 255 bytes comes.
func (t *t0Card) piece(data []byte) ([]byte, time.Duration) {
	if len(t.envelope)+len(data) > maxAPDU {
		t.icc.s.d.violation("T=0: more than %d bytes in ENVELOPE", maxAPDU)
		t.envelope = t.envelope[:0]
		return append(t.out[:0], 0x67, 0x00), 0
	}
	t.envelope = append(t.envelope, data...)
	full := len(t.envelope) > 7 && len(t.envelope) == 7+int(t.envelope[5])<<8+int(t.envelope[6])+2
	if len(data) == 255 && !full || len(t.envelope) == 0 {
		t.out = append(t.out[:0], 0x90, 0x00)
		return t.out, 0
	}
	if _, err := iso7816.ParseCommand(t.envelope); err != nil {
		t.icc.s.d.violation("T=0: ENVELOPE holds no APDU")
	}
	took := t.icc.duration(t.envelope)
	resp, err := t.icc.transmit(t.icc.s.d.ctx, t.out[:0], t.envelope)
	t.out = resp
	t.envelope = t.envelope[:0]
	if err != nil || len(resp) < 2 {
		return nil, took
	}
	if len(resp) == 2 {
		return resp, took
	}
	t.held, t.again = append(t.held[:0], resp...), false
	t.out = append(t.out[:0], 0x61, waiting(len(resp)-2))
	return t.out, took
}

// rest answers GET RESPONSE out of a held response.
func (t *t0Card) rest(ne int) []byte {
	n := len(t.held) - 2
	if ne > n {
		t.out = append(t.out[:0], 0x6C, byte(n))
		return t.out
	}
	t.out = append(t.out[:0], t.held[:ne]...)
	if ne == n {
		t.out = append(t.out, t.held[n:]...)
		t.held = t.held[:0]
		return t.out
	}
	t.held = t.held[:copy(t.held, t.held[ne:])]
	t.out = append(t.out, 0x61, waiting(n-ne))
	return t.out
}

// waiting is xx of 61xx.
func waiting(n int) byte {
	if n > 255 {
		return 0
	}
	return byte(n)
}

// characters takes what a reader at character level sends and gives the
// characters that come back: procedure bytes, data, status word (ISO
// 7816-3:2006 §10.3.3).
func (t *t0Card) characters(in []byte) reply {
	d := t.icc.s.d
	switch f := d.faults.next(BlockOut); f.Kind {
	case Lost, BadEDC:
		t.need = 0
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	}
	var out []byte
	var took time.Duration
	f := d.faults.next(BlockIn)
	switch {
	case t.need > 0:
		if len(in) > t.need || t.single && len(in) != 1 {
			d.violation("T=0: %d characters of data, the card asked for fewer", len(in))
			in = in[:min(len(in), t.need)]
		}
		t.data = append(t.data, in...)
		if t.need -= len(in); t.need > 0 {
			if !t.single {
				d.violation("T=0: %d characters of data missing", t.need)
			}
			return reply{block: []byte{t.header[1] ^ 0xFF}}
		}
		data := append([]byte(nil), t.data...)
		out, took = t.run(t.header[:], data)
	case len(in) != 5:
		d.violation("T=0: header of %d characters", len(in))
		return reply{code: errICCMute}
	default:
		t.header = [5]byte(in)
		if t.header[4] > 0 && t.icc.incoming(t.header[0], t.header[1]) {
			t.need, t.single = int(t.header[4]), f.Kind == OneByOne
			t.data = t.data[:0]
			out = []byte{t.header[1]}
			if t.single {
				out[0] ^= 0xFF
			}
			break
		}
		var resp []byte
		if resp, took = t.run(t.header[:], nil); resp != nil {
			n := len(resp) - 2
			for i, b := range resp[:n] {
				switch {
				case f.Kind == OneByOne:
					out = append(out, t.header[1]^0xFF)
				case i == 0:
					out = append(out, t.header[1])
				}
				out = append(out, b)
			}
			out = append(out, resp[n:]...)
		}
	}
	if out == nil {
		return reply{code: errICCMute}
	}
	nulls := int(took / nullEvery)
	switch f.Kind {
	case Lost:
		return reply{code: errICCMute}
	case Parity:
		return reply{code: errParity}
	case Overrun:
		return reply{code: errOverrun}
	case BadProcedure:
		t.need = 0
		out[0] = 0x0D
	case WTX:
		nulls += f.value(1)
	}
	return reply{block: out, nulls: nulls, wait: took % nullEvery}
}

package ccid

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kaztoken/ccid/t1"
	"kaztoken/usb"
)

// echoPipe is a reader and a card that answer at once and allocate nothing.
type echoPipe struct {
	respond func(dst, msg []byte) []byte
	answer  []byte
	ready   bool
}

func (p *echoPipe) WriteBulk(_ context.Context, msg []byte) error {
	p.answer = p.respond(p.answer[:0], msg)
	p.ready = true
	return nil
}

func (p *echoPipe) ReadBulk(_ context.Context, buf []byte) (int, error) {
	if !p.ready {
		return 0, usb.ErrTimeout
	}
	p.ready = false
	return copy(buf, p.answer), nil
}

func (p *echoPipe) ReadInterrupt(ctx context.Context, _ []byte) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}
func (p *echoPipe) Control(context.Context, usb.Setup, []byte) (int, error) { return 0, usb.ErrStall }
func (p *echoPipe) Recover(context.Context) error                           { return nil }
func (p *echoPipe) Close() error                                            { return nil }

// answer appends an answer DataBlock.
func answer(dst, msg []byte, place Chain, data ...byte) []byte {
	return Message{Type: msgDataBlock, Slot: msg[5], Seq: msg[6], Specific: [3]byte{0, 0, byte(place)}, Data: data}.AppendTo(dst)
}

// paths are the ways of an APDU that have to be free of allocations, with a
// response of n bytes and status word.
func paths(n int) map[string]struct {
	d       usb.ClassDescriptor
	respond func(dst, msg []byte) []byte
} {
	resp := append(make([]byte, n), 0x90, 0x00)
	extended := features(0x00040040)
	extended.MaxMessageLength = 64
	var left []byte
	var block []byte
	blockOf := func(pcb byte, inf []byte) []byte {
		block = t1.Block{PCB: pcb, INF: inf}.AppendTo(block[:0], t1.LRC)
		return block
	}
	return map[string]struct {
		d       usb.ClassDescriptor
		respond func(dst, msg []byte) []byte
	}{
		"short APDU": {kaztokenClass(), func(dst, msg []byte) []byte { return answer(dst, msg, ChainWhole, resp...) }},
		"extended APDU": {extended, func(dst, msg []byte) []byte {
			switch Chain(msg[8]) {
			case ChainFirst, ChainMiddle:
				return answer(dst, msg, ChainNext)
			case ChainWhole, ChainLast:
				left = resp
			}
			part := left[:min(54, len(left))]
			place := ChainMiddle
			switch left = left[len(part):]; {
			case len(part) == len(resp):
				place = ChainWhole
			case len(left) == 0:
				place = ChainLast
			case len(left)+len(part) == len(resp):
				place = ChainFirst
			}
			return answer(dst, msg, place, part...)
		}},
		"T=1 TPDU": {features(0x00010470), func(dst, msg []byte) []byte {
			switch pcb := msg[11]; {
			case pcb&0x80 == 0 && pcb&0x20 != 0: // a part of the command
				return answer(dst, msg, ChainWhole, blockOf(0x80|(pcb&0x40^0x40)>>2, nil)...)
			case pcb&0x80 == 0:
				left = resp
			}
			part := left[:min(254, len(left))]
			left = left[len(part):]
			pcb := t1Next
			t1Next ^= 0x40
			if len(left) > 0 {
				pcb |= 0x20
			}
			return answer(dst, msg, ChainWhole, blockOf(pcb, part)...)
		}},
	}
}

var t1Next byte // N(S) of the card

func openEcho(tb testing.TB, d usb.ClassDescriptor, respond func(dst, msg []byte) []byte) *Slot {
	tb.Helper()
	t1Next = 0
	p := &echoPipe{}
	p.respond = func(dst, msg []byte) []byte {
		if MessageType(msg[0]) == msgXfrBlock {
			return respond(dst, msg)
		}
		return Message{Type: msgSlotStatus, Slot: msg[5], Seq: msg[6]}.AppendTo(dst)
	}
	r, err := Open(context.Background(), p, bulkInterface(d), WithPollInterval(0))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { r.Close() })
	s := makeReady(tb, r, 1, kaztokenATR)
	if s.Level() == usb.TPDU {
		if err := s.setUpT1(context.Background(), s.ATR(), 254); err != nil {
			tb.Fatal(err)
		}
	}
	return s
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	for _, n := range []int{0, 64, 250} {
		for name, p := range paths(n) {
			t.Run(name, func(t *testing.T) {
				s := openEcho(t, p.d, p.respond)
				apdu := append([]byte{0, 0xDA, 0, 0, byte(n)}, make([]byte, n)...)
				if n == 0 {
					apdu = apdu[:4]
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				dst := make([]byte, 0, 1024)
				allocs := testing.AllocsPerRun(200, func() {
					resp, err := s.Transmit(ctx, dst, apdu)
					if err != nil || len(resp) != n+2 {
						t.Fatalf("%d bytes, %v", len(resp), err)
					}
				})
				if allocs != 0 {
					t.Errorf("%d bytes: %v allocations", n, allocs)
				}
			})
		}
	}
}

func BenchmarkTransmit(b *testing.B) {
	for _, n := range []int{5, 64, 250} {
		for name, p := range paths(n) {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				s := openEcho(b, p.d, p.respond)
				apdu := append([]byte{0, 0xDA, 0, 0, byte(n)}, make([]byte, n)...)
				dst := make([]byte, 0, 1024)
				b.ReportAllocs()
				b.SetBytes(int64(2 * n))
				for b.Loop() {
					if _, err := s.Transmit(context.Background(), dst, apdu); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	var buf []byte
	data := make([]byte, 258)
	b.ReportAllocs()
	for b.Loop() {
		buf = xfrBlock(data, 0, 0).AppendTo(buf[:0])
		if _, err := ParseMessage(buf); err != nil {
			b.Fatal(err)
		}
	}
}

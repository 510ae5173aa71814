//go:build e2e && linux

package guest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

// echoAPDUs are sent through every kind of reader. The last two are of the
// greatest length there is, a command and a response: one takes as long as some
// hundred short ones, or some thousand where everything goes in small blocks.
// echoSoak times SOAK are sent in make soak.
const (
	echoAPDUs = 60
	echoSoak  = 400
)

// echoLimit bounds them. On two quiet cores the slowest take half a minute.
const echoLimit = 4 * time.Minute

// TestEcho sends random APDUs of all cases through every kind of reader and
// wants every byte back. The second driver, under which all is the same but the
// transfers, has every kind of transfer: the rest in make soak.
func TestEcho(t *testing.T) {
	oneCPU(t)
	transfers := []string{"kaztoken", "iccd-a", "iccd-b", "extended-chaining", "two-slots"}
	eachDriver(t, func(t *testing.T, d driver) {
		for _, p := range ccidsim.Profiles() {
			if d.name != drivers[0].name && *soak == 1 && !slices.Contains(transfers, p.Name) {
				continue
			}
			t.Run(p.Name, func(t *testing.T) {
				slots := openToken(t, d, p).Slots()
				done := make(chan error)
				for _, s := range slots {
					go func() { done <- echo(t.Context(), s, repeated(echoAPDUs, echoSoak)/len(slots)) }()
				}
				for range slots {
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
			})
		}
	})
}

// echo sends n APDUs to the card in a slot.
func echo(ctx context.Context, s *ccid.Slot, n int) error {
	ctx, cancel := context.WithTimeout(ctx, echoLimit)
	defer cancel()
	e := newEchoes(s)
	var apdu, got, want []byte
	for i := range n {
		cmd := e.next(n - 1 - i)
		var err error
		if apdu, err = cmd.AppendTo(apdu[:0]); err != nil {
			return err
		}
		want = e.answer(want[:0], cmd)
		got, err = s.Transmit(ctx, got[:0], apdu)
		if err == nil && !bytes.Equal(got, want) {
			err = fmt.Errorf("got %d bytes % X, want %d bytes % X",
				len(got), got[:min(len(got), 40)], len(want), want[:min(len(want), 40)])
		}
		if err != nil {
			return fmt.Errorf("slot %d, %v, APDU %d (Nc %d, Ne %d): %w", s.Index(), s.Protocol(), i, len(cmd.Data), cmd.Ne, err)
		}
	}
	return nil
}

// echoes makes ECHO commands (package emu) and knows what the card answers.
type echoes struct {
	random     *rand.Rand
	noise      []byte // 64 KiB to take data from
	last       []byte // what the card remembers
	t0         bool
	extended   bool
	most       int // bytes of a command
	boundaries []int
}

func newEchoes(s *ccid.Slot) *echoes {
	e := &echoes{
		random: rand.New(rand.NewPCG(1, uint64(s.Index()))), // the same in every run
		noise:  make([]byte, 1<<16),
		most:   s.MaxCommand(),
		t0:     s.Protocol() == iso7816.T0,
	}
	e.extended = s.Level() != usb.ShortAPDU && !e.t0
	for i := range e.noise {
		e.noise[i] = byte(e.random.Uint32())
	}
	e.boundaries = []int{0, 1, 64, 128, 192, 254, 255}
	if e.extended {
		e.boundaries = append(e.boundaries, 256, 257, 320, 512)
	}
	return e
}

// next makes one command, after which left are to come. Most are short: a long
// one is many transfers.
func (e *echoes) next(left int) iso7816.Command {
	nc, ne := e.length(), e.length()
	switch {
	case e.extended && left == 1:
		nc = 65535
	case e.extended && left == 0:
		nc, ne = 0, 65536
	case ne == 255:
		ne += e.random.IntN(2) // Ne may be 256 where Nc may not
	}
	if !e.extended {
		nc = min(nc, e.most-6) // header, Lc, Le
	}
	at := e.random.IntN(len(e.noise) - nc + 1)
	cmd := iso7816.Command{
		CLA: 0x80, INS: 0xEC, P1: byte(e.random.Uint32()), P2: byte(e.random.Uint32()),
		Data: e.noise[at : at+nc], Ne: ne,
		Extended: e.extended && e.random.IntN(4) == 0,
	}
	if e.t0 && (nc > 0 || ne == 0) {
		cmd.INS = 0xEE // T=0 cannot tell case 1 from case 2
	}
	return cmd
}

// length is mostly 0 or small: at the lower exchange levels 32 bytes are a block,
// and a block is up to three transfers each way.
func (e *echoes) length() int {
	switch n := e.random.IntN(16); {
	case n < 8:
		return 0
	case n < 14:
		return 1 + e.random.IntN(32)
	case n < 15:
		return e.boundaries[e.random.IntN(len(e.boundaries))]
	}
	return e.random.IntN(256)
}

// answer appends what the card has to answer.
func (e *echoes) answer(dst []byte, cmd iso7816.Command) []byte {
	if len(cmd.Data) > 0 {
		e.last = append(e.last[:0], cmd.Data...)
	}
	for i := range cmd.Ne {
		if len(e.last) > 0 {
			dst = append(dst, e.last[i%len(e.last)])
		} else {
			dst = append(dst, cmd.P1+cmd.P2*byte(i))
		}
	}
	return append(dst, 0x90, 0x00)
}

package bridge_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
	"kaztoken/firmware/emu"
)

// TestLengths: commands and responses of every kind of length.
func TestLengths(t *testing.T) {
	s := begin(t, bridge.Config{}, echo())
	p := s.connected()
	for _, n := range []int{0, 1, 3, 4, 5, 200, 260, 261, 262, 1000, 1024, 4096, 65000, 65544, wire.MaxData - 2, wire.MaxData} {
		apdu := make([]byte, n)
		for i := range apdu {
			apdu[i] = byte(i)
		}
		if n > 1 {
			apdu[1] = 0xEE
		}
		resp, result := p.transmit(apdu...)
		want := []byte{0x67, 0x00}
		if n >= 4 {
			want = append(apdu[4:], 0x90, 0x00)
		}
		if result != wire.Success || !bytes.Equal(resp, want) {
			t.Errorf("%d bytes: %d back, %v", n, len(resp), result.String())
		}
	}
	for range 300 { // large room is given back, and needed again
		if resp, result := p.transmit(0, 0xB0, 0xFF, 0xFF); result != wire.Success || len(resp) != 0x10001 {
			t.Fatalf("%d bytes, %v", len(resp), result.String())
		}
		for range 70 {
			s.alive(p)
		}
	}
}

// TestRoom: a response that does not fit is counted and not sent, and the card
// has done the command.
func TestRoom(t *testing.T) {
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	p := s.connected()
	for _, c := range []struct {
		room uint32
		want wire.Result
		n    uint32
	}{
		{0, wire.InsufficientBuffer, 0}, {1, wire.InsufficientBuffer, 0}, // before the card gets it
		{2, wire.InsufficientBuffer, 18}, {17, wire.InsufficientBuffer, 18}, {18, wire.Success, 18}, {0xFFFFFFFF, wire.Success, 18},
	} {
		p.send(wire.CmdTransmit, p.transmitBody(4, c.room), 0, 0xB0, 0, 16)
		m := parse(p, wire.TransmitSize, wire.ParseTransmit)
		if m.Result != c.want || m.RecvLength != c.n || m.RecvProtocol != 3 || m.RecvPCILength != 16 || m.SendLength != 4 {
			t.Errorf("room for %d: %+v", c.room, m)
		}
		if m.Result == wire.Success {
			p.receive(18)
		}
	}
	if got := slot.Calls(bridgetest.Transmit); got != 4 {
		t.Errorf("the card got %d commands, want 4", got)
	}
}

// bad is a card whose answers are none.
type bad struct {
	*bridgetest.Echo
	answer []byte
}

func (b *bad) Transmit(_ context.Context, dst, _ []byte) ([]byte, error) {
	return append(dst, b.answer...), nil
}

func TestImpossibleResponses(t *testing.T) {
	for _, n := range []int{0, 1, wire.MaxData + 1} {
		s := begin(t, bridge.Config{}, bridgetest.NewSlot(readerName, &bad{bridgetest.NewEcho(), make([]byte, n)}))
		p := s.connected()
		p.want(fmt.Sprintf("%d bytes", n), second(p.transmit(0, 0, 0, 0)), wire.NotTransacted)
		p.want("status", p.status(), wire.Success)
	}
}

// TestEmulator: the token in software as the card.
func TestEmulator(t *testing.T) {
	s := begin(t, bridge.Config{}, bridgetest.NewSlot(readerName, emu.New()))
	p := s.connected()
	for _, c := range []struct{ apdu, want []byte }{
		{[]byte{0x00, 0xA4, 0x00, 0x00, 0x02, 0x3F, 0x00}, []byte{0x61, 0x1F}}, // which the service leaves to the program
		{[]byte{0x00, 0x20, 0x00, 0x02, 0x08, '1', '2', '3', '4', '5', '6', '7', '8'}, []byte{0x90, 0x00}},
		{[]byte{0x00, 0x20, 0x00, 0x02}, []byte{0x90, 0x00}}, // it is logged in
	} {
		resp, result := p.transmit(c.apdu...)
		if result != wire.Success || !bytes.HasSuffix(resp, c.want) {
			t.Errorf("% x: % x, %v", c.apdu, resp, result.String())
		}
	}
	p.want("reconnect", p.reconnect(wire.ResetCard), wire.Success)
	if resp, _ := p.transmit(0x00, 0x20, 0x00, 0x02); len(resp) != 2 || resp[0] != 0x63 {
		t.Errorf("after a reset: % x", resp)
	}
}

var thorough = flag.Bool("thorough", false, "send five times as many commands")

// TestStress: many programs at one card that is unplugged again and again. No
// answer is another's, transactions exclude each other, nobody gets stuck, and
// nothing is kept.
func TestStress(t *testing.T) {
	const programs = 8
	transmits, replugs := uint32(1000), 30
	if *thorough {
		transmits, replugs = 5000, 50
	}
	s := begin(t, bridge.Config{})
	before := inUse()
	var (
		answers atomic.Int32
		due     = make(chan struct{}, replugs) // another replug
		stop    = make(chan struct{})
		wg      sync.WaitGroup
		plugger sync.WaitGroup
	)
	plug := func(i int) (func(), *bridgetest.Slot) {
		slot := bridgetest.NewSlot(readerName, bridgetest.NewEcho())
		if i%2 == 1 {
			slot = bridgetest.NewSlot(readerName, nil)
			slot.InsertPowered(bridgetest.NewEcho())
		}
		return s.attach(slot), slot
	}
	plugger.Go(func() {
		detach, slot := plug(0)
		for i := range replugs {
			select {
			case <-due:
			case <-stop:
				return
			}
			switch i % 3 {
			case 0:
				slot.Unplug()
				detach()
				detach, slot = plug(i)
			case 1:
				detach()
				detach, slot = plug(i)
			case 2:
				slot.Remove()
				slot.Insert(bridgetest.NewEcho())
			}
		}
	})
	for i := range programs {
		wg.Go(func() {
			p := s.established([]int32{3, 4, 5, 6}[i%4])
			have := false
			for n := uint32(0); n < transmits; {
				if !have {
					switch m := p.connect(wire.ShareShared); m.Result {
					case wire.Success:
						have = true
					case wire.UnknownReader, wire.NoSmartcard, wire.ReaderUnavailable, wire.UnpoweredCard, wire.UnresponsiveCard:
						runtime.Gosched()
						continue
					default:
						t.Errorf("connect: %v", m.Result.String())
						return
					}
				}
				// again says what to do about a result.
				again := func(result wire.Result) bool {
					switch result {
					case wire.Success:
						return false
					case wire.SharingViolation:
					case wire.CardReset, wire.CardRemoved, wire.NoSmartcard, wire.UnresponsiveCard:
						switch p.reconnect(wire.LeaveCard) {
						case wire.InvalidValue:
							p.disconnect(wire.LeaveCard)
							have = false
						}
					case wire.InvalidValue, wire.ReaderUnavailable, wire.NotTransacted:
						p.disconnect(wire.LeaveCard)
						have = false
					default:
						t.Errorf("program %d: %v", i, result.String())
						have = false
					}
					return true
				}
				locked := n%3 == 0
				if locked && again(p.begin()) {
					continue
				}
				body := binary.BigEndian.AppendUint32([]byte{0, 0xEE, 0, byte(i)}, n)
				body = append(body, bytes.Repeat([]byte{byte(i)}, int(n)%300)...)
				resp, result := p.transmit(body...)
				if result == wire.Success && !bytes.Equal(resp, append(body[4:], 0x90, 0x00)) {
					t.Errorf("program %d, command %d: % x", i, n, resp)
					return
				}
				if result == wire.Success {
					n++
					if answers.Add(1)%(programs*int32(transmits)/int32(replugs+1)) == 0 {
						due <- struct{}{}
					}
				}
				bad := again(result)
				if locked && !bad && have {
					switch r := p.end([]wire.Disposition{wire.LeaveCard, wire.LeaveCard, wire.LeaveCard, wire.ResetCard}[n%4]); r {
					case wire.Success, wire.CardReset, wire.CardRemoved, wire.InvalidValue, wire.ReaderUnavailable:
					case wire.NotTransacted, wire.SharingViolation: // a replug took the lock
					default:
						t.Errorf("end: %v", r.String())
					}
				}
			}
			if have {
				p.disconnect(wire.LeaveCard)
			}
		})
	}
	wg.Wait()
	close(stop)
	plugger.Wait()
	if got := answers.Load(); got != programs*int32(transmits) {
		t.Errorf("%d answers, want %d", got, programs*transmits)
	}
	// The buffers of connections that are over, and what the test has of them.
	const kept = 4 << 20
	if after := inUse(); after > before+kept {
		t.Errorf("%d bytes in use before, %d after", before, after)
	}
	for _, r := range s.service.Snapshot().Readers {
		if r.Sharing != 0 || r.Lock != nil || r.Waiting != 0 || len(r.Handles) != 0 {
			t.Errorf("%+v", r)
		}
	}
}

// inUse is how much of the heap is in use.
func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestTransactionsExclude: what happens between begin and end is not mixed with
// what others do.
func TestTransactionsExclude(t *testing.T) {
	const programs, rounds = 6, 40
	var last atomic.Int32
	slot := echo()
	s := begin(t, bridge.Config{}, slot)
	var wg sync.WaitGroup
	for i := range programs {
		p := s.connected()
		wg.Go(func() {
			for range rounds {
				for {
					r := p.begin()
					if r == wire.Success {
						break
					}
					p.want("begin", r, wire.SharingViolation)
				}
				last.Store(int32(i))
				for range 5 {
					if _, r := p.transmit(0, 0xEE, 0, 0, byte(i)); r != wire.Success {
						t.Errorf("transmit: %v", r.String())
					}
					if got := last.Load(); got != int32(i) {
						t.Errorf("program %d in the transaction of %d", got, i)
					}
				}
				p.want("end", p.end(wire.LeaveCard), wire.Success)
			}
		})
	}
	wg.Wait()
}

// pair is a program with a handle and buffers, to measure with.
func pair(tb testing.TB, cfg bridge.Config, n int) (exchange func()) {
	s := begin(tb, cfg, echo())
	p := s.connected()
	apdu := append([]byte{0, 0xEE, 0, 0}, make([]byte, n)...)
	request := frame(wire.CmdTransmit, p.transmitBody(len(apdu), wire.MaxData), apdu...)
	answer := make([]byte, wire.TransmitSize+n+2)
	return func() {
		if _, err := p.nc.Write(request); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.ReadFull(p.nc, answer); err != nil {
			tb.Fatal(err)
		}
	}
}

func TestTransmitDoesNotAllocate(t *testing.T) {
	var named, other atomic.Int32
	traced := bridge.Config{Trace: func(e bridge.Event) {
		switch {
		case e.Command != wire.CmdTransmit:
		case e.Reader == readerName:
			named.Add(1)
		default:
			other.Add(1)
		}
	}}
	for name, cfg := range map[string]bridge.Config{"silent": {}, "traced": traced} {
		for _, n := range []int{1, 64, 250, 4000, 65000} {
			exchange := pair(t, cfg, n)
			for range 2 {
				exchange() // rooms grow
			}
			// All goroutines are counted, and the runtime has some of its own.
			if allocs := testing.AllocsPerRun(500, exchange); allocs >= 1 {
				t.Errorf("%s, %d bytes: %v allocations", name, n, allocs)
			}
		}
	}
	if named.Load() == 0 || other.Load() > 0 {
		t.Errorf("%d APDUs were traced with their reader, %d without", named.Load(), other.Load())
	}
}

func BenchmarkTransmit(b *testing.B) {
	for _, n := range []int{1, 64, 250, 65000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			exchange := pair(b, bridge.Config{}, n)
			b.ReportAllocs()
			b.SetBytes(int64(2 * n))
			for b.Loop() {
				exchange()
			}
		})
	}
}

// BenchmarkSocket is the same bytes through a socket with nobody behind it but a
// goroutine that sends them back: the floor under BenchmarkTransmit.
func BenchmarkSocket(b *testing.B) {
	for _, n := range []int{1, 64, 250, 65000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ln, err := net.Listen("unix", b.TempDir()+"/s")
			if err != nil {
				b.Fatal(err)
			}
			defer ln.Close()
			request := make([]byte, wire.HeaderSize+wire.TransmitSize+4+n)
			answer := make([]byte, wire.TransmitSize+n+2)
			go func() {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				in := make([]byte, len(request))
				for {
					if _, err := io.ReadFull(nc, in); err != nil {
						return
					}
					nc.Write(in[:len(answer)])
				}
			}()
			nc, err := net.Dial("unix", ln.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			b.ReportAllocs()
			b.SetBytes(int64(2 * n))
			for b.Loop() {
				nc.Write(request)
				if _, err := io.ReadFull(nc, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

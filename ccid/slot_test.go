package ccid

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/usb"
)

func answerStatus(icc ICCStatus) Message {
	return Message{Type: msgSlotStatus, Specific: [3]byte{byte(icc)}}
}

// CCID rev 1.10 §6.2.6: the status of every answer moves the slot.
func TestStateMachine(t *testing.T) {
	for _, tt := range []struct {
		from   CardState
		icc    ICCStatus
		to     CardState
		counts uint64
	}{
		{CardUnknown, ICCActive, CardPresent, 1},
		{CardUnknown, ICCInactive, CardPresent, 1},
		{CardUnknown, ICCAbsent, CardAbsent, 1},
		{CardUnknown, iccUnknown, CardUnknown, 0},
		{CardAbsent, ICCAbsent, CardAbsent, 0},
		{CardAbsent, ICCInactive, CardPresent, 1},
		{CardAbsent, ICCActive, CardPresent, 1},
		{CardPresent, ICCInactive, CardPresent, 0},
		{CardPresent, ICCActive, CardPresent, 0},
		{CardPresent, ICCAbsent, CardAbsent, 1},
		{CardActive, ICCActive, CardActive, 0},
		{CardActive, ICCInactive, CardPresent, 1},
		{CardReady, ICCActive, CardReady, 0},
		{CardReady, ICCInactive, CardPresent, 1},
		{CardReady, ICCAbsent, CardAbsent, 1},
		{CardReady, iccUnknown, CardReady, 0},
		{CardLost, ICCActive, CardLost, 0},
		{CardLost, ICCInactive, CardPresent, 1},
		{CardLost, ICCAbsent, CardAbsent, 1},
	} {
		r := &Reader{config: newConfig(nil), desc: kaztokenClass()}
		s := newSlot(r, 0)
		s.state, s.atr = tt.from, atrOf(t, kaztokenATR)
		changed := s.Changed()
		s.observe(msgXfrBlock, answerStatus(tt.icc))
		if s.State() != tt.to || s.Insertions() != tt.counts {
			t.Errorf("%v, status %v: got %v and %d, want %v and %d", tt.from, tt.icc, s.State(), s.Insertions(), tt.to, tt.counts)
		}
		select {
		case <-changed:
			if tt.from == tt.to {
				t.Errorf("%v, status %v: told a change", tt.from, tt.icc)
			}
		default:
			if tt.from != tt.to {
				t.Errorf("%v, status %v: told no change", tt.from, tt.icc)
			}
		}
		if gone := tt.to == CardAbsent && tt.from != tt.to; gone && !s.ATR().IsZero() {
			t.Errorf("%v, status %v: the ATR stayed", tt.from, tt.icc)
		}
	}
}

func TestTransmitWithoutCard(t *testing.T) {
	for _, tt := range []struct {
		state CardState
		want  error
	}{
		{CardUnknown, ErrCardReset}, {CardAbsent, ErrNoCard}, {CardPresent, ErrCardReset},
		{CardActive, ErrCardReset}, {CardLost, ErrCardReset},
	} {
		bubble(t, bulkInterface(kaztokenClass()), "", func(t *testing.T, r *Reader, p *scriptPipe) {
			s := r.Slots()[0]
			s.set(tt.state)
			if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, tt.want) || errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("%v: got %v", tt.state, err)
			}
			s.set(CardPresent)
		})
	}
}

func TestRefusedLocally(t *testing.T) {
	long := "00 DA 00 00 00 01 00 " + data(256)
	for _, tt := range []struct {
		name string
		d    usb.ClassDescriptor
		apdu string
		want error
	}{
		{"nothing", kaztokenClass(), "", iso7816.ErrAPDU},
		{"three bytes", kaztokenClass(), "00 70 00", iso7816.ErrAPDU},
		{"case 2E", kaztokenClass(), "00 B0 00 00 00 00 00", ErrNotSupported},
		{"case 3E", kaztokenClass(), long, ErrNotSupported},
		{"case 3E, short enough", kaztokenClass(), "00 DA 00 00 00 00 01 55", ErrNotSupported},
		{"262 bytes", kaztokenClass(), "00 DA 00 00 FF " + data(257), ErrNotSupported},
		{"message too short", func() usb.ClassDescriptor { d := kaztokenClass(); d.MaxMessageLength = 64; return d }(),
			"00 DA 00 00 32 " + data(50), ErrNotSupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bulkInterface(tt.d), "", func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 1, kaztokenATR)
				if _, err := transmit(t, s, tt.apdu); !errors.Is(err, tt.want) || errors.Is(err, ErrOutcomeUnknown) {
					t.Errorf("got %v", err)
				}
				if s.State() != CardReady {
					t.Errorf("state %v", s.State())
				}
				s.set(CardPresent) // nothing to power off
			})
		})
	}
}

func TestShortReaderThatChains(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), `
>   6F 05 01 00 00 00 01 00 01 00 00 DA 00 00 00 01 00 `+data(254)+`
<   80 00 00 00 00 00 01 00 00 10
>   6F 02 00 00 00 00 02 00 02 00 FE FF
<   80 02 00 00 00 00 02 00 00 00 90 00
`, func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 1, kaztokenATR)
		if s.MaxCommand() != iso7816.MaxExtendedCommand {
			t.Errorf("longest command %d", s.MaxCommand())
		}
		got, err := transmit(t, s, "00 DA 00 00 00 01 00 "+data(256))
		want(t, got, err, "90 00")
	}, WithDevice(usb.Info{Vendor: 0x2F7C, Product: 0x6007}))
}

func TestExtendedChainingTolerance(t *testing.T) {
	d := features(0x00040042)
	d.MaxMessageLength = 64
	const first = "> 6F 36 00 00 00 00 01 00 01 00 00 DA 01 01 64 "
	command := first + data(49) + "\n"
	rest := func() string { // of data, behind what went first
		return fmt.Sprintf("% X", unhex(t, data(100))[49:])
	}()
	empties := func(n int, answer string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "> 6F 00 00 00 00 00 %02X 00 10 00\n< 80 00 00 00 00 00 %02X 00 00 %s\n", i+2, i+2, answer)
		}
		return b.String()
	}
	const get = "> 6F 05 00 00 00 00 01 00 00 00 00 CA 01 01 78\n"
	for _, tt := range []struct {
		name, apdu, script string
		want               string
		err                error
		unknown            bool
	}{
		{name: "early answer", apdu: "put", script: command + "< 80 02 00 00 00 00 01 00 00 00 6A 84\n", want: "6A 84"},
		{name: "early error", apdu: "put", script: command + "< 80 00 00 00 00 00 01 40 F6 00\n", err: ErrNotSupported},
		{name: "early mute", apdu: "put", script: command + "< 80 00 00 00 00 00 01 40 FE 00\n", err: ErrMute},
		{name: "no chain 10", apdu: "put", script: command + "< 80 00 00 00 00 00 01 00 00 00\n", err: ErrProtocol},
		{name: "data with chain 10", apdu: "put", script: command + "< 80 01 00 00 00 00 01 00 00 10 00\n", err: ErrProtocol},
		{name: "error at the last part", apdu: "put", script: command + "< 80 00 00 00 00 00 01 00 00 10\n> 6F 33 00 00 00 00 02 00 02 00 " + rest +
			"\n< 80 00 00 00 00 00 02 40 FE 00\n", err: ErrMute, unknown: true},
		{name: "first for middle", apdu: "get", script: get + "< 80 01 00 00 00 00 01 00 00 01 AA\n" +
			"> 6F 00 00 00 00 00 02 00 10 00\n< 80 01 00 00 00 00 02 00 00 01 BB\n" +
			"> 6F 00 00 00 00 00 03 00 10 00\n< 80 02 00 00 00 00 03 00 00 02 90 00\n", want: "AA BB 90 00"},
		{name: "whole at the end", apdu: "get", script: get + "< 80 01 00 00 00 00 01 00 00 01 AA\n" +
			"> 6F 00 00 00 00 00 02 00 10 00\n< 80 02 00 00 00 00 02 00 00 00 90 00\n", want: "AA 90 00"},
		{name: "begins with middle", apdu: "get", script: get + "< 80 01 00 00 00 00 01 00 00 03 AA\n", err: ErrProtocol, unknown: true},
		{name: "reserved place", apdu: "get", script: get + "< 80 01 00 00 00 00 01 00 00 07 AA\n", err: ErrProtocol, unknown: true},
		{name: "empty continuations", apdu: "get", script: get + "< 80 00 00 00 00 00 01 00 00 10\n" + empties(7, "10") +
			"> 6F 00 00 00 00 00 09 00 10 00\n< 80 02 00 00 00 00 09 00 00 00 90 00\n", want: "90 00"},
		{name: "too many of them", apdu: "get", script: get + "< 80 00 00 00 00 00 01 00 00 10\n" + empties(8, "10"), err: ErrProtocol, unknown: true},
		{name: "empty parts for ever", apdu: "get", script: get + "< 80 00 00 00 00 00 01 00 00 01\n" + empties(8, "03"), err: ErrProtocol, unknown: true},
		{name: "failure while collecting", apdu: "get", script: get + "< 80 01 00 00 00 00 01 00 00 01 AA\n" +
			"> 6F 00 00 00 00 00 02 00 10 00\n< 80 00 00 00 00 00 02 40 01 00\n", err: ErrOutcomeUnknown, unknown: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, bulkInterface(d), tt.script, func(t *testing.T, r *Reader, p *scriptPipe) {
				s := makeReady(t, r, 1, kaztokenATR)
				apdu := "00 CA 01 01 78"
				if tt.apdu == "put" {
					apdu = "00 DA 01 01 64" + data(100)
				}
				got, err := transmit(t, s, apdu)
				if tt.err == nil {
					want(t, got, err, tt.want)
				} else if !errors.Is(err, tt.err) || errors.Is(err, ErrOutcomeUnknown) != tt.unknown {
					t.Errorf("got %v", err)
				}
				p.check()
			})
		})
	}
}

// loopPipe is a reader in a function: answer gets each message of the host and
// returns those of the device.
type loopPipe struct {
	answer func(msg []byte) [][]byte
	queue  chan []byte
	closed chan struct{}
	once   sync.Once
}

func newLoop(answer func([]byte) [][]byte) *loopPipe {
	return &loopPipe{answer: answer, queue: make(chan []byte, 100), closed: make(chan struct{})}
}

func (p *loopPipe) WriteBulk(ctx context.Context, msg []byte) error {
	for _, a := range p.answer(msg) {
		p.queue <- a
	}
	return nil
}

func (p *loopPipe) ReadBulk(ctx context.Context, buf []byte) (int, error) {
	d, _ := ctx.Deadline()
	timer := time.NewTimer(time.Until(d))
	defer timer.Stop()
	select {
	case m := <-p.queue:
		if m == nil {
			return 0, usb.ErrIO
		}
		return copy(buf, m), nil
	case <-timer.C:
		return 0, usb.ErrTimeout
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-p.closed:
		return 0, usb.ErrClosed
	}
}

func (p *loopPipe) ReadInterrupt(ctx context.Context, buf []byte) (int, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-p.closed:
		return 0, usb.ErrClosed
	}
}

func (p *loopPipe) Control(context.Context, usb.Setup, []byte) (int, error) {
	return 0, usb.ErrStall
}
func (p *loopPipe) Recover(context.Context) error { return nil }
func (p *loopPipe) Close() error                  { p.once.Do(func() { close(p.closed) }); return nil }

func reply(t MessageType, cmd []byte, data ...byte) []byte {
	return Message{Type: t, Slot: cmd[5], Seq: cmd[6], Data: data}.AppendTo(nil)
}

// Several slots are busy at once, answers come in any order, and no answer goes
// to where it does not belong.
func TestSeveralSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := features(0x00020040)
		d.MaxSlotIndex, d.MaxBusySlots = 3, 3
		var mu sync.Mutex
		var held [][]byte
		busy, most := 0, 0
		p := newLoop(nil)
		p.answer = func(msg []byte) [][]byte {
			if MessageType(msg[0]) != msgXfrBlock {
				return [][]byte{reply(msgSlotStatus, msg)}
			}
			m := append([]byte(nil), msg...)
			mu.Lock()
			defer mu.Unlock()
			busy++
			most = max(most, busy)
			held = append(held, m)
			if len(held) < 3 && len(held)%2 == 1 {
				time.AfterFunc(10*time.Millisecond, func() { // the last first, with noise between
					mu.Lock()
					defer mu.Unlock()
					for i := len(held) - 1; i >= 0; i-- {
						h := held[i]
						stale := append([]byte(nil), h...)
						stale[6] -= 7
						p.queue <- reply(msgDataBlock, stale, 0x6F, 0x00)
						p.queue <- Message{Type: msgDataBlock, Slot: h[5], Seq: h[6], Specific: [3]byte{0x80, 1}}.AppendTo(nil)
						p.queue <- reply(msgDataBlock, h, h[13], h[5], 0x90, 0x00)
						busy--
					}
					held = nil
				})
			}
			return nil
		}
		r, err := Open(t.Context(), p, bulkInterface(d))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, s := range r.Slots() {
			s.mu.Lock()
			s.state = CardReady
			s.mu.Unlock()
			wg.Go(func() {
				for i := range 50 {
					got, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, byte(i)})
					if err != nil || len(got) != 4 || got[0] != byte(i) || got[1] != s.index {
						t.Errorf("slot %d, command %d: % X, %v", s.index, i, got, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if most < 2 || most > 3 {
			t.Errorf("%d slots were busy at once", most)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// A breakdown fails whoever waits, at once, and is one breakdown for all of them:
// the next command goes through.
func TestBreakdownFailsAllSlots(t *testing.T) {
	for _, tt := range []struct {
		name string
		says []byte // nil: the transfer fails
		want error
	}{
		{"half a header", []byte{0x80, 1}, errMalformed},
		{"bus error", nil, usb.ErrIO},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for range 300 { // whoever waits goes on before the one that reads, or after it
				synctest.Test(t, func(t *testing.T) { breakDown(t, tt.says, tt.want) })
				if t.Failed() {
					break
				}
			}
		})
	}
}

func breakDown(t *testing.T, says []byte, want error) {
	d := features(0x00020040)
	d.MaxSlotIndex, d.MaxBusySlots = 1, 2
	p := newLoop(nil)
	p.answer = func(msg []byte) [][]byte {
		if MessageType(msg[0]) != msgXfrBlock {
			return [][]byte{reply(msgSlotStatus, msg)}
		}
		if msg[5] == 1 { // with both waiting
			time.AfterFunc(time.Second, func() { p.queue <- says })
		}
		return nil
	}
	r, err := Open(t.Context(), p, bulkInterface(d))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	start := time.Now()
	var wg sync.WaitGroup
	for _, s := range r.Slots() {
		s.set(CardReady)
		wg.Go(func() {
			if _, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0}); !errors.Is(err, want) || !errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("slot %d: %v", s.index, err)
			}
			if s.State() != CardLost {
				t.Errorf("slot %d: %v", s.index, s.State())
			}
		})
	}
	wg.Wait()
	if d := time.Since(start); d != time.Second {
		t.Errorf("took %v", d)
	}
	for _, s := range r.Slots() {
		if _, err := s.Status(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestUnplugEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := features(0x00020000)
		d.MaxSlotIndex, d.MaxBusySlots = 2, 1
		p := newLoop(func(msg []byte) [][]byte {
			if MessageType(msg[0]) == msgGetSlotStatus {
				return [][]byte{reply(msgSlotStatus, msg)}
			}
			return nil
		})
		ifc := bulkInterface(d)
		ifc.Interrupt = usb.Endpoint{Address: 0x83, Attributes: 3, MaxPacketSize: 8, Interval: 16}
		r, err := Open(t.Context(), p, ifc)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for _, s := range append(r.Slots(), r.Slots()...) { // one reads, one waits for a place, the others for the gate
			s.set(CardReady)
			wg.Go(func() {
				_, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0})
				if !errors.Is(err, usb.ErrGone) {
					t.Errorf("slot %d: %v", s.index, err)
				}
			})
		}
		time.Sleep(time.Second)
		start := time.Now()
		r.Unplugged()
		wg.Wait()
		if d := time.Since(start); d != 0 {
			t.Errorf("took %v", d)
		}
		<-r.Done()
		if !errors.Is(r.Err(), usb.ErrGone) {
			t.Errorf("got %v", r.Err())
		}
		for _, s := range r.Slots() {
			if _, err := s.PowerOn(t.Context()); !errors.Is(err, usb.ErrGone) || s.State() != CardAbsent {
				t.Errorf("afterwards: %v, %v", err, s.State())
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestGoneIsFinal(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), "> 6F 04 00 00 00 00 05 00 00 00 00 70 00 00\n<! gone\n", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := makeReady(t, r, 5, kaztokenATR)
		changed := s.Changed()
		if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, usb.ErrGone) || !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		<-r.Done()
		<-changed
		<-p.closed // without waiting for Close
		if _, err := transmit(t, s, "00 70 00 00"); !errors.Is(err, usb.ErrGone) || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCloseWhileBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []MessageType
		p := newLoop(nil)
		p.answer = func(msg []byte) [][]byte {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, MessageType(msg[0]))
			switch MessageType(msg[0]) {
			case msgXfrBlock:
				return nil
			case msgAbort:
				return [][]byte{
					Message{Type: msgDataBlock, Seq: msg[6] - 1, Specific: [3]byte{0x40, 0xFF}}.AppendTo(nil),
					reply(msgSlotStatus, msg),
				}
			}
			return [][]byte{reply(msgSlotStatus, msg)}
		}
		r, err := Open(t.Context(), p, bulkInterface(kaztokenClass()))
		if err != nil {
			t.Fatal(err)
		}
		s := makeReady(t, r, 5, kaztokenATR)
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0})
			var se *SlotError
			if !errors.Is(err, ErrOutcomeUnknown) || !errors.As(err, &se) || se.Code != CodeAborted {
				t.Errorf("got %v", err)
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		for range 3 { // and twice more, at the same time
			wg.Go(func() { r.Close() })
		}
		wg.Wait()
		if d := time.Since(start); d != closeGrace {
			t.Errorf("took %v", d)
		}
		if got := fmt.Sprint(seen); got != "[GetSlotStatus XfrBlock Abort IccPowerOff]" {
			t.Errorf("the device saw %s", got)
		}
		if _, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0}); !errors.Is(err, usb.ErrClosed) {
			t.Errorf("got %v", err)
		}
		if !errors.Is(r.Err(), usb.ErrClosed) {
			t.Errorf("got %v", r.Err())
		}
	})
}

func TestCloseWithDeafReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newLoop(func(msg []byte) [][]byte {
			if MessageType(msg[0]) == msgGetSlotStatus {
				return [][]byte{reply(msgSlotStatus, msg)}
			}
			return nil
		})
		r, err := Open(t.Context(), p, bulkInterface(kaztokenClass()))
		if err != nil {
			t.Fatal(err)
		}
		s := makeReady(t, r, 5, kaztokenATR)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Transmit(t.Context(), nil, []byte{0, 0x70, 0, 0}); !errors.Is(err, usb.ErrClosed) || !errors.Is(err, ErrOutcomeUnknown) {
				t.Errorf("got %v", err)
			}
		})
		time.Sleep(time.Second)
		start := time.Now()
		r.Close()
		wg.Wait()
		if d := time.Since(start); d > closeTimeout {
			t.Errorf("took %v", d)
		}
	})
	synctest.Test(t, func(t *testing.T) { // idle, and deaf to IccPowerOff
		p := newLoop(func(msg []byte) [][]byte {
			if MessageType(msg[0]) == msgGetSlotStatus {
				return [][]byte{reply(msgSlotStatus, msg)}
			}
			return nil
		})
		r, err := Open(t.Context(), p, bulkInterface(kaztokenClass()))
		if err != nil {
			t.Fatal(err)
		}
		makeReady(t, r, 5, kaztokenATR)
		start := time.Now()
		r.Close()
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// A slot waits for its turn no longer than its caller wants.
func TestWaitingForTheGate(t *testing.T) {
	bubble(t, bulkInterface(kaztokenClass()), "", func(t *testing.T, r *Reader, p *scriptPipe) {
		s := r.Slots()[0]
		s.gate <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Transmit(ctx, nil, []byte{0, 0x70, 0, 0}); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		<-s.gate
		cancel()
		if _, err := s.Transmit(ctx, nil, []byte{0, 0x70, 0, 0}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

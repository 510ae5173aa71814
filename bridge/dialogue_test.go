//go:build 386 || amd64 || arm || arm64 || loong64 || mips64le || mipsle || ppc64le || riscv64

package bridge_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kaztoken/bridge"
	"kaztoken/bridge/bridgetest"
	"kaztoken/bridge/wire"
)

// TestDialogues plays what clients of each protocol say, byte for byte as it was
// captured on a little-endian machine, and compares what they get to hear byte
// for byte. The files in testdata have a line for each message:
//
//	random 56692147 …     the numbers that contexts and handles will have
//	A> 0c000000 …         connection A says; 00*100 is a hundred zero bytes
//	A< 04000000 …         connection A hears, and nothing before it
//	A.                    connection A ends
//	A!                    connection A is killed
//	card out, card in     and the service has noticed
//	reader out, reader in
//	waits A               connection A, the A-th that is open, is registered for an event
//
// Names stand for parts that come again: $name for the reader's name field, $atr
// for its card's answer to reset.
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/*.dialogue")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".dialogue"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			play(t, string(text))
		})
	}
}

const dialogueReader = "KAZ Test [CCID] (1234) 00 00"

var dialogueATR = []byte{0x3B, 0x6E, 0, 0, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N', ' ', '1', '.', '0', 0, 1}

func play(t *testing.T, text string) {
	numbers := make(chan uint32, 100)
	cfg := bridge.Config{}
	cfg.SetRandom(func() uint32 {
		select {
		case n := <-numbers:
			return n
		default:
			t.Error("no number left")
			return 1
		}
	})
	newSlot := func() *bridgetest.Slot {
		return bridgetest.NewSlot(dialogueReader, bridgetest.WithATR(dialogueATR))
	}
	slot := newSlot()
	s := begin(t, cfg)
	detach := s.attach(slot)
	eventually(t, "the reader is there", func() bool { return s.reader().Visible })
	conns := make(map[string]net.Conn)
	conn := func(name string) net.Conn {
		if conns[name] == nil {
			conns[name] = s.dial()
		}
		return conns[name]
	}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("line %d, %s: %s", i+1, line, fmt.Sprintf(format, args...))
		}
		name := f[0][:1]
		switch {
		case f[0] == "random":
			for _, word := range f[1:] {
				n, err := strconv.ParseUint(word, 16, 32)
				if err != nil {
					fail("%v", err)
				}
				numbers <- uint32(n)
			}
		case line == "card out":
			slot.Remove()
			eventually(t, line, func() bool { return s.reader().State == wire.NoCard.String() })
		case line == "card in":
			slot.Insert(bridgetest.WithATR(dialogueATR))
			eventually(t, line, func() bool { return s.reader().State == wire.CardReady.String() })
		case line == "reader out":
			detach()
		case line == "reader in":
			slot = newSlot()
			detach = s.attach(slot)
			eventually(t, line, func() bool { return s.reader().Visible })
		case f[0] == "waits":
			eventually(t, line, func() bool {
				n := slices.Index(slices.Sorted(keys(conns)), f[1])
				clients := s.service.Snapshot().Clients
				return n >= 0 && n < len(clients) && clients[n].Waiting
			})
		case strings.HasSuffix(f[0], ">"):
			if _, err := conn(name).Write(unhex(t, f[1:])); err != nil {
				fail("%v", err)
			}
		case strings.HasSuffix(f[0], "<"):
			want := unhex(t, f[1:])
			p := &program{t: t, nc: conn(name)}
			for at, got := range p.receive(len(want)) {
				if got != want[at] {
					fail("byte %d is %02x, want %02x", at, got, want[at])
				}
			}
		case strings.HasSuffix(f[0], "."):
			(&program{t: t, nc: conn(name)}).closed()
			delete(conns, name)
		case strings.HasSuffix(f[0], "!"):
			conn(name).Close()
			delete(conns, name)
			eventually(t, line, func() bool { n, _ := s.service.Clients(); return n == len(conns) })
		default:
			fail("not understood")
		}
	}
	if len(numbers) > 0 {
		t.Errorf("%d numbers left", len(numbers))
	}
	// Whatever was not asked for would come before this.
	for name, nc := range conns {
		p := &program{t: t, nc: nc}
		p.send(wire.CmdVersion, wire.Version{Major: 4, Minor: 99}.AppendTo(nil))
		if m := parse(p, wire.VersionSize, wire.ParseVersion); m.Result != wire.ServiceStopped {
			t.Errorf("%s: something was left: %+v", name, m)
		}
	}
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// unhex reads the words of a message.
func unhex(t *testing.T, words []string) []byte {
	t.Helper()
	var b []byte
	for _, w := range words {
		switch w {
		case "$name":
			name, err := wire.NameOf(dialogueReader)
			if err != nil {
				t.Fatal(err)
			}
			b = append(b, name[:]...)
			continue
		case "$atr":
			b = append(b, dialogueATR...)
			continue
		}
		w, times, _ := strings.Cut(w, "*")
		part, err := hex.DecodeString(w)
		if err != nil {
			t.Fatal(err)
		}
		n := 1
		if times != "" {
			if n, err = strconv.Atoi(times); err != nil {
				t.Fatal(err)
			}
		}
		b = append(b, bytes.Repeat(part, n)...)
	}
	return b
}

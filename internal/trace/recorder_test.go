package trace_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/internal/trace"
)

func TestFile(t *testing.T) {
	path := session(t, ccidsim.KAZTOKEN, trace.Options{Program: "kaztoken v1"}, apdus(t, false))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := trace.Create(path, trace.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there: %v", err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := trace.Create(link, trace.Options{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("through a link: %v", err)
	}
}

// TestCutOff: a recording that ends anywhere gives all events before that.
func TestCutOff(t *testing.T) {
	b, err := os.ReadFile(session(t, ccidsim.KAZTOKEN, trace.Options{}, apdus(t, false)[:3]))
	if err != nil {
		t.Fatal(err)
	}
	count := func(b []byte) (n int, err error) {
		for r := trace.NewReader(bytes.NewReader(b)); ; n++ {
			if _, err = r.Next(); err != nil {
				return n, err
			}
		}
	}
	before := 0
	for n := 40; n <= len(b); n += 7 {
		got, err := count(b[:n])
		if !errors.Is(err, trace.ErrCutOff) && !errors.Is(err, io.EOF) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if got < before {
			t.Fatalf("%d events in %d bytes, %d in fewer", got, n, before)
		}
		before = got
	}
	if all, err := count(b); !errors.Is(err, io.EOF) || all < 10 {
		t.Errorf("%d events, %v", all, err)
	}
}

// TestDescribe puts a short session into words.
func TestDescribe(t *testing.T) {
	var d trace.Describer
	var b strings.Builder
	for _, e := range events(t, session(t, ccidsim.TPDUT1LRC, trace.Options{Unmasked: true}, apdus(t, false)[:3])) {
		l := d.Describe(e)
		b.WriteString(l.Kind + " " + l.What + " " + strings.Join(l.Words, ", ") + " " + l.Block)
		if l.Command != nil {
			b.WriteString(" " + l.Command.Name + " " + l.Command.Header + " " + l.Command.Data)
		}
		if l.Answer != nil {
			b.WriteString(" " + l.Answer.Data + " " + l.Answer.SW + " " + l.Answer.Words)
		}
		b.WriteString("\n")
	}
	for _, want := range []string{
		"opened device 08e6:3437 Gemplus GemPC Twin, bus 0, address 1, interface 0, CCID, TPDU level, messages of up to 271 bytes",
		"sent IccPowerOn 5 V", "ATR 3B 88 01 4B 41 5A 54 4F 4B 45 4E 82",
		"sent XfrBlock  I(0,0) 8 bytes SELECT 00A40004 3F00", "answered DataBlock  I(0,0) 2 bytes  9000 done",
		"I(0,0) 15 bytes VERIFY 00200002 ********************\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, b.String())
		}
	}
	if shows([]byte(b.String()), userPIN) != nil {
		t.Error("the PIN of an unmasked recording shows")
	}
}

// FuzzReader: a file of anything gives events that are no larger than it, whose
// masks are within their data, and that can be put into words.
func FuzzReader(f *testing.F) {
	for _, p := range []ccidsim.Profile{ccidsim.KAZTOKEN, ccidsim.TPDUT1CRC, ccidsim.ICCDB} {
		b, err := os.ReadFile(session(f, p, trace.Options{}, apdus(f, false)[:4]))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var d trace.Describer
		total := 0
		for r := trace.NewReader(bytes.NewReader(b)); ; {
			e, err := r.Next()
			if err != nil {
				if !errors.Is(err, io.EOF) && !errors.Is(err, trace.ErrCutOff) && !errors.Is(err, trace.ErrRecording) {
					t.Fatal(err)
				}
				break
			}
			total += len(e.Data)
			for _, s := range e.Masked {
				if s.Offset < 0 || s.Length < 1 || s.Offset+s.Length > len(e.Data) {
					t.Fatalf("%v of %d bytes", s, len(e.Data))
				}
			}
			if l := d.Describe(e); l.What == "" || l.Packet < 1 {
				t.Fatalf("%+v", l)
			}
		}
		if total > len(b) {
			t.Fatalf("%d bytes of events in a file of %d", total, len(b))
		}
	})
}

// BenchmarkTransmit is an APDU over USB in software, with a recorder and without.
func BenchmarkTransmit(b *testing.B) {
	for _, recorded := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "recorded"}[recorded], func(b *testing.B) {
			d := ccidsim.New(ccidsim.KAZTOKEN, &vault{atr: ccidsim.KAZTOKEN.ATR})
			ifc := interfaceOf(b, d.Info())
			p := d.Pipe()
			if recorded {
				r, err := trace.Create(filepath.Join(b.TempDir(), "b.pcapng"), trace.Options{})
				if err != nil {
					b.Fatal(err)
				}
				defer r.Close()
				p = r.Pipe(p, d.Info(), ifc)
			}
			reader, err := ccid.Open(b.Context(), p, ifc)
			if err != nil {
				b.Fatal(err)
			}
			defer reader.Close()
			slot := reader.Slots()[0]
			if _, err := slot.PowerOn(b.Context()); err != nil {
				b.Fatal(err)
			}
			apdu := []byte{0x00, 0xB0, 0x00, 0x00, 0xC8}
			resp := make([]byte, 0, 300)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := slot.Transmit(b.Context(), resp, apdu); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

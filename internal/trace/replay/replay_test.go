package replay_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/ccid"
	"kaztoken/ccid/ccidsim"
	"kaztoken/firmware/emu"
	"kaztoken/internal/trace"
	"kaztoken/internal/trace/replay"
	"kaztoken/usb"
)

// steps is a session with a token in its factory state: short and long answers,
// a PIN, a refusal, a reset in the middle.
var steps = []string{
	"\x00\xA4\x08\x00\x02\x50\x00\x00", "\x00\xCA\x01\x81\x00", "\x80\xEC\x41\x01\xF0",
	"\x00\x20\x00\x02\x0812345678", "\x80\xEC\x00\x00\xF0" + string(bytes.Repeat([]byte("Q"), 240)) + "\xF0", "cold", "\x00\xB0\x00\x00\x00",
}

// record records steps on a reader and gives the file.
func record(t testing.TB, p ccidsim.Profile, faults ...ccidsim.Fault) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "session.pcapng")
	rec, err := trace.Create(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := ccidsim.New(p, emu.New(emu.WithATR(p.ATR)))
	all, err := d.Info().Interfaces(usb.AllowAnyVendorClass())
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	r, err := ccid.Open(ctx, rec.Pipe(d.Pipe(), d.Info(), all[0]), all[0], ccid.WithDevice(d.Info()), ccid.WithAutoGetResponse(false))
	if err != nil {
		t.Fatal(err)
	}
	s := r.Slots()[0]
	if _, err := s.PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	d.Inject(faults...)
	for _, step := range steps {
		if step == "cold" {
			_, err = s.Reset(ctx, true)
		} else {
			_, err = s.Transmit(ctx, nil, []byte(step))
		}
		if err != nil && len(faults) == 0 {
			t.Fatalf("%q: %v", step, err)
		}
	}
	if err := errors.Join(r.Close(), rec.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestGreen: what is recorded today replays today, at every level that can be
// replayed.
func TestGreen(t *testing.T) {
	for _, p := range []ccidsim.Profile{
		ccidsim.KAZTOKEN, ccidsim.RutokenECP, ccidsim.ExtendedAPDU, ccidsim.ExtendedChaining, ccidsim.TPDUT1LRC, ccidsim.TPDUT1CRC,
		ccidsim.TwoSlots,
	} {
		t.Run(p.Name, func(t *testing.T) {
			r, err := replay.Run(t.Context(), bytes.NewReader(record(t, p)))
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Devices) != 1 || r.Differences() != 0 {
				t.Fatalf("got %+v", r)
			}
			d := r.Devices[0]
			if d.Sent < 9 || d.Answered != d.Sent || d.Left != 0 || d.Why != "" {
				t.Errorf("got %+v", d)
			}
		})
	}
}

// TestRed: a byte of the recording is another one, in a command or in an answer,
// and the replay finds it; a byte that is masked may be anything.
func TestRed(t *testing.T) {
	file := record(t, ccidsim.KAZTOKEN)
	for _, c := range []struct {
		name, old, new string
		differences    bool
	}{
		// What the driver makes of an APDU, the reader of its answer, and the status.
		{"level of a command", "\x6F\x05\x00\x00\x00\x00\x04\x00\x00\x00", "\x6F\x05\x00\x00\x00\x00\x04\x07\x00\x00", true},
		{"chain of an answer", "\x80\x0A\x00\x00\x00\x00\x04\x00\x00\x00", "\x80\x0A\x00\x00\x00\x00\x04\x00\x05\x00", true},
		{"voltage", "\x62\x00\x00\x00\x00\x00\x02\x01", "\x62\x00\x00\x00\x00\x00\x02\x02", true},
		{"sequence number", "\x80\x0A\x00\x00\x00\x00\x04\x00\x00\x00", "\x80\x0A\x00\x00\x00\x00\x05\x00\x00\x00", false},
		{"masked PIN", "\x00\x20\x00\x02\x08********", "\x00\x20\x00\x02\x08ABCDEFGH", false},
		// The card is the recorded one, whatever it says.
		{"serial number", "\x32\xD1\x8A\x58\x90\x00", "\x01\x02\x03\x04\x90\x00", false},
	} {
		if !bytes.Contains(file, []byte(c.old)) {
			t.Errorf("%s: % X is not in the recording", c.name, c.old)
			continue
		}
		r, err := replay.Run(t.Context(), bytes.NewReader(bytes.Replace(file, []byte(c.old), []byte(c.new), 1)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := r.Differences() > 0; got != c.differences {
			t.Errorf("%s: differences %v, want %v: %+v", c.name, got, c.differences, r)
		}
	}
}

// TestPartial: what a reader in software does not do ends a replay, and it says
// where; what comes before is compared.
func TestPartial(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault ccidsim.Fault
		why   string
	}{
		{"refusal", ccidsim.Fault{Where: ccidsim.Out, At: 6, Kind: ccidsim.ErrorCode, Value: 0xF6}, "refused a command"},
		{"stall", ccidsim.Fault{Where: ccidsim.In, At: 6, Kind: ccidsim.Stall}, "a transfer failed"},
		{"junk", ccidsim.Fault{Where: ccidsim.In, At: 6, Kind: ccidsim.Long}, "no message"},
	} {
		r, err := replay.Run(t.Context(), bytes.NewReader(record(t, ccidsim.KAZTOKEN, c.fault)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		d := r.Devices[0]
		if r.Differences() != 0 || d.Sent < 2 || d.Left == 0 || !strings.Contains(d.Why, c.why) {
			t.Errorf("%s: got %+v", c.name, d)
		}
	}
}

// TestExtensions: how much time a card asks for makes no difference.
func TestExtensions(t *testing.T) {
	r, err := replay.Run(t.Context(), bytes.NewReader(record(t, ccidsim.KAZTOKEN, ccidsim.Fault{Where: ccidsim.In, At: 6, Kind: ccidsim.TimeExt})))
	if err != nil || r.Differences() != 0 || r.Devices[0].Left != 0 {
		t.Errorf("reader: got %+v, %v", r, err)
	}
	r, err = replay.Run(t.Context(), bytes.NewReader(record(t, ccidsim.TPDUT1LRC, ccidsim.Fault{Where: ccidsim.BlockIn, At: 4, Kind: ccidsim.WTX})))
	if err != nil || r.Differences() != 0 || r.Devices[0].Left != 0 {
		t.Errorf("T=1: got %+v, %v", r, err)
	}
}

func TestNotRepeatable(t *testing.T) {
	for _, p := range []ccidsim.Profile{ccidsim.Character, ccidsim.ICCDA, ccidsim.ICCDB} {
		if _, err := replay.Run(t.Context(), bytes.NewReader(recordNothing(t, p))); !errors.Is(err, replay.ErrNotRepeatable) {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
	if _, err := replay.Run(t.Context(), strings.NewReader("no recording")); !errors.Is(err, trace.ErrRecording) {
		t.Errorf("a text: %v", err)
	}
}

// recordNothing records the descriptors alone.
func recordNothing(t *testing.T, p ccidsim.Profile) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nothing.pcapng")
	rec, err := trace.Create(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := ccidsim.New(p, emu.New(emu.WithATR(p.ATR)))
	all, err := d.Info().Interfaces(usb.AllowAnyVendorClass())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(rec.Pipe(d.Pipe(), d.Info(), all[0]).Close(), rec.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzRun: a replay of anything ends, and compares no more than there is.
func FuzzRun(f *testing.F) {
	f.Add(record(f, ccidsim.KAZTOKEN))
	f.Add(record(f, ccidsim.TPDUT1LRC))
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := replay.Run(ctx, bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, replay.ErrNotRepeatable) && !errors.Is(err, trace.ErrRecording) {
				t.Fatal(err)
			}
			return
		}
		for _, d := range r.Devices {
			if n := d.Sent + d.Answered + d.Requests; n > len(b)/64 || len(d.Differences) > 20 {
				t.Fatalf("%d events compared of a file of %d bytes: %+v", n, len(b), d)
			}
		}
	})
}

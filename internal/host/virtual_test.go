package host

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/firmware/emu"
	"kaztoken/usb"
)

// exchange opens the virtual token, powers it up, sends one APDU and closes it.
func exchange(t *testing.T, state string, apdu []byte) []byte {
	t.Helper()
	tok, err := OpenToken(t.Context(), Options{Backend: "virtual", VirtualState: state})
	if err != nil {
		t.Fatal(err)
	}
	defer tok.Close()
	if _, err := tok.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	resp, err := tok.Transmit(t.Context(), nil, apdu)
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Close(); err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestVirtualStateStays: what one run did to the token the next one finds.
func TestVirtualStateStays(t *testing.T) {
	verify := func(pin string) []byte { return append([]byte{0x00, 0x20, 0x00, 0x02, byte(len(pin))}, pin...) }
	triesLeft := []byte{0x00, 0x20, 0x00, 0x02}
	state := filepath.Join(t.TempDir(), "state")
	for _, step := range []struct{ apdu, want []byte }{
		{triesLeft, []byte{0x63, 0xCA}},
		{verify("00000000"), []byte{0x63, 0x00}},
		{triesLeft, []byte{0x63, 0xC9}},
		{verify("12345678"), []byte{0x90, 0x00}},
		{triesLeft, []byte{0x63, 0xCA}}, // and nobody is logged in
	} {
		if got := exchange(t, state, step.apdu); !bytes.Equal(got, step.want) {
			t.Errorf("% X: % X, want % X", step.apdu[:4], got, step.want)
		}
	}
	if got := exchange(t, filepath.Join(t.TempDir(), "other"), verify("12345678")); !bytes.Equal(got, []byte{0x90, 0x00}) {
		t.Errorf("a token in another file answers % X", got)
	}
}

// TestVirtualStatePlace: the file is made when the token is opened, and not
// before, where only its user can read it.
func TestVirtualStatePlace(t *testing.T) {
	home := t.TempDir()
	usual := filepath.Join(home, ".local", "state")
	if runtime.GOOS == "darwin" {
		usual = filepath.Join(home, "Library", "Application Support")
	}
	xdg := filepath.Join(home, "elsewhere")
	for _, c := range []struct{ xdg, want string }{
		{"", usual},
		{xdg, xdg},
		{"relative", usual},
	} {
		t.Setenv("HOME", home)
		t.Setenv("XDG_STATE_HOME", c.xdg)
		dir := filepath.Join(c.want, "kaztoken")
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		o := Options{Backend: "virtual"}
		if all, err := Find(t.Context(), o); err != nil || len(all) != 1 {
			t.Fatalf("find: %v, %v", all, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: looking for the token made something: %v", c.xdg, err)
		}
		tok, err := OpenToken(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer tok.Close()
		for name, want := range map[string]fs.FileMode{dir: 0o700 | fs.ModeDir, filepath.Join(dir, "virtual.state"): 0o600} {
			if info, err := os.Stat(name); err != nil || info.Mode() != want {
				t.Errorf("%s: %v, %v, want mode %v", name, info, err, want)
			}
		}
		if err := tok.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	if _, err := OpenToken(t.Context(), Options{Backend: "virtual"}); err == nil || !strings.Contains(Hint(err), "--virtual-state") {
		t.Errorf("without a home: %v, hint %q", err, Hint(err))
	}
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_STATE_HOME", file)
	if _, err := OpenToken(t.Context(), Options{Backend: "virtual"}); err == nil || !strings.Contains(err.Error(), file) || Hint(err) == "" {
		t.Errorf("in a file: %v, hint %q", err, Hint(err))
	}
}

func TestVirtualStateRefused(t *testing.T) {
	dir := t.TempDir()
	busy, bad := filepath.Join(dir, "busy"), filepath.Join(dir, "bad")
	card, err := emu.Open(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer card.Close()
	if err := os.WriteFile(bad, []byte("dear diary"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want []error
		hint string
	}{
		{busy, []error{emu.ErrInUse, usb.ErrBusy}, "another file"},
		{bad, []error{emu.ErrState}, "remove it: " + bad},
		{filepath.Join(dir, "no", "folder"), []error{fs.ErrNotExist}, ""},
	} {
		_, err := OpenToken(t.Context(), Options{Backend: "virtual", VirtualState: c.path})
		for _, want := range c.want {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", c.path, err, want)
			}
		}
		if err == nil || !strings.Contains(err.Error(), c.path) || strings.Contains(err.Error(), "another program") ||
			!strings.Contains(Hint(err), c.hint) || (c.hint == "") != (Hint(err) == "") {
			t.Errorf("%s: %v, hint %q", c.path, err, Hint(err))
		}
	}
	if got, err := os.ReadFile(bad); err != nil || string(got) != "dear diary" {
		t.Errorf("the file that is no token was changed to %q, %v", got, err)
	}
}

// TestVirtualFollowed: a supervisor has the token while it runs, and waits for
// one that somebody else has.
func TestVirtualFollowed(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		card, err := emu.Open(state)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Follow(Options{Backend: "virtual", VirtualState: state})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sub := s.Subscribe()
		if ev := expect(t, sub, Failed, time.Second); !errors.Is(ev.Err, usb.ErrBusy) || Hint(ev.Err) == "" {
			t.Errorf("failed with %v, hint %q", ev.Err, Hint(ev.Err))
		}
		if err := card.Close(); err != nil {
			t.Fatal(err)
		}
		expect(t, sub, Arrived, 2*backoffMin)
		if _, err := emu.Open(state); !errors.Is(err, emu.ErrInUse) {
			t.Errorf("the token is not held: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if card, err = emu.Open(state); err != nil {
			t.Fatalf("the token is still held: %v", err)
		}
		if err := card.Close(); err != nil {
			t.Error(err)
		}
	})
}

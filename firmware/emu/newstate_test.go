package emu

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestWithNewState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state")
	open := func(opts ...Option) *Card {
		t.Helper()
		c, err := Open(path, opts...)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open(WithTokenID([8]byte{1}))
	// A token that is open stays as it is.
	if _, err := Open(path, WithNewState()); !errors.Is(err, ErrInUse) {
		t.Errorf("open twice: %v, want ErrInUse", err)
	}
	for _, want := range []struct {
		id   [8]byte
		opts []Option
	}{
		{[8]byte{1}, []Option{WithTokenID([8]byte{2})}},
		{[8]byte{2}, []Option{WithTokenID([8]byte{2}), WithNewState()}},
		{[8]byte{2}, nil},
	} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if c = open(want.opts...); c.id != want.id {
			t.Errorf("id % X, want % X", c.id, want.id)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("no token"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ErrState) {
		t.Errorf("something else: %v, want ErrState", err)
	}
	if err := open(WithNewState()).Close(); err != nil {
		t.Error(err)
	}
	if err := open().Close(); err != nil {
		t.Errorf("the new state is not kept: %v", err)
	}
}

func TestDuration(t *testing.T) {
	for apdu, want := range map[string]time.Duration{
		"\x00\x46\x80\x01\x00": time.Millisecond, "\x00\xCA\x01\x81\x00": 0, "\x80\x46\x80\x01": 0, "\x00": 0, "": 0,
	} {
		if got := New().Duration([]byte(apdu)); got != want {
			t.Errorf("% X: %v, want %v", apdu, got, want)
		}
	}
}

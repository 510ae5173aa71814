//go:build linux

package vm

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// A cache directory is there whole or not at all.
func TestFill(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kernel")
	broken := errors.New("network is down")
	half := func(tmp string) error {
		if err := os.WriteFile(filepath.Join(tmp, "vmlinuz"), []byte("half"), 0o644); err != nil {
			return err
		}
		return broken
	}
	if err := fill(dir, half); !errors.Is(err, broken) {
		t.Fatalf("interrupted: got %v, want %v", err, broken)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
		t.Fatalf("interrupted: left %v", left)
	}
	whole := func(tmp string) error {
		return os.WriteFile(filepath.Join(tmp, "vmlinuz"), []byte("whole"), 0o644)
	}
	if err := fill(dir, whole); err != nil {
		t.Fatal(err)
	}
	if err := fill(dir, half); err != nil {
		t.Fatalf("complete: filled again: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "vmlinuz")); string(got) != "whole" {
		t.Errorf("got %q, %v; want the whole file", got, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("left %v beside the directory", left)
	}
}

//go:build e2e

package main

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestReaders has the programs that show pages look for mistakes in them.
func TestReaders(t *testing.T) {
	dir := t.TempDir()
	if err := write(dir, "v1.2.3", "1700000000"); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man", "*", "*.1"))
	more, err2 := filepath.Glob(filepath.Join(dir, "man", "*", "*", "*.1"))
	pages = append(pages, more...)
	if err != nil || err2 != nil || len(pages) < 100 {
		t.Fatalf("%d pages, %v, %v", len(pages), err, err2)
	}
	readers := [][]string{{"mandoc", "-Tlint", "-Wwarning"}, {"groff", "-man", "-ww", "-Kutf8", "-Tutf8", "-z"}}
	found := false
	for _, reader := range readers {
		if _, err := exec.LookPath(reader[0]); err != nil {
			t.Logf("%s is not installed", reader[0])
			continue
		}
		found = true
		out, err := exec.Command(reader[0], append(reader[1:], pages...)...).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", reader[0], err, out)
		}
	}
	if !found {
		t.Fatal("neither mandoc nor groff is installed: run make deps-e2e")
	}
}

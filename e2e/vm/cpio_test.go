//go:build linux

package vm

import (
	"bytes"
	"strings"
	"testing"
)

// The layout of the "newc" archive as the kernel's
// Documentation/driver-api/early-userspace/buffer-format describes it.
func TestCpioLayout(t *testing.T) {
	var b bytes.Buffer
	c := cpioWriter{w: &b}
	c.directory("d")
	c.character("tty", 5, 1)
	c.file("d/f", 0o755, []byte("hello"))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	const zero = "00000000"
	want := strings.Join([]string{
		// magic inode mode uid gid links mtime size dev rdev namesize check
		"070701" + "00000001" + "000041ed" + zero + zero + "00000002" + zero + zero + zero + zero + zero + zero + "00000002" + zero,
		"d\x00",
		"070701" + "00000002" + "00002180" + zero + zero + "00000001" + zero + zero + zero + zero + "00000005" + "00000001" + "00000004" + zero,
		"tty\x00\x00\x00",
		"070701" + "00000003" + "000081ed" + zero + zero + "00000001" + zero + "00000005" + zero + zero + zero + zero + "00000004" + zero,
		"d/f\x00\x00\x00", "hello\x00\x00\x00",
		"070701" + "00000004" + zero + zero + zero + "00000001" + zero + zero + zero + zero + zero + zero + "0000000b" + zero,
		"TRAILER!!!\x00\x00\x00\x00",
	}, "")
	if got := b.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

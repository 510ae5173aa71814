package host

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"kaztoken/bridge"
	"kaztoken/bridge/sharing"
)

// A part of what Linux 6.1 shows of a program that the loader has worked on.
const smaps = `00400000-00a8b000 r-xp 00000000 fe:00 1234                               /usr/bin/kaztoken
Size:               6700 kB
KernelPageSize:        4 kB
Rss:                5000 kB
Private_Dirty:         0 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
00a8b000-01185000 r--p 0068b000 fe:00 1234                               /usr/bin/kaz token (deleted)
Anonymous:             0 kB
01185000-01200000 rw-p 00d85000 fe:00 1234                               /usr/bin/kaztoken
Anonymous:             0 kB
01200000-01201000 r--p 00e00000 fe:00 1234                               /usr/bin/kaztoken
Private_Dirty:         4 kB
Anonymous:             4 kB
02000000-02001000 r--s 00000000 fe:00 77                                 /var/cache/shared
Anonymous:             0 kB
02001000-02002000 r--p 00000000 00:00 0
Anonymous:             0 kB
7ffd0000-7ffd1000 r-xp 00000000 00:00 0                                  [vdso]
Anonymous:             0 kB
`

func TestCleanAreas(t *testing.T) {
	got, err := cleanAreas(bufio.NewScanner(strings.NewReader(smaps)))
	if err != nil {
		t.Fatal(err)
	}
	want := []area{{0x00400000, 0x00a8b000}, {0x00a8b000, 0x01185000}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(area{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for _, bad := range []string{
		"z-1 r--p 0 0:0 1 /x", "1-z r--p 0 0:0 1 /x", "2-1 r--p 0 0:0 1 /x", "1-2 r--p", "1-10000000000000000 r--p 0 0:0 1 /x",
	} {
		if areas, err := cleanAreas(bufio.NewScanner(strings.NewReader(bad + "\nAnonymous: 0 kB\n"))); err == nil {
			t.Errorf("%q: got %v", bad, areas)
		}
	}
}

func FuzzCleanAreas(f *testing.F) {
	f.Add(smaps)
	f.Fuzz(func(t *testing.T, text string) {
		areas, err := cleanAreas(bufio.NewScanner(strings.NewReader(text)))
		for _, a := range areas {
			if err == nil && (a.from >= a.to || !strings.Contains(strings.ToLower(text), fmt.Sprintf("%x", a.from))) {
				t.Errorf("got %x-%x", a.from, a.to)
			}
		}
	})
}

// What is only read goes, what was written stays.
func TestDropPages(t *testing.T) {
	clean, written := mapFile(t), mapFile(t)
	written[len(written)/2] = 8
	touch(t, clean)
	touch(t, written)
	if err := DropPages(); err != nil {
		t.Fatal(err)
	}
	if n := residentOf(t, clean); n != 0 {
		t.Errorf("%d bytes are in memory afterwards", n)
	}
	if clean[1] != 7 || written[len(written)/2] != 8 || written[1] != 7 {
		t.Error("the bytes are other ones")
	}
}

// A service gives memory back when its card was switched off, but not for each of
// many cards.
func TestServiceRests(t *testing.T) {
	m := newPlugs()
	s := startService(t, ServiceOptions{follow: m.follow})
	last := func() time.Time {
		s.resting.Lock()
		defer s.resting.Unlock()
		return s.rested
	}
	eventually(t, "the start is over", func() bool { return !last().IsZero() })
	restedAt := func(when time.Time) {
		s.resting.Lock()
		defer s.resting.Unlock()
		s.rested = when
	}
	restedAt(time.Now().Add(time.Hour)) // just now, however slow this test is
	b := mapFile(t)
	touch(t, b)
	for _, e := range []bridge.Event{
		{Kind: bridge.EventCard, Work: sharing.PowerUp}, {Kind: bridge.EventCard, Work: sharing.PowerDown, Err: bridge.ErrNoCard}, {Kind: bridge.EventRequest},
	} {
		if e.SwitchedOff() {
			t.Errorf("%v is no switching off", e)
		}
	}
	s.rest()
	if n := residentOf(t, b); n != len(b) {
		t.Errorf("%d bytes are in memory, and it rests just now", n)
	}
	restedAt(time.Now().Add(-restPause))
	s.trace(bridge.Event{Kind: bridge.EventCard, Work: sharing.PowerDown})
	eventually(t, "the memory is given back", func() bool { return residentOf(t, b) == 0 })
}

// mapFile maps a file of sevens, for reading. What is written to it becomes a
// copy of ours.
func mapFile(t *testing.T) []byte {
	t.Helper()
	const size = 1 << 20
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(b) })
	return b
}

// touch has all of a mapping in memory, and makes it one that cannot be written
// to.
func touch(t *testing.T, b []byte) {
	t.Helper()
	if err := unix.Mprotect(b, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte{7}); n < len(b)-1 {
		t.Fatalf("%d bytes of %d", n, len(b))
	}
	if n := residentOf(t, b); n != len(b) {
		t.Fatalf("%d bytes are in memory before", n)
	}
}

// residentOf is how much of a mapping is in memory.
func residentOf(t *testing.T, b []byte) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), strings.TrimPrefix(fmt.Sprintf("%p-", &b[0]), "0x"))
	if !ok {
		t.Fatalf("no mapping at %p", &b[0])
	}
	_, rest, _ = strings.Cut(rest, "\nRss:")
	var kib int
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

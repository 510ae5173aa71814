package host

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// DropPages takes the pages of the program's files out of its memory that are as
// they are in the file. Those that are needed again come back one by one, most
// often without reading the file; those that only the start needed stay away,
// which is most of them in a service.
func DropPages() error {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer f.Close()
	areas, err := cleanAreas(bufio.NewScanner(f))
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name(), err)
	}
	for _, a := range areas {
		// Not by unix.Madvise: no slice of Go's should be of this memory.
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, a.from, a.to-a.from, unix.MADV_DONTNEED); errno != 0 {
			return fmt.Errorf("madvise %x-%x: %w", a.from, a.to, errno)
		}
	}
	return nil
}

// area is a part of the address space.
type area struct{ from, to uintptr }

// cleanAreas finds in the text of smaps (proc_pid_smaps(5)) what is mapped of
// files, cannot be written to, and has no page of which the process has its own
// copy: the loader makes such copies where it fills in addresses, and they could
// not be read from the file again.
func cleanAreas(lines *bufio.Scanner) (areas []area, err error) {
	var last area
	file := false // last is of a file and cannot be written to
	for lines.Scan() {
		fields := bytes.Fields(lines.Bytes())
		if len(fields) < 2 {
			continue
		}
		if from, to, ok := bytes.Cut(fields[0], []byte("-")); ok {
			a, err1 := strconv.ParseUint(string(from), 16, strconv.IntSize)
			b, err2 := strconv.ParseUint(string(to), 16, strconv.IntSize)
			if err1 != nil || err2 != nil || a >= b || len(fields) < 5 {
				return nil, fmt.Errorf("line %q", lines.Bytes())
			}
			last = area{uintptr(a), uintptr(b)}
			file = len(fields) >= 6 && fields[5][0] == '/' && len(fields[1]) == 4 && fields[1][1] == '-' && fields[1][3] == 'p'
			continue
		}
		if file && string(fields[0]) == "Anonymous:" && string(fields[1]) == "0" {
			areas = append(areas, last)
		}
	}
	return areas, lines.Err()
}

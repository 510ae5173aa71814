package host

import (
	"fmt"
	"os"
	"strings"
	"unicode"
)

// programOf is the kernel's name of the program that a process runs, at most 15
// bytes; "?" where that cannot be seen. Any program may choose its name, so what
// cannot be printed is replaced.
func programOf(pid int) string {
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	name := strings.TrimSpace(string(comm))
	if err != nil || name == "" {
		return "?"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}

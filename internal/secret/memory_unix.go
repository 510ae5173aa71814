//go:build unix

package secret

import "golang.org/x/sys/unix"

// allocate gives n bytes in pages of their own: not swapped out and, where the
// system can, not in core files. If it refuses, the heap has to do.
func allocate(n int) (data []byte, free func()) {
	pages, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, n), nil
	}
	_ = unix.Mlock(pages) // best effort: the limit of locked memory may be 0
	keepOutOfCores(pages)
	return pages[:n:n], func() {
		_ = unix.Munlock(pages)
		_ = unix.Munmap(pages)
	}
}

//go:build linux

package vm

import (
	"fmt"
	"io"
	"io/fs"
)

// cpioWriter writes a cpio archive in the "newc" form, the one that Linux
// unpacks as its first root file system (Documentation/driver-api/early-userspace
// in the kernel tree). Errors stick: they are returned by Close.
type cpioWriter struct {
	w     io.Writer
	n     int64 // bytes written, for padding
	inode int
	err   error
}

// Types of a file in the mode field.
const (
	cpioDirectory = 0o040000
	cpioRegular   = 0o100000
	cpioCharacter = 0o020000
)

// file adds a regular file with all its bytes.
func (c *cpioWriter) file(name string, perm fs.FileMode, data []byte) {
	c.entry(name, cpioRegular|int(perm.Perm()), data, 0, 0)
}

// directory adds an empty directory. Parents come before children.
func (c *cpioWriter) directory(name string) { c.entry(name, cpioDirectory|0o755, nil, 0, 0) }

// character adds a character device node.
func (c *cpioWriter) character(name string, major, minor int) {
	c.entry(name, cpioCharacter|0o600, nil, major, minor)
}

// Close writes the trailer; the archive is not complete without it.
func (c *cpioWriter) Close() error {
	c.entry("TRAILER!!!", 0, nil, 0, 0)
	return c.err
}

func (c *cpioWriter) entry(name string, mode int, data []byte, major, minor int) {
	links := 1
	if mode&cpioDirectory != 0 {
		links = 2
	}
	c.inode++
	// magic, ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor,
	// rdevmajor, rdevminor, namesize, check
	c.write(fmt.Appendf(nil, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, links, 0, len(data), 0, 0, major, minor, len(name)+1, 0))
	c.write(append([]byte(name), 0))
	c.pad()
	c.write(data)
	c.pad()
}

func (c *cpioWriter) pad() {
	if odd := c.n % 4; odd != 0 {
		c.write(make([]byte, 4-odd))
	}
}

func (c *cpioWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	c.err = err
}

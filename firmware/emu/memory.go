package emu

// The memory of the token, bytes. The guide's window shows a total of 262144,
// 65536 available for files and, in the factory state, 53408 free.
const (
	totalMemory = 262144

	// Assumed: what one file takes besides its content. Nobody has published how
	// the hardware counts; this only makes files cost something.
	fileOverhead = 32

	factoryFree = 53408
	// factoryUsed is what the factory state takes: 15 DFs, 5 EFs, 2 PINs.
	factoryUsed = 22*fileOverhead + 4*128 + 256 + 2*maxPIN
	// defaultCapacity makes the factory state show the guide's free memory. The
	// rest of the 65536 is taken to be the system's own.
	defaultCapacity = factoryFree + factoryUsed
)

// maxChildren is the highest number of files in one directory.
const maxChildren = 255

// cost is what f takes of the memory, without its children. A PIN takes room for
// the longest, so that changing it cannot fail; a DF takes nothing for the size
// it declares.
func (f *file) cost() int {
	switch {
	case f.isDF():
		return fileOverhead
	case f.isPIN():
		return fileOverhead + maxPIN
	}
	return fileOverhead + int(f.size)
}

// used is what f and all below it take.
func (f *file) used() int {
	if f == nil {
		return 0
	}
	n := f.cost()
	for _, k := range f.children {
		n += k.used()
	}
	return n
}

// free is what is left, never negative.
func (c *Card) free() int { return max(0, c.capacity-c.mf.used()) }

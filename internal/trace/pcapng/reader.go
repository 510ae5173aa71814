package pcapng

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxInterfaces bounds what is remembered of one section.
const maxInterfaces = 1 << 16

// Reader reads the blocks of a file, one after the other.
type Reader struct {
	r          io.Reader
	order      binary.ByteOrder // of the section; nil before the first
	interfaces []Resolution     // of the section
	buf        []byte
}

// NewReader reads from r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next gives the next block: a *[Section], *[Interface] or *[Packet]. What it
// refers to is valid until the next call. Other blocks are passed over.
//
// The error is [io.EOF] at the end of the file, [ErrTruncated] if it ends within
// a block, [ErrMalformed], or that of r. No error can be read past.
func (r *Reader) Next() (any, error) {
	for {
		block, err := r.next()
		if block != nil || err != nil {
			return block, err
		}
	}
}

// next reads a block, nil for one that is passed over.
func (r *Reader) next() (any, error) {
	var head [12]byte // type, length and, of a section, the magic
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			if r.order == nil {
				return nil, fmt.Errorf("%w: no section header", ErrMalformed)
			}
			return nil, ErrTruncated
		}
		return nil, err
	}
	section := binary.LittleEndian.Uint32(head[:]) == typeSection // a palindrome
	switch {
	case section && binary.LittleEndian.Uint32(head[8:]) == magic:
		r.order = binary.LittleEndian
	case section && binary.BigEndian.Uint32(head[8:]) == magic:
		r.order = binary.BigEndian
	case section:
		return nil, fmt.Errorf("%w: byte-order magic % X", ErrMalformed, head[8:])
	case r.order == nil:
		return nil, fmt.Errorf("%w: no section header", ErrMalformed)
	}
	length := r.order.Uint32(head[4:])
	if length < 12 || length%4 != 0 || length > MaxBlock {
		return nil, fmt.Errorf("%w: a block of %d bytes", ErrMalformed, length)
	}
	rest := int(length) - len(head)
	r.buf = append(r.buf[:0], head[8:]...)
	if rest > 0 {
		r.buf = slices.Grow(r.buf, rest)[:4+rest]
		if _, err := io.ReadFull(r.r, r.buf[4:]); err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = ErrTruncated
			}
			return nil, err
		}
	}
	body, tail := r.buf[:len(r.buf)-4], r.buf[len(r.buf)-4:]
	if again := r.order.Uint32(tail); again != length {
		return nil, fmt.Errorf("%w: a block of %d bytes that ends as one of %d", ErrMalformed, length, again)
	}
	switch r.order.Uint32(head[:]) {
	case typeSection:
		return r.section(body)
	case typeInterface:
		return r.iface(body)
	case typePacket:
		return r.packet(body)
	}
	return nil, nil
}

func (r *Reader) section(b []byte) (any, error) {
	if len(b) < 16 {
		return nil, fmt.Errorf("%w: a section header of %d bytes", ErrMalformed, len(b))
	}
	if major := r.order.Uint16(b[4:]); major != 1 {
		return nil, fmt.Errorf("%w: version %d", ErrMalformed, major)
	}
	r.interfaces = r.interfaces[:0]
	options, err := r.options(b[16:])
	return &Section{options}, err
}

func (r *Reader) iface(b []byte) (any, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%w: an interface description of %d bytes", ErrMalformed, len(b))
	}
	if len(r.interfaces) == maxInterfaces {
		return nil, fmt.Errorf("%w: more than %d interfaces", ErrMalformed, maxInterfaces)
	}
	options, err := r.options(b[8:])
	if err != nil {
		return nil, err
	}
	i := &Interface{LinkType: r.order.Uint16(b), SnapLen: r.order.Uint32(b[4:]), Options: options}
	resolution, ok := i.resolution()
	if !ok {
		return nil, fmt.Errorf("%w: resolution of time stamps", ErrMalformed)
	}
	r.interfaces = append(r.interfaces, resolution)
	return i, nil
}

func (r *Reader) packet(b []byte) (any, error) {
	if len(b) < 20 {
		return nil, fmt.Errorf("%w: a packet block of %d bytes", ErrMalformed, len(b))
	}
	p := &Packet{Interface: r.order.Uint32(b), Original: r.order.Uint32(b[16:])}
	n := uint64(r.order.Uint32(b[12:]))
	padded := (n + 3) &^ 3
	switch {
	case uint64(p.Interface) >= uint64(len(r.interfaces)):
		return nil, fmt.Errorf("%w: a packet of interface %d, which is not described", ErrMalformed, p.Interface)
	case padded > uint64(len(b)-20):
		return nil, fmt.Errorf("%w: a packet of %d bytes in a block of %d", ErrMalformed, n, len(b)+12)
	}
	p.Time = r.interfaces[p.Interface].time(uint64(r.order.Uint32(b[4:]))<<32 | uint64(r.order.Uint32(b[8:])))
	p.Data = b[20 : 20+n : 20+n]
	var err error
	p.Options, err = r.options(b[20+padded:])
	return p, err
}

// options reads a list to its end or to that of the block.
func (r *Reader) options(b []byte) (all []Option, err error) {
	for len(b) >= 4 {
		code, n := r.order.Uint16(b), int(r.order.Uint16(b[2:]))
		if code == OptEnd {
			return all, nil
		}
		padded := (n + 3) &^ 3
		if padded > len(b)-4 {
			return nil, fmt.Errorf("%w: an option of %d bytes", ErrMalformed, n)
		}
		all = append(all, Option{code, b[4 : 4+n : 4+n]})
		b = b[4+padded:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%w: %d bytes behind the options", ErrMalformed, len(b))
	}
	return all, nil
}

// Package pcapng reads and writes the blocks of a pcapng file that a recording
// of USB needs: section header, interface description, enhanced packet
// (draft-ietf-opsawg-pcapng-02).
//
// What is written is little-endian. Either byte order is read, and blocks of
// other types are passed over.
package pcapng

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
	"time"
)

// Types of blocks (§4, §10.1).
const (
	typeSection   = 0x0A0D0D0A
	typeInterface = 0x00000001
	typePacket    = 0x00000006
)

// Codes of options (§3.5, §4.1 to §4.3).
const (
	OptEnd           = 0 // ends the list; never in a list of this package
	OptComment       = 1
	OptSectionOS     = 3 // shb_os
	OptSectionUser   = 4 // shb_userappl
	OptInterfaceName = 2 // if_name
	OptDescription   = 3 // if_description
	OptResolution    = 9 // if_tsresol
	OptDropCount     = 4 // epb_dropcount
)

// MaxBlock bounds a block that is read, bytes. A packet of this project is
// shorter than 66 KiB; the bound keeps a hostile file from taking memory.
const MaxBlock = 1 << 20

var (
	// ErrMalformed says that bytes are not a pcapng file, or contradict
	// themselves.
	ErrMalformed = errors.New("malformed pcapng file")
	// ErrTruncated says that a file ends within a block: the recording was cut
	// off. All blocks before it were whole.
	ErrTruncated = errors.New("the file ends within a block")
)

// magic is the byte-order magic of a section header (§4.1).
const magic = 0x1A2B3C4D

// Option is one option of a block.
type Option struct {
	Code  uint16 // never OptEnd
	Value []byte // at most 65535 bytes
}

// Text finds the first option of a code, as text.
func Text(all []Option, code uint16) string {
	for _, o := range all {
		if o.Code == code {
			return string(o.Value)
		}
	}
	return ""
}

// Section begins a file, or a part of one that knows nothing of what was before
// it: a new numbering of interfaces.
type Section struct{ Options []Option }

// Interface describes where packets come from. The first of a section has the
// number 0.
type Interface struct {
	LinkType uint16
	SnapLen  uint32 // longest packet, 0 for no limit
	Options  []Option
}

// Resolution is a clock of a number of units a second: ten, or two, to the power
// of Exponent.
type Resolution struct {
	Binary   bool
	Exponent byte // at most 19, or 63 if binary
}

// Nanoseconds is the resolution of what this package writes.
var Nanoseconds = Resolution{Exponent: 9}

// option is if_tsresol.
func (r Resolution) option() Option {
	b := r.Exponent
	if r.Binary {
		b |= 0x80
	}
	return Option{OptResolution, []byte{b}}
}

// resolution is what an interface says of its time stamps; microseconds if it
// says nothing.
func (i Interface) resolution() (Resolution, bool) {
	for _, o := range i.Options {
		if o.Code != OptResolution {
			continue
		}
		if len(o.Value) != 1 {
			return Resolution{}, false
		}
		r := Resolution{Binary: o.Value[0]&0x80 != 0, Exponent: o.Value[0] & 0x7F}
		return r, r.Exponent <= 19 || r.Binary && r.Exponent <= 63
	}
	return Resolution{Exponent: 6}, true
}

// time makes a time of a number of units since 1970.
func (r Resolution) time(units uint64) time.Time {
	if r.Binary {
		s := units >> r.Exponent
		hi, lo := bits.Mul64(units&(1<<r.Exponent-1), 1e9)
		ns := lo>>r.Exponent | hi<<(64-r.Exponent)
		if r.Exponent == 0 {
			ns = 0
		}
		return time.Unix(int64(s), int64(ns)).UTC()
	}
	per := uint64(1)
	for range r.Exponent {
		per *= 10
	}
	hi, lo := bits.Mul64(units%per, 1e9)
	ns, _ := bits.Div64(hi, lo, per) // hi < per: a remainder of per times 1e9
	return time.Unix(int64(units/per), int64(ns)).UTC()
}

// Packet is one packet.
type Packet struct {
	Interface uint32    // number within the section
	Time      time.Time // from 1970 to 2554 when written, to the nanosecond
	Original  uint32    // length before it was cut off
	Data      []byte
	Options   []Option
}

var order = binary.LittleEndian

// AppendTo appends the block to dst.
func (s Section) AppendTo(dst []byte) []byte {
	dst, at := begin(dst, typeSection)
	dst = order.AppendUint32(dst, magic)
	dst = order.AppendUint16(dst, 1) // version 1.0
	dst = order.AppendUint16(dst, 0)
	dst = order.AppendUint64(dst, 1<<64-1) // a length that is not known yet
	return end(appendOptions(dst, s.Options), at)
}

// AppendTo appends the block to dst. Time stamps are in nanoseconds; the option
// that says so is added.
func (i Interface) AppendTo(dst []byte) []byte {
	dst, at := begin(dst, typeInterface)
	dst = order.AppendUint16(dst, i.LinkType)
	dst = order.AppendUint16(dst, 0)
	dst = order.AppendUint32(dst, i.SnapLen)
	all := slices.DeleteFunc(slices.Clone(i.Options), func(o Option) bool { return o.Code == OptResolution })
	return end(appendOptions(dst, append(all, Nanoseconds.option())), at)
}

// AppendTo appends the block to dst.
func (p Packet) AppendTo(dst []byte) []byte {
	dst, at := begin(dst, typePacket)
	ns := uint64(p.Time.UnixNano())
	dst = order.AppendUint32(dst, p.Interface)
	dst = order.AppendUint32(dst, uint32(ns>>32))
	dst = order.AppendUint32(dst, uint32(ns))
	dst = order.AppendUint32(dst, uint32(len(p.Data)))
	dst = order.AppendUint32(dst, p.Original)
	dst = pad(append(dst, p.Data...), len(p.Data))
	return end(appendOptions(dst, p.Options), at)
}

// begin appends the head of a block, its length still open.
func begin(dst []byte, blockType uint32) (_ []byte, at int) {
	at = len(dst)
	return append(order.AppendUint32(dst, blockType), 0, 0, 0, 0), at
}

// end writes the length of the block that begins at at before and behind it.
func end(dst []byte, at int) []byte {
	n := uint32(len(dst) - at + 4)
	order.PutUint32(dst[at+4:], n)
	return order.AppendUint32(dst, n)
}

// appendOptions appends a list and its end; no list needs none.
func appendOptions(dst []byte, all []Option) []byte {
	for _, o := range all {
		v := o.Value[:min(len(o.Value), 1<<16-1)]
		dst = order.AppendUint16(dst, o.Code)
		dst = order.AppendUint16(dst, uint16(len(v)))
		dst = pad(append(dst, v...), len(v))
	}
	if len(all) > 0 {
		dst = append(dst, 0, 0, 0, 0)
	}
	return dst
}

// pad fills a field of n bytes up to a multiple of four.
func pad(dst []byte, n int) []byte {
	for ; n%4 != 0; n++ {
		dst = append(dst, 0)
	}
	return dst
}

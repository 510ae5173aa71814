package emu

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrState says that a file does not hold the state of a token, or of another
// version. It is wrapped with the reason.
var ErrState = errors.New("not the state of a token")

// The state of a token as bytes, numbers big-endian:
//
//	8   "KAZTOKEN"
//	1   version, 1
//	1   flags
//	8   token id
//	4   memory for files
//	1   number of data objects, then of each: P2, length (1 byte), value
//	    the MF, if a flag says that there is one
//	32  SHA-256 of all before
//
// and a file:
//
//	1   kind
//	2   id
//	2   size
//	15  rules
//	DF:  number of files in it (1 byte), then each
//	EF:  size bytes
//	RSF: properties (6 bytes); 00, or 01 and the body: of a key size bytes, of a
//	     PIN its length (1 byte) and the PIN
const (
	stateMagic   = "KAZTOKEN"
	stateVersion = 1
)

// Flags of the state.
const (
	flagInitialising = 1 << iota
	flagHidePINs
	flagOneLogin
	flagTriesInAnswer
	flagMF
)

// maxState is more than the state of any token takes, bytes: its memory, and for
// each file less than what the card counts for it.
const maxState = 1 << 20

// maxCapacity is more memory than any option gives.
const maxCapacity = 2*totalMemory + 1<<16

func (t *token) appendState(dst []byte) []byte {
	start := len(dst)
	var flags byte
	for i, set := range []bool{t.initialising, t.hidePINs, t.oneLogin, t.triesInAnswer, t.mf != nil} {
		if set {
			flags |= 1 << i
		}
	}
	dst = append(append(dst, stateMagic...), stateVersion, flags)
	dst = append(dst, t.id[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(t.capacity))
	dst = append(dst, byte(len(t.objects)))
	for _, o := range t.objects {
		dst = append(append(dst, o.p2, byte(len(o.value))), o.value...)
	}
	if t.mf != nil {
		dst = t.mf.appendState(dst)
	}
	sum := sha256.Sum256(dst[start:])
	return append(dst, sum[:]...)
}

func (f *file) appendState(dst []byte) []byte {
	dst = append(dst, byte(f.kind))
	dst = binary.BigEndian.AppendUint16(dst, f.id)
	dst = binary.BigEndian.AppendUint16(dst, f.size)
	dst = append(dst, f.rules[:]...)
	switch {
	case f.isDF():
		dst = append(dst, byte(len(f.children)))
		for _, k := range f.children {
			dst = k.appendState(dst)
		}
		return dst
	case f.kind == kindEF:
		return append(dst, f.body...)
	}
	dst = append(dst, f.props[:]...)
	if f.body == nil {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	if f.isPIN() {
		dst = append(dst, byte(len(f.body)))
	}
	return append(dst, f.body...)
}

// parseState is the inverse of appendState, and strict: what it takes is a state
// that the card can be in and encodes back to b. The error is [ErrState]. It keeps
// nothing of b.
func parseState(b []byte) (t token, err error) {
	defer func() {
		if err != nil {
			t, err = token{}, fmt.Errorf("%w: %w", ErrState, err)
		}
	}()
	n := len(b) - sha256.Size
	switch {
	case len(b) < len(stateMagic)+1 || string(b[:len(stateMagic)]) != stateMagic:
		return t, errors.New("it begins otherwise")
	case b[len(stateMagic)] != stateVersion:
		return t, fmt.Errorf("version %d, this program reads %d", b[len(stateMagic)], stateVersion)
	case n < len(stateMagic)+1:
		return t, errors.New("cut short")
	}
	if sum := sha256.Sum256(b[:n]); !bytes.Equal(sum[:], b[n:]) {
		return t, errors.New("the checksum is wrong: damaged, or cut short")
	}
	r := stateReader{rest: b[len(stateMagic)+1 : n]}
	flags := r.byte()
	t.initialising = flags&flagInitialising != 0
	t.hidePINs = flags&flagHidePINs != 0
	t.oneLogin = flags&flagOneLogin != 0
	t.triesInAnswer = flags&flagTriesInAnswer != 0
	copy(t.id[:], r.take(len(t.id)))
	capacity := r.take(4)
	objects := int(r.byte())
	for i := 0; i < objects && !r.short; i++ {
		o := dataObject{p2: r.byte()}
		o.value = bytes.Clone(r.take(int(r.byte())))
		for _, before := range t.objects {
			if before.p2 == o.p2 {
				return t, fmt.Errorf("data object %02X twice", o.p2)
			}
		}
		t.objects = append(t.objects, o)
	}
	if r.short {
		return t, errors.New("cut short")
	}
	t.capacity = int(binary.BigEndian.Uint32(capacity))
	if flags&flagMF != 0 {
		if t.mf, err = r.file(); err != nil {
			return t, err
		}
	}
	if len(r.rest) != 0 {
		return t, fmt.Errorf("%d bytes too many", len(r.rest))
	}
	if flags >= flagMF<<1 {
		return t, fmt.Errorf("unknown flags %02X", flags)
	}
	return t, t.check()
}

// check finds what no sequence of commands leads to.
func (t *token) check() error {
	switch {
	case t.capacity > maxCapacity:
		return fmt.Errorf("memory of %d bytes", t.capacity)
	case t.mf.used() > t.capacity:
		return fmt.Errorf("files of %d bytes in a memory of %d", t.mf.used(), t.capacity)
	case t.mf == nil && !t.initialising:
		return errors.New("no MF outside the initialisation phase")
	case t.mf == nil:
		return nil
	case t.mf.id != mfID:
		return fmt.Errorf("the first file is %04X", t.mf.id)
	}
	return t.checkBelow(t.mf)
}

// checkBelow checks the files in f.
func (t *token) checkBelow(f *file) error {
	seen := make(map[uint16]bool, len(f.children))
	for _, k := range f.children {
		switch {
		case seen[k.id]:
			return fmt.Errorf("file %04X twice in %04X", k.id, f.id)
		case k.id == mfID:
			return fmt.Errorf("an MF in %04X", f.id)
		case k.kind == kindRSF && f != t.mf.below(homeOf(rsfType(k.props[0]))...):
			return fmt.Errorf("RSF %04X in %04X", k.id, f.id)
		}
		seen[k.id] = true
		if err := t.checkBelow(k); err != nil {
			return err
		}
	}
	return nil
}

// stateReader takes bytes from the front of rest, and remembers when there were
// too few.
type stateReader struct {
	rest  []byte
	short bool
}

// take is the next n bytes, or nil.
func (r *stateReader) take(n int) []byte {
	if r.short || n > len(r.rest) {
		r.short = true
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

// byte is the next byte, or 0.
func (r *stateReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *stateReader) uint16() uint16 {
	if b := r.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

// file reads a file and all below it.
func (r *stateReader) file() (*file, error) {
	f := &file{kind: kind(r.byte()), id: r.uint16(), size: r.uint16()}
	copy(f.rules[:], r.take(rulesLen))
	var children int
	switch f.kind {
	case kindDF:
		children = int(r.byte())
	case kindEF:
		f.body = bytes.Clone(r.take(int(f.size)))
	case kindRSF:
		copy(f.props[:], r.take(propsLen))
		if f.valid() {
			if err := r.rsfBody(f); err != nil {
				return nil, err
			}
		}
	}
	if r.short {
		return nil, errors.New("cut short")
	}
	if !f.valid() {
		return nil, fmt.Errorf("file %04X has a header that no file can have", f.id)
	}
	for range children {
		k, err := r.file()
		if err != nil {
			return nil, err
		}
		f.add(k)
	}
	return f, nil
}

// rsfBody reads the body of an RSF whose header is read.
func (r *stateReader) rsfBody(f *file) error {
	switch loaded := r.byte(); {
	case loaded == 0:
		return nil
	case loaded != 1:
		return fmt.Errorf("RSF %04X: loaded %d", f.id, loaded)
	}
	n := int(f.size)
	if f.isPIN() {
		n = int(r.byte())
	}
	f.body = bytes.Clone(r.take(n))
	if r.short {
		return errors.New("cut short")
	}
	if !f.takes(n) || !f.isPIN() && !f.plausible() {
		return fmt.Errorf("RSF %04X: no such body", f.id)
	}
	return nil
}

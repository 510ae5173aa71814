package firmware

import (
	"context"
	"encoding/binary"
	"fmt"

	"kaztoken/internal/iso7816"
)

// Source says where a value comes from, and so how far it can be trusted.
type Source int

// The sources.
const (
	SourceUnknown  Source = iota // there is no value
	SourceToken                  // read from the token, and its meaning is public
	SourceInferred               // read from the token; its meaning was worked out from other models
	SourceNominal                // of the model, not of this token
)

func (s Source) String() string {
	switch s {
	case SourceUnknown:
		return "unknown"
	case SourceToken:
		return "token"
	case SourceInferred:
		return "inferred"
	case SourceNominal:
		return "nominal"
	}
	return fmt.Sprintf("Source(%d)", int(s))
}

// Field is a value and where it comes from.
type Field[T any] struct {
	Value  T
	Source Source
}

// Known reports that there is a value.
func (f Field[T]) Known() bool { return f.Source != SourceUnknown }

func from[T any](v T, s Source) Field[T] { return Field[T]{v, s} }

// Range is a pair of inclusive bounds.
type Range struct{ Min, Max int }

// Info is the information window of the user guide. What cannot be read from a
// token is unknown.
type Info struct {
	State           State
	Name            Field[string]
	Model           Field[string]
	ID              Field[uint64] // printed as eight hexadecimal digits
	Version         Field[string] // of the hardware: "1.4"
	TotalMemory     Field[int]    // bytes, this and the next two
	FreeMemory      Field[int]
	AvailableMemory Field[int] // for files
	Firmware        Field[string]
	Manufacturer    Field[string] // as EF(TokenInfo) has it
	UserPINPolicy   Field[Policy]
	UTF8PINs        Field[bool]
	RSABits         Field[Range]
	User, Admin     Field[PINStatus]
}

// Objects of GET DATA, P1 P2 (ISO 7816-4:2013 §11.4.3).
const (
	objectTokenID    = 0x0181
	objectVersion    = 0x0189
	objectFreeMemory = 0x018A
	versionLength    = 8
	memoryUnit       = 8192 // bytes per step of the memory byte
	maxGetData       = 64   // no object here is nearly as long
	minTokenIDLength = 4    // Rutoken S; 8 on an ECP
	maxTokenIDLength = 8
	freeMemoryLength = 4
)

// Info reads all that a token tells about itself. It needs no PIN and costs no
// try.
func (t *Token) Info(ctx context.Context) (Info, error) {
	var i Info
	err := t.operation(ctx, func(ctx context.Context) (err error) {
		i, err = t.info(ctx)
		return err
	})
	if err != nil {
		return Info{}, fmt.Errorf("information: %w", err)
	}
	return i, nil
}

func (t *Token) info(ctx context.Context) (Info, error) {
	i := Info{State: t.state}
	if t.model.Name != "" {
		i.Model = from(t.model.Name, SourceNominal)
		i.RSABits = from(Range{t.model.MinRSABits, t.model.MaxRSABits}, SourceNominal)
		i.UTF8PINs = from(true, SourceNominal) // a PIN is bytes to the card
	}
	if t.model.TotalMemory > 0 {
		i.TotalMemory = from(t.model.TotalMemory, SourceNominal)
	}
	if t.model.AvailableMemory > 0 {
		i.AvailableMemory = from(t.model.AvailableMemory, SourceNominal)
	}
	if t.state == StatePKCS15 {
		info, err := t.tokenInfo(ctx)
		switch {
		case err == nil:
			i.Name = from(info.Label, SourceToken)
			if info.Manufacturer != "" {
				i.Manufacturer = from(info.Manufacturer, SourceToken)
			}
		case !refusal(err):
			return i, err
		}
	}
	for _, read := range []func(context.Context, *Info) error{t.readID, t.readFreeMemory, t.readVersion, t.readPINs} {
		if err := read(ctx, &i); err != nil {
			return i, err
		}
	}
	return i, nil
}

// getData is GET DATA; ok is false if the card has no such object.
func (t *Token) getData(ctx context.Context, object uint16) (data []byte, ok bool, err error) {
	data, sw, err := t.ch.send(ctx, iso7816.Command{
		CLA: claISO, INS: insGetData, P1: byte(object >> 8), P2: byte(object), Ne: iso7816.MaxShortNe,
	})
	if err != nil || !sw.OK() || len(data) > maxGetData {
		return nil, false, err
	}
	return data, true, nil
}

func (t *Token) readID(ctx context.Context, i *Info) error {
	id, err := t.tokenID(ctx)
	if id != nil {
		i.ID = from(binary.BigEndian.Uint64(append(make([]byte, 8-len(id)), id...)), SourceToken)
	}
	return err
}

// tokenID is the number of the token, 4 or 8 bytes, nil if it has none.
func (t *Token) tokenID(ctx context.Context) ([]byte, error) {
	data, ok, err := t.getData(ctx, objectTokenID)
	if !ok || len(data) < minTokenIDLength || len(data) > maxTokenIDLength {
		return nil, err
	}
	return append([]byte(nil), data...), nil
}

func (t *Token) readFreeMemory(ctx context.Context, i *Info) error {
	data, ok, err := t.getData(ctx, objectFreeMemory)
	if ok && len(data) == freeMemoryLength {
		if n := binary.BigEndian.Uint32(data); n <= 1<<30 {
			i.FreeMemory = from(int(n), SourceInferred)
		}
	}
	return err
}

// readVersion decodes GET DATA 01 89.
//
// Assumed: the layout of Rutoken S, which three values of the guide's window fit:
// version 14 is "1.4" and the 20 of "20.04.21.00", memory 20 is 262144 bytes. The
// 04 of the firmware is taken from the first byte: on Rutoken S, whose panel shows
// 00 there, that byte is 00.
func (t *Token) readVersion(ctx context.Context, i *Info) error {
	v, ok, err := t.getData(ctx, objectVersion)
	if !ok || len(v) != versionLength {
		return err
	}
	i.Version = from(fmt.Sprintf("%d.%d", v[1]>>4, v[1]&0xF), SourceInferred)
	i.Firmware = from(fmt.Sprintf("%02d.%02d.%02d.%02d", v[1], v[0], v[4], v[5]), SourceInferred)
	if v[2] > 0 {
		i.TotalMemory = from(int(v[2])*memoryUnit, SourceInferred)
	}
	if p := Policy(v[6]); p >= PolicyAdmin && p <= PolicyBoth {
		i.UserPINPolicy = from(p, SourceInferred)
	}
	return nil
}

func (t *Token) readPINs(ctx context.Context, i *Info) error {
	for _, r := range []Role{User, Admin} {
		s, err := t.pinStatus(ctx, r)
		switch {
		case err == nil && r == User:
			i.User = from(s, SourceToken)
		case err == nil:
			i.Admin = from(s, SourceToken)
		case !refusal(err):
			return err
		}
	}
	p, err := t.policy(ctx)
	if p != PolicyUnknown {
		i.UserPINPolicy = from(p, SourceToken)
	}
	return err
}

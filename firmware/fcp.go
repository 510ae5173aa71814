package firmware

import (
	"encoding/binary"
	"fmt"

	"kaztoken/internal/iso7816"
)

// FileKind is what a file is, tag 82 of its FCP.
type FileKind byte

// The kinds of file.
const (
	KindEF  FileKind = 0x01 // transparent EF
	KindRSF FileKind = 0x10 // internal EF: a PIN or a key, never readable
	KindDF  FileKind = 0x38
)

func (k FileKind) String() string {
	switch k {
	case KindEF:
		return "EF"
	case KindRSF:
		return "RSF"
	case KindDF:
		return "DF"
	}
	return fmt.Sprintf("FileKind(%02x)", byte(k))
}

// Types of an RSF, the first byte of its properties.
const (
	rsfGlobalPIN   = 0x01
	rsfGOSTPrivate = 0x03
	rsfGOSTPublic  = 0x13
	rsfRSAPrivate  = 0x23
	rsfRSAPublic   = 0x33
)

// rules are the security attributes of a file, tag 86: an access mode mask and
// one condition per bit.
type rules [15]byte

const (
	always = 0x00
	never  = 0xFF
	admin  = byte(Admin)
	user   = byte(User)
)

// FCP tags.
const (
	tagFCP        = 0x6F
	tagFCPother   = 0x62 // ISO's own; the card answers 6F, OpenSC takes both
	tagSize       = 0x80
	tagDescriptor = 0x82
	tagFileID     = 0x83
	tagProperties = 0x85
	tagSecurity   = 0x86
)

// fcp is the file control parameters, as SELECT answers and CREATE FILE sends.
type fcp struct {
	kind       FileKind
	id         uint16
	size       int // bytes of content; means nothing for a DF
	properties []byte
	rules      rules
	hasRules   bool
}

// parseFCP reads the answer to SELECT. Tags it does not know are passed over; a
// file may be of another kind than those above, and can be listed then.
func parseFCP(b []byte) (fcp, error) {
	var f fcp
	t, rest, err := iso7816.ParseTLV(b)
	if err != nil {
		return f, fmt.Errorf("FCP: %w", err)
	}
	if (t.Tag != tagFCP && t.Tag != tagFCPother) || len(rest) > 0 {
		return f, fmt.Errorf("FCP: %w: tag %X and %d bytes behind it", iso7816.ErrTLV, t.Tag, len(rest))
	}
	for o, err := range iso7816.TLVs(t.Value) {
		if err != nil {
			return f, fmt.Errorf("FCP: %w", err)
		}
		n := len(o.Value)
		switch {
		case o.Tag == tagSize && n == 2:
			f.size = int(binary.BigEndian.Uint16(o.Value))
		case o.Tag == tagDescriptor && n >= 1:
			f.kind = FileKind(o.Value[0])
		case o.Tag == tagFileID && n == 2:
			f.id = binary.BigEndian.Uint16(o.Value)
		case o.Tag == tagProperties && n == 6:
			f.properties = append([]byte(nil), o.Value...)
		case o.Tag == tagSecurity && n == len(f.rules):
			copy(f.rules[:], o.Value)
			f.hasRules = true
		}
	}
	if f.kind == 0 {
		return f, fmt.Errorf("FCP: %w: no file descriptor", ErrAnswer)
	}
	return f, nil
}

// appendTo appends the FCP in the order in which OpenSC sends it.
func (f fcp) appendTo(dst []byte) []byte {
	var body []byte
	body = iso7816.AppendTLV(body, tagSize, binary.BigEndian.AppendUint16(nil, uint16(f.size)))
	body = iso7816.AppendTLV(body, tagDescriptor, []byte{byte(f.kind), 0})
	body = iso7816.AppendTLV(body, tagFileID, binary.BigEndian.AppendUint16(nil, f.id))
	if f.properties != nil {
		body = iso7816.AppendTLV(body, tagProperties, f.properties)
	}
	body = iso7816.AppendTLV(body, tagSecurity, f.rules[:])
	return iso7816.AppendTLV(dst, tagFCP, body)
}

package certfile

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
)

const (
	// maxDepth is how deep elements may nest; the deepest of a real file, a
	// certificate inside PKCS #7, is about 15 levels down.
	maxDepth = 32

	// maxElement is the longest body of an element, bytes.
	maxElement = 1<<24 - 1
)

var errBER = errors.New("not a BER element")

// A node is one ASN.1 element in the shape of DER.
type node struct {
	full     []byte // the whole element; aliases the input where that was DER
	children []node // of a SEQUENCE, one level deep
}

// tag is the identifier octet.
func (n node) tag() byte { return n.full[0] }

// element reads the first BER element of b (X.690 §8.1) and brings it into the
// shape of DER: lengths definite and as short as possible, octet strings in one
// piece. What is DER already stays as it is, byte for byte, and so does the
// inside of primitive elements. Other strings in pieces stay in pieces; no
// format here has any.
func element(b []byte) (n node, rest []byte, err error) {
	full, rest, err := shape(b, 0)
	if err != nil {
		return node{}, nil, err
	}
	n.full = full
	if n.tag() != tagSequence {
		return n, rest, nil
	}
	h, err := readHeader(full)
	if err != nil {
		return node{}, nil, err
	}
	for body := full[h.start:]; len(body) > 0; {
		child, after, err := shape(body, 1)
		if err != nil {
			return node{}, nil, err
		}
		n.children = append(n.children, node{full: child})
		body = after
	}
	return n, rest, nil
}

// Identifier octets.
const (
	tagInteger       = 0x02
	tagBitString     = 0x03
	tagOctetString   = 0x04
	tagOID           = 0x06
	tagOctetsInParts = 0x24 // OCTET STRING, constructed
	tagSequence      = 0x30
)

// A header is what stands before the body of an element, X.690 §8.1.2, §8.1.3.
type header struct {
	id    int // octets of the identifier
	start int // where the body begins
	len   int // octets of the body; -1 if an end-of-contents mark ends it
}

func readHeader(b []byte) (header, error) {
	h := header{id: 1}
	if len(b) > 0 && b[0]&0x1f == 0x1f { // X.690 §8.1.2.4
		for h.id < len(b) && b[h.id]&0x80 != 0 {
			h.id++
		}
		h.id++
	}
	if len(b) <= h.id {
		return header{}, errBER
	}
	first := b[h.id]
	h.start = h.id + 1
	switch {
	case first < 0x80:
		h.len = int(first)
	case first == 0x80: // X.690 §8.1.3.6
		h.len = -1
		return h, nil
	default:
		octets := int(first - 0x80)
		if octets > len(b)-h.start {
			return header{}, errBER
		}
		for _, o := range b[h.start : h.start+octets] {
			if h.len = h.len<<8 | int(o); h.len > maxElement {
				return header{}, errBER
			}
		}
		h.start += octets
	}
	if h.len > len(b)-h.start {
		return header{}, errBER
	}
	return h, nil
}

// shape does the work of element; depth is how many elements are around b.
func shape(b []byte, depth int) (full, rest []byte, err error) {
	if depth >= maxDepth {
		return nil, nil, fmt.Errorf("%w: nested too deep", errBER)
	}
	h, err := readHeader(b)
	if err != nil {
		return nil, nil, err
	}
	identifier := b[:h.id]
	constructed := identifier[0]&0x20 != 0
	if identifier[0] == 0 || h.len < 0 && !constructed {
		// An end-of-contents mark where none is due, or a body without end.
		return nil, nil, errBER
	}
	if !constructed {
		end := h.start + h.len
		return encode(identifier, b[h.start:end], b[:end]), b[end:], nil
	}

	parts := identifier[0] == tagOctetsInParts // X.690 §8.7.3
	if parts {
		identifier = []byte{tagOctetString}
	}
	var content []byte
	body := b[h.start:]
	if h.len >= 0 {
		body = body[:h.len]
	}
	for {
		if h.len >= 0 && len(body) == 0 {
			rest = b[h.start+h.len:]
			break
		}
		if h.len < 0 && bytes.HasPrefix(body, []byte{0, 0}) { // end of contents
			rest = body[2:]
			break
		}
		var child []byte
		if child, body, err = shape(body, depth+1); err != nil {
			return nil, nil, err
		}
		if parts {
			if child[0] != tagOctetString {
				return nil, nil, errBER
			}
			h, err := readHeader(child)
			if err != nil {
				return nil, nil, err
			}
			child = child[h.start:]
		}
		content = append(content, child...)
	}
	return encode(identifier, content, b[:len(b)-len(rest)]), rest, nil
}

// encode builds an element, or gives original where that is how it was encoded.
func encode(identifier, content, original []byte) []byte {
	n := len(content)
	out := append(make([]byte, 0, len(identifier)+4+n), identifier...)
	switch {
	case n < 1<<7:
		out = append(out, byte(n))
	case n < 1<<8:
		out = append(out, 0x81, byte(n))
	case n < 1<<16:
		out = append(out, 0x82, byte(n>>8), byte(n))
	default:
		out = append(out, 0x83, byte(n>>16), byte(n>>8), byte(n))
	}
	out = append(out, content...)
	if bytes.Equal(out, original) {
		return original
	}
	return out
}

// unmarshal decodes DER into out and refuses anything behind it.
func unmarshal(der []byte, out any) error {
	rest, err := asn1.Unmarshal(der, out)
	if err != nil {
		return fmt.Errorf("%w: %v", ErrMalformed, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: data behind an ASN.1 structure", ErrMalformed)
	}
	return nil
}

// unmarshalBER is unmarshal for bytes that may be BER.
func unmarshalBER(ber []byte, out any) error {
	n, rest, err := element(ber)
	if err != nil || len(rest) > 0 {
		return fmt.Errorf("%w: ASN.1 structure", ErrMalformed)
	}
	return unmarshal(n.full, out)
}

// octets is the content of an octet string with a tag of its own ([0] IMPLICIT
// OCTET STRING), which in BER may be in parts: its elements are octet strings.
func octets(v asn1.RawValue) ([]byte, error) {
	if !v.IsCompound {
		return v.Bytes, nil
	}
	var all []byte
	for rest := v.Bytes; len(rest) > 0; {
		var part []byte
		var err error
		if rest, err = asn1.Unmarshal(rest, &part); err != nil {
			return nil, fmt.Errorf("%w: octet string: %v", ErrMalformed, err)
		}
		all = append(all, part...)
	}
	return all, nil
}

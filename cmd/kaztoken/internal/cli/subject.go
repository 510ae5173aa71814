package cli

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"kaztoken/internal/describe"
)

// maxSubject bounds a distinguished name, in bytes, and maxAttributes the
// attributes in it.
const (
	maxSubject    = 4096
	maxAttributes = 64
)

// parseSubject reads a distinguished name in the string form of RFC 4514 §3. As
// there, the last attribute written is the first of the sequence. A value of
// the form #hex is not taken, nor one in quotes.
func parseSubject(s string) (pkix.RDNSequence, error) {
	if len(s) > maxSubject {
		return nil, fmt.Errorf("subject: more than %d bytes", maxSubject)
	}
	if !utf8.ValidString(s) {
		return nil, errors.New("subject: not UTF-8")
	}
	var name pkix.RDNSequence
	count := 0
	for rest, more := s, true; more; {
		var set pkix.RelativeDistinguishedNameSET
		for plus := true; plus; {
			var (
				a   pkix.AttributeTypeAndValue
				end byte
				err error
			)
			if a, rest, end, err = parseAttribute(rest); err != nil {
				return nil, fmt.Errorf("subject: %w", err)
			}
			if count++; count > maxAttributes {
				return nil, fmt.Errorf("subject: more than %d attributes", maxAttributes)
			}
			set = append(set, a)
			plus, more = end == '+', end == ','
		}
		name = append(name, set)
	}
	slices.Reverse(name)
	return name, nil
}

// parseAttribute reads TYPE=VALUE up to a comma or plus sign that is not
// escaped, which is end, or to the end of s, which is 0.
func parseAttribute(s string) (a pkix.AttributeTypeAndValue, rest string, end byte, err error) {
	kind, value, ok := strings.Cut(s, "=")
	kind = strings.TrimSpace(kind)
	if !ok || kind == "" {
		return a, "", 0, fmt.Errorf("%q is not TYPE=VALUE", s)
	}
	if a.Type, err = attributeType(kind); err != nil {
		return a, "", 0, err
	}
	text, n, err := unescape(value)
	if err != nil {
		return a, "", 0, fmt.Errorf("%s: %w", kind, err)
	}
	if text == "" {
		return a, "", 0, fmt.Errorf("%s has no value", kind)
	}
	if a.Value, err = attributeValue(a.Type, text); err != nil {
		return a, "", 0, fmt.Errorf("%s: %w", kind, err)
	}
	if n < len(value) {
		return a, value[n+1:], value[n], nil
	}
	return a, "", 0, nil
}

func attributeType(kind string) (asn1.ObjectIdentifier, error) {
	for _, t := range describe.AttributeTypes {
		if strings.EqualFold(t.Name, kind) {
			kind = t.OID
		}
	}
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(kind, ".") {
		n, err := strconv.ParseUint(part, 10, 31)
		if err != nil || len(part) > 1 && part[0] == '0' {
			return nil, fmt.Errorf("unknown attribute %q", kind)
		}
		oid = append(oid, int(n))
	}
	if len(oid) < 2 || oid[0] > 2 || oid[0] < 2 && oid[1] > 39 {
		return nil, fmt.Errorf("unknown attribute %q", kind)
	}
	return oid, nil
}

// attributeValue gives a value the string type that RFC 5280 appendix A.1
// wants: IA5String for e-mail and DC, PrintableString for country and serial
// number, and else whatever encoding/asn1 picks, PrintableString or UTF8String.
func attributeValue(oid asn1.ObjectIdentifier, text string) (any, error) {
	switch oid.String() {
	case "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25":
		for i := range len(text) {
			if text[i] >= utf8.RuneSelf {
				return nil, fmt.Errorf("%q is not ASCII", text)
			}
		}
		return asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)}, nil
	case "2.5.4.6":
		if len(text) != 2 {
			return nil, fmt.Errorf("%q is no country of two letters", text)
		}
	}
	return text, nil
}

// unescape reads a value to the first comma or plus sign that is not escaped,
// or to the end, and gives where that is. Spaces around the value go, escaped
// ones stay (RFC 4514 §2.4, §3).
func unescape(s string) (text string, n int, err error) {
	var b []byte
	keep := 0 // bytes of b that are no trailing spaces
	for n < len(s) && s[n] != ',' && s[n] != '+' {
		switch c := s[n]; c {
		case '\\':
			v, used, err := escaped(s[n+1:])
			if err != nil {
				return "", 0, err
			}
			b = append(b, v)
			n += used
			keep = len(b)
		case ' ':
			if len(b) > 0 {
				b = append(b, c)
			}
		case '"', ';', '<', '>':
			return "", 0, fmt.Errorf(`%q needs a \ before it`, c)
		case '#':
			if len(b) == 0 {
				return "", 0, errors.New(`a leading # needs a \ before it`)
			}
			fallthrough
		default:
			b = append(b, c)
			keep = len(b)
		}
		n++
	}
	b = b[:keep]
	if !utf8.Valid(b) {
		return "", 0, errors.New("not UTF-8")
	}
	if i := strings.IndexFunc(string(b), func(r rune) bool { return r < ' ' || r == 0x7F }); i >= 0 {
		return "", 0, errors.New("a control character in the value")
	}
	return string(b), n, nil
}

// escaped reads what stands behind a backslash: a special character, or two
// hexadecimal digits of a byte.
func escaped(s string) (v byte, used int, err error) {
	if s == "" {
		return 0, 0, errors.New(`a \ at the end`)
	}
	if strings.IndexByte(` "#+,;<=>\`, s[0]) >= 0 {
		return s[0], 1, nil
	}
	if len(s) >= 2 {
		if b, err := hex.DecodeString(s[:2]); err == nil {
			return b[0], 2, nil
		}
	}
	return 0, 0, fmt.Errorf(`\%c is no escape`, []rune(s)[0])
}

// marshalSubject gives the DER of a name.
func marshalSubject(name pkix.RDNSequence) ([]byte, error) {
	der, err := asn1.Marshal(name)
	if err != nil {
		return nil, fmt.Errorf("subject: %w", err)
	}
	return der, nil
}

// formatSubject writes a name as RFC 4514 does, so that parseSubject reads it.
func formatSubject(name pkix.RDNSequence) string {
	var b strings.Builder
	for i := len(name) - 1; i >= 0; i-- {
		for j, a := range name[i] {
			switch {
			case j > 0:
				b.WriteByte('+')
			case b.Len() > 0:
				b.WriteByte(',')
			}
			b.WriteString(describe.AttributeName(a.Type) + "=" + escape(describe.AttributeText(a.Value)))
		}
	}
	return b.String()
}

// escape puts a backslash where RFC 4514 §2.4 wants one, and where a value
// would not come back from parseSubject.
func escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		last := i+utf8.RuneLen(r) == len(s)
		switch {
		case strings.ContainsRune(`"+,;<>\`, r), r == '#' && i == 0, r == ' ' && (i == 0 || last):
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

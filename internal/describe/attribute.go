package describe

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"

	"kaztoken/internal/kzpki"
)

// AttributeTypes are the short names of attributes (RFC 4519, RFC 4514 §3 and, for E,
// the custom of everybody). Of two names of one type the first is printed.
var AttributeTypes = []struct{ Name, OID string }{
	{"CN", "2.5.4.3"},
	{"SN", "2.5.4.4"},
	{"SURNAME", "2.5.4.4"},
	{"serialNumber", "2.5.4.5"},
	{"C", "2.5.4.6"},
	{"L", "2.5.4.7"},
	{"ST", "2.5.4.8"},
	{"STREET", "2.5.4.9"},
	{"O", "2.5.4.10"},
	{"OU", "2.5.4.11"},
	{"title", "2.5.4.12"},
	{"GN", "2.5.4.42"},
	{"GIVENNAME", "2.5.4.42"},
	{"UID", "0.9.2342.19200300.100.1.1"},
	{"DC", "0.9.2342.19200300.100.1.25"},
	{"E", "1.2.840.113549.1.9.1"},
	{"emailAddress", "1.2.840.113549.1.9.1"},
}

// AttributeName is the short name of a type, or its number with dots.
func AttributeName(oid asn1.ObjectIdentifier) string {
	dotted := oid.String()
	for _, t := range AttributeTypes {
		if t.OID == dotted {
			return t.Name
		}
	}
	return dotted
}

// AttributeText is a value as text, as far as it is one.
func AttributeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case asn1.RawValue:
		return string(v.Bytes)
	}
	return fmt.Sprint(v)
}

// Name reads a distinguished name in DER, nil if it is none. Package x509 has read
// the one of a certificate before, and keeps some attributes only of those it does
// not know.
func Name(raw []byte) pkix.RDNSequence {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &name); err != nil || len(rest) > 0 {
		return nil
	}
	return name
}

// Attributes spells a distinguished name in DER for a person, an attribute to a
// string, in the order of the sequence.
func Attributes(name []byte) []string {
	var all []string
	for _, set := range Name(name) {
		for _, a := range set {
			all = append(all, AttributeName(a.Type)+"="+kzpki.Display(AttributeText(a.Value)))
		}
	}
	return all
}

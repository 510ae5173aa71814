package pkcs15

import (
	"bytes"

	"kaztoken/internal/iso7816"
)

// aid is the application identifier of PKCS#15: RSA's RID and "PKCS-15".
var aid = []byte("\xA0\x00\x00\x00\x63PKCS-15")

// AID gives the application identifier of PKCS#15, 12 bytes, PKCS #15 v1.1 §5.7.2.
func AID() []byte { return bytes.Clone(aid) }

// Application is an application template of EF(DIR), PKCS #15 v1.1 §5.4.1:
//
//	61 { 4F AID, 50 label, 51 path, … }
type Application struct {
	Entry
	AID   []byte
	Label string
	Path  Path // the application's directory
	// Extra holds the data objects after those above, as they are.
	Extra []byte
}

// IsPKCS15 reports that the application is a PKCS#15 one.
func (a Application) IsPKCS15() bool { return bytes.Equal(a.AID, aid) }

// ParseDIR reads EF(DIR). See [Entries] for the error.
func ParseDIR(b []byte) ([]Application, error) { return parse(b, parseApplication) }

func parseApplication(e Entry, t iso7816.TLV) Application {
	a := Application{Entry: e}
	if t.Tag != 0x61 {
		a.Err = unknown("tag %X in EF(DIR)", t.Tag)
		return a
	}
	c := cursor{b: t.Value}
	a.AID = c.need("application identifier", 0x4F).Value
	if label, ok := c.optional(0x50); ok {
		a.Label = validText(string(label.Value))
	}
	path, _ := c.optional(0x51)
	a.Path = path.Value
	a.Extra = c.rest("application template", 0x4F, 0x50, 0x51)
	a.Err = c.err
	return a
}

// AppendTo appends the template, as [PrivateKey.AppendTo] does.
func (a Application) AppendTo(dst []byte) []byte {
	return appendEntry(dst, a, parseApplication)
}

func (a Application) encode(dst []byte) []byte {
	start := len(dst)
	dst = iso7816.AppendTLV(dst, 0x4F, a.AID)
	if a.Label != "" {
		dst = appendText(dst, 0x50, a.Label)
	}
	if len(a.Path) > 0 {
		dst = iso7816.AppendTLV(dst, 0x51, a.Path)
	}
	return wrap(append(dst, a.Extra...), 0x61, start)
}

package emu

import (
	"encoding/hex"
	"slices"
	"strings"
)

// ScratchID is the file identifier of the transparent EF in the MF that anybody
// may read and write, made by [WithScratchSize]. It is ours; no published token
// has it.
const ScratchID = 0x5AFE

// maxLabel is the greatest length of a token's name, that of PKCS#11, bytes.
const maxLabel = 32

// Rules that OpenSC writes into tag 86, without the zeros at the end.
var (
	rulesMF  = []byte{0x47, userPIN, userPIN, adminPIN, 0, 0, 0, never}
	rulesSys = []byte{0x43, userPIN, userPIN, 0, 0, 0, 0, never}
	rulesApp = []byte{0x43, always, always, 0, 0, 0, 0, userPIN}

	rulesAdminEF   = []byte{0x43, always, adminPIN, 0, 0, 0, 0, adminPIN} // EF(DIR), AODF, marker
	rulesODF       = []byte{0x43, always, always, 0, 0, 0, 0, adminPIN}
	rulesTokenInfo = []byte{0x43, always, always, 0, 0, 0, 0, userPIN}
	rulesUserEF    = []byte{0x43, always, userPIN, 0, 0, 0, 0, userPIN}
	rulesPrivateEF = []byte{0x43, userPIN, userPIN, 0, 0, 0, 0, userPIN}
	rulesScratch   = []byte{0x43, always, always, 0, 0, 0, 0, never}

	rulesAdminPIN = []byte{0x43, never, adminPIN, 0, 0, 0, 0, never}
)

// rulesUserPIN lets the administrator unblock and the policy say who changes.
func rulesUserPIN(policy byte) []byte { return []byte{0x43, adminPIN, policy, 0, 0, 0, 0, never} }

func newFile(k kind, id uint16, rules []byte, size int) *file {
	f := &file{id: id, kind: k, size: uint16(size)}
	copy(f.rules[:], rules)
	return f
}

func (f *file) addDF(id uint16, rules []byte, size int) *file {
	d := newFile(kindDF, id, rules, size)
	f.add(d)
	return d
}

// addEF adds an EF of that size that starts with content; the rest is zeros.
func (f *file) addEF(id uint16, rules []byte, size int, content []byte) {
	e := newFile(kindEF, id, rules, size)
	e.body = make([]byte, size)
	copy(e.body, content)
	f.add(e)
}

func (f *file) addPIN(ref byte, rules []byte, s pinSettings) {
	p := newFile(kindRSF, uint16(ref), rules, len(s.value))
	shortest := min(s.minLength, len(s.value))
	p.props = [propsLen]byte{byte(typePIN), byte(shortest), 0x01, byte(s.tries * 0x11)}
	p.setBody(s.value)
	f.add(p)
}

// token makes the state that the settings describe.
func (s *settings) token() token {
	t := token{
		id:            s.id,
		capacity:      defaultCapacity,
		initialising:  s.state == stateWiped || s.state == stateHalf,
		hidePINs:      s.hidePINs,
		oneLogin:      s.oneLogin,
		triesInAnswer: s.triesInAnswer,
		objects:       slices.Clone(s.objects),
	}
	switch s.state {
	case stateFactory:
		t.mf = s.factory()
	case stateVendor:
		t.mf = s.vendor()
	case stateHalf:
		t.mf = s.half()
	}
	if s.scratch >= 0 && !t.initialising {
		t.mf.addEF(ScratchID, rulesScratch, s.scratch, nil)
		t.capacity += fileOverhead + s.scratch // it is ours and takes nothing
	}
	if s.free >= 0 {
		t.capacity = t.mf.used() + s.free
	}
	return t
}

// systemTree makes the MF, EF(DIR) if wanted, and the system directories, in the
// order of OpenSC.
func systemTree(withDIR bool) (mf, keys *file) {
	mf = newFile(kindDF, mfID, rulesMF, 0)
	if withDIR {
		mf.addEF(0x2F00, rulesAdminEF, 128, nil)
	}
	system := mf.addDF(0x1000, rulesSys, 0)
	keys = system.addDF(0x1000, rulesSys, 0)
	for id := uint16(0x6001); id <= 0x6005; id++ {
		keys.addDF(id, rulesSys, 0)
	}
	reserved := system.addDF(0x1001, rulesSys, 0)
	reserved.addDF(0x8001, rulesSys, 0)
	reserved.addDF(0x8002, rulesSys, 0)
	for id := uint16(0x1002); id <= 0x1004; id++ {
		system.addDF(id, rulesSys, 0)
	}
	return mf, keys
}

const appSize = 5000 // tag 80 of the PKCS#15 directory, as OpenSC writes it

// factory makes the formatted token of the user guide, byte for byte as OpenSC
// writes one, apart from the length and tries of PINs, which are the guide's.
func (s *settings) factory() *file {
	mf, keys := systemTree(true)
	app := mf.addDF(0x5000, rulesApp, appSize)
	keys.addPIN(adminPIN, rulesAdminPIN, s.pins[adminPIN])
	app.addEF(0x6005, rulesAdminEF, 256, s.aodf())
	app.addEF(0x5031, rulesODF, 128, mustHex("A8 0A 30 08 04 06 3F 00 50 00 60 05"))
	copy(mf.child(0x2F00).body, s.dir())
	app.addEF(0x5032, rulesTokenInfo, 128, s.tokenInfo())
	app.addEF(0x4946, rulesAdminEF, 128, append([]byte{0x01, 0x06}, "pkcs15"...))
	keys.addPIN(userPIN, rulesUserPIN(s.policy), s.pins[userPIN])
	return mf
}

// half makes what is there after step 4 of formatting: the tree, the PKCS#15
// directory and the administrator PIN.
func (s *settings) half() *file {
	mf, keys := systemTree(true)
	mf.addDF(0x5000, rulesApp, appSize)
	keys.addPIN(adminPIN, rulesAdminPIN, s.pins[adminPIN])
	return mf
}

// vendor makes a token as the vendor's software leaves it.
//
// Assumed: the layout of the vendor's software is not public. The directories are
// shared with OpenSC's; the files are invented, but for the token's name, which
// has the form that the Rutoken S gives it.
func (s *settings) vendor() *file {
	mf, keys := systemTree(false)
	keys.addPIN(adminPIN, rulesAdminPIN, s.pins[adminPIN])
	keys.addPIN(userPIN, rulesUserPIN(s.policy), s.pins[userPIN])
	name := append([]byte{'T', 'N', 0x03, 0x00, byte(len(s.label))}, s.label...)
	mf.below(0x1000, 0x1001).addEF(0x1000, rulesUserEF, 64, name)
	public := mf.below(0x1000, 0x1001, 0x8001)
	public.addEF(0x0001, rulesUserEF, 256, mustHex("01 00 00 10 43 4F 4E 54 41 49 4E 45 52"))
	public.addEF(0x0002, rulesUserEF, 512, mustHex("02 00 00 00"))
	mf.below(0x1000, 0x1001, 0x8002).addEF(0x0001, rulesPrivateEF, 256, mustHex("01 00 00 00"))
	return mf
}

// tlv is one data object of less than 128 bytes.
func tlv(tag byte, parts ...[]byte) []byte {
	value := slices.Concat(parts...)
	return append([]byte{tag, byte(len(value))}, value...)
}

var appPath = []byte{0x3F, 0x00, 0x50, 0x00}

// dir is EF(DIR): one application template of PKCS#15 with the label.
func (s *settings) dir() []byte {
	return tlv(0x61,
		tlv(0x4F, mustHex("A0 00 00 00 63 50 4B 43 53 2D 31 35")),
		tlv(0x50, []byte(s.label)),
		tlv(0x51, appPath))
}

// lastUpdate is in TokenInfo. The card has no clock, and tests want the same bytes
// each time.
const lastUpdate = "20200101000000Z"

// tokenInfo is EF(TokenInfo): version, serial, manufacturer, label, flags (EID
// compliant, as OpenSC says), time of last update.
func (s *settings) tokenInfo() []byte {
	return tlv(0x30,
		tlv(0x02, []byte{0}),
		tlv(0x04, s.id[:]),
		tlv(0x0C, []byte("Aktiv Co.")),
		tlv(0x80, []byte(s.label)),
		tlv(0x03, []byte{0x04, 0x10}),
		tlv(0xA5, tlv(0x18, []byte(lastUpdate))))
}

// aodf is EF(AODF): an entry per PIN.
func (s *settings) aodf() []byte {
	// case-sensitive, unblock-disabled, initialized, soPin
	admin := s.pinEntry(adminPIN, "Security Officer PIN", []byte{0x00, 0x99})
	// case-sensitive, unblock-disabled, initialized
	return append(admin, s.pinEntry(userPIN, "User PIN", []byte{0x03, 0x98})...)
}

// pinEntry is a PIN object of PKCS#15: label, private and modifiable; its id; its
// flags, ASCII, minimum length, stored and greatest length, reference, padding.
func (s *settings) pinEntry(ref byte, label string, flags []byte) []byte {
	shortest := byte(min(s.pins[ref].minLength, len(s.pins[ref].value)))
	return tlv(0x30,
		tlv(0x30, tlv(0x0C, []byte(label)), tlv(0x03, []byte{0x06, 0xC0})),
		tlv(0x30, tlv(0x04, []byte{ref})),
		tlv(0xA1, tlv(0x30,
			tlv(0x03, flags),
			tlv(0x0A, []byte{1}),
			tlv(0x02, []byte{shortest}),
			tlv(0x02, []byte{maxPIN}),
			tlv(0x02, []byte{maxPIN}),
			tlv(0x80, []byte{ref}),
			tlv(0x04, []byte{0}))))
}

// mustHex reads the literals above.
func mustHex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic("emu: " + err.Error())
	}
	return b
}

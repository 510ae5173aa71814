// Package emu is the firmware of a KAZTOKEN in software: the card that sits
// behind the reader of ccid/ccidsim in tests, demonstrations and the virtual
// token.
//
// It speaks APDUs and knows nothing of USB, T=1 or readers. What it answers
// follows the command set of the Rutoken ECP family that OpenSC's driver and the
// vendor's samples show; where nobody has published what the hardware does, the
// choice is marked Assumed.
//
// The commands of this floor:
//
//	00 A4  SELECT               by id, by path from the MF, parent
//	00 B0  READ BINARY          transparent EFs
//	00 D6  UPDATE BINARY
//	00 20  VERIFY               with a tries counter, and its query
//	00 84  GET CHALLENGE
//	00 C0  GET RESPONSE         also with class 80
//	00 CA  GET DATA             01 81, the token id
//	80 40  RESET ACCESS RIGHTS  drops all logins
//	80 EC  ECHO                 of ours: see below
//	80 EE  ECHO of data         of ours
//
// # ECHO
//
// 80 EC P1 P2 [data] [Le] is no command of the real token: it lets a test send
// and receive any number of bytes. The card remembers the data of the last ECHO
// that had some, until reset. The answer has exactly Ne bytes and 9000: the
// remembered data, repeated and cut to Ne bytes; if nothing is remembered yet,
// byte i is P1 + P2·i modulo 256. Without Le the answer is the status word
// alone, and a GET RESPONSE that follows directly gives the bytes, as many as
// its own Le asks for: that is how T=0, which has no case 4, comes to them.
// Data of 65,535 and answers of 65,536 bytes work.
//
// 80 EE is the same, except that a command without data has no response data
// either. T=0 cannot tell case 1 from a case 2 that asks for 256 bytes, and a
// card learns only from the instruction which way the data goes (ISO
// 7816-3:2006 §10.3.2, §12.2): there, EC is for case 2 and EE for cases 1, 3, 4.
package emu

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"

	"kaztoken/internal/iso7816"
)

// Card is one token. It serves one caller at a time; calls must not overlap.
type Card struct {
	atr    []byte
	id     [8]byte
	random io.Reader

	mf      *file
	dir     *file // current DF
	current *file // current EF, nil if none was selected since the DF was

	pins   []*pin
	logins byte // mask of verified PIN references, as in the access conditions

	echo []byte // data of the last ECHO that had some
	rest []byte // response data held for GET RESPONSE
	// echoHeader is the ECHO without Le that a GET RESPONSE may still fetch;
	// valid while echoWaits is set.
	echoHeader iso7816.Command
	echoWaits  bool
}

// defaultATR is that of every KAZTOKEN: T=1, default speed, "KAZTOKEN".
var defaultATR = []byte{0x3B, 0x88, 0x01, 'K', 'A', 'Z', 'T', 'O', 'K', 'E', 'N', 0x82}

// Assumed: eight bytes, the printed id at the right, as the vendor's UEFI sample
// and a published ECP 3.0 reading have it; the id is the one of the user guide.
var defaultID = [8]byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}

// ScratchID is the file identifier of the transparent EF in the MF that anybody
// may read and write. It is ours; no published token has it.
const ScratchID = 0x5AFE

const defaultScratchSize = 1024

// An Option changes what [New] makes.
type Option func(*Card)

// WithATR replaces the answer to reset; atr is copied and not checked, so that
// cards of other protocols, and broken ones, can be made.
func WithATR(atr []byte) Option {
	return func(c *Card) { c.atr = append([]byte(nil), atr...) }
}

// WithTokenID replaces the eight bytes of GET DATA 01 81.
func WithTokenID(id [8]byte) Option {
	return func(c *Card) { c.id = id }
}

// WithPIN sets a PIN, by its reference (1 administrator, 2 user), and its highest
// number of tries, 1 to 15; pin is copied.
func WithPIN(ref byte, pin []byte, tries int) Option {
	return func(c *Card) { c.setPIN(ref, pin, tries) }
}

// WithScratchSize sets the size of the scratch EF, 0 to 32768 bytes.
func WithScratchSize(n int) Option {
	return func(c *Card) { c.mf.child(ScratchID).body = make([]byte, n) }
}

// WithRandom replaces the source of GET CHALLENGE, crypto/rand by default.
func WithRandom(r io.Reader) Option {
	return func(c *Card) { c.random = r }
}

// New makes a token as it leaves the user guide: administrator PIN 87654321 with
// ten tries, user PIN 12345678 with five, an MF and the scratch EF in it.
func New(opts ...Option) *Card {
	c := &Card{atr: defaultATR, id: defaultID, random: rand.Reader}
	c.mf = newDF(mfID, [fileRules]byte{0x47, 0x02, 0x02, 0x01, 0, 0, 0, never})
	c.mf.add(newEF(ScratchID, [fileRules]byte{0x43, always, always, 0, 0, 0, 0, never}, defaultScratchSize))
	c.setPIN(adminPIN, []byte("87654321"), 10)
	c.setPIN(userPIN, []byte("12345678"), 5)
	for _, o := range opts {
		o(c)
	}
	c.Reset(true)
	return c
}

// ATR is the answer to reset. The caller must not change it.
func (c *Card) ATR() []byte { return c.atr }

// Reset is a reset of the card, cold or warm: it drops the logins, the selection,
// held response data and what ECHO remembered. PINs, counters and files stay.
func (c *Card) Reset(cold bool) {
	c.logins = 0
	c.dir, c.current = c.mf, nil
	c.echo = c.echo[:0]
	c.forget()
}

// forget drops what GET RESPONSE could have fetched.
func (c *Card) forget() {
	c.rest = c.rest[:0]
	c.echoWaits = false
}

// Transmit carries out one command APDU and appends the response APDU, status
// word included, to dst. apdu is not kept. A malformed APDU is answered 6700;
// the error is ctx.Err() of a context that had ended before the command began,
// and nothing else.
func (c *Card) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, fmt.Errorf("card: %w", err)
	}
	cmd, err := iso7816.ParseCommand(apdu)
	if err != nil {
		c.forget()
		return iso7816.SWWrongLength.AppendTo(dst), nil
	}
	start := len(dst)
	dst, sw := c.execute(dst, cmd)
	if more := len(dst) - start - cmd.Ne; more > 0 {
		c.rest = append(c.rest[:0], dst[start+cmd.Ne:]...)
		dst = dst[:start+cmd.Ne]
		sw = moreData(more)
	}
	return sw.AppendTo(dst), nil
}

// Incoming reports whether a command of T=0 with a P3 other than 00 brings data
// to the card: a card of that protocol knows it by the instruction alone.
func (c *Card) Incoming(cla, ins byte) bool {
	switch {
	case cla == 0x00:
		return ins == 0x20 || ins == 0xA4 || ins == 0xD6
	case cla == 0x80:
		return ins == 0xEE
	}
	return false
}

// execute finds the command and appends its whole response data, however much
// was asked for.
func (c *Card) execute(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if cmd.INS == 0xC0 && (cmd.CLA == 0x00 || cmd.CLA == 0x80) {
		return c.getResponse(dst, cmd)
	}
	c.forget()
	switch cmd.CLA {
	case 0x00:
		switch cmd.INS {
		case 0x20:
			return dst, c.verify(cmd)
		case 0x84:
			return c.getChallenge(dst, cmd)
		case 0xA4:
			return c.selectFile(dst, cmd)
		case 0xB0:
			return c.readBinary(dst, cmd)
		case 0xCA:
			return c.getData(dst, cmd)
		case 0xD6:
			return dst, c.updateBinary(cmd)
		}
	case 0x80:
		switch cmd.INS {
		case 0x40:
			return dst, c.resetAccessRights(cmd)
		case 0xEC:
			return c.echoCommand(dst, cmd)
		case 0xEE:
			return c.echoData(dst, cmd)
		}
	default:
		return dst, iso7816.SWWrongCLA
	}
	return dst, iso7816.SWWrongINS
}

// Package emu is the firmware of a KAZTOKEN in software: the card that sits
// behind the reader of ccid/ccidsim in tests, demonstrations and the virtual
// token.
//
// It speaks APDUs and knows nothing of USB, T=1 or readers. What it answers
// follows the command set of the Rutoken ECP family that OpenSC's driver and the
// vendor's samples show; where nobody has published what the hardware does, the
// choice is marked Assumed.
//
//	00 20  VERIFY                  with a tries counter, and its query
//	00 22  MSE SET                 41 B6 sign, 41 B8 decipher: 84 01 kk
//	00 24  CHANGE REFERENCE DATA   sets a PIN, loads a key; chained
//	00 2A  PSO                     9E 9A sign, 80 86 decipher, raw; chained
//	00 2C  RESET RETRY COUNTER
//	00 46  GENERATE KEY            RSA 1024 to 4096, GOST R 34.10-2001
//	00 84  GET CHALLENGE
//	00 A4  SELECT                  id, path, parent, first, next
//	00 B0  READ BINARY             transparent EFs
//	00 C0  GET RESPONSE            also with class 80
//	00 CA  GET DATA                01 81 id, 01 89 properties, 01 8A free memory
//	00 D6  UPDATE BINARY
//	00 E0  CREATE FILE             an RSF is filed by its type
//	00 E4  DELETE FILE
//	80 40  RESET ACCESS RIGHTS     drops all logins
//	80 84  INIT END                4E 19
//	80 8A  INIT                    erases all
//	80 EC  ECHO                    of ours: see below
//	80 EE  ECHO of data            of ours
//
// All but ECHO take short length fields only.
//
// # Life of a token
//
// [New] makes the token of the user guide, formatted as OpenSC would. INIT erases
// it; then nothing can be selected until CREATE FILE makes an MF, and no access
// rule is in force until INIT END. That phase survives power-off.
//
// [Open] keeps the token in a file, which is written before the answer of every
// command that changes something. PINs and keys lie in it in the clear: it is a
// simulator. What a real token must do in constant time takes here, but for the
// comparison of PINs, the time that math/big takes.
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
	"crypto/rsa"
	"fmt"
	"io"
	"os"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// Card is one token. It serves one caller at a time; calls must not overlap.
type Card struct {
	atr       []byte
	random    io.Reader
	keySource func(bits int) (*rsa.PrivateKey, error)

	token // what survives power-off
	store *store
	saved []byte // token as it is in the store
	spare []byte // room for the next encoding

	session
	// before is the session as the running command found it: what a failed write
	// goes back to.
	before  session
	changed bool // the running command changed token and has not stored it
	closed  bool

	chain chain
	echo  []byte // data of the last ECHO that had some
	rest  []byte // response data held for GET RESPONSE
	// echoHeader is the ECHO without Le that a GET RESPONSE may still fetch;
	// valid while echoWaits is set.
	echoHeader iso7816.Command
	echoWaits  bool
}

// token is what survives power-off.
type token struct {
	id           [8]byte
	capacity     int // memory for files, bytes
	initialising bool
	mf           *file // nil on a wiped card

	hidePINs, oneLogin, triesInAnswer bool
	objects                           []dataObject // before those that the card has of itself
}

// dataObject is an object of GET DATA 01 p2; an empty value means that the card
// does not have it.
type dataObject struct {
	p2    byte
	value []byte
}

// session is what a reset ends.
type session struct {
	dir     *file // current DF, nil on a wiped card
	current *file // current EF or RSF, nil if none was selected since the DF was
	logins  byte  // mask of verified PIN references, as in the access conditions

	signKey, decipherKey byte // of MSE; 0 is none
}

// New makes a token as it leaves the user guide, unless an option says another
// state: label KAZTOKEN, administrator PIN 87654321 and user PIN 12345678 of at
// least six bytes with ten tries each, the user PIN changed by both.
func New(opts ...Option) *Card {
	s := settingsOf(opts)
	c := s.card()
	c.token = s.token()
	c.Reset(true)
	return c
}

// ATR is the answer to reset. The caller must not change it.
func (c *Card) ATR() []byte { return c.atr }

// Reset is a reset of the card, cold or warm: it drops the logins, the selection,
// held response data and what ECHO remembered. PINs, counters and files stay.
func (c *Card) Reset(cold bool) {
	c.session = session{dir: c.mf}
	c.echo = c.echo[:0]
	c.chain.drop()
	c.forget()
}

// forget drops what GET RESPONSE could have fetched.
func (c *Card) forget() {
	secret.Wipe(c.rest)
	c.rest = c.rest[:0]
	c.echoWaits = false
}

// Transmit carries out one command APDU and appends the response APDU, status
// word included, to dst. apdu is not kept. A malformed APDU is answered 6700; a
// change that could not be stored is undone and answered 6581. The error is
// ctx.Err() of a context that had ended before the command began, or
// [os.ErrClosed], and nothing else.
func (c *Card) Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return dst, fmt.Errorf("card: %w", err)
	}
	if c.closed {
		return dst, fmt.Errorf("card: %w", os.ErrClosed)
	}
	cmd, err := iso7816.ParseCommand(apdu)
	if err != nil {
		c.chain.drop()
		c.forget()
		return iso7816.SWWrongLength.AppendTo(dst), nil
	}
	start := len(dst)
	c.before = c.session
	dst, sw := c.execute(dst, cmd)
	if c.changed {
		if failed := c.commit(); failed != iso7816.SWOK {
			dst, sw = dst[:start], failed
		}
	}
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
	switch cla {
	case 0x00, 0x10:
		switch ins {
		case 0x20, 0x22, 0x24, 0x2A, 0x46, 0xA4, 0xD6, 0xE0, 0xE4:
			return true
		}
	case 0x80:
		return ins == 0xEE
	}
	return false
}

// Duration says which commands may take seconds, those that make an RSA key:
// meanwhile a reader has to keep its host waiting. It reads nothing of the card.
func (c *Card) Duration(apdu []byte) time.Duration {
	if len(apdu) >= 2 && apdu[0] == 0x00 && apdu[1] == 0x46 {
		return time.Millisecond
	}
	return 0
}

// execute finds the command and appends its whole response data, however much
// was asked for.
func (c *Card) execute(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	if !c.chain.continuedBy(cmd) {
		c.chain.drop()
	}
	getResponse := cmd.INS == 0xC0 && (cmd.CLA == 0x00 || cmd.CLA == 0x80)
	echo := cmd.CLA == 0x80 && (cmd.INS == 0xEC || cmd.INS == 0xEE)
	if cmd.Extended && !getResponse && !echo {
		c.forget()
		return dst, iso7816.SWWrongLength
	}
	if getResponse {
		return c.getResponse(dst, cmd)
	}
	c.forget()
	switch cmd.CLA {
	case 0x00:
		return c.interindustry(dst, cmd)
	case 0x10:
		if cmd.INS == 0x24 || cmd.INS == 0x2A {
			return c.chained(dst, cmd)
		}
		return dst, iso7816.SWChaining
	case 0x80:
		return c.proprietary(dst, cmd)
	}
	return dst, iso7816.SWWrongCLA
}

// interindustry is the commands of class 00.
func (c *Card) interindustry(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	switch cmd.INS {
	case 0x20:
		return dst, c.verify(cmd)
	case 0x22:
		return dst, c.manageSecurityEnvironment(cmd)
	case 0x24, 0x2A:
		return c.chained(dst, cmd)
	case 0x2C:
		return dst, c.resetRetryCounter(cmd)
	case 0x46:
		return c.generateKey(dst, cmd)
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
	case 0xE0:
		return dst, c.createFile(cmd)
	case 0xE4:
		return dst, c.deleteFile(cmd)
	}
	return dst, iso7816.SWWrongINS
}

// proprietary is the commands of class 80.
func (c *Card) proprietary(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	switch cmd.INS {
	case 0x40:
		return dst, c.resetAccessRights(cmd)
	case 0x84:
		return dst, c.endInitialisation(cmd)
	case 0x8A:
		return dst, c.initialise(cmd)
	case 0xEC:
		return c.echoCommand(dst, cmd)
	case 0xEE:
		return c.echoData(dst, cmd)
	}
	return dst, iso7816.SWWrongINS
}

// chained is the commands that may come in several blocks. A refusal ends the
// chain.
func (c *Card) chained(dst []byte, cmd iso7816.Command) ([]byte, iso7816.SW) {
	var sw iso7816.SW
	if cmd.INS == 0x24 {
		sw = c.changeReferenceData(cmd)
	} else {
		dst, sw = c.performSecurityOperation(dst, cmd)
	}
	if sw != iso7816.SWOK || cmd.CLA == 0x00 {
		c.chain.drop()
	}
	return dst, sw
}

package firmware

import (
	"context"
	"fmt"
	"time"

	"kaztoken/internal/iso7816"
	"kaztoken/internal/secret"
)

// Card is a channel to a card, whoever provides it. Transmit carries out one
// command APDU and appends the response APDU, status word included, to dst.
// Calls do not overlap. An error says that there is no answer.
type Card interface {
	Transmit(ctx context.Context, dst, apdu []byte) ([]byte, error)
}

// Sharer is a [Card] that other programs use at the same time. Between Begin
// and End no other program reaches the card. Begin may return [ErrReset]; the
// transaction is held then, too.
type Sharer interface {
	Begin(ctx context.Context) error
	End(ctx context.Context) error
}

// Instructions, with the classes that the card takes them in (ISO 7816-4:2013
// §11 and, for class 80, the vendor).
const (
	insVerify          = 0x20
	insMSE             = 0x22
	insChangeReference = 0x24
	insPSO             = 0x2A
	insResetRetry      = 0x2C
	insResetAccess     = 0x40 // class 80
	insGenerate        = 0x46
	insChallenge       = 0x84
	insInitEnd         = 0x84 // class 80
	insInit            = 0x8A // class 80
	insSelect          = 0xA4
	insReadBinary      = 0xB0
	insGetResponse     = 0xC0
	insGetData         = 0xCA
	insUpdateBinary    = 0xD6
	insCreateFile      = 0xE0
	insDeleteFile      = 0xE4

	claISO    = 0x00
	claChain  = 0x10 // all but the last command of a chain, ISO 7816-4:2013 §5.3.3
	claVendor = 0x80
)

const (
	// maxAnswer bounds what a chain of GET RESPONSE may bring: the longest real
	// answer is a 4096-bit number, 512 bytes.
	maxAnswer = 4096
	// maxCommand is the longest short command APDU.
	maxCommand = iso7816.MaxShortCommand
)

// Event is one APDU, as far as it may be shown: PINs, key bodies and decrypted
// data are left out. The slices are valid during the call only.
type Event struct {
	Command      []byte // header and what of the body may be shown
	Hidden       int    // bytes of the command left out
	Answer       []byte // response data that may be shown
	HiddenAnswer int    // bytes of response data left out
	SW           iso7816.SW
	Err          error // there was no answer
	Duration     time.Duration
}

// channel turns commands into APDUs and answers into data. Its buffers are used
// again and wiped after what was secret; once they have grown, sending a command
// allocates nothing unless it fails or is traced.
type channel struct {
	card  Card
	trace func(Event)
	lost  func() // is told that there was no answer
	apdu  [maxCommand]byte
	resp  []byte // response of one APDU
	data  []byte // response data of one command, put together
}

// send carries out one command and gives its response data and status word; the
// data is valid until the next command. 61xx is followed by GET RESPONSE, 6Cxx
// to a command without data by the command with that Le (ISO 7816-3:2006
// §12.2.5 has both for every protocol).
func (c *channel) send(ctx context.Context, cmd iso7816.Command) ([]byte, iso7816.SW, error) {
	c.data = c.data[:0]
	sw, err := c.exchange(ctx, cmd)
	if err != nil {
		return nil, 0, err
	}
	if ne, ok := sw.ExactLe(); ok && len(cmd.Data) == 0 && cmd.Ne > 0 {
		cmd.Ne = ne
		if sw, err = c.exchange(ctx, cmd); err != nil {
			return nil, 0, err
		}
	}
	for {
		n, more := sw.MoreData()
		if !more {
			return c.data, sw, nil
		}
		if len(c.data)+n > maxAnswer {
			return nil, 0, fmt.Errorf("%s: %w: more than %d bytes", commandName(cmd.CLA, cmd.INS), ErrAnswer, maxAnswer)
		}
		before := len(c.data)
		if sw, err = c.exchange(ctx, iso7816.Command{INS: insGetResponse, Ne: n}); err != nil {
			return nil, 0, err
		}
		if _, more := sw.MoreData(); more && len(c.data) == before {
			return nil, 0, fmt.Errorf("%s: %w: GET RESPONSE brings nothing", commandName(cmd.CLA, cmd.INS), ErrAnswer)
		}
	}
}

// exchange sends one APDU and appends its response data to c.data.
func (c *channel) exchange(ctx context.Context, cmd iso7816.Command) (iso7816.SW, error) {
	apdu, err := cmd.AppendTo(c.apdu[:0])
	if err != nil {
		return 0, err
	}
	if len(apdu) > maxCommand {
		return 0, fmt.Errorf("%s: %w: %d bytes of data in one command", commandName(cmd.CLA, cmd.INS), iso7816.ErrAPDU, len(cmd.Data))
	}
	hideCommand, hideAnswer := hidden(cmd)
	began := time.Time{}
	if c.trace != nil {
		began = time.Now()
	}
	resp, err := c.card.Transmit(ctx, c.resp[:0], apdu)
	c.resp = resp
	var r iso7816.Response
	if err == nil {
		r, err = iso7816.ParseResponse(resp)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", commandName(cmd.CLA, cmd.INS), err)
		c.lost()
	}
	if err == nil && len(r.Data) > cmd.Ne {
		err = fmt.Errorf("%s: %w: %d bytes of data, %d asked for", commandName(cmd.CLA, cmd.INS), ErrAnswer, len(r.Data), cmd.Ne)
	}
	if c.trace != nil {
		c.trace(event(apdu, r, err, time.Since(began), hideCommand, hideAnswer))
	}
	if hideCommand {
		secret.Wipe(apdu)
	}
	if err != nil {
		return 0, err
	}
	if len(c.data)+len(r.Data) > cap(c.data) {
		grown := make([]byte, len(c.data), max(2*cap(c.data), len(c.data)+len(r.Data)))
		copy(grown, c.data)
		secret.Wipe(c.data)
		c.data = grown
	}
	c.data = append(c.data, r.Data...)
	if hideAnswer {
		secret.Wipe(resp)
	}
	return r.SW, nil
}

// hidden tells what of a command must never be seen: PINs and key bodies (VERIFY,
// CHANGE REFERENCE DATA, RESET RETRY COUNTER), and what a key decrypted. The
// answer to GET RESPONSE may be the rest of that.
func hidden(cmd iso7816.Command) (command, answer bool) {
	return len(cmd.Data) > 0 && iso7816.CarriesSecret(cmd.INS), iso7816.BringsSecret(cmd.INS, cmd.P1, true)
}

func event(apdu []byte, r iso7816.Response, err error, took time.Duration, hideCommand, hideAnswer bool) Event {
	e := Event{Command: apdu, Answer: r.Data, SW: r.SW, Err: err, Duration: took}
	if hideCommand {
		e.Command, e.Hidden = apdu[:4], len(apdu)-4
	}
	if hideAnswer {
		e.Answer, e.HiddenAnswer = nil, len(r.Data)
	}
	return e
}

// wipe forgets the data of the last command.
func (c *channel) wipe() {
	secret.Wipe(c.data[:cap(c.data)])
	secret.Wipe(c.resp[:cap(c.resp)])
	c.data, c.resp = c.data[:0], c.resp[:0]
}

// do is [channel.send] for a command that has to succeed: any status word but
// 9000 is a [*StatusError].
func (c *channel) do(ctx context.Context, cmd iso7816.Command) ([]byte, error) {
	data, sw, err := c.send(ctx, cmd)
	if err != nil {
		return nil, err
	}
	if !sw.OK() {
		return nil, &StatusError{SW: sw, CLA: cmd.CLA &^ claChain, INS: cmd.INS}
	}
	return data, nil
}

// chain sends a command whose data is in parts, each a command of its own with
// CLA 10 but the last (ISO 7816-4:2013 §5.3.3). Each part has 1 to 255 bytes.
func (c *channel) chain(ctx context.Context, cmd iso7816.Command, parts [][]byte) ([]byte, error) {
	ne := cmd.Ne
	for i, part := range parts {
		cmd.CLA, cmd.Ne, cmd.Data = claChain, 0, part
		if i == len(parts)-1 {
			cmd.CLA, cmd.Ne = claISO, ne
		}
		data, err := c.do(ctx, cmd)
		if err != nil || i == len(parts)-1 {
			return data, err
		}
	}
	return nil, fmt.Errorf("%s: %w: no data", commandName(cmd.CLA, cmd.INS), iso7816.ErrAPDU)
}

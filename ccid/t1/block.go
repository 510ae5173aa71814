package t1

import (
	"errors"
	"fmt"
)

// Sizes of a block, bytes (ISO 7816-3:2006 §11.3).
const (
	PrologueLen = 3                        // NAD, PCB, LEN
	MaxINF      = 254                      // LEN FF is reserved
	MaxBlockLen = PrologueLen + MaxINF + 2 // with a CRC
)

// The protocol control byte (ISO 7816-3:2006 §11.3.2.2).
const (
	IBlock       = 0x00 // bit 8 clear
	SendSequence = 0x40 // N(S) of an I-block
	More         = 0x20 // M of an I-block: the chain goes on

	RBlock          = 0x80
	ReceiveSequence = 0x10 // N(R) of an R-block
	ErrorEDC        = 0x01 // R-block: redundancy code or parity error
	ErrorOther      = 0x02 // R-block: any other error

	SBlock     = 0xC0
	SResponse  = 0x20 // set in the answer to a supervisory request
	Resynch    = 0xC0 // S(RESYNCH request), by the host only
	IFS        = 0xC1 // S(IFS request), INF is the new size
	AbortChain = 0xC2 // S(ABORT request)
	WTX        = 0xC3 // S(WTX request), by the card only, INF is the multiplier
)

var (
	// ErrEDC says that the error detection code does not fit the block.
	ErrEDC = errors.New("T=1: error detection code is wrong")
	// ErrBlock says that bytes are not a block, whatever their code: too few,
	// a reserved LEN or PCB, an information field where none may be.
	ErrBlock = errors.New("T=1: malformed block")
)

// Block is one block without its error detection code.
type Block struct {
	NAD byte
	PCB byte
	INF []byte // at most 254 bytes
}

// AppendTo appends the encoded block and its code to dst. It panics if INF is
// longer than [MaxINF]; PCB is sent as it is, right or wrong.
func (b Block) AppendTo(dst []byte, e EDC) []byte {
	if len(b.INF) > MaxINF {
		panic("t1: information field longer than 254 bytes")
	}
	from := len(dst)
	dst = append(dst, b.NAD, b.PCB, byte(len(b.INF)))
	dst = append(dst, b.INF...)
	return e.appendTo(dst, from)
}

// ParseBlock reads one block. INF aliases b. Bytes behind the block are
// ignored, since readers pad; all else that ISO 7816-3:2006 §11.3 forbids is
// [ErrBlock], and a code that does not fit is [ErrEDC]. The low five bits of
// an I-block's PCB are let through. Of two things wrong the length is told
// first, then the code, then the PCB.
func ParseBlock(b []byte, e EDC) (Block, error) {
	if len(b) < PrologueLen+e.Len() || b[2] > MaxINF {
		return Block{}, ErrBlock
	}
	n := PrologueLen + int(b[2])
	if len(b) < n+e.Len() {
		return Block{}, ErrBlock
	}
	if !e.ok(b[:n+e.Len()]) {
		return Block{}, ErrEDC
	}
	blk := Block{NAD: b[0], PCB: b[1], INF: b[PrologueLen:n:n]}
	if !blk.valid() {
		return Block{}, ErrBlock
	}
	return blk, nil
}

// valid checks PCB and LEN of R- and S-blocks. Vpp state errors (C4, E4) were
// withdrawn from the standard and are refused.
func (b Block) valid() bool {
	switch b.Kind() {
	case SBlock:
		switch b.PCB &^ SResponse {
		case Resynch, AbortChain:
			return len(b.INF) == 0
		case IFS, WTX:
			return len(b.INF) == 1
		}
		return false
	case RBlock:
		return b.PCB&^ReceiveSequence <= RBlock|ErrorOther && len(b.INF) == 0
	}
	return true
}

// Kind is IBlock, RBlock or SBlock.
func (b Block) Kind() byte {
	if b.PCB&RBlock == 0 {
		return IBlock
	}
	return b.PCB & SBlock
}

// Seq is N(S) of an I-block or N(R) of an R-block: 0 or 1.
func (b Block) Seq() byte {
	if b.Kind() == IBlock {
		return b.PCB >> 6 & 1
	}
	return b.PCB >> 4 & 1
}

// More reports whether an I-block is followed by another of its chain.
func (b Block) More() bool { return b.Kind() == IBlock && b.PCB&More != 0 }

// String shows the kind, the numbers and the length of INF, never INF itself
// except for the one byte of S(IFS) and S(WTX): "I(0,1) 32 bytes",
// "R(1) EDC error", "S(WTX request 5)".
func (b Block) String() string {
	switch b.Kind() {
	case IBlock:
		return fmt.Sprintf("I(%d,%d) %d bytes", b.Seq(), b.PCB>>5&1, len(b.INF))
	case RBlock:
		switch b.PCB & 0x0F {
		case 0:
			return fmt.Sprintf("R(%d)", b.Seq())
		case ErrorEDC:
			return fmt.Sprintf("R(%d) EDC error", b.Seq())
		case ErrorOther:
			return fmt.Sprintf("R(%d) other error", b.Seq())
		}
		return fmt.Sprintf("R(%#02x)", b.PCB)
	}
	way := "request"
	if b.PCB&SResponse != 0 {
		way = "response"
	}
	switch b.PCB &^ SResponse {
	case Resynch:
		return "S(RESYNCH " + way + ")"
	case AbortChain:
		return "S(ABORT " + way + ")"
	case IFS, WTX:
		name := "IFS"
		if b.PCB&^SResponse == WTX {
			name = "WTX"
		}
		if len(b.INF) == 1 {
			return fmt.Sprintf("S(%s %s %d)", name, way, b.INF[0])
		}
		return fmt.Sprintf("S(%s %s)", name, way)
	}
	return fmt.Sprintf("S(%#02x)", b.PCB)
}

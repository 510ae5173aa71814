package ccid

import (
	"context"
	"fmt"
)

// MechanicalFunction is bFunction of Mechanical (CCID rev 1.10 §6.1.12).
type MechanicalFunction byte

// What a reader may do with a card as a thing.
const (
	AcceptCard  MechanicalFunction = 1
	EjectCard   MechanicalFunction = 2
	CaptureCard MechanicalFunction = 3
	LockCard    MechanicalFunction = 4
	UnlockCard  MechanicalFunction = 5
)

func (f MechanicalFunction) String() string {
	switch f {
	case AcceptCard:
		return "accept"
	case EjectCard:
		return "eject"
	case CaptureCard:
		return "capture"
	case LockCard:
		return "lock"
	case UnlockCard:
		return "unlock"
	}
	return fmt.Sprintf("MechanicalFunction(%d)", byte(f))
}

// bit is that of dwMechanical; locking and unlocking share one.
func (f MechanicalFunction) bit() uint32 {
	switch f {
	case UnlockCard:
		f = LockCard
	case 0:
		return 0
	}
	return 1 << (f - 1)
}

func mechanical(f MechanicalFunction) Message {
	return Message{Type: msgMechanical, Specific: [3]byte{byte(f)}}
}

// Mechanical moves or locks the card. What the reader does not declare is
// ErrNotSupported.
func (s *Slot) Mechanical(ctx context.Context, f MechanicalFunction) error {
	if f > UnlockCard || s.r.desc.Mechanical&f.bit() == 0 {
		return s.wrap(f.String(), ErrNotSupported)
	}
	_, err := s.simple(ctx, f.String(), mechanical(f))
	return err
}

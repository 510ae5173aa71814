package ccid

import "context"

// T0Classes are the classes that a reader at an APDU level uses for the T=0
// commands of its own making; nil leaves one as it is, FF stands for the class
// of the command in progress.
type T0Classes struct {
	GetResponse, Envelope *byte
}

// t0APDU changes them (CCID rev 1.10 §6.1.10).
func t0APDU(c T0Classes) Message {
	m := Message{Type: msgT0APDU}
	if c.GetResponse != nil {
		m.Specific[0] |= 0x01
		m.Specific[1] = *c.GetResponse
	}
	if c.Envelope != nil {
		m.Specific[0] |= 0x02
		m.Specific[2] = *c.Envelope
	}
	return m
}

// SetT0Classes changes the classes for the card in the slot.
func (s *Slot) SetT0Classes(ctx context.Context, c T0Classes) error {
	_, err := s.simple(ctx, "T=0 classes", t0APDU(c))
	return err
}

package firmware_test

import (
	"errors"
	"testing"

	"kaztoken/firmware"
)

// TestKnownMinimum: a minimum that was read is held without asking the card.
func TestKnownMinimum(t *testing.T) {
	w := &wire{card: newCard()}
	token := open(t, w)
	if _, err := token.PINStatus(t.Context(), firmware.User); err != nil {
		t.Fatal(err)
	}
	login(t, token, firmware.User)
	before := len(w.sent)
	var e *firmware.PINLengthError
	if err := token.ChangePIN(t.Context(), firmware.User, []byte("12345")); !errors.As(err, &e) || e.Min != 6 {
		t.Errorf("got %v", err)
	}
	if n := len(w.sent) - before; n != 0 {
		t.Errorf("%d commands were sent", n)
	}
}

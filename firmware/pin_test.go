package firmware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
	"kaztoken/internal/iso7816"
)

// pinsSent counts the commands that carry a PIN to be compared.
func (w *wire) pinsSent() int {
	n := 0
	for _, a := range w.sent {
		if a[0] == 0x00 && a[1] == 0x20 && len(a) > 5 {
			n++
		}
	}
	return n
}

// TestLogin logs in in every situation: what the result is, what it costs, and
// that the PIN goes to the card at most once.
func TestLogin(t *testing.T) {
	left := func(n int) []emu.Option { return []emu.Option{emu.WithPIN(2, userPIN, n)} }
	wrong := func(times int) func(testing.TB, *emu.Card) {
		return func(t testing.TB, card *emu.Card) {
			for range times {
				if _, err := card.Transmit(t.Context(), nil, append([]byte{0x00, 0x20, 0x00, 0x02, 8}, wrongPIN...)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	other := func(ref byte, pin []byte) func(testing.TB, *emu.Card) {
		return func(t testing.TB, card *emu.Card) { // another program logs in
			r, err := card.Transmit(t.Context(), nil, append([]byte{0x00, 0x20, 0x00, ref, byte(len(pin))}, pin...))
			if err != nil || !bytes.Equal(r, []byte{0x90, 0x00}) {
				t.Fatalf("% X, %v", r, err)
			}
		}
	}
	allow := []firmware.LoginOption{firmware.AllowLastTry()}
	for _, test := range []struct {
		name    string
		card    []emu.Option
		before  func(testing.TB, *emu.Card)
		role    firmware.Role
		pin     []byte
		options []firmware.LoginOption

		want     error // nil: logged in
		pinError *firmware.PINError
		result   firmware.LoginResult
		sent     int // PINs
		left     int // tries afterwards
	}{
		{name: "right", role: firmware.User, pin: userPIN, sent: 1, left: 10, result: firmware.LoginResult{DefaultPIN: true}},
		{name: "right administrator", role: firmware.Admin, pin: adminPIN, sent: 1, left: 10, result: firmware.LoginResult{DefaultPIN: true}},
		{name: "not the default", card: []emu.Option{emu.WithPIN(2, newUserPIN, 10)}, role: firmware.User, pin: newUserPIN, sent: 1, left: 10},
		{name: "the other role's default", card: []emu.Option{emu.WithPIN(2, adminPIN, 10)}, role: firmware.User, pin: adminPIN, sent: 1, left: 10},
		{name: "wrong", role: firmware.User, pin: wrongPIN, want: firmware.ErrPINWrong, sent: 1, left: 9,
			pinError: &firmware.PINError{Role: firmware.User, Left: 9, Err: firmware.ErrPINWrong}},
		{name: "wrong, told at once", card: []emu.Option{emu.WithTriesInAnswer()}, role: firmware.User, pin: wrongPIN, want: firmware.ErrPINWrong, sent: 1, left: 9,
			pinError: &firmware.PINError{Role: firmware.User, Left: 9, Err: firmware.ErrPINWrong}},
		{name: "default, which it is not", card: []emu.Option{emu.WithPIN(2, newUserPIN, 10)}, role: firmware.User, pin: userPIN, want: firmware.ErrPINWrong, sent: 1, left: 9,
			pinError: &firmware.PINError{Role: firmware.User, Left: 9, Err: firmware.ErrPINWrong}},
		{name: "last try", card: left(3), before: wrong(2), role: firmware.User, pin: userPIN, want: firmware.ErrLastTry, left: 1,
			pinError: &firmware.PINError{Role: firmware.User, Left: 1, Err: firmware.ErrLastTry}},
		{name: "last try allowed", card: left(3), before: wrong(2), role: firmware.User, pin: userPIN, options: allow, sent: 1, left: 3,
			result: firmware.LoginResult{DefaultPIN: true}},
		{name: "last try lost", card: left(3), before: wrong(2), role: firmware.User, pin: wrongPIN, options: allow, want: firmware.ErrPINWrong, sent: 1, left: 0,
			pinError: &firmware.PINError{Role: firmware.User, Left: 0, Blocked: true, Err: firmware.ErrPINWrong}},
		{name: "only one try ever", card: left(1), role: firmware.User, pin: userPIN, want: firmware.ErrLastTry, left: 1,
			pinError: &firmware.PINError{Role: firmware.User, Left: 1, Err: firmware.ErrLastTry}},
		{name: "blocked", card: left(3), before: wrong(3), role: firmware.User, pin: userPIN, options: allow, want: firmware.ErrPINBlocked, left: 0,
			pinError: &firmware.PINError{Role: firmware.User, Blocked: true, Err: firmware.ErrPINBlocked}},
		{name: "verified by another program", before: other(2, userPIN), role: firmware.User, pin: userPIN, sent: 1, left: 10,
			result: firmware.LoginResult{DefaultPIN: true}},
		{name: "wrong while another program is logged in", before: other(2, userPIN), role: firmware.User, pin: wrongPIN, want: firmware.ErrPINWrong, sent: 1, left: 9,
			pinError: &firmware.PINError{Role: firmware.User, Left: 9, Err: firmware.ErrPINWrong}},
		{name: "another role by another program", before: other(1, adminPIN), role: firmware.User, pin: userPIN, sent: 1, left: 10,
			result: firmware.LoginResult{DefaultPIN: true}},
		{name: "another role on a card for one", card: []emu.Option{emu.WithOneLogin()}, before: other(1, adminPIN), role: firmware.User, pin: userPIN,
			want: firmware.ErrLoginDisturbed, sent: 1, left: 10},
		{name: "empty", role: firmware.User, pin: nil, want: &firmware.PINLengthError{}, left: 10},
		{name: "too long", role: firmware.User, pin: make([]byte, 33), want: &firmware.PINLengthError{}, left: 10},
		{name: "no such role", role: 3, pin: userPIN, want: &firmware.StateError{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx := t.Context()
			card := newCard(test.card...)
			w := &wire{card: card}
			token := open(t, w)
			if test.before != nil {
				test.before(t, card)
			}
			w.forget()
			result, err := token.Login(ctx, test.role, test.pin, test.options...)
			if w.pinsSent() != test.sent {
				t.Errorf("%d PINs were sent, want %d", w.pinsSent(), test.sent)
			}
			if result != test.result {
				t.Errorf("result %+v, want %+v", result, test.result)
			}
			r, in := token.LoggedIn()
			if in != (test.want == nil) || in && r != test.role {
				t.Errorf("logged in: %v %v", r, in)
			}
			var pe *firmware.PINError
			if errors.As(err, &pe) != (test.pinError != nil) || pe != nil && *pe != *test.pinError {
				t.Errorf("%+v, want %+v", pe, test.pinError)
			}
			switch test.want.(type) {
			case nil:
				if err != nil {
					t.Error(err)
				}
			case *firmware.PINLengthError:
				if asType[*firmware.PINLengthError](err) == nil {
					t.Error(err)
				}
			case *firmware.StateError:
				if asType[*firmware.StateError](err) == nil {
					t.Error(err)
				}
			default:
				if !errors.Is(err, test.want) {
					t.Errorf("%v, want %v", err, test.want)
				}
			}
			if test.role > firmware.User {
				return
			}
			s, err := token.PINStatus(ctx, test.role)
			if err != nil || s.Left != test.left || s.Blocked != (test.left == 0) || s.Verified != (test.want == nil) || s.MinLength != 6 || s.MaxLength != 32 {
				t.Errorf("PIN status %+v, %v; want %d left", s, err, test.left)
			}
			if test.want == nil {
				logout(t, token)
				if s, err := token.PINStatus(ctx, test.role); err != nil || s.Verified {
					t.Errorf("after the log-out: %+v, %v", s, err)
				}
			}
		})
	}
}

// TestLoginDisturbed tries again after another program was in the way.
func TestLoginDisturbed(t *testing.T) {
	card := newCard(emu.WithOneLogin())
	token := open(t, card)
	login(t, token, firmware.Admin)
	other := open(t, card)
	if _, err := other.Login(t.Context(), firmware.User, userPIN); !errors.Is(err, firmware.ErrLoginDisturbed) {
		t.Errorf("log in: %v", err)
	}
	login(t, other, firmware.User)
	login(t, other, firmware.Admin) // its own log-in is dropped first
}

// TestNoPINUnasked looks for a PIN in everything that is done without a log-in.
func TestNoPINUnasked(t *testing.T) {
	ctx := t.Context()
	w := &wire{card: newCard()}
	token := open(t, w)
	for _, c := range calls(t) {
		_ = c.do(ctx, token) // most are refused
	}
	for _, r := range []firmware.Role{firmware.User, firmware.Admin} {
		if _, err := token.PINStatus(ctx, r); err != nil {
			t.Error(err)
		}
	}
	_, infoErr := token.Info(ctx)
	_, filesErr := token.Files(ctx)
	_, checkErr := token.Check(ctx)
	if err := errors.Join(infoErr, filesErr, checkErr); err != nil {
		t.Error(err)
	}
	if n := w.pinsSent(); n != 0 {
		t.Errorf("%d PINs were sent", n)
	}
}

// TestLoginFaults answers each command of a log-in with every status word that
// means something, and loses each answer: the PIN is sent at most once, and at
// most one try is used.
func TestLoginFaults(t *testing.T) {
	words := []iso7816.SW{0x6300, 0x63C0, 0x63C1, 0x63C9, 0x6983, 0x6982, 0x6984, 0x6985, 0x6F86, 0x6581, 0x6A88, 0x6D00, 0x9000, 0x6110, 0x6C08}
	for _, pin := range [][]byte{userPIN, wrongPIN} {
		for n := 1; n <= 4; n++ {
			for _, f := range []fault{cutBefore, cutAfter, dropBefore, dropAfter, refuse} {
				attempt(t, fmt.Sprintf("%v %d", f, n), pin, func(w *wire) { w.fault, w.at = f, n })
			}
			for _, sw := range words {
				attempt(t, fmt.Sprintf("%v at %d", sw, n), pin, func(w *wire) {
					w.lie = func(_, answer []byte) []byte {
						if len(w.sent) == n {
							return sw.AppendTo(nil)
						}
						return answer
					}
				})
			}
		}
	}
}

// attempt logs in over a wire that has been meddled with.
func attempt(t *testing.T, what string, pin []byte, meddle func(*wire)) {
	t.Helper()
	card := newCard()
	w := &wire{card: card}
	token := open(t, w)
	w.forget()
	meddle(w)
	_, err := token.Login(t.Context(), firmware.User, pin)
	if n := w.pinsSent(); n > 1 {
		t.Errorf("%s: the PIN was sent %d times", what, n)
	}
	if len(w.sent) > 6 {
		t.Errorf("%s: %d commands", what, len(w.sent))
	}
	if _, in := token.LoggedIn(); in != (err == nil) {
		t.Errorf("%s: logged in %v, but %v", what, in, err)
	}
	card.Reset(true)
	s, err := open(t, card).PINStatus(t.Context(), firmware.User)
	if err != nil || s.Left < 9 {
		t.Errorf("%s: %+v, %v", what, s, err)
	}
}

// TestVerifyLost loses the answer to a right PIN: nobody finds the card logged in
// afterwards.
func TestVerifyLost(t *testing.T) {
	card := newCard()
	w := &wire{card: card}
	token := open(t, w)
	w.forget()
	w.fault, w.at = dropAfter, 2
	if _, err := token.Login(t.Context(), firmware.User, userPIN); !errors.Is(err, errGone) {
		t.Fatalf("log in: %v", err)
	}
	if s, err := token.PINStatus(t.Context(), firmware.User); err != nil || s.Verified {
		t.Errorf("PIN status %+v, %v", s, err)
	}
}

// TestWrongPINCountLost loses the answer that says how many tries are left.
func TestWrongPINCountLost(t *testing.T) {
	w := &wire{card: newCard()}
	token := open(t, w)
	w.forget()
	w.fault, w.at = cutBefore, 3
	_, err := token.Login(t.Context(), firmware.User, wrongPIN)
	var pe *firmware.PINError
	if !errors.As(err, &pe) || *pe != (firmware.PINError{Role: firmware.User, Left: -1, Err: firmware.ErrPINWrong}) || !errors.Is(err, errGone) {
		t.Errorf("log in: %v", err)
	}
}

// TestLogoutFails ends the log-in for us even if the card does not answer.
func TestLogoutFails(t *testing.T) {
	w := &wire{card: newCard()}
	token := open(t, w)
	login(t, token, firmware.User)
	w.gone = true
	if err := token.Logout(t.Context()); !errors.Is(err, errGone) {
		t.Errorf("log out: %v", err)
	}
	if r, in := token.LoggedIn(); in {
		t.Errorf("%v is logged in", r)
	}
	if err := token.Logout(t.Context()); err != nil {
		t.Errorf("log out again: %v", err)
	}
}

// TestHiddenPINs asks for the status of PINs whose files a card does not show.
func TestHiddenPINs(t *testing.T) {
	token := open(t, newCard(emu.WithHiddenPINs()))
	s, err := token.PINStatus(t.Context(), firmware.User)
	if want := (firmware.PINStatus{Role: firmware.User, Left: 10, Max: -1, MinLength: -1, MaxLength: 32}); err != nil || s != want {
		t.Errorf("%+v, %v, want %+v", s, err, want)
	}
	login(t, token, firmware.User)
	if s, err := token.PINStatus(t.Context(), firmware.User); err != nil || s.Left != -1 || !s.Verified {
		t.Errorf("verified: %+v, %v", s, err)
	}
}

// TestCancelledLogin logs in with a context that has ended.
func TestCancelledLogin(t *testing.T) {
	w := &wire{card: newCard()}
	token := open(t, w)
	w.forget()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := token.Login(ctx, firmware.User, userPIN); !errors.Is(err, context.Canceled) {
		t.Errorf("log in: %v", err)
	}
	if n := w.pinsSent(); n != 0 {
		t.Errorf("%d PINs were sent", n)
	}
}

package pkcs11_test

import (
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kaztoken/bridge/pkcs11"
	"kaztoken/firmware/emu"
)

func (p *program) slots(present bool) []pkcs11.SlotID {
	p.t.Helper()
	ids, err := p.GetSlotList(present)
	p.ok("slots", err)
	return ids
}

// TestSlotsFollow plugs tokens in and out: there is always a slot, one that had a
// token gets it again, and each change is told once.
func TestSlotsFollow(t *testing.T) {
	w := newWorld()
	p := start(t, w)
	ids := func(all ...pkcs11.SlotID) []pkcs11.SlotID { return all }
	check := func(what string, all, present []pkcs11.SlotID) {
		t.Helper()
		if got := p.slots(false); !slices.Equal(got, all) {
			t.Errorf("%s: slots %v, want %v", what, got, all)
		}
		if got := p.slots(true); !slices.Equal(got, present) {
			t.Errorf("%s: slots with a token %v, want %v", what, got, present)
		}
	}
	check("empty", ids(0), nil)
	i, err := p.GetSlotInfo(0)
	if err != nil || i.Flags != pkcs11.SlotRemovableDevice|pkcs11.SlotHardware || i.Description != "KAZTOKEN" {
		t.Errorf("empty slot: %+v, %v", i, err)
	}
	_, err = p.OpenSession(0, ro)
	want(t, "session without a token", err, pkcs11.ErrTokenNotPresent)
	_, err = p.GetTokenInfo(0)
	want(t, "token info without a token", err, pkcs11.ErrTokenNotPresent)
	_, err = p.GetMechanismList(0)
	want(t, "mechanisms without a token", err, pkcs11.ErrTokenNotPresent)
	_, err = p.WaitForSlotEvent(true)
	want(t, "no event", err, pkcs11.ErrNoEvent)

	first := newCard()
	w.plug(reader, first, false)
	check("one", ids(0), ids(0))
	w.plug(reader+" 1", newCard(), true)
	check("two", ids(0, 1), ids(0, 1))
	w.unplug(reader)
	check("the second", ids(0, 1), ids(1))
	w.plug(reader, first, false)
	check("the first again", ids(0, 1), ids(0, 1))
	var events []pkcs11.SlotID
	for {
		id, err := p.WaitForSlotEvent(true)
		if err == pkcs11.ErrNoEvent {
			break
		}
		p.ok("event", err)
		events = append(events, id)
	}
	if !slices.Equal(events, ids(0, 1)) {
		t.Errorf("events %v, want one each", events)
	}
	i, err = p.GetSlotInfo(1)
	if err != nil || i.Flags&pkcs11.SlotTokenPresent == 0 || i.Description != reader+" 1" || i.ManufacturerID != "DigiFlow LLP." || i.Hardware != [2]byte{1, 4} {
		t.Errorf("slot with a token: %+v, %v", i, err)
	}
	_, err = p.GetSlotInfo(2)
	want(t, "no such slot", err, pkcs11.ErrSlotIDInvalid)
	_, err = p.OpenSession(^pkcs11.SlotID(0), ro)
	want(t, "no such slot", err, pkcs11.ErrSlotIDInvalid)

	// One that is replaced between two looks was away, too.
	w.unplug(reader)
	w.plug(reader, first, false)
	if id, err := p.WaitForSlotEvent(true); id != 0 || err != nil {
		t.Errorf("replaced: %v, %v", id, err)
	}
	for n := range 20 {
		w.plug(reader+string(rune('a'+n)), first, false)
		p.slots(true)
		w.unplug(reader + string(rune('a'+n)))
		p.slots(true)
	}
	if n := len(p.slots(false)); n != 16 {
		t.Errorf("%d slots after 20 readers came and went, want 16", n)
	}
}

// TestWaitForSlotEvent waits for a token, then for its leave, then in vain.
func TestWaitForSlotEvent(t *testing.T) {
	w := newWorld()
	p := start(t, w)
	type told struct {
		id  pkcs11.SlotID
		err error
	}
	wait := func() chan told {
		c := make(chan told)
		go func() {
			id, err := p.WaitForSlotEvent(false)
			c <- told{id, err}
		}()
		return c
	}
	p.slots(true)
	c := wait()
	w.plug(reader, newCard(), false)
	if got := <-c; got != (told{0, nil}) {
		t.Errorf("plugged in: %v", got)
	}
	p.session(ro)
	c = wait()
	w.unplug(reader)
	if got := <-c; got != (told{0, nil}) {
		t.Errorf("pulled out: %v", got)
	}
	c = wait()
	p.ok("finalize", p.Finalize())
	if got := <-c; got.err != pkcs11.ErrCryptokiNotInitialized {
		t.Errorf("finalized: %v", got)
	}
}

// TestTokenBefore: a token that was there from the beginning is no event, its
// leave is one.
func TestTokenBefore(t *testing.T) {
	w := newWorld()
	w.plug(reader, newCard(), false)
	p := start(t, w)
	_, err := p.WaitForSlotEvent(true)
	want(t, "from the beginning", err, pkcs11.ErrNoEvent)
	w.unplug(reader)
	if id, err := p.WaitForSlotEvent(true); id != 0 || err != nil {
		t.Errorf("pulled out: %v, %v", id, err)
	}
}

// TestUnplug pulls the token out: whatever is done with it says so, and a replug
// works with new sessions.
func TestUnplug(t *testing.T) {
	for _, shared := range []bool{false, true} {
		w := newWorld()
		card := newCard()
		w.plug(reader, card, shared)
		p := start(t, w)
		h, other := p.user(), p.session(ro)
		_, priv := p.generate(h, 1024, "k")
		p.ok("sign init", p.SignInit(h, &pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, priv))
		w.unplug(reader)
		_, err := p.Sign(h, []byte("data"), make([]byte, 128))
		want(t, "sign", err, pkcs11.ErrDeviceRemoved)
		_, err = p.GetSessionInfo(other)
		want(t, "session info", err, pkcs11.ErrDeviceRemoved)
		want(t, "find", p.FindObjectsInit(other, nil), pkcs11.ErrDeviceRemoved)
		want(t, "log in", p.Login(other, pkcs11.UserNormal, userPIN), pkcs11.ErrDeviceRemoved)
		_, err = p.GetTokenInfo(0)
		want(t, "token info", err, pkcs11.ErrTokenNotPresent)
		_, err = p.OpenSession(0, ro)
		want(t, "open", err, pkcs11.ErrTokenNotPresent)
		want(t, "close", p.CloseSession(other), nil)
		want(t, "close again", p.CloseSession(other), pkcs11.ErrSessionHandleInvalid)

		w.plug(reader, card, shared)
		_, err = p.GetSessionInfo(h)
		want(t, "old session after a replug", err, pkcs11.ErrDeviceRemoved)
		n := p.session(rw)
		i, err := p.GetSessionInfo(n)
		if err != nil || i.State != pkcs11.StateRWPublic {
			t.Errorf("new session: %+v, %v", i, err)
		}
		p.ok("log in", p.Login(n, pkcs11.UserNormal, userPIN))
		keys := p.find(n, class(pkcs11.ClassPrivateKey))
		if len(keys) != 1 {
			t.Fatalf("keys after a replug: %v", keys)
		}
		if _, err := p.sign(n, pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}, keys[0], []byte("data")); err != nil {
			t.Error(err)
		}
		want(t, "close all", p.CloseAllSessions(0), nil)
		_, err = p.GetSessionInfo(h)
		want(t, "old session after all were closed", err, pkcs11.ErrSessionHandleInvalid)
		p.ok("finalize", p.Finalize())
		if w.open != 0 {
			t.Errorf("%d connections are left", w.open)
		}
	}
}

// TestTokenInfo has the flags of PINs.
func TestTokenInfo(t *testing.T) {
	const always = pkcs11.TokenRNG | pkcs11.TokenLoginRequired
	ready := always | pkcs11.TokenInitialized | pkcs11.TokenUserPINInitialized
	for _, c := range []struct {
		name string
		opts []emu.Option
		do   func(*program)
		want pkcs11.TokenFlags
	}{
		{"as delivered", nil, nil, ready},
		{"one wrong PIN", nil, func(p *program) { p.miss(1) }, ready | pkcs11.TokenUserPINCountLow},
		{"all but one", nil, func(p *program) { p.miss(9) }, ready | pkcs11.TokenUserPINCountLow | pkcs11.TokenUserPINFinalTry},
		{"all", nil, func(p *program) { p.miss(10) }, ready | pkcs11.TokenUserPINLocked},
		{"right again", nil, func(p *program) { p.miss(2); p.user() }, ready | pkcs11.TokenUserPINToBeChanged},
		{"the administrator's", []emu.Option{emu.WithPIN(1, adminPIN, 3)}, func(p *program) {
			h := p.session(rw)
			want(p.t, "wrong", p.Login(h, pkcs11.UserSO, wrongPIN), pkcs11.ErrPINIncorrect)
			want(p.t, "wrong", p.Login(h, pkcs11.UserSO, wrongPIN), pkcs11.ErrPINIncorrect)
		}, ready | pkcs11.TokenSOPINCountLow | pkcs11.TokenSOPINFinalTry},
		{"by the vendor", []emu.Option{emu.WithVendorFormat()}, nil, ready | pkcs11.TokenWriteProtected},
		{"wiped", []emu.Option{emu.WithWiped()}, nil, always},
		{"half formatted", []emu.Option{emu.WithHalfInitialised()}, nil, always},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, p := plugged(t, c.opts...)
			if c.do != nil {
				c.do(p)
			}
			i, err := p.GetTokenInfo(0)
			p.ok("token info", err)
			if i.Flags != c.want {
				t.Errorf("flags %#x, want %#x", i.Flags, c.want)
			}
			if i.SerialNumber != "32D18A58" || i.Model != "KAZTOKEN" || i.MaxPINLen != 32 {
				t.Errorf("%+v", i)
			}
		})
	}
	_, _, p := plugged(t)
	p.session(ro)
	p.session(rw)
	i, err := p.GetTokenInfo(0)
	if err != nil || i.Label != "KAZTOKEN" || i.Sessions != 2 || i.RWSessions != 1 || i.MinPINLen != 6 || i.HardwareVersion != [2]byte{1, 4} ||
		i.FirmwareVersion != [2]byte{20, 4} || i.TotalPublic != 262144 || i.FreePublic != 53408 {
		t.Errorf("%+v, %v", i, err)
	}
}

// miss gives the user's PIN wrong some times.
func (p *program) miss(times int) {
	p.t.Helper()
	h := p.session(ro)
	for n := range times {
		rv := error(pkcs11.ErrPINIncorrect)
		if n == 9 {
			rv = pkcs11.ErrPINLocked
		}
		want(p.t, "wrong PIN", p.Login(h, pkcs11.UserNormal, wrongPIN), rv)
	}
}

// TestIdle leaves a token alone that nobody has a session with, so that other
// programs can have it; one that is shared stays open.
func TestIdle(t *testing.T) {
	for _, shared := range []bool{false, true} {
		w := newWorld()
		w.plug(reader, newCard(), shared)
		p := start(t, w)
		idle := 0
		if shared {
			idle = 1
		}
		_, err := p.GetTokenInfo(0)
		p.ok("token info", err)
		if w.open != idle {
			t.Errorf("shared %v: %d connections after a question, want %d", shared, w.open, idle)
		}
		a, b := p.session(ro), p.session(ro)
		p.ok("close", p.CloseSession(a))
		if w.open != 1 {
			t.Errorf("shared %v: %d connections with a session", shared, w.open)
		}
		p.ok("close", p.CloseSession(b))
		if w.open != idle {
			t.Errorf("shared %v: %d connections after the last session, want %d", shared, w.open, idle)
		}
	}
}

// TestBusy has the token at work for long: what it told before is told again, and
// Finalize ends the work.
func TestBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, place, p := plugged(t)
		h, other := p.user(), p.session(ro)
		before, err := p.GetTokenInfo(0)
		p.ok("token info", err)
		place.turn.Lock()
		place.hold = make(chan struct{})
		place.turn.Unlock()
		worked := make(chan error)
		for _, h := range []pkcs11.SessionHandle{h, other} {
			go func() { worked <- p.GenerateRandom(h, make([]byte, 8)) }()
		}
		synctest.Wait()
		began := time.Now()
		now, err := p.GetTokenInfo(0)
		if err != nil || now != before {
			t.Errorf("%+v, %v, want %+v", now, err, before)
		}
		if waited := time.Since(began); waited != 2*time.Second {
			t.Errorf("waited %v", waited)
		}
		if _, err := p.GetSlotInfo(0); err != nil {
			t.Error(err)
		}
		p.state(p.session(ro))
		p.ok("finalize", p.Finalize())
		for range 2 {
			want(t, "work in progress", <-worked, pkcs11.ErrCryptokiNotInitialized)
		}
	})
}

// TestNothingLeft begins and ends many times, with sessions open and somebody
// logged in: no goroutine, connection or log-in is left.
func TestNothingLeft(t *testing.T) {
	w := newWorld()
	card := newCard()
	place := w.plug(reader, card, true)
	goroutines := runtime.NumGoroutine()
	for range 20 {
		p := start(t, w)
		p.user()
		p.session(ro)
		waited := make(chan error)
		go func() { _, err := p.WaitForSlotEvent(false); waited <- err }()
		p.ok("finalize", p.Finalize())
		want(t, "the wait", <-waited, pkcs11.ErrCryptokiNotInitialized)
		if w.open != 0 {
			t.Fatalf("%d connections are left", w.open)
		}
		place.turn.Lock()
		resp, err := card.Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, 0x02})
		place.turn.Unlock()
		if err != nil || resp[0] != 0x63 {
			t.Fatalf("the card says % X, %v: somebody is logged in", resp, err)
		}
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}

// TestSourceFails: while nobody can say what is plugged in, a token that is open
// works on, and one that is not is not found.
func TestSourceFails(t *testing.T) {
	w, _, p := plugged(t)
	w.plug(reader+" 1", newCard(), true)
	h := p.user()
	p.slots(true)
	w.mu.Lock()
	w.err = errors.New("too many open files")
	w.mu.Unlock()
	if got := p.slots(true); !slices.Equal(got, []pkcs11.SlotID{0}) {
		t.Errorf("slots with a token: %v", got)
	}
	p.ok("random", p.GenerateRandom(h, make([]byte, 8)))
	_, err := p.OpenSession(1, ro)
	want(t, "the other token", err, pkcs11.ErrTokenNotPresent)
	w.unplug(reader)
	if got := p.slots(true); len(got) != 0 {
		t.Errorf("slots with a token that is gone: %v", got)
	}
	w.mu.Lock()
	w.err = nil
	w.mu.Unlock()
	if got := p.slots(true); !slices.Equal(got, []pkcs11.SlotID{1}) {
		t.Errorf("slots with a token in the end: %v", got)
	}
}

// TestSlotOfALeavingToken: a token whose connection has ended while it is listed
// still goes once, and is told once. One that stays listed was not pulled out.
func TestSlotOfALeavingToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		p := start(t, w)
		defer p.Finalize()
		present := func(what string, want bool) {
			t.Helper()
			if got := len(p.slots(true)) == 1; got != want {
				t.Errorf("%s: a token is there: %v", what, got)
			}
		}
		event := func(what string, want bool) {
			t.Helper()
			_, err := p.WaitForSlotEvent(true)
			if got := err == nil; got != want || err != nil && err != pkcs11.ErrNoEvent {
				t.Errorf("%s: event %v, %v", what, got, err)
			}
		}
		present("before", false)
		card := newCard()
		w.plug(reader, card, false)
		event("plugged in", true)
		_, err := p.OpenSession(0, ro)
		p.ok("session", err)
		w.lose(reader)
		event("pulled out", true)
		present("pulled out, listed", false)
		w.forget(reader)
		present("pulled out", false)
		event("nothing more", false)
		w.plug(reader, card, false)
		event("plugged in again", true)
		present("plugged in again", true)

		_, err = p.OpenSession(0, ro)
		p.ok("session", err)
		w.lose(reader)
		event("failed", true)
		time.Sleep(3 * time.Second)
		present("failed, and is still there", true)
	})
}

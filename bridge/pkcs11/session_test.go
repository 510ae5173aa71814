package pkcs11_test

import (
	"slices"
	"testing"

	"kaztoken/bridge/pkcs11"
	"kaztoken/firmware/emu"
)

func (p *program) state(h pkcs11.SessionHandle) pkcs11.State {
	p.t.Helper()
	i, err := p.GetSessionInfo(h)
	p.ok("session info", err)
	return i.State
}

// TestStates has the rules of read-only, read-write and SO sessions.
func TestStates(t *testing.T) {
	_, _, p := plugged(t)
	_, err := p.OpenSession(0, pkcs11.SessionRW)
	want(t, "parallel session", err, pkcs11.ErrSessionParallelNotSupported)
	r, w := p.session(ro), p.session(rw)
	both := func(what string, a, b pkcs11.State) {
		t.Helper()
		if got := [2]pkcs11.State{p.state(r), p.state(w)}; got != [2]pkcs11.State{a, b} {
			t.Errorf("%s: %v, want %v", what, got, [2]pkcs11.State{a, b})
		}
	}
	both("public", pkcs11.StateROPublic, pkcs11.StateRWPublic)
	want(t, "log out", p.Logout(r), pkcs11.ErrUserNotLoggedIn)
	want(t, "SO beside a read-only session", p.Login(w, pkcs11.UserSO, adminPIN), pkcs11.ErrSessionReadOnlyExists)
	want(t, "unknown user", p.Login(w, 7, userPIN), pkcs11.ErrUserTypeInvalid)
	want(t, "context without a context", p.Login(w, pkcs11.UserContextSpecific, userPIN), pkcs11.ErrOperationNotInitialized)
	want(t, "user by name", p.LoginUser(w, pkcs11.UserNormal, userPIN, []byte("me")), pkcs11.ErrArgumentsBad)
	want(t, "empty PIN", p.Login(w, pkcs11.UserNormal, nil), pkcs11.ErrPINLenRange)
	want(t, "long PIN", p.Login(w, pkcs11.UserNormal, make([]byte, 33)), pkcs11.ErrPINLenRange)
	want(t, "wrong PIN", p.Login(w, pkcs11.UserNormal, wrongPIN), pkcs11.ErrPINIncorrect)
	both("still public", pkcs11.StateROPublic, pkcs11.StateRWPublic)
	want(t, "log in", p.LoginUser(r, pkcs11.UserNormal, userPIN, nil), nil)
	both("user", pkcs11.StateROUser, pkcs11.StateRWUser)
	want(t, "log in again", p.Login(w, pkcs11.UserNormal, userPIN), pkcs11.ErrUserAlreadyLoggedIn)
	want(t, "the other", p.Login(w, pkcs11.UserSO, adminPIN), pkcs11.ErrUserAnotherAlreadyLoggedIn)
	if n := p.session(ro); p.state(n) != pkcs11.StateROUser {
		t.Error("a new session is not the user's")
	}
	want(t, "log out", p.Logout(w), nil)
	both("public again", pkcs11.StateROPublic, pkcs11.StateRWPublic)

	p.ok("close all", p.CloseAllSessions(0))
	w = p.session(rw)
	want(t, "SO", p.Login(w, pkcs11.UserSO, adminPIN), nil)
	if p.state(w) != pkcs11.StateRWSO {
		t.Error("not the SO's")
	}
	_, err = p.OpenSession(0, ro)
	want(t, "read-only beside the SO", err, pkcs11.ErrSessionReadWriteSOExists)
	p.ok("close", p.CloseSession(w))
	if h := p.session(rw); p.state(h) != pkcs11.StateRWPublic {
		t.Error("the last session took no log-in with it")
	}
}

// TestPINs sets, changes and unblocks PINs.
func TestPINs(t *testing.T) {
	for _, shared := range []bool{false, true} {
		w := newWorld()
		w.plug(reader, newCard(), shared)
		p := start(t, w)
		r, h := p.session(ro), p.session(rw)
		want(t, "read-only", p.SetPIN(r, userPIN, []byte("new-user")), pkcs11.ErrSessionReadOnly)
		want(t, "wrong old PIN", p.SetPIN(h, wrongPIN, []byte("new-user")), pkcs11.ErrPINIncorrect)
		want(t, "too short", p.SetPIN(h, userPIN, []byte("short")), pkcs11.ErrPINLenRange)
		want(t, "too long", p.SetPIN(h, userPIN, make([]byte, 33)), pkcs11.ErrPINLenRange)
		want(t, "public", p.SetPIN(h, userPIN, []byte("new-user")), nil)
		if p.state(h) != pkcs11.StateRWPublic {
			t.Error("still logged in")
		}
		want(t, "old PIN", p.Login(h, pkcs11.UserNormal, userPIN), pkcs11.ErrPINIncorrect)
		want(t, "new PIN", p.Login(h, pkcs11.UserNormal, []byte("new-user")), nil)
		want(t, "as user", p.SetPIN(h, []byte("new-user"), []byte("newer-user")), nil)
		if p.state(h) != pkcs11.StateRWUser {
			t.Error("not logged in any more")
		}
		want(t, "by the user", p.InitPIN(h, userPIN), pkcs11.ErrUserNotLoggedIn)
		want(t, "log out", p.Logout(h), nil)
		p.ok("close", p.CloseSession(r))
		p.miss(10)
		want(t, "blocked", p.Login(h, pkcs11.UserNormal, []byte("newer-user")), pkcs11.ErrPINLocked)
		p.ok("close all", p.CloseAllSessions(0))
		h = p.session(rw)
		want(t, "SO", p.Login(h, pkcs11.UserSO, adminPIN), nil)
		want(t, "too short", p.InitPIN(h, []byte("short")), pkcs11.ErrPINLenRange)
		want(t, "none", p.InitPIN(h, nil), pkcs11.ErrPINLenRange)
		want(t, "by the SO", p.InitPIN(h, []byte("from-so")), nil)
		want(t, "the SO's own", p.SetPIN(h, adminPIN, []byte("new-admin")), nil)
		want(t, "log out", p.Logout(h), nil)
		want(t, "unblocked", p.Login(h, pkcs11.UserNormal, []byte("from-so")), nil)
		want(t, "wrong while logged in", p.SetPIN(h, wrongPIN, []byte("new-user")), pkcs11.ErrPINIncorrect)
		if p.state(h) != pkcs11.StateRWPublic {
			t.Error("the token has nobody logged in, the session has")
		}
	}
	_, _, p := plugged(t, emu.WithPolicy(2))
	h := p.session(rw)
	want(t, "SO", p.Login(h, pkcs11.UserSO, adminPIN), nil)
	want(t, "the policy leaves it to the user", p.InitPIN(h, []byte("from-so")), pkcs11.ErrActionProhibited)
}

// TestInitToken formats tokens.
func TestInitToken(t *testing.T) {
	_, _, p := plugged(t)
	h := p.user()
	p.generate(h, 1024, "k")
	want(t, "with a session", p.InitToken(0, adminPIN, "New"), pkcs11.ErrSessionExists)
	p.ok("close", p.CloseSession(h))
	want(t, "wrong PIN", p.InitToken(0, wrongPIN, "New"), pkcs11.ErrPINIncorrect)
	want(t, "no PIN", p.InitToken(0, nil, "New"), pkcs11.ErrPINIncorrect)
	want(t, "a name that is no text", p.InitToken(0, adminPIN, "\xFF"), pkcs11.ErrArgumentsBad)
	want(t, "no slot", p.InitToken(9, adminPIN, "New"), pkcs11.ErrSlotIDInvalid)
	want(t, "format", p.InitToken(0, adminPIN, "Жаңа                            "), nil)
	i, err := p.GetTokenInfo(0)
	if err != nil || i.Label != "Жаңа" || i.Flags&pkcs11.TokenInitialized == 0 {
		t.Errorf("%+v, %v", i, err)
	}
	h = p.user()
	if got := p.find(h); len(got) != 0 {
		t.Errorf("objects on a new token: %v", got)
	}
	for _, opt := range []emu.Option{emu.WithWiped(), emu.WithHalfInitialised(), emu.WithVendorFormat()} {
		_, _, p := plugged(t, opt)
		h := p.session(rw)
		if got := p.find(h); len(got) != 0 {
			t.Errorf("objects: %v", got)
		}
		p.ok("close", p.CloseSession(h))
		want(t, "format", p.InitToken(0, adminPIN, "New"), nil)
		h = p.user()
		p.generate(h, 1024, "k")
	}
	_, _, p = plugged(t, emu.WithWiped())
	h = p.session(rw)
	want(t, "log in to no PIN", p.Login(h, pkcs11.UserNormal, userPIN), pkcs11.ErrUserPINNotInitialized)
}

// TestLostLogin has another program end the log-in: the next operation finds out,
// sessions are public, and a new log-in mends it.
func TestLostLogin(t *testing.T) {
	w := newWorld()
	place := w.plug(reader, newCard(), true)
	p := start(t, w)
	h := p.user()
	_, priv := p.generate(h, 1024, "k")
	mech := pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}
	for _, end := range []func(){
		place.reset,
		func() { // RESET ACCESS RIGHTS
			c := connection{w: w, p: place}
			place.turn.Lock()
			defer place.turn.Unlock()
			if resp, err := c.transmit(t.Context(), nil, []byte{0x80, 0x40, 0, 0}); err != nil || !slices.Equal(resp, []byte{0x90, 0}) {
				t.Fatalf("% X, %v", resp, err)
			}
		},
	} {
		if _, err := p.sign(h, mech, priv, []byte("data")); err != nil {
			t.Fatal(err)
		}
		end()
		_, err := p.sign(h, mech, priv, []byte("data"))
		want(t, "sign without the log-in", err, pkcs11.ErrUserNotLoggedIn)
		if p.state(h) != pkcs11.StateRWPublic {
			t.Error("the session is not public")
		}
		want(t, "a private object", p.GetAttributeValue(h, priv, nil), pkcs11.ErrObjectHandleInvalid)
		p.ok("log in", p.Login(h, pkcs11.UserNormal, userPIN))
	}
}

// TestTwoPrograms are logged in to one token; the one that logs out first leaves
// the log-in to the other.
func TestTwoPrograms(t *testing.T) {
	w := newWorld()
	place := w.plug(reader, newCard(), true)
	a, b := start(t, w), start(t, w)
	ha, hb := a.user(), b.user()
	_, keyA := a.generate(ha, 1024, "k")
	keyB := b.find(hb, class(pkcs11.ClassPrivateKey))[0]
	mech := pkcs11.Mechanism{Type: pkcs11.MechSHA256RSAPKCS}
	for range 3 {
		for _, x := range []struct {
			p *program
			h pkcs11.SessionHandle
			k pkcs11.ObjectHandle
		}{{a, ha, keyA}, {b, hb, keyB}} {
			if _, err := x.p.sign(x.h, mech, x.k, []byte("data")); err != nil {
				t.Fatal(err)
			}
		}
	}
	a.ok("finalize", a.Finalize())
	if _, err := b.sign(hb, mech, keyB, []byte("data")); err != nil {
		t.Errorf("the other has logged out: %v", err)
	}
	b.ok("log out", b.Logout(hb))
	place.turn.Lock()
	defer place.turn.Unlock()
	resp, err := place.card.Transmit(t.Context(), nil, []byte{0x00, 0x20, 0x00, 0x02})
	if err != nil || resp[0] != 0x63 {
		t.Errorf("after the last log-out the card says % X, %v: somebody is logged in", resp, err)
	}
}

// TestBeforeAndAfter calls everything without Initialize, and everything that has
// a session with none.
func TestBeforeAndAfter(t *testing.T) {
	m := pkcs11.New(newWorld(), [2]byte{1, 2})
	each := func(what string, rv error, sessions bool) {
		t.Helper()
		for name, call := range calls(m) {
			if sessions && call.free {
				continue
			}
			if err := call.f(0x1234); err != rv {
				t.Errorf("%s: %s: got %v, want %v", what, name, err, rv)
			}
		}
	}
	each("before", pkcs11.ErrCryptokiNotInitialized, false)
	want(t, "finalize", m.Finalize(), pkcs11.ErrCryptokiNotInitialized)
	want(t, "initialize", m.Initialize(), nil)
	want(t, "initialize again", m.Initialize(), pkcs11.ErrCryptokiAlreadyInitialized)
	each("no session", pkcs11.ErrSessionHandleInvalid, true)
	i, err := m.GetInfo()
	if err != nil || i.CryptokiVersion != [2]byte{3, 0} || i.LibraryVersion != [2]byte{1, 2} || i.ManufacturerID == "" {
		t.Errorf("%+v, %v", i, err)
	}
	want(t, "finalize", m.Finalize(), nil)
	each("after", pkcs11.ErrCryptokiNotInitialized, false)
	want(t, "initialize anew", m.Initialize(), nil)
	want(t, "finalize anew", m.Finalize(), nil)
}

// TestNothingBegun calls what needs an operation that was begun.
func TestNothingBegun(t *testing.T) {
	_, _, p := plugged(t)
	h := p.session(rw)
	for name, call := range calls(p.Module) {
		if call.begun {
			want(t, name, call.f(h), pkcs11.ErrOperationNotInitialized)
		}
	}
	for name, call := range calls(p.Module) {
		if call.begin {
			want(t, name+" without a mechanism", call.f(h), pkcs11.ErrArgumentsBad)
		}
	}
}

// call is a method with arguments of no use.
type call struct {
	f     func(h pkcs11.SessionHandle) error
	free  bool // it has no session
	begun bool // it goes on with an operation
	begin bool // it begins an operation, here without a mechanism
}

// calls are all methods but Initialize and Finalize.
func calls(m *pkcs11.Module) map[string]call {
	type h = pkcs11.SessionHandle
	var out [16]byte
	return map[string]call{
		"GetInfo":          {f: func(h) error { _, err := m.GetInfo(); return err }, free: true},
		"GetSlotList":      {f: func(h) error { _, err := m.GetSlotList(true); return err }, free: true},
		"GetSlotInfo":      {f: func(h) error { _, err := m.GetSlotInfo(0); return err }, free: true},
		"GetTokenInfo":     {f: func(h) error { _, err := m.GetTokenInfo(0); return err }, free: true},
		"GetMechanismList": {f: func(h) error { _, err := m.GetMechanismList(0); return err }, free: true},
		"GetMechanismInfo": {f: func(h) error { _, err := m.GetMechanismInfo(0, 0); return err }, free: true},
		"InitToken":        {f: func(h) error { return m.InitToken(0, adminPIN, "x") }, free: true},
		"OpenSession":      {f: func(h) error { _, err := m.OpenSession(0, rw); return err }, free: true},
		"CloseAllSessions": {f: func(h) error { return m.CloseAllSessions(0) }, free: true},
		"WaitForSlotEvent": {f: func(h) error { _, err := m.WaitForSlotEvent(false); return err }, free: true},

		"InitPIN":           {f: func(s h) error { return m.InitPIN(s, userPIN) }},
		"SetPIN":            {f: func(s h) error { return m.SetPIN(s, userPIN, userPIN) }},
		"CloseSession":      {f: m.CloseSession},
		"GetSessionInfo":    {f: func(s h) error { _, err := m.GetSessionInfo(s); return err }},
		"SessionCancel":     {f: func(s h) error { return m.SessionCancel(s, ^pkcs11.MechanismFlags(0)) }},
		"GetOperationState": {f: func(s h) error { _, err := m.GetOperationState(s, nil); return err }, begun: true},
		"SetOperationState": {f: func(s h) error { return m.SetOperationState(s, nil, 0, 0) }},
		"Login":             {f: func(s h) error { return m.Login(s, pkcs11.UserNormal, userPIN) }},
		"LoginUser":         {f: func(s h) error { return m.LoginUser(s, pkcs11.UserNormal, userPIN, []byte("me")) }},
		"Logout":            {f: m.Logout},
		"CreateObject":      {f: func(s h) error { _, err := m.CreateObject(s, nil); return err }},
		"CopyObject":        {f: func(s h) error { _, err := m.CopyObject(s, 1, nil); return err }},
		"DestroyObject":     {f: func(s h) error { return m.DestroyObject(s, 1) }},
		"GetObjectSize":     {f: func(s h) error { _, err := m.GetObjectSize(s, 1); return err }},
		"GetAttributeValue": {f: func(s h) error { return m.GetAttributeValue(s, 1, nil) }},
		"SetAttributeValue": {f: func(s h) error { return m.SetAttributeValue(s, 1, nil) }},
		"FindObjectsInit":   {f: func(s h) error { return m.FindObjectsInit(s, nil) }},
		"FindObjects":       {f: func(s h) error { _, err := m.FindObjects(s, 1); return err }, begun: true},
		"FindObjectsFinal":  {f: m.FindObjectsFinal, begun: true},
		"EncryptInit":       {f: func(s h) error { return m.EncryptInit(s, nil, 1) }, begin: true},
		"Encrypt":           {f: func(s h) error { _, err := m.Encrypt(s, out[:], nil); return err }, begun: true},
		"EncryptUpdate":     {f: func(s h) error { return m.EncryptUpdate(s, out[:]) }, begun: true},
		"EncryptFinal":      {f: func(s h) error { _, err := m.EncryptFinal(s, nil); return err }, begun: true},
		"DecryptInit":       {f: func(s h) error { return m.DecryptInit(s, nil, 1) }, begin: true},
		"Decrypt":           {f: func(s h) error { _, err := m.Decrypt(s, out[:], nil); return err }, begun: true},
		"DecryptUpdate":     {f: func(s h) error { return m.DecryptUpdate(s, out[:]) }, begun: true},
		"DecryptFinal":      {f: func(s h) error { _, err := m.DecryptFinal(s, nil); return err }, begun: true},
		"DigestInit":        {f: func(s h) error { return m.DigestInit(s, nil) }, begin: true},
		"Digest":            {f: func(s h) error { _, err := m.Digest(s, out[:], nil); return err }, begun: true},
		"DigestUpdate":      {f: func(s h) error { return m.DigestUpdate(s, out[:]) }, begun: true},
		"DigestKey":         {f: func(s h) error { return m.DigestKey(s, 1) }, begun: true},
		"DigestFinal":       {f: func(s h) error { _, err := m.DigestFinal(s, nil); return err }, begun: true},
		"SignInit":          {f: func(s h) error { return m.SignInit(s, nil, 1) }, begin: true},
		"Sign":              {f: func(s h) error { _, err := m.Sign(s, out[:], nil); return err }, begun: true},
		"SignUpdate":        {f: func(s h) error { return m.SignUpdate(s, out[:]) }, begun: true},
		"SignFinal":         {f: func(s h) error { _, err := m.SignFinal(s, nil); return err }, begun: true},
		"SignRecoverInit":   {f: func(s h) error { return m.SignRecoverInit(s, nil, 1) }, begin: true},
		"SignRecover":       {f: func(s h) error { _, err := m.SignRecover(s, out[:], nil); return err }, begun: true},
		"VerifyInit":        {f: func(s h) error { return m.VerifyInit(s, nil, 1) }, begin: true},
		"Verify":            {f: func(s h) error { return m.Verify(s, out[:], out[:]) }, begun: true},
		"VerifyUpdate":      {f: func(s h) error { return m.VerifyUpdate(s, out[:]) }, begun: true},
		"VerifyFinal":       {f: func(s h) error { return m.VerifyFinal(s, out[:]) }, begun: true},
		"VerifyRecoverInit": {f: func(s h) error { return m.VerifyRecoverInit(s, nil, 1) }, begin: true},
		"VerifyRecover":     {f: func(s h) error { _, err := m.VerifyRecover(s, out[:], nil); return err }, begun: true},
		"GenerateKeyPair":   {f: func(s h) error { _, _, err := m.GenerateKeyPair(s, nil, nil, nil); return err }},
		"SeedRandom":        {f: m.SeedRandom},
		"GenerateRandom":    {f: func(s h) error { return m.GenerateRandom(s, out[:]) }},
		"Unsupported":       {f: m.Unsupported},
	}
}

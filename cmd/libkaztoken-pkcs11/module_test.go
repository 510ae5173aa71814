//go:build cgo && linux

package main

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/miekg/pkcs11"
)

const (
	userPIN  = "12345678"
	adminPIN = "87654321"
)

// caller is the library, called through C by a wrapper that others wrote.
type caller struct {
	t testing.TB
	*pkcs11.Ctx
	ended bool
}

// load loads the library and initialises it.
func load(t testing.TB) *caller {
	t.Helper()
	c := pkcs11.New(library(t))
	if c == nil {
		t.Fatal("the library cannot be loaded")
	}
	m := &caller{t: t, Ctx: c}
	m.ok("initialize", c.Initialize())
	t.Cleanup(m.end)
	return m
}

func (m *caller) end() {
	m.t.Helper()
	if m.ended {
		return
	}
	m.ended = true
	m.ok("finalize", m.Finalize())
	m.Destroy()
}

func (m *caller) ok(what string, err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%s: %v", what, err)
	}
}

// want checks a return value.
func (m *caller) want(what string, err error, rv uint) {
	m.t.Helper()
	var got pkcs11.Error
	if rv == pkcs11.CKR_OK && err == nil || errors.As(err, &got) && uint(got) == rv {
		return
	}
	m.t.Errorf("%s: got %v, want %v", what, err, pkcs11.Error(rv))
}

func (m *caller) session(flags uint) pkcs11.SessionHandle {
	m.t.Helper()
	h, err := m.OpenSession(0, pkcs11.CKF_SERIAL_SESSION|flags)
	m.ok("open session", err)
	return h
}

func (m *caller) user() pkcs11.SessionHandle {
	m.t.Helper()
	h := m.session(pkcs11.CKF_RW_SESSION)
	m.ok("log in", m.Login(h, pkcs11.CKU_USER, userPIN))
	return h
}

func (m *caller) generate(h pkcs11.SessionHandle, bits int, id string) (pub, priv pkcs11.ObjectHandle) {
	m.t.Helper()
	pub, priv, err := m.GenerateKeyPair(h, mech(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_MODULUS_BITS, bits),
		pkcs11.NewAttribute(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	}, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_ID, id),
	})
	m.ok("generate", err)
	return pub, priv
}

func mech(t uint, p any) []*pkcs11.Mechanism { return []*pkcs11.Mechanism{pkcs11.NewMechanism(t, p)} }

func (m *caller) find(h pkcs11.SessionHandle, template ...*pkcs11.Attribute) []pkcs11.ObjectHandle {
	m.t.Helper()
	m.ok("find", m.FindObjectsInit(h, template))
	var all []pkcs11.ObjectHandle
	for {
		some, _, err := m.FindObjects(h, 3)
		m.ok("find", err)
		if len(some) == 0 {
			break
		}
		all = append(all, some...)
	}
	m.ok("end find", m.FindObjectsFinal(h))
	return all
}

func (m *caller) get(h pkcs11.SessionHandle, o pkcs11.ObjectHandle, t uint) []byte {
	m.t.Helper()
	a, err := m.GetAttributeValue(h, o, []*pkcs11.Attribute{pkcs11.NewAttribute(t, nil)})
	m.ok(fmt.Sprintf("attribute %#x", t), err)
	return a[0].Value
}

// TestInformation asks for all that there is to know without a PIN.
func TestInformation(t *testing.T) {
	startService(t)
	m := load(t)
	m.want("initialize again", m.Initialize(), pkcs11.CKR_CRYPTOKI_ALREADY_INITIALIZED)
	info, err := m.GetInfo()
	if err != nil || info.CryptokiVersion != (pkcs11.Version{Major: 3}) || info.ManufacturerID != "kaztoken" || info.LibraryDescription != "KAZTOKEN" {
		t.Errorf("%+v, %v", info, err)
	}
	slots, err := m.GetSlotList(true)
	if err != nil || !slices.Equal(slots, []uint{0}) {
		t.Fatalf("slots: %v, %v", slots, err)
	}
	slot, err := m.GetSlotInfo(0)
	if err != nil || slot.SlotDescription != "DigiFlow LLP. KAZTOKEN 00 00" || slot.Flags != pkcs11.CKF_TOKEN_PRESENT|pkcs11.CKF_REMOVABLE_DEVICE|pkcs11.CKF_HW_SLOT {
		t.Errorf("%+v, %v", slot, err)
	}
	token, err := m.GetTokenInfo(0)
	if err != nil || token.Label != "KAZTOKEN" || token.SerialNumber != "32D18A58" || token.Model != "KAZTOKEN" ||
		token.Flags != pkcs11.CKF_RNG|pkcs11.CKF_LOGIN_REQUIRED|pkcs11.CKF_USER_PIN_INITIALIZED|pkcs11.CKF_TOKEN_INITIALIZED {
		t.Errorf("%+v, %v", token, err)
	}
	list, err := m.GetMechanismList(0)
	if err != nil || len(list) != 22 {
		t.Errorf("%d mechanisms, %v", len(list), err)
	}
	i, err := m.GetMechanismInfo(0, mech(pkcs11.CKM_RSA_PKCS, nil))
	if err != nil || i.MinKeySize != 1024 || i.MaxKeySize != 4096 {
		t.Errorf("%+v, %v", i, err)
	}
	_, err = m.GetMechanismInfo(0, mech(pkcs11.CKM_AES_CBC, nil))
	m.want("AES", err, pkcs11.CKR_MECHANISM_INVALID)
	_, err = m.GetSlotInfo(17)
	m.want("slot 17", err, pkcs11.CKR_SLOT_ID_INVALID)
}

// TestUse goes through the life of a key by every function that has to do with it.
func TestUse(t *testing.T) {
	startService(t)
	m := load(t)
	ro := m.session(0)
	h := m.user()
	if i, err := m.GetSessionInfo(ro); err != nil || i.State != pkcs11.CKS_RO_USER_FUNCTIONS || i.SlotID != 0 {
		t.Errorf("%+v, %v", i, err)
	}
	pub, priv := m.generate(h, 1024, "k")
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(m.get(h, pub, pkcs11.CKA_MODULUS)), E: 65537}
	data := []byte("data")
	digest := sha256.Sum256(data)
	for name, c := range map[string]struct {
		mech   []*pkcs11.Mechanism
		verify func(sig []byte) error
	}{
		"PKCS": {mech(pkcs11.CKM_SHA256_RSA_PKCS, nil), func(sig []byte) error { return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig) }},
		"PSS": {mech(pkcs11.CKM_SHA256_RSA_PKCS_PSS, pkcs11.NewPSSParams(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, 32)),
			func(sig []byte) error {
				return rsa.VerifyPSS(key, crypto.SHA256, digest[:], sig, &rsa.PSSOptions{SaltLength: 32})
			}},
	} {
		m.ok(name, m.SignInit(h, c.mech, priv))
		sig, err := m.Sign(h, data)
		m.ok(name, err)
		if err := c.verify(sig); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m.ok(name, m.SignInit(h, c.mech, priv))
		m.ok(name, m.SignUpdate(h, data[:2]))
		m.ok(name, m.SignUpdate(h, data[2:]))
		sig, err = m.SignFinal(h)
		m.ok(name, err)
		m.ok(name, m.VerifyInit(ro, c.mech, pub))
		m.ok(name, m.Verify(ro, data, sig))
		m.ok(name, m.VerifyInit(ro, c.mech, pub))
		m.ok(name, m.VerifyUpdate(ro, data))
		sig[0] ^= 1
		m.want(name+", wrong", m.VerifyFinal(ro, sig), pkcs11.CKR_SIGNATURE_INVALID)
	}
	for name, c := range map[string][]*pkcs11.Mechanism{
		"PKCS": mech(pkcs11.CKM_RSA_PKCS, nil),
		"OAEP": mech(pkcs11.CKM_RSA_PKCS_OAEP, pkcs11.NewOAEPParams(pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1, pkcs11.CKZ_DATA_SPECIFIED, []byte("label"))),
	} {
		m.ok(name, m.EncryptInit(h, c, pub))
		box, err := m.Encrypt(h, data)
		m.ok(name, err)
		m.ok(name, m.DecryptInit(h, c, priv))
		got, err := m.Decrypt(h, box)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		m.ok(name, m.EncryptInit(h, c, pub))
		_, err = m.EncryptUpdate(h, data)
		m.ok(name, err)
		box, err = m.EncryptFinal(h)
		m.ok(name, err)
		m.ok(name, m.DecryptInit(h, c, priv))
		_, err = m.DecryptUpdate(h, box)
		m.ok(name, err)
		got, err = m.DecryptFinal(h)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s in pieces: %q, %v", name, got, err)
		}
	}
	m.ok("recover", m.SignRecoverInit(h, mech(pkcs11.CKM_RSA_PKCS, nil), priv))
	sig, err := m.SignRecover(h, data)
	m.ok("recover", err)
	if block := new(big.Int).Exp(new(big.Int).SetBytes(sig), big.NewInt(65537), key.N).Bytes(); !bytes.HasSuffix(block, append([]byte{0}, data...)) {
		t.Errorf("signed block % x", block)
	}
	m.ok("recover", m.VerifyRecoverInit(h, mech(pkcs11.CKM_RSA_PKCS, nil), pub))
	m.ok("set", m.SetAttributeValue(h, priv, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, "label")}))
	if got := m.get(h, priv, pkcs11.CKA_LABEL); string(got) != "label" {
		t.Errorf("label %q", got)
	}
	if n, err := m.GetObjectSize(h, priv); err != nil || n == 0 {
		t.Errorf("size %d, %v", n, err)
	}
	_, err = m.GetAttributeValue(h, priv, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_PRIME_1, nil)})
	m.want("a secret", err, pkcs11.CKR_ATTRIBUTE_SENSITIVE)
	_, err = m.CopyObject(h, pub, nil)
	m.want("copy", err, pkcs11.CKR_ACTION_PROHIBITED)
	m.want("destroy, read-only", m.DestroyObject(ro, pub), pkcs11.CKR_SESSION_READ_ONLY)
	m.ok("destroy", m.DestroyObject(h, priv))
	if got := m.find(h); !slices.Equal(got, []pkcs11.ObjectHandle{pub}) {
		t.Errorf("left: %v", got)
	}
	random, err := m.GenerateRandom(h, 33)
	if err != nil || len(random) != 33 {
		t.Errorf("random: %d, %v", len(random), err)
	}
	m.want("seed", m.SeedRandom(h, []byte("x")), pkcs11.CKR_RANDOM_SEED_NOT_SUPPORTED)
	m.ok("log out", m.Logout(h))
	m.ok("close all", m.CloseAllSessions(0))
	_, err = m.GetSessionInfo(h)
	m.want("closed", err, pkcs11.CKR_SESSION_HANDLE_INVALID)
}

// TestData has data objects, digests and their state.
func TestData(t *testing.T) {
	startService(t)
	m := load(t)
	h := m.user()
	o, err := m.CreateObject(h, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_DATA), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true),
		pkcs11.NewAttribute(pkcs11.CKA_LABEL, "note"), pkcs11.NewAttribute(pkcs11.CKA_VALUE, "text"),
	})
	m.ok("create", err)
	if got := m.get(h, o, pkcs11.CKA_VALUE); string(got) != "text" {
		t.Errorf("value %q", got)
	}
	if got := m.find(h, pkcs11.NewAttribute(pkcs11.CKA_LABEL, "note")); !slices.Equal(got, []pkcs11.ObjectHandle{o}) {
		t.Errorf("by its label: %v", got)
	}
	sum := sha256.Sum256([]byte("some data"))
	m.ok("digest", m.DigestInit(h, mech(pkcs11.CKM_SHA256, nil)))
	got, err := m.Digest(h, []byte("some data"))
	if err != nil || !bytes.Equal(got, sum[:]) {
		t.Errorf("%x, %v", got, err)
	}
	m.ok("digest", m.DigestInit(h, mech(pkcs11.CKM_SHA256, nil)))
	m.ok("digest", m.DigestUpdate(h, []byte("some")))
	m.want("key", m.DigestKey(h, o), pkcs11.CKR_KEY_INDIGESTIBLE)
	state, err := m.GetOperationState(h)
	m.ok("state", err)
	other := m.session(0)
	m.ok("set state", m.SetOperationState(other, state, 0, 0))
	m.ok("digest", m.DigestUpdate(other, []byte(" data")))
	got, err = m.DigestFinal(other)
	if err != nil || !bytes.Equal(got, sum[:]) {
		t.Errorf("%x, %v", got, err)
	}
	for name, call := range map[string]func() error{
		"generate key":          func() error { _, err := m.GenerateKey(h, mech(pkcs11.CKM_AES_KEY_GEN, nil), nil); return err },
		"wrap":                  func() error { _, err := m.WrapKey(h, mech(pkcs11.CKM_RSA_PKCS, nil), o, o); return err },
		"unwrap":                func() error { _, err := m.UnwrapKey(h, mech(pkcs11.CKM_RSA_PKCS, nil), o, []byte{1}, nil); return err },
		"derive":                func() error { _, err := m.DeriveKey(h, mech(pkcs11.CKM_ECDH1_DERIVE, nil), o, nil); return err },
		"digest encrypt update": func() error { _, err := m.DigestEncryptUpdate(h, []byte{1}); return err },
		"decrypt digest update": func() error { _, err := m.DecryptDigestUpdate(h, []byte{1}); return err },
		"sign encrypt update":   func() error { _, err := m.SignEncryptUpdate(h, []byte{1}); return err },
		"decrypt verify update": func() error { _, err := m.DecryptVerifyUpdate(h, []byte{1}); return err },
	} {
		m.want(name, call(), pkcs11.CKR_FUNCTION_NOT_SUPPORTED)
	}
}

// TestAdministration formats the token and sets its PINs.
func TestAdministration(t *testing.T) {
	startService(t)
	m := load(t)
	m.want("wrong PIN", m.InitToken(0, "00000000", "New"), pkcs11.CKR_PIN_INCORRECT)
	m.ok("format", m.InitToken(0, adminPIN, "New"))
	if i, err := m.GetTokenInfo(0); err != nil || i.Label != "New" {
		t.Errorf("%+v, %v", i, err)
	}
	h := m.session(pkcs11.CKF_RW_SESSION)
	m.ok("log in", m.Login(h, pkcs11.CKU_SO, adminPIN))
	m.ok("init PIN", m.InitPIN(h, "initial-pin"))
	m.ok("log out", m.Logout(h))
	m.ok("set PIN", m.SetPIN(h, "initial-pin", "another-pin"))
	m.want("old PIN", m.Login(h, pkcs11.CKU_USER, "initial-pin"), pkcs11.CKR_PIN_INCORRECT)
	m.ok("new PIN", m.Login(h, pkcs11.CKU_USER, "another-pin"))
}

// TestReplug has the service go and come back, with 16 goroutines that sign.
func TestReplug(t *testing.T) {
	s := startService(t)
	m := load(t)
	m.generate(m.user(), 1024, "k")
	var wg sync.WaitGroup
	for range 16 {
		h := m.session(0)
		key := m.find(h, pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_PRIVATE_KEY))[0]
		wg.Go(func() {
			for {
				err := m.SignInit(h, mech(pkcs11.CKM_SHA256_RSA_PKCS, nil), key)
				if err == nil {
					_, err = m.Sign(h, []byte("data"))
				}
				if err != nil {
					m.want("sign without the token", err, pkcs11.CKR_DEVICE_REMOVED)
					return
				}
			}
		})
	}
	s.stop()
	wg.Wait()
	if slot := waitEvent(m); slot != 0 {
		t.Errorf("event of slot %d", slot)
	}
	_, err := m.OpenSession(0, pkcs11.CKF_SERIAL_SESSION)
	m.want("open without the token", err, pkcs11.CKR_TOKEN_NOT_PRESENT)
	s.start(filepath.Join(filepath.Dir(s.socket), "state"))
	slots, err := m.GetSlotList(true)
	if err != nil || !slices.Equal(slots, []uint{0}) {
		t.Fatalf("slots after a replug: %v, %v", slots, err)
	}
	h := m.user()
	if got := len(m.find(h)); got != 2 {
		t.Errorf("%d objects after a replug, want 2", got)
	}
	m.end()
	m = load(t) // once more
	m.user()
}

// waitEvent waits for a slot event; of an error the wrapper does not tell.
func waitEvent(m *caller) uint {
	e := <-m.WaitForSlotEvent(0)
	return e.SlotID
}

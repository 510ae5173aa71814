package firmware_test

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"kaztoken/firmware"
	"kaztoken/firmware/emu"
)

var modelSeed = flag.Uint64("model.seed", 0, "run the model test with this seed only")

// model is what a token should hold.
type model struct {
	name    string
	keys    map[string]string // label by ID
	certs   []modelCert
	objects []modelObject
}

type modelCert struct {
	der   []byte
	id    string
	label string
}

type modelObject struct {
	label   string
	private bool
	data    []byte
}

// world is the model as observe sees a token.
func (m *model) world() world {
	w := world{"state ready": true, "name " + m.name: true, "user PIN is " + string(userPIN): true, "admin PIN is " + string(adminPIN): true}
	for id, label := range m.keys {
		w[fmt.Sprintf("key %q %x", label, id)] = true
	}
	for _, c := range m.certs {
		w[fmt.Sprintf("certificate %q %x of %x", c.label, sha256.Sum256(c.der), c.id)] = true
	}
	for _, o := range m.objects {
		w[fmt.Sprintf("object %.20q %.20q private %v %x", o.label, "", o.private, sha256.Sum256(o.data))] = true
	}
	return w
}

// TestModel does one thing after the other at random, through two programs that
// take turns, and compares the token with a model of it.
func TestModel(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if *modelSeed != 0 {
		seeds = []uint64{*modelSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := &random{Rand: rand.New(rand.NewPCG(seed, 0)), t: t, m: model{name: "KAZTOKEN", keys: map[string]string{}}}
			r.s = newShared(t, emu.WithFreeMemory(24000))
			r.programs = []*firmware.Token{open(t, r.s.client()), open(t, r.s.client())}
			for step := range 120 {
				r.step()
				if step%10 == 9 {
					r.compare(fmt.Sprintf("step %d", step))
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d keys, %d certificates, %d objects at the end; no room %d times", len(r.m.keys), len(r.m.certs), len(r.m.objects), r.full)
			if r.full == 0 {
				t.Error("the memory was never full")
			}
			r.s.free("at the end")
			checkClean(t, open(t, r.s.card), firmware.FindingNameDiffers)
			audit(t, r.s.card, "at the end")
		})
	}
}

// random does things at random.
type random struct {
	*rand.Rand
	t        *testing.T
	m        model
	s        *shared
	programs []*firmware.Token
	serial   int64
	full     int // how often the memory was full
}

// compare compares all views of the token with the model.
func (r *random) compare(what string) {
	r.t.Helper()
	r.s.free(what)
	want := r.m.world()
	for i, token := range append(r.programs, open(r.t, r.s.client())) {
		if diff := want.diff(observe(r.t, token, what)); diff != "" {
			r.t.Errorf("%s: program %d: model (-), token (+)\n%s", what, i, diff)
		}
	}
}

// ended checks how a change came to its end: it is made, or there is no room.
func (r *random) ended(doing string, err error) (made bool) {
	r.t.Helper()
	if err != nil && !errors.Is(err, firmware.ErrNoSpace) {
		r.t.Errorf("%s: %v", doing, err)
	}
	if err != nil {
		r.full++
	}
	return err == nil
}

// step does one thing.
func (r *random) step() {
	ctx := r.t.Context()
	i := r.IntN(len(r.programs))
	if r.IntN(10) == 0 {
		r.programs[i] = open(r.t, r.s.client())
	}
	token := r.programs[i]
	if r.IntN(20) == 0 { // the administrator renames it
		login(r.t, token, firmware.Admin)
		name := fmt.Sprintf("Admin %d", r.IntN(1000))
		if r.ended("rename", token.SetName(ctx, name)) {
			r.m.name = name
		}
		logout(r.t, token)
		return
	}
	login(r.t, token, firmware.User)
	defer logout(r.t, token)
	for range 1 + r.IntN(3) {
		switch r.IntN(8) {
		case 0:
			r.generate(token)
		case 1:
			r.importIdentity(token)
		case 2, 3:
			r.importCertificate(token)
		case 4:
			r.writeObject(token)
		case 5, 6:
			r.delete(token)
		case 7:
			name := fmt.Sprintf("%.*s", 1+r.IntN(40), "Қазақстанның кілті, the key of Kazakhstan")
			name = string(bytes.TrimSpace(bytes.ToValidUTF8([]byte(name), nil)))
			if r.ended("rename", token.SetName(ctx, name)) {
				r.m.name = name
			}
		}
	}
}

func (r *random) id() []byte {
	return fmt.Appendf(nil, "%0*d", 1+r.IntN(20), r.IntN(1000))
}

func (r *random) generate(token *firmware.Token) {
	o := firmware.GenerateOptions{Bits: defaultKeySize, ID: r.id(), Label: fmt.Sprintf("made %0*d", r.IntN(90), r.IntN(100))}
	key, err := token.GenerateKey(r.t.Context(), o, nil)
	if _, there := r.m.keys[string(o.ID)]; there {
		if !errors.Is(err, firmware.ErrExists) {
			r.t.Errorf("generate a key whose ID is there: %v", err)
		}
		return
	}
	if r.ended("generate", err) {
		r.m.keys[string(key.ID)] = o.Label
	}
}

func (r *random) importIdentity(token *firmware.Token) {
	i := identityKey - r.IntN(2)
	id := firmware.Identity{Key: testKey(defaultKeySize, i)}
	if r.IntN(2) == 0 {
		id.Certificate = ownCertificate(r.t, i)
	}
	want := string(idOf(&id.Key.PublicKey))
	certThere := id.Certificate != nil && r.hasCertificate(id.Certificate)
	key, err := token.ImportIdentity(r.t.Context(), id, firmware.ImportOptions{Label: "imported"}, nil)
	if _, there := r.m.keys[want]; there {
		if !errors.Is(err, firmware.ErrExists) {
			r.t.Errorf("import a key that is there: %v", err)
		}
		return
	}
	if !r.ended("import", err) {
		return
	}
	if string(key.ID) != want {
		r.t.Errorf("imported key %x, want %x", key.ID, want)
	}
	r.m.keys[want] = "imported"
	if id.Certificate != nil && !certThere {
		r.m.certs = append(r.m.certs, modelCert{id.Certificate.Raw, want, "imported"})
	}
}

func (r *random) hasCertificate(cert *x509.Certificate) bool {
	return slices.ContainsFunc(r.m.certs, func(c modelCert) bool { return bytes.Equal(c.der, cert.Raw) })
}

func (r *random) importCertificate(token *firmware.Token) {
	i := identityKey - r.IntN(2)
	cert := ownCertificate(r.t, i)
	var o firmware.ImportOptions
	if r.IntN(3) > 0 { // another one for the same key, or for none that is there
		r.serial++
		cert = certify(r.t, fmt.Sprintf("%0*d", 1+r.IntN(150), r.serial), 1000+r.serial, testKey(defaultKeySize, i), nil, nil)
		if r.IntN(2) == 0 {
			o.ID = r.id()
		}
	}
	c, err := token.ImportCertificate(r.t.Context(), cert.Raw, o)
	if r.hasCertificate(cert) {
		if !errors.Is(err, firmware.ErrExists) {
			r.t.Errorf("import a certificate that is there: %v", err)
		}
		return
	}
	if !r.ended("import certificate", err) {
		return
	}
	want := idOf(cert.PublicKey.(*rsa.PublicKey))
	if o.ID != nil {
		want = o.ID
	}
	if !bytes.Equal(c.ID, want) {
		r.t.Errorf("certificate %x, want %x", c.ID, want)
	}
	r.m.certs = append(r.m.certs, modelCert{cert.Raw, string(c.ID), c.Label})
}

func (r *random) writeObject(token *firmware.Token) {
	r.serial++
	n := firmware.NewObject{Label: fmt.Sprintf("object %d", r.serial), Private: r.IntN(2) == 0, Data: make([]byte, 1+r.IntN(2000))}
	for i := range n.Data {
		n.Data[i] = byte(r.Uint32())
	}
	if _, err := token.WriteObject(r.t.Context(), n); r.ended("write", err) {
		r.m.objects = append(r.m.objects, modelObject{n.Label, n.Private, n.Data})
	}
}

// delete deletes some of everything.
func (r *random) delete(token *firmware.Token) {
	ctx := r.t.Context()
	keys, keysErr := token.Keys(ctx)
	certs, certsErr := token.Certificates(ctx)
	objects, objectsErr := token.Objects(ctx)
	if err := errors.Join(keysErr, certsErr, objectsErr); err != nil {
		r.t.Fatal(err)
	}
	var s firmware.Selection
	m := model{name: r.m.name, keys: map[string]string{}}
	gone := map[string]bool{} // IDs of keys
	for _, k := range keys {
		if r.IntN(15) == 0 {
			s.Keys = append(s.Keys, k)
			gone[string(k.ID)] = true
		}
	}
	stay := map[string]bool{}
	for _, c := range certs {
		if r.IntN(15) == 0 {
			s.Certificates = append(s.Certificates, c)
			continue
		}
		stay[string(c.ID)] = true
		m.certs = append(m.certs, modelCert{c.DER, string(c.ID), c.Label})
	}
	for _, c := range s.Certificates {
		if !stay[string(c.ID)] {
			gone[string(c.ID)] = true
		}
	}
	for id, label := range r.m.keys {
		if !gone[id] {
			m.keys[id] = label
		}
	}
	for _, o := range objects {
		if r.IntN(10) == 0 {
			s.Objects = append(s.Objects, o)
			continue
		}
		i := slices.IndexFunc(r.m.objects, func(x modelObject) bool { return x.label == o.Label })
		if i < 0 {
			r.t.Fatalf("object %q is not of the model", o.Label)
		}
		m.objects = append(m.objects, r.m.objects[i])
	}
	err := token.Delete(ctx, s, nil)
	if err == nil {
		r.m = m
		return
	}
	// It may have deleted some and then have had no room for a new directory: then
	// the token is asked, and has to be sound all the same.
	if !r.ended("delete", err) {
		r.adopt(token)
	}
}

// adopt makes the model what the token holds.
func (r *random) adopt(token *firmware.Token) {
	ctx := r.t.Context()
	if err := token.Repair(ctx); err != nil {
		r.t.Errorf("repair: %v", err)
	}
	keys, keysErr := token.Keys(ctx)
	certs, certsErr := token.Certificates(ctx)
	objects, objectsErr := token.Objects(ctx)
	if err := errors.Join(keysErr, certsErr, objectsErr); err != nil {
		r.t.Fatal(err)
	}
	m := model{name: r.m.name, keys: map[string]string{}}
	for _, k := range keys {
		m.keys[string(k.ID)] = r.m.keys[string(k.ID)]
	}
	for _, c := range certs {
		m.certs = append(m.certs, modelCert{c.DER, string(c.ID), c.Label})
	}
	for _, o := range r.m.objects {
		if slices.ContainsFunc(objects, func(x firmware.Object) bool { return x.Label == o.label }) {
			m.objects = append(m.objects, o)
		}
	}
	r.m = m
}

package panel_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"mime"
	"strings"
	"testing"

	"kaztoken/firmware/emu"
	"kaztoken/internal/panel"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

func TestCertificates(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		hint := "register"
		w := newWorld(t, func(c *panel.Config) {
			c.Registered = func(words.Words) panel.Registration { return panel.Registration{Hint: hint} }
		}, newCard(t))
		b := w.enter(l)
		demo, password := demoFile(t)
		a := b.get("/certificates").wants(200, say(l, "list.empty"), say(l, "panel.needuser"))
		for _, id := range []string{"import", "delete", "default", "export", "props", "generate"} {
			if a.enabled(id) {
				t.Errorf("%s can be pressed", id)
			}
		}
		b.upload("/certificates/import", "me.p12", demo, "password", password).wants(422, say(l, "panel.loggedout"))
		b.login("user", factoryUser)
		b.get("/certificates/import").wants(200, say(l, "import.title"), say(l, "import.hint"))

		// Import: what the file is counts, and the password.
		b.upload("/certificates/import", "me.p12", demo, "password", "wrong").wants(422, say(l, "error.file.password"))
		b.upload("/certificates/import", "me.p12", []byte("letter")).wants(422, say(l, "error.file.kind"))
		b.upload("/certificates/import", "", nil).wants(422, say(l, "panel.nofile"))
		a = b.upload("/certificates/import", "me.p12", demo, "password", password)
		a.wants(200, words.For(l).Text("personal")+" (1)", words.For(l).Text("list.others")+" (1)", say(l, "nonextract"),
			say(l, "cert.validity.valid"), "ҮЛГІЕВА ҮЛГІ", "ОРТАЛЫҚ (RSA) — RSA 2048", say(l, "cert.nca"), "900101400009", "Register")
		if a.path != "/certificates" {
			t.Errorf("an import leads to %s", a.path)
		}
		b.upload("/certificates/import", "me.p12", demo, "password", password).wants(422, say(l, "error.exists"))
		b.upload("/certificates/import", "me.cer", certificateFile(t, "leaf.pem")).wants(200, words.For(l).Text("list.others")+" (2)")

		// The chosen one, its properties, and both ways to export it.
		ids := a.all(`name="item" value="([^"]+)"`)
		b.get("/certificates?c="+ids[1]).wants(200, say(l, "cert.issuer"), say(l, "card.key"))
		b.get("/certificates/"+ids[0]).wants(200, say(l, "cert.fingerprint"), "serialNumber=IIN900101400009", say(l, "cert.purpose.signing"), "ID")
		der := b.get("/certificates/" + ids[0] + "/export?format=der")
		block, _ := pem.Decode([]byte(b.get("/certificates/" + ids[0] + "/export?format=pem").body))
		if block == nil || !bytes.Equal(block.Bytes, []byte(der.body)) {
			t.Fatal("DER and PEM differ")
		}
		if x, err := x509.ParseCertificate(block.Bytes); err != nil || !strings.Contains(x.Subject.CommonName, "ҮЛГІ") {
			t.Errorf("exported: %v, %v", x, err)
		}
		if _, p, err := mime.ParseMediaType(der.header.Get("Content-Disposition")); err != nil || p["filename"] != "ҮЛГІЕВА ҮЛГІ.cer" {
			t.Errorf("file name: %v, %v", p, err)
		}
		b.get("/certificates/c00").wants(200, say(l, "panel.failed", "why", say(l, "error.notfound")))

		// Default.
		b.post("/certificates/default", "id", ids[0]).wants(200, "★", say(l, "cert.chosen"))
		s, err := settings.Load(w.settings)
		if err != nil || s.DefaultCertificate([]byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}) == nil {
			t.Errorf("the choice is not kept: %v", err)
		}

		// Delete two of three; the key goes too, and the choice.
		b.get("/certificates/delete").wants(200, say(l, "panel.nothing"))
		b.get("/certificates/delete?item="+ids[0]+"&item="+ids[1]).wants(200, say(l, "delete.warn"), "ҮЛГІЕВА ҮЛГІ", "32D18A58")
		a = b.post("/certificates/delete", "item", ids[0], "item", ids[1]).wants(200, words.For(l).Text("list.others")+" (1)", say(l, "done.delete", "n", 3))
		if strings.Contains(a.body, `id="personal"`) {
			t.Error("the personal certificate is still there")
		}
		if s, err := settings.Load(w.settings); err != nil || s.DefaultCertificate([]byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}) != nil {
			t.Errorf("the choice outlives the certificate: %v", err)
		}
		b.post("/certificates/delete", "item", ids[0]).wants(422, say(l, "panel.nothing"))
	})
}

func TestKeyPairs(t *testing.T) {
	inEveryLanguage(t, func(t *testing.T, l words.Language) {
		w := newWorld(t, nil, newCard(t))
		b := w.enter(l)
		b.post("/certificates/generate", "bits", "2048", "label", "work").wants(422, say(l, "panel.loggedout"))
		b.login("user", factoryUser)
		b.get("/certificates/generate").wants(200, say(l, "generate.hint"), "RSA 4096")
		b.post("/certificates/generate", "bits", "x", "label", "work").wants(422, say(l, "panel.number"))
		b.post("/certificates/generate", "bits", "64", "label", "work").wants(422)
		a := b.post("/certificates/generate", "bits", "2048", "label", "work")
		a.wants(200, words.For(l).Text("list.orphans")+" (1)", "work", "RSA 2048", words.For(l).Text("origin.local"))
		id := a.first(`name="item" value="(k[^"]+)"`)
		b.get("/certificates/delete?item="+id).wants(200, "work (RSA 2048)")
		b.post("/certificates/delete", "item", id).wants(200, say(l, "done.delete", "n", 1), say(l, "list.empty"))
	})
}

func TestImportOfSeveralCertificates(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.Russian)
	b.login("user", factoryUser)
	b.upload("/certificates/import", "all.p7b", certificateFile(t, "certs.p7b")).wants(200, "Импортировано сертификатов: ")
	b.upload("/certificates/import", "all.p7b", certificateFile(t, "certs.p7b")).wants(422, say(words.Russian, "error.exists"))
}

func TestImportWithoutPassword(t *testing.T) {
	w := newWorld(t, nil, newCard(t))
	b := w.enter(words.English)
	b.login("user", factoryUser)
	b.upload("/certificates/import", "a.p12", certificateFile(t, "openssl-empty.p12"), "password", "").wants(200, "Personal certificates (1)")
}

func TestImportWithoutRoom(t *testing.T) {
	w := newWorld(t, nil, newCard(t, emu.WithFreeMemory(600)))
	b := w.enter(words.English)
	demo, password := demoFile(t)
	b.login("user", factoryUser)
	b.upload("/certificates/import", "me.p12", demo, "password", password).wants(422, say(words.English, "error.space"))
}

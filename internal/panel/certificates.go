package panel

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/certfile"
	"kaztoken/internal/describe"
	"kaztoken/internal/kzpki"
	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// certificates lists the certificates of a token, those with a key pair first.
func certificates(ctx context.Context, t *firmware.Token) ([]firmware.Certificate, error) {
	all, err := t.Certificates(ctx)
	describe.PersonalFirst(all)
	return all, err
}

// certsBody is the Certificates tab.
type certsBody struct {
	Problem          *Problem
	Personal, Others []certRow
	Keys             []keyRow
	Empty            bool // there is nothing on the token
	Listed           bool
	Card             *certCard
	CanChange        bool
	Hint             string // why certificates are not registered
	Count            int
}

// certRow is a certificate in the list.
type certRow struct {
	ID, Name, Expires, State string
	Bad, Default, Chosen     bool
	Registered               bool
}

// keyRow is a key pair without a certificate.
type keyRow struct {
	ID, Name, Algorithm, Origin string
}

// certCard is the card of the chosen certificate.
type certCard struct {
	ID, Name, Issuer, Subject, KeyID string
	State                            string
	Bad, HasKey, Default, NCA        bool
	Lines                            describe.Sheet
}

// certID names a certificate in addresses and forms: the path of its file, or for
// one that lies in its entry the beginning of a digest. Several certificates may
// have the same id.
func certID(c firmware.Certificate) string {
	if len(c.Path) > 0 {
		return "c" + hex.EncodeToString([]byte(c.Path.String()))
	}
	d := digestOf(string(c.DER))
	return "d" + hex.EncodeToString(d[:12])
}

func keyID(k firmware.Key) string { return "k" + hex.EncodeToString([]byte(k.Path.String())) }

func (c *call) certificates() {
	c.settle()
	b := certsBody{}
	if c.station == nil {
		if _, err := c.srv.all(); err != nil {
			b.Problem = c.problem(err)
		}
		c.render(http.StatusOK, "certificates", "certs", "tab.certs", b)
		return
	}
	s, busy, err := c.station.look(c.r.Context(), true)
	switch {
	case err != nil:
		b.Problem = c.problem(err)
	case s.info != nil && s.info.State != firmware.StatePKCS15:
		b.Problem = c.problem(&firmware.StateError{Op: firmware.OpList, State: s.info.State})
	}
	b.Listed = s.listed
	chosen := c.defaultID(s)
	registration := c.srv.cfg.Registered(c.words)
	if !registration.Done {
		b.Hint = sentence(registration.Hint)
	}
	wanted := c.r.URL.Query().Get("c")
	now := c.srv.cfg.Now()
	for i, cert := range s.certs {
		m := kzpki.Describe(cert.X509)
		validity := m.Validity(now)
		row := certRow{
			ID: certID(cert), Name: describe.LabelOr(cert.Label, cert.ID), Expires: "-", State: c.words.Text(describe.ShortValidity(validity)),
			Bad: validity == kzpki.Expired || validity == kzpki.NotYetValid, Default: isDefault(cert, chosen), Registered: registration.Done,
		}
		if cert.X509 != nil {
			row.Expires = c.words.Date(cert.X509.NotAfter)
		}
		if row.ID == wanted || wanted == "" && i == 0 {
			row.Chosen = true
			b.Card = c.card(cert, row)
		}
		if cert.Key != nil {
			b.Personal = append(b.Personal, row)
		} else {
			b.Others = append(b.Others, row)
		}
	}
	for _, k := range s.keys {
		if k.Certificates > 0 {
			continue
		}
		origin := c.words.Text("origin.imported")
		if k.Local {
			origin = c.words.Text("origin.local")
		}
		b.Keys = append(b.Keys, keyRow{keyID(k), describe.LabelOr(k.Label, k.ID), describe.KeyAlgorithm(k), origin})
	}
	b.Count = len(b.Personal) + len(b.Others) + len(b.Keys)
	b.Empty = s.listed && b.Count == 0
	b.CanChange = s.listed && !busy && c.s.role(c.station.id) == firmware.User
	c.render(http.StatusOK, "certificates", "certs", "tab.certs", b)
}

// card describes the chosen certificate.
func (c *call) card(cert firmware.Certificate, row certRow) *certCard {
	w := c.words
	m := kzpki.Describe(cert.X509)
	k := &certCard{
		ID: row.ID, Name: row.Name, KeyID: fmt.Sprintf("%X", cert.ID), State: w.Text(words.Key(m.Validity(c.srv.cfg.Now()).Key())),
		Bad: row.Bad, HasKey: cert.Key != nil, Default: row.Default, NCA: m.NCA,
	}
	algorithm := describe.Algorithm(w, m.Algorithm)
	if k.Issuer = algorithm; m.Authority != "" {
		k.Issuer = kzpki.Display(m.Authority) + " — " + algorithm
	}
	if cert.X509 != nil {
		k.Subject = strings.Join(describe.Attributes(cert.X509.RawSubject), ", ")
	}
	if m.NCA {
		k.Lines = describe.Meaning(w, m)
	}
	return k
}

// isDefault reports whether a certificate is the default one.
func isDefault(c firmware.Certificate, chosen []byte) bool {
	return len(chosen) > 0 && bytes.Equal(c.ID, chosen)
}

// defaultID is the id of the default certificate, nil if none was chosen or the
// token does not tell its number.
func (c *call) defaultID(s seen) []byte {
	if s.info == nil || !s.info.ID.Known() {
		return nil
	}
	return c.settings.DefaultCertificate([]byte(serialIn(*s.info)))
}

// forget forgets the default certificate of a token that was formatted.
func (s *Server) forget(path, serial string) {
	if path == "" || serial == "" {
		return
	}
	chosen, err := settings.Load(path)
	if err != nil || chosen.DefaultCertificate([]byte(serial)) == nil {
		s.report(err)
		return
	}
	s.report(settings.Update(path, func(s *settings.Settings) error {
		s.SetDefaultCertificate([]byte(serial), nil)
		return nil
	}))
}

// found finds a certificate by its name in addresses.
func (s seen) found(id string) (firmware.Certificate, bool) {
	for _, c := range s.certs {
		if certID(c) == id {
			return c, true
		}
	}
	return firmware.Certificate{}, false
}

// one reads the certificate that an address names. If it is not there the request
// is answered.
func (c *call) one() (firmware.Certificate, seen, bool) {
	if !c.needToken() {
		return firmware.Certificate{}, seen{}, false
	}
	s, _, err := c.station.look(c.r.Context(), true)
	if err == nil {
		if cert, ok := s.found(c.r.PathValue("id")); ok {
			return cert, s, true
		}
		err = firmware.ErrNotFound
	}
	c.s.tell(notice{key: "panel.failed", values: []any{"why", c.problem(err).Message}, bad: true})
	c.redirect("/certificates")
	return firmware.Certificate{}, seen{}, false
}

// properties is the full view of a certificate.
func (c *call) properties() {
	cert, s, ok := c.one()
	if !ok {
		return
	}
	b := struct {
		ID, Name string
		Lines    describe.Sheet
	}{certID(cert), describe.LabelOr(cert.Label, cert.ID), describe.Certificate(c.words, cert, isDefault(cert, c.defaultID(s)), c.srv.cfg.Now())}
	c.renderPage(http.StatusOK, "properties", page{Tab: "certs", Title: "props", Back: query("/certificates", "c", b.ID), Body: b})
}

// export answers with a certificate as a file.
func (c *call) export() {
	cert, _, ok := c.one()
	if !ok {
		return
	}
	if len(cert.DER) == 0 {
		c.srv.plainPage(c.w, c.r, http.StatusNotFound, "panel.notfound")
		return
	}
	data, kind, ending := certfile.PEM(cert.DER), "application/x-pem-file", ".pem"
	if c.r.URL.Query().Get("format") == "der" {
		data, kind, ending = cert.DER, "application/pkix-cert", ".cer"
	}
	c.w.Header().Set("Content-Type", kind)
	c.w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{
		"filename": fileName(describe.LabelOr(cert.Label, cert.ID)) + ending,
	}))
	// The browser may have left.
	_, _ = c.w.Write(data)
}

// fileName makes a name of a file out of a label, which anybody may have chosen.
func fileName(label string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r < ' ', strings.ContainsRune(`/\:*?"<>|`, r), r == '\uFFFD':
			return '_'
		}
		return r
	}, label)
	name = strings.Trim(name, ". ")
	if r := []rune(name); len(r) > 64 {
		name = string(r[:64])
	}
	if name == "" {
		return "certificate"
	}
	return name
}

// deleteForm names what is selected, and asks.
func (c *call) deleteForm() {
	if !c.needToken() {
		return
	}
	c.showDelete(http.StatusOK, c.r.URL.Query()["item"], nil)
}

func (c *call) showDelete(status int, items []string, failure error) {
	b := c.confirmation()
	s, _, err := c.station.look(c.r.Context(), true)
	if failure == nil {
		failure = err
	}
	if failure == nil && c.s.role(c.station.id) != firmware.User {
		failure = &firmware.RoleError{Op: firmware.OpDelete, Need: firmware.User}
	}
	_, lines, ids := selected(s, items)
	b.Lines, b.IDs = lines, ids
	if failure == nil && len(b.IDs) == 0 {
		failure = errNothing
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "delete", page{Tab: "certs", Title: "delete.title", Back: "/certificates", Body: b})
}

// selected finds what the boxes of a list stand for.
func selected(s seen, items []string) (sel firmware.Selection, lines, ids []string) {
	for _, cert := range s.certs {
		if id := certID(cert); slices.Contains(items, id) {
			sel.Certificates = append(sel.Certificates, cert)
			lines, ids = append(lines, describe.LabelOr(cert.Label, cert.ID)), append(ids, id)
		}
	}
	for _, k := range s.keys {
		if id := keyID(k); slices.Contains(items, id) {
			sel.Keys = append(sel.Keys, k)
			lines, ids = append(lines, describe.LabelOr(k.Label, k.ID)+" ("+describe.KeyAlgorithm(k)+")"), append(ids, id)
		}
	}
	return sel, lines, ids
}

func (c *call) deleteSelected() {
	items := c.form.all("item")
	s, _, err := c.station.look(c.r.Context(), true)
	again := func(err error) { c.showDelete(http.StatusUnprocessableEntity, items, err) }
	if err != nil {
		again(err)
		return
	}
	sel, lines, _ := selected(s, items)
	if len(lines) == 0 {
		again(errNothing)
		return
	}
	srv, path, chosen := c.srv, c.srv.cfg.Settings, c.defaultID(s)
	c.with("busy.delete", "/certificates", "/certificates", firmware.User, func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		before, err := count(ctx, t)
		if err != nil {
			return notice{}, err
		}
		if err := t.Delete(ctx, sel, progress); err != nil {
			return notice{}, err
		}
		after, err := count(ctx, t)
		if err != nil {
			return notice{}, err
		}
		certs, err := t.Certificates(ctx)
		if err != nil {
			return notice{}, err
		}
		// A choice that leads nowhere is forgotten.
		if chosen != nil && !slices.ContainsFunc(certs, func(c firmware.Certificate) bool { return isDefault(c, chosen) }) {
			serial, err := serialOf(ctx, t)
			if err != nil {
				return notice{}, err
			}
			srv.forget(path, serial)
		}
		return notice{key: "done.delete", values: []any{"n", before - after}}, nil
	}, again)
}

// count counts certificates and key pairs.
func count(ctx context.Context, t *firmware.Token) (int, error) {
	certs, err := t.Certificates(ctx)
	if err != nil {
		return 0, err
	}
	keys, err := t.Keys(ctx)
	return len(certs) + len(keys), err
}

// chooseDefault makes a certificate the default one. The token has no place for the
// choice: it is in the settings, by the token's number.
func (c *call) chooseDefault() {
	s, _, err := c.station.look(c.r.Context(), true)
	back := "/certificates"
	if err == nil {
		cert, ok := s.found(c.form.line("id"))
		serial := ""
		if s.info != nil {
			serial = serialIn(*s.info)
		}
		switch {
		case c.s.role(c.station.id) != firmware.User:
			err = &firmware.RoleError{Need: firmware.User}
		case !ok:
			err = firmware.ErrNotFound
		case serial == "" || c.srv.cfg.Settings == "":
			err = firmware.ErrUnsupported
		default:
			back = query(back, "c", certID(cert))
			err = settings.Update(c.srv.cfg.Settings, func(s *settings.Settings) error {
				s.SetDefaultCertificate([]byte(serial), cert.ID)
				return nil
			})
			if err == nil {
				c.s.tell(notice{key: "done.default", values: []any{
					"label", describe.LabelOr(cert.Label, cert.ID), "id", fmt.Sprintf("%X", cert.ID),
				}})
			}
		}
	}
	if err != nil {
		c.s.tell(notice{key: "panel.failed", values: []any{"why", c.problem(err).Message}, bad: true})
	}
	c.redirect(back)
}

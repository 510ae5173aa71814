package certfile

import (
	"crypto/x509"
	"slices"
	"strings"
	"testing"
)

func TestContentsOrder(t *testing.T) {
	root := (*authority)(nil).issue(t, "root", true)
	sub := root.issue(t, "sub", true)
	person := sub.issue(t, "person", false)
	other := root.issue(t, "other", false)
	lonely := (*authority)(nil).issue(t, "lonely", false)
	namesake := (*authority)(nil).issue(t, "sub", true) // has sub's name and another key
	gost, err := x509.ParseCertificate(gostCertificate(t))
	if err != nil {
		t.Fatal(err)
	}
	// Two that name each other as their issuers.
	round := &x509.Certificate{Raw: []byte("a"), RawTBSCertificate: []byte("a"), RawSubject: []byte("a"), RawIssuer: []byte("b")}
	trip := &x509.Certificate{Raw: []byte("b"), RawTBSCertificate: []byte("b"), RawSubject: []byte("b"), RawIssuer: []byte("a")}
	round.Subject.CommonName, trip.Subject.CommonName = "round", "trip"

	for _, c := range []struct {
		in    []*x509.Certificate
		want  string
		chain int
	}{
		{[]*x509.Certificate{person.cert}, "person", 1},
		{[]*x509.Certificate{root.cert, sub.cert, person.cert}, "person sub root", 3},
		{[]*x509.Certificate{sub.cert, person.cert, root.cert}, "person sub root", 3},
		{[]*x509.Certificate{root.cert, person.cert}, "person root", 1},
		{[]*x509.Certificate{root.cert, sub.cert}, "sub root", 2},
		{[]*x509.Certificate{root.cert, other.cert, person.cert, sub.cert}, "other root person sub", 2},
		{[]*x509.Certificate{lonely.cert, person.cert, sub.cert}, "lonely person sub", 1},
		{[]*x509.Certificate{namesake.cert, person.cert, sub.cert, root.cert}, "person sub root sub", 3},
		{[]*x509.Certificate{namesake.cert, person.cert}, "person sub", 1},
		{[]*x509.Certificate{gost, root.cert}, "ГОСТ root", 1},
		{[]*x509.Certificate{round, trip}, "round trip", 2},
		{[]*x509.Certificate{root.cert, root.issue(t, "a", false).cert, root.issue(t, "b", false).cert}, "a root b", 2},
	} {
		d := decoder{certs: slices.Clone(c.in)}
		got, err := d.contents()
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, cert := range got.Certificates {
			names = append(names, cert.Subject.CommonName)
		}
		if s := strings.Join(names, " "); s != c.want || got.Chain != c.chain {
			t.Errorf("got %s with a chain of %d, want %s with %d", s, got.Chain, c.want, c.chain)
		}
	}
}

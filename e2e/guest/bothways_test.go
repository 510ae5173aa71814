//go:build e2e && linux

package guest

import (
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kaztoken/ccid/ccidsim"

	"github.com/google/go-cmp/cmp"
)

// TestBothWays has two programs at one token, in turns: kaztoken over USB, and
// OpenSC through the stock service. What OpenSC wrote, kaztoken lists, uses and
// deletes; what kaztoken wrote, OpenSC takes for its own.
func TestBothWays(t *testing.T) {
	oneCPU(t)
	o := newOpenSC(t)
	o.provide(t)
	o.providePINs(t)
	id := identityID(t)
	k := newToken(t, ccidsim.RutokenECP) // which libccid lists
	k.plug(t)
	k.appear(t)

	turn := func(name string, f func(t *testing.T)) {
		if !t.Failed() { // each builds upon the ones before
			t.Run(name, f)
		}
	}
	// pcscd has the token while it is OpenSC's turn, and only then.
	turnOpenSC := func(name string, f func(t *testing.T)) {
		turn(name, func(t *testing.T) {
			stop := startPCSCD(t, onlyUSB)
			awaitCard(t, ccidsim.RutokenECP.ProductName)
			f(t)
			stop()
		})
	}

	var theirs look
	turnOpenSC("OpenSC writes", func(t *testing.T) {
		o.runAll(t, openscWrites)
		theirs = o.look(t)
	})
	turn("kaztoken uses and deletes it", func(t *testing.T) {
		o.runAll(t, kaztokenReads)
		o.runAll(t, kaztokenUses)
		o.runAll(t, kaztokenDeletes)
	})
	turnOpenSC("OpenSC finds nothing", func(t *testing.T) {
		o.run(t, step{run: "pkcs15-tool -D", prints: []string{"PKCS#15 Card [renamed]", "PIN [User PIN]"},
			never: []string{"Key [", "Certificate [", "Data object"}})
		files := o.look(t).files
		files = slices.DeleteFunc(files, func(f string) bool {
			return !regexp.MustCompile(`^3f00(50000[2-5]|10001000600[12]0)`).MatchString(f)
		})
		if len(files) != 0 {
			t.Errorf("still there: %v", files)
		}
		o.run(t, step{run: "pkcs15-tool --verify-pin --auth-id 02 --pin 1234567890"})
	})
	turn("kaztoken formats and writes", func(t *testing.T) { o.runAll(t, kaztokenWrites) })
	turnOpenSC("OpenSC sees what it would have written", func(t *testing.T) {
		if diff := cmp.Diff(theirs, o.look(t), cmp.AllowUnexported(look{})); diff != "" {
			t.Errorf("tokens differ (-OpenSC +kaztoken):\n%s", diff)
		}
		o.runAll(t, openscUses(id))
		o.runAll(t, openscDeletes(id))
	})
	turn("kaztoken finds nothing", func(t *testing.T) { o.runAll(t, kaztokenFindsNothing) })
}

// A look at a token through OpenSC: everything that two tokens of the same
// content have in common.
type look struct {
	objects []string // pkcs15-tool -D, line by line, but for the date
	files   []string // opensc-tool -f, one file each with its size and rights, sorted
}

var lastUpdate = regexp.MustCompile(`(?m)^\s*Last update.*\n`)

func (o *opensc) look(t testing.TB) look {
	t.Helper()
	objects := o.run(t, step{run: "pkcs15-tool -D", prints: []string{"PKCS#15 Card ["}})
	l := look{objects: strings.Split(lastUpdate.ReplaceAllString(objects, ""), "\n")}
	for line := range strings.Lines(o.run(t, step{run: "opensc-tool -f"})) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "3f00"):
			l.files = append(l.files, line)
		case strings.Contains(line, " sec: ") || strings.HasPrefix(line, "prop: "):
			l.files[len(l.files)-1] += "; " + line
		}
	}
	slices.Sort(l.files)
	return l
}

// identityID is the id that a key gets of itself, from OpenSC as from kaztoken.
func identityID(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("identity.pem")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha1.Sum(cert.PublicKey.(*rsa.PublicKey).N.Bytes()))
}

// providePINs lays out the files that kaztoken takes secrets from.
func (o *opensc) providePINs(t testing.TB) {
	t.Helper()
	for name, secret := range map[string]string{
		"user.pin": "12345678", "new.pin": "1234567890", "admin.pin": "87654321", "password": "secret",
	} {
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

package panel

import (
	"context"
	"crypto/rsa"
	"errors"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/certfile"
	"kaztoken/internal/describe"
)

var (
	// errNothing: nothing was selected.
	errNothing = errors.New("nothing is selected")
	// errNoFile: a form came without its file.
	errNoFile = errors.New("no file was chosen")
)

func (c *call) importForm() {
	if !c.needToken() {
		return
	}
	c.showImport(http.StatusOK, nil)
}

func (c *call) showImport(status int, failure error) {
	b := dialogBody{}
	if failure == nil && c.s.role(c.station.id) != firmware.User {
		failure = &firmware.RoleError{Op: firmware.OpImport, Need: firmware.User}
	}
	if failure != nil {
		b.Problem = c.problem(failure)
	}
	c.renderPage(status, "import", page{Tab: "certs", Title: "import.title", Back: "/certificates", Body: b})
}

// importFile puts what a file holds onto the token: certificates, or a key with its
// certificate and those of its issuers.
func (c *call) importFile() {
	again := func(err error) { c.showImport(http.StatusUnprocessableEntity, err) }
	if len(c.form.file) == 0 {
		again(errNoFile)
		return
	}
	password := c.form.secret("password")
	defer password.Wipe()
	contents, err := certfile.Parse(c.form.file, func() ([]byte, error) { return password.Bytes(), nil })
	if err != nil {
		again(err)
		return
	}
	label := ""
	if len(contents.Certificates) == 0 {
		base := filepath.Base(strings.ReplaceAll(c.form.name, `\`, "/"))
		label = strings.TrimSuffix(base, filepath.Ext(base))
	}
	body := importCertificates(contents)
	if contents.Key != nil {
		body = importIdentity(contents, label)
	}
	c.with("busy.import", "/certificates", "/certificates", firmware.User, func(ctx context.Context, t *firmware.Token, p firmware.Progress) (notice, error) {
		defer wipeKey(contents.Key)
		return body(ctx, t, p)
	}, func(err error) { wipeKey(contents.Key); again(err) })
}

// importCertificates stores certificates that come without a key. One that is there
// already is passed over, unless all are.
func importCertificates(contents certfile.Contents) work {
	return func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		stored, label := 0, ""
		var known error
		for i, x := range contents.Certificates {
			progress(i, len(contents.Certificates))
			got, err := t.ImportCertificate(ctx, x.Raw, firmware.ImportOptions{})
			if errors.Is(err, firmware.ErrExists) {
				known = err
				continue
			}
			if err != nil {
				return notice{}, err
			}
			if stored++; label == "" {
				label = describe.LabelOr(got.Label, got.ID)
			}
		}
		switch stored {
		case 0:
			return notice{}, known
		case 1:
			return notice{key: "done.certificate", values: []any{"label", label}}, nil
		}
		return notice{key: "panel.imported", values: []any{"n", stored}}, nil
	}
}

// importIdentity stores a key with its certificate and its issuers'.
func importIdentity(contents certfile.Contents, label string) work {
	return func(ctx context.Context, t *firmware.Token, progress firmware.Progress) (notice, error) {
		before, err := t.Certificates(ctx)
		if err != nil {
			return notice{}, err
		}
		id := firmware.Identity{Key: contents.Key}
		if len(contents.Certificates) > 0 {
			id.Certificate, id.Chain = contents.Certificates[0], contents.Certificates[1:contents.Chain]
		}
		key, err := t.ImportIdentity(ctx, id, firmware.ImportOptions{Label: label}, progress)
		if err != nil {
			return notice{}, err
		}
		after, err := t.Certificates(ctx)
		if err != nil {
			return notice{}, err
		}
		return notice{key: "done.identity", values: []any{"label", describe.LabelOr(key.Label, key.ID), "n", len(after) - len(before)}}, nil
	}
}

// wipeKey overwrites the private numbers of a key, as far as they can be reached.
func wipeKey(k *rsa.PrivateKey) {
	if k == nil {
		return
	}
	for _, n := range append([]*big.Int{k.D, k.Precomputed.Dp, k.Precomputed.Dq, k.Precomputed.Qinv}, k.Primes...) {
		if n != nil {
			clear(n.Bits())
		}
	}
}

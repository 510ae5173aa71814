//go:build soak && linux

package packaging_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

// contents are the files of packages by their paths: mode, owner and hash, as
// root.look gives them.
type contents map[string]string

// added gives the files that have come to a root, without those in /etc, which
// scripts make.
func added(before, after map[string]string) contents {
	c := make(contents)
	for path, what := range after {
		if _, was := before[path]; !was && !strings.HasPrefix(what, "d") && !strings.HasPrefix(path, "etc/") {
			c[path] = what
		}
	}
	return c
}

// readAPK gives the files in an .apk: tar archives one behind the other, each
// compressed by itself. Names with a dot in front are apk's own.
func readAPK(t *testing.T, path string) contents {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f) // reads all streams as one
	if err != nil {
		t.Fatal(err)
	}
	c := make(contents)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir || strings.HasPrefix(h.Name, ".") {
			continue
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		c[h.Name] = fmt.Sprintf("%v %d:%d %x", h.FileInfo().Mode(), h.Uid, h.Gid, sha256.Sum256(b))
	}
}

// customs are the paths that each kind of system has by its own custom, as Debian has
// them.
var customs = strings.NewReplacer("usr/share/zsh/site-functions/", "usr/share/zsh/vendor-completions/",
	"usr/lib64/pkcs11/", "usr/lib/x86_64-linux-gnu/pkcs11/", "usr/lib64/pcsc/", "usr/lib/pcsc/")

// compare holds the contents of a package to those of the .deb. Paths that begin with
// one of lacks are in the .deb alone, those in more are not in it.
func (c contents) compare(t *testing.T, deb contents, lacks []string, more ...string) {
	t.Helper()
	same := 0
	seen := make(map[string]bool)
	for path, what := range c {
		path = customs.Replace(path)
		seen[path] = true
		switch want, ok := deb[path]; {
		case !ok:
			if !hasPrefix(path, more) {
				t.Errorf("%s is not in the .deb", path)
			}
		case strings.HasSuffix(path, "/kaztoken.module"): // names the folder of the module
		case what != want:
			t.Errorf("%s is %q, in the .deb %q", path, what, want)
		default:
			same++
		}
	}
	for path := range deb {
		if !seen[path] && !hasPrefix(path, lacks) {
			t.Errorf("%s is in the .deb alone", path)
		}
	}
	if same < 20 {
		t.Errorf("only %d files are the same", same)
	}
}

func hasPrefix(path string, all []string) bool {
	for _, p := range all {
		if strings.HasPrefix(path, p) {
			return true
		}
	}
	return false
}

package certfile

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestElement(t *testing.T) {
	for _, c := range []struct {
		name, in, want, rest string // want empty: refused
	}{
		{"DER", "3003020105", "3003020105", ""},
		{"bytes behind", "300302010530", "3003020105", "30"},
		{"empty", "3000", "3000", ""},
		{"primitive", "0500", "0500", ""},
		{"long length", "30820003020105", "3003020105", ""},
		{"length with zeros", "3084000000030201 05", "3003020105", ""},
		{"open length", "30800201050000", "3003020105", ""},
		{"open inside open", "308030800201050000 0000 ff", "30053003020105", "ff"},
		{"open inside definite", "3007 3080 020105 0000", "30053003020105", ""},
		{"string in parts", "2480 0402 0102 0401 03 0000", "0403010203", ""},
		{"definite string in parts", "2407 0402 0102 0401 03", "0403010203", ""},
		{"parts of parts", "2480 2480 0401 01 0000 0401 02 0000", "04020102", ""},
		{"string in no parts", "24800000", "0400", ""},
		{"parts under another tag stay", "a080 0401 01 0401 02 0000", "a006040101040102", ""},
		{"identifier of two octets", "bf5080 0500 0000", "bf50020500", ""},

		{"nothing", "", "", ""},
		{"no length", "30", "", ""},
		{"body too short", "30030201", "", ""},
		{"length cut", "3082", "", ""},
		{"length cut in the middle", "308200", "", ""},
		{"length of 16 MiB", "308401000000", "", ""},
		{"length beyond all numbers", "30ff" + strings.Repeat("ff", 127), "", ""},
		{"open length without end", "3080020105", "", ""},
		{"open length with half an end", "308002010500", "", ""},
		{"open primitive", "0480040100 0000", "", ""},
		{"end without beginning", "0000", "", ""},
		{"end inside a definite length", "30020000", "", ""},
		{"part that is no octet string", "2480 020105 0000", "", ""},
		{"child longer than its parent", "3003020205", "", ""},
		{"identifier cut", "bf", "", ""},
		{"too deep", strings.Repeat("3080", maxDepth+1) + strings.Repeat("0000", maxDepth+1), "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			n, rest, err := element(unhex(t, strings.ReplaceAll(c.in, " ", "")))
			if c.want == "" {
				if !errors.Is(err, errBER) {
					t.Errorf("got %x, %v, want a refusal", n.full, err)
				}
				return
			}
			if err != nil || hex.EncodeToString(n.full) != c.want || hex.EncodeToString(rest) != c.rest {
				t.Errorf("got %x and %x, %v, want %s and %s", n.full, rest, err, c.want, c.rest)
			}
		})
	}
}

// A file that another program wrote in DER stays as it is.
func TestElementKeepsDER(t *testing.T) {
	for _, name := range []string{"openssl-modern.p12", "java.p12", "certs.p7b", "pkcs8-des3.der"} {
		in, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		n, rest, err := element(in)
		if err != nil || len(rest) > 0 || !bytes.Equal(n.full, in) {
			t.Errorf("%s: changed: %v", name, err)
		}
	}
}

func FuzzElement(f *testing.F) {
	for _, s := range []string{"3003020105", "308030800201050000 0000", "2480 0402 0102 0401 03 0000", "bf50800500"} {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		kept := bytes.Clone(in)
		n, rest, err := element(in)
		if err != nil {
			return
		}
		if !bytes.Equal(in, kept) || !bytes.HasSuffix(in, rest) {
			t.Fatal("the input was changed, or the rest is not of it")
		}
		// Three octets more for every body that outgrows a short length.
		if len(n.full) > 2*(len(in)-len(rest)) {
			t.Fatalf("%d bytes became %d", len(in)-len(rest), len(n.full))
		}
		again, after, err := element(n.full)
		if err != nil || len(after) > 0 || !bytes.Equal(again.full, n.full) {
			t.Fatalf("%x became %x, then %x, %v", in, n.full, again.full, err)
		}
		if n.tag() == tagSequence {
			var parts [][]byte
			for _, c := range n.children {
				parts = append(parts, c.full)
			}
			if !bytes.HasSuffix(n.full, slices.Concat(parts...)) {
				t.Fatalf("the children of %x are %x", n.full, parts)
			}
		}
	})
}

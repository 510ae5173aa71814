package rsapad

import (
	"bufio"
	"crypto/rsa"
	"encoding/hex"
	"math/big"
	"os"
	"strings"
	"testing"
)

// A record is one paragraph of a file in testdata: lines "name = hex".
type record map[string]string

// records reads a file of paragraphs; # begins a comment.
func records(t testing.TB, name string) []record {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all := []record{{}}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		switch {
		case strings.HasPrefix(line, "#"):
		case line == "":
			if len(all[len(all)-1]) > 0 {
				all = append(all, record{})
			}
		default:
			k, v, ok := strings.Cut(line, " = ")
			if !ok {
				t.Fatalf("%s: line %q", name, line)
			}
			all[len(all)-1][k] = v
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func (r record) bytes(t testing.TB, name string) []byte {
	t.Helper()
	b, err := hex.DecodeString(r[name])
	if err != nil || len(b) == 0 {
		t.Fatalf("field %s: %q: %v", name, r[name], err)
	}
	return b
}

func (r record) number(t testing.TB, name string) *big.Int {
	t.Helper()
	x, ok := new(big.Int).SetString(r[name], 16)
	if !ok {
		t.Fatalf("field %s: %q", name, r[name])
	}
	return x
}

// A rawKey does what the token does: the operation, and nothing else.
type rawKey struct {
	rsa.PublicKey
	d *big.Int
}

func (k rawKey) private(t testing.TB, block []byte) []byte {
	t.Helper()
	return raw(t, block, k.d, k.N)
}

// raw computes block^e mod n over k bytes, RFC 8017 §5.2.
func raw(t testing.TB, block []byte, e, n *big.Int) []byte {
	t.Helper()
	m := new(big.Int).SetBytes(block)
	if k := (n.BitLen() + 7) / 8; len(block) != k {
		t.Fatalf("block of %d bytes, the modulus has %d", len(block), k)
	}
	if m.Cmp(n) >= 0 {
		t.Fatal("the block is not below the modulus")
	}
	return m.Exp(m, e, n).FillBytes(make([]byte, len(block)))
}

// keys are those of testdata/keys.txt, by number of bits, smallest first.
func keys(t testing.TB) []rawKey {
	t.Helper()
	var all []rawKey
	for _, r := range records(t, "keys.txt") {
		all = append(all, rawKey{rsa.PublicKey{N: r.number(t, "n"), E: 65537}, r.number(t, "d")})
	}
	return all
}

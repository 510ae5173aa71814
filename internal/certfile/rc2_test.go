package certfile

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The vectors of RFC 2268 §5.
func TestRC2(t *testing.T) {
	for _, c := range []struct {
		bits               int // effective key length
		key, plain, cipher string
	}{
		{63, "0000000000000000", "0000000000000000", "ebb773f993278eff"},
		{64, "ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"},
		{64, "3000000000000000", "1000000000000001", "30649edf9be7d2c2"},
		{64, "88", "0000000000000000", "61a8a244adacccf0"},
		{64, "88bca90e90875a", "0000000000000000", "6ccf4308974c267f"},
		{64, "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "1a807d272bbe5db1"},
		{128, "88bca90e90875a7f0f79c384627bafb2", "0000000000000000", "2269552ab0f85ca6"},
		{129, "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e", "0000000000000000", "5b78d3a43dfff1f1"},
	} {
		k := expandRC2(unhex(t, c.key), c.bits)
		got := make([]byte, k.BlockSize())
		k.Encrypt(got, unhex(t, c.plain))
		if want := unhex(t, c.cipher); !bytes.Equal(got, want) {
			t.Errorf("%d bits of %s: encrypted %x, want %x", c.bits, c.key, got, want)
		}
		k.Decrypt(got, got)
		if want := unhex(t, c.plain); !bytes.Equal(got, want) {
			t.Errorf("%d bits of %s: decrypted %x, want %x", c.bits, c.key, got, want)
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

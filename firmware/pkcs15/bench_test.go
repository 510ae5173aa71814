package pkcs15

import (
	"bytes"
	"testing"
)

// fullPrKDF is a directory file of 2048 bytes with as many keys as it holds.
func fullPrKDF() ([]byte, int) {
	var file []byte
	n := 0
	for {
		k := NewPrivateKey("Иванов Иван Иванович", bytes.Repeat([]byte{byte(n)}, 20), byte(n+1), 2048, AccessGenerated)
		next := k.AppendTo(file)
		if len(next) > 2048 {
			return append(file, make([]byte, 2048-len(file))...), n
		}
		file, n = next, n+1
	}
}

func BenchmarkParsePrKDF(b *testing.B) {
	file, n := fullPrKDF()
	b.ReportAllocs()
	b.ReportMetric(float64(n), "entries")
	for b.Loop() {
		if keys, err := ParsePrKDF(file); err != nil || len(keys) != n {
			b.Fatal(len(keys), err)
		}
	}
}

func BenchmarkEnd(b *testing.B) {
	file, _ := fullPrKDF()
	b.ReportAllocs()
	for b.Loop() {
		if _, complete, err := End(file); !complete || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendTo(b *testing.B) {
	file, _ := fullPrKDF()
	keys, err := ParsePrKDF(file)
	if err != nil {
		b.Fatal(err)
	}
	changed := bytes.Clone(file)
	for _, label := range []string{"unchanged", "changed"} {
		b.Run(label, func(b *testing.B) {
			b.ReportAllocs()
			k := keys[0]
			if label == "changed" {
				k.Label = label
			}
			for b.Loop() {
				changed = k.AppendTo(changed[:0])
			}
		})
	}
}

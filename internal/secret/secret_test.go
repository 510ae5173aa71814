package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"kaztoken/internal/secret"
)

const pin = "12345678"

func TestTakeWipesItsSource(t *testing.T) {
	source := []byte(pin)
	s := secret.Take(source)
	defer s.Wipe()
	if !bytes.Equal(source, make([]byte, len(pin))) {
		t.Errorf("source is %q", source)
	}
	if got := string(s.Bytes()); got != pin || s.Len() != len(pin) {
		t.Errorf("got %q, %d bytes", got, s.Len())
	}
}

func TestCopyLeavesItsSource(t *testing.T) {
	source := []byte(pin)
	s := secret.Copy(source)
	s.Wipe()
	if string(source) != pin {
		t.Errorf("source is %q", source)
	}
}

func TestWipe(t *testing.T) {
	s := secret.Copy([]byte(pin))
	s.Wipe()
	s.Wipe()
	if s.Bytes() != nil || s.Len() != 0 || s.Equal([]byte(pin)) {
		t.Error("something is left")
	}
	var none *secret.Bytes
	none.Wipe()
	if none.Bytes() != nil || none.Len() != 0 || !none.Equal(nil) {
		t.Error("nil is not empty")
	}
	b := []byte(pin)
	secret.Wipe(b)
	if !bytes.Equal(b, make([]byte, len(pin))) {
		t.Errorf("got %q", b)
	}
}

func TestEqual(t *testing.T) {
	s := secret.Copy([]byte(pin))
	defer s.Wipe()
	for other, want := range map[string]bool{pin: true, "12345679": false, "1234567": false, "": false} {
		if got := s.Equal([]byte(other)); got != want {
			t.Errorf("Equal(%q) = %v", other, got)
		}
	}
}

func TestNothingPrintsIt(t *testing.T) {
	s := secret.Copy([]byte(pin))
	defer s.Wipe()
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		if strings.HasPrefix(verb, "%T") {
			fmt.Fprintf(&out, verb+"\n", s, s)
		} else {
			fmt.Fprintf(&out, verb+"\n", s)
		}
	}
	fmt.Fprintln(&out, s, struct{ PIN *secret.Bytes }{s}, fmt.Errorf("it is %v", s))
	j, err := json.Marshal(map[string]any{"pin": s})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "pin", s)
	for _, leak := range []string{pin, "3132333435363738", "49 50 51", "MTIzNDU2Nzg"} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q is in\n%s", leak, out.String())
		}
	}
	if n := strings.Count(out.String(), "[redacted]"); n < 12 {
		t.Errorf("redacted %d times in\n%s", n, out.String())
	}
}

func TestConcurrentWipe(t *testing.T) {
	s := secret.Copy([]byte(pin))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(s.Wipe)
	}
	wg.Wait()
	if s.Len() != 0 {
		t.Error("something is left")
	}
}

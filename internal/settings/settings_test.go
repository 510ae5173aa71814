package settings

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var (
	serial = []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}
	other  = []byte{0, 0, 0, 0, 0, 0, 0, 1}
)

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "kaztoken", "settings.json")
	if s, err := Load(path); err != nil || s.DefaultCertificate(serial) != nil {
		t.Fatalf("without a file: %v, %v", s, err)
	}
	for _, step := range []struct {
		serial, id []byte
		want       map[string]string // by serial
	}{
		{serial, []byte{0x42}, map[string]string{string(serial): "\x42"}},
		{other, []byte{0xAB, 0xCD}, map[string]string{string(serial): "\x42", string(other): "\xAB\xCD"}},
		{serial, []byte{0x43}, map[string]string{string(serial): "\x43", string(other): "\xAB\xCD"}},
		{serial, nil, map[string]string{string(other): "\xAB\xCD"}},
		{other, nil, nil},
	} {
		if err := Update(path, func(s *Settings) { s.SetDefaultCertificate(step.serial, step.id) }); err != nil {
			t.Fatal(err)
		}
		s, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, sn := range [][]byte{serial, other} {
			if got, want := string(s.DefaultCertificate(sn)), step.want[string(sn)]; got != want {
				t.Errorf("after %x=%x: %x has %x, want %x", step.serial, step.id, sn, got, want)
			}
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
}

func TestWhatANewerProgramWroteStays(t *testing.T) {
	path := filepath.Join(t.TempDir(), "settings.json")
	if err := os.WriteFile(path, []byte(`{"language":"kk","idle":{"minutes":5}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, func(s *Settings) { s.SetDefaultCertificate(serial, []byte{1}) }); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "default_certificates": {
    "0000000032d18a58": "01"
  },
  "idle": {
    "minutes": 5
  },
  "language": "kk"
}
`
	if string(data) != want {
		t.Errorf("got %s, want %s", data, want)
	}
}

func TestMalformed(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "not JSON": "{", "no object": "[]", "trailing": "{} {}",
		"wrong kind": `{"default_certificates":[]}`, "no id": `{"default_certificates":{"01":""}}`,
		"no digits": `{"default_certificates":{"01":"xy"}}`, "upper case": `{"default_certificates":{"AB":"01"}}`,
		"too large": `{"x":"` + strings.Repeat("x", maxSize) + `"}`,
	} {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		// What cannot be read is not overwritten.
		if err := Update(path, func(*Settings) {}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: update gives %v", name, err)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != content {
			t.Errorf("%s: the file has changed", name)
		}
	}
}

func TestPath(t *testing.T) {
	env := map[string]string{"XDG_CONFIG_HOME": "/x/y"}
	getenv := func(name string) string { return env[name] }
	if got, err := Path(getenv); err != nil || got != "/x/y/kaztoken/settings.json" {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "/home/somebody")
	env["XDG_CONFIG_HOME"] = "relative"
	if got, err := Path(getenv); err != nil || !strings.HasPrefix(got, "/home/somebody/") || strings.Contains(got, "relative") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestUpdateFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file", "settings.json")
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, func(*Settings) {}); err == nil {
		t.Error("a folder that is a file was taken")
	}
}

// FuzzParse: what parses comes back from its own bytes as the same settings.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"default_certificates":{"0000000032d18a58":"42"},"language":"kk"}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parse(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		first, err := s.bytes()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(first)
		if err != nil {
			t.Fatalf("%q: %v", first, err)
		}
		second, err := again.bytes()
		if err != nil || !bytes.Equal(first, second) {
			t.Errorf("%q comes back as %q, %v", first, second, err)
		}
	})
}

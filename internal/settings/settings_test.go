package settings

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kaztoken/internal/pinpolicy"
)

var (
	serial = []byte{0, 0, 0, 0, 0x32, 0xD1, 0x8A, 0x58}
	other  = []byte{0, 0, 0, 0, 0, 0, 0, 1}
)

// full is a file with every setting, and full is what it says.
const full = `language = "kk" # as at home
backend = "usb"
readers = "rutoken"

[pin]
warn_default = false
min_length = 8
weak = "forbid"
ask_last_try = false

[panel]
idle_minutes = 0

[default_certificates]
0000000032d18a58 = "42"
`

func fullSettings() Settings {
	return Settings{
		Language: "kk", Backend: "usb", Readers: "rutoken", MinPINLength: 8, WeakPINs: "forbid",
		defaults: map[string]string{"0000000032d18a58": "42"},
	}
}

// with is the standard settings with a change.
func with(change func(*Settings)) Settings {
	s := Standard()
	change(&s)
	return s
}

func compare(t *testing.T, got, want Settings) {
	t.Helper()
	if !got.equal(want) {
		t.Errorf("-want +got:\n%s", cmp.Diff(want, got, cmp.AllowUnexported(Settings{})))
	}
}

// write makes a file of settings in a new folder.
func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), fileName)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoad(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Settings
	}{
		"empty":         {"", Standard()},
		"full":          {full, fullSettings()},
		"CRLF":          {strings.ReplaceAll(full, "\n", "\r\n"), fullSettings()},
		"dotted keys":   {"pin.min_length = 8\npanel.idle_minutes = 0x10", with(func(s *Settings) { s.MinPINLength, s.IdleMinutes = 8, 16 })},
		"inline tables": {"pin = { min_length = 8 }", with(func(s *Settings) { s.MinPINLength = 8 })},
		"quoted keys":   {"[\"pin\"]\n'weak' = '''\nallow'''", with(func(s *Settings) { s.WeakPINs = "allow" })},
		"unknown keys":  {"future = 1979-05-27T07:32:00Z\n[[pin.rules]]\n[service]\nreaders = 3\n", Standard()},
		"auto":          {`language = "auto"`, Standard()},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Load(write(t, c.text))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, c.want)
		})
	}
	got, err := Load(filepath.Join(t.TempDir(), "kaztoken", fileName))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, Standard())
	if _, err := Load(t.TempDir()); err == nil || errors.Is(err, ErrMalformed) {
		t.Errorf("a folder: %v", err)
	}
}

// TestMistakes: an error names the line, the key and what is allowed, and what
// cannot be read is not overwritten.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no TOML":          {"# one\nlanguage = kk\n", `config.toml:2:12: unexpected character U+006B 'k' at start of value`},
		"key twice":        {"readers = \"all\"\nreaders = \"all\"\n", `config.toml:2:1: key readers is already defined`},
		"JSON":             {"{}", `config.toml:1:1: invalid character at start of key: U+007B '{'`},
		"no choice":        {"\nlanguage = \"de\"", `config.toml:2: language: "de": want "auto", "kk", "ru" or "en"`},
		"number for text":  {"backend = 3", `config.toml:1: backend: 3: want "auto", "usb" or "pcsc"`},
		"list for text":    {"backend = []", `config.toml:1: backend: want "auto", "usb" or "pcsc"`},
		"virtual":          {`backend = "virtual"`, `config.toml:1: backend: "virtual": want "auto", "usb" or "pcsc"`},
		"text for number":  {"[pin]\n# …\nmin_length = \"8\"", `config.toml:3: pin.min_length: "8": want a whole number from 6 to 32`},
		"too short":        {"pin = {weak = \"warn\",\n min_length = 5}", `config.toml:2: pin.min_length: 5: want a whole number from 6 to 32`},
		"half":             {"pin.min_length = 6.5", `config.toml:1: pin.min_length: 6.5: want a whole number from 6 to 32`},
		"negative":         {"panel.idle_minutes = -1", `config.toml:1: panel.idle_minutes: -1: want a whole number from 0 to 1440`},
		"rule":             {"[pin]\nweak = \"never\"", `config.toml:2: pin.weak: "never": want "warn", "forbid" or "allow"`},
		"text for yes":     {"[pin]\nwarn_default = \"yes\"", `config.toml:2: pin.warn_default: "yes": want true or false`},
		"no table":         {"# …\npin = 3", `config.toml:2: pin: 3: want a table`},
		"list of tables":   {"\n[[pin]]\nweak = \"warn\"", `config.toml:2: pin: want a table`},
		"certificates":     {"default_certificates = true", `config.toml:1: default_certificates: true: want a table`},
		"no id":            {"[default_certificates]\n01 = \"\"", `config.toml:2: default_certificates.01: "": want serial = "id", both in lower-case hexadecimal digits`},
		"id no digits":     {"[default_certificates]\n01 = \"xy\"", `config.toml:2: default_certificates.01: "xy": want serial = "id", both in lower-case hexadecimal digits`},
		"upper case":       {"[default_certificates]\nAB = \"01\"", `config.toml:2: default_certificates.AB: "01": want serial = "id", both in lower-case hexadecimal digits`},
		"id is a number":   {"[default_certificates]\n01 = 1", `config.toml:2: default_certificates.01: 1: want serial = "id", both in lower-case hexadecimal digits`},
		"too large":        {"#" + strings.Repeat("x", maxSize), `config.toml: larger than 1048576 bytes`},
		"long value":       {`language = "` + strings.Repeat("x", 65) + `"`, `config.toml:1: language: want "auto", "kk", "ru" or "en"`},
		"not UTF-8":        {"# \xFF", `config.toml:1:3: invalid UTF-8 character in comment`},
		"end of the input": {"pin = {", `config.toml:1:7: inline table is incomplete`},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.text)
			_, err := Load(path)
			if !errors.Is(err, ErrMalformed) || strings.TrimPrefix(err.Error(), filepath.Dir(path)+"/") != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err := Update(path, func(*Settings) error { return nil }); !errors.Is(err, ErrMalformed) {
				t.Errorf("update gives %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != c.text {
				t.Errorf("the file has changed: %v", err)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	if err := Standard().Check(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Settings){
		`language: "": want "auto", "kk", "ru" or "en"`:              func(s *Settings) { s.Language = "" },
		`pin.min_length: 33: want a whole number from 6 to 32`:       func(s *Settings) { s.MinPINLength = 33 },
		`panel.idle_minutes: -1: want a whole number from 0 to 1440`: func(s *Settings) { s.IdleMinutes = -1 },
	} {
		if err := with(change).Check(); err == nil || err.Error() != want || !errors.Is(err, ErrMalformed) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNewPINs(t *testing.T) {
	for rule, want := range map[string]pinpolicy.Rule{"warn": pinpolicy.Warn, "forbid": pinpolicy.Forbid, "allow": pinpolicy.Allow} {
		got := with(func(s *Settings) { s.WeakPINs, s.MinPINLength = rule, 7 }).NewPINs()
		if got != (pinpolicy.Policy{MinLength: 7, Weak: want}) {
			t.Errorf("%s: %v", rule, got)
		}
	}
}

func TestPath(t *testing.T) {
	env := map[string]string{"XDG_CONFIG_HOME": "/x/y"}
	getenv := func(name string) string { return env[name] }
	if got, err := Path(getenv); err != nil || got != "/x/y/kaztoken/config.toml" {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "/home/somebody")
	env["XDG_CONFIG_HOME"] = "relative"
	if got, err := Path(getenv); err != nil || !strings.HasPrefix(got, "/home/somebody/") || strings.Contains(got, "relative") {
		t.Errorf("got %s, %v", got, err)
	}
	t.Setenv("HOME", "")
	if got, err := Path(getenv); err == nil {
		t.Errorf("without a home: %s", got)
	}
}

// FuzzParse: a text that is read and written without a change stays as it is; one
// that is changed says what was wanted, and keeps every key that is not ours.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"", full, "pin = {}", "pin = { min_length = 8, weak = 'allow' } # …\nx = 1", "pin.min_length = 8\n[a.b]\nc = [1,\n2]\n",
		"# a\n\n# b\n[pin.more]\nz = 1\n[pin]", "[[x]]\n[[x]]\n[default_certificates]\n\"01\" = \"02\"", "language = \"kk\"\r\n# …", "default_certificates = {01 = \"02\", 02 = \"03\"}",
	} {
		f.Add([]byte(text), int64(7))
	}
	f.Fuzz(func(t *testing.T, text []byte, n int64) {
		d, s, err := parse(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		if len(text) == 0 {
			return // a new file begins with a comment
		}
		if same, err := edit(d, s, s); err != nil || string(same) != string(text) {
			t.Fatalf("unchanged, %q became %q, %v", text, same, err)
		}
		changed := s
		changed.MinPINLength = 6 + int(uint64(n)%27)
		changed.Language = Languages()[uint64(n)%4]
		changed.WarnDefaultPIN = n%2 == 0
		changed.SetDefaultCertificate(serial, []byte{byte(n) | 1})
		for key := range s.defaults {
			if n%3 == 0 && key != "0000000032d18a58" {
				delete(mapOf(&changed), key)
			}
		}
		after, err := edit(d, s, changed)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return // edits that do not take are refused
		}
		d2, got, err := parse(after)
		if err != nil || !got.equal(changed) {
			t.Fatalf("%q became %q: %v, %v", text, after, got, err)
		}
		drop(d.values)
		drop(d2.values)
		if diff := cmp.Diff(d.values, d2.values, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
			t.Errorf("%q became %q:\n%s", text, after, diff)
		}
	})
}

// mapOf gives the default certificates of s, which are its own.
func mapOf(s *Settings) map[string]string { return s.defaults }

// drop takes away what is ours.
func drop(values map[string]any) {
	for _, k := range keys {
		if len(k.path) == 1 {
			delete(values, k.path[0])
			continue
		}
		if table, ok := values[k.path[0]].(map[string]any); ok {
			delete(table, k.path[1])
			if len(table) == 0 {
				delete(values, k.path[0])
			}
		}
	}
	delete(values, defaultsTable)
	for _, table := range []string{"pin", "panel"} {
		if v, ok := values[table].(map[string]any); ok && len(v) == 0 {
			delete(values, table)
		}
	}
}

package settings

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadService(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Service
		err  string // what the error says behind the folder
	}{
		"empty": {"", Service{}, ""},
		"all": {
			"[service]\nreaders = \"all\"\ngroups = [\"smartcard\", \"1000\"]\nusers = [\"aigerim\"]\nlegacy_slots = 32\n",
			Service{Readers: "all", Groups: []string{"smartcard", "1000"}, Users: []string{"aigerim"}, LegacySlots: 32}, "",
		},
		"no one":          {"service = { users = [] }", Service{Users: []string{}}, ""},
		"a user's file":   {full + "[service]\nlegacy_slots = 1", Service{LegacySlots: 1}, ""},
		"mistyped key":    {"[service]\n\ngroup = [\"smartcard\"]", Service{}, `config.toml:3: service.group: no such setting`},
		"mistyped table":  {"# …\n[servce]\nreaders = \"all\"", Service{}, `config.toml:2: servce: no such setting`},
		"mistyped in pin": {"[pin]\nmin = 6", Service{}, `config.toml:2: pin.min: no such setting`},
		"at the top":      {"users = []", Service{}, `config.toml:1: users: no such setting`},
		"no table":        {"service = 1", Service{}, `config.toml:1: service: 1: want a table`},
		"readers":         {"[service]\nreaders = \"most\"", Service{}, `config.toml:2: service.readers: "most": want "kaztoken", "rutoken" or "all"`},
		"readers true":    {"[service]\nreaders = true", Service{}, `config.toml:2: service.readers: true: want "kaztoken", "rutoken" or "all"`},
		"no list":         {"[service]\ngroups = \"smartcard\"", Service{}, `config.toml:2: service.groups: "smartcard": want a list of names or numbers in quotes, as in ["smartcard", "1000"]`},
		"numbers":         {"[service]\nusers = [\n\"0\",\n1000]", Service{}, `config.toml:2: service.users: want a list of names or numbers in quotes, as in ["smartcard", "1000"]`},
		"nameless":        {"[service]\nusers = [\"\"]", Service{}, `config.toml:2: service.users: want a list of names or numbers in quotes, as in ["smartcard", "1000"]`},
		"negative slots":  {"[service]\nlegacy_slots = -1", Service{}, `config.toml:2: service.legacy_slots: -1: want a whole number from 0 to 256`},
		"many slots":      {"[service]\nlegacy_slots = 257", Service{}, `config.toml:2: service.legacy_slots: 257: want a whole number from 0 to 256`},
		"JSON":            {`{"readers": "all"}`, Service{}, `config.toml:1:1: invalid character at start of key: U+007B '{'`},
		"user's mistake":  {"language = 1", Service{}, `config.toml:1: language: 1: want "auto", "kk", "ru" or "en"`},
		"too long":        {strings.Repeat("\n", maxSize+1), Service{}, `config.toml: larger than 1048576 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.text)
			got, err := LoadService(path)
			if c.err == "" && err != nil || c.err != "" && (!errors.Is(err, ErrMalformed) || strings.TrimPrefix(err.Error(), filepath.Dir(path)+"/") != c.err) {
				t.Fatalf("error %v, want %s", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if s, err := LoadService(filepath.Join(t.TempDir(), "missing")); err != nil || !cmp.Equal(s, Service{}) {
		t.Errorf("without a file: %v, %v", s, err)
	}
	if _, err := LoadService(t.TempDir()); err == nil || errors.Is(err, ErrMalformed) || errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder: %v", err)
	}
}

// FuzzService: every key of a text that is taken is one of ours, and lists hold
// names.
func FuzzService(f *testing.F) {
	for _, s := range []string{"", full, "[service]\nreaders='all'\nusers=['0']", "service.legacy_slots = 3", "x = 1", "[service.more]"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseService(text)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return
		}
		d, err := parseDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range d.entries {
			table, key, _ := strings.Cut(e.path, "\x00")
			if table == serviceTable && key != "" && !slices.Contains(serviceKeys, key) {
				t.Errorf("%q: %q was taken", text, e.path)
			}
		}
		for _, name := range append(s.Groups, s.Users...) {
			if name == "" {
				t.Errorf("%q: a name is empty", text)
			}
		}
	})
}

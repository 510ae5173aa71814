package settings

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLoadService(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Service
		err  error
	}{
		"empty object": {"{}", Service{}, nil},
		"all": {
			`{"readers": "all", "groups": ["smartcard", "1000"], "users": ["aigerim"], "legacy_slots": 32}`,
			Service{Readers: "all", Groups: []string{"smartcard", "1000"}, Users: []string{"aigerim"}, LegacySlots: 32}, nil,
		},
		"no lists":       {`{"groups": null, "users": []}`, Service{Users: []string{}}, nil},
		"mistyped key":   {`{"group": ["smartcard"]}`, Service{}, ErrMalformed},
		"wrong type":     {`{"groups": "smartcard"}`, Service{}, ErrMalformed},
		"negative slots": {`{"legacy_slots": -1}`, Service{}, ErrMalformed},
		"something more": {`{} {"readers": "all"}`, Service{}, ErrMalformed},
		"no text":        {"", Service{}, ErrMalformed},
		"too long":       {"{}" + strings.Repeat(" ", maxSize), Service{}, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "serve.json")
			if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			got, err := LoadService(path)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
	if s, err := LoadService(filepath.Join(t.TempDir(), "missing")); err != nil || !cmp.Equal(s, Service{}) {
		t.Errorf("without a file: %v, %v", s, err)
	}
	if _, err := LoadService(t.TempDir()); err == nil || errors.Is(err, ErrMalformed) {
		t.Errorf("a folder: %v", err)
	}
}

// FuzzService: what is taken is written so that it is taken as the same.
func FuzzService(f *testing.F) {
	for _, s := range []string{"{}", `{"readers":"all","users":["0"]}`, `{"legacy_slots":1e3}`, `{"a":1}`, "[]", "null"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseService(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error %v", err)
			}
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		s2, err := parseService(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		third, err := json.Marshal(s2)
		if err != nil || string(third) != string(again) {
			t.Errorf("%s became %s, %v", again, third, err)
		}
	})
}

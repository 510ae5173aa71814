package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kaztoken/internal/registration"
)

// pristineList is the list of modules of a new certificate database.
const pristineList = "library=\nname=NSS Internal PKCS #11 Module\nNSS=Flags=internal,critical\n\n"

// atHome gives the test a home folder with a database of Chromium, and a module.
func atHome(t *testing.T) (home, list, module string, edit func(*Env)) {
	t.Helper()
	home = t.TempDir()
	edit = func(e *Env) {
		e.Applications = func(func(string) string) (registration.System, error) { return registration.System{Home: home}, nil }
	}
	list, module = filepath.Join(home, ".pki", "nssdb", "pkcs11.txt"), filepath.Join(home, "libkaztoken-pkcs11.so")
	if err := os.MkdirAll(filepath.Dir(list), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{list: pristineList, module: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return home, list, module, edit
}

// places runs a command and gives the places it tells of.
func places(t *testing.T, edit func(*Env), args ...string) []placeJSON {
	t.Helper()
	r := run(t, t.Context(), nil, edit, append(args, "--json")...)
	r.want(t, exitOK)
	var list []placeJSON
	if err := json.Unmarshal([]byte(r.out), &list); err != nil {
		t.Fatalf("%v in %s", err, r.out)
	}
	return list
}

// TestRegister enters the module, shows it, and takes it out again.
func TestRegister(t *testing.T) {
	home, list, module, edit := atHome(t)
	kit := filepath.Join(home, ".config", "pkcs11", "modules", "kaztoken.module")
	for _, step := range []struct {
		args    []string
		module  string
		changed bool
	}{
		{[]string{"register", "--list"}, "", false},
		{[]string{"register", "--module", module}, module, true},
		{[]string{"register", "--module", module}, module, false},
		{[]string{"register", "--list"}, module, false},
		{[]string{"unregister"}, "", true},
		{[]string{"unregister"}, "", false},
	} {
		got := places(t, edit, step.args...)
		if len(got) != 2 || got[0].Path != kit || got[1].Path != filepath.Dir(list) {
			t.Fatalf("%q: places %+v", step.args, got)
		}
		for _, p := range got {
			if p.Module != step.module || p.Changed != step.changed || p.Error != "" {
				t.Errorf("%q: %+v, want module %q, changed %v", step.args, p, step.module, step.changed)
			}
		}
	}
	if b, err := os.ReadFile(list); err != nil || string(b) != pristineList {
		t.Errorf("the list is not what it was: %v\n%s", err, b)
	}
	if _, err := os.Stat(kit); !os.IsNotExist(err) {
		t.Errorf("p11-kit's file is left: %v", err)
	}
}

// TestRegisterOne leaves the places alone that were not named.
func TestRegisterOne(t *testing.T) {
	_, list, module, edit := atHome(t)
	if got := places(t, edit, "register", "--module", module, "--nss", "sql:"+filepath.Dir(list)); len(got) != 1 || !got[0].Changed {
		t.Errorf("places %+v", got)
	}
	r := run(t, t.Context(), nil, edit, "register", "--module", module, "--nss", t.TempDir())
	r.want(t, exitFailed, "no certificate database of NSS")
}

// TestRegisterFailure: one place that cannot be changed is told, and the others are.
func TestRegisterFailure(t *testing.T) {
	home, list, module, edit := atHome(t)
	if err := os.Mkdir(filepath.Join(home, ".config"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".config", "pkcs11"), nil, 0o600); err != nil { // no folder
		t.Fatal(err)
	}
	r := run(t, t.Context(), nil, edit, "register", "--module", module)
	r.want(t, exitFailed, "p11-kit")
	if b, err := os.ReadFile(list); err != nil || !strings.Contains(string(b), module) {
		t.Errorf("the other place was left out: %v\n%s", err, b)
	}
}

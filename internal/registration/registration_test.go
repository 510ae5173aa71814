package registration

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// pristine is the list of a new database, as certutil 3.87 writes it.
const pristine = "library=\n" +
	"name=NSS Internal PKCS #11 Module\n" +
	"parameters=configdir='sql:/home/a/.pki/nssdb' certPrefix='' keyPrefix='' secmod='secmod.db' flags= updatedir='' \n" +
	"NSS=Flags=internal,critical trustOrder=75 cipherOrder=100 slotParams=(1={slotFlags=[ECC,RSA] askpw=any timeout=30})\n\n"

const opensc = "library=/usr/lib/x86_64-linux-gnu/opensc-pkcs11.so\nname=OpenSC\n\n"

// ours is our module as modutil 3.87 would have entered it.
const ours = "library=/usr/lib/pkcs11/libkaztoken-pkcs11.so\nname=KAZTOKEN\n\n"

const module = "/usr/lib/pkcs11/libkaztoken-pkcs11.so"

// home makes a user's folder with the given files.
func home(t *testing.T, files map[string]string) System {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return System{Home: dir, ModuleDirs: []string{filepath.Join(dir, "lib", "*", "pkcs11")}, Library: "libkaztoken-pkcs11.so"}
}

func text(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPlaces(t *testing.T) {
	s := home(t, map[string]string{
		".pki/nssdb/pkcs11.txt":                           pristine,
		".mozilla/firefox/x1.default-esr/pkcs11.txt":      pristine,
		".mozilla/firefox/profiles.ini":                   "[General]\n",
		".mozilla/firefox/Crash Reports/InstallTime":      "1",
		".thunderbird/y2.default/pkcs11.txt":              pristine,
		"snap/firefox/common/.mozilla/firefox/z/prefs.js": "",
	})
	var got []string
	for _, p := range s.Places() {
		rel, err := filepath.Rel(s.Home, p.Path)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, p.Kind.String()+" "+p.Program+" "+rel)
	}
	want := []string{
		"p11-kit p11-kit .config/pkcs11/modules/kaztoken.module", "nss Chromium .pki/nssdb",
		"nss Firefox .mozilla/firefox/x1.default-esr", "nss Thunderbird .thunderbird/y2.default",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	s.Config = filepath.Join(s.Home, "elsewhere")
	if p := s.Places()[0].Path; p != filepath.Join(s.Config, "pkcs11", "modules", "kaztoken.module") {
		t.Errorf("p11-kit's file is %s", p)
	}
	s.Kit = "/etc/pkcs11/modules"
	if p := s.Places()[0].Path; p != "/etc/pkcs11/modules/kaztoken.module" {
		t.Errorf("p11-kit's file for root is %s", p)
	}
	s.Kit, s.Config = "", "relative"
	if p := s.Places()[0].Path; !strings.HasPrefix(p, filepath.Join(s.Home, ".config")) {
		t.Errorf("a relative XDG_CONFIG_HOME was followed: %s", p)
	}
}

func TestHomeWithPatternCharacters(t *testing.T) {
	s := home(t, map[string]string{"a[b]*/.pki/nssdb/pkcs11.txt": pristine})
	s.Home = filepath.Join(s.Home, "a[b]*")
	if n := len(s.Places()); n != 2 {
		t.Errorf("%d places, want 2: %v", n, s.Places())
	}
}

func TestNSS(t *testing.T) {
	for _, test := range []struct {
		name, before, registered, unregistered string
		was                                    string // the module that is registered before
		changes, takesOut                      bool
	}{
		{"new database", pristine, pristine + ours, pristine, "", true, true},
		{"beside another", pristine + opensc, pristine + opensc + ours, pristine + opensc, "", true, true},
		{"already", pristine + ours + opensc, pristine + ours + opensc, pristine + opensc, module, false, true},
		{
			"at an old path", pristine + strings.Replace(ours, "/usr/lib", "/opt/old", 1) + opensc, pristine + opensc + ours, pristine + opensc,
			"/opt/old/pkcs11/libkaztoken-pkcs11.so", true, true,
		},
		{
			"under another name", pristine + strings.Replace(ours, "name=KAZTOKEN", "name=My token", 1), pristine + ours, pristine, module, false, true,
		},
		{"twice", pristine + ours + ours, pristine + ours, pristine, module, true, true},
		{"no line end", strings.TrimRight(pristine, "\n"), pristine + ours, pristine, "", true, true},
		{"lines of another system", strings.ReplaceAll(pristine, "\n", "\r\n"), pristine + ours, pristine, "", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := home(t, map[string]string{".pki/nssdb/pkcs11.txt": test.before})
			p := s.Places()[1]
			file := filepath.Join(p.Path, "pkcs11.txt")
			if was, err := p.Registered(); err != nil || was != test.was {
				t.Errorf("registered before: %q, %v; want %q", was, err, test.was)
			}
			changed, err := p.Register(module)
			if err != nil || changed != test.changes {
				t.Errorf("Register: %v, %v; want %v", changed, err, test.changes)
			}
			if got := text(t, file); test.changes && got != test.registered {
				t.Errorf("registered:\n%s\nwant:\n%s", got, test.registered)
			}
			if was, err := p.Registered(); err != nil || was != module {
				t.Errorf("registered: %q, %v", was, err)
			}
			if changed, err := p.Unregister(); err != nil || changed != test.takesOut {
				t.Errorf("Unregister: %v, %v; want %v", changed, err, test.takesOut)
			}
			if got := text(t, file); got != test.unregistered {
				t.Errorf("unregistered:\n%s\nwant:\n%s", got, test.unregistered)
			}
			if changed, err := p.Unregister(); err != nil || changed {
				t.Errorf("Unregister again: %v, %v", changed, err)
			}
			info, err := os.Stat(file)
			if err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("permissions %v, %v; want those of before", info.Mode(), err)
			}
			if left, _ := filepath.Glob(filepath.Join(p.Path, ".kaztoken-*")); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestP11Kit(t *testing.T) {
	s := home(t, nil)
	p := s.Places()[0]
	if got, err := p.Registered(); err != nil || got != "" {
		t.Fatalf("registered: %q, %v", got, err)
	}
	if changed, err := p.Unregister(); err != nil || changed {
		t.Fatalf("Unregister: %v, %v", changed, err)
	}
	for i, want := range []bool{true, false} {
		if changed, err := p.Register(module); err != nil || changed != want {
			t.Fatalf("Register %d: %v, %v", i, changed, err)
		}
	}
	if got, err := p.Registered(); err != nil || got != module {
		t.Fatalf("registered: %q, %v", got, err)
	}
	if got := text(t, p.Path); !strings.Contains(got, "\nmodule: "+module+"\n") {
		t.Errorf("file:\n%s", got)
	}
	if changed, err := p.Unregister(); err != nil || !changed {
		t.Fatalf("Unregister: %v, %v", changed, err)
	}
	if _, err := os.Stat(p.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

// TestLink: a list that is a link to a shared file stays one.
func TestLink(t *testing.T) {
	s := home(t, map[string]string{"list.txt": pristine, ".pki/nssdb/cert9.db": ""})
	file := filepath.Join(s.Home, ".pki/nssdb/pkcs11.txt")
	if err := os.Symlink("../../list.txt", file); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Places()[1].Register(module); err != nil {
		t.Fatal(err)
	}
	if target, err := os.Readlink(file); err != nil || target != "../../list.txt" {
		t.Errorf("link: %q, %v", target, err)
	}
	if got := text(t, filepath.Join(s.Home, "list.txt")); got != pristine+ours {
		t.Errorf("shared list:\n%s", got)
	}
}

func TestModule(t *testing.T) {
	s := home(t, map[string]string{"lib/x86_64-linux-gnu/pkcs11/libkaztoken-pkcs11.so": ""})
	if got, err := s.Module(); err != nil || got != filepath.Join(s.Home, "lib/x86_64-linux-gnu/pkcs11/libkaztoken-pkcs11.so") {
		t.Errorf("Module: %q, %v", got, err)
	}
	s.Library = "other.so"
	if _, err := s.Module(); !errors.Is(err, ErrNoModule) || !strings.Contains(err.Error(), s.ModuleDirs[0]) {
		t.Errorf("Module: %v", err)
	}
}

func TestDatabase(t *testing.T) {
	s := home(t, map[string]string{"db/pkcs11.txt": pristine, "empty/file": ""})
	for _, spelling := range []string{"", "sql:"} {
		p, err := Database(spelling + filepath.Join(s.Home, "db"))
		if want := (Place{NSS, "NSS", filepath.Join(s.Home, "db")}); err != nil || p != want {
			t.Errorf("Database: %+v, %v", p, err)
		}
	}
	if _, err := Database(filepath.Join(s.Home, "empty")); !errors.Is(err, ErrNoDatabase) {
		t.Errorf("Database of an empty folder: %v", err)
	}
}

func TestHostilePaths(t *testing.T) {
	s := home(t, map[string]string{".pki/nssdb/pkcs11.txt": pristine})
	for _, p := range s.Places() {
		if _, err := p.Register("/tmp/a\nlibrary=/tmp/evil.so"); !errors.Is(err, ErrPath) {
			t.Errorf("%v: %v", p, err)
		}
	}
	big := filepath.Join(s.Home, ".pki/nssdb/pkcs11.txt")
	if err := os.Truncate(big, maxList+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Places()[1].Register(module); err == nil {
		t.Error("a list of a megabyte was taken")
	}
}

// FuzzList: what is not ours survives, and a list that was written reads back the same.
func FuzzList(f *testing.F) {
	for _, s := range []string{"", pristine, pristine + ours + opensc, "\n\n\n", "name=KAZTOKEN", "library=x\r\n\r\nname", "=\n=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		all := parseList(s)
		if again := parseList(join(all)); !reflect.DeepEqual(all, again) {
			t.Fatalf("%q became %q", all, again)
		}
		kept := without(all)
		for _, e := range kept {
			if e.ours() {
				t.Fatalf("kept %q", e)
			}
		}
		added := append(slices.Clone(kept), entry{"library=" + module, "name=" + Name})
		if back := without(parseList(join(added))); len(kept) > 0 && !reflect.DeepEqual(kept, back) {
			t.Fatalf("%q became %q", kept, back)
		}
	})
}

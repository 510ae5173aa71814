package settings

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "kaztoken", fileName)
	for _, step := range []struct {
		serial, id []byte
		want       map[string]string // by serial
	}{
		{serial, []byte{0x42}, map[string]string{string(serial): "\x42"}},
		{other, []byte{0xAB, 0xCD}, map[string]string{string(serial): "\x42", string(other): "\xAB\xCD"}},
		{serial, []byte{0x43}, map[string]string{string(serial): "\x43", string(other): "\xAB\xCD"}},
		{nil, []byte{0x43}, map[string]string{string(serial): "\x43", string(other): "\xAB\xCD"}},
		{serial, nil, map[string]string{string(other): "\xAB\xCD"}},
		{other, nil, nil},
	} {
		if err := Update(path, func(s *Settings) error { s.SetDefaultCertificate(step.serial, step.id); return nil }); err != nil {
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
	names, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(names) != 2 || names[0].Name() != "."+fileName+".lock" {
		t.Errorf("left in the folder: %v, %v", names, err)
	}
}

func TestUpdateWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)
	if err := Update(path, func(*Settings) error { return nil }); err != nil {
		t.Fatal(err)
	}
	mine := errors.New("mine")
	if err := Update(path, func(s *Settings) error { s.Language = "kk"; return mine }); !errors.Is(err, mine) {
		t.Errorf("error %v", err)
	}
	var e *Error
	if err := Update(path, func(s *Settings) error { s.Language = "de"; return nil }); !errors.As(err, &e) || e.Key != "language" || e.File != "" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Update(filepath.Join(file, fileName), func(*Settings) error { return nil }); err == nil {
		t.Error("a folder that is a file was taken")
	}
}

// TestEdit: what is not changed stays, and what is new stands where a person would
// have put it.
func TestEdit(t *testing.T) {
	short := func(s *Settings) { s.MinPINLength = 7 }
	for name, c := range map[string]struct {
		before string
		change func(*Settings)
		want   string
	}{
		"value in its line": {
			"  language= 'kk'   # home\n\n# end", func(s *Settings) { s.Language = "ru" },
			"  language= \"ru\"   # home\n\n# end",
		},
		"new file":          {"", short, heading + "\n[pin]\nmin_length = 7\n"},
		"new file, at top":  {"", func(s *Settings) { s.Readers = "all" }, strings.TrimSuffix(heading, "\n") + "\nreaders = \"all\"\n\n"},
		"table below":       {"language = \"kk\"", short, "language = \"kk\"\n\n[pin]\nmin_length = 7\n"},
		"in its table":      {"[pin]\nweak = \"warn\" # so\n\n# panel\n[panel]\n", short, "[pin]\nweak = \"warn\" # so\nmin_length = 7\n\n# panel\n[panel]\n"},
		"in an empty table": {"[ pin ] # …\n[panel]\n", short, "[ pin ] # …\nmin_length = 7\n[panel]\n"},
		"table at the end":  {"[pin]", short, "[pin]\nmin_length = 7\n"},
		"table with tables": {"[pin.extra]\na = 1\n", short, "[pin.extra]\na = 1\n\n[pin]\nmin_length = 7\n"},
		"inline":            {"pin = { weak = \"warn\" } # …", short, "pin = { min_length = 7, weak = \"warn\" } # …"},
		"inline, empty":     {"pin = {}", short, "pin = { min_length = 7}"},
		"inline, there":     {"pin = {min_length=8,a=1}", short, "pin = {min_length=7,a=1}"},
		"dotted":            {"pin.a = 1\nx = 2\n[b]\n", short, "pin.a = 1\npin.min_length = 7\nx = 2\n[b]\n"},
		"several lines":     {"[pin]\na = [\n1,\n]\n", short, "[pin]\na = [\n1,\n]\nmin_length = 7\n"},
		"CRLF":              {"# a\r\n[pin]\r\na = 1\r\n", short, "# a\r\n[pin]\r\na = 1\r\nmin_length = 7\r\n"},
		"above the tables":  {"# mine\n\n# of PINs\n[pin]\n", func(s *Settings) { s.Backend = "usb" }, "# mine\n\nbackend = \"usb\"\n\n# of PINs\n[pin]\n"},
		"no comment":        {"[pin]\n", func(s *Settings) { s.Backend = "usb" }, "backend = \"usb\"\n\n[pin]\n"},
		"comment of table":  {"# of PINs\n[pin]\n", func(s *Settings) { s.Backend = "usb" }, "backend = \"usb\"\n\n# of PINs\n[pin]\n"},
		"only a comment":    {"# mine", func(s *Settings) { s.Backend = "usb" }, "backend = \"usb\"\n\n# mine"},
		"back to standard":  {"language = \"kk\"\n", func(s *Settings) { s.Language = "auto" }, "language = \"auto\"\n"},
		"unknown keys": {
			"z = { y = [ 1 , 2 ] }\n[pin]\nmin_length = 8\n[[future]]\nx = 0x7F\n", short,
			"z = { y = [ 1 , 2 ] }\n[pin]\nmin_length = 7\n[[future]]\nx = 0x7F\n",
		},
		"certificate gone": {
			"[default_certificates]\n01 = \"02\" # work\n0000000032d18a58 = \"42\" # home\n# …\n", func(s *Settings) { s.SetDefaultCertificate(serial, nil) },
			"[default_certificates]\n01 = \"02\" # work\n# …\n",
		},
		"certificate gone, first inline": {
			`default_certificates = { 0000000032d18a58 = "42", 01 = "02" }`, func(s *Settings) { s.SetDefaultCertificate(serial, nil) },
			`default_certificates = { 01 = "02" }`,
		},
		"certificate gone, last inline": {
			`default_certificates = { 01 = "02", 0000000032d18a58 = "42" }`, func(s *Settings) { s.SetDefaultCertificate(serial, nil) },
			`default_certificates = { 01 = "02" }`,
		},
		"certificate gone, only one inline": {
			`default_certificates = {0000000032d18a58 = "42"}`, func(s *Settings) { s.SetDefaultCertificate(serial, nil) },
			`default_certificates = {}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, c.before)
			err := Update(path, func(s *Settings) error { c.change(s); return nil })
			if err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil || string(got) != c.want {
				t.Errorf("got\n%q, want\n%q, %v", got, c.want, err)
			}
		})
	}
}

// TestUpdateKeepsALink: people keep such files elsewhere and link to them.
func TestUpdateKeepsALink(t *testing.T) {
	target := write(t, "language = \"kk\"\n")
	path := filepath.Join(t.TempDir(), fileName)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, func(s *Settings) error { s.Language = "ru"; return nil }); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(target); err != nil || string(got) != "language = \"ru\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if link, err := os.Readlink(path); err != nil || link != target {
		t.Errorf("the link is %q, %v", link, err)
	}
}

// TestUpdateFollowsALinkToNothing: the file that a link leads to may have to be made.
func TestUpdateFollowsALinkToNothing(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, fileName), filepath.Join(dir, "dotfiles", "kaztoken.toml")
	if err := os.Symlink(filepath.Join("dotfiles", "kaztoken.toml"), path); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, func(s *Settings) error { s.Language = "ru"; return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(target); err != nil || s.Language != "ru" {
		t.Errorf("%s has %q, %v", target, s.Language, err)
	}
	if _, err := os.Readlink(path); err != nil {
		t.Errorf("the link is gone: %v", err)
	}
	around := filepath.Join(dir, "around")
	if err := os.Symlink(around, around); err != nil {
		t.Fatal(err)
	}
	if err := Update(around, func(s *Settings) error { s.Language = "ru"; return nil }); err == nil {
		t.Error("a link to itself leads to a file")
	}
}

// TestFilesAreTheirFoldersOwners: what root changes in somebody's home stays that
// person's. Whoever is not root has no other files to make than his own.
func TestFilesAreTheirFoldersOwners(t *testing.T) {
	home, owner := t.TempDir(), os.Getuid()
	if owner == 0 {
		owner = 12345
		if err := os.Chown(home, owner, owner); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(home, ".config", "kaztoken", fileName)
	for _, l := range []string{"ru", "kk"} {
		if err := Update(path, func(s *Settings) error { s.Language = l; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	err := filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		seen++
		if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != owner {
			t.Errorf("%s belongs to %d, want %d", path, s.Uid, owner)
		}
		return nil
	})
	if err != nil || seen != 5 {
		t.Errorf("%d files and folders, %v", seen, err)
	}
}

// TestLockThatIsNotGivenBack: a program that was stopped in the middle of a change
// keeps nobody waiting for ever.
func TestLockThatIsNotGivenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := takeLock(path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := takeLock(path, time.Millisecond); !errors.Is(err, ErrLocked) {
		t.Errorf("the second lock: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := takeLock(path, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

// TestNewLockIsNoOneElsesFile: a link where the lock should be is followed, and what it
// leads to keeps its owner.
func TestNewLockIsNoOneElsesFile(t *testing.T) {
	dir := t.TempDir()
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(other, filepath.Join(dir, "lock")); err != nil {
		t.Fatal(err)
	}
	f, err := takeLock(filepath.Join(dir, "lock"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := os.Stat(other)
	if err != nil {
		t.Fatal(err)
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || int(s.Uid) != os.Getuid() {
		t.Errorf("another file has changed hands")
	}
}

// TestOld: settings.json counts until there is a config.toml, and the first change
// takes it over.
func TestOld(t *testing.T) {
	dir := t.TempDir()
	path, old := filepath.Join(dir, fileName), filepath.Join(dir, oldName)
	if err := os.WriteFile(old, []byte(`{"default_certificates":{"0000000032d18a58":"42"},"more":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	want := with(func(s *Settings) { s.SetDefaultCertificate(serial, []byte{0x42}) })
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
	if _, err := os.Stat(path); err == nil {
		t.Error("reading has written")
	}
	if err := Update(path, func(*Settings) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if s, err = Load(path); err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
	got, err := os.ReadFile(path)
	if err != nil || string(got) != heading+"\n[default_certificates]\n0000000032d18a58 = \"42\"\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file: %v", err)
	}
	if kept, err := os.ReadFile(old + ".old"); err != nil || !strings.Contains(string(kept), "more") {
		t.Errorf("kept: %s, %v", kept, err)
	}
	// One that comes again later is of no account.
	if err := os.WriteFile(old, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Load(path); err != nil {
		t.Fatal(err)
	}
	compare(t, s, want)
}

func TestOldMalformed(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "not JSON": "{", "no object": "[]", "trailing": "{} {}", "wrong kind": `{"default_certificates":[]}`,
		"no id": `{"default_certificates":{"01":""}}`, "no digits": `{"default_certificates":{"01":"xy"}}`, "upper case": `{"default_certificates":{"AB":"01"}}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, oldName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(filepath.Join(dir, fileName))
		if !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), oldName) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// writers is how many programs write at once, and rounds how often each does.
const writers, rounds = 4, 25

// TestWritersAtOnce: programs that write at the same moment do not lose each
// other's keys.
func TestWritersAtOnce(t *testing.T) {
	if at := os.Getenv("SETTINGS_TEST_FILE"); at != "" {
		id := []byte(os.Getenv("SETTINGS_TEST_WRITER"))
		for i := range rounds {
			serial := binary.BigEndian.AppendUint32(nil, uint32(id[0])<<8|uint32(i))
			if err := Update(at, func(s *Settings) error { s.SetDefaultCertificate(serial, id); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	path := write(t, "# mine\n[pin]\nfuture = 1\n")
	var all []*exec.Cmd
	for i := range writers {
		c := exec.Command(os.Args[0], "-test.run=^TestWritersAtOnce$")
		c.Env = append(os.Environ(), "SETTINGS_TEST_FILE="+path, "SETTINGS_TEST_WRITER="+string(rune('A'+i)))
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	s, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(s.defaults); got != writers*rounds {
		t.Errorf("%d keys are there, want %d", got, writers*rounds)
	}
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(text), "# mine\n[pin]\nfuture = 1\n") {
		t.Errorf("the file begins with %.40q, %v", text, err)
	}
}

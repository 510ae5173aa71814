package cli

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFirstLine(t *testing.T) {
	for _, c := range []struct {
		name, in, want, rest string
		err                  error
	}{
		{"a line", "1234\n", "1234", "", nil},
		{"no newline", "1234", "1234", "", nil},
		{"two lines", "1234\n5678\n", "1234", "5678\n", nil},
		{"a line of Windows", "1234\r\n5", "1234", "5", nil},
		{"spaces stay", " 12 \n", " 12 ", "", nil},
		{"nothing", "", "", "", errNoSecret},
		{"an empty line", "\n1234\n", "", "1234\n", errNoSecret},
		{"the longest", strings.Repeat("x", maxSecret) + "\nrest", strings.Repeat("x", maxSecret), "rest", nil},
		{"the longest of Windows", strings.Repeat("x", maxSecret) + "\r\nrest", strings.Repeat("x", maxSecret), "rest", nil},
		{"too long", strings.Repeat("x", maxSecret+1) + "\n", "", "", errTooLong},
		{"endless", strings.Repeat("x", 3*maxSecret), "", strings.Repeat("x", 2*maxSecret-2), errTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := strings.NewReader(c.in)
			s, err := firstLine(in)
			defer s.Wipe()
			if !errors.Is(err, c.err) || string(s.Bytes()) != c.want {
				t.Errorf("got %q, %v, want %q, %v", s.Bytes(), err, c.want, c.err)
			}
			if rest, err := io.ReadAll(in); err != nil || string(rest) != c.rest {
				t.Errorf("%d bytes are left, want %d", len(rest), len(c.rest))
			}
		})
	}
	broken := errors.New("broken")
	var f *fileError
	if _, err := firstLine(iotest.ErrReader(broken)); !errors.Is(err, broken) || !errors.As(err, &f) {
		t.Errorf("a broken file: %v", err)
	}
}

// TestDescriptors: PINs come over descriptors, several over one, a line each.
func TestDescriptors(t *testing.T) {
	d := newDesk(t).files()
	d.nobody = true
	r := d.runWith(t.Context(), factoryUser+"\n"+newUser+"\n", "pin", "change", "--pin-fd", "0", "--new-pin-fd", "0")
	r.want(t, exitOK, "has been changed")

	// The program closes what it was given, so it is given a copy.
	fd := descriptorOf(t, newUser+"\n"+factoryUser+"\n")
	d.run("pin", "change", "--pin-fd", fd, "--new-pin-fd", fd).want(t, exitOK, "has been changed")
	d.run("pin", "verify", "--pin-fd", descriptorOf(t, factoryUser)).want(t, exitOK, "is right", "default PIN")

	// Data and PIN cannot both be standard input.
	d.must("key", "generate", "--label", "work", "--pin-file", "@user.pin")
	for _, args := range []string{
		"sign --key work --pin-fd 0", "decrypt --key work --pin-fd 0", "object write - --label x --pin-fd 0",
		"cert import - --pin-fd 0", "cert import - --password-fd 0 --pin-file @user.pin",
	} {
		d.runWith(t.Context(), factoryUser+"\n", strings.Fields(args)...).want(t, exitUsage, "standard input is either")
	}
	if r := d.runWith(t.Context(), "x", "object", "write", "-", "--pin-file", "@user.pin"); r.code != exitUsage {
		t.Errorf("standard input without a name: exit code %d", r.code)
	}
	d.runWith(t.Context(), "from a pipe", "object", "write", "-", "--label", "x", "--pin-file", "@user.pin").want(t, exitOK, "Object written")
	if r := d.must("object", "read", "x"); r.out != "from a pipe" {
		t.Errorf("reads %q", r.out)
	}
	d.runWith(t.Context(), string(demoIdentity), "cert", "import", "-", "--pin-file", "@user.pin", "--password-file", "@password").
		want(t, exitOK, "Imported", "default PIN")
}

// TestPINFileReadable: the advice to close a file to others is for files alone;
// a folder without x is of no use, and a device is not the user's.
func TestPINFileReadable(t *testing.T) {
	d := newDesk(t).files()
	name := d.file("open.pin", factoryUser)
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	d.run("pin", "verify", "--pin-file", name).want(t, exitOK, "other users can read")

	folder := t.TempDir()
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{folder, os.DevNull} {
		if r := d.run("pin", "verify", "--pin-file", name); r.code == exitOK || strings.Contains(r.err, "chmod") {
			t.Errorf("%s: exit code %d, %s", name, r.code, r.err)
		}
	}
}

// TestNoPINAsArgument: there is no flag that takes one.
func TestNoPINAsArgument(t *testing.T) {
	for _, name := range commandNames() {
		cmd, _, err := (&app{Env: System("")}).root().Find(strings.Fields(name))
		if err != nil {
			t.Fatal(err)
		}
		for _, flag := range []string{"pin", "new-pin", "password", "user-pin", "admin-pin", "so-pin"} {
			if f := cmd.Flags().Lookup(flag); f != nil && f.Value.Type() != "bool" {
				t.Errorf("%s takes --%s", cmd.CommandPath(), flag)
			}
		}
	}
	// And none in the environment: nothing but choices and a folder is asked.
	d := newDesk(t).files()
	asked := map[string]bool{}
	var lang string
	r := run(t, t.Context(), nil, func(e *Env) {
		d.edit(e)
		getenv := e.Getenv
		e.Getenv = func(name string) string {
			asked[name] = true
			if name == "LC_ALL" {
				return lang
			}
			return getenv(name)
		}
		lang = "ru_RU.UTF-8"
	}, "--backend", "virtual", "cert", "list")
	r.want(t, exitOK, "Таких объектов на токене нет")
	for name := range asked {
		switch name {
		case "LC_ALL", "LC_MESSAGES", "LANG", "XDG_CONFIG_HOME", langVariable, backendVariable, devicesVariable:
		default:
			t.Errorf("asks for $%s", name)
		}
	}
}

// descriptorOf opens a pipe with content, and gives the number of its end.
func descriptorOf(t *testing.T, content string) string {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString(content); err != nil {
		t.Fatal(err)
	}
	w.Close()
	defer r.Close()
	return duplicate(t, r)
}

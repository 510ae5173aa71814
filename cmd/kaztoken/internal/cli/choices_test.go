package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kaztoken/firmware/emu"
	"kaztoken/internal/host"
	"kaztoken/internal/settings"
)

// chosen is a desk with a file of settings.
func chosen(t *testing.T, text string, options ...emu.Option) *desk {
	t.Helper()
	d := newDesk(t, options...).files()
	d.lang = "" // what the settings say counts
	if err := os.Mkdir(filepath.Join(d.dir, "kaztoken"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.file("kaztoken/config.toml", text)
	return d
}

// TestChoices: a flag comes before the environment, and that before the settings.
func TestChoices(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		env  map[string]string
		args []string
		want host.Options
		lang string // of the message
	}{
		"nothing chosen": {"", nil, nil, host.Options{Backend: "auto", Devices: "kaztoken"}, "no token"},
		"file": {
			"language = \"ru\"\nbackend = \"usb\"\nreaders = \"all\"", map[string]string{"LANG": "kk_KZ.UTF-8"}, nil,
			host.Options{Backend: "usb", Devices: "all"}, "токен не найден",
		},
		"environment": {
			"language = \"ru\"\nbackend = \"usb\"\nreaders = \"all\"",
			map[string]string{langVariable: "kk", backendVariable: "pcsc", devicesVariable: "rutoken"}, nil,
			host.Options{Backend: "pcsc", Devices: "rutoken"}, "токен табылмады",
		},
		"flags": {
			"language = \"ru\"\nbackend = \"usb\"\nreaders = \"all\"",
			map[string]string{langVariable: "kk", backendVariable: "pcsc", devicesVariable: "rutoken"},
			[]string{"--lang", "en", "--backend", "auto", "--devices", "kaztoken"},
			host.Options{Backend: "auto", Devices: "kaztoken"}, "no token",
		},
		"language of the system": {"language = \"auto\"", map[string]string{"LANG": "kk_KZ.UTF-8"}, nil, host.Options{Backend: "auto", Devices: "kaztoken"}, "токен табылмады"},
	} {
		t.Run(name, func(t *testing.T) {
			d := chosen(t, c.file)
			var got host.Options
			r := execute(t.Context(), nil, func(e *Env) {
				d.edit(e)
				getenv := e.Getenv
				e.Getenv = func(name string) string {
					if v := c.env[name]; v != "" {
						return v
					}
					return getenv(name)
				}
				e.Open = func(_ context.Context, o host.Options) (*host.Token, error) {
					got = o
					return nil, host.ErrNoToken
				}
			}, append(c.args, "pin", "status")...)
			r.want(t, exitNoToken, c.lang)
			if got.Backend != c.want.Backend || got.Devices != c.want.Devices {
				t.Errorf("the options are %q, %q, want %q, %q", got.Backend, got.Devices, c.want.Backend, c.want.Devices)
			}
		})
	}
	d := chosen(t, "")
	r := execute(t.Context(), nil, func(e *Env) {
		d.edit(e)
		e.Getenv = func(name string) string { return map[string]string{langVariable: "de"}[name] }
	}, "version")
	r.want(t, exitUsage, `lang "de": want one of kk, ru, en`)
}

// TestChoicesAreKnown: the settings and the program name the same things.
func TestChoicesAreKnown(t *testing.T) {
	if got, want := settings.Readers(), host.FilterNames(); !slices.Equal(got, want) {
		t.Errorf("readers %q, want %q", got, want)
	}
	for _, b := range settings.Backends() {
		if !slices.Contains(host.BackendNames(), b) {
			t.Errorf("no backend %q", b)
		}
	}
}

// TestMalformedSettings: they stop what they are for, and nothing else; a mistake in
// the command line is told all the same.
func TestMalformedSettings(t *testing.T) {
	d := chosen(t, "language = \"kk\"\nbackend = \"tcp\"\n")
	want := `kaztoken/config.toml:2: backend: "tcp": want "auto", "usb" or "pcsc"`
	for _, args := range [][]string{{"list"}, {"info"}, {"pin", "status"}, {"cert", "list"}, {"virtual"}} {
		d.run(args...).want(t, exitFailed, want)
	}
	d.run("version").want(t, exitOK)
	d.run("udev-rules").want(t, exitOK)
	d.run("--nonsense").want(t, exitUsage, "nonsense")
	d.file("file", "")
	d.run("serve", "--virtual", "--socket", "@file/s").want(t, exitFailed, "file/s") // not for want of settings

	// A folder in the place of the file is no mistake in it.
	if err := os.Remove(filepath.Join(d.dir, "kaztoken", "config.toml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(d.dir, "kaztoken", "config.toml"), 0o700); err != nil {
		t.Fatal(err)
	}
	d.run("list").want(t, exitFailed, "config.toml")
	// Without a place for settings there are none.
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	execute(t.Context(), nil, func(e *Env) {
		d.edit(e)
		e.Getenv = func(string) string { return "" }
		e.Open = func(context.Context, host.Options) (*host.Token, error) { return nil, errors.New("asked") }
	}, "pin", "status").want(t, exitFailed, "asked")
}

// TestNewPINRules: the settings decide which new PINs are taken, and what is said.
func TestNewPINRules(t *testing.T) {
	const weak = "is easy to guess: its characters follow one another"
	for name, c := range map[string]struct {
		file string
		pin  string
		code int
		errs []string
		not  string
	}{
		"warned":           {"", "234567", exitOK, []string{weak}, ""},
		"allowed":          {"pin.weak = \"allow\"", "234567", exitOK, []string{"changed"}, "easy"},
		"forbidden":        {"pin.weak = \"forbid\"", "234567", exitNotAllowed, []string{"the new PIN is weak", "hint: the rule can be changed in kaztoken/config.toml"}, "easy"},
		"good":             {"pin.weak = \"forbid\"", newUser, exitOK, []string{"changed"}, "weak"},
		"short":            {"pin.min_length = 12", newUser, exitNotAllowed, []string{"a new PIN of 10 characters; the settings ask for 12 or more", "hint: "}, "easy"},
		"short by default": {"", "a1234", exitNotAllowed, []string{"a new PIN of 5 characters; the settings ask for 6 or more"}, "hint"},
	} {
		t.Run(name, func(t *testing.T) {
			d := chosen(t, c.file)
			d.file("fresh.pin", c.pin+"\n")
			defer func() {
				if c.code != exitOK {
					d.run("pin", "verify", "--pin-file", "@user.pin").want(t, exitOK, "PIN is right")
				}
			}()
			for _, command := range [][]string{
				{"pin", "change", "--pin-file", "@user.pin", "--new-pin-file", "@fresh.pin"},
				{"pin", "unblock", "--pin-file", "@admin.pin", "--new-pin-file", "@fresh.pin"},
				{"format", "--yes", "--pin-file", "@admin.pin", "--user-pin-file", "@fresh.pin", "--admin-pin-file", "@new.pin"},
			} {
				r := d.run(command...)
				errs := c.errs
				if c.code == exitOK && command[0] != "pin" || command[1] == "unblock" {
					errs = slices.DeleteFunc(slices.Clone(errs), func(s string) bool { return s == "changed" })
					if len(errs) == 0 {
						errs = []string{"\n"} // something is said
					}
				}
				r.want(t, c.code, errs...)
				if c.not != "" && strings.Contains(r.err, c.not) {
					t.Errorf("%v: standard error %q", command, r.err)
				}
				if strings.Contains(r.err, c.pin) {
					t.Errorf("%v tells the PIN", command)
				}
			}
		})
	}
}

// TestFormatWithDefaultPINs: where weak new PINs are forbidden, the default ones are,
// too, before anything is asked.
func TestFormatWithDefaultPINs(t *testing.T) {
	for file, want := range map[string]string{
		"pin.weak = \"forbid\"": "the new PIN is weak: it is a default PIN",
		"pin.min_length = 9":    "a new PIN of 8 characters; the settings ask for 9 or more",
	} {
		d := chosen(t, file)
		d.nobody = true
		d.run("format").want(t, exitNotAllowed, want)
		d.run("format", "--user-pin-file", "@new.pin").want(t, exitNotAllowed, want)
		d.run("format", "--yes", "--pin-file", "@admin.pin", "--user-pin-file", "@new.pin", "--admin-pin-file", "@new.pin").want(t, exitOK, "formatted")
	}
	d := chosen(t, "")
	d.run("format", "--yes", "--pin-file", "@admin.pin").want(t, exitOK, "the PINs are the default ones")
}

// TestPINSettings: a default PIN is remarked on and the last try asked for unless
// the settings say otherwise.
func TestPINSettings(t *testing.T) {
	const remark = "You are using the default PIN"
	d := chosen(t, "")
	d.run("pin", "verify", "--pin-file", "@user.pin").want(t, exitOK, remark)
	d = chosen(t, "[pin]\nwarn_default = false")
	if r := d.run("pin", "verify", "--pin-file", "@user.pin"); r.code != exitOK || strings.Contains(r.err, remark) {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
	oneLeft := func(d *desk) {
		for range 9 {
			d.run("pin", "verify", "--pin-file", "@wrong.pin").want(t, exitPIN, "wrong user PIN")
		}
		d.nobody = true
	}
	d = chosen(t, "")
	oneLeft(d)
	d.run("pin", "verify", "--pin-file", "@user.pin").want(t, exitPIN, "only one try is left")
	d = chosen(t, "[pin]\nask_last_try = false")
	oneLeft(d)
	d.run("pin", "verify", "--pin-file", "@user.pin").want(t, exitOK, "PIN is right")
}

// Package desktop_test reads the files that show the control panel to desktops.
package desktop_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// keyLine is an assignment of a desktop entry (Desktop Entry Specification 1.4 §3).
var keyLine = regexp.MustCompile(`^([A-Za-z0-9-]+)(?:\[([a-z]{2})\])?=(.*)$`)

func TestDesktopEntry(t *testing.T) {
	text, err := os.ReadFile("kaztoken.desktop")
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]string) // by key, with the language behind a colon
	groups := 0
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		switch m := keyLine.FindStringSubmatch(line); {
		case line == "", line[0] == '#':
		case line == "[Desktop Entry]":
			groups++
		case m == nil:
			t.Errorf("line %d: %q", i+1, line)
		default:
			key := m[1]
			if m[2] != "" {
				key += ":" + m[2]
			}
			if _, twice := values[key]; twice {
				t.Errorf("line %d: %s again", i+1, key)
			}
			values[key] = m[3]
		}
	}
	if groups != 1 {
		t.Errorf("%d groups, want one", groups)
	}
	for key, want := range map[string]string{
		"Type": "Application", "Exec": "kaztoken panel --idle-exit 30m", "TryExec": "kaztoken", "Icon": "kaztoken", "Terminal": "false",
		// What people know from the guide.
		"Name": "KAZTOKEN control panel", "Name:kk": "KAZTOKEN басқару панелі", "Name:ru": "Панель управления KAZTOKEN",
	} {
		if values[key] != want {
			t.Errorf("%s is %q, want %q", key, values[key], want)
		}
	}
	for _, key := range []string{"Name", "GenericName", "Comment", "Keywords"} {
		for _, lang := range []string{"", ":kk", ":ru"} {
			if values[key+lang] == "" {
				t.Errorf("%s%s is missing", key, lang)
			}
		}
	}
	// Desktop Menu Specification 1.1 §A: Security is an additional category of
	// Settings.
	if got := strings.Split(values["Categories"], ";"); !slices.Equal(got, []string{"Settings", "Security", ""}) {
		t.Errorf("categories %q", got)
	}
	if path, err := exec.LookPath("desktop-file-validate"); err == nil {
		if out, err := exec.Command(path, "kaztoken.desktop").CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("desktop-file-validate: %v: %s", err, out)
		}
	}
}

// TestIcon: the icon is one picture that needs nothing from elsewhere, and the same
// as the panel's.
func TestIcon(t *testing.T) {
	text, err := os.ReadFile("kaztoken.svg")
	if err != nil {
		t.Fatal(err)
	}
	panels, err := os.ReadFile(filepath.FromSlash("../../internal/panel/assets/icon.svg"))
	if err != nil || !bytes.Equal(text, panels) {
		t.Errorf("the panel has another icon: %v", err)
	}
	d := xml.NewDecoder(bytes.NewReader(text))
	root := ""
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if root == "" {
			root = e.Name.Local
			if size := attribute(e, "viewBox"); size != "0 0 64 64" {
				t.Errorf("viewBox %q: the picture is not square", size)
			}
		}
		if slices.Contains([]string{"script", "image", "foreignObject", "style", "text"}, e.Name.Local) || attribute(e, "href") != "" {
			t.Errorf("the picture has a %s", e.Name.Local)
		}
	}
	if root != "svg" {
		t.Errorf("the root is %q", root)
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// TestMacApp: the property list names the launcher, which finds the program or says
// that it is missing.
func TestMacApp(t *testing.T) {
	text, err := os.ReadFile("macos/Info.plist")
	if err != nil {
		t.Fatal(err)
	}
	pairs := regexp.MustCompile(`<key>(\w+)</key>\s*<(?:string>([^<]*)</string|(true))`).FindAllStringSubmatch(string(text), -1)
	values := make(map[string]string)
	for _, p := range pairs {
		values[p[1]] = p[2] + p[3]
	}
	if err := xml.Unmarshal(text, new(struct{ XMLName xml.Name })); err != nil {
		t.Error(err)
	}
	for key, want := range map[string]string{
		"CFBundlePackageType": "APPL", "CFBundleExecutable": "kaztoken-panel", "CFBundleVersion": "@VERSION@",
		"CFBundleShortVersionString": "@VERSION@", "LSUIElement": "true",
	} {
		if values[key] != want {
			t.Errorf("%s is %q, want %q", key, values[key], want)
		}
	}
	launcher := filepath.Join("macos", values["CFBundleExecutable"])
	if info, err := os.Stat(launcher); err != nil || info.Mode()&0o111 == 0 {
		t.Fatalf("the launcher cannot be run: %v", err)
	}
	// Where the program is not installed, a person is told.
	if _, err := os.Stat("/usr/local/bin/kaztoken"); err == nil {
		return // it would start the panel
	}
	dir := t.TempDir()
	said := filepath.Join(dir, "said")
	if err := os.WriteFile(filepath.Join(dir, "osascript"), []byte("#!/bin/sh\necho \"$2\" >"+said+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := exec.Command("/bin/sh", launcher)
	c.Env = []string{"PATH=" + dir + ":/bin:/usr/bin"}
	out, err := c.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || len(out) > 0 {
		t.Errorf("the launcher ends with %v, %q", err, out)
	}
	if got, err := os.ReadFile(said); err != nil || !strings.Contains(string(got), "орнатылмаған") {
		t.Errorf("it says %q, %v", got, err)
	}
}

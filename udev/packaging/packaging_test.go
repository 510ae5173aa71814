// Package packaging_test holds the scripts and descriptions that packages are
// made of to what the packages promise.
package packaging_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// read gives a file of this folder, or of the root of the project with "../../".
func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestOneVersion: every description names the version of the Makefile.
func TestOneVersion(t *testing.T) {
	makefile := regexp.MustCompile(`(?m)^RELEASE +:= (\S+)$`).FindStringSubmatch(read(t, "../../Makefile"))
	if makefile == nil {
		t.Fatal("the Makefile sets no RELEASE")
	}
	for file, pattern := range map[string]string{
		"alpine/APKBUILD":      `(?m)^pkgver=(\S+)$`,
		"arch/PKGBUILD":        `(?m)^pkgver=(\S+)$`,
		"openwrt/Makefile":     `(?m)^PKG_VERSION:=(\S+)$`,
		"homebrew/kaztoken.rb": `kaztoken-([0-9.]+)\.tar\.gz`,
	} {
		if m := regexp.MustCompile(pattern).FindStringSubmatch(read(t, file)); m == nil || m[1] != makefile[1] {
			t.Errorf("%s: version %q, want %q", file, m, makefile[1])
		}
	}
}

// TestShellSyntax: what a shell runs is at least a script to it.
func TestShellSyntax(t *testing.T) {
	files, err := filepath.Glob("scripts/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, "alpine/APKBUILD", "alpine/kaztoken.pre-install") {
		if out, err := exec.Command("sh", "-n", f).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
	for _, f := range []string{"dist", "previous", "source", "arch/PKGBUILD"} {
		if out, err := exec.Command("bash", "-n", f).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", f, err, out)
		}
	}
}

// run runs a script where the named programs are all there is besides a few
// harmless ones, and gives the commands it ran, in order. Those programs succeed,
// but those in failing do not.
func run(t *testing.T, script string, args, programs, failing []string) []string {
	t.Helper()
	bin, record := t.TempDir(), filepath.Join(t.TempDir(), "record")
	for _, p := range programs {
		code := "exit 0"
		if slices.Contains(failing, p) {
			code = "exit 2"
		}
		stub := "#!/bin/sh\necho \"$(basename \"$0\") $*\" >>" + record + "\n" + code + "\n"
		if err := os.WriteFile(filepath.Join(bin, p), []byte(stub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []string{"sh", "basename"} {
		real, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(real, filepath.Join(bin, p)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/bin/sh", append([]string{script}, args...)...)
	cmd.Env = []string{"PATH=" + bin}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", script, args, err, out)
	}
	b, err := os.ReadFile(record)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(string(bytes.TrimSpace(b)), "\n")
}

// TestScripts: what installing, upgrading and removing do to services, for each
// way in which deb and rpm say what is happening.
func TestScripts(t *testing.T) {
	systemd := []string{"systemctl", "systemd-sysusers", "systemd-tmpfiles", "getent", "userdel", "groupdel"}
	alpine := []string{"id", "addgroup", "adduser", "deluser", "delgroup", "rc-service", "rc-update"}
	for _, test := range []struct {
		name     string
		script   string
		args     []string
		programs []string
		want     []string // commands that have to be run
		never    string   // a beginning of commands that must not be
	}{
		{"deb, first", "kaztoken.postinstall", []string{"configure", ""}, systemd,
			[]string{"systemd-sysusers kaztoken.conf", "systemctl enable kaztoken.socket"}, "systemctl disable"},
		{"rpm, first", "kaztoken.postinstall", []string{"1"}, systemd,
			[]string{"systemd-sysusers kaztoken.conf", "systemctl enable kaztoken.socket"}, "systemctl disable"},
		{"deb, first, beside pcscd", "kaztoken.postinstall", []string{"configure", ""}, append([]string{"pcscd"}, systemd...),
			[]string{"systemd-sysusers kaztoken.conf"}, "systemctl enable"},
		{"deb, upgrade", "kaztoken.postinstall", []string{"configure", "0.0.9"}, systemd,
			[]string{"systemd-sysusers kaztoken.conf"}, "systemctl enable"},
		{"rpm, upgrade", "kaztoken.postinstall", []string{"2"}, systemd,
			[]string{"systemd-sysusers kaztoken.conf"}, "systemctl enable"},
		{"deb, going back", "kaztoken.postinstall", []string{"abort-upgrade", "0.0.9"}, systemd, nil, "systemctl enable"},
		{"no systemd", "kaztoken.postinstall", []string{"configure", ""}, []string{"getent", "useradd", "groupadd"},
			[]string{"getent group kaztoken"}, "systemctl"},
		{"deb, removal", "kaztoken.preremove", []string{"remove"}, systemd,
			[]string{"systemctl disable kaztoken.socket kaztoken.service"}, ""},
		{"rpm, removal", "kaztoken.preremove", []string{"0"}, systemd,
			[]string{"systemctl disable kaztoken.socket kaztoken.service"}, ""},
		{"deb, upgrade, before", "kaztoken.preremove", []string{"upgrade", "0.2.0"}, systemd, nil, "systemctl"},
		{"rpm, upgrade, before", "kaztoken.preremove", []string{"1"}, systemd, nil, "systemctl"},
		{"deb, removed", "kaztoken.postremove", []string{"remove"}, systemd, []string{"userdel kaztoken", "groupdel kaztoken"}, ""},
		{"rpm, removed", "kaztoken.postremove", []string{"0"}, systemd, []string{"userdel kaztoken", "groupdel kaztoken"}, ""},
		{"deb, replaced", "kaztoken.postremove", []string{"upgrade", "0.2.0"}, systemd, nil, "userdel"},
		{"rpm, replaced", "kaztoken.postremove", []string{"1"}, systemd, nil, "userdel"},
		{"pcscd takes over", "kaztoken-pcscd.postinstall", []string{"configure", ""}, systemd,
			[]string{"systemctl disable kaztoken.socket"}, ""},
		{"pcscd, upgrade", "kaztoken-pcscd.postinstall", []string{"configure", "0.0.9"}, systemd, nil, "systemctl disable"},
		{"pcscd, rpm, upgrade", "kaztoken-pcscd.postinstall", []string{"2"}, systemd, nil, "systemctl disable"},
		{"pcscd, going back", "kaztoken-pcscd.postinstall", []string{"abort-upgrade", "0.0.9"}, systemd, nil, "systemctl"},
		{"deb, before an upgrade", "deb.preinstall", []string{"upgrade", "0.0.9"}, systemd, nil, "systemctl"},
		{"apk, user there already", "kaztoken.apk-postinstall", nil, alpine, []string{"id -g kaztoken", "id -u kaztoken"}, "a"},
		{"apk, removal", "kaztoken.apk-preremove", nil, alpine,
			[]string{"rc-service --ifstarted kaztoken stop", "rc-update delete kaztoken"}, ""},
		{"apk, removal, no OpenRC", "kaztoken.apk-preremove", nil, []string{"id"}, nil, "rc-"},
		{"apk, removed", "kaztoken.apk-postremove", nil, alpine, []string{"deluser kaztoken", "delgroup kaztoken"}, ""},
		{"pcscd, replaced", "kaztoken-pcscd.postremove", []string{"upgrade", "0.2.0"}, systemd, nil, "systemctl"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := run(t, "scripts/"+test.script, test.args, test.programs, nil)
			for _, w := range test.want {
				if !slices.ContainsFunc(got, func(g string) bool { return strings.HasPrefix(strings.ReplaceAll(g, " --now", ""), w) }) {
					t.Errorf("did not run %q, but %q", w, got)
				}
			}
			for _, g := range got {
				if test.never != "" && strings.HasPrefix(g, test.never) {
					t.Errorf("ran %q", g)
				}
			}
		})
	}
}

// TestScriptsGoOn: a service manager that refuses does not leave a package half
// installed.
func TestScriptsGoOn(t *testing.T) {
	programs := []string{"systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm", "getent", "userdel", "groupdel",
		"id", "addgroup", "adduser", "deluser", "delgroup", "rc-service", "rc-update"}
	failing := []string{"systemctl", "systemd-tmpfiles", "udevadm", "userdel", "groupdel", "id", "deluser", "delgroup", "rc-service", "rc-update"}
	for script, arg := range map[string]string{"kaztoken.postinstall": "configure", "kaztoken.preremove": "remove", "kaztoken.postremove": "remove",
		"kaztoken-pcscd.postinstall": "configure", "kaztoken-pcscd.postremove": "remove",
		"kaztoken.apk-postinstall": "0.1.0", "kaztoken.apk-preremove": "0.1.0", "kaztoken.apk-postremove": "0.1.0"} {
		got := run(t, "scripts/"+script, []string{arg}, programs, failing)
		if script == "kaztoken.apk-postinstall" { // there is no such user: id says so
			want := []string{"addgroup -S kaztoken", "adduser -S -D -H -h / -s /sbin/nologin -G kaztoken -g KAZTOKEN smart-card service kaztoken"}
			for _, w := range want {
				if !slices.Contains(got, w) {
					t.Errorf("did not run %q, but %q", w, got)
				}
			}
		}
	}
}

//go:build soak && linux

package packaging_test

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var previous = flag.String("previous", "", "commit whose packages are upgraded, if not the one that ./previous takes")

// build is what `make dist` made.
type build string

// makeBuild has a command of the project pack it for this machine alone, and gives
// what the command says.
func makeBuild(t *testing.T, command ...string) (build, string) {
	t.Helper()
	out := t.TempDir()
	for i := range command {
		command[i] = strings.ReplaceAll(command[i], "OUT", out)
	}
	said := output(t, "../..", []string{"ARCHS=amd64", "FORMATS=deb rpm apk"}, command[0], command[1:]...)
	return build(filepath.Join(out, "dist")), said
}

// files are the packages of these names in a format.
func (b build) files(t *testing.T, format string, names ...string) []string {
	t.Helper()
	var all []string
	for _, name := range names {
		pattern := map[string]string{"deb": name + "_*.deb", "rpm": name + "-[0-9]*.rpm", "apk": name + "_*.apk"}[format]
		found, err := filepath.Glob(filepath.Join(string(b), pattern))
		if err != nil || len(found) != 1 {
			t.Fatalf("%s of %s: %q, %v", format, name, found, err)
		}
		all = append(all, found[0])
	}
	return all
}

// managers are the programs that install packages.
var managers = []struct {
	format  string
	prepare string   // what a system that it manages has
	install string   // installs and upgrades what is in /tmp/packages
	remove  []string // remove the packages %[1]s; each is enough
	version string   // prints the version of kaztoken
}{
	{"deb", "true", "dpkg --install /tmp/packages/*.deb", []string{"dpkg --remove %[1]s", "dpkg --purge %[1]s", "dpkg --remove %[1]s && dpkg --purge %[1]s"},
		"dpkg-query --show --showformat '${Version}' kaztoken"},
	// These folders are of the package filesystem there, and rpm takes none away that is of no package.
	{"rpm", "cd /usr/share && mkdir -p applications fish/vendor_completions.d icons zsh/site-functions",
		"rpm --force-debian --nodeps --upgrade /tmp/packages/*.rpm", []string{"rpm --force-debian --nodeps --erase %[1]s"},
		"rpm --query --queryformat '%{VERSION}' kaztoken"},
}

// TestUpgrade installs the packages of an earlier commit in a Debian of its own,
// has an administrator and a user set things up, and upgrades to the packages of this
// one: no setting and no unit may change by that, and what is there must be
// what a first installation gives. Removal must leave the settings and nothing
// else. The packages of all formats must hold the same.
func TestUpgrade(t *testing.T) {
	command := []string{"udev/packaging/previous", "OUT"}
	if *previous != "" {
		command = append(command, *previous)
	}
	before, commit := makeBuild(t, command...)
	now, _ := makeBuild(t, "make", "-s", "dist", "BUILD=OUT")
	t.Logf("upgraded from %s", commit)

	settings := map[string]string{ // besides the state of units
		"etc/kaztoken/config.toml":                              "[service]\nreaders = \"kaztoken\"\n",
		"etc/systemd/system/kaztoken.service.d/here.conf":       "[Service]\nEnvironment=KAZTOKEN_LANG=kk\n",
		"home/user/.config/kaztoken/config.toml":                "lang = \"kk\"\n",
		"home/user/.local/state/kaztoken/virtual.state":         "a token in software\n",
		"home/user/.config/autostart/kaztoken-of-the-user.file": "not ours\n",
	}
	for _, arrangement := range []struct {
		name     string
		prepare  string // what is done to the root
		packages []string
		socket   string // state of kaztoken.socket after the first installation
	}{
		{"without pcscd", "dpkg --purge pcscd libccid", []string{"kaztoken", "kaztoken-pkcs11"}, "enabled"},
		{"beside pcscd", "", []string{"kaztoken", "kaztoken-pkcs11"}, "disabled"},
		{"with pcscd", "", []string{"kaztoken", "kaztoken-pcscd", "kaztoken-pkcs11"}, "disabled"},
	} {
		t.Run(arrangement.name, func(t *testing.T) {
			r := newRoot(t)
			r.run(t, "mkdir -p /home/user; "+arrangement.prepare)
			packed := make(map[string]contents)
			for _, m := range managers {
				t.Run(m.format, func(t *testing.T) {
					r.run(t, m.prepare)
					bare := r.look(t)
					names := strings.Join(arrangement.packages, " ")
					install := func(b build, packages ...string) {
						t.Helper()
						r.give(t, "tmp/packages", b.files(t, m.format, packages...))
						r.run(t, m.install)
					}
					state := func() string {
						out, _ := r.try(t, "systemctl is-enabled kaztoken.socket") // its exit code says it, too
						return strings.TrimSpace(out)
					}
					version := func() string { return r.run(t, m.version) + ", " + r.run(t, "kaztoken version | head -1") }

					install(now, arrangement.packages...)
					if got := state(); got != arrangement.socket {
						t.Errorf("after a first installation kaztoken.socket is %s, want %s", got, arrangement.socket)
					}
					fresh, newest := r.look(t), version()
					packed[m.format] = added(bare, fresh)
					r.run(t, fmt.Sprintf(m.remove[0], names))
					if left := changes(bare, r.look(t)); len(left) > 0 {
						t.Errorf("an installation and a removal leave: %q", left)
					}

					// Who removes and installs again gets a first installation.
					install(now, arrangement.packages...)
					if c := changes(fresh, r.look(t)); len(c) > 0 {
						t.Errorf("installed again: %q", c)
					}
					if slices.Contains(arrangement.packages, "kaztoken-pcscd") {
						r.run(t, fmt.Sprintf(m.remove[0], "kaztoken-pcscd")+" && systemctl enable kaztoken.socket")
						install(now, "kaztoken-pcscd")
						if got := state(); got != arrangement.socket {
							t.Errorf("with kaztoken-pcscd installed again kaztoken.socket is %s, want %s", got, arrangement.socket)
						}
					}
					r.run(t, fmt.Sprintf(m.remove[0], names))

					for i, choice := range []string{
						"true", // as it was installed
						"systemctl enable kaztoken.socket",
						"systemctl disable kaztoken.socket",
						"systemctl enable kaztoken.service",
						"systemctl mask kaztoken.socket kaztoken.service",
					} {
						install(before, arrangement.packages...)
						oldest := version()
						for path, content := range settings {
							r.write(t, path, content)
						}
						r.run(t, choice)
						was, chosen := r.look(t), state()
						install(now, arrangement.packages...)
						is := r.look(t)
						if got := state(); got != chosen {
							t.Errorf("%s: kaztoken.socket is %s after the upgrade, and was %s", choice, got, chosen)
						}
						for _, c := range changes(was, is) {
							if strings.HasPrefix(c[1:], "etc/") || strings.HasPrefix(c[1:], "home/") {
								t.Errorf("%s: the upgrade changes %s", choice, c)
							}
						}
						for _, c := range changes(fresh, is) {
							if !strings.HasPrefix(c[1:], "etc/") && !strings.HasPrefix(c[1:], "home/") {
								t.Errorf("%s: an upgrade is no first installation: %s", choice, c)
							}
						}
						if got := version(); got != newest || got == oldest {
							t.Errorf("upgraded to %s from %s, want %s", got, oldest, newest)
						}

						r.run(t, fmt.Sprintf(m.remove[i%len(m.remove)], names))
						left := r.look(t)
						for path := range settings {
							if left[path] == "" || left[path] != was[path] {
								t.Errorf("%s: the removal touches %s: %q, was %q", choice, path, left[path], was[path])
							}
						}
						r.run(t, "systemctl unmask kaztoken.socket kaztoken.service; rm -rf /etc/kaztoken /etc/systemd/system/kaztoken.service.d /home/user/.??*")
						if left := changes(bare, r.look(t)); len(left) > 0 {
							t.Errorf("%s: more than the settings is left: %q", choice, left)
						}
					}
				})
			}
			packed["rpm"].compare(t, packed["deb"], []string{"usr/share/lintian/"})
			if len(arrangement.packages) == 2 { // there is an .apk of one alone
				readAPK(t, now.files(t, "apk", "kaztoken")[0]).compare(t, packed["deb"], []string{"usr/share/lintian/", "usr/lib/systemd/", "usr/lib/sysusers.d/",
					"usr/lib/tmpfiles.d/", "usr/lib/x86_64-linux-gnu/pkcs11/", "usr/share/p11-kit/", "usr/share/doc/kaztoken-pkcs11/"}, "etc/init.d/kaztoken")
			}
		})
	}
}

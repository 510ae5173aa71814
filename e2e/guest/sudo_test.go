//go:build e2e && linux

package guest

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kaztoken/ccid/ccidsim"
	"kaztoken/e2e/vm"
)

// setuidRoot gives sudo to root, whoever unpacked it on the host, as its
// installation would have done.
func setuidRoot(t *testing.T) {
	t.Helper()
	for _, path := range []string{"/etc/sudo.conf", "/etc/sudoers", "/etc/sudoers.d", "/usr/bin/sudo", "/usr/libexec/sudo"} {
		err := filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, 0, 0))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod("/usr/bin/sudo", fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
}

// TestSudo has an ordinary user become root by a token and its PIN, with the one
// line that docs/two-factor.md puts before Debian's own. The user has no password, so
// whenever the token does not do it nothing does.
func TestSudo(t *testing.T) {
	setuidRoot(t)
	ourStack.start(t)
	d := newPKCS11Desk(t, ccidsim.KAZTOKEN)
	d.token.plug(t)
	d.token.appear(t)
	await(t, "the service to have the token", func() (struct{}, bool) {
		out, err := exec.Command("pkcs11-tool", "--module", pkcs11Module, "-L").CombinedOutput()
		return struct{}{}, err == nil && strings.Contains(string(out), "token label")
	})
	d.give(t)

	const user, home = "asel", "/run/asel" // on a file system in memory
	d.run(t, nil, "useradd", "--create-home", "--home-dir", home, "--shell", "/bin/sh", user)
	const service = "/etc/pam.d/sudo"
	debian, err := os.ReadFile(service)
	if err != nil {
		t.Fatal(err)
	}
	const allowed, certificates = "/etc/sudoers.d/asel", home + "/.eid/authorized_certificates"
	t.Cleanup(func() {
		if out, err := exec.Command("userdel", "--remove", user).CombinedOutput(); err != nil {
			t.Errorf("userdel: %v\n%s", err, out)
		}
		if err := errors.Join(os.WriteFile(service, debian, 0o644), os.Remove(allowed)); err != nil {
			t.Error(err)
		}
	})
	err = errors.Join(
		os.WriteFile(service, append([]byte("auth sufficient pam_p11.so "+vm.GuestShare+"/libkaztoken-pkcs11.so\n"), debian...), 0o644),
		os.WriteFile(allowed, []byte(user+" ALL=(ALL) ALL\n"), 0o440),
		os.Mkdir(filepath.Dir(certificates), 0o755))
	if err != nil {
		t.Fatal(err)
	}
	sudo := func(name, certificate, pin string, want bool) {
		t.Run(name, func(t *testing.T) {
			pem, err := os.ReadFile(certificate)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(certificates, pem, 0o644); err != nil {
				t.Fatal(err)
			}
			// runuser would open a session by PAM; this is the user and nothing else. -k: do not
			// remember that it was let in.
			cmd := exec.CommandContext(t.Context(), "setpriv", "--reuid="+user, "--regid="+user, "--init-groups", "--reset-env",
				"sudo", "-k", "-S", "id", "-u")
			cmd.Dir, cmd.Stdin = home, strings.NewReader(pin+"\n")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal to ask at
			var said strings.Builder
			cmd.Stderr = &said
			out, err := cmd.Output()
			if in := err == nil && string(out) == "0\n"; in != want {
				t.Errorf("became root: %v, want %v: %v: %q\n%s", in, want, err, out, said.String())
			}
			if strings.Contains(said.String(), pin) {
				t.Error("the PIN is printed")
			}
			t.Logf("sudo says %q", said.String())
		})
	}
	sudo("token and PIN", "identity.pem", "12345678", true)
	sudo("wrong PIN", "identity.pem", "00000000", false)
	sudo("somebody else's certificate", "another.pem", "12345678", false)
	d.token.unplug(t)
	d.token.vanish(t)
	sudo("no token", "identity.pem", "12345678", false)
}

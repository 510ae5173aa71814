//go:build e2e && linux

package pkcs11

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

// TestPAM authenticates a user by pam_p11 with the lines that sudo gets, once by a
// key and once by a certificate. It sees a folder for PAM's services and a home of
// its own: nothing of this machine's is changed.
func TestPAM(t *testing.T) {
	d := newDesk(t)
	d.identity(t, "two", "02")
	root, err := user.LookupId("0") // whom the name space makes of whoever runs this
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"pam.d", "home/.ssh", "home/.eid"} {
		if err := os.MkdirAll(d.path(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	d.write(t, "pam.d/sudo", "auth sufficient pam_p11.so "+built.module+"\nauth required pam_deny.so\naccount required pam_permit.so\n")
	d.write(t, "as-root", "mount --bind "+d.path("pam.d")+" /etc/pam.d && mount --bind "+d.path("home")+" "+root.HomeDir+
		" && exec pamtester sudo root authenticate\n")
	key := d.run(t, nil, "ssh-keygen", "-i", "-m", "PKCS8", "-f", "two.pub")
	pem, err := os.ReadFile(d.path("two.pem"))
	if err != nil {
		t.Fatal(err)
	}
	d.run(t, nil, "ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", d.path("other"))
	other, err := os.ReadFile(d.path("other.pub"))
	if err != nil {
		t.Fatal(err)
	}
	const keys, certificates = "home/.ssh/authorized_keys", "home/.eid/authorized_certificates"
	for _, c := range []struct {
		name, file, allowed, pin string
		in                       bool
	}{
		{"key", keys, key, userPIN, true},
		{"certificate", certificates, string(pem), userPIN, true},
		{"wrong PIN", keys, key, "00000000", false},
		{"PIN after a wrong one", keys, key, userPIN, true},
		{"key of somebody else", keys, string(other), userPIN, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer os.Remove(d.write(t, filepath.FromSlash(c.file), c.allowed))
			cmd := exec.CommandContext(t.Context(), "unshare", "--map-root-user", "--mount", "sh", d.path("as-root"))
			cmd.Env, cmd.Stdin = d.env, strings.NewReader(c.pin+"\n")
			out, err := cmd.CombinedOutput()
			if in := err == nil && strings.Contains(string(out), "successfully authenticated"); in != c.in {
				t.Errorf("let in: %v, want %v: %v\n%s", in, c.in, err, out)
			}
			if strings.Contains(string(out), c.pin) {
				t.Errorf("the PIN is printed:\n%s", out)
			}
		})
	}
}

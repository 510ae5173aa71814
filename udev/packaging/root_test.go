//go:build soak && linux

package packaging_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// inRoot are Debian's packages in the root that packages are installed in: what they
// look for, and what installs them.
var inRoot = []string{"busybox", "libccid", "pcscd", "rpm", "systemd", "udev"}

// rootSuite is the release of Debian in it.
const rootSuite = "bookworm"

// root is a Debian in a folder. Nothing that a test runs in it reaches the system
// around it: it is the root folder of the command, whose processes, mounts, network and
// host name are its own.
type root string

// bareRoot is the folder of a Debian as debootstrap makes it, which nobody changes. It
// is made once, in the user's cache.
func bareRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("a root for packages has files of several users: run this as root")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	cache = filepath.Join(cache, "kaztoken", "packaging")
	made := filepath.Join(cache, fmt.Sprintf("%s-%x", rootSuite, sha256.Sum256([]byte(strings.Join(inRoot, " "))))[:len(rootSuite)+13])
	if _, err := os.Stat(made); err != nil {
		if err := os.MkdirAll(cache, 0o755); err != nil {
			t.Fatal(err)
		}
		making, err := os.MkdirTemp(cache, "making")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(making)
		t.Logf("making a Debian %s in %s, once", rootSuite, made)
		if err := os.Chmod(making, 0o755); err != nil {
			t.Fatal(err)
		}
		output(t, ".", nil, "unshare", "--mount", "debootstrap", "--variant=minbase", "--include="+strings.Join(inRoot, ","), rootSuite, making)
		output(t, ".", nil, "chroot", making, "sh", "-c", "apt-get clean && rm -rf /var/lib/apt/lists/*")
		if err := os.Rename(making, made); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

// newRoot is a copy of that.
func newRoot(t *testing.T) root {
	t.Helper()
	r := root(filepath.Join(t.TempDir(), "root"))
	output(t, ".", nil, "cp", "--archive", "--reflink=auto", bareRoot(t), string(r))
	return r
}

// try runs a script of sh in the root and gives what it prints.
func (r root) try(t *testing.T, script string) (string, error) {
	t.Helper()
	const enter = `set -e
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/run"
exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive sh -euc "$2"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc",
		"sh", "-c", enter, "sh", string(r), script)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try for a script that has to succeed.
func (r root) run(t *testing.T, script string) string {
	t.Helper()
	out, err := r.try(t, script)
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// write puts a file there.
func (r root) write(t *testing.T, path, content string) {
	t.Helper()
	path = filepath.Join(string(r), path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// give copies files into a folder of the root that is empty otherwise.
func (r root) give(t *testing.T, folder string, files []string) {
	t.Helper()
	folder = filepath.Join(string(r), folder)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	output(t, ".", nil, "cp", append([]string{"--target-directory=" + folder}, files...)...)
}

// bookkeeping are the folders that package managers write into, and where nothing
// lasts.
var bookkeeping = []string{"dev", "proc", "root/.rpmdb", "run", "sys", "tmp", "var/cache", "var/lib/dpkg", "var/lib/rpm", "var/log"}

// backups are written by whatever changes the user data base.
var backups = []string{"etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/.pwd.lock"}

// look gives what is in the root: for each path its type, mode and owner, and what is
// in it.
func (r root) look(t *testing.T) map[string]string {
	t.Helper()
	seen := map[string]string{}
	err := filepath.WalkDir(string(r), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(string(r), path)
		if slices.Contains(bookkeeping, name) {
			return filepath.SkipDir
		}
		if slices.Contains(backups, name) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		what := fmt.Sprintf("%v %d:%d", info.Mode(), owner.Uid, owner.Gid)
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what += fmt.Sprintf(" %x", sha256.Sum256(b))
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + to
		}
		seen[name] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// changes lists, sorted, what is different in two looks: "+path" for what has come,
// "-path" for what has gone and "*path" for what is not as it was.
func changes(before, after map[string]string) []string {
	var list []string
	for path, what := range after {
		switch was, ok := before[path]; {
		case !ok:
			list = append(list, "+"+path)
		case was != what:
			list = append(list, "*"+path)
		}
	}
	for path := range before {
		if _, ok := after[path]; !ok {
			list = append(list, "-"+path)
		}
	}
	slices.Sort(list)
	return list
}

// output runs a program of this machine in a folder, which has to succeed, and gives
// what it prints.
func output(t *testing.T, folder string, environment []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), environment...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return strings.TrimSpace(string(out))
}

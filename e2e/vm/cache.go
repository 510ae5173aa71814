//go:build linux

package vm

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// ErrUnsupported: this system cannot have the machine, whatever is installed.
// Everything else that goes wrong is a fault to be mended.
var ErrUnsupported = errors.New("the end-to-end machine needs Debian on amd64")

//go:embed guest-packages.txt
var guestPackages string

// Parts says where the pieces of a machine lie on the host.
type Parts struct {
	Kernel   string // the compressed kernel image
	Version  string // of the kernel, as uname -r gives it
	Modules  string // directory below which its modules lie
	Packages string // a file tree laid over the host's inside the machine
}

// Prepare finds the parts of a machine in the cache directory, and gets through
// apt what is not there yet: the current Debian kernel, and the stock clients
// the guest runs. Nothing is installed, and root is not needed.
//
// A system that is not Debian on amd64 gives ErrUnsupported. With no network
// the newest kernel in the cache is used.
func Prepare(ctx context.Context) (*Parts, error) {
	if id, err := osID(); err != nil || id != "debian" || runtime.GOARCH != "amd64" {
		return nil, fmt.Errorf("%w, this is %q on %s", ErrUnsupported, id, runtime.GOARCH)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	base = filepath.Join(base, "kaztoken", "e2e")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return nil, err
	}
	a := apt{lists: filepath.Join(base, "apt-lists")}
	p, err := prepare(ctx, a, base)
	if err != nil && !a.private {
		// The system's package lists are missing or old, and are not ours to
		// renew: use a copy of our own.
		a.private = true
		if err := os.MkdirAll(filepath.Join(a.lists, "partial"), 0o755); err != nil {
			return nil, err
		}
		if _, err := a.run(ctx, "", "apt-get", "-q", "update"); err != nil {
			return nil, err
		}
		p, err = prepare(ctx, a, base)
	}
	return p, err
}

func prepare(ctx context.Context, a apt, base string) (*Parts, error) {
	p, err := prepareKernel(ctx, a, base, wantedModules)
	if err != nil {
		return nil, fmt.Errorf("kernel: %w", err)
	}
	if p.Packages, err = preparePackages(ctx, a, base); err != nil {
		return nil, fmt.Errorf("guest packages: %w", err)
	}
	return p, nil
}

// prepareKernel unpacks the kernel that Debian's linux-image-amd64, or that of
// another architecture, stands for.
func prepareKernel(ctx context.Context, a apt, base string, wanted []string) (*Parts, error) {
	standing := "linux-image-amd64"
	if a.arch != "" {
		standing = "linux-image-" + a.arch
	}
	out, err := a.run(ctx, "", "apt-cache", "--no-all-versions", "show", standing)
	if err != nil {
		return nil, err
	}
	var pkg string
	for line := range strings.Lines(string(out)) {
		if depends, ok := strings.CutPrefix(line, "Depends: "); ok {
			pkg = strings.Fields(depends)[0]
		}
	}
	version, ok := strings.CutPrefix(pkg, "linux-image-")
	if !ok {
		return nil, fmt.Errorf("%s depends on %q, not on a kernel", standing, pkg)
	}
	// A kernel that was unpacked with other modules is another one.
	sum := sha256.Sum256([]byte(strings.Join(wanted, " ")))
	dir := filepath.Join(base, fmt.Sprintf("%s-%.4x", version, sum))
	p := &Parts{Kernel: filepath.Join(dir, "vmlinuz"), Version: version, Modules: filepath.Join(dir, "modules")}
	err = fill(dir, func(tmp string) error {
		if _, err := a.run(ctx, tmp, "apt-get", "-q", "download", pkg); err != nil {
			return err
		}
		if err := unpackAll(ctx, tmp, filepath.Join(tmp, "tree")); err != nil {
			return err
		}
		tree := filepath.Join(tmp, "tree", "usr", "lib", "modules", version)
		kernel := filepath.Join(tmp, "tree", "boot", "vmlinuz-"+version)
		err := errors.Join(os.Rename(kernel, filepath.Join(tmp, "vmlinuz")), os.Mkdir(filepath.Join(tmp, "modules"), 0o755))
		if err != nil {
			return err
		}
		modules, err := loadOrder(tree, wanted)
		if err != nil {
			return err
		}
		for _, m := range modules {
			if err := os.WriteFile(filepath.Join(tmp, "modules", m.name+".ko"), m.elf, 0o644); err != nil {
				return err
			}
		}
		return os.RemoveAll(filepath.Join(tmp, "tree"))
	})
	return p, err
}

// preparePackages unpacks the packages of guest-packages.txt, with all that
// they depend on and the host lacks, into one tree. The tree's name says what
// is in it: a host on which more or less is installed gets another one.
func preparePackages(ctx context.Context, a apt, base string) (string, error) {
	var names []string
	for line := range strings.Lines(guestPackages) {
		line, _, _ = strings.Cut(line, "#")
		names = append(names, strings.Fields(line)...)
	}
	install := append([]string{"-q", "-y", "--no-install-recommends", "install"}, names...)
	uris, err := a.run(ctx, "", "apt-get", append([]string{"--print-uris"}, install...)...)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for line := range strings.Lines(string(uris)) {
		if strings.HasPrefix(line, "'") { // 'URI' file size checksum
			io.WriteString(sum, strings.Fields(line)[1]+"\n")
		}
	}
	dir := filepath.Join(base, fmt.Sprintf("guest-%.6x", sum.Sum(nil)))
	return dir, fill(dir, func(tmp string) error {
		debs := filepath.Join(tmp, "debs")
		if err := os.MkdirAll(filepath.Join(debs, "partial"), 0o755); err != nil {
			return err
		}
		download := append([]string{"--download-only", "-o", "Dir::Cache::archives=" + debs}, install...)
		if _, err := a.run(ctx, "", "apt-get", download...); err != nil {
			return err
		}
		if err := unpackAll(ctx, debs, tmp); err != nil {
			return err
		}
		return os.RemoveAll(debs)
	})
}

// fill makes dir by calling make with a directory beside it and renaming that
// once it is complete, so that an interrupted or a parallel run leaves nothing
// half done. A dir that exists is complete.
func fill(dir string, make func(tmp string) error) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	if err := make(tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// unpackAll unpacks every .deb file in dir and removes it.
func unpackAll(ctx context.Context, dir, tree string) error {
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, deb := range debs {
		if err := unpack(ctx, deb, tree); err != nil {
			return fmt.Errorf("%s: %w", filepath.Base(deb), err)
		}
		if err := os.Remove(deb); err != nil {
			return err
		}
	}
	return nil
}

// unpack writes the files of one package below tree. Debian merged /bin, /sbin
// and /lib into /usr by links that packages still write through; in a tree that
// is laid over another a directory of that name would hide the link.
func unpack(ctx context.Context, deb, tree string) error {
	own, err := os.MkdirTemp(filepath.Dir(deb), ".deb-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(own)
	if out, err := exec.CommandContext(ctx, "dpkg-deb", "-x", deb, own).CombinedOutput(); err != nil {
		return fmt.Errorf("dpkg-deb: %w: %s", err, out)
	}
	return filepath.WalkDir(own, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(own, path)
		if err != nil {
			return err
		}
		switch first, _, _ := strings.Cut(name, string(filepath.Separator)); first {
		case "bin", "sbin", "lib", "lib64":
			name = filepath.Join("usr", name)
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(tree, name), 0o755)
		}
		return os.Rename(path, filepath.Join(tree, name))
	})
}

// apt runs apt's programs without touching the system's own state.
type apt struct {
	lists   string // where private package lists lie
	private bool   // use them in place of the system's
	arch    string // other than the system's, in Debian's name
}

func (a apt) run(ctx context.Context, dir, program string, args ...string) ([]byte, error) {
	options := []string{"-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=", "-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache="}
	if a.private {
		options = append(options, "-o", "Dir::State::lists="+a.lists)
	}
	if a.arch != "" {
		options = append(options, "-o", "APT::Architecture="+a.arch, "-o", "APT::Architectures="+a.arch, "-o", "Dir::State::status=/dev/null")
	}
	cmd := exec.CommandContext(ctx, program, append(options, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// osID reads ID out of /etc/os-release.
func osID() (string, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "", err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if id, ok := strings.CutPrefix(s.Text(), "ID="); ok {
			return strings.Trim(id, `"`), nil
		}
	}
	return "", s.Err()
}

//go:build linux

package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Newer gets libraries of a later release of Debian, by its name or that of a
// suite, through apt and from the mirror that the system has for its own: the
// packages and the C library that they were built for. They are unpacked into the
// cache, once, and nothing is installed.
//
// It returns the directory of the libraries. Programs of the system run with them
// by `DIR/ld-linux-x86-64.so.2 --library-path DIR PROGRAM`.
func Newer(ctx context.Context, suite string, packages ...string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache directory: %w", err)
	}
	dir := filepath.Join(base, "kaztoken", "e2e", "newer-"+suite+"-"+strings.Join(packages, "-"))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	err = fill(dir, func(tmp string) error { return newer(ctx, tmp, suite, append(packages, "libc6")) })
	if err != nil {
		return "", fmt.Errorf("packages of %s: %w", suite, err)
	}
	return filepath.Join(dir, "usr", "lib", "x86_64-linux-gnu"), nil
}

func newer(ctx context.Context, tmp, suite string, packages []string) error {
	mirror, err := mirror(ctx)
	if err != nil {
		return err
	}
	a := apt{lists: filepath.Join(tmp, "lists"), private: true}
	sources := filepath.Join(tmp, "sources.list")
	line := fmt.Sprintf("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s %s main\n", mirror, suite)
	err = errors.Join(os.MkdirAll(filepath.Join(a.lists, "partial"), 0o755), os.WriteFile(sources, []byte(line), 0o644))
	if err != nil {
		return err
	}
	options := []string{
		"-q", "-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=-",
		"-o", "Acquire::Languages=none", "-o", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
	}
	if _, err := a.run(ctx, "", "apt-get", append(options, "update")...); err != nil {
		return err
	}
	options = append(options, "download")
	for _, name := range packages {
		options = append(options, name+"/"+suite)
	}
	if _, err := a.run(ctx, tmp, "apt-get", options...); err != nil {
		return err
	}
	return errors.Join(unpackAll(ctx, tmp, tmp), os.RemoveAll(a.lists), os.Remove(sources))
}

// mirror is where the system gets Debian from.
func mirror(ctx context.Context) (string, error) {
	cmd := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)", "Created-By: Packages")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	return mirrorIn(string(out))
}

// mirrorIn finds Debian's own archive among lines of origin, label and address.
// That of the security updates has another label.
func mirrorIn(targets string) (string, error) {
	for line := range strings.Lines(targets) {
		if uri, ok := strings.CutPrefix(strings.TrimSpace(line), "Debian\tDebian\t"); ok {
			return uri, nil
		}
	}
	return "", errors.New("apt knows no mirror of Debian")
}

//go:build linux

package vm

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// embeddedModules are the modules of a machine whose only USB devices are
// software readers.
var embeddedModules = []string{"usbip_core", "vhci_hcd"}

// PrepareEmbedded gets Debian's kernel of another architecture, in Debian's name
// for it ("arm64"), into the same cache. Parts.Packages stays empty: a machine of
// that kind has what its initramfs has. The errors are those of Prepare.
func PrepareEmbedded(ctx context.Context, arch string) (*Parts, error) {
	if id, err := osID(); err != nil || id != "debian" {
		return nil, fmt.Errorf("%w, this is %q", ErrUnsupported, id)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	base = filepath.Join(base, "kaztoken", "e2e")
	// The system's package lists are of its own architecture.
	a := apt{lists: filepath.Join(base, "apt-lists-"+arch), private: true, arch: arch}
	if err := os.MkdirAll(filepath.Join(a.lists, "partial"), 0o755); err != nil {
		return nil, err
	}
	p, err := prepareKernel(ctx, a, base, embeddedModules)
	if err == nil {
		return p, nil
	}
	if _, err := a.run(ctx, "", "apt-get", "-q", "update"); err != nil {
		return nil, err
	}
	if p, err = prepareKernel(ctx, a, base, embeddedModules); err != nil {
		return nil, fmt.Errorf("kernel of %s: %w", arch, err)
	}
	return p, nil
}

// EmbeddedRoot makes a root file system of the given programs alone, by their
// paths, and the kernel modules: /modules/NAME.ko, in the order that the file
// /modules/order gives. The program /init is the first process.
func EmbeddedRoot(p *Parts, programs map[string][]byte) ([]byte, error) {
	modules, err := loadOrder(p.Modules, embeddedModules)
	if err != nil {
		return nil, err
	}
	var archive, order bytes.Buffer
	c := cpioWriter{w: &archive}
	made := map[string]bool{".": true}
	var directory func(path string)
	directory = func(path string) {
		if made[path] {
			return
		}
		directory(filepath.Dir(path))
		c.directory(path)
		made[path] = true
	}
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "modules"} {
		directory(dir)
	}
	c.character("dev/console", 5, 1)
	for _, path := range slices.Sorted(maps.Keys(programs)) {
		name := strings.TrimPrefix(path, "/")
		directory(filepath.Dir(name))
		c.file(name, 0o755, programs[path])
	}
	for _, m := range modules {
		c.file("modules/"+m.name+".ko", 0o644, m.elf)
		order.WriteString(m.name + "\n")
	}
	c.file("modules/order", 0o644, order.Bytes())
	return archive.Bytes(), c.Close()
}

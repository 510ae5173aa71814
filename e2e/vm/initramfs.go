//go:build linux

package vm

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// initramfs makes the machine's first root file system: busybox, the kernel
// modules with the order to load them in, and init.sh.
func initramfs(p *Parts) ([]byte, error) {
	busybox, err := busybox(p)
	if err != nil {
		return nil, err
	}
	modules, err := loadOrder(p.Modules, wantedModules)
	if err != nil {
		return nil, err
	}
	var archive, order bytes.Buffer
	c := cpioWriter{w: &archive}
	for _, dir := range []string{"bin", "dev", "proc", "sys", "modules", "host", "packages", "top", "root"} {
		c.directory(dir)
	}
	c.character("dev/console", 5, 1)
	c.file("bin/busybox", 0o755, busybox)
	c.file("init", 0o755, initScript)
	for _, m := range modules {
		c.file("modules/"+m.name+".ko", 0o644, m.elf)
		order.WriteString(m.name + "\n")
	}
	c.file("modules/order", 0o644, order.Bytes())
	return archive.Bytes(), c.Close()
}

// busybox reads the static busybox: from the guest's packages, unless the host
// has it, which then are without.
func busybox(p *Parts) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(p.Packages, "usr", "bin", "busybox"))
	if errors.Is(err, fs.ErrNotExist) {
		return os.ReadFile("/usr/bin/busybox")
	}
	return data, err
}

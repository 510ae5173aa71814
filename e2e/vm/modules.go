//go:build linux

package vm

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// wantedModules are the kernel modules the machine needs beyond what the kernel
// has built in. Those on which they depend are found by loadOrder.
var wantedModules = []string{
	"virtio_pci", "virtio_console", // the host's ends of standard output and the monitor
	"9p", "9pnet_virtio", "overlay", // the root file system
	"xhci_hcd", "xhci_pci", // for QEMU's own reader
	"usbip_core", "vhci_hcd", // for the software readers
	"usbserial", // a driver of the kernel that takes a reader away
}

// module is one kernel module, ready to be loaded.
type module struct {
	name string // with underscores
	elf  []byte
}

// loadOrder finds the named modules and all that they depend on below dir, each
// after its dependencies. A name with no file is taken to be built in: whether
// it really is shows when its work is first needed.
//
// depmod would say the same, but it runs when a kernel is installed and ours is
// only unpacked.
func loadOrder(dir string, names []string) ([]module, error) {
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if base, _, ok := strings.Cut(filepath.Base(path), ".ko"); ok && err == nil && !d.IsDir() {
			files[canonical(base)] = path
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("kernel modules: %w", err)
	}

	var order []module
	seen := make(map[string]bool)
	var visit func(name string) error
	visit = func(name string) error {
		path, ok := files[name]
		if !ok || seen[name] {
			return nil
		}
		seen[name] = true
		data, err := readModule(path)
		if err != nil {
			return fmt.Errorf("kernel module %s: %w", name, err)
		}
		depends, err := dependencies(data)
		if err != nil {
			return fmt.Errorf("kernel module %s: %w", name, err)
		}
		for _, d := range depends {
			if err := visit(canonical(d)); err != nil {
				return err
			}
		}
		order = append(order, module{name, data})
		return nil
	}
	for _, name := range names {
		if err := visit(canonical(name)); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// canonical spells a module's name as the kernel does once it is loaded.
func canonical(name string) string { return strings.ReplaceAll(name, "-", "_") }

// readModule reads a module file, taking off the compression newer Debian
// kernels come with.
func readModule(path string) ([]byte, error) {
	if strings.HasSuffix(path, ".xz") {
		return exec.Command("xz", "-dc", path).Output()
	}
	return os.ReadFile(path)
}

// dependencies reads the "depends=" entry of a module's .modinfo section.
func dependencies(module []byte) ([]string, error) {
	f, err := elf.NewFile(bytes.NewReader(module))
	if err != nil {
		return nil, err
	}
	section := f.Section(".modinfo")
	if section == nil {
		return nil, fmt.Errorf("no .modinfo section")
	}
	info, err := section.Data()
	if err != nil {
		return nil, err
	}
	for entry := range bytes.SplitSeq(info, []byte{0}) {
		if list, ok := bytes.CutPrefix(entry, []byte("depends=")); ok && len(list) > 0 {
			return strings.Split(string(list), ","), nil
		}
	}
	return nil, nil
}

// Command static exits with an error unless each named ELF file is statically
// linked: no interpreter and no needed library.
package main

import (
	"debug/elf"
	"fmt"
	"os"
)

func main() {
	for _, name := range os.Args[1:] {
		if err := check(name); err != nil {
			fmt.Fprintf(os.Stderr, "static: %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}

func check(name string) error {
	f, err := elf.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("asks for a dynamic linker")
		}
	}
	libs, err := f.ImportedLibraries()
	if err == nil && len(libs) > 0 {
		return fmt.Errorf("needs %v", libs)
	}
	return nil
}

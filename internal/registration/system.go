package registration

import (
	"os"
	"path/filepath"
	"runtime"
)

// Here is the system of the user who runs this program. The error says that
// there is no home folder.
func Here(getenv func(string) string) (System, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return System{}, err
	}
	s := System{Home: home, Config: getenv("XDG_CONFIG_HOME"), Library: LibraryName + ".so"}
	if os.Geteuid() == 0 {
		s.Kit = "/etc/pkcs11/modules"
	}
	if runtime.GOOS == "darwin" {
		s.Library = LibraryName + ".dylib"
	}
	// Beside the program first: it belongs to it wherever both were put. Then the
	// folders of distributions: Debian's, Fedora's, Arch's.
	if program, err := os.Executable(); err == nil {
		prefix := filepath.Dir(filepath.Dir(program))
		s.ModuleDirs = append(s.ModuleDirs, filepath.Dir(program), filepath.Join(prefix, "lib", "*", "pkcs11"),
			filepath.Join(prefix, "lib64", "pkcs11"), filepath.Join(prefix, "lib", "pkcs11"))
	}
	s.ModuleDirs = append(s.ModuleDirs, "/usr/lib/*/pkcs11", "/usr/lib64/pkcs11", "/usr/lib/pkcs11",
		"/usr/local/lib/*/pkcs11", "/usr/local/lib/pkcs11", "/opt/homebrew/lib/pkcs11")
	return s, nil
}

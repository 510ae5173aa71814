package panel

// Licence is a part of the program that others wrote.
type Licence struct {
	Module  string // path
	Name    string // SPDX identifier
	Holders string
}

// Licences lists what the program is made of beside its own code: the modules of
// go.mod, Go itself, and the C library that some builds are linked to.
func Licences() []Licence {
	return []Licence{
		{"Go", "BSD-3-Clause", "The Go Authors"},
		{"github.com/ebfe/scard", "BSD-2-Clause", "Michael Gehring"},
		{"github.com/google/gousb", "Apache-2.0", "Google Inc., the gousb Authors"},
		{"github.com/inconshreveable/mousetrap", "Apache-2.0", "Alan Shreve"},
		{"github.com/pelletier/go-toml/v2", "MIT", "Thomas Pelletier, Eric Anderton"},
		{"github.com/sirupsen/logrus", "MIT", "Simon Eskildsen"},
		{"github.com/spf13/cobra", "Apache-2.0", "The Cobra Authors"},
		{"github.com/spf13/pflag", "BSD-3-Clause", "Alex Ogier, The Go Authors"},
		{"golang.org/x/sys", "BSD-3-Clause", "The Go Authors"},
		{"golang.org/x/term", "BSD-3-Clause", "The Go Authors"},
		{"libusb", "LGPL-2.1-or-later", "The libusb project"},
	}
}

// Package kaztoken_test holds the import rules of docs/architecture.md: which
// room may know which other room, each with the reason why.
package kaztoken_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "kaztoken"

// A room is one package, or with a trailing /... a package and all below it.
// may lists what its non-test files import besides the standard library; an
// entry that ends in /... allows everything below it too.
type room struct {
	path string
	may  []string
	why  string
}

var rooms = []room{
	{"internal/iso7816", nil,
		"the card's language is shared by every room and must not depend on any of them"},
	{"internal/secret", []string{"golang.org/x/sys/..."},
		"wiping and locking memory needs the system and nothing else"},
	{"internal/rsapad", nil,
		"a padding is arithmetic over blocks; whoever owns the key does the rest"},
	{"internal/certfile", nil,
		"a person's file is parsed in one small place, by code that can be read whole"},
	{"internal/kzpki", nil,
		"what a certificate says is read from it alone, and put into words elsewhere"},
	{"internal/words", nil,
		"the catalogue serves commands and panel alike and knows neither"},
	{"internal/settings", []string{"internal/pinpolicy", "github.com/pelletier/go-toml/v2/..."},
		"the user's choices are a file that commands and panel share"},
	{"internal/pinpolicy", nil,
		"whether a PIN is weak is seen from its bytes alone"},
	{"internal/registration", nil,
		"files of other programs are changed in one small place, by code that can be read whole"},
	{"usb", nil,
		"what a device and a pipe are must be usable by every transport and by the doubles"},
	{"usb/libusb", []string{"usb", "github.com/google/gousb", "golang.org/x/sys/..."},
		"the one cgo transport: a leaf, so that everything else builds without C"},
	{"usb/usbfs", []string{"usb", "internal/nap", "golang.org/x/sys/..."},
		"a transport knows pipes, not readers"},
	{"usb/usbip", []string{"usb"},
		"it exports any software device, not only readers"},
	{"udev", []string{"usb", "golang.org/x/sys/..."},
		"finding devices does not need to know how to talk to them"},
	{"udev/...", []string{"udev"},
		"generators of files that packages install"},
	{"ccid", []string{"usb", "ccid/t1", "ccid/t0", "internal/iso7816"},
		"the driver knows a pipe below it and nothing above it"},
	{"ccid/t1", []string{"internal/iso7816"},
		"a protocol is a state machine without input or output"},
	{"ccid/t0", []string{"internal/iso7816"},
		"a protocol is a state machine without input or output"},
	{"ccid/ccidsim", []string{"usb", "ccid/t1", "internal/iso7816"},
		"the double follows the documents; it must not share the driver's code and with it the driver's mistakes"},
	{"bridge", []string{"bridge/wire", "bridge/sharing", "internal/iso7816", "internal/nap", "golang.org/x/sys/..."},
		"the service knows slots, not what is behind them: a reader, a card in software, anything"},
	{"bridge/wire", nil,
		"client and service speak the same messages, and neither is needed to read them"},
	{"bridge/client", []string{"bridge/wire", "firmware", "internal/nap", "internal/secret", "internal/turns", "golang.org/x/sys/..."},
		"it knows the messages and the interface that firmware asks of a card, and nothing of the service"},
	{"bridge/sharing", []string{"bridge/wire", "internal/iso7816"},
		"the rules of sharing are a state machine: sockets, goroutines and clocks are its caller's"},
	{"bridge/pcsc", []string{"bridge/client", "bridge/wire", "firmware", "internal/secret", "internal/turns", "github.com/ebfe/scard"},
		"another way to a service, for callers who do not care which: it shares the client's types"},
	{"bridge/pcscsim", []string{"bridge/wire"},
		"the double that clients are tested against must not be the service that they are written for"},
	{"bridge/bridgetest", []string{"bridge", "bridge/wire", "internal/iso7816"},
		"the doubles of the service's tests, for others who test against the service"},
	{"bridge/descriptors", []string{"bridge", "bridge/wire", "internal/iso7816", "usb"},
		"what a reader tells of itself is put into the service's terms once, for the service and for the IFD handler"},
	{"bridge/ifd", []string{"bridge", "bridge/descriptors", "bridge/wire", "ccid", "internal/iso7816", "usb"},
		"the IFD handler drives readers itself: the service, its rules and its supervisor are the host's, pcscd's"},
	{"bridge/pkcs11", []string{"firmware", "firmware/pkcs15", "internal/iso7816", "internal/rsapad", "internal/secret"},
		"the standard's behaviour must not depend on the road to the token, nor on C"},
	{"firmware/pkcs15", []string{"internal/iso7816"},
		"a codec knows the bytes of a file, not the card that holds it"},
	{"firmware", []string{"firmware/pkcs15", "internal/iso7816", "internal/rsapad", "internal/secret"},
		"managing a token must not depend on the road that leads to it"},
	{"firmware/emu", []string{"internal/iso7816", "internal/secret"},
		"the software card follows the documents, not our management layer"},
	{"internal/turns", nil,
		"who waits for a turn is the same question whatever the turn is for"},
	{"internal/systemd", []string{"golang.org/x/sys/..."},
		"what a service manager says to any service has nothing to do with tokens"},
	{"internal/nap", []string{"golang.org/x/sys/..."},
		"waiting for a descriptor has nothing to do with what is behind it"},
	{"internal/trace/pcapng", nil,
		"a file format is read and written without knowing what is in it"},
	{"internal/trace", []string{"usb", "ccid", "ccid/t1", "internal/iso7816", "internal/trace/pcapng"},
		"a recording is understood with what the driver says in, and made around a pipe, not inside the driver"},
	{"internal/trace/replay", []string{"internal/trace", "usb", "ccid", "ccid/ccidsim", "internal/iso7816"},
		"what was recorded is done again by the driver, on a reader in software"},
	{"internal/doctor", []string{"udev", "usb"},
		"what is wrong is found out from what the machine shows, before anything is opened"},
	{"internal/vpcd", []string{"internal/iso7816"},
		"it carries any card to a reader of others, and knows neither"},
	{"internal/host", []string{"bridge", "bridge/client", "bridge/descriptors", "bridge/pcsc", "bridge/wire", "udev", "usb", "usb/libusb", "usb/usbfs", "ccid", "ccid/ccidsim", "firmware", "firmware/emu",
		"internal/iso7816", "internal/words", "github.com/sirupsen/logrus", "golang.org/x/sys/..."},
		"the supervisor joins the rooms, so nothing below may import it"},
	{"internal/describe", []string{"firmware", "internal/kzpki", "internal/pinpolicy", "internal/words"},
		"what is on a token is put into words once, for commands and panel alike"},
	{"internal/panel/paneltest", []string{"firmware", "firmware/emu", "internal/panel"},
		"the double of a machine with tokens, for tests of the panel"},
	{"internal/panel", []string{"firmware", "internal/certfile", "internal/describe", "internal/kzpki", "internal/pinpolicy", "internal/secret", "internal/settings", "internal/words"},
		"the panel knows tokens through package firmware, and not the roads that lead to them"},
	{"cmd/...", []string{"kaztoken/...", "github.com/sirupsen/logrus", "github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sys/...", "golang.org/x/term"},
		"a program is a thin shell over everything"},
	{"e2e/panel", []string{"kaztoken/...", "github.com/chromedp/..."},
		"the control panel is driven by a real browser, and nothing else of ours knows one"},
	{"e2e/...", []string{"kaztoken/...", "golang.org/x/sys/..."},
		"end-to-end tests drive the whole product"},
}

// bans hold whatever the rows above say, for test files too where tests is set.
var bans = []struct {
	what   string
	except []string
	tests  bool
	why    string
}{
	{"github.com/google/gousb", []string{"usb/libusb"}, true,
		"gousb is cgo and panics; one leaf package contains it"},
	{"github.com/ebfe/scard", []string{"bridge/pcsc"}, true,
		"scard is cgo; one leaf package contains it"},
	{"github.com/sirupsen/logrus", []string{"internal/host", "cmd/..."}, false,
		"libraries return errors or call a hook; only programs log"},
	{"C", []string{"usb/libusb", "bridge/pcsc", "cmd/libifdkaztoken", "cmd/libkaztoken-pkcs11"}, true,
		"cgo stays in leaves, so that CGO_ENABLED=0 builds everything else"},
}

// pure are the packages with no input, output or clock.
var (
	pure       = []string{"internal/iso7816", "internal/rsapad", "ccid/t1", "ccid/t0", "bridge/wire", "bridge/sharing", "firmware/pkcs15"}
	impure     = []string{"net", "net/...", "os", "os/...", "time", "syscall"}
	pureReason = "a protocol package has no input, output or clock: its caller owns them"
)

func matches(pattern, path string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return path == base || strings.HasPrefix(path, base+"/")
	}
	return pattern == path
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

// rowOf finds the most specific row: an exact path before a /... pattern.
func rowOf(pkg string) (room, bool) {
	for _, exact := range []bool{true, false} {
		for _, r := range rooms {
			if exact == (r.path == pkg) && matches(r.path, pkg) {
				return r, true
			}
		}
	}
	return room{}, false
}

// standard reports whether path is of the standard library: its first element
// has no dot, and it is not of this module.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return path != "C" && first != module && !strings.Contains(first, ".")
}

type importLine struct {
	pkg, file, path string
	test            bool
}

// imports reads the import clauses of every Go file whatever its build
// constraints, so that a rule holds on all systems at once.
func imports(t *testing.T) []importLine {
	t.Helper()
	var all []importLine
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || base == "testdata" || base == "build" || name == "internal/tools") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			all = append(all, importLine{
				pkg:  filepath.ToSlash(filepath.Dir(name)),
				file: filepath.ToSlash(name),
				path: path,
				test: strings.HasSuffix(base, "_test.go"),
			})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no import found: the test runs in the wrong folder")
	}
	return all
}

func TestImportRules(t *testing.T) {
	for _, im := range imports(t) {
		if im.pkg == "." {
			continue
		}
		row, ok := rowOf(im.pkg)
		if !ok {
			t.Errorf("%s: package %s has no row in the table of rooms", im.file, im.pkg)
			continue
		}
		local := strings.TrimPrefix(im.path, module+"/")
		if !im.test && !standard(im.path) && im.path != "C" && local != im.pkg &&
			!matchesAny(row.may, local) && !matchesAny(row.may, im.path) {
			t.Errorf("%s imports %s: %s", im.file, im.path, row.why)
		}
		for _, ban := range bans {
			if im.path == ban.what && (ban.tests || !im.test) && !matchesAny(ban.except, im.pkg) {
				t.Errorf("%s imports %s: %s", im.file, im.path, ban.why)
			}
		}
		if !im.test && slices.Contains(pure, im.pkg) && matchesAny(impure, im.path) {
			t.Errorf("%s imports %s: %s", im.file, im.path, pureReason)
		}
	}
}

// TestImportRulesCatch proves that the matching above can fail.
func TestImportRulesCatch(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"usb", "usb", true},
		{"usb", "usb/libusb", false},
		{"cmd/...", "cmd/kaztoken", true},
		{"cmd/...", "cmdline", false},
		{"net/...", "net/http", true},
	} {
		if got := matches(c.pattern, c.path); got != c.want {
			t.Errorf("matches(%q, %q) = %v, want %v", c.pattern, c.path, got, c.want)
		}
	}
	for path, want := range map[string]bool{"os": true, "encoding/hex": true, "kaztoken/usb": false, "golang.org/x/sys/unix": false, "C": false} {
		if got := standard(path); got != want {
			t.Errorf("standard(%q) = %v, want %v", path, got, want)
		}
	}
	if r, ok := rowOf("usb/libusb"); !ok || r.path != "usb/libusb" {
		t.Errorf("rowOf(usb/libusb) = %v, %v", r.path, ok)
	}
	if r, ok := rowOf("udev/genrules"); !ok || r.path != "udev/..." {
		t.Errorf("rowOf(udev/genrules) = %v, %v", r.path, ok)
	}
}

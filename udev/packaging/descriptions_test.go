//go:build soak && linux

package packaging_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// archive is what `make source` makes, and where it was unpacked: what the
// descriptions of other systems build from.
type archive struct {
	file, version string
	dir           string // the folder kaztoken-VERSION lies in it
}

func makeArchive(t *testing.T) archive {
	t.Helper()
	out := t.TempDir()
	output(t, "../..", nil, "make", "-s", "source", "BUILD="+out)
	found, err := filepath.Glob(filepath.Join(out, "dist", "kaztoken-*.tar.gz"))
	if err != nil || len(found) != 1 {
		t.Fatalf("source archives: %q, %v", found, err)
	}
	a := archive{file: found[0], dir: t.TempDir()}
	a.version = strings.TrimSuffix(strings.TrimPrefix(filepath.Base(a.file), "kaztoken-"), ".tar.gz")
	output(t, a.dir, nil, "tar", "-xzf", a.file)
	return a
}

// alone runs a program as output does, where there is no network.
func alone(t *testing.T, folder string, environment []string, name string, args ...string) string {
	t.Helper()
	return output(t, folder, append(environment, "GOPROXY=off", "GOFLAGS="), "unshare", append([]string{"--map-root-user", "--net", name}, args...)...)
}

// description reads a file of this folder, whose absolute path it gives.
func description(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// checkInstalled looks at what a description has installed in a folder: the files that
// must be there, and what they say of themselves. Each name that begins with "-" must
// not be there.
func checkInstalled(t *testing.T, folder, version string, names ...string) {
	t.Helper()
	for _, name := range names {
		name, absent := strings.CutPrefix(name, "-")
		info, err := os.Lstat(filepath.Join(folder, name))
		if absent != os.IsNotExist(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && !info.IsDir() && info.Size() == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(folder, path)
		program := strings.Contains(name, "bin/") || strings.Contains(name, "init.d/")
		library := strings.HasSuffix(name, ".so") // either is the custom somewhere
		if want := map[bool]fs.FileMode{true: 0o755, false: 0o644}[program]; info.Mode().Perm() != want && !library {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		switch base := filepath.Base(name); {
		case base == "kaztoken.1":
			if !strings.Contains(string(b), `"kaztoken `+version+`"`) {
				t.Errorf("%s is not of version %s", name, version)
			}
		case strings.HasSuffix(name, "bin/kaztoken"):
			if said := output(t, ".", nil, path, "version"); !strings.Contains(said, version) {
				t.Errorf("%s is %q, want version %s", name, said, version)
			}
			fallthrough
		default:
			if strings.Contains(string(b), folder) {
				t.Errorf("%s names the folder it was packed in", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// program are files that every system but OpenWrt has below PREFIX.
var program = []string{
	"bin/kaztoken", "share/man/man1/kaztoken.1", "share/man/ru/man1/kaztoken-pin.1", "share/man/kk/man1/kaztoken-pin.1",
	"share/applications/kaztoken.desktop", "share/icons/hicolor/scalable/apps/kaztoken.svg", "share/bash-completion/completions/kaztoken",
	"share/zsh/site-functions/_kaztoken", "share/fish/vendor_completions.d/kaztoken.fish", "share/doc/kaztoken/README.md",
}

// below puts a folder before names.
func below(folder string, names []string, more ...string) []string {
	all := slices.Clone(more)
	for _, n := range names {
		all = append(all, folder+n)
	}
	return all
}

// TestPKGBUILD does what makepkg does with the description for Arch Linux.
func TestPKGBUILD(t *testing.T) {
	a, pkg := makeArchive(t), t.TempDir()
	alone(t, a.dir, []string{"PKGBUILD=" + description(t, "arch/PKGBUILD"), "PKG=" + pkg, "ARCHIVE=" + filepath.Base(a.file)}, "bash", "-euc", `
		srcdir=$PWD startdir=$PWD
		source "$PKGBUILD"
		[ "${source[0]}" = "$ARCHIVE" ]
		[ -n "$pkgdesc" ] && [ -n "$pkgrel" ] && [ "${#arch[@]}" -gt 0 ] && [ "${#license[@]}" -gt 0 ] && [ "${#sha256sums[@]}" -eq "${#source[@]}" ]
		(cd "$srcdir"; build)
		for one in "${pkgname[@]}"; do
			(pkgname=$one pkgdir=$PKG/$one; mkdir "$pkgdir"; cd "$srcdir"; "package_$one")
		done`)
	checkInstalled(t, filepath.Join(pkg, "kaztoken"), a.version, below("usr/", program, "usr/lib/systemd/system/kaztoken.service",
		"usr/lib/systemd/system/kaztoken.socket", "usr/lib/sysusers.d/kaztoken.conf", "usr/lib/tmpfiles.d/kaztoken.conf",
		"usr/lib/udev/rules.d/70-kaztoken.rules", "usr/share/licenses/kaztoken/LICENSE")...)
	checkInstalled(t, filepath.Join(pkg, "kaztoken-pcscd"), a.version, "usr/lib/pcsc/drivers/ifd-kaztoken.bundle/Contents/Info.plist",
		"usr/lib/udev/rules.d/93-kaztoken-pcscd.rules", "-usr/bin")
	checkInstalled(t, filepath.Join(pkg, "kaztoken-pkcs11"), a.version, "usr/lib/pkcs11/libkaztoken-pkcs11.so", "usr/share/p11-kit/modules/kaztoken.module", "-usr/bin")
}

// TestAPKBUILD does what abuild does with the description for Alpine Linux, by
// Alpine's shell. It has no systemd.
func TestAPKBUILD(t *testing.T) {
	a, pkg := makeArchive(t), filepath.Join(t.TempDir(), "kaztoken")
	environment := []string{"APKBUILD=" + description(t, "alpine/APKBUILD"), "PKG=" + pkg, "ARCHIVE=" + filepath.Base(a.file)}
	alone(t, a.dir, environment, filepath.Join(bareRoot(t), "usr/bin/busybox"), "sh", "-euc", `
		srcdir=$PWD startdir=$(dirname "$APKBUILD") pkgdir=$PKG
		. "$APKBUILD"
		builddir=$srcdir/$pkgname-$pkgver
		[ "$source" = "$ARCHIVE" ]
		[ -n "$pkgdesc" ] && [ -n "$license" ] && [ -n "$arch" ] && [ -n "$url" ]
		for script in $install; do [ -f "$startdir/$script" ]; done
		mkdir "$pkgdir"
		(cd "$builddir"; build)
		(cd "$builddir"; package)`)
	checkInstalled(t, pkg, a.version, below("usr/", program, "etc/init.d/kaztoken", "usr/lib/udev/rules.d/70-kaztoken.rules",
		"-usr/lib/systemd", "-usr/lib/sysusers.d", "-usr/lib/tmpfiles.d")...)
}

// TestOpenWrt has make follow the feed's Makefile, with the few macros of OpenWrt's that
// it uses, and builds the program as they would.
func TestOpenWrt(t *testing.T) {
	a, feed := makeArchive(t), t.TempDir()
	for path, text := range map[string]string{
		"rules.mk": "INCLUDE_DIR:=$(TOPDIR)/include\nPKG_BUILD_DIR=$(BUILD_DIR)/$(PKG_NAME)-$(PKG_VERSION)\n" +
			"GO_PKG_BUILD_BIN_DIR=$(BUILD_DIR)/bin\nINSTALL_DIR:=install -d -m0755\nINSTALL_BIN:=install -m0755\nINSTALL_DATA:=install -m0644\n",
		"include/package.mk": "define BuildPackage\n$(eval $(call Package/$(1)))\ninstall:\n\t$$(call Package/$(1)/install,$$(DESTDIR))\n" +
			"show:\n\t@echo '$$(SECTION)/$$(CATEGORY) $$(GO_PKG_BUILD_PKG) -tags $$(GO_PKG_TAGS) -gcflags $$(GO_PKG_GCFLAGS) -X $$(GO_PKG_LDFLAGS_X) $$(PKG_SOURCE) $$(USERID)'\nendef\n",
		"feeds/packages/lang/golang/golang-package.mk": "define GoBinPackage\nendef\n",
		"feeds/packages/utils/kaztoken/Makefile":       read(t, "openwrt/Makefile"),
	} {
		path = filepath.Join(feed, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	here, pkg := filepath.Join(feed, "feeds/packages/utils/kaztoken"), t.TempDir()
	follow := func(target string) string {
		return alone(t, here, nil, "make", "-s", "TOPDIR="+feed, "BUILD_DIR="+a.dir, "DESTDIR="+pkg, target)
	}
	said := regexp.MustCompile(`^utils/Utilities kaztoken/(cmd/kaztoken) -tags (minimal) -gcflags (all=-l) -X (main\.version=\S+) (\S+) kaztoken:kaztoken$`).FindStringSubmatch(follow("show"))
	if said == nil || said[5] != filepath.Base(a.file) {
		t.Fatalf("the Makefile says %q", said)
	}
	alone(t, filepath.Join(a.dir, "kaztoken-"+a.version), []string{"CGO_ENABLED=0"}, "go", "build", "-mod=vendor", "-buildvcs=false", "-tags", said[2], "-gcflags", said[3],
		"-ldflags", "-X "+said[4], "-o", filepath.Join(a.dir, "bin", "kaztoken"), "./"+said[1])
	follow("install")
	checkInstalled(t, pkg, a.version, "usr/bin/kaztoken", "etc/init.d/kaztoken", "etc/hotplug.d/usb/70-kaztoken")
}

// formula has the few words of Homebrew's that the formula uses, and makes what it
// describes. Like that of macOS, install knows no -D.
const formula = `
require "pathname"
class Formula
  class << self
    attr_reader :facts, :testing
    def desc(s) = fact(:desc, s)
    def url(s) = fact(:url, s)
    def license(s) = fact(:license, s)
    def depends_on(what) = fact(:depends_on, what)
    def test(&block) = @testing = block
    def fact(name, value) = ((@facts ||= {})[name] ||= []) << value
  end
  def version = ENV["VERSION"]
  def prefix = Pathname.new(ENV["TARGET"])
  def bin = prefix/"bin"
  def pkgshare = prefix/"share/kaztoken"
  def system(*args) = Kernel.system(*args) || raise("#{args} failed: #{$?}")
  def shell_output(command) = IO.popen(command, &:read).tap { raise "#{command}: #{$?}" unless $?.success? }
  def assert_match(want, got) = (raise "#{got.inspect} lacks #{want.inspect}" unless got.include?(want))
end
load ENV["FORMULA"]
raise "facts: #{Kaztoken.facts}" unless %i[desc url license depends_on].all? { |f| Kaztoken.facts[f] }
raise "url: #{Kaztoken.facts[:url]}" unless File.basename(Kaztoken.facts[:url].first) == ENV["ARCHIVE"]
one = Kaztoken.new
one.install
one.instance_eval(&Kaztoken.testing)
`

// TestFormula does what Homebrew does with the formula.
func TestFormula(t *testing.T) {
	a, work := makeArchive(t), t.TempDir()
	install := "#!/bin/sh\nfor a; do [ \"$a\" != -D ] || { echo 'install: illegal option -- D' >&2; exit 64; }; done\nexec /usr/bin/install \"$@\"\n"
	if err := os.MkdirAll(filepath.Join(work, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "bin", "install"), []byte(install), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(work, "Cellar")
	alone(t, filepath.Join(a.dir, "kaztoken-"+a.version), []string{"PATH=" + filepath.Join(work, "bin") + ":" + os.Getenv("PATH"),
		"FORMULA=" + description(t, "homebrew/kaztoken.rb"), "TARGET=" + target, "VERSION=" + a.version, "ARCHIVE=" + filepath.Base(a.file)}, "ruby", "-w", "-e", formula)
	checkInstalled(t, target, a.version, below("", program, "share/kaztoken/udev/70-kaztoken.rules", "-lib")...)
}

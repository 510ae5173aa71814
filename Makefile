# Every target is what a person could type; CI calls the same ones.
#   make run    build, then list, describe and talk to the token (the virtual one if none is plugged in)
#   make test   everything that must hold: lint, unit tests, static builds, end-to-end machine
#   make help   the rest

GO       ?= go
BUILD    := build
PREFIX   ?= /usr/local
UDEVDIR  ?= /usr/lib/udev/rules.d
SYSTEMD  ?= /usr/lib
ZSHDIR   ?= $(PREFIX)/share/zsh/site-functions
RELEASE  := 0.1.0
FUZZTIME ?= 20s
SOAK     ?= 5
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS  := -X main.version=$(VERSION) -X main.commit=$(COMMIT)
# All that tests are built with: what check looks at.
TAGS     := e2e bench soak
TOOL     := $(GO) tool -modfile=internal/tools/go.mod
export GO LDFLAGS
# The version comes from LDFLAGS; stamping would fail where git is missing or distrusts the folder.
export GOFLAGS += -buildvcs=false

# Evaluated where it is used, after `deps` may have installed a compiler. libpcsclite is not
# asked for: on Linux the program speaks to a smart-card service by itself.
CGO = $$(command -v $${CC:-gcc} >/dev/null && pkg-config --exists libusb-1.0 2>/dev/null && echo 1 || echo 0)

.DEFAULT_GOAL := build
.PHONY: help build run test check unit nocgo cross e2e bench fuzz soak man dist source golden deps deps-e2e install install-program install-man install-systemd install-openrc install-procd install-macos ifd install-ifd pkcs11 install-pkcs11 uninstall-pkcs11 uninstall uninstall-ifd clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z0-9-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

build: ## build/kaztoken, with libusb if it is installed, else without cgo
	@mkdir -p $(BUILD)
	CGO_ENABLED=$(CGO) $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BUILD)/kaztoken ./cmd/kaztoken

run: ## build and show the token at work
	@.ci/deps .ci/packages || echo "run: going on without cgo: the usbfs driver is used"
	@$(MAKE) --no-print-directory build
	@.ci/show $(BUILD)/kaztoken

deps: ## install what a build needs (Debian, through apt)
	.ci/deps .ci/packages

deps-e2e: ## install what the end-to-end machine needs as well
	@.ci/deps .ci/packages e2e/packages.txt || [ $$? -eq 2 ] # no apt: the machine is skipped, and says so

test: deps-e2e check unit ## everything; under 15 minutes on two cores
	.ci/e2e $(BUILD) nocgo cross
	@cat $(BUILD)/e2e-skipped 2>/dev/null || echo "make test: all passed, end-to-end machine included"

check: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not gofmt-clean: $$files"; exit 1; }
	$(GO) vet -tags "$(TAGS)" ./...
	$(TOOL) staticcheck -tags "$(TAGS)" ./...

unit: ## unit tests with the race detector
	$(GO) test -race ./...

nocgo: ## the same without cgo
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test ./...

cross: ## static programs for every target, with their sizes
	@mkdir -p $(BUILD)
	.ci/cross $(BUILD)

e2e: deps-e2e ## the end-to-end machine: a real kernel under QEMU
	.ci/e2e $(BUILD)

bench: deps-e2e ## benchmarks in process, then in the machine beside the stock driver
	$(GO) test -run '^$$' -bench . -benchmem ./...
	$(GO) test -tags e2e -count=1 -timeout 40m -v -bench . ./e2e -args -e2e.bench
	$(GO) test -tags e2e -count=1 -timeout 20m -v ./e2e -args -e2e.bench -e2e.counted -e2e.run APDU
	$(GO) test -p 1 -tags "e2e bench" -count=1 -v -run '^TestMeasure' ./e2e/pkcs11 ./e2e/panel

soak: deps-e2e ## the end-to-end machine and the fault tests, SOAK times as long
	$(GO) test -race -count=$(SOAK) -timeout 0 ./ccid/... ./internal/host ./usb/...
	$(GO) test -race -timeout 30m ./firmware ./bridge -thorough
	$(GO) test -count=1 -run '^TestHostile$$' ./cmd/libkaztoken-pkcs11 -sanitize
	$(GO) test -tags e2e -count=1 -timeout 0 -v ./e2e -args -e2e.soak $(SOAK)
	$(GO) test -tags e2e -count=1 -timeout 20m -v ./e2e -args -e2e.packages
	$(GO) test -tags "e2e soak" -count=$(SOAK) -timeout 0 ./e2e/panel -args -panel.soak
	.ci/deps e2e/soak-packages.txt
	$(GO) test -tags "e2e soak" -count=1 -run '^TestWireshark' -v ./e2e
	$(GO) test -tags "e2e soak" -count=1 -run '^TestBrowser' -v ./e2e/pkcs11
	$(GO) test -tags soak -count=1 -run Completion -v ./cmd/kaztoken/internal/manual
	$(GO) test -tags soak -count=1 -timeout 30m -v ./udev/packaging # as root

# For this machine, whatever is built for. Without cgo, so that a compiler of another machine does no harm.
man: ## build/share: manual pages in English, Russian and Kazakh; completion for bash, zsh and fish
	rm -rf $(BUILD)/share
	GOOS= GOARCH= CGO_ENABLED=0 $(GO) run ./cmd/kaztoken/internal/manual -version "$(VERSION)" $(BUILD)/share

dist: ## build/dist: .deb, .rpm and .apk, the same bytes from the same commit
	@.ci/deps udev/packaging/packages.txt
	GO="$(GO)" RELEASE=$(RELEASE) udev/packaging/dist $(BUILD)/dist

source: ## build/dist: the archive that distributions build from, with its modules
	GO="$(GO)" RELEASE=$(RELEASE) udev/packaging/source $(BUILD)/dist

fuzz: ## every fuzz test for FUZZTIME each
	.ci/fuzz $(FUZZTIME)

golden: ## rewrite generated and golden files; review the difference
	$(GO) test ./udev ./udev/ifd ./cmd/kaztoken/internal/cli ./firmware -update

# Not the phony target: root, who installs, often has no Go in its path.
$(BUILD)/kaztoken:
	@$(MAKE) --no-print-directory build

install: install-program install-systemd ## DESTDIR= PREFIX= UDEVDIR= SYSTEMD=; the service is there, and not enabled

# $(call put,MODE,FROM,TO): install -D, which that of macOS does not have.
put = install -d $(dir $(3)) && install -m $(1) $(2) $(3)

# The program and all that does not depend on how services are started.
install-program: $(BUILD)/kaztoken install-man
	$(call put,0755,$(BUILD)/kaztoken,$(DESTDIR)$(PREFIX)/bin/kaztoken)
	$(call put,0644,udev/70-kaztoken.rules,$(DESTDIR)$(UDEVDIR)/70-kaztoken.rules)
	$(call put,0644,LICENSE,$(DESTDIR)$(PREFIX)/share/doc/kaztoken/LICENSE)
	$(call put,0644,README.md,$(DESTDIR)$(PREFIX)/share/doc/kaztoken/README.md)
	$(call put,0644,udev/desktop/kaztoken.desktop,$(DESTDIR)$(PREFIX)/share/applications/kaztoken.desktop)
	$(call put,0644,udev/desktop/kaztoken.svg,$(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps/kaztoken.svg)

install-macos: $(BUILD)/kaztoken ## the program, and the panel among the applications
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/Applications/KAZTOKEN.app/Contents/MacOS
	install -m 0755 $(BUILD)/kaztoken $(DESTDIR)$(PREFIX)/bin/kaztoken
	sed 's|@VERSION@|$(VERSION)|' udev/desktop/macos/Info.plist >$(DESTDIR)/Applications/KAZTOKEN.app/Contents/Info.plist
	install -m 0755 udev/desktop/macos/kaztoken-panel $(DESTDIR)/Applications/KAZTOKEN.app/Contents/MacOS/kaztoken-panel

install-man: $(BUILD)/share/man/man1/kaztoken.1
	(cd $(BUILD)/share/man && find . -name '*.1') | while read -r page; do \
		install -d $(DESTDIR)$(PREFIX)/share/man/$${page%/*} && install -m 0644 $(BUILD)/share/man/$$page $(DESTDIR)$(PREFIX)/share/man/$$page || exit 1; done
	$(call put,0644,$(BUILD)/share/completions/kaztoken.bash,$(DESTDIR)$(PREFIX)/share/bash-completion/completions/kaztoken)
	$(call put,0644,$(BUILD)/share/completions/_kaztoken,$(DESTDIR)$(ZSHDIR)/_kaztoken)
	$(call put,0644,$(BUILD)/share/completions/kaztoken.fish,$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/kaztoken.fish)

$(BUILD)/share/man/man1/kaztoken.1: $(BUILD)/kaztoken
	@$(MAKE) --no-print-directory man

install-systemd:
	install -d $(DESTDIR)$(SYSTEMD)/systemd/system
	sed 's|/usr/bin/kaztoken|$(PREFIX)/bin/kaztoken|' udev/service/kaztoken.service >$(DESTDIR)$(SYSTEMD)/systemd/system/kaztoken.service
	install -m 0644 udev/service/kaztoken.socket $(DESTDIR)$(SYSTEMD)/systemd/system/kaztoken.socket
	install -D -m 0644 udev/service/kaztoken.sysusers $(DESTDIR)$(SYSTEMD)/sysusers.d/kaztoken.conf
	install -D -m 0644 udev/service/kaztoken.tmpfiles $(DESTDIR)$(SYSTEMD)/tmpfiles.d/kaztoken.conf

install-openrc: install-program ## the program and its script for OpenRC
	install -d $(DESTDIR)/etc/init.d
	sed 's|/usr/bin/kaztoken|$(PREFIX)/bin/kaztoken|' udev/service/kaztoken.openrc >$(DESTDIR)/etc/init.d/kaztoken
	chmod 0755 $(DESTDIR)/etc/init.d/kaztoken

install-procd: $(BUILD)/kaztoken ## the program and its scripts for OpenWrt
	install -D -m 0755 $(BUILD)/kaztoken $(DESTDIR)/usr/bin/kaztoken
	install -D -m 0755 udev/service/kaztoken.procd $(DESTDIR)/etc/init.d/kaztoken
	install -D -m 0644 udev/service/kaztoken.hotplug $(DESTDIR)/etc/hotplug.d/usb/70-kaztoken

ifd: ## build/ifd-kaztoken.bundle: the IFD handler for pcscd, on macOS for its own service
	.ci/ifd $(BUILD)

# pkg-config knows where the system's pcscd looks; DROPDIR= says otherwise.
DROPDIR ?= $(shell [ "$$(uname)" = Darwin ] && echo /usr/local/libexec/SmartCardServices/drivers || \
	pkg-config --variable=usbdropdir libpcsclite 2>/dev/null || echo /usr/lib/pcsc/drivers)

$(BUILD)/ifd-kaztoken.bundle/Contents/Info.plist:
	@$(MAKE) --no-print-directory ifd

install-ifd: $(BUILD)/ifd-kaztoken.bundle/Contents/Info.plist ## DESTDIR= DROPDIR= UDEVDIR=; restart pcscd afterwards
	install -d $(DESTDIR)$(DROPDIR)
	cp -R $(BUILD)/ifd-kaztoken.bundle $(DESTDIR)$(DROPDIR)/
	[ "$$(uname)" != Linux ] || install -D -m 0644 udev/ifd/93-kaztoken-pcscd.rules $(DESTDIR)$(UDEVDIR)/93-kaztoken-pcscd.rules

pkcs11: ## build/libkaztoken-pkcs11.so: the PKCS #11 module
	.ci/pkcs11 $(BUILD)

# Where p11-kit looks for modules that packages install, and for their libraries.
P11KITDIR ?= $(shell pkg-config --variable=p11_module_configs p11-kit-1 2>/dev/null || echo /usr/share/p11-kit/modules)
PKCS11DIR ?= $(PREFIX)/lib/pkcs11
PKCS11 := libkaztoken-pkcs11.$(shell [ "$$(uname)" = Darwin ] && echo dylib || echo so)

$(BUILD)/$(PKCS11):
	@$(MAKE) --no-print-directory pkcs11

install-pkcs11: $(BUILD)/$(PKCS11) ## DESTDIR= PKCS11DIR= P11KITDIR=; programs that use p11-kit find it there
	$(call put,0755,$(BUILD)/$(PKCS11),$(DESTDIR)$(PKCS11DIR)/$(PKCS11))
	install -d $(DESTDIR)$(P11KITDIR)
	sed 's|^module: .*|module: $(PKCS11DIR)/$(PKCS11)|' cmd/libkaztoken-pkcs11/kaztoken.module >$(DESTDIR)$(P11KITDIR)/kaztoken.module

uninstall-pkcs11:
	rm -f $(DESTDIR)$(PKCS11DIR)/$(PKCS11) $(DESTDIR)$(P11KITDIR)/kaztoken.module

uninstall-ifd:
	rm -rf $(DESTDIR)$(DROPDIR)/ifd-kaztoken.bundle
	rm -f $(DESTDIR)$(UDEVDIR)/93-kaztoken-pcscd.rules

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/bin/kaztoken $(DESTDIR)$(UDEVDIR)/70-kaztoken.rules
	rm -f $(DESTDIR)$(SYSTEMD)/systemd/system/kaztoken.service $(DESTDIR)$(SYSTEMD)/systemd/system/kaztoken.socket
	rm -f $(DESTDIR)$(SYSTEMD)/sysusers.d/kaztoken.conf $(DESTDIR)$(SYSTEMD)/tmpfiles.d/kaztoken.conf
	rm -f $(DESTDIR)$(PREFIX)/share/applications/kaztoken.desktop $(DESTDIR)$(PREFIX)/share/icons/hicolor/scalable/apps/kaztoken.svg
	rm -rf $(DESTDIR)/Applications/KAZTOKEN.app
	rm -rf $(DESTDIR)$(PREFIX)/share/doc/kaztoken
	for dir in man1 ru/man1 kk/man1; do rm -f $(DESTDIR)$(PREFIX)/share/man/$$dir/kaztoken.1 $(DESTDIR)$(PREFIX)/share/man/$$dir/kaztoken-*.1; done
	rm -f $(DESTDIR)$(PREFIX)/share/bash-completion/completions/kaztoken $(DESTDIR)$(ZSHDIR)/_kaztoken $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/kaztoken.fish

clean:
	rm -rf $(BUILD)

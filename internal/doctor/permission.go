package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"kaztoken/udev"
	"kaztoken/usb"
)

// rulesDirs are where udev looks for rules, the one that counts first: a file
// hides those of the same name behind it (udev(7)).
var rulesDirs = []string{"etc/udev/rules.d", "run/udev/rules.d", "usr/local/lib/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"}

const (
	commandRules   = "kaztoken udev-rules | sudo tee /etc/udev/rules.d/" + udev.RulesFile + " && " + commandTrigger
	commandTrigger = "sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=usb"
	commandGroup   = "sudo groupadd -rf " + udev.Group + " && sudo usermod -aG " + udev.Group + " $USER"
)

// permission looks whether this user may open the nodes of the tokens, and why
// not.
func (x *examination) permission() (*Finding, bool) {
	if x.Root == nil || x.Access == nil {
		return nil, true
	}
	for _, dev := range x.tokens {
		switch err := x.Access(node(dev)); {
		case errors.Is(err, fs.ErrNotExist):
			return about(dev, "node.missing", ClassOutOfReach, "node", node(dev)), false
		case errors.Is(err, fs.ErrPermission):
			return x.denied(dev), false
		}
	}
	return nil, false
}

// denied says which rule is missing.
func (x *examination) denied(dev usb.Info) *Finding {
	ours := x.ruleFile(udev.RulesFile)
	switch s := x.asked(); {
	case s.State == ServiceUp && s.Token:
		return nil // the service has it for this user
	case s.State == ServiceRefused && !s.Ours:
		return nil // pcscd has it, and the node would be of no use: what keeps this user out is its policy
	case !s.Ours && x.hasBundle() && x.givenToPCSCD():
		return nil // it is pcscd's, whatever keeps that from showing it
	}
	switch {
	case ours == nil:
		return about(dev, "rule.missing", ClassOutOfReach, "file", udev.RulesFile, "command", commandRules)
	case len(bytes.TrimSpace(ours.content)) == 0:
		return about(dev, "rule.masked", ClassOutOfReach, "file", "/"+ours.path, "command", fmt.Sprintf("sudo rm /%s && %s", ours.path, commandTrigger))
	}
	if other, line := x.inTheWay(dev); other != "" {
		off := "sudo rm /" + other
		if !strings.HasPrefix(other, "etc/") { // it belongs to a package
			off = "sudo ln -sf /dev/null /etc/udev/rules.d/" + path.Base(other)
		}
		return about(dev, "rule.other", ClassOutOfReach, "file", "/"+other, "line", line, "command", off+" && "+commandTrigger)
	}
	if !x.applied(dev) {
		return about(dev, "rule.notapplied", ClassOutOfReach, "command", commandTrigger)
	}
	return about(dev, "rule.group", ClassOutOfReach, "group", udev.Group, "command", commandGroup)
}

// givenToPCSCD reports whether the rules of pcscd's driver are in force.
func (x *examination) givenToPCSCD() bool {
	f := x.ruleFile(udev.PCSCDRulesFile)
	return f != nil && len(bytes.TrimSpace(f.content)) > 0
}

type ruleFile struct {
	path    string // without the first slash
	content []byte
}

// ruleFile finds the file of a name that counts, nil if there is none.
func (x *examination) ruleFile(name string) *ruleFile {
	for _, dir := range rulesDirs {
		p := path.Join(dir, name)
		if _, err := fs.Stat(x.Root, p); err != nil {
			continue
		}
		b, err := fs.ReadFile(x.Root, p) // /dev/null is an empty file
		if err != nil {
			b = []byte("# not readable by this user")
		}
		return &ruleFile{p, b}
	}
	return nil
}

// ruleFiles are the names of all rules, in the order in which udev takes them.
func (x *examination) ruleFiles() (names []string) {
	for _, dir := range rulesDirs {
		entries, err := fs.ReadDir(x.Root, dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".rules") && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return names
}

// What a rule can do to the access that ours gives.
var takesAccess = regexp.MustCompile(`\b(MODE|GROUP|OWNER)\s*:?=\s*"|TAG\s*-=\s*"uaccess"|TAG\s*=\s*"|OPTIONS\s*\+?=\s*"[^"]*last_rule`)

// inTheWay finds a rule of others that is for this device, by its ids, and takes
// away what ours gives: behind ours whatever it does, before ours if it has the
// last word (":=").
func (x *examination) inTheWay(dev usb.Info) (file string, line int) {
	vendor := regexp.MustCompile(fmt.Sprintf(`(?i)(idVendor|ID_VENDOR_ID)\}\s*==\s*"%04x"`, dev.Vendor))
	product := regexp.MustCompile(`(?i)(idProduct|ID_MODEL_ID)\}\s*==\s*"([^"]*)"`)
	for _, name := range x.ruleFiles() {
		if name == udev.RulesFile {
			continue
		}
		f := x.ruleFile(name)
		if f == nil {
			continue
		}
		lines := bufio.NewScanner(bytes.NewReader(f.content))
		for n := 1; lines.Scan(); n++ {
			text := lines.Text()
			if strings.HasPrefix(strings.TrimSpace(text), "#") || !vendor.MatchString(text) || !takesAccess.MatchString(text) {
				continue
			}
			if m := product.FindStringSubmatch(text); m != nil && !productFits(m[2], dev.Product) {
				continue
			}
			if name > udev.RulesFile || strings.Contains(text, ":=") {
				return f.path, n
			}
		}
	}
	return "", 0
}

// productFits compares an id with a pattern of udev: "0035", "00*", "0035|0030".
func productFits(pattern string, id uint16) bool {
	for p := range strings.SplitSeq(strings.ToLower(pattern), "|") {
		if ok, err := path.Match(p, fmt.Sprintf("%04x", id)); err == nil && ok {
			return true
		}
	}
	return false
}

// applied reports whether udev has run our rules for a device: they leave nothing
// to users outside the group, which neither the kernel nor the rules of others do.
// A node that cannot be looked at is no reason to say that they were not.
func (x *examination) applied(dev usb.Info) bool {
	info, err := fs.Stat(x.Root, strings.TrimPrefix(node(dev), "/"))
	return err != nil || info.Mode().Perm()&0o007 == 0
}

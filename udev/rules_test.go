package udev

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write "+RulesFile+" anew")

func TestRulesFile(t *testing.T) {
	want, err := Rules(DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(RulesFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(RulesFile)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is not what the table gives; go generate ./udev (-want +got):\n%s", RulesFile, d)
	}
}

// 73-seat-late.rules turns the tag into an access list, and the daemon's own
// 50-udev-default.rules finds out ID_USB_INTERFACES.
func TestRulesFileOrder(t *testing.T) {
	if RulesFile >= "73-seat-late.rules" || RulesFile <= "50-udev-default.rules" {
		t.Errorf("%s sorts wrong", RulesFile)
	}
}

// token is one key, operator and value of a rule.
type token struct {
	key, attr, op, value string
}

// The keys that the rules may use, with their operators, from udev(7).
var ruleKeys = map[string]struct {
	attr bool
	ops  []string
}{
	"ACTION":    {false, []string{"==", "!="}},
	"SUBSYSTEM": {false, []string{"==", "!="}},
	"ATTR":      {true, []string{"==", "!="}},
	"ENV":       {true, []string{"==", "!=", "=", "+="}},
	"TAG":       {false, []string{"==", "!=", "+=", "-=", "="}},
	"GROUP":     {false, []string{"=", ":="}},
	"MODE":      {false, []string{"=", ":="}},
	"GOTO":      {false, []string{"="}},
	"LABEL":     {false, []string{"="}},
}

var tokenForm = regexp.MustCompile(`^([A-Z]+)(?:\{([A-Za-z_]+)\})?(==|!=|\+=|-=|:=|=)"([^"\\]*)"(?:, |$)`)

// parseRules reads the grammar of udev(7), strictly: one rule per line, tokens
// parted by a comma and a blank, and no rule that udev would warn about.
func parseRules(b []byte) ([][]token, error) {
	var rules [][]token
	if !bytes.HasSuffix(b, []byte("\n")) {
		return nil, fmt.Errorf("no newline at the end")
	}
	for n, line := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var rule []token
		for rest := line; rest != ""; {
			m := tokenForm.FindStringSubmatch(rest)
			if m == nil {
				return nil, fmt.Errorf("line %d: %q", n+1, rest)
			}
			k, known := ruleKeys[m[1]]
			if !known || k.attr != (m[2] != "") || !slices.Contains(k.ops, m[3]) {
				return nil, fmt.Errorf("line %d: %s%s is no key of a rule", n+1, m[1], m[3])
			}
			if strings.HasSuffix(m[0], ", ") && len(m[0]) == len(rest) {
				return nil, fmt.Errorf("line %d: comma at the end", n+1)
			}
			rule = append(rule, token{m[1], m[2], m[3], m[4]})
			rest = rest[len(m[0]):]
		}
		rules = append(rules, rule)
	}
	labels := map[string]int{}
	for i, rule := range rules {
		for _, tk := range rule {
			if tk.key != "LABEL" {
				continue
			}
			if _, twice := labels[tk.value]; twice {
				return nil, fmt.Errorf("label %s twice", tk.value)
			}
			labels[tk.value] = i
		}
	}
	for i, rule := range rules {
		for _, tk := range rule {
			if tk.key == "GOTO" {
				if at, ok := labels[tk.value]; !ok || at <= i {
					return nil, fmt.Errorf("no label %s behind rule %d", tk.value, i)
				}
			}
			if tk.key == "MODE" && !regexp.MustCompile(`^0[0-7]{3}$`).MatchString(tk.value) {
				return nil, fmt.Errorf("mode %s", tk.value)
			}
		}
	}
	return rules, nil
}

// uevent is what the rules see of a device.
type uevent struct {
	action, subsystem string
	env, attr         map[string]string
}

// usbDevice is a device with the interfaces as udev lists them.
func usbDevice(vendor, product, interfaces string) uevent {
	return uevent{
		action: "add", subsystem: "usb",
		env:  map[string]string{"DEVTYPE": "usb_device", "ID_USB_INTERFACES": interfaces},
		attr: map[string]string{"idVendor": vendor, "idProduct": product},
	}
}

// access is what the rules decided.
type access struct {
	Mode, Group     string
	GroupFinal      bool
	UAccess         bool
	PCSCLiteIgnored bool
}

// run evaluates rules as udev does: a rule holds if all its matches do; GOTO
// skips forward; an assignment with := keeps later ones from changing it.
func run(t *testing.T, rules [][]token, e uevent) (a access) {
	t.Helper()
	skipTo := ""
	for _, rule := range rules {
		if skipTo != "" {
			if !slices.Contains(rule, token{"LABEL", "", "=", skipTo}) {
				continue
			}
			skipTo = ""
		}
		holds := true
		for _, tk := range rule {
			var value string
			switch tk.key {
			case "ACTION":
				value = e.action
			case "SUBSYSTEM":
				value = e.subsystem
			case "ENV":
				value = e.env[tk.attr]
			case "ATTR":
				value = e.attr[tk.attr]
			}
			if tk.op == "==" || tk.op == "!=" {
				matched, err := path.Match(tk.value, value)
				if err != nil {
					t.Fatal(err)
				}
				holds = holds && matched == (tk.op == "==")
			}
		}
		if !holds {
			continue
		}
		for _, tk := range rule {
			switch {
			case tk.key == "GOTO":
				skipTo = tk.value
			case tk.key == "MODE":
				a.Mode = tk.value
			case tk.key == "GROUP" && !a.GroupFinal:
				a.Group, a.GroupFinal = tk.value, tk.op == ":="
			case tk.key == "TAG" && tk.op == "+=":
				a.UAccess = tk.value == "uaccess"
			case tk.key == "ENV" && tk.op == "=":
				a.PCSCLiteIgnored = tk.attr == "PCSCLITE_IGNORE" && tk.value == "1"
			}
		}
	}
	return a
}

func TestRules(t *testing.T) {
	change := func(e uevent, f func(*uevent)) uevent { f(&e); return e }
	none := access{}
	open := access{Mode: "0660", Group: "kaztoken", UAccess: true}
	seat := access{Mode: "0660", UAccess: true}
	taken := access{Mode: "0660", Group: "kaztoken", GroupFinal: true, UAccess: true, PCSCLiteIgnored: true}
	seatTaken := access{Mode: "0660", UAccess: true, PCSCLiteIgnored: true}
	kaztoken := usbDevice("0a89", "0035", ":0b0000:")
	for _, r := range []struct {
		name                             string
		e                                uevent
		byDefault, noGroup, both, ignore access
	}{
		{"KAZTOKEN", kaztoken, open, seat, taken, seatTaken},
		{"KAZTOKEN before its interfaces are known", usbDevice("0a89", "0035", ""), open, seat, taken, seatTaken},
		{"Rutoken ECP", usbDevice("0a89", "0030", ":0b0000:"), open, seat, taken, seatTaken},
		{"Rutoken Magistra, ICCD-B", usbDevice("0a89", "0060", ":0b0002:"), open, seat, taken, seatTaken},
		{"CCID reader", usbDevice("08e6", "3437", ":0b0000:"), open, seat, open, seat},
		{"keyboard with a reader", usbDevice("046a", "002d", ":030101:0b0000:"), open, seat, open, seat},
		{"reader before a keyboard", usbDevice("1050", "0407", ":0b0000:030101:"), open, seat, open, seat},
		{"ICCD-A token", usbDevice("03eb", "600b", ":0b0001:"), open, seat, open, seat},
		{"ICCD-B token", usbDevice("1059", "000c", ":0b0002:"), open, seat, open, seat},
		{"same vendor, not a reader", usbDevice("0a89", "0001", ":080650:"), none, none, none, none},
		{"keyboard", usbDevice("046d", "c31c", ":030101:030000:"), none, none, none, none},
		{"class that only ends alike", usbDevice("1234", "5678", ":110b00:00ff00:"), none, none, none, none},
		{"removal", change(kaztoken, func(e *uevent) { e.action = "remove" }), none, none, none, none},
		{"bind", change(kaztoken, func(e *uevent) { e.action = "bind" }), open, seat, taken, seatTaken},
		{"change", change(kaztoken, func(e *uevent) { e.action = "change" }), open, seat, taken, seatTaken},
		{"not USB", change(kaztoken, func(e *uevent) { e.subsystem = "tty" }), none, none, none, none},
		{"an interface", change(kaztoken, func(e *uevent) {
			e.env = map[string]string{"DEVTYPE": "usb_interface", "ID_USB_INTERFACES": ":0b0000:"}
		}), none, none, none, none},
	} {
		t.Run(r.name, func(t *testing.T) {
			for _, o := range []struct {
				RulesOptions
				want access
			}{
				{DefaultRules(), r.byDefault},
				{RulesOptions{}, r.noGroup},
				{RulesOptions{Group: "kaztoken", PCSCLiteIgnore: true}, r.both},
				{RulesOptions{PCSCLiteIgnore: true}, r.ignore},
			} {
				file, err := Rules(o.RulesOptions)
				if err != nil {
					t.Fatal(err)
				}
				rules, err := parseRules(file)
				if err != nil {
					t.Fatalf("%+v: %v\n%s", o.RulesOptions, err, file)
				}
				if d := cmp.Diff(o.want, run(t, rules, r.e)); d != "" {
					t.Errorf("%+v (-want +got):\n%s", o.RulesOptions, d)
				}
			}
		})
	}
}

// Each rule that gives access says itself what it is about, so that a line that
// somebody copies into a file of their own still matches USB devices only.
func TestRulesNameTheirSubject(t *testing.T) {
	file, err := Rules(DefaultRules())
	if err != nil {
		t.Fatal(err)
	}
	rules, err := parseRules(file)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, rule := range rules {
		if slices.ContainsFunc(rule, func(tk token) bool { return tk.key == "ATTR" || tk.attr == "ID_USB_INTERFACES" }) {
			n++
			if rule[0] != (token{"SUBSYSTEM", "", "==", "usb"}) || rule[1] != (token{"ENV", "DEVTYPE", "==", "usb_device"}) {
				t.Errorf("%v", rule)
			}
		}
	}
	if want := len(devices) + len(readerClasses); n != want {
		t.Errorf("%d rules match devices, want %d", n, want)
	}
}

// The parser of this test finds what udev would stumble over.
func TestParseRulesRefuses(t *testing.T) {
	for _, bad := range []string{
		`SUBSYSTEM=="usb`, `SUBSYSTEM=usb`, `SUBSYSTEM="usb"`, `SUBSYSTEM{x}=="usb"`, `ATTR=="1"`, `FOO=="1"`,
		`MODE="660"`, `MODE=="0660"`, `GOTO="nowhere"`, `LABEL="a", `, "LABEL=\"a\"\nGOTO=\"a\"", "LABEL=\"a\"\nLABEL=\"a\"",
		`GROUP="a" MODE="0660"`,
	} {
		if rules, err := parseRules([]byte(bad + "\n")); err == nil {
			t.Errorf("%q: got %v", bad, rules)
		}
	}
	if _, err := parseRules([]byte(`MODE="0660"`)); err == nil {
		t.Error("no newline at the end was taken")
	}
}

func TestRulesRefusesGroups(t *testing.T) {
	for _, g := range []string{`x", RUN+="/bin/sh`, "a b", "Ünser", "1st", "-a", "a\nb", strings.Repeat("a", 32)} {
		if _, err := Rules(RulesOptions{Group: g}); err == nil {
			t.Errorf("group %q was taken", g)
		}
	}
	for _, g := range []string{"", "pcscd", "_kaztoken", "plug-dev2"} {
		if _, err := Rules(RulesOptions{Group: g}); err != nil {
			t.Error(err)
		}
	}
}

func TestDevices(t *testing.T) {
	seen := map[[2]uint16]bool{}
	for _, d := range devices {
		id := [2]uint16{d.Vendor, d.Product}
		if seen[id] || d.Name == "" || strings.ContainsAny(d.Name, "\n\"") {
			t.Errorf("%+v", d)
		}
		seen[id] = true
	}
	if d, ok := Lookup(0x0a89, 0x0035); !ok || d.Name != "KAZTOKEN" {
		t.Errorf("got %+v, %v", d, ok)
	}
	if d, ok := Lookup(0x1050, 0x0407); ok {
		t.Errorf("got %+v", d)
	}
}

package registration

import (
	"path/filepath"
	"strings"
)

// entry is one module in pkcs11.txt: its lines as they are, without the empty
// ones that end it.
type entry []string

// parseList splits a list of modules, as NSS's own library writes it: lines of
// KEY=VALUE, and an empty line between modules.
func parseList(text string) []entry {
	var list []entry
	var e entry
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if strings.TrimSpace(line) != "" {
			e = append(e, line)
			continue
		}
		if e != nil {
			list = append(list, e)
			e = nil
		}
	}
	if e != nil {
		list = append(list, e)
	}
	return list
}

// join writes a list.
func join(list []entry) string {
	var b strings.Builder
	for _, e := range list {
		for _, line := range e {
			b.WriteString(line)
			b.WriteByte('\n')
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// value gives the value of a key of the module, "" for none.
func (e entry) value(key string) string {
	for _, line := range e {
		if k, v, ok := strings.Cut(line, "="); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// ours tells our module from those of others: by its name, or by its file, which
// another program may have entered under a name of its own.
func (e entry) ours() bool {
	base, _, _ := strings.Cut(filepath.Base(e.value("library")), ".")
	return e.value("name") == Name || base == LibraryName
}

// without is a list without our module.
func without(list []entry) []entry {
	kept := make([]entry, 0, len(list))
	for _, e := range list {
		if !e.ours() {
			kept = append(kept, e)
		}
	}
	return kept
}

// sameEntry: our module is in the list once, at this path.
func sameEntry(list []entry, module string) bool {
	n, same := 0, false
	for _, e := range list {
		if e.ours() {
			n++
			same = e.value("library") == module
		}
	}
	return n == 1 && same
}

// kitModule gives the module that a file of p11-kit names: the line "module:
// PATH" (pkcs11.conf(5)).
func kitModule(text string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "module:"); ok {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

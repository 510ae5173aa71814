package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kaztoken/cmd/kaztoken/internal/cli"
	"kaztoken/internal/words"
)

// book is the manual in one language, one page for each command.
type book struct {
	words         words.Words
	version, date string
}

// pages are the pages by their names, in the language man (man(7)).
func (b book) pages() map[string]string {
	all := map[string]string{}
	var walk func(c, english *cobra.Command)
	walk = func(c, english *cobra.Command) {
		all[pageName(c)] = b.page(c, english)
		others := english.Commands()
		for i, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				walk(sub, others[i]) // both are sorted by name
			}
		}
	}
	walk(cli.Tree(b.words.Language()), cli.Tree(words.English))
	return all
}

// pageName is kaztoken-pin-change for kaztoken pin change.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// exitCodes begins the paragraph that has a section of its own.
const exitCodes = "Exit codes:\n"

// roff is a page that is being written.
type roff struct{ strings.Builder }

// page is the page of a command; english is the same command in English, by
// which paragraphs are known.
func (b book) page(c, english *cobra.Command) string {
	var r roff
	text := b.words.Text
	r.line(`.\" Made of the commands' help by cmd/kaztoken/internal/manual.`)
	r.line(".TH %s 1 \"%s\" %s %s", argument(strings.ToUpper(pageName(c))), b.date, // a date with \- is none
		argument(strings.TrimSpace("kaztoken "+b.version)), argument(text("man.manual")))

	r.section(text("man.name"))
	r.line(`%s \- %s`, escape(pageName(c)), escape(c.Short))

	r.section(text("man.synopsis"))
	use := cli.UseLine(c, b.words)
	if c.HasAvailableSubCommands() && !c.HasParent() {
		use = c.CommandPath() + " " + text("help.command") + " " + text("help.options")
	}
	r.line(`\fB%s\fR%s`, escape(c.CommandPath()), escape(strings.TrimPrefix(use, c.CommandPath())))

	r.section(text("man.description"))
	paragraphs, keys := cli.Paragraphs(c.Long, words.Words{}), cli.Paragraphs(english.Long, words.Words{})
	exits := ""
	first := true
	for i, p := range paragraphs {
		if strings.HasPrefix(keys[i], exitCodes) {
			exits = p
			continue
		}
		first = r.paragraph(p, first)
	}

	if c.HasAvailableSubCommands() {
		r.section(text("man.commands"))
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() {
				r.item(reference(pageName(sub)), escape(sub.Short))
			}
		}
	}

	r.section(text("man.options"))
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "usb-driver" { // of this build; the page is of all
			f.Usage, f.DefValue = b.words.Help("how to talk to USB: usbfs, libusb"), "usbfs"
		}
		if !f.Hidden {
			r.option(f, b.words)
		}
	})
	if c.HasParent() {
		r.line(".PP\n%s.", strings.ReplaceAll(escape(text("man.global", "page", "PAGE")), "PAGE", reference("kaztoken")))
	} else {
		b.surroundings(&r, exits)
	}

	r.section(text("man.examples"))
	r.verbatim(unindent(c.Example))

	r.section(text("man.also"))
	r.line("%s", strings.Join(related(c), ",\n"))
	return r.String()
}

// surroundings are the sections that only the first page has.
func (b book) surroundings(r *roff, exits string) {
	text := b.words.Text
	r.section(text("man.exit"))
	for line := range strings.SplitSeq(exits, "\n") {
		if code, meaning, ok := strings.Cut(strings.TrimSpace(line), "  "); ok {
			r.item(`\fB`+escape(code)+`\fR`, escape(meaning))
		}
	}
	r.section(text("man.environment"))
	r.item(`\fBKAZTOKEN_LANG\fR, \fBKAZTOKEN_BACKEND\fR, \fBKAZTOKEN_DEVICES\fR`,
		strings.ReplaceAll(escape(text("man.env.flags", "flags", "FLAGS")), "FLAGS", `\fB\-\-lang\fR, \fB\-\-backend\fR, \fB\-\-devices\fR`))
	r.item(`\fBLC_ALL\fR, \fBLC_MESSAGES\fR, \fBLANG\fR`, escape(text("man.env.lang")))
	r.item(`\fBXDG_CONFIG_HOME\fR`, escape(text("man.env.config", "folder", "~/.config")))
	r.item(`\fBXDG_STATE_HOME\fR`, escape(text("man.env.state", "folder", "~/.local/state")))
	r.item(`\fBPCSCLITE_CSOCK_NAME\fR`, escape(text("man.env.socket")))
	r.section(text("man.files"))
	for _, f := range []struct{ path, what string }{
		{"$XDG_CONFIG_HOME/kaztoken/config.toml", text("man.file.settings")},
		{"/etc/kaztoken/config.toml", text("man.file.service")},
		{"$XDG_STATE_HOME/kaztoken/virtual.state", text("man.file.state")},
		{"/run/pcscd/pcscd.comm", text("man.file.socket")},
		{"/usr/lib/udev/rules.d/70-kaztoken.rules", text("man.file.rules")},
	} {
		r.item(`\fI`+escape(f.path)+`\fR`, escape(f.what))
	}
}

// related are the pages above and below a command's.
func related(c *cobra.Command) []string {
	var all []string
	for p := c.Parent(); p != nil; p = p.Parent() {
		all = append([]string{reference(pageName(p))}, all...)
	}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, reference(pageName(sub)))
		}
	}
	if !c.HasParent() {
		all = append(all, `\fBopensc\-tool\fR(1)`, `\fBpcscd\fR(8)`, `\fBudev\fR(7)`)
	}
	return all
}

// reference names a page as readers look it up.
func reference(page string) string { return `\fB` + escape(page) + `\fR(1)` }

func (r *roff) line(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

func (r *roff) section(name string) { r.line(".SH %s", argument(name)) }

// paragraph writes a heading, prose, or lines that stay as they are. first says
// that a heading stands before it, and after it the result does.
func (r *roff) paragraph(p string, first bool) bool {
	if heading, ok := strings.CutPrefix(p, "#### "); ok {
		r.line(".SS %s", argument(strings.TrimSuffix(heading, ":")))
		return true
	}
	if !first {
		r.line(".PP")
	}
	if !strings.Contains("\n"+p, "\n ") && !strings.Contains("\n"+p, "\n\t") {
		for line := range strings.SplitSeq(p, "\n") {
			r.line("%s", escape(line))
		}
		return false
	}
	r.verbatim(strings.TrimPrefix(p, "\t"))
	return false
}

// verbatim writes lines that are not filled.
func (r *roff) verbatim(lines string) {
	r.line(".nf")
	for line := range strings.SplitSeq(lines, "\n") {
		if line == "" {
			r.line(`\&`)
			continue
		}
		r.line("%s", escape(line))
	}
	r.line(".fi")
}

// item writes a name and what it is; both are escaped already.
func (r *roff) item(name, what string) { r.line(".TP\n%s\n%s", name, what) }

func (r *roff) option(f *pflag.Flag, w words.Words) {
	value, usage := cli.FlagUsage(f, w)
	name := `\fB` + escape("--"+f.Name) + `\fR`
	if f.Shorthand != "" {
		name = `\fB` + escape("-"+f.Shorthand) + `\fR, ` + name
	}
	if value != "" {
		name += ` \fI` + escape(value) + `\fR`
	}
	r.item(name, escape(usage))
}

// unindent takes the two spaces of the help away.
func unindent(lines string) string {
	return strings.ReplaceAll(strings.TrimPrefix(lines, "  "), "\n  ", "\n")
}

// special are the characters that groff turns into others, and its own
// (groff_char(7), man-pages(7)).
var special = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// escape makes a line of a page out of text, which shows as it is and is no
// request.
func escape(text string) string {
	text = special.Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}

// argument makes one argument of a request out of text.
func argument(text string) string { return `"` + strings.ReplaceAll(escape(text), `"`, `\(dq`) + `"` }

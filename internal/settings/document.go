package settings

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML 1.0 text with what it says and where it says it. It is edited
// by replacing the bytes of one value, or a line, so that everything else stays as
// the person wrote it.
type document struct {
	text    []byte
	values  map[string]any // as package toml decodes them
	entries []entry        // in the order of the text
	headers []header       // in the order of the text
}

// entry is a key with a value.
type entry struct {
	path       string // joined by join
	start      int    // where the key begins
	valueStart int
	end        int // behind the value
	line       int
	inline     bool // it is in an inline table
	table      bool // its value is an inline table
	header     int  // index of the header above it; -1 above the first
	dots       int  // how many tables its own key names: 1 in "pin.weak = …"
}

// header is a line with a [table] or [[table]].
type header struct {
	path  string
	start int
	line  int
	many  bool // [[table]]
}

// join makes one string of a path. A key may hold any character, so the parts are
// separated by one that is never part of ours.
func join(parts ...string) string { return strings.Join(parts, "\x00") }

// parseDocument reads a TOML text. The error is an [Error] without a file.
func parseDocument(text []byte) (document, error) {
	d := document{text: text}
	if err := toml.Unmarshal(text, &d.values); err != nil {
		return document{}, syntaxError(err)
	}
	if d.values == nil {
		d.values = make(map[string]any)
	}
	d.index()
	return d, nil
}

func syntaxError(err error) error {
	e := &Error{Want: err.Error()}
	var at *toml.DecodeError
	if errors.As(err, &at) {
		e.Line, e.Column = at.Position()
		e.Want = strings.TrimPrefix(at.Error(), "toml: ")
	}
	return e
}

// index notes where everything is. The text has been found to be valid.
func (d *document) index() {
	var p unstable.Parser
	p.Reset(d.text)
	lines := lineCounter{text: d.text}
	var prefix []string
	for p.NextExpression() {
		n := p.Expression()
		if n.Kind == unstable.KeyValue {
			d.indexEntry(n, prefix, len(d.headers)-1, false, &lines)
			continue
		}
		keys, at := keysOf(n)
		start := bytes.LastIndexByte(d.text[:at], '[')
		if many := n.Kind == unstable.ArrayTable; many {
			d.headers = append(d.headers, header{join(keys...), start - 1, lines.at(start), true})
		} else {
			d.headers = append(d.headers, header{join(keys...), start, lines.at(start), false})
		}
		prefix = keys
	}
}

// keysOf gives the parts of the key of a node and where the first begins.
func keysOf(n *unstable.Node) (keys []string, start int) {
	start = -1
	for it := n.Key(); it.Next(); {
		if start < 0 {
			start = int(it.Node().Raw.Offset)
		}
		keys = append(keys, string(it.Node().Data))
	}
	return keys, start
}

func (d *document) indexEntry(n *unstable.Node, prefix []string, header int, inline bool, lines *lineCounter) {
	keys, start := keysOf(n)
	path := slices.Concat(prefix, keys)
	value := n.Value()
	e := entry{
		path: join(path...), start: start, end: int(n.Raw.Offset + n.Raw.Length), line: lines.at(start),
		inline: inline, table: value.Kind == unstable.InlineTable, header: header, dots: len(keys) - 1,
	}
	last := 0
	for it := n.Key(); it.Next(); {
		last = int(it.Node().Raw.Offset + it.Node().Raw.Length)
	}
	e.valueStart = last + bytes.IndexByte(d.text[last:], '=') + 1
	for d.text[e.valueStart] == ' ' || d.text[e.valueStart] == '\t' {
		e.valueStart++
	}
	d.entries = append(d.entries, e)
	if !e.table {
		return
	}
	for it := value.Children(); it.Next(); {
		if it.Node().Kind == unstable.KeyValue {
			d.indexEntry(it.Node(), path, header, true, lines)
		}
	}
}

// lineCounter counts lines up to offsets, which grow or else cost a new count.
type lineCounter struct {
	text       []byte
	line, upTo int
}

// at is the number of the line of an offset, counted from 1.
func (c *lineCounter) at(offset int) int {
	if offset < c.upTo {
		c.line, c.upTo = 0, 0
	}
	c.line += bytes.Count(c.text[c.upTo:offset], []byte("\n"))
	c.upTo = offset
	return c.line + 1
}

// value is what a key holds.
func (d *document) value(parts ...string) (v any, ok bool) {
	v = d.values
	for _, part := range parts {
		table, isTable := v.(map[string]any)
		if !isTable {
			return nil, false
		}
		if v, ok = table[part]; !ok {
			return nil, false
		}
	}
	return v, true
}

// entry finds the place of a key that has a value.
func (d *document) entry(parts ...string) (entry, bool) {
	i := slices.IndexFunc(d.entries, func(e entry) bool { return e.path == join(parts...) })
	if i < 0 {
		return entry{}, false
	}
	return d.entries[i], true
}

// line is where a key or a table is first named; 0 if it is not.
func (d *document) line(parts ...string) int {
	path := join(parts...)
	within := func(p string) bool { return p == path || strings.HasPrefix(p, path+"\x00") }
	line := 0
	for _, e := range d.entries {
		if within(e.path) {
			line = e.line
			break
		}
	}
	for _, h := range d.headers {
		if within(h.path) && (line == 0 || h.line < line) {
			line = h.line
		}
	}
	return line
}

// set gives a key a value, which is written in TOML, and remove takes it away.
// Both give the new text. The path has one part, or two: the table and the key.
func (d *document) set(literal string, parts ...string) []byte {
	if e, ok := d.entry(parts...); ok {
		return d.splice(e.valueStart, e.end, literal)
	}
	name, tables := parts[len(parts)-1], parts[:len(parts)-1]
	line := quoteKey(name) + " = " + literal
	if len(tables) == 0 {
		return d.insertAtTop(line)
	}
	if e, ok := d.entry(tables...); ok && e.table { // pin = { … }
		if rest := bytes.TrimLeft(d.text[e.valueStart+1:e.end], " \t\r\n"); rest[0] != '}' {
			line += ","
		}
		return d.splice(e.valueStart+1, e.valueStart+1, " "+line)
	}
	path := join(tables...)
	for i, h := range d.headers {
		if h.path == path && !h.many {
			return d.insertBelow(max(h.start, d.lastOf(i)), line)
		}
	}
	for _, e := range slices.Backward(d.entries) { // pin.weak = …, which forbids a [pin]
		if e.header < 0 && !e.inline && e.dots > 0 && strings.HasPrefix(e.path, path+"\x00") {
			return d.insertBelow(e.end, quoteKey(tables[0])+"."+line)
		}
	}
	text := bytes.Clone(d.text)
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, d.newline()...)
	}
	if len(text) > 0 {
		text = append(text, d.newline()...)
	}
	return append(text, "["+quoteKey(tables[0])+"]"+d.newline()+line+d.newline()...)
}

// lastOf is the end of the last value below a header, 0 if there is none.
func (d *document) lastOf(header int) int {
	end := 0
	for _, e := range d.entries {
		if e.header == header {
			end = max(end, e.end)
		}
	}
	return end
}

// insertAtTop puts a line above all headers: below the other lines there, or below
// the comment that the text begins with if an empty line ends that.
func (d *document) insertAtTop(line string) []byte {
	if end := d.lastOf(-1); end > 0 {
		return d.insertBelow(end, line)
	}
	at := 0
	for rest := d.text; bytes.HasPrefix(rest, []byte("#")); {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			break
		}
		rest = rest[end+1:]
		if after, _, _ := bytes.Cut(rest, []byte("\n")); len(bytes.TrimSpace(after)) == 0 {
			at = len(d.text) - len(rest)
			break
		}
	}
	if at > 0 {
		return d.splice(at, at, d.newline()+line+d.newline())
	}
	if len(d.text) == 0 {
		return []byte(line + "\n")
	}
	return d.splice(0, 0, line+d.newline()+d.newline())
}

// insertBelow puts a line below the one with an offset in it.
func (d *document) insertBelow(offset int, line string) []byte {
	end := bytes.IndexByte(d.text[offset:], '\n')
	if end < 0 {
		return d.splice(len(d.text), len(d.text), d.newline()+line+d.newline())
	}
	return d.splice(offset+end+1, offset+end+1, line+d.newline())
}

func (d *document) remove(parts ...string) []byte {
	e, ok := d.entry(parts...)
	if !ok {
		return d.text
	}
	if !e.inline {
		start := bytes.LastIndexByte(d.text[:e.start], '\n') + 1
		end := len(d.text)
		if i := bytes.IndexByte(d.text[e.end:], '\n'); i >= 0 {
			end = e.end + i + 1
		}
		return d.splice(start, end, "")
	}
	i := slices.Index(d.entries, e)
	if i+1 < len(d.entries) && d.sibling(e, d.entries[i+1]) {
		return d.splice(e.start, d.entries[i+1].start, "")
	}
	if i > 0 && d.sibling(e, d.entries[i-1]) {
		return d.splice(d.entries[i-1].end, e.end, "")
	}
	return d.splice(e.start, e.end, "")
}

// sibling reports whether two entries are in one inline table.
func (d *document) sibling(a, b entry) bool {
	parent := func(path string) string { return path[:strings.LastIndexByte(path, 0)+1] }
	return a.inline && b.inline && parent(a.path) == parent(b.path)
}

func (d *document) splice(start, end int, with string) []byte {
	return slices.Concat(d.text[:start], []byte(with), d.text[end:])
}

// newline is how the lines of the text end.
func (d *document) newline() string {
	if bytes.Contains(d.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// quoteKey writes a key of ours: a bare one (TOML 1.0: A-Za-z0-9_-) as it is.
func quoteKey(key string) string {
	bare := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-'
	}
	if key != "" && strings.TrimLeftFunc(key, bare) == "" {
		return key
	}
	return strconv.Quote(key)
}

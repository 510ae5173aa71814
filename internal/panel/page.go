package panel

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"

	"kaztoken/firmware"
	"kaztoken/internal/describe"
	"kaztoken/internal/words"
)

//go:embed templates
var templateFiles embed.FS

// page is what every page shows beside its own content.
type page struct {
	Lang    words.Language
	Title   words.Key
	Tab     string // "admin", "certs", "settings", "about", or "" for a page without tabs
	CSRF    string
	Notices []told
	Tokens  []choice
	Token   string // the chosen station, "" without any
	Role    string // logged in: "user", "admin" or ""
	Busy    *busy
	Reload  int    // seconds until the page looks again by itself; 0 for never
	Known   bool   // the browser has a session
	Seen    string // the mark of the outlook that it shows, for its events
	Assets  string
	Back    string
	Body    any
}

// told is a notice in words.
type told struct {
	Text string
	Bad  bool
}

// choice is an entry of a drop-down list.
type choice struct {
	Value, Text string
	Chosen      bool
}

// busy is an operation that runs on the chosen token.
type busy struct {
	Task    string
	Text    string
	Percent int
}

// templates reads the pages once for each language.
func templates() map[words.Language]map[string]*template.Template {
	all := make(map[words.Language]map[string]*template.Template)
	names, err := templateFiles.ReadDir("templates")
	if err != nil {
		panic(err)
	}
	for _, l := range words.Languages() {
		w := words.For(l)
		layout := template.Must(template.New("layout.html").Funcs(template.FuncMap{
			"t":         func(key any, values ...any) string { return w.Text(keyOf(key), values...) },
			"T":         func(key any, values ...any) string { return sentence(w.Text(keyOf(key), values...)) },
			"args":      values,
			"languages": func() []language { return spoken },
		}).ParseFS(templateFiles, "templates/layout.html"))
		all[l] = make(map[string]*template.Template)
		for _, n := range names {
			name := strings.TrimSuffix(n.Name(), ".html")
			if name == "layout" {
				continue
			}
			t := template.Must(layout.Clone())
			all[l][name] = template.Must(t.ParseFS(templateFiles, path.Join("templates", n.Name())))
		}
	}
	return all
}

// keyOf takes a key as it is in a template, where it may be a plain string.
func keyOf(key any) words.Key { return words.Key(fmt.Sprint(key)) }

// values makes a map for a template out of pairs of a name and a value.
func values(pairs ...any) (map[string]any, error) {
	m := make(map[string]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// render answers with a page.
func (c *call) render(status int, name, tab string, title words.Key, body any) {
	c.renderPage(status, name, page{Tab: tab, Title: title, Body: body})
}

// renderPage fills in what is the same on every page and answers with it.
func (c *call) renderPage(status int, name string, p page) {
	p.Lang, p.CSRF, p.Known, p.Seen, p.Assets = c.words.Language(), c.s.csrf, true, c.seen, assetVersion
	var said []notice
	if !c.dialog { // the script would drop them
		said = c.s.told()
	}
	for _, n := range said {
		p.Notices = append(p.Notices, told{c.text(n.key, n.values...), n.bad})
	}
	stations, _ := c.srv.all()
	for _, st := range stations {
		ch := choice{Value: st.id, Text: words.Clean(st.entry.Name)}
		if i := st.last().info; i != nil && i.Name.Known() && i.Name.Value != "" {
			ch.Text = words.Clean(i.Name.Value) + " · " + ch.Text
		}
		if c.station != nil && st.id == c.station.id {
			ch.Chosen = true
		}
		p.Tokens = append(p.Tokens, ch)
	}
	if c.station != nil {
		p.Token = c.station.id
		if r := c.s.role(c.station.id); r != 0 {
			p.Role = describe.Role(r)
		}
		if t := c.station.running(); t != nil {
			p.Busy = &busy{t.id, c.text(t.kind), t.state().percent()}
		}
	}
	c.srv.write(c.w, status, name, p)
}

// write makes a page and sends it whole.
func (s *Server) write(w http.ResponseWriter, status int, name string, p page) {
	var b bytes.Buffer
	if err := s.pages[p.Lang][name].ExecuteTemplate(&b, "layout.html", p); err != nil {
		s.report(fmt.Errorf("page %s: %w", name, err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", string(p.Lang))
	w.WriteHeader(status)
	// The browser may have left.
	_, _ = w.Write(b.Bytes())
}

// plainPage tells somebody without a session something, and nothing more.
func (s *Server) plainPage(w http.ResponseWriter, r *http.Request, status int, text words.Key) {
	s.write(w, status, "plain", page{
		Lang: languageOf(s.settings().Language, r), Title: "title", Assets: assetVersion, Body: text,
	})
}

// stranger answers a request without a session: with the page that asks for the
// password, or with how to get in.
func (s *Server) stranger(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Password == nil {
		s.plainPage(w, r, http.StatusForbidden, "panel.stranger")
		return
	}
	if r.Method != http.MethodGet {
		s.plainPage(w, r, http.StatusForbidden, "panel.refused.form")
		return
	}
	s.askPassword(w, r, http.StatusOK, "")
}

// tokenName is what a person calls the chosen token.
func (c *call) tokenName() string {
	if c.station == nil {
		return ""
	}
	if i := c.station.last().info; i != nil && i.Name.Known() {
		return words.Clean(i.Name.Value)
	}
	return words.Clean(c.station.entry.Name)
}

// roleFrom reads a role out of a form.
func roleFrom(s string) (firmware.Role, bool) {
	switch s {
	case "user":
		return firmware.User, true
	case "admin":
		return firmware.Admin, true
	}
	return 0, false
}

package panel

import (
	"net/http"
	"strings"

	"kaztoken/internal/settings"
	"kaztoken/internal/words"
)

// language is a language by its own name.
type language struct {
	Code words.Language
	Name string
}

var spoken = []language{{words.Kazakh, "Қазақша"}, {words.Russian, "Русский"}, {words.English, "English"}}

// languageOf decides in which language a request is answered: the person's choice,
// or what the browser asks for.
func languageOf(chosen string, r *http.Request) words.Language {
	if l, ok := words.Named(chosen); ok {
		return l
	}
	return preferred(r.Header.Get("Accept-Language"))
}

// preferred is the first language of an Accept-Language header that the panel
// speaks, by the weights in it (RFC 9110 §12.5.4).
func preferred(header string) words.Language {
	best, weight := words.English, -1
	for i, part := range strings.Split(header, ",") {
		if i == 16 {
			break
		}
		tag, parameters, _ := strings.Cut(strings.TrimSpace(part), ";")
		code, _, _ := strings.Cut(strings.ToLower(tag), "-")
		l, ok := words.Named(code)
		if !ok {
			continue
		}
		if q := qvalue(parameters); q > 0 && q > weight {
			best, weight = l, q
		}
	}
	return best
}

// qvalue reads a weight in thousandths (RFC 9110 §12.4.2); what is none is 0.
func qvalue(parameter string) int {
	text, ok := strings.CutPrefix(strings.ReplaceAll(parameter, " ", ""), "q=")
	if !ok {
		if parameter == "" {
			return 1000
		}
		return 0
	}
	whole, part, _ := strings.Cut(text, ".")
	if whole != "0" && whole != "1" || len(part) > 3 {
		return 0
	}
	q := 0
	for _, c := range part + "000"[len(part):] {
		if c < '0' || c > '9' {
			return 0
		}
		q = 10*q + int(c-'0')
	}
	return min(1000, q+1000*int(whole[0]-'0'))
}

// chooseLanguage changes the language, at once and for the commands, too.
func (c *call) chooseLanguage() {
	l, ok := words.Named(c.form.line("language"))
	if !ok {
		c.srv.plainPage(c.w, c.r, http.StatusBadRequest, "panel.refused.form")
		return
	}
	if c.srv.cfg.Settings == "" {
		c.s.speak(l)
		c.redirect(localPath(c.form.line("to")))
		return
	}
	if err := c.update(func(s *settings.Settings) { s.Language = string(l) }); err != nil {
		c.s.tell(notice{key: "panel.failed", values: []any{"why", c.problem(err).Message}, bad: true})
	}
	c.redirect(localPath(c.form.line("to")))
}

// speak has a session keep to a language, for where it cannot be kept in a file.
func (n *session) speak(l words.Language) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.language = l
}

// speaks is the language that a session keeps to, "" for that of the settings.
func (n *session) speaks() words.Language {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.language
}

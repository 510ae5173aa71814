package panel

import (
	"net/http"

	"kaztoken/internal/words"
)

// About is what the program knows of itself and of what it found.
type About struct {
	Version, Commit string
	Platform        string // "linux/amd64, go1.26"
	Facts           []Fact
}

// Fact is something that was found, in words of the person's language where it has
// any.
type Fact struct {
	Label words.Key
	Value string
	Bad   bool
}

// aboutBody is the About tab.
type aboutBody struct {
	About
	Licences []Licence
	Address  string
}

func (c *call) about() {
	c.render(http.StatusOK, "about", "about", "tab.about", aboutBody{
		About: c.srv.cfg.About(c.r.Context(), c.words), Licences: Licences(), Address: c.r.Host,
	})
}

// diagnostics is what is known when something does not work.
func (c *call) diagnostics() {
	c.settle()
	stations, err := c.srv.all()
	b := struct {
		About
		Problem *Problem
		Tokens  []string
	}{About: c.srv.cfg.About(c.r.Context(), c.words)}
	for _, st := range stations {
		b.Tokens = append(b.Tokens, st.entry.Name)
	}
	if err != nil {
		b.Problem = c.problem(err)
	}
	c.renderPage(http.StatusOK, "diagnostics", page{Tab: "about", Title: "diagnostics", Back: "/about", Body: b})
}

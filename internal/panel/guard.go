package panel

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"kaztoken/internal/words"
)

// policy is the Content-Security-Policy of every page: the panel's own files and
// nothing else, no script or style in a page, and no page around it.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

const (
	// readBound is how long a request may take to arrive, and writeBound its answer.
	// Who tells events asks for more.
	readBound  = 30 * time.Second
	writeBound = 2 * time.Minute
)

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	control := http.NewResponseController(w)
	// A writer that knows no deadlines is a test's.
	_ = control.SetReadDeadline(began.Add(readBound))
	_ = control.SetWriteDeadline(began.Add(writeBound))
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: with that, browsers hide the Origin of the panel's own forms
	// as well (Fetch Standard, "append a request Origin header").
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Embedder-Policy", "require-corp")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), usb=(), clipboard-read=()")
	h.Set("Cache-Control", "no-store")
	if s.cfg.TLS {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	counted := &countingWriter{ResponseWriter: w}
	route := ""
	if reason, status := s.refusal(r); reason != "" {
		s.plainPage(counted, r, status, reason)
	} else {
		if _, route = s.mux.Handler(r); route == "" {
			s.plainPage(counted, r, http.StatusNotFound, "panel.notfound")
		} else {
			r.Body = http.MaxBytesReader(counted, r.Body, maxUpload)
			s.mux.ServeHTTP(counted, r)
		}
	}
	s.attend(0)
	if s.cfg.Trace != nil {
		s.cfg.Trace(Exchange{Method: r.Method, Route: route, Status: counted.status(), Took: time.Since(began)})
	}
}

// refusal says why a request is not even looked at: it names another host, so that
// a name of somebody else leads here (DNS rebinding), or it was made by the page
// of another site.
func (s *Server) refusal(r *http.Request) (reason words.Key, status int) {
	if !slices.Contains(s.cfg.Hosts, strings.ToLower(r.Host)) {
		return "panel.refused.host", http.StatusMisdirectedRequest
	}
	reading := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !reading && r.Method != http.MethodPost {
		return "panel.refused.method", http.StatusMethodNotAllowed
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin":
	case "none": // typed, or opened by another program
		if !reading {
			return "panel.refused.origin", http.StatusForbidden
		}
	default:
		return "panel.refused.origin", http.StatusForbidden
	}
	origins := r.Header.Values("Origin")
	if len(origins) == 0 && reading {
		return "", 0
	}
	if len(origins) != 1 || origins[0] != s.originOf(r.Host) {
		return "panel.refused.origin", http.StatusForbidden
	}
	return "", 0
}

// originOf is the origin of the panel's own pages under a host.
func (s *Server) originOf(host string) string {
	if s.cfg.TLS {
		return "https://" + strings.ToLower(host)
	}
	return "http://" + strings.ToLower(host)
}

// countingWriter remembers the status of an answer.
type countingWriter struct {
	http.ResponseWriter
	code int
}

func (w *countingWriter) WriteHeader(code int) {
	if w.code == 0 {
		w.code = code
	}
	w.ResponseWriter.WriteHeader(code)
}

func (w *countingWriter) Write(b []byte) (int, error) {
	if w.code == 0 {
		w.code = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) status() int {
	if w.code == 0 {
		return http.StatusOK
	}
	return w.code
}

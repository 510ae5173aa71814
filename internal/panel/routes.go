package panel

import "net/http"

// routes are all addresses of the panel. What shows something is a GET and changes
// nothing; what changes something is a POST, and ends with a redirection.
func (s *Server) routes() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET /assets/{name}", s.serveAsset)
	m.HandleFunc("GET /favicon.ico", s.serveIcon) // asked for whatever a page says
	m.HandleFunc("GET /enter/{secret}", s.enter)
	m.HandleFunc("POST /enter", s.enterPassword)

	m.HandleFunc("GET /{$}", s.page((*call).admin))
	m.HandleFunc("GET /certificates", s.page((*call).certificates))
	m.HandleFunc("GET /settings", s.page((*call).settingsPage))
	m.HandleFunc("GET /about", s.page((*call).about))
	m.HandleFunc("GET /diagnostics", s.page((*call).diagnostics))

	m.HandleFunc("GET /login", s.page((*call).loginForm))
	m.HandleFunc("GET /login/default", s.page((*call).defaultPIN))
	m.HandleFunc("GET /information", s.page((*call).information))
	m.HandleFunc("GET /unblock", s.page((*call).unblockForm))
	m.HandleFunc("GET /pin", s.page((*call).pinForm))
	m.HandleFunc("GET /name", s.page((*call).nameForm))
	m.HandleFunc("GET /format", s.page((*call).formatForm))
	m.HandleFunc("GET /format/confirm", s.page((*call).formatConfirm))
	m.HandleFunc("GET /policy", s.page((*call).policyHelp))
	m.HandleFunc("GET /check", s.page((*call).check))
	m.HandleFunc("GET /certificates/import", s.page((*call).importForm))
	m.HandleFunc("GET /certificates/generate", s.page((*call).generateForm))
	m.HandleFunc("GET /certificates/delete", s.page((*call).deleteForm))
	m.HandleFunc("GET /certificates/{id}", s.page((*call).properties))
	m.HandleFunc("GET /certificates/{id}/export", s.page((*call).export))
	m.HandleFunc("GET /task/{id}", s.page((*call).taskPage))
	m.HandleFunc("GET /events", s.events)

	m.HandleFunc("POST /token", s.action((*call).chooseToken))
	m.HandleFunc("POST /language", s.action((*call).chooseLanguage))
	m.HandleFunc("POST /close", s.action((*call).closePanel))
	m.HandleFunc("POST /settings", s.action((*call).saveSettings))
	m.HandleFunc("POST /login", s.operation((*call).login))
	m.HandleFunc("POST /logout", s.operation((*call).logout))
	m.HandleFunc("POST /unblock", s.operation((*call).unblock))
	m.HandleFunc("POST /pin", s.operation((*call).changePIN))
	m.HandleFunc("POST /name", s.operation((*call).rename))
	m.HandleFunc("POST /format", s.operation((*call).prepareFormat))
	m.HandleFunc("POST /format/start", s.operation((*call).startFormat))
	m.HandleFunc("POST /format/cancel", s.operation((*call).cancelFormat))
	m.HandleFunc("POST /repair", s.operation((*call).repair))
	m.HandleFunc("POST /certificates/import", s.operation((*call).importFile))
	m.HandleFunc("POST /certificates/generate", s.operation((*call).generate))
	m.HandleFunc("POST /certificates/delete", s.operation((*call).deleteSelected))
	m.HandleFunc("POST /certificates/default", s.operation((*call).chooseDefault))
	return m
}

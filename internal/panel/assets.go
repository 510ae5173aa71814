package panel

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"
	"path"
)

//go:embed assets
var assetFiles embed.FS

// asset is a file of the panel.
type asset struct {
	kind string
	data []byte
}

// assets are the files by their names: there is no way from an address to a path.
var assets = func() map[string]asset {
	kinds := map[string]string{
		".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	}
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	all := make(map[string]asset)
	for _, e := range entries {
		data, err := assetFiles.ReadFile("assets/" + e.Name())
		if err != nil {
			panic(err)
		}
		all[e.Name()] = asset{kinds[path.Ext(e.Name())], data}
	}
	return all
}()

// assetVersion changes with any of the files, so that browsers may keep them.
var assetVersion = func() string {
	h := sha256.New()
	entries, err := assetFiles.ReadDir("assets")
	if err != nil {
		panic(err)
	}
	for _, e := range entries {
		h.Write(assets[e.Name()].data)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}()

// serveAsset answers with a file of the panel, which is no secret.
func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	a, ok := assets[r.PathValue("name")]
	if !ok {
		s.plainPage(w, r, http.StatusNotFound, "panel.notfound")
		return
	}
	w.Header().Set("Content-Type", a.kind)
	if r.URL.Query().Get("v") == assetVersion {
		w.Header().Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	// The browser may have left.
	_, _ = w.Write(a.data)
}

func (s *Server) serveIcon(w http.ResponseWriter, r *http.Request) {
	r.SetPathValue("name", "icon.svg")
	s.serveAsset(w, r)
}

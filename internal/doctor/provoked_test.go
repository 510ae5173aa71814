package doctor_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"kaztoken/internal/doctor"
)

// TestEveryFindingIsProvoked: what can be found is found in the end-to-end machine,
// where the fault is a real one, and is in the documents.
func TestEveryFindingIsProvoked(t *testing.T) {
	files, err := filepath.Glob("../../e2e/guest/doctor*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("scenarios %v, %v", files, err)
	}
	provoked := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(gotoken.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && l.Kind == gotoken.STRING {
				if s, err := strconv.Unquote(l.Value); err == nil {
					provoked[s] = true
				}
			}
			return true
		})
	}
	documented, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range doctor.IDs {
		if !provoked[id] {
			t.Errorf("%s: %v do not provoke it", id, files)
		}
		if !strings.Contains(string(documented), "`"+id+"`") {
			t.Errorf("%s is not in docs/doctor.md", id)
		}
	}
}

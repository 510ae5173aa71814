package doctor_test

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kaztoken/internal/doctor"
)

// notProvoked are the findings that the end-to-end machine cannot be made to have,
// and why. docs/doctor.md says so to who reads it.
var notProvoked = map[string]string{
	"bus.power": "a port has to fail, and the ports of usbip and of QEMU do not",
}

// TestEveryFindingIsProvoked: what can be found is found in the end-to-end machine,
// where the fault is a real one, or is known not to be.
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
	_, limits, _ := strings.Cut(string(documented), "\n## Limits\n")
	for _, id := range doctor.IDs {
		why, excepted := notProvoked[id]
		switch {
		case !provoked[id] && !excepted:
			t.Errorf("%s: %v do not provoke it", id, files)
		case provoked[id] && excepted:
			t.Errorf("%s is provoked, and said not to be: %s", id, why)
		case excepted && !strings.Contains(limits, "`"+id+"`"):
			t.Errorf("%s: docs/doctor.md does not say that it was not provoked", id)
		}
		if !strings.Contains(string(documented), "`"+id+"`") {
			t.Errorf("%s is not in docs/doctor.md", id)
		}
	}
	for id := range notProvoked {
		if !slices.Contains(doctor.IDs, id) {
			t.Errorf("%s is not among the IDs", id)
		}
	}
}

package words

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kaztoken/internal/kzpki"
)

// unused are keys that nothing names in the program: words of the control panel
// that the commands have no place for.
var unused = []Key{}

// call is a call that fills a text: a key followed by pairs of names and values.
type call struct {
	where string
	key   Key
	names []string
	whole bool // every value's name is written there
}

// program reads the calls and the string constants of everything that speaks.
func program(t *testing.T) (calls []call, constants map[string]bool) {
	t.Helper()
	constants = make(map[string]bool)
	for _, dir := range []string{"../../cmd", "../host", "../describe", "../panel"} {
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.IsDir() && strings.HasSuffix(name, ".html") {
				in, err := readPage(name)
				for _, c := range in {
					calls, constants[string(c.key)] = append(calls, c), true
				}
				return err
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			files := token.NewFileSet()
			f, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.BasicLit:
					if s, err := strconv.Unquote(n.Value); n.Kind == token.STRING && err == nil {
						constants[s] = true
					}
				case *ast.CallExpr:
					if c, ok := callOf(n); ok {
						c.where = files.Position(n.Pos()).String()
						calls = append(calls, c)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return calls, constants
}

// speakers are the functions that take a key and then values, or those after
// arguments of their own.
var speakers = []string{"Text", "say", "warn", "text", "askSecret", "confirm", "yes"}

func callOf(n *ast.CallExpr) (c call, ok bool) {
	name := ""
	switch f := n.Fun.(type) {
	case *ast.SelectorExpr:
		name = f.Sel.Name
	case *ast.Ident:
		name = f.Name
	}
	if !slices.Contains(speakers, name) {
		return call{}, false
	}
	for i, a := range n.Args {
		key, isText := literal(a)
		if !isText {
			continue
		}
		c := call{key: Key(key), whole: n.Ellipsis == token.NoPos}
		for j := i + 1; j < len(n.Args); j += 2 {
			name, isText := literal(n.Args[j])
			if !isText {
				c.whole = false
				break
			}
			c.names = append(c.names, name)
		}
		return c, true
	}
	return call{}, false
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	s, err := strconv.Unquote(lit.Value)
	return s, err == nil
}

// A page's call of a text: {{t "key" "name" .Value}}, where a value is one word.
var (
	pageCall  = regexp.MustCompile(`\b[tT] "([^"]+)"((?: "[^"]+" [^\s(){}]+)*)`)
	pageValue = regexp.MustCompile(`"([^"]+)" [^\s(){}]+`)
)

// readPage reads the calls of a template.
func readPage(name string) ([]call, error) {
	text, err := os.ReadFile(name)
	var calls []call
	for _, m := range pageCall.FindAllSubmatch(text, -1) {
		c := call{where: name, key: Key(m[1]), whole: true}
		for _, v := range pageValue.FindAllSubmatch(m[2], -1) {
			c.names = append(c.names, string(v[1]))
		}
		calls = append(calls, c)
	}
	return calls, err
}

// TestProgramAndCatalogueFit: every key that the program names is there, with
// the values that it takes, and every key is named.
func TestProgramAndCatalogueFit(t *testing.T) {
	calls, constants := program(t)
	if len(calls) < 100 {
		t.Fatalf("%d calls found", len(calls))
	}
	for _, c := range calls {
		e, ok := catalogue()[c.key]
		if !ok {
			t.Errorf("%s: no words for %q", c.where, c.key)
			continue
		}
		if !c.whole {
			continue
		}
		want := map[string]bool{}
		for _, p := range parse(e.en + e.ru + e.kk) {
			if p.name != "" {
				want[p.name] = true
			}
		}
		for name := range want {
			if !slices.Contains(c.names, name) {
				t.Errorf("%s: %s lacks the value %s", c.where, c.key, name)
			}
		}
		for _, name := range c.names {
			if !want[name] {
				t.Errorf("%s: %s does not take %s", c.where, c.key, name)
			}
		}
	}
	for _, key := range Keys() {
		named := constants[string(key)] || slices.Contains(kzpki.Keys(), string(key))
		if !named && !slices.Contains(unused, key) {
			t.Errorf("nothing says %s", key)
		}
	}
	for _, key := range unused {
		if _, ok := catalogue()[key]; !ok {
			t.Errorf("%s is listed as unused and is not there", key)
		}
	}
}

// TestCallOf proves that the reading above sees what it should.
func TestCallOf(t *testing.T) {
	for src, want := range map[string]*call{
		`w.Text("a", "n", 1)`:                    {key: "a", names: []string{"n"}, whole: true},
		`a.say("a")`:                             {key: "a", whole: true},
		`a.askSecret(ctx, s, true, "a", "r", x)`: {key: "a", names: []string{"r"}, whole: true},
		`a.warn("a", values...)`:                 {key: "a"},
		`w.Text(key, "n", 1)`:                    {key: "n", names: nil, whole: false},
		`f("a")`:                                 nil,
		`a.say(k)`:                               nil,
	} {
		e, err := parser.ParseExpr(src)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := callOf(e.(*ast.CallExpr))
		if ok != (want != nil) || ok && (got.key != want.key || !slices.Equal(got.names, want.names) || got.whole != want.whole) {
			t.Errorf("%s: %+v, %v, want %+v", src, got, ok, want)
		}
	}
}

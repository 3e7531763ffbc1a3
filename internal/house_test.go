// Package house_test holds the policies of the code as tests: which package may
// import which, that every package tells its story, that every dependency has
// its reason.
package house_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// floors lists every package, lowest first. A package imports only from the
// floors below its own; a package that is not listed fails the test. "plug"
// stands for the plug of any package.
var floors = [][]string{
	{"verify"},
	{"internal/text"},
	{"internal/fault"},
	{"internal/id", "internal/secret"},
	{"internal/config"},
	{"internal/keys", "internal/place"},
	{"internal/password"},
	{"internal/store"},
	{"internal/store/pgtest"},
	{"internal/store/storetest"},
	{"internal/jobs"},
	{"internal/audit"},
	{"internal/access", "internal/retention", "internal/mail", "internal/sms", "internal/throttle"},
	{"internal/trust", "internal/factor", "internal/passkey"},
	{"internal/account", "internal/tenant", "internal/backup", "internal/breach"},
	{"internal/web", "internal/cli"},
	{"internal/part"},
	{"internal/edge"},
	{"plug"},
	{"internal/app"},
	{"cmd/troth"},
}

// capability are the packages that never import each other.
var capability = map[string]bool{"internal/account": true, "internal/tenant": true, "internal/backup": true, "internal/breach": true}

// standalone are modules or programs that are not part of the house.
var standalone = []string{"examples/", "test/"}

const module = "troth/"

type source struct {
	dir   string
	files []*ast.File
}

func sources(t *testing.T) map[string]*source {
	t.Helper()
	all := map[string]*source{}
	fset := token.NewFileSet()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(path, "../"))
		if d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() == "data") {
			return fs.SkipDir
		}
		for _, s := range standalone {
			if strings.HasPrefix(rel, s) {
				return nil
			}
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(filepath.Dir(rel))
		if all[dir] == nil {
			all[dir] = &source{dir: dir}
		}
		all[dir].files = append(all[dir].files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found only %d packages; the test looks in the wrong place", len(all))
	}
	return all
}

func floorOf(dir string) (int, bool) {
	name := dir
	if strings.HasSuffix(dir, "/plug") {
		name = "plug"
	}
	for i, row := range floors {
		for _, p := range row {
			if p == name {
				return i, true
			}
		}
	}
	return 0, false
}

func TestArrowsPointDown(t *testing.T) {
	for dir, src := range sources(t) {
		from, ok := floorOf(dir)
		if !ok {
			t.Errorf("%s stands on no floor: list it in floors", dir)
			continue
		}
		for _, f := range src.files {
			for _, spec := range f.Imports {
				path := strings.Trim(spec.Path.Value, `"`)
				if !strings.HasPrefix(path, module) {
					continue
				}
				target := strings.TrimPrefix(path, module)
				to, ok := floorOf(target)
				if !ok || to >= from {
					t.Errorf("%s imports %s, which does not stand below it", dir, target)
				}
				if dir == "verify" {
					t.Errorf("verify imports %s; it must stand alone", target)
				}
				if capability[target] && (capability[dir] || dir == "internal/edge") {
					t.Errorf("%s imports %s; what it needs of it is an interface of its own, filled in app", dir, target)
				}
				if dir == "internal/edge" && target == "internal/part" {
					t.Errorf("edge imports part; it receives routes and authenticators, and knows nothing that plugs in")
				}
			}
		}
	}
}

func TestEveryPackageTellsItsStory(t *testing.T) {
	for dir, src := range sources(t) {
		doc := ""
		for _, f := range src.files {
			if f.Doc != nil {
				doc += f.Doc.Text()
			}
		}
		if !strings.HasPrefix(doc, "Package ") && !strings.HasPrefix(doc, "Command ") || len(strings.Fields(doc)) < 20 {
			t.Errorf("%s has no package doc that tells what it promises and what it never does", dir)
		}
	}
}

func TestExportedNamesAreDocumented(t *testing.T) {
	total, bare := 0, []string{}
	for dir, src := range sources(t) {
		for _, f := range src.files {
			for _, decl := range f.Decls {
				fn, ok := decl.(*ast.FuncDecl)
				if !ok || !fn.Name.IsExported() || fn.Recv != nil && !exportedReceiver(fn) {
					continue
				}
				total++
				if fn.Doc == nil {
					bare = append(bare, dir+"."+fn.Name.Name)
				}
			}
		}
	}
	if float64(len(bare)) > 0.05*float64(total) {
		t.Errorf("%d of %d exported functions have no comment: %v", len(bare), total, bare)
	}
}

func exportedReceiver(fn *ast.FuncDecl) bool {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	name, ok := typ.(*ast.Ident)
	return ok && name.IsExported()
}

// registration happens in one slice that one can read (app.parts), never by
// import.
func TestNothingRegistersItself(t *testing.T) {
	for dir, src := range sources(t) {
		for _, f := range src.files {
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
					t.Errorf("%s has an init function", dir)
				}
			}
		}
	}
}

func TestEveryDependencyHasItsReason(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`) // direct ones: no "// indirect"
	found := line.FindAllSubmatch(mod, -1)
	if len(found) < 5 {
		t.Fatalf("found only %d direct dependencies", len(found))
	}
	for _, m := range found {
		if !strings.Contains(string(doc), "`"+string(m[1])+"`") {
			t.Errorf("docs/dependencies.md gives no reason for %s", m[1])
		}
	}
}

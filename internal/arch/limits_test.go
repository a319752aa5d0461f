package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// limits checks types against the package of limits and nothing else: all other imports are empty, and what
// is unknown because of that is passed over.
type limits struct {
	files *token.FileSet
	own   *types.Package
}

func (l *limits) Import(name string) (*types.Package, error) {
	if name == module+"/internal/limit" && l.own != nil {
		return l.own, nil
	}
	empty := types.NewPackage(name, path.Base(name))
	empty.MarkComplete()
	return empty, nil
}

func (l *limits) check(t *testing.T, p pkg) (*types.Package, *types.Info) {
	t.Helper()
	var files []*ast.File
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(l.files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Selections: map[*ast.SelectorExpr]*types.Selection{}}
	cfg := types.Config{Importer: l, Error: func(error) {}}
	checked, _ := cfg.Check(p.ImportPath, l.files, files, info) // errors of what was left out
	return checked, info
}

// TestEveryLimitIsUsed: each limit of the tables is read by somebody outside of the tables; a limit that
// nobody asks would be a promise of docs/limits.md that nothing keeps.
func TestEveryLimitIsUsed(t *testing.T) {
	t.Parallel()
	l := &limits{files: token.NewFileSet()}
	all := packages(t)
	home := slices.IndexFunc(all, func(p pkg) bool { return p.ImportPath == module+"/internal/limit" })
	if home < 0 {
		t.Fatal("there is no package of limits")
	}
	l.own, _ = l.check(t, all[home])
	unused := map[types.Object]string{}
	for _, table := range []string{"Login", "Requests"} {
		fields, ok := l.own.Scope().Lookup(table).Type().Underlying().(*types.Struct)
		if !ok {
			t.Fatalf("limit.%s is no struct", table)
		}
		for f := range fields.Fields() {
			if named, ok := f.Type().(*types.Named); ok && named.Obj().Name() == "Limit" {
				unused[f] = "limit." + table + "." + f.Name()
			}
		}
	}
	if len(unused) < 25 {
		t.Fatalf("the tables have %d limits; the rule would check nothing", len(unused))
	}
	for _, p := range all {
		if p.ImportPath == l.own.Path() || !slices.Contains(p.Imports, l.own.Path()) {
			continue
		}
		_, info := l.check(t, p)
		for _, s := range info.Selections {
			delete(unused, s.Obj())
		}
	}
	for _, name := range unused {
		t.Errorf("%s is in the table and nobody asks it", name)
	}
}

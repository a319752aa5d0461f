package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// auditActions are the actions of the audit log, by the names of their constants: those of package auditlog
// that are words, and not a suffix or an actor.
func auditActions(t *testing.T) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), "internal", "auditlog", "entry.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	actions := map[string]string{}
	for _, d := range f.Decls {
		consts, ok := d.(*ast.GenDecl)
		if !ok || consts.Tok != token.CONST || len(consts.Specs) < 2 {
			continue
		}
		for _, spec := range consts.Specs {
			one := spec.(*ast.ValueSpec)
			text, ok := one.Values[0].(*ast.BasicLit)
			if !ok || text.Kind != token.STRING {
				continue
			}
			if value, err := strconv.Unquote(text.Value); err == nil && !strings.HasPrefix(value, ".") {
				actions[one.Names[0].Name] = value
			}
		}
	}
	return actions
}

// auditTests is the text of all tests but those of package auditlog, which uses actions as examples.
func auditTests(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for _, p := range packages(t) {
		if p.ImportPath == module+"/internal/auditlog" || p.ImportPath == module+"/internal/arch" {
			continue
		}
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			file, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			text.Write(file)
		}
	}
	return text.String()
}

// TestEveryAuditedActionHasATest: each action of the audit log is asked for by a test, by its constant or
// its word, and explained in docs/admin.md.
func TestEveryAuditedActionHasATest(t *testing.T) {
	t.Parallel()
	actions := auditActions(t)
	if len(actions) < 20 || actions["LoggedIn"] != "login" {
		t.Fatalf("these are not the actions: %v", actions)
	}
	tests, table := auditTests(t), page(t, "admin.md")
	for name, word := range actions {
		asked := regexp.MustCompile(`\bauditlog\.` + name + `\b|\b` + word + `\b`)
		if !strings.Contains(word, "_") { // an everyday word: as lines of the log have it, before a role
			asked = regexp.MustCompile(`\bauditlog\.` + name + `\b|"` + word + ` (customer|transporter|driver|ops)`)
		}
		if !asked.MatchString(tests) {
			t.Errorf("no test asks for %s (%q)", name, word)
		}
		if !strings.Contains(table, "`"+word+"`") {
			t.Errorf("docs/admin.md does not explain %q", word)
		}
	}
}

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

// claim is a test of the house with the invariants that its comment claims.
type claim struct {
	name    string // directory.TestName
	numbers []int
}

var claimLine = regexp.MustCompile(`(?m)^Invariants: ([0-9, \n]+)\.`)

// claims reads every test of the module.
func claims(t *testing.T) map[string]claim {
	t.Helper()
	all := map[string]claim{}
	for _, p := range packages(t) {
		dir, err := filepath.Rel(root(t), p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Concat(p.TestGoFiles, p.XTestGoFiles) {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				if !ok || fn.Recv != nil || !strings.HasPrefix(fn.Name.Name, "Test") && !strings.HasPrefix(fn.Name.Name, "Fuzz") {
					continue
				}
				c := claim{name: filepath.ToSlash(dir) + "." + fn.Name.Name}
				for _, m := range claimLine.FindAllStringSubmatch(fn.Doc.Text(), -1) {
					for _, digits := range regexp.MustCompile(`\d+`).FindAllString(m[1], -1) {
						n, err := strconv.Atoi(digits)
						if err != nil {
							t.Fatal(err)
						}
						c.numbers = append(c.numbers, n)
					}
				}
				all[c.name] = c
			}
		}
	}
	return all
}

func page(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// named finds the tests that a text names: `directory.TestName`.
var named = regexp.MustCompile("`([a-z0-9/]+\\.(?:Test|Fuzz)\\w+)`")

// TestInvariantsAreClaimed: every test that docs/invariants.md names exists, every invariant names one
// and is claimed by one in its comment, and no test claims what is not there.
func TestInvariantsAreClaimed(t *testing.T) {
	t.Parallel()
	tests := claims(t)
	rows := regexp.MustCompile(`(?m)^\| I(\d+) \|(.*)$`).FindAllStringSubmatch(page(t, "invariants.md"), -1)
	if len(rows) < 20 {
		t.Fatalf("the page has %d invariants; the rules would check nothing", len(rows))
	}
	known := map[int]bool{}
	for _, row := range rows {
		number, err := strconv.Atoi(row[1])
		if err != nil || known[number] {
			t.Fatalf("I%s is there twice: %v", row[1], err)
		}
		known[number] = true
		names := named.FindAllStringSubmatch(row[2], -1)
		if len(names) == 0 {
			t.Errorf("I%d names no test", number)
		}
		for _, n := range names {
			if _, ok := tests[n[1]]; !ok {
				t.Errorf("I%d names %s, which does not exist", number, n[1])
			}
		}
	}
	claimed := map[int]bool{}
	for _, c := range tests {
		for _, n := range c.numbers {
			claimed[n] = true
			if !known[n] {
				t.Errorf("%s claims I%d, which docs/invariants.md does not have", c.name, n)
			}
		}
	}
	for n := range known {
		if !claimed[n] {
			t.Errorf("I%d is claimed by no test", n)
		}
	}
}

// knownFaults is how many faults of the system before this one are listed.
const knownFaults = 63

// TestEveryFaultHasATest: docs/faults.md lists each known fault once, with tests that exist or the
// reason why it cannot.
func TestEveryFaultHasATest(t *testing.T) {
	t.Parallel()
	tests := claims(t)
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|([^|]*)\|(.*)\|$`).FindAllStringSubmatch(page(t, "faults.md"), -1)
	if len(rows) != knownFaults {
		t.Errorf("%d faults are listed, not %d", len(rows), knownFaults)
	}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("fault %s stands at place %d", row[1], i+1)
		}
		names := named.FindAllStringSubmatch(row[3], -1)
		if len(names) == 0 && !strings.Contains(row[3], "cannot exist") && !strings.Contains(row[3], "not built yet") {
			t.Errorf("fault %s has neither a test nor a reason", row[1])
		}
		for _, n := range names {
			if _, ok := tests[n[1]]; !ok {
				t.Errorf("fault %s names %s, which does not exist", row[1], n[1])
			}
		}
	}
}

// knownOutages is how many things that may happen to a login are listed.
const knownOutages = 16

// TestEveryOutageHasATest: docs/outages.md lists each once, in order, with tests that exist; and every test of
// package outage stands there.
func TestEveryOutageHasATest(t *testing.T) {
	t.Parallel()
	tests := claims(t)
	listed := map[string]bool{}
	rows := regexp.MustCompile(`(?m)^\| O(\d+) \|[^|]*\|[^|]*\|(.*)\|$`).FindAllStringSubmatch(page(t, "outages.md"), -1)
	if len(rows) != knownOutages {
		t.Errorf("%d outages are listed, not %d", len(rows), knownOutages)
	}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("O%s stands at place %d", row[1], i+1)
		}
		names := named.FindAllStringSubmatch(row[2], -1)
		if len(names) == 0 {
			t.Errorf("O%s names no test", row[1])
		}
		for _, n := range names {
			listed[n[1]] = true
			if _, ok := tests[n[1]]; !ok {
				t.Errorf("O%s names %s, which does not exist", row[1], n[1])
			}
		}
	}
	for name := range tests {
		if strings.HasPrefix(name, "test/outage.") && !listed[name] {
			t.Errorf("%s is in no row", name)
		}
	}
}

// securityChecks is how many checks of security there are.
const securityChecks = 30

// TestEverySecurityCheckHasATest: docs/security.md lists each check once, in order, with a subtest that
// exists and carries its number.
func TestEverySecurityCheckHasATest(t *testing.T) {
	t.Parallel()
	tests := claims(t)
	files, err := filepath.Glob(filepath.Join(root(t), "test", "security", "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var source strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	rows := regexp.MustCompile(`(?m)^\| P(\d\d) \|.*`+"`(test/security\\.Test\\w+)/(P(\\d\\d)_\\w+)`"+` \|$`).FindAllStringSubmatch(page(t, "security.md"), -1)
	if len(rows) != securityChecks {
		t.Errorf("%d checks are listed, not %d", len(rows), securityChecks)
	}
	for i, row := range rows {
		if n, err := strconv.Atoi(row[1]); err != nil || n != i+1 || row[4] != row[1] {
			t.Errorf("check P%s stands at place %d and names %s", row[1], i+1, row[3])
		}
		if _, ok := tests[row[2]]; !ok || !strings.Contains(source.String(), `{"`+row[3]+`",`) {
			t.Errorf("P%s names %s/%s, which does not exist", row[1], row[2], row[3])
		}
	}
}
